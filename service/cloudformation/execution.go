package cloudformation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// An execution carries one operation of one stack. Only the goroutine of execute touches it; the calls to
// other services run beside it on copies and hand back results. What is in memory is what the rows say,
// plus what is in the next journal entry.
type execution struct {
	s     *Service
	ref   stackRef
	fence uint64
	stack *stackRow
	op    *operation
	rows  map[string]*resourceRow

	scope  *cfn.Scope // of the target
	active map[string]*cfn.Resource
	edges  map[string][]string
	uses   map[string]bool // exports that the target imports

	// the next journal entry
	dirty  map[string]bool // resource rows
	events []eventRow
	final  func(ctx context.Context, tx *kv.Tx) error // what else commits with it
	over   bool

	last   time.Time // of the newest event: no two have the same
	cancel bool      // CancelUpdateStack was called
	drop   *operation
}

// execute runs the operation's phases from where its journal stands.
func (s *Service) execute(ctx context.Context, ref stackRef, fence uint64) error {
	x := &execution{s: s, ref: ref, fence: fence, dirty: map[string]bool{}}
	if err := x.load(ctx); err != nil {
		return err
	}
	for !x.over {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := x.phase(ctx); err != nil {
			return err
		}
		if err := x.flush(ctx); err != nil {
			return err
		}
		if x.drop != nil && x.op.Kind == opCreate && !x.over {
			x.turnToDelete()
		}
	}
	return nil
}

func (x *execution) load(ctx context.Context) error {
	return x.s.kv.View(ctx, func(r kv.Reader) error {
		x.stack, x.rows = &stackRow{}, map[string]*resourceRow{}
		found, err := getRow(ctx, r, stackKey(x.ref.account, x.ref.region, x.ref.id), x.stack)
		if err != nil {
			return err
		}
		if !found || x.stack.Op == nil {
			return fmt.Errorf("running stack %s has no operation", x.ref.id)
		}
		x.op = x.stack.Op
		rows, err := x.s.resources(ctx, r, x.ref)
		for _, row := range rows {
			x.rows[row.ID] = row
		}
		return err
	})
}

// phase runs the phase that the operation is in and sets the next, or ends the operation.
func (x *execution) phase(ctx context.Context) error {
	switch x.op.Phase {
	case phaseForward:
		return x.forward(ctx)
	case phaseSettle:
		return x.settle(ctx)
	case phaseRevert:
		return x.revert(ctx)
	case phaseCleanup:
		return x.cleanup(ctx)
	case phaseDelete:
		return x.deleteAll(ctx)
	}
	return fmt.Errorf("operation of stack %s is in unknown phase %q", x.ref.id, x.op.Phase)
}

// flush commits the next journal entry. It fails with errFenced when another node has the operation.
func (x *execution) flush(ctx context.Context) error {
	now := time.Now().UTC()
	var signal signalRow
	err := x.s.kv.Update(ctx, func(tx *kv.Tx) error {
		key := runningKey(x.ref.account, x.ref.region, x.ref.id)
		var lease runningRow
		found, err := getRow(ctx, tx, key, &lease)
		if err != nil {
			return err
		}
		if !found || lease.Fence != x.fence {
			return errFenced
		}
		lease.Until = now.Add(leaseTime)
		if err := putRow(tx, key, lease); err != nil {
			return err
		}
		signal = signalRow{}
		if _, err := getRow(ctx, tx, signalKey(x.ref.account, x.ref.region, x.ref.id), &signal); err != nil {
			return err
		}
		return x.write(ctx, tx, signal)
	})
	if err != nil {
		return err
	}
	clear(x.dirty)
	x.events, x.final = nil, nil
	x.cancel = x.cancel || signal.Cancel
	if signal.Delete != nil {
		x.drop = signal.Delete
	}
	return nil
}

