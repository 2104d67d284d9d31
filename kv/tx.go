package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lambent/kv/driver"
)

// Tx is a running transaction seen through one room. Its reads join the conflict set and see its own
// writes, except stamped ones, whose keys exist only after the commit. It is for one goroutine and only
// until its closure returns. Keys and values given to it are copied.
type Tx struct {
	st     *state
	prefix []byte
}

var _ Reader = (*Tx)(nil)

// state is what the views of one transaction attempt share.
type state struct {
	core   *core
	txn    driver.Txn
	start  time.Time
	writes overlay
	topics []string
	err    error // the first limit that was broken
	done   bool
	buf    []byte // for one key at a time
}

// errEnded is the answer to a closure that let its transaction out.
var errEnded = errors.New("kv: the transaction has ended")

// check returns why the transaction can no longer succeed, or nil.
func (st *state) check() error {
	if st.done {
		return errEnded
	}
	if st.err == nil && time.Since(st.start) > MaxAge {
		st.err = fmt.Errorf("%w: it ran for more than %v", ErrTooOld, MaxAge)
	}
	return st.err
}

func (st *state) commit(ctx context.Context) (Stamp, error) {
	st.done = true
	stamp, err := st.txn.Commit(ctx, st.writes.ops)
	if err == nil || errors.Is(err, ErrUnknown) {
		st.core.watches.fire(st.topics)
		if st.core.onNotify != nil && len(st.topics) > 0 {
			st.core.onNotify(st.topics)
		}
	}
	return stamp, err
}

func (st *state) finish(ctx context.Context) error {
	st.done = true
	return st.txn.Finish(ctx)
}

// end ends a transaction without writes and returns err, the closure's answer. But when it is not certain
// that what the closure has read is durable, err may tell of what never was, and the reason is returned
// instead.
func (st *state) end(ctx context.Context, err error) error {
	if unsure := st.finish(ctx); unsure != nil {
		return unsure
	}
	return err
}

// abandon ends a transaction whose closure panicked.
func (st *state) abandon(ctx context.Context) {
	if !st.done {
		_ = st.finish(ctx) // the panic goes on and says more
	}
}

// tooLarge records that a size limit was broken. The transaction fails at its next read or at the commit.
func (st *state) tooLarge(what string, size, limit int) {
	if st.err == nil {
		st.err = fmt.Errorf("%w: %s of %d bytes, the limit is %d", ErrTooLarge, what, size, limit)
	}
}

// admit says whether a write of that size may join the transaction.
func (st *state) admit(key, value int) bool {
	switch {
	case st.err != nil:
		return false
	case key > MaxKey:
		st.tooLarge("key", key, MaxKey)
	case value > MaxValue:
		st.tooLarge("value", value, MaxValue)
	case st.writes.size+key+value > MaxWrites:
		st.tooLarge("writes", st.writes.size+key+value, MaxWrites)
	case len(st.writes.ops) == MaxOps:
		st.err = fmt.Errorf("%w: more than %d writes", ErrTooLarge, MaxOps)
	}
	return st.err == nil
}

// In returns the same transaction seen through another handle of the same store.
func (tx *Tx) In(s *Store) *Tx {
	if s.core != tx.st.core {
		panic("kv: Tx.In with a handle of another store")
	}
	return &Tx{st: tx.st, prefix: s.prefix}
}

// Set stores value under key.
func (tx *Tx) Set(key, value []byte) {
	if !tx.st.admit(len(key), len(value)) {
		return
	}
	tx.st.writes.put(driver.Op{Kind: driver.Set, Key: tx.full(key), Value: clone(value)})
}

// Delete removes key, if it is there.
func (tx *Tx) Delete(key []byte) {
	if tx.st.admit(len(key), 0) {
		tx.st.writes.put(driver.Op{Kind: driver.Delete, Key: tx.full(key)})
	}
}

