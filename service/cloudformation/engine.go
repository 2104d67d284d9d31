package cloudformation

import (
	"context"
	"errors"
	"sync"
	"time"

	"lambent/kv"
	"lambent/trace"
)

// Times of the engine. A lease is renewed by every step's commit and by a ticker while calls take long.
const (
	leaseTime   = 15 * time.Second
	callTimeout = 2 * time.Minute
	lookAround  = 5 * time.Second // how often to look for work whose wake-up was lost, or whose owner died
	retryAfter  = time.Second     // before an operation that our own side failed is taken up again

	topicRunning = "running"

	maxRunning  = 32 // operations at once on a node
	maxParallel = 8  // resources of one operation at once
)

// errFenced says that another node has taken the operation over.
var errFenced = errors.New("cloudformation: operation was taken over")

// errOvertaken says that what an operation was about to commit is not so any more: it has to look again.
var errOvertaken = errors.New("cloudformation: overtaken by another stack")

// Run works on the operations of all stacks until ctx ends: those that are started now and those that an
// earlier process left half done. It returns when its own work has come to rest; what is not finished
// then is continued by whoever runs next.
func (s *Service) Run(ctx context.Context) error {
	wake, stop := s.kv.Watch(topicRunning)
	defer stop()
	r := &runner{s: s, active: map[stackRef]bool{}, slots: make(chan struct{}, maxRunning), again: make(chan struct{}, 1)}
	defer r.wg.Wait()
	ticker := time.NewTicker(lookAround)
	defer ticker.Stop()
	var swept time.Time
	for {
		if time.Since(swept) > sweepEvery {
			swept = time.Now()
			if err := s.sweep(ctx, swept.Add(-historyTime)); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "cloudformation: forget deleted stacks", "error", err)
			}
		}
		if err := r.start(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "cloudformation: look for running operations", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-r.again:
		case <-ticker.C:
		}
	}
}

// stackRef names a stack across accounts and regions.
type stackRef struct{ account, region, id string }

// runner keeps track of the operations that this process works on.
type runner struct {
	s     *Service
	wg    sync.WaitGroup
	slots chan struct{}
	again chan struct{}

	mu     sync.Mutex // guards active
	active map[stackRef]bool
}

// start takes up every running operation that nobody works on.
func (r *runner) start(ctx context.Context) error {
	var found []stackRef
	err := r.s.kv.View(ctx, func(rd kv.Reader) error {
		found = nil
		rows, err := rd.Scan(ctx, kv.Prefix("running"))
		for _, row := range rows {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			found = append(found, stackRef{parts[1].(string), parts[2].(string), parts[3].(string)})
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, ref := range found {
		if !r.claim(ref) {
			continue
		}
		select {
		case r.slots <- struct{}{}:
		default: // full: the next to end looks again
			r.release(ref)
			return nil
		}
		r.wg.Go(func() {
			defer func() {
				<-r.slots
				r.release(ref)
			}()
			r.work(ctx, ref)
		})
	}
	return nil
}

func (r *runner) claim(ref stackRef) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[ref] {
		return false
	}
	r.active[ref] = true
	return true
}

func (r *runner) release(ref stackRef) {
	r.mu.Lock()
	delete(r.active, ref)
	r.mu.Unlock()
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// work carries one operation to its end, or until ctx does.
func (r *runner) work(ctx context.Context, ref stackRef) {
	fence, err := r.s.lease(ctx, ref)
	if err == nil && fence > 0 {
		ctx, span := trace.Root(ctx, "stack operation", trace.Internal, trace.Parent{})
		span.Set("cloudformation.stack", ref.id)
		err = r.s.execute(ctx, ref, fence)
		span.End(err)
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, errFenced) || errors.Is(err, errOvertaken) {
		return
	}
	r.s.log.ErrorContext(ctx, "cloudformation: operation", "stack", ref.id, "error", err)
	select {
	case <-ctx.Done():
	case <-time.After(retryAfter):
	}
}

// lease takes the operation for this node and returns the fencing number of its writes; 0 when another
// node holds it or it is over. A lease of this very node is one of a process that died: the store lets
// only one process live at a time under a node's name.
func (s *Service) lease(ctx context.Context, ref stackRef) (uint64, error) {
	var fence uint64
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		fence = 0
		key := runningKey(ref.account, ref.region, ref.id)
		var row runningRow
		found, err := getRow(ctx, tx, key, &row)
		if err != nil || !found {
			return err
		}
		now := time.Now()
		if row.Node != "" && row.Node != s.node && now.Before(row.Until) {
			return nil
		}
		row = runningRow{Node: s.node, Fence: row.Fence + 1, Until: now.Add(leaseTime)}
		fence = row.Fence
		return putRow(tx, key, row)
	})
	return fence, err
}
