// Package invoke runs functions, for any front door: Lambda's API, OpenWhisk's.
//
// # What it does
//
// [Invoker.Call] admits an invocation (concurrency of the function and of its account), gets a sandbox from the
// pool, loads the function into it if it is a cold one, hands over the event, waits for the answer within the
// function's timeout, and gives the sandbox back; one that timed out or crashed is destroyed. One invocation at
// a time runs in a sandbox. [Queue] keeps asynchronous events durably until they have been run.
//
// # What is written where
//
// Nothing about invocations is stored, except the rows of [Queue]. Packages are unpacked into a folder ([Code])
// that can be thrown away. What functions log goes to a [LogSink] through [Logs].
//
// # Differences from AWS
//
// A timeout or a crash destroys the sandbox together with its /tmp; AWS keeps /tmp of some. A start that fails is not
// tried a second time within the same invocation, except when it took longer than the limit of 10 s. Extensions that come
// with layers are not started, and each sandbox's log says so first.
package invoke

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/runtimes"
	"lambent/sandbox"
	"lambent/sandbox/driver"
	"lambent/trace"
)

// Payload limits, as on AWS.
const (
	MaxPayload      = 6 * 1024 * 1024 // of a call that waits for its answer
	MaxAsyncPayload = 1024 * 1024     // of an event
)

// Config is what an Invoker is made of.
type Config struct {
	Pool        *sandbox.Pool // its sessions are made by Sessions
	Runtimes    *runtimes.Set
	Code        *Code
	Credentials Credentials

	Env   map[string]string // for every function: where the cloud itself is, what to trust
	Ports []driver.Port     // what every function finds on its own loopback

	// Logs, when given, has what an asynchronous event logged before the event is taken off its queue, so that a
	// crash never leaves an event that ran without a trace.
	Logs *Logs

	InitLimit time.Duration // for loading a function before its first event; default 10 s

	Log *slog.Logger // nil: nothing is logged
}

// An Invoker runs functions.
type Invoker struct {
	config      Config
	admission   admission
	credentials credentialCache
	ahead       starts
	lingering   sync.WaitGroup // functions that run without their caller
}