// DeleteRange removes all keys k with begin <= k < end; a nil end is the end of the room. It does not
// read: alone it conflicts with nobody, but transactions that have read in the range conflict with it.
func (tx *Tx) DeleteRange(begin, end []byte) {
	if !tx.st.admit(max(len(begin), len(end)), 0) {
		return
	}
	b, e := tx.bounds(begin, end)
	if bytes.Compare(b, e) < 0 {
		tx.st.writes.deleteRange(b, e)
	}
}

// SetStamped stores value under the key prefix ‖ Stamp ‖ suffix, where the stamp is the commit's. Stamps
// of one transaction differ and grow in the order of the calls.
func (tx *Tx) SetStamped(prefix, suffix, value []byte) {
	st := tx.st
	n := len(prefix) + len(Stamp{}) + len(suffix)
	if !st.admit(n, len(value)) {
		return
	}
	if st.writes.stamped == MaxStamped {
		st.err = fmt.Errorf("%w: more than %d stamped keys", ErrTooLarge, MaxStamped)
		return
	}
	stamp := driver.MakeStamp(0, 0, uint16(st.writes.stamped))
	key := slices.Concat(tx.prefix, prefix, stamp[:], suffix)
	st.writes.putStamped(driver.Op{
		Kind:    driver.SetStamped,
		Key:     key,
		Value:   clone(value),
		StampAt: len(tx.prefix) + len(prefix),
	})
}

// Notify wakes the watchers of topic in this room after the commit.
func (tx *Tx) Notify(topic string) {
	t := string(tx.prefix) + topic
	if !slices.Contains(tx.st.topics, t) {
		tx.st.topics = append(tx.st.topics, t)
	}
}

// Snapshot returns a reader of the transaction's snapshot, without its own writes, whose reads do not
// join the conflict set. An engine whose server tracks all reads may still count them.
func (tx *Tx) Snapshot() Reader { return snapshot{st: tx.st, prefix: tx.prefix} }

// Get implements Reader.
func (tx *Tx) Get(ctx context.Context, key []byte) ([]byte, error) {
	if err := tx.st.check(); err != nil {
		return nil, err
	}
	k := tx.st.key(tx.prefix, key)
	if v, known := tx.st.writes.get(k); known {
		return v, nil
	}
	return tx.st.txn.Get(ctx, k, true)
}

// GetAll implements Reader.
func (tx *Tx) GetAll(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	if err := tx.st.check(); err != nil {
		return nil, err
	}
	out := make([][]byte, len(keys))
	ask := make([][]byte, 0, len(keys))
	at := make([]int, 0, len(keys))
	for i, key := range keys {
		k := tx.full(key)
		v, known := tx.st.writes.get(k)
		if known {
			out[i] = v
			continue
		}
		ask, at = append(ask, k), append(at, i)
	}
	if len(ask) == 0 {
		return out, nil
	}
	values, err := tx.st.txn.GetAll(ctx, ask, true)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		out[at[i]] = v
	}
	return out, nil
}

