package invoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lambent/sandbox"
)

const (
	startsAtOnce    = 4                 // sandboxes of one function that are started ahead of calls at a time
	renewAhead      = 2 * time.Minute   // before their credentials would keep them from another call
	provisionedInit = 130 * time.Second // how long one may take; or as long as the function's timeout, as on AWS
)

// ErrInit says that a function could not be started ahead of calls: its own code failed. Its log says how.
var ErrInit = errors.New("invoke: the function does not start")

// Provision keeps n sandboxes of fn, loaded and waiting, until it is called with another number; 0 ends that. It starts
// what is missing, and others in the place of those whose credentials end soon, and returns when that is done or one does
// not start. Whatever ends them later, the next call makes up for. One call for a function is under way at a time.
func (v *Invoker) Provision(ctx context.Context, fn *Function, n int) error {
	v.config.Pool.Keep(fn.key(), n)
	old := v.config.Pool.Old(fn.key(), func(s sandbox.Session) bool { return s.(*Session).expired(time.Now().Add(renewAhead)) })
	missing := n - v.config.Pool.Count(fn.key()) + len(old)
	var (
		starts sync.WaitGroup
		slots  = make(chan struct{}, startsAtOnce)
		mu     sync.Mutex
		failed error // guarded by mu
	)
	for range max(missing, 0) {
		slots <- struct{}{}
		starts.Go(func() {
			defer func() { <-slots }()
			if err := v.startAhead(ctx, fn); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
	}
	starts.Wait()
	if failed == nil {
		v.config.Pool.LetGo(old)
	}
	return failed
}

// Provisioned returns how many sandboxes of fn are there, those that still start left out.
func (v *Invoker) Provisioned(fn *Function) int {
	v.ahead.mu.Lock()
	defer v.ahead.mu.Unlock()
	return max(0, v.config.Pool.Count(fn.key())-v.ahead.count[fn.key()])
}

// starts counts the sandboxes that are being started ahead of calls, by function.
type starts struct {
	mu    sync.Mutex
	count map[string]int
}

func (s *starts) add(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[key] += n; s.count[key] <= 0 {
		delete(s.count, key)
	}
}

// startAhead starts one sandbox and hands it to the pool.
func (v *Invoker) startAhead(ctx context.Context, fn *Function) error {
	v.ahead.add(fn.key(), 1)
	defer v.ahead.add(fn.key(), -1)
	r := &run{v: v, fn: fn, req: &Request{}, kind: provisioned, report: report{fn: fn, requestID: NewRequestID()}}
	if err := r.cold(ctx); err != nil {
		return err
	}
	if r.err != nil {
		return r.err
	}
	if r.box == nil {
		return fmt.Errorf("%w: %s", ErrInit, r.report.out.errorType)
	}
	v.config.Pool.Release(r.box)
	return nil
}

// giveUp ends a start ahead of calls that failed.
func (r *run) giveUp(o outcome) {
	r.report.out = o
	r.v.config.Pool.Discard(r.box)
	r.box = nil
}
