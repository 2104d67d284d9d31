package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/trace"
)

// How asynchronous events are run, as on AWS.
const (
	DefaultRetries  = 2
	DefaultEventAge = 6 * time.Hour

	maxRunning    = 128             // events of one queue under way at a time
	claimAtOnce   = 32              // events claimed in one transaction
	bodyChunk     = 512 << 10       // of a payload in one row
	firstBackoff  = time.Second     // after a throttle or a fault of ours
	lastBackoff   = 5 * time.Minute // at most
	idlePoll      = 30 * time.Second
	sharedPoll    = 2 * time.Second // when other processes put events into the same queue and wake-ups may be lost
	reclaimEvery  = 5 * time.Second // how often leases of dead processes are looked for
	drainPatience = 3 * time.Second
)

// Targets finds what an event is for, as it is when the event is run.
type Targets interface {
	// AsyncTarget returns ErrGone when there is no such function any more.
	AsyncTarget(ctx context.Context, account, region, name, qualifier string) (*Target, error)
}

// ErrGone says that the function of an event does not exist.
var ErrGone = errors.New("invoke: the function does not exist")

// A Target is a function with the rules for its asynchronous events.
type Target struct {
	Function  *Function
	Retries   int
	MaxAge    time.Duration
	OnSuccess string // ARN of the function that hears of it, "" for none
	OnFailure string
}

// Members are the processes that run events of one queue.
type Members interface {
	Name() string                                // of this process, which no other has or had
	Alive(ctx context.Context, name string) bool // whether that one may still run what it has leased
}

// A Queue keeps asynchronous events until they have been run. An event that was accepted is durable; it is run at
// least once, and again after a crash, always under the request id that it was accepted with.
//
// Rows, by tuple: ("event", id) what is to be called and how often it was; ("body", id, n) its payload; ("due", time, id)
// when it is to be run next; ("lease", id) who runs it now: the name of the process and a number, which differ for each
// claim. Only who still has the lease says what becomes of the event.
type Queue struct {
	// Delays are the waits after the first and second failure of a function: one minute and two, as on AWS. They may be
	// changed before Run.
	Delays [2]time.Duration

	// Members are the processes that run this queue together; nil when this one is alone. It may be set before Run.
	Members Members

	kv      *kv.Store
	invoker *Invoker
	targets Targets
	owner   string       // of leases, when this process is alone
	running atomic.Int64 // events that run now
}

// NewQueue returns the queue kept in store, a room of its own. Events wait until Run runs.
func NewQueue(store *kv.Store, invoker *Invoker, targets Targets) *Queue {
	return &Queue{kv: store, invoker: invoker, targets: targets, owner: NewRequestID(),
		Delays: [2]time.Duration{time.Minute, 2 * time.Minute}}
}

// An AsyncEvent is an event to be run later.
type AsyncEvent struct {
	ID              string // request id
	Account, Region string
	Name, Qualifier string
	ARN             string // the function as the client named it
	ClientContext   string
	TraceID         string
	Payload         []byte
}

type eventRow struct {
	ID              string
	Account, Region string
	Name, Qualifier string
	ARN             string
	ClientContext   string `json:",omitempty"`
	TraceID         string `json:",omitempty"`
	Accepted        time.Time
	Failures        int // of the function
	Setbacks        int // throttles and faults of ours since it last ran
	Chunks          int
}

// Put commits the event. When it returns nil, the event is durable.
func (q *Queue) Put(ctx context.Context, e AsyncEvent) error {
	return q.kv.Update(ctx, func(tx *kv.Tx) error {
		return putEvent(tx, e, time.Now())
	})
}

func putEvent(tx *kv.Tx, e AsyncEvent, now time.Time) error {
	row := eventRow{ID: e.ID, Account: e.Account, Region: e.Region, Name: e.Name, Qualifier: e.Qualifier, ARN: e.ARN,
		ClientContext: e.ClientContext, TraceID: e.TraceID, Accepted: now}
	for rest := e.Payload; len(rest) > 0; row.Chunks++ {
		n := min(len(rest), bodyChunk)
		tx.Set(kv.Key("body", e.ID, row.Chunks), rest[:n])
		rest = rest[n:]
	}
	tx.Set(dueKey(now, e.ID), []byte{1})
	tx.Notify("due")
	return kv.PutRow(tx, eventKey(e.ID), row)
}