// Scan implements Reader.
func (tx *Tx) Scan(ctx context.Context, r Range) ([]KV, error) {
	if err := tx.st.check(); err != nil {
		return nil, err
	}
	r.Begin, r.End = tx.bounds(r.Begin, r.End)
	if bytes.Compare(r.Begin, r.End) >= 0 {
		return nil, nil
	}
	var out []KV
	var err error
	if len(tx.st.writes.ops) == 0 {
		out, err = tx.st.txn.Scan(ctx, r, true)
	} else {
		out, err = tx.st.scan(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return strip(out, len(tx.prefix)), nil
}

// scan lays the transaction's own writes over what the store has in r.
func (st *state) scan(ctx context.Context, r Range) ([]KV, error) {
	own := st.writes.within(r.Begin, r.End)
	pieces := st.writes.pieces(r.Begin, r.End)
	below := Range{Reverse: r.Reverse}
	if r.Limit > 0 {
		below.Limit = r.Limit + len(own) // each own write can hide one entry below
	}
	if r.Reverse {
		slices.Reverse(pieces)
		own = slices.Clone(own)
		slices.Reverse(own)
	}
	var base []KV
	for _, p := range pieces {
		below.Begin, below.End = p.begin, p.end
		more, err := st.txn.Scan(ctx, below, true)
		if err != nil {
			return nil, err
		}
		base = append(base, more...)
		if below.Limit == 0 {
			continue
		}
		if below.Limit -= len(more); below.Limit <= 0 {
			break
		}
	}
	return st.writes.merge(base, own, r), nil
}

// merge merges two sorted lists, in the direction of r: what lies below, and the transaction's own point
// writes, which win.
func (o *overlay) merge(base []KV, own []int32, r Range) []KV {
	out := make([]KV, 0, len(base)+len(own))
	full := func() bool { return r.Limit > 0 && len(out) == r.Limit }
	for len(base)+len(own) > 0 && !full() {
		c := -1 // take base
		switch {
		case len(base) == 0:
			c = 1
		case len(own) > 0:
			if c = bytes.Compare(base[0].Key, o.ops[own[0]].Key); r.Reverse {
				c = -c
			}
		}
		if c < 0 {
			out, base = append(out, base[0]), base[1:]
			continue
		}
		if c == 0 {
			base = base[1:]
		}
		if op := &o.ops[own[0]]; op.Kind == driver.Set {
			out = append(out, KV{Key: bytes.Clone(op.Key), Value: bytes.Clone(op.Value)})
		}
		own = own[1:]
	}
	return out
}

// key returns key with the room's prefix, good until the next call.
func (st *state) key(prefix, key []byte) []byte {
	st.buf = append(append(st.buf[:0], prefix...), key...)
	return st.buf
}

// full returns key with the room's prefix.
func (tx *Tx) full(key []byte) []byte { return slices.Concat(tx.prefix, key) }

// bounds returns a range of the room as keys of the engine.
func (tx *Tx) bounds(begin, end []byte) (b, e []byte) { return bounds(tx.prefix, begin, end) }

func bounds(prefix, begin, end []byte) (b, e []byte) {
	b = slices.Concat(prefix, begin)
	if end != nil {
		return b, slices.Concat(prefix, end)
	}
	e = slices.Clone(prefix)
	e[len(e)-1]++ // a prefix ends with 0x00 or 0x01
	return b, e
}

// clone copies a value. The copy is never nil: nil means absent.
func clone(value []byte) []byte { return append(make([]byte, 0, len(value)), value...) }

// strip cuts the first n bytes off every key.
func strip(entries []KV, n int) []KV {
	for i := range entries {
		entries[i].Key = entries[i].Key[n:]
	}
	return entries
}

// snapshot reads without joining the conflict set.
type snapshot struct {
	st     *state
	prefix []byte
}

func (s snapshot) Get(ctx context.Context, key []byte) ([]byte, error) {
	if err := s.st.check(); err != nil {
		return nil, err
	}
	return s.st.txn.Get(ctx, s.st.key(s.prefix, key), false)
}

func (s snapshot) GetAll(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	if err := s.st.check(); err != nil {
		return nil, err
	}
	full := make([][]byte, len(keys))
	for i, k := range keys {
		full[i] = slices.Concat(s.prefix, k)
	}
	return s.st.txn.GetAll(ctx, full, false)
}

func (s snapshot) Scan(ctx context.Context, r Range) ([]KV, error) {
	if err := s.st.check(); err != nil {
		return nil, err
	}
	r.Begin, r.End = bounds(s.prefix, r.Begin, r.End)
	if bytes.Compare(r.Begin, r.End) >= 0 {
		return nil, nil
	}
	out, err := s.st.txn.Scan(ctx, r, false)
	if err != nil {
		return nil, err
	}
	return strip(out, len(s.prefix)), nil
}
