package driver

import (
	"sync"
	"time"
)

// Running counts the transactions in progress of an engine, which lets no more in and waits for them when it closes. The
// zero value is ready.
type Running struct {
	mu     sync.Mutex // guards the fields below
	n      int
	closed bool
	done   bool          // Stop has succeeded once
	idle   chan struct{} // closed when n is 0 after Stop
}

// Enter lets a transaction in; false says that the engine is closed or closing. Who is in calls Leave at the end.
func (r *Running) Enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.n++
	return true
}

// Leave ends what Enter began.
func (r *Running) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.closed {
		close(r.idle)
	}
}

// Stop lets no more transactions in and waits for those inside. It says whether they have ended, and
// whether this was the first call that said so.
func (r *Running) Stop(grace time.Duration) (first, idle bool) {
	r.mu.Lock()
	if !r.closed {
		r.closed, r.idle = true, make(chan struct{})
		if r.n == 0 {
			close(r.idle)
		}
	}
	wait := r.idle
	r.mu.Unlock()
	select {
	case <-wait:
	case <-time.After(grace):
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first, r.done = !r.done, true
	return first, true
}

// Count returns how many are in.
func (r *Running) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}
