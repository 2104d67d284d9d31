// Package schedule is the event source that fires by the clock: EventBridge's rules with a rate or cron expression.
//
// A timer is a row with the one next time at which it is due, and stands in order of that time in an index. When
// the time has come, one transaction moves the timer on and writes what is to be delivered; so each firing is
// recorded exactly once, whichever node or life of the process saw it. Deliveries are made from their rows, at least
// once, under a lease with a fencing number, and are tried again until they succeed or grow too old.
//
// After a time in which nobody looked, a timer that was missed fires once, for the latest time that was missed, unless
// that is longer ago than an event may live (24 hours).
//
// # Keys
//
//	timer     ID          expression and next due time
//	due       TIME ID     index of the timers by the time at which they are due
//	delivery  TIME N      a call to make at that time, or under lease until then
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/schedule"
	"lambent/trace"
)

// Rules say what is to be called when a timer is due.
type Rules interface {
	// Due calls deliver for each call that the timer id makes at its due time. The payload is final: it is what each attempt
	// carries. attempts and age bound the retries.
	Due(ctx context.Context, id string, at time.Time, deliver func(account, region, functionARN, sourceARN string, payload []byte, attempts int, age time.Duration)) error
}

// An Invoker takes an event for a function: when it returns nil, the event is durable with it.
type Invoker interface {
	InvokeAsync(ctx context.Context, account, region, functionARN, sourceARN string, payload []byte) error
}

// The bounds of a Source.
const (
	batch       = 64               // timers, or deliveries, in one transaction
	workers     = 16               // deliveries at a time
	callTimeout = 10 * time.Second // of one attempt
	lease       = 2 * time.Minute  // a delivery that was taken and not settled is free again after this
	poll        = 10 * time.Second // wake-ups may be lost
	maxAge      = 24 * time.Hour   // what was missed longer ago does not fire
	maxBackoff  = 5 * time.Minute
	errorPause  = time.Second // after an error of the store
)

// Source fires timers.
type Source struct {
	timers  *Timers
	kv      *kv.Store
	rules   Rules
	invoker Invoker
	log     *slog.Logger
}

// New returns a source that fires the timers by the rules. Nothing happens before Run.
func New(timers *Timers, rules Rules, invoker Invoker, log *slog.Logger) *Source {
	return &Source{timers: timers, kv: timers.kv, rules: rules, invoker: invoker, log: log}
}

// Run fires and delivers until ctx ends. Several may run over one store.
func (s *Source) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { s.loop(ctx, timerTopic, s.fire, s.timers.next) })
	loops.Go(func() { s.loop(ctx, deliveryTopic, s.deliver, s.nextDelivery) })
	loops.Wait()
	return nil
}

// loop works until nothing is to be done now, then sleeps until something is, or topic says that something may be.
func (s *Source) loop(ctx context.Context, topic string, work func(context.Context) (bool, error), next func(context.Context) (time.Time, bool, error)) {
	wake, stop := s.kv.Watch(topic)
	defer stop()
	for {
		more, err := work(ctx)
		var at time.Time
		var ok bool
		if err == nil && !more {
			at, ok, err = next(ctx)
		}
		wait := time.Duration(poll)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.ErrorContext(ctx, "schedule: the store failed", "loop", topic, "error", err)
			wait = errorPause
		case more:
			continue
		case ok:
			wait = min(poll, max(0, time.Until(at)))
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-time.After(wait):
		}
	}
}

// fire moves on timers that are due and writes their deliveries; more says that others may be due as well.
func (s *Source) fire(ctx context.Context) (more bool, err error) {
	now := time.Now().UTC()
	list, err := s.timers.due(ctx, now, batch)
	if err != nil || len(list) == 0 {
		return false, err
	}
	ctx, span := trace.Root(ctx, "timers fire", trace.Producer, trace.Parent{})
	span.Set("timers", len(list))
	err = s.fireAll(ctx, list, now)
	span.End(err)
	return len(list) == batch, err
}