func eventKey(id string) []byte             { return kv.Key("event", id) }
func leaseKey(id string) []byte             { return kv.Key("lease", id) }
func dueKey(at time.Time, id string) []byte { return kv.Key("due", at, id) }

// Run runs events until ctx ends. Then it waits a little for those under way; what is not finished runs again after
// the next start.
func (q *Queue) Run(ctx context.Context) error {
	if err := q.reclaim(ctx); err != nil {
		return fmt.Errorf("asynchronous events: %w", err)
	}
	changed, stop := q.kv.Watch("due")
	defer stop()
	var reclaimer, running sync.WaitGroup
	if q.Members != nil {
		reclaimer.Go(func() { q.reclaimAlways(ctx) })
		defer reclaimer.Wait()
	}
	slots := make(chan struct{}, maxRunning)
	freed := make(chan struct{}, 1)
	for ctx.Err() == nil {
		events, next, err := q.claim(ctx, min(maxRunning-len(slots), claimAtOnce))
		if err != nil {
			next = time.Now().Add(firstBackoff)
			if ctx.Err() == nil {
				q.log().Error("asynchronous events cannot be read", "error", err)
			}
		}
		for _, e := range events {
			slots <- struct{}{}
			running.Go(func() {
				q.running.Add(1)
				defer q.running.Add(-1)
				q.process(context.WithoutCancel(ctx), e)
				<-slots
				select {
				case freed <- struct{}{}:
				default:
				}
			})
		}
		q.rest(ctx, time.Until(next), changed, freed)
	}
	drain(&running)
	return nil
}

// rest waits until there may be something to do.
func (q *Queue) rest(ctx context.Context, wait time.Duration, changed, freed <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-freed:
	case <-timer.C:
	}
}

func drain(running *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainPatience):
	}
}

