package pebblekv

import (
	"errors"
	"sync/atomic"
	"time"

	"lambent/kv/driver"
)

// counts are the engine's counters.
type counts struct {
	commits, conflicts, tooOld atomic.Uint64
	sync                       [len(driver.LatencyBounds) + 1]atomic.Uint64
	syncSum                    atomic.Int64
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
	if errors.Is(err, errForgotten) {
		c.tooOld.Add(1)
		return
	}
	c.conflicts.Add(1)
}

// Stats implements driver.Engine.
func (e *Engine) Stats() driver.Stats {
	s := driver.Stats{
		Commits:      e.counts.commits.Load(),
		Conflicts:    e.counts.conflicts.Load(),
		TooOld:       e.counts.tooOld.Load(),
		RecentWrites: e.recent.size(),
		Running:      e.running.Count(),
		RowBytes:     uint64(e.rows.size()),
	}
	s.Sync.Sum = time.Duration(e.counts.syncSum.Load())
	for i := range e.counts.sync {
		s.Sync.Counts[i] = e.counts.sync[i].Load()
	}
	if !e.running.Enter() {
		return s // closed: Pebble must not be asked any more
	}
	defer e.running.Leave()
	m := e.db.Metrics()
	s.DiskBytes = m.DiskSpaceUsage()
	s.LogBytes = m.WAL.PhysicalSize
	s.MemTableBytes = m.MemTable.Size
	s.CacheBytes = uint64(m.BlockCache.Size)
	return s
}