// fireAll fires list in one transaction, or in halves when it is too large for one.
func (s *Source) fireAll(ctx context.Context, list []dueTimer, now time.Time) error {
	fired := make([]firing, 0, len(list))
	for _, d := range list {
		f, err := s.prepare(ctx, d, now)
		if err != nil {
			return err
		}
		fired = append(fired, f)
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		for _, f := range fired {
			if err := f.commit(ctx, tx, now); err != nil {
				return err
			}
		}
		tx.Notify(deliveryTopic)
		return nil
	})
	if errors.Is(err, kv.ErrTooLarge) && len(list) > 1 {
		half := len(list) / 2
		if err := s.fireAll(ctx, list[:half], now); err != nil {
			return err
		}
		return s.fireAll(ctx, list[half:], now)
	}
	return err
}

// firing is a due timer with what it calls.
type firing struct {
	dueTimer
	expression string
	next       time.Time
	goesOn     bool // next is set
	calls      []delivery
}

// prepare reads what the timer calls at the latest of the times that have passed. The transaction that follows checks that the
// timer is still as it was seen here.
func (s *Source) prepare(ctx context.Context, d dueTimer, now time.Time) (firing, error) {
	f := firing{dueTimer: d}
	var row timer
	err := s.kv.View(ctx, func(r kv.Reader) error {
		_, err := kv.GetRow(ctx, r, timerKey(d.id), &row)
		return err
	})
	if err != nil {
		return f, err
	}
	f.expression = row.Expression
	expr, err := schedule.Parse(row.Expression)
	if err != nil { // it was parsed when it was set: the timer went meanwhile, and commit will see that
		return f, nil
	}
	at := expr.Latest(d.due, now)
	f.next, f.goesOn = expr.Next(at)
	if now.Sub(at) > maxAge {
		s.log.WarnContext(ctx, "schedule: a firing was missed for too long", "timer", d.id, "due", at)
		return f, nil
	}
	err = s.rules.Due(ctx, d.id, at, func(account, region, functionARN, sourceARN string, payload []byte, attempts int, age time.Duration) {
		f.calls = append(f.calls, delivery{
			Account: account, Region: region, Function: functionARN, Source: sourceARN, Payload: payload, Left: attempts, Expires: now.Add(age),
		})
	})
	if err != nil {
		return f, fmt.Errorf("calls of timer %s: %w", d.id, err)
	}
	return f, nil
}

// commit moves the timer on and writes its calls, unless it is no longer as it was seen.
func (f firing) commit(ctx context.Context, tx *kv.Tx, now time.Time) error {
	var row timer
	found, err := kv.GetRow(ctx, tx, timerKey(f.id), &row)
	if err != nil {
		return err
	}
	tx.Delete(dueKey(f.due, f.id)) // also what a timer that is gone might have left
	if !found || !row.Due.Equal(f.due) || row.Expression != f.expression {
		return nil
	}
	for _, d := range f.calls {
		if err := kv.PutRow(tx, deliveryKey(now, rand.Int64()), d); err != nil {
			return err
		}
	}
	if !f.goesOn {
		tx.Delete(timerKey(f.id))
		return nil
	}
	row.Due = f.next
	tx.Set(dueKey(row.Due, f.id), nil)
	return kv.PutRow(tx, timerKey(f.id), row)
}

// delivery is the row of a call to make.
type delivery struct {
	Account, Region, Function, Source string
	Payload                           []byte
	Left                              int       // attempts after the first one
	Expires                           time.Time // no attempt after this
	Tried                             int       `json:",omitempty"`
	Fence                             int       `json:",omitempty"` // counts the leases
}

// taken is a delivery under our lease.
type taken struct {
	delivery
	key []byte // where it lies under the lease
	err error  // of the attempt
}

