package pgkv

import (
	"errors"
	"sync/atomic"
	"time"

	"lambent/kv/driver"
)

// counts are the engine's counters.
type counts struct {
	commits, conflicts, tooOld, unknown atomic.Uint64

	sync    [len(driver.LatencyBounds) + 1]atomic.Uint64
	syncSum atomic.Int64
}

func (c *counts) committed(took time.Duration) {
	c.commits.Add(1)
	c.syncSum.Add(int64(took))
	i := 0
	for i < len(driver.LatencyBounds) && took > driver.LatencyBounds[i] {
		i++
	}
	c.sync[i].Add(1)
}

func (c *counts) refused(err error) {
	switch {
	case errors.Is(err, driver.ErrConflict):
		c.conflicts.Add(1)
	case errors.Is(err, driver.ErrTooOld):
		c.tooOld.Add(1)
	}
}

// Stats implements driver.Engine. Sizes are those that the keeper has seen last.
func (e *Engine) Stats() driver.Stats {
	s := driver.Stats{
		Commits:   e.counts.commits.Load(),
		Conflicts: e.counts.conflicts.Load(),
		TooOld:    e.counts.tooOld.Load(),
		DiskBytes: e.sizes.Load(),
		Running:   e.running.Count(),
		Settled:   e.counts.unknown.Load(),
	}
	pool := e.pool.Stat()
	s.Connections, s.ConnectionsBound = int(pool.AcquiredConns()), int(pool.MaxConns())
	s.Sync.Sum = time.Duration(e.counts.syncSum.Load())
	for i := range e.counts.sync {
		s.Sync.Counts[i] = e.counts.sync[i].Load()
	}
	return s
}