func (x *execution) write(ctx context.Context, tx *kv.Tx, signal signalRow) error {
	a, r, id := x.ref.account, x.ref.region, x.ref.id
	for _, logical := range sortedKeys(x.dirty) {
		row := x.rows[logical]
		if row == nil {
			tx.Delete(resourceKey(a, r, id, logical))
			continue
		}
		if err := putRow(tx, resourceKey(a, r, id, logical), row); err != nil {
			return err
		}
	}
	for _, e := range x.events {
		if err := putEvent(tx, x.ref, e); err != nil {
			return err
		}
	}
	if x.final != nil {
		if err := x.final(ctx, tx); err != nil {
			return err
		}
	}
	if x.over {
		return x.end(ctx, tx, signal)
	}
	return putRow(tx, stackKey(a, r, id), x.stack)
}

// end writes the end of the operation. A deletion that was asked for too late to turn it round begins with
// the same commit: whoever asked for it was told that it would come.
func (x *execution) end(ctx context.Context, tx *kv.Tx, signal signalRow) error {
	a, r, id := x.ref.account, x.ref.region, x.ref.id
	if err := x.trimEvents(ctx, tx, time.Now().Add(-historyTime)); err != nil {
		return err
	}
	tx.Delete(runningKey(a, r, id))
	tx.Delete(signalKey(a, r, id))
	if signal.Delete != nil && x.stack.Status != "DELETE_COMPLETE" {
		next := *x.stack
		return x.s.begin(tx, &next, signal.Delete, "DELETE_IN_PROGRESS", userInitiated)
	}
	return putRow(tx, stackKey(a, r, id), x.stack)
}

// status gives the stack a status and writes the event of it.
func (x *execution) status(status, reason string) {
	x.stack.Status, x.stack.Reason = status, reason
	x.event(eventRow{Logical: x.stack.Name, Physical: x.stack.ID, Type: stackType, Status: status, Reason: reason})
}

// mark gives a resource a status and writes the event of it.
func (x *execution) mark(row *resourceRow, p *physical, status, reason string) {
	row.Status, row.Reason = status, reason
	e := eventRow{Logical: row.ID, Type: row.Type, Status: status, Reason: reason}
	if p != nil {
		e.Type, e.Physical = p.Type, p.ID
		if p.ID == "" && (status == "CREATE_IN_PROGRESS" && reason != "" || status == "CREATE_FAILED" && p.Uncertain) {
			e.Physical = p.Expected
		}
		if properties, err := cfn.Encode(x.masked(p.Properties)); err == nil && p.Properties != nil {
			e.Properties = properties
		}
	}
	row.Updated = x.event(e)
	x.dirty[row.ID] = true
}

func (x *execution) event(e eventRow) time.Time {
	e.Time = time.Now().UTC().Truncate(time.Millisecond)
	if !e.Time.After(x.last) {
		e.Time = x.last.Add(time.Millisecond)
	}
	x.last = e.Time
	e.Token = x.op.Token
	e.Operation = x.op.ID
	x.events = append(x.events, e)
	return e.Time
}

// masked hides the values of NoEcho parameters where properties are shown.
func (x *execution) masked(v map[string]any) any {
	t := x.op.Target
	if x.op.Kind == opDelete {
		t = x.stack.Current
	}
	return maskValues(v, t)
}

// A step is one thing that a phase does: begin puts it into the journal and says what to call, end takes
// the answer in. begin returning nil means that there was nothing to call and the step is done.
type step struct {
	deps  []string
	begin func(ctx context.Context) func(ctx context.Context) outcome
	end   func(outcome)
}

// outcome is what a call to a resource type came to.
type outcome struct {
	id         string
	attributes map[string]any
	err        error
	touched    bool // something may have changed, even though err is not nil
}

type finished struct {
	name string
	outcome
}