// reclaim makes events due again whose runner is gone. Where there is one process, every lease of another is of a dead one.
func (q *Queue) reclaim(ctx context.Context) error {
	r := kv.Prefix("lease")
	for r.Limit = 1000; ; {
		var leases, dead []kv.KV
		err := q.kv.View(ctx, func(rd kv.Reader) (err error) {
			leases, err = rd.Scan(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		for _, l := range leases {
			if !q.alive(ctx, l.Value) {
				dead = append(dead, l)
			}
		}
		if err := q.free(ctx, dead); err != nil || len(leases) < r.Limit {
			return err
		}
		r.Begin = append(leases[len(leases)-1].Key, 0)
	}
}

// alive says whether the process that made a lease lives.
func (q *Queue) alive(ctx context.Context, lease []byte) bool {
	name, _, _ := strings.Cut(string(lease), "/")
	if q.Members == nil {
		return name == q.owner
	}
	return q.Members.Alive(ctx, name)
}

// free takes leases away, if they are still as they were seen, and makes their events due.
func (q *Queue) free(ctx context.Context, dead []kv.KV) error {
	if len(dead) == 0 {
		return nil
	}
	keys := make([][]byte, len(dead))
	for i, l := range dead {
		keys[i] = l.Key
	}
	return q.kv.Update(ctx, func(tx *kv.Tx) error {
		now := time.Now()
		values, err := tx.GetAll(ctx, keys...)
		if err != nil {
			return err
		}
		for i, v := range values {
			if v == nil || !bytes.Equal(v, dead[i].Value) {
				continue
			}
			parts, err := kv.Unkey(keys[i])
			if err != nil {
				return err
			}
			tx.Delete(keys[i])
			tx.Set(dueKey(now, parts[1].(string)), []byte{1})
		}
		tx.Notify("due")
		return nil
	})
}

// reclaimAlways reclaims now and then until ctx ends, where other processes may die.
func (q *Queue) reclaimAlways(ctx context.Context) {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := q.reclaim(ctx); err != nil && ctx.Err() == nil {
				q.log().Error("asynchronous events of dead servers cannot be read", "error", err)
			}
		}
	}
}

// A claimed event is this queue's to run.
type claimed struct {
	eventRow
	payload []byte
	lease   []byte
}

// claim takes up to n events that are due. It tells when to look again.
func (q *Queue) claim(ctx context.Context, n int) (events []claimed, next time.Time, err error) {
	if n == 0 {
		return nil, time.Now().Add(idlePoll), nil // a slot that becomes free wakes us
	}
	ids, next, err := q.due(ctx, n)
	if err != nil || len(ids) == 0 {
		return nil, next, err
	}
	err = q.kv.Update(ctx, func(tx *kv.Tx) error {
		events = events[:0]
		for _, d := range ids {
			e, err := q.lease(ctx, tx, d)
			if err != nil {
				return err
			}
			if e != nil {
				events = append(events, *e)
			}
		}
		return nil
	})
	return events, time.Now(), err
}

type dueEvent struct {
	key []byte
	id  string
}

// due lists events whose time has come, and when the next one comes if there is none.
func (q *Queue) due(ctx context.Context, n int) (ids []dueEvent, next time.Time, err error) {
	now := time.Now()
	next = now.Add(idlePoll)
	if q.Members != nil {
		next = now.Add(sharedPoll)
	}
	err = q.kv.View(ctx, func(r kv.Reader) error {
		scan := kv.Prefix("due")
		scan.Limit = n
		found, err := r.Scan(ctx, scan)
		if err != nil {
			return err
		}
		for _, f := range found {
			parts, err := kv.Unkey(f.Key)
			if err != nil {
				return err
			}
			at := parts[1].(time.Time)
			if at.After(now) {
				next = at
				break
			}
			ids = append(ids, dueEvent{f.Key, parts[2].(string)})
		}
		return nil
	})
	return ids, next, err
}

func (q *Queue) lease(ctx context.Context, tx *kv.Tx, d dueEvent) (*claimed, error) {
	still, err := tx.Get(ctx, d.key)
	if err != nil || still == nil {
		return nil, err
	}
	var e claimed
	found, err := kv.GetRow(ctx, tx, eventKey(d.id), &e.eventRow)
	if err != nil {
		return nil, err
	}
	tx.Delete(d.key)
	if !found {
		return nil, nil
	}
	for n := range e.Chunks {
		part, err := tx.Get(ctx, kv.Key("body", d.id, n))
		if err != nil {
			return nil, err
		}
		e.payload = append(e.payload, part...)
	}
	name := q.owner
	if q.Members != nil {
		name = q.Members.Name()
	}
	e.lease = []byte(name + "/" + NewRequestID())
	tx.Set(leaseKey(d.id), e.lease)
	return &e, nil
}

func (q *Queue) log() *slog.Logger { return q.invoker.config.Log }

// process runs one event and commits what comes of it.
func (q *Queue) process(ctx context.Context, e claimed) {
	ctx, span := trace.Root(ctx, "asynchronous event", trace.Consumer, trace.ParseAmazon(e.TraceID))
	defer span.End(nil)
	v := q.run(ctx, e)
	err := q.kv.Update(ctx, func(tx *kv.Tx) error {
		lease, err := tx.Get(ctx, leaseKey(e.ID))
		if err != nil || !bytes.Equal(lease, e.lease) {
			return err // another process took us for dead and runs the event
		}
		return q.settle(tx, e, v)
	})
	if err != nil {
		q.log().Error("an asynchronous event stays leased until the next start", "id", e.ID, "function", e.Name, "error", err)
	}
}

// A verdict says what becomes of an event.
type verdict struct {
	again     bool
	wait      time.Duration // until it runs again
	failures  int
	setbacks  int
	onward    string // ARN of the destination that hears of the end
	condition string // "Success", "RetriesExhausted", …
	result    *Result
}

func (q *Queue) run(ctx context.Context, e claimed) verdict {
	t, err := q.targets.AsyncTarget(ctx, e.Account, e.Region, e.Name, e.Qualifier)
	if errors.Is(err, ErrGone) {
		q.log().Warn("asynchronous event dropped: its function is gone", "id", e.ID, "function", e.Name)
		return verdict{}
	}
	if err != nil {
		return q.setback(e, err)
	}
	if reserved := t.Function.Reserved; reserved != nil && *reserved == 0 {
		return verdict{onward: t.OnFailure, condition: "ZeroReservedConcurrency"}
	}
	if time.Since(e.Accepted) > t.MaxAge {
		return verdict{onward: t.OnFailure, condition: "EventAgeExceeded"}
	}
	res, err := q.invoker.Call(ctx, t.Function, &Request{Payload: e.payload, ClientContext: e.ClientContext,
		RequestID: e.ID, TraceID: e.TraceID, ARN: e.ARN})
	if l := q.invoker.config.Logs; l != nil && err == nil {
		l.Sync(ctx)
	}
	switch {
	case err != nil:
		return q.setback(e, err)
	case res.FunctionError == "":
		return verdict{onward: t.OnSuccess, condition: "Success", result: res}
	case e.Failures >= t.Retries:
		return verdict{onward: t.OnFailure, condition: "RetriesExhausted", result: res}
	}
	wait := q.Delays[min(e.Failures, len(q.Delays)-1)]
	if time.Since(e.Accepted)+wait > t.MaxAge {
		return verdict{onward: t.OnFailure, condition: "EventAgeExceeded", result: res}
	}
	return verdict{again: true, wait: wait, failures: e.Failures + 1}
}

// setback puts an event off that could not be run: it is throttled, or the fault is ours.
func (q *Queue) setback(e claimed, err error) verdict {
	if errors.Is(err, errShutdown) {
		return verdict{again: true, failures: e.Failures, setbacks: e.Setbacks}
	}
	var throttled *Throttled
	if !errors.As(err, &throttled) {
		q.log().Warn("asynchronous event put off", "id", e.ID, "function", e.Name, "error", err)
	}
	wait := min(firstBackoff<<min(e.Setbacks, 20), lastBackoff)
	return verdict{again: true, wait: wait, failures: e.Failures, setbacks: e.Setbacks + 1}
}

// settle writes the verdict: the event is due again, or gone and its destination's event there, in one transaction.
func (q *Queue) settle(tx *kv.Tx, e claimed, v verdict) error {
	now := time.Now()
	tx.Delete(leaseKey(e.ID))
	if v.again {
		e.Failures, e.Setbacks = v.failures, v.setbacks
		tx.Set(dueKey(now.Add(v.wait), e.ID), []byte{1})
		tx.Notify("due")
		return kv.PutRow(tx, eventKey(e.ID), e.eventRow)
	}
	tx.Delete(eventKey(e.ID))
	for n := range e.Chunks {
		tx.Delete(kv.Key("body", e.ID, n))
	}
	if v.onward == "" {
		return nil
	}
	to, err := destination(v.onward)
	if err != nil {
		q.log().Error("asynchronous event has an unknown destination", "id", e.ID, "destination", v.onward)
		return nil
	}
	to.Payload = e.record(v, now)
	return putEvent(tx, to, now)
}

// destination makes an event for the function that arn names.
func destination(arn string) (AsyncEvent, error) {
	a, ok := cloud.ParseARN(arn)
	name, isFunction := strings.CutPrefix(a.Resource, "function:")
	if !ok || a.Service != "lambda" || !isFunction {
		return AsyncEvent{}, fmt.Errorf("invoke: destination %q is no function", arn)
	}
	name, qualifier, _ := strings.Cut(name, ":")
	return AsyncEvent{ID: NewRequestID(), Account: a.Account, Region: a.Region, Name: name, Qualifier: qualifier, ARN: arn}, nil
}

// record is what a destination hears, in AWS's form.
func (e claimed) record(v verdict, now time.Time) []byte {
	type requestContext struct {
		RequestID   string `json:"requestId"`
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		InvokeCount int    `json:"approximateInvokeCount"`
	}
	type responseContext struct {
		StatusCode    int    `json:"statusCode"`
		Version       string `json:"executedVersion"`
		FunctionError string `json:"functionError,omitempty"`
	}
	record := struct {
		Version         string           `json:"version"`
		Timestamp       string           `json:"timestamp"`
		RequestContext  requestContext   `json:"requestContext"`
		RequestPayload  json.RawMessage  `json:"requestPayload"`
		ResponseContext *responseContext `json:"responseContext,omitempty"`
		ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
	}{
		Version: "1.0", Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{e.ID, e.qualifiedARN(), v.condition, e.Failures},
		RequestPayload: asJSON(e.payload),
	}
	if v.result != nil {
		record.RequestContext.InvokeCount++
		record.ResponseContext = &responseContext{200, v.result.Version, v.result.FunctionError}
		record.ResponsePayload = asJSON(v.result.Payload)
	}
	body, _ := json.Marshal(record)
	if len(body) > MaxAsyncPayload { // an event could not hold it
		record.ResponsePayload = nil
		body, _ = json.Marshal(record)
	}
	return body
}

func (e claimed) qualifiedARN() string {
	arn := "arn:aws:lambda:" + e.Region + ":" + e.Account + ":function:" + e.Name
	if e.Qualifier == "" {
		return arn + ":$LATEST"
	}
	return arn + ":" + e.Qualifier
}

// asJSON is b if it is JSON, else b as a JSON string.
func asJSON(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(b) {
		return bytes.TrimSpace(b)
	}
	s, _ := json.Marshal(string(b))
	return s
}
