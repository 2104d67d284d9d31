package schedule

import (
	"context"
	"fmt"
	"time"

	"lambent/kv"
	"lambent/lang/schedule"
)

// The topics wake the two loops of a Source when there may be a new first timer, or delivery.
const (
	timerTopic    = "timer"
	deliveryTopic = "delivery"
)

// Timers keep when things are due. Whoever owns the thing that is due (a rule) sets its timer in the transaction that
// makes or changes it, so that there is never one without the other.
type Timers struct {
	kv *kv.Store
}

// NewTimers returns the timers in a room of the store.
func NewTimers(store *kv.Store) *Timers { return &Timers{kv: store} }

// timer is the row of a timer: always the one next time at which it is due.
type timer struct {
	Expression string
	Due        time.Time
}

func timerKey(id string) []byte                { return kv.Key("timer", id) }
func dueKey(due time.Time, id string) []byte   { return kv.Key("due", due, id) }
func deliveryKey(at time.Time, n int64) []byte { return kv.Key("delivery", at, n) }

// Set starts the timer id, or starts it anew, so that it is due by expression from then on, and not before. It lies in
// the caller's transaction, which may belong to any room. An expression that will never be due stops the timer.
func (t *Timers) Set(ctx context.Context, tx *kv.Tx, id, expression string, from time.Time) error {
	s, err := schedule.Parse(expression)
	if err != nil {
		return err
	}
	if err := t.Clear(ctx, tx, id); err != nil {
		return err
	}
	due, ok := s.Next(from)
	if !ok {
		return nil
	}
	tx = tx.In(t.kv)
	tx.Set(dueKey(due, id), nil)
	tx.Notify(timerTopic)
	return kv.PutRow(tx, timerKey(id), timer{Expression: expression, Due: due})
}

// Clear stops the timer id in the caller's transaction; there need not be one.
func (t *Timers) Clear(ctx context.Context, tx *kv.Tx, id string) error {
	tx = tx.In(t.kv)
	var old timer
	found, err := kv.GetRow(ctx, tx, timerKey(id), &old)
	if err != nil || !found {
		return err
	}
	tx.Delete(timerKey(id))
	tx.Delete(dueKey(old.Due, id))
	return nil
}

// next returns when the first timer is due; ok is false when there is none.
func (t *Timers) next(ctx context.Context) (due time.Time, ok bool, err error) {
	err = t.kv.View(ctx, func(r kv.Reader) error {
		due, ok, err = firstTime(ctx, r, "due")
		return err
	})
	return due, ok, err
}

// firstTime returns the time in the first key under noun.
func firstTime(ctx context.Context, r kv.Reader, noun string) (time.Time, bool, error) {
	rng := kv.Prefix(noun)
	rng.Limit = 1
	rows, err := r.Scan(ctx, rng)
	if err != nil || len(rows) == 0 {
		return time.Time{}, false, err
	}
	at, err := timeIn(rows[0].Key)
	return at, err == nil, err
}

// timeIn returns the time that stands second in a key.
func timeIn(key []byte) (time.Time, error) {
	parts, err := kv.Unkey(key)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := parts[1].(time.Time)
	if !ok {
		return at, fmt.Errorf("no time in key %x", key)
	}
	return at, nil
}

// dueTimer is a timer that was seen to be due.
type dueTimer struct {
	id  string
	due time.Time
}

// due returns timers that are due now, the longest due first, at most limit.
func (t *Timers) due(ctx context.Context, now time.Time, limit int) (list []dueTimer, err error) {
	err = t.kv.View(ctx, func(r kv.Reader) error {
		list = nil
		rows, err := r.Scan(ctx, kv.Range{Begin: kv.Key("due"), End: kv.Key("due", now.Add(1)), Limit: limit})
		for _, row := range rows {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			list = append(list, dueTimer{id: parts[2].(string), due: parts[1].(time.Time)})
		}
		return err
	})
	return list, err
}