// walk runs steps, each after those that it depends on, several at a time, and stops beginning new ones
// once halt says so. Every round is one commit: the answers that have come in together with the
// intentions of what begins next.
func (x *execution) walk(ctx context.Context, steps map[string]*step, halt func() bool) error {
	done, begun := map[string]bool{}, map[string]bool{}
	results := make(chan finished, len(steps))
	flying := 0
	renew := time.NewTicker(leaseTime / 3)
	defer renew.Stop()
	calls := context.WithoutCancel(ctx) // a call that has begun is heard out, so that its answer is known
	for {
		launch := map[string]func(context.Context) outcome{}
		if ctx.Err() == nil {
			x.beginReady(ctx, steps, done, begun, flying, halt, launch)
		}
		if len(launch) > 0 || len(x.events) > 0 || len(x.dirty) > 0 {
			if err := x.flush(calls); err != nil {
				x.drain(results, flying)
				return err
			}
		}
		for name, call := range launch {
			flying++
			go func() { // walk waits for each answer
				limited, cancel := context.WithTimeout(calls, callTimeout)
				defer cancel()
				results <- finished{name, call(limited)}
			}()
		}
		if flying == 0 {
			return ctx.Err()
		}
		select {
		case f := <-results:
			flying--
			x.take(steps, done, f)
			for len(results) > 0 {
				flying--
				x.take(steps, done, <-results)
			}
		case <-renew.C:
			if err := x.flush(calls); err != nil {
				x.drain(results, flying)
				return err
			}
		}
	}
}

func ready(st *step, done map[string]bool) bool {
	return !slices.ContainsFunc(st.deps, func(d string) bool { return !done[d] })
}

// beginReady begins every step that may begin, again and again while steps without calls make others ready.
func (x *execution) beginReady(ctx context.Context, steps map[string]*step, done, begun map[string]bool, flying int, halt func() bool, launch map[string]func(context.Context) outcome) {
	for again := true; again; {
		again = false
		for _, name := range sortedKeys(steps) {
			if halt() || flying+len(launch) >= maxParallel {
				return
			}
			st := steps[name]
			if begun[name] || !ready(st, done) {
				continue
			}
			begun[name] = true
			if call := st.begin(ctx); call != nil {
				launch[name] = call
			} else {
				done[name], again = true, true
			}
		}
	}
}

func (x *execution) take(steps map[string]*step, done map[string]bool, f finished) {
	steps[f.name].end(f.outcome)
	if f.err == nil {
		done[f.name] = true
	}
}

// drain hears out the calls that were under way when the execution lost its lease.
func (x *execution) drain(results chan finished, flying int) {
	for range flying {
		<-results
	}
}

// work makes the work for a resource, as its type wants it.
func (x *execution) work(logical string, p *physical, old *physical) *work {
	t := x.s.types[p.Type]
	w := &work{
		Type: t, Stack: x.stack.Name, StackID: x.stack.ID, Logical: logical,
		Account: x.ref.account, Region: x.ref.region, Domain: x.s.domain,
		Props: x.stamp(t, logical, withTags(t, p.Properties, p.Tags)), ID: p.ID, Name: p.Name,
		Attributes: maps.Clone(p.Attributes), Notes: p.Notes, Resumed: p.Uncertain, Claimed: x.claims(),
	}
	if old != nil {
		w.Old = x.stamp(t, logical, withTags(t, old.seen(p.Properties), old.Tags))
	}
	if w.Attributes == nil {
		w.Attributes = map[string]any{}
	}
	if w.Notes == nil {
		w.Notes = map[string]any{}
	}
	id, started := x.op.Identity, x.op.ID
	w.do = func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		out, err := x.s.call.Call(ctx, id.caller(started, time.Now().UTC()), service, operation, in)
		w.touched = w.touched || !reads(operation) && !refused(err)
		return out, err
	}
	return w
}

// claims returns a test of whether one of the stack's resources has a physical id already.
func (x *execution) claims() func(string) bool {
	ids := map[string]bool{}
	for _, row := range x.rows {
		for _, p := range row.all() {
			if p.ID != "" {
				ids[p.ID] = true
			}
		}
	}
	return func(id string) bool { return ids[id] }
}

