package pebblekv

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv/driver"
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

// scan reads a range of the snapshot.
func (c *snapshot) scan(ctx context.Context, r driver.Range) (out []driver.KV, err error) {
	it, err := c.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: r.Begin, UpperBound: r.End})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil { // which says the same again
			err = closeErr
		}
		err = explainDamage(err)
	}()
	first, next := it.First, it.Next
	if r.Reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok && (r.Limit == 0 || len(out) < r.Limit); ok = next() {
		if len(out)%scanCheck == scanCheck-1 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		out = append(out, entry(it.Key(), value))
	}
	return out, it.Error()
}

// explainDamage gives bytes that are not what was written their name. What Pebble says has further lines.
func explainDamage(err error) error {
	if err == nil || !pebble.IsCorruptionError(err) {
		return err
	}
	where, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %s", driver.ErrDamaged, where)
}

// scanCheck is how many entries a scan reads between looks at its context.
const scanCheck = 1024

// entry copies a key and its value into one allocation.
func entry(key, value []byte) driver.KV {
	n := len(key)
	buf := make([]byte, n+len(value))
	copy(buf, key)
	copy(buf[n:], value)
	return driver.KV{Key: buf[:n:n], Value: buf[n:]}
}
