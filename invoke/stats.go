package invoke

import (
	"context"
	"time"

	"lambent/kv"
)

// Use is how much of something bounded is taken.
type Use struct{ Now, Bound int64 }

// Stats are an Invoker's counters since it was made, and its present sizes.
type Stats struct {
	Running   int    // invocations under way
	Throttled uint64 // invocations refused since too many were under way
	Logs      Use    // bytes of log records on their way to the sink
	LogsLost  uint64 // records that found no place there, or that the sink did not take
	Code      Use    // bytes of unpacked packages
}

// Stats returns the counters.
func (v *Invoker) Stats() (s Stats) {
	v.admission.mu.Lock()
	for _, n := range v.admission.count {
		s.Running += n
	}
	s.Throttled = v.admission.throttled
	v.admission.mu.Unlock()
	if l := v.config.Logs; l != nil {
		l.mu.Lock()
		s.Logs, s.LogsLost = Use{int64(l.bytes), maxLogsWait}, l.lost
		l.mu.Unlock()
	}
	if c := v.config.Code; c != nil {
		c.mu.Lock()
		s.Code = Use{c.bytes, c.limit}
		c.mu.Unlock()
	}
	return s
}

// QueueStats are what a Queue does and what waits in it.
type QueueStats struct {
	Running Use           // events that run in this process
	Due     int           // events whose time has come, up to countDue
	Oldest  time.Duration // how long ago the time of the first of them came
}

// countDue bounds how many events are looked at to count them.
const countDue = 1000

// Stats looks into the store.
func (q *Queue) Stats(ctx context.Context) (s QueueStats, err error) {
	s.Running = Use{q.running.Load(), maxRunning}
	now := time.Now()
	r := kv.Prefix("due")
	r.End = kv.Key("due", now)
	r.Limit = countDue
	err = q.kv.View(ctx, func(reader kv.Reader) error {
		due, err := reader.Scan(ctx, r)
		if err != nil || len(due) == 0 {
			return err
		}
		parts, err := kv.Unkey(due[0].Key)
		if err != nil {
			return err
		}
		s.Due, s.Oldest = len(due), now.Sub(parts[1].(time.Time))
		return nil
	})
	return s, err
}