// New makes an Invoker.
func New(c Config) *Invoker {
	if c.InitLimit == 0 {
		c.InitLimit = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Invoker{
		config:      c,
		admission:   admission{count: map[string]int{}},
		ahead:       starts{count: map[string]int{}},
		credentials: credentialCache{from: c.Credentials, known: map[string]Credential{}},
	}
}

// A Request is one event for a function.
type Request struct {
	Payload       []byte // JSON
	ClientContext string // JSON, "" when none
	RequestID     string // "" makes a new one
	TraceID       string // X-Amzn-Trace-Id, need not be complete; "" makes a new one
	ARN           string // the function as the client named it, alias or version included
	LogTail       bool   // give back the end of the log
	Sink          Sink   // takes the answer of a handler that streams; nil has it whole in the Result
}

// A Result is what came of an invocation that was run.
type Result struct {
	RequestID     string
	Payload       []byte // nil when the answer went to Request.Sink
	FunctionError string // "" or "Unhandled": then Payload is an error document
	LogTail       []byte
	Version       string // that ran
}

// errShutdown says that the invocation was cut off by us.
var errShutdown = errors.New("invoke: the sandbox was taken away")

// Call runs fn once. An error says that it was not run, or that it is our fault if it was cut off; what goes wrong
// in the function itself is in the Result. *Throttled says that too much runs already. When ctx ends, Call returns
// its error: a start is given up, but a function that runs goes on without its caller, as on AWS.
func (v *Invoker) Call(ctx context.Context, fn *Function, req *Request) (res *Result, err error) {
	ctx, span := trace.Start(ctx, "invoke")
	if span.On() {
		span.Set("faas.invoked_name", fn.Name)
		span.Set("faas.version", fn.Version)
		defer func() { endSpan(span, res, err) }()
	}
	scope, err := v.admission.enter(fn)
	if err != nil {
		return nil, err
	}
	run := &run{v: v, fn: fn, req: req, kind: onDemand, report: report{fn: fn, requestID: req.RequestID}}
	if run.report.requestID == "" {
		run.report.requestID = NewRequestID()
	}
	running, err := run.do(ctx)
	if running {
		v.lingering.Go(func() {
			defer v.admission.leave(scope)
			_ = run.await(context.Background()) // nobody is there to hear of it
		})
		return nil, err
	}
	v.admission.leave(scope)
	if err != nil {
		return nil, err
	}
	return run.result()
}

// endSpan says what came of a call.
func endSpan(span *trace.Span, res *Result, err error) {
	if err != nil || res.FunctionError == "" {
		span.End(err)
		return
	}
	span.Fail(res.FunctionError)
}

// Wait waits for the functions whose callers have gone. It is for the end, when nobody calls any more.
func (v *Invoker) Wait() { v.lingering.Wait() }

// Expect tells that a function of that kind has been deployed, so that its first call finds a stem cell. What is to be
// said about its runtime is said now and not only when it is called.
func (v *Invoker) Expect(ctx context.Context, fn *Function) {
	if note := v.RuntimeNote(fn.Runtime); note != "" {
		v.config.Log.Warn("function deployed for a runtime that is not here", "function", fn.ARN, "note", note)
	}
	plan, err := v.config.Runtimes.Plan(v.describe(fn, "/", "", nil))
	if err == nil && plan.Stem != "" {
		v.config.Pool.Expect(&sandbox.Stem{Name: plan.Stem, Spec: plan.StemSpec})
	}
}

// Forget lets the sandboxes of fn go: it was changed or deleted.
func (v *Invoker) Forget(fn *Function) { v.config.Pool.Evict(fn.key()) }

// Supports tells whether some runtime here answers to that name.
func (v *Invoker) Supports(runtime string) bool { return v.config.Runtimes.Known(runtime) }

// RuntimeNote is "" when functions of that runtime run on the version that they name, and else one line that says
// which other version runs them, or why none does.
func (v *Invoker) RuntimeNote(runtime string) string { return v.config.Runtimes.Note(runtime) }

// CheckCode finds out whether a function's package and its layers are sound and not too large together, and has them
// ready for the first call. What is wrong with them is a *CodeError.
func (v *Invoker) CheckCode(ctx context.Context, fn *Function) error {
	total, err := v.config.Code.Check(ctx, fn.Code)
	for _, layer := range fn.Layers {
		if err != nil {
			return err
		}
		var size int64
		size, err = v.config.Code.Check(ctx, layer)
		total += size
	}
	if err == nil && total > MaxCode {
		err = &CodeError{fmt.Sprintf("Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is %d bytes.", MaxCode, total)}
	}
	return err
}

// describe is fn as the runtimes see it.
func (v *Invoker) describe(fn *Function, codeDir, optDir string, env map[string]string) runtimes.Function {
	return runtimes.Function{
		Runtime: fn.Runtime, Handler: fn.Handler, CodeDir: codeDir, OptDir: optDir, Env: env, Ports: v.config.Ports,
		Limits:   fn.limits(),
		TmpBytes: int64(fn.Tmp) << 20,
	}
}

// A run is one call on its way.
type run struct {
	v       *Invoker
	fn      *Function
	req     *Request
	report  report
	box     *sandbox.Sandbox
	session *Session
	tail    []byte
	err     error

	kind      initType
	retried   bool      // the start took too long once, or a warm sandbox turned out to be dead
	startedAt time.Time // when the time limit of the call begins, if the start counts
	began     time.Time // when it began
}

// start is obtain, followed by a span.
func (r *run) start(ctx context.Context) error {
	ctx, span := trace.Start(ctx, "sandbox start")
	err := r.obtain(ctx)
	if span.On() && r.box != nil {
		span.Set("sandbox.origin", r.box.Origin.String())
		span.Set("faas.coldstart", r.box.Origin != sandbox.Warm)
	}
	span.End(err)
	return err
}

// obtain gets a sandbox with the function loaded, or has the outcome of the failed start in the report.
func (r *run) obtain(ctx context.Context) error {
	if r.warm() {
		return nil
	}
	return r.cold(ctx)
}

// warmPool is what a pool may offer beyond Acquire: a warm sandbox, or nil at once, without a plan of how to start one.
// Of the plan it needs Key and Limits only.
type warmPool interface {
	AcquireWarm(sandbox.Plan) *sandbox.Sandbox
}

// warm takes a sandbox that has run the function before.
func (r *run) warm() bool {
	pool, ok := any(r.v.config.Pool).(warmPool)
	plan := sandbox.Plan{Key: r.fn.key()}
	plan.Spec.Limits = r.fn.limits()
	for ok {
		box := pool.AcquireWarm(plan)
		if box == nil {
			return false
		}
		session := box.Session.(*Session)
		if !session.expired(time.Now()) {
			r.box, r.session = box, session
			return true
		}
		r.v.config.Pool.Discard(box) // its credentials would end in the midst of the call
	}
	return false
}

// cold starts a sandbox for the function, from a stem cell if there is one.
func (r *run) cold(ctx context.Context) error {
	v, fn, now := r.v, r.fn, time.Now()
	dir, opt, free, err := v.files(ctx, fn)
	if err != nil {
		return fmt.Errorf("function %s: %w", fn.Name, err)
	}
	cred, err := v.credentials.of(ctx, fn, now)
	if err != nil {
		free()
		return fmt.Errorf("credentials of function %s: %w", fn.Name, err)
	}
	stream := streamName(fn.Version, now)
	plan, err := v.config.Runtimes.Plan(v.describe(fn, dir, opt, v.environment(fn, r.kind, stream, cred)))
	if err != nil {
		free()
		return err
	}
	want := sandbox.Plan{Key: fn.key(), Fresh: r.kind == provisioned, Spec: plan.Spec, Mounts: plan.StemMounts}
	if plan.Stem != "" {
		want.Stem = &sandbox.Stem{Name: plan.Stem, Spec: plan.StemSpec}
	}
	box, err := v.config.Pool.Acquire(ctx, want)
	if err != nil {
		free()
		if errors.Is(err, sandbox.ErrFull) {
			return &Throttled{AccountExceeded}
		}
		return fmt.Errorf("start function %s: %w", fn.Name, err)
	}
	r.box, r.session = box, box.Session.(*Session)
	if box.Origin == sandbox.Warm { // given back by another call meanwhile
		free()
		if r.session.expired(now) {
			v.config.Pool.Discard(box)
			return r.cold(ctx)
		}
		return nil
	}
	if plan.Notice != "" { // the first line of each sandbox, so that nobody misses it
		r.session.note(plan.Notice + "\n")
	}
	if names := extensions(opt); len(names) > 0 {
		r.session.note("lambent: extensions of layers are not started: " + strings.Join(names, ", ") + "\n")
	}
	if fn.systemLogs() {
		r.session.note(initStart(fn, r.kind, fn.Runtime))
	}
	r.session.adopt(fn, stream, cred.Expires, free)
	if box.Origin == sandbox.FromStem {
		if err := r.session.talk.Assign(plan.Assignment); err != nil {
			v.config.Pool.Discard(box)
			return fmt.Errorf("start function %s: %w", fn.Name, err)
		}
	}
	return r.load(ctx, now)
}

// files holds the folders with the function's package and, if it has any, its layers.
func (v *Invoker) files(ctx context.Context, fn *Function) (dir, opt string, free func(), err error) {
	dir, freeCode, err := v.config.Code.hold(ctx, fn.Code)
	if err != nil || len(fn.Layers) == 0 {
		return dir, "", freeCode, err
	}
	opt, freeLayers, err := v.config.Code.hold(ctx, fn.Layers...)
	if err != nil {
		freeCode()
		return "", "", nil, err
	}
	return dir, opt, func() { freeLayers(); freeCode() }, nil
}

// extensions are the programs that layers bring to run beside the function.
func extensions(opt string) []string {
	if opt == "" {
		return nil
	}
	var names []string
	found, _ := os.ReadDir(filepath.Join(opt, "extensions")) // most layers have none
	for _, e := range found {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names
}

// load waits until the handler is loaded. A start that fails is the call's outcome.
func (r *run) load(ctx context.Context, began time.Time) error {
	limit := r.v.config.InitLimit
	if r.kind == provisioned {
		limit = max(provisionedInit, r.fn.Timeout)
	}
	if r.retried {
		limit = r.fn.Timeout
		r.startedAt = began
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var o outcome
	select {
	case e := <-r.session.talk.Events():
		if e.Kind == Ready {
			r.report.init = time.Since(began)
			return nil
		}
		o = unstarted(e)
	case <-r.box.Done():
		if o = r.exited(); r.err != nil {
			r.v.config.Pool.Discard(r.box)
			return r.err
		}
	case <-timer.C:
		return r.tooSlow(ctx, time.Since(began))
	}
	took := time.Since(began)
	r.session.note(initReport(r.fn, r.kind, took, "error", o.errorType))
	if r.kind == provisioned {
		r.giveUp(o)
		return nil
	}
	r.session.begin(&r.report, r.req.LogTail)
	r.end(o, took)
	return nil
}

// tooSlow ends a start that took too long. The first time another start is made, which counts as part of the call.
func (r *run) tooSlow(ctx context.Context, took time.Duration) error {
	r.session.note(initReport(r.fn, r.kind, took, "timeout", ""))
	if r.kind == provisioned {
		r.giveUp(outcome{errorType: "Sandbox.Timedout"})
		return nil
	}
	if !r.retried {
		r.retried = true
		r.v.config.Pool.Discard(r.box)
		return r.cold(ctx)
	}
	r.session.begin(&r.report, r.req.LogTail)
	r.end(timedOut(r.report.requestID, r.fn.Timeout, time.Now()), took)
	return nil
}

// do runs the event in a sandbox. It is running still when ctx ended first.
func (r *run) do(ctx context.Context) (running bool, err error) {
	for {
		if err := r.start(ctx); err != nil || r.box == nil { // without a sandbox the start was the end
			return false, err
		}
		_, span := trace.Start(ctx, "sandbox run")
		r.send(ctx)
		err := r.await(ctx)
		span.End(err)
		if err != errGone {
			return err != nil, err
		}
	}
}

// errGone says that a warm sandbox turned out to be dead before it took the event: then another may.
var errGone = errors.New("invoke: the sandbox was dead")

// send hands the event over.
func (r *run) send(ctx context.Context) {
	r.began = time.Now()
	if !r.startedAt.IsZero() {
		r.began = r.startedAt
	}
	r.session.begin(&r.report, r.req.LogTail)
	inv := Invocation{RequestID: r.report.requestID, TraceID: trace.Whole(trace.Amazon(ctx, r.req.TraceID, r.began)), ARN: r.req.ARN, Deadline: r.began.Add(r.fn.Timeout),
		ClientContext: r.req.ClientContext, Payload: r.req.Payload, Sink: r.req.Sink}
	if inv.ARN == "" {
		inv.ARN = r.fn.ARN
	}
	if err := r.session.talk.Send(&inv); err != nil {
		r.v.config.Log.Debug("event not handed over", "function", r.fn.Name, "error", err) // await sees why
	}
}

// await waits for the end of what was sent. When ctx ends first the sandbox is still held, and await may be called again.
func (r *run) await(ctx context.Context) error {
	timer := time.NewTimer(time.Until(r.began.Add(r.fn.Timeout)))
	defer timer.Stop()
	var o outcome
	select {
	case e := <-r.session.talk.Events():
		o = r.heard(e)
	case <-r.box.Done():
		select {
		case e := <-r.session.talk.Events(): // it answered, then it went
			o = r.heard(e)
		default:
			if r.box.Origin == sandbox.Warm && !r.retried && r.session.talk.Withdraw() {
				r.retried = true
				r.v.config.Pool.Discard(r.box)
				r.box = nil
				return errGone
			}
			o = r.exited()
		}
	case <-timer.C:
		o = timedOut(r.report.requestID, r.fn.Timeout, time.Now())
	case <-ctx.Done():
		return ctx.Err()
	}
	r.end(o, time.Since(r.began))
	return nil
}

func (r *run) heard(e Event) outcome {
	switch e.Kind {
	case Answered:
		return answered(e)
	case Failed:
		return failed(e)
	case TooLarge:
		return tooLarge(e)
	}
	return unstarted(e)
}

// exited is the outcome of a sandbox that has ended by itself; one that we ended is our fault.
func (r *run) exited() outcome {
	exit := r.box.Exit()
	if exit.Killed && !exit.OOM {
		r.err = errShutdown
	}
	return exited(r.report.requestID, exit)
}

// end writes the report and gives the sandbox back.
func (r *run) end(o outcome, took time.Duration) {
	if o.status == "timeout" {
		took = r.fn.Timeout
	}
	rep := r.report
	rep.out, rep.duration = o, took
	r.report.out = o
	box := r.box
	r.box = nil
	rep.memory = box.MaxMemory
	if o.broken || r.req.LogTail {
		r.tail = r.session.finishNow(&rep)
	} else {
		r.session.finish(&rep)
	}
	if o.broken {
		r.v.config.Pool.Discard(box)
	} else {
		r.v.config.Pool.Release(box)
	}
}

func (r *run) result() (*Result, error) {
	if r.err != nil {
		return nil, r.err
	}
	res := &Result{RequestID: r.report.requestID, Payload: r.report.out.payload, Version: r.fn.Version}
	if r.report.out.failed {
		res.FunctionError = "Unhandled"
	}
	if r.req.LogTail {
		res.LogTail = r.tail
	}
	return res, nil
}

// Fault turns an error of Call into what a client of AWS sees. Faults and errors it does not know stay as they are.
func Fault(err error) error {
	var throttled *Throttled
	var code *CodeError
	switch {
	case errors.As(err, &throttled):
		f := cloud.Faultf("TooManyRequestsException", "Rate Exceeded.")
		f.Cause = err
		return f
	case errors.As(err, &code):
		f := cloud.Faultf("InvalidZipFileException", "%s", code.Message)
		f.Cause = err
		return f
	}
	return err
}

// NewRequestID makes a random UUID.
func NewRequestID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	var b [36]byte
	hex.Encode(b[:], u[:4])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	hex.Encode(b[9:], u[4:6])
	hex.Encode(b[14:], u[6:8])
	hex.Encode(b[19:], u[8:10])
	hex.Encode(b[24:], u[10:])
	return string(b[:])
}