func (s *Source) nextDelivery(ctx context.Context) (at time.Time, ok bool, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		at, ok, err = firstTime(ctx, r, "delivery")
		return err
	})
	return at, ok, err
}

// deliver takes deliveries whose time has come, makes the calls, and settles them.
func (s *Source) deliver(ctx context.Context) (more bool, err error) {
	list, err := s.take(ctx)
	if err != nil || len(list) == 0 {
		return false, err
	}
	var calls sync.WaitGroup
	free := make(chan struct{}, workers)
	for i := range list {
		free <- struct{}{}
		calls.Go(func() {
			defer func() { <-free }()
			d := &list[i]
			call, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			d.err = s.invoker.InvokeAsync(call, d.Account, d.Region, d.Function, d.Source, d.Payload)
		})
	}
	calls.Wait()
	// What was delivered is settled even when we are asked to stop, so that it is not delivered again.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return len(list) == batch, s.settle(settle, list)
}

// take puts deliveries under lease.
func (s *Source) take(ctx context.Context) (list []taken, err error) {
	now := time.Now().UTC()
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		list = nil
		size := 0
		rows, err := tx.Scan(ctx, kv.Range{Begin: kv.Key("delivery"), End: kv.Key("delivery", now.Add(1)), Limit: batch})
		if err != nil {
			return err
		}
		for i, row := range rows {
			if size += len(row.Value); i > 0 && size > 4<<20 { // the transaction's limit is 8 MiB
				break
			}
			d := taken{key: deliveryKey(now.Add(lease), rand.Int64())}
			if err := kv.DecodeRow(row.Value, &d.delivery); err != nil {
				return err
			}
			d.Fence++
			tx.Delete(row.Key)
			if err := kv.PutRow(tx, d.key, d.delivery); err != nil {
				return err
			}
			list = append(list, d)
		}
		return nil
	})
	return list, err
}

// settle removes what was delivered or cannot be, and puts off the rest. A delivery whose lease was lost meanwhile is another's.
func (s *Source) settle(ctx context.Context, list []taken) error {
	now := time.Now().UTC()
	again := make([]time.Time, len(list)) // zero: not again
	for i, d := range list {
		if at := now.Add(backoff(d.Tried)); d.err != nil && !s.givesUp(ctx, d, at) {
			again[i] = at
		}
	}
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		for i, d := range list {
			var row delivery
			found, err := kv.GetRow(ctx, tx, d.key, &row)
			if err != nil {
				return err
			}
			if !found || row.Fence != d.Fence {
				continue
			}
			tx.Delete(d.key)
			if again[i].IsZero() {
				continue
			}
			row.Tried++
			row.Left--
			if err := kv.PutRow(tx, deliveryKey(again[i], rand.Int64()), row); err != nil {
				return err
			}
		}
		return nil
	})
}

// transient are the faults of Lambda that pass, where they do not carry their status themselves.
var transient = map[string]bool{"TooManyRequestsException": true, "ServiceException": true, "ResourceConflictException": true, "ResourceNotReadyException": true}

// givesUp reports whether a failed delivery is not tried again, and logs it then. As on AWS a function that is gone
// or may not be called is not called again.
func (s *Source) givesUp(ctx context.Context, d taken, again time.Time) bool {
	var f *cloud.Fault
	permanent := errors.As(d.err, &f) && !transient[f.Code] && f.Status < 500 && f.Status != 429
	if !permanent && d.Left > 0 && !again.After(d.Expires) {
		return false
	}
	s.log.WarnContext(ctx, "schedule: an event was not delivered", "function", d.Function, "rule", d.Source, "attempts", d.Tried+1, "error", d.err)
	return true
}

// backoff is the time to wait after so many attempts that failed before: one second, doubling, of which up to half at random.
func backoff(tried int) time.Duration {
	bound := min(time.Second<<min(tried, 20), maxBackoff)
	return bound/2 + rand.N(bound/2)
}