// all lists every physical thing of the row.
func (r *resourceRow) all() []*physical {
	var out []*physical
	for _, p := range []*physical{r.Cur, r.Old} {
		if p != nil {
			out = append(out, p)
		}
	}
	for i := range r.Garbage {
		out = append(out, &r.Garbage[i])
	}
	return out
}

// withTags returns properties with the stack's tags among the resource's own, which win.
func withTags(t *resourceType, props map[string]any, tags map[string]string) map[string]any {
	if t == nil || t.tagsMember() == "" || len(tags) == 0 {
		return props
	}
	all := map[string]any{}
	for k, v := range tags {
		all[k] = v
	}
	maps.Copy(all, tagMap(props["Tags"]))
	return t.retagged(props, all)
}

// stamp adds the tags by which AWS marks what a stack has made, for the types that it marks.
func (x *execution) stamp(t *resourceType, logical string, props map[string]any) map[string]any {
	if t == nil || !t.Stamped {
		return props
	}
	all := tagMap(props["Tags"])
	maps.Copy(all, map[string]any{"aws:cloudformation:stack-name": x.stack.Name, "aws:cloudformation:stack-id": x.stack.ID,
		"aws:cloudformation:logical-id": logical})
	return t.retagged(props, all)
}

// retagged returns properties with other tags, in the shape that the type has them.
func (t *resourceType) retagged(props, tags map[string]any) map[string]any {
	out := maps.Clone(props)
	if out == nil {
		out = map[string]any{}
	}
	if t.tagsMember() == "map" {
		out["Tags"] = tags
	} else {
		out["Tags"] = tagList(tags)
	}
	return out
}

// guarded runs a function of a resource type with secrets put into its properties; a panic in it is the
// resource's failure, not the cloud's end.
func (x *execution) guarded(w *work, fn func(*work) error) func(ctx context.Context) outcome {
	return func(ctx context.Context) (out outcome) {
		defer func() {
			if p := recover(); p != nil {
				out.err = fmt.Errorf("resource type %s: %v", w.Type.Name, p)
			}
			out.id, out.attributes, out.touched = w.ID, w.Attributes, w.touched
		}()
		w.ctx = ctx
		if err := x.reveal(ctx, w); err != nil {
			return outcome{err: err}
		}
		return outcome{err: fn(w)}
	}
}

// reason is how a failure is told to people.
func (x *execution) reason(t *resourceType, err error) string {
	f, ok := err.(*cloud.Fault)
	if !ok {
		return err.Error()
	}
	if f.Code == "ValidationError" || t == nil {
		return f.Message
	}
	return fmt.Sprintf("Resource handler returned message: %q (RequestToken: %s, HandlerErrorCode: %s)",
		fmt.Sprintf("%s (Service: %s, Status Code: %d, Request ID: %s)", f.Message, serviceName(t.Service), statusOf(f), x.op.ID),
		x.op.ID, handlerCode(f))
}

func statusOf(f *cloud.Fault) int {
	if f.Status == 0 {
		return 400
	}
	return f.Status
}

func handlerCode(f *cloud.Fault) string {
	switch {
	case exists(f):
		return "AlreadyExists"
	case missing(f):
		return "NotFound"
	case f.Code == "AccessDenied" || f.Code == "AccessDeniedException":
		return "AccessDenied"
	case f.Status >= 500:
		return "GeneralServiceException"
	}
	return "InvalidRequest"
}

func serviceName(service string) string {
	names := map[string]string{"lambda": "Lambda", "iam": "Iam", "s3": "S3", "logs": "CloudWatchLogs", "apigateway": "ApiGateway",
		"apigatewayv2": "ApiGatewayV2", "eventbridge": "EventBridge", "ecr": "Ecr"}
	if n, ok := names[service]; ok {
		return n
	}
	return service
}
