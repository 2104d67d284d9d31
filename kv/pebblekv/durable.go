package pebblekv

import (
	"context"
	"sync"
	"sync/atomic"
)

// durable knows up to which version commits are on disk, and lets others wait for one.
type durable struct {
	version atomic.Uint64

	mu      sync.Mutex // guards the fields below
	waiters []waiter
	stopped bool
}

type waiter struct {
	version uint64
	reached chan struct{}
}

// advance records that all commits up to version are durable.
func (d *durable) advance(version uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if version <= d.version.Load() {
		return // a later commit has said so already
	}
	d.version.Store(version)
	rest := d.waiters[:0]
	for _, w := range d.waiters {
		if w.version <= version {
			close(w.reached)
		} else {
			rest = append(rest, w)
		}
	}
	clear(d.waiters[len(rest):])
	d.waiters = rest
}

// wait returns when version is durable (true), or never will be (false), or ctx ends.
func (d *durable) wait(ctx context.Context, version uint64) (bool, error) {
	if d.version.Load() >= version {
		return true, nil
	}
	d.mu.Lock()
	if d.stopped || d.version.Load() >= version {
		d.mu.Unlock()
		return d.version.Load() >= version, nil
	}
	w := waiter{version, make(chan struct{})}
	d.waiters = append(d.waiters, w)
	d.mu.Unlock()
	select {
	case <-w.reached:
		return d.version.Load() >= version, nil
	case <-ctx.Done():
		return false, ctx.Err() // the entry goes with the next advance
	}
}

// stop sends everybody home: nothing more will become durable.
func (d *durable) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	for _, w := range d.waiters {
		close(w.reached)
	}
	d.waiters = nil
}
