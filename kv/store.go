package kv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"lambent/kv/driver"
	"lambent/trace"
)

// Store is a handle on one room of the store. It may be used by many goroutines, and is cheap to make.
type Store struct {
	core   *core
	path   []byte // encoded names of the rooms from the root to here; nil at the root
	prefix []byte // of every key
}

// core is what all handles on one store share.
type core struct {
	engine  driver.Engine
	watches watches
	latches *latches

	onNotify func(topics []string)

	updates, views, retries, gaveUp atomic.Uint64
}

// First byte of a key in an engine. 0x00 is the engine's own.
const (
	rootByte = 0x01
	roomByte = 0x02
)

// New returns the root handle of the store in engine. The store owns the engine: Close closes it.
func New(engine driver.Engine) *Store {
	return &Store{core: &core{engine: engine, latches: newLatches()}, prefix: []byte{rootByte}}
}

// In returns a handle on the room of that name. Rooms of different names or parents share no key and no
// topic; the same name gives the same room.
func (s *Store) In(room string) *Store {
	path := appendString(append([]byte(nil), s.path...), room)
	// The zero byte ends the path: it sorts apart from the type byte that a further name begins with,
	// so the keys of a room and of the rooms in it do not mix.
	prefix := append(append([]byte{roomByte}, path...), 0)
	return &Store{core: s.core, path: path, prefix: prefix}
}

// Update runs fn in a serializable transaction and commits what it wrote. When Update returns nil, that is
// durable. On a conflict fn runs again; an error from fn ends the transaction without a trace.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	_, err := s.UpdateStamp(ctx, fn)
	return err
}

// UpdateStamp is Update that also returns the commit's stamp: the one in the key of the transaction's first
// SetStamped. A transaction that wrote nothing returns a stamp not below any commit that it saw.
func (s *Store) UpdateStamp(ctx context.Context, fn func(tx *Tx) error) (stamp Stamp, err error) {
	s.core.updates.Add(1)
	ctx, span := trace.Start(ctx, "store update")
	defer func() { span.End(err) }()
	err = s.core.retry(ctx, func() (err error) {
		stamp, err = s.attempt(ctx, fn)
		return err
	})
	return stamp, err
}

// retry calls try until it succeeds or fails for good. Conflicts and a store that cannot be reached pass.
func (c *core) retry(ctx context.Context, try func() error) error {
	start := time.Now()
	for attempt := 0; ; attempt++ {
		err := try()
		away := errors.Is(err, ErrUnavailable)
		if err == nil || !away && !errors.Is(err, ErrConflict) {
			return err
		}
		if time.Since(start) > retryFor {
			c.gaveUp.Add(1)
			return fmt.Errorf("gave up after %d attempts: %w", attempt+1, err)
		}
		c.retries.Add(1)
		trace.From(ctx).Event("tried again", trace.Attribute{Key: "because", Value: err.Error()})
		if err := backoff(ctx, attempt, away); err != nil {
			return err
		}
	}
}

// retryFor is how long a transaction that meets conflicts is tried again.
const retryFor = 10 * time.Second

// backoff waits before the next attempt: at random up to a bound that doubles from 100 µs to 12.8 ms, or, for a
// store that is away, from 6.4 ms to 0.8 s.
func backoff(ctx context.Context, attempt int, away bool) error {
	bound := 100 * time.Microsecond << min(attempt, 7)
	if away {
		bound <<= 6
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(bound)):
		return nil
	}
}

// attempt runs fn once and commits.
func (s *Store) attempt(ctx context.Context, fn func(tx *Tx) error) (Stamp, error) {
	txn, err := s.core.engine.Begin(ctx, driver.ReadWrite)
	if err != nil {
		return Stamp{}, err
	}
	st := &state{core: s.core, txn: txn, start: time.Now()}
	defer st.abandon(ctx)
	err = fn(&Tx{st: st, prefix: s.prefix})
	if err == nil {
		err = st.check()
	}
	if err != nil {
		return Stamp{}, st.end(ctx, err)
	}
	return st.commit(ctx)
}

// View runs fn with a reader of one snapshot that holds everything acknowledged before. It may wait, at
// the end, for what fn has read to become durable. An engine that checks reads too may run fn again, so it
// must change nothing but its own results.
func (s *Store) View(ctx context.Context, fn func(r Reader) error) (err error) {
	s.core.views.Add(1)
	ctx, span := trace.Start(ctx, "store view")
	defer func() { span.End(err) }()
	return s.core.retry(ctx, func() error { return s.look(ctx, fn) })
}

// look runs fn once.
func (s *Store) look(ctx context.Context, fn func(r Reader) error) error {
	txn, err := s.core.engine.Begin(ctx, driver.ReadOnly)
	if err != nil {
		return err
	}
	st := &state{core: s.core, txn: txn, start: time.Now()}
	defer st.abandon(ctx)
	return st.end(ctx, fn(snapshot{st: st, prefix: s.prefix}))
}

// StableBefore returns a stamp above those of all commits acknowledged so far, below which no stamped key
// can appear any more.
func (s *Store) StableBefore(ctx context.Context) (Stamp, error) {
	return s.core.engine.StableBefore(ctx)
}

// Watch returns a channel that receives soon after each commit that called Tx.Notify with this topic in
// this room, and a function that ends the watch. Several commits may come as one, and some without need.
func (s *Store) Watch(topic string) (<-chan struct{}, func()) {
	return s.core.watches.add(string(s.prefix) + topic)
}

// OnNotify calls fn after each commit that notified topics, with their names in the whole store. It is for telling
// other processes that share the store, which call Wake. fn must not wait. OnNotify is called once, on the root
// handle, before the store is used.
func (s *Store) OnNotify(fn func(topics []string)) {
	if s.path != nil || s.core.onNotify != nil {
		panic("kv: OnNotify called on a room or twice")
	}
	s.core.onNotify = fn
}

// Wake wakes those who watch topics, named as OnNotify names them.
func (s *Store) Wake(topics []string) { s.core.watches.fire(topics) }

// Close closes the store for all handles. It may be called on the root handle only.
func (s *Store) Close() error {
	if s.path != nil {
		return errors.New("kv: Close called on a room")
	}
	return s.core.engine.Close()
}

// Stats are counters of the store since it was opened.
type Stats struct {
	Updates uint64 // calls of Update
	Views   uint64 // calls of View
	Retries uint64 // closures run again after a conflict
	GaveUp  uint64 // updates that ended with ErrConflict
	Engine  driver.Stats
}

// Stats returns the counters of the whole store.
func (s *Store) Stats() Stats {
	c := s.core
	return Stats{
		Updates: c.updates.Load(),
		Views:   c.views.Load(),
		Retries: c.retries.Load(),
		GaveUp:  c.gaveUp.Load(),
		Engine:  c.engine.Stats(),
	}
}
