package pebblekv

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// snapshots lends Pebble snapshots to transactions. Taking and closing one costs more than a small read
// does, so a transaction gets the latest one that is new enough for it, with others if need be.
type snapshots struct {
	mu      sync.Mutex // guards the fields below and all refs
	current *snapshot
}

// snapshot is a Pebble snapshot with what is known about its place among the commits.
type snapshot struct {
	*pebble.Snapshot
	version uint64 // it has all commits up to here …
	upper   uint64 // … and none above this
	refs    int
}

// snapshot returns one that has all commits up to version. The caller gives it back with release.
func (e *Engine) snapshot(version uint64) *snapshot {
	s := &e.snapshots
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.version < version {
		s.dropLocked()
		// The version is read before the snapshot is taken, the upper bound after.
		c := &snapshot{version: e.applied.Load()}
		c.Snapshot = e.db.NewSnapshot()
		c.upper = e.assigned.Load()
		s.current = c
	}
	s.current.refs++
	return s.current
}

func (s *snapshots) release(c *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.refs--; c.refs == 0 && c != s.current {
		c.close()
	}
}

// expire drops the current snapshot if it has become too old to be lent again, since it keeps Pebble from
// removing what was overwritten.
func (s *snapshots) expire(durable uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.version < durable {
		s.dropLocked()
	}
}

func (s *snapshots) dropLocked() {
	if s.current != nil && s.current.refs == 0 {
		s.current.close()
	}
	s.current = nil
}

// close closes the Pebble snapshot, which reports nothing but a second close.
func (c *snapshot) close() { _ = c.Snapshot.Close() }
