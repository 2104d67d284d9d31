package invoke_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lambent/invoke"
	"lambent/invoke/invoketest"
	"lambent/kv"
	"lambent/sandbox/driver"
)

// targets are the functions of a queue, by name.
type targets struct {
	mu  sync.Mutex
	all map[string]*invoke.Target
}

func (t *targets) AsyncTarget(_ context.Context, _, _, name, _ string) (*invoke.Target, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.all[name]; to != nil {
		return to, nil
	}
	return nil, invoke.ErrGone
}

// heard is what functions were called with, in order: handler, request id, payload.
type heard struct {
	mu    sync.Mutex
	calls []string
}

func (h *heard) note(handler string, e invoketest.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, handler+" "+e.ID+" "+string(e.Payload))
}

func (h *heard) wait(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		got := append([]string(nil), h.calls...)
		h.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("%d calls, want %d: %q", len(got), n, got)
		}
	}
}

// newQueueWorld has a function "good" that answers, and "bad" that fails.
func newQueueWorld(t *testing.T) (*world, *heard, *targets) {
	t.Helper()
	h := &heard{}
	w := newWorldWith(t, map[string]invoketest.Program{
		"good": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string { h.note("good", e); return `"fine"` }),
		"bad": func(b *invoketest.Box) driver.Exit {
			for {
				e, ok := b.Next()
				if !ok {
					return driver.Exit{}
				}
				h.note("bad", e)
				b.Fail(e.ID, `{"errorMessage":"intentional failure"}`, "Error")
			}
		},
		"hang": func(b *invoketest.Box) driver.Exit {
			e, _ := b.Next()
			h.note("hang", e)
			<-b.Killed()
			return driver.Exit{}
		},
	})
	to := &targets{all: map[string]*invoke.Target{}}
	for _, name := range []string{"good", "bad", "hang"} {
		to.all[name] = &invoke.Target{Function: w.function(name), Retries: invoke.DefaultRetries, MaxAge: invoke.DefaultEventAge}
	}
	return w, h, to
}

func (w *world) queue(to *targets) *invoke.Queue {
	q := invoke.NewQueue(w.store.In("async"), w.Invoker, to)
	q.Delays = [2]time.Duration{time.Millisecond, 2 * time.Millisecond}
	return q
}

func run(t *testing.T, q *invoke.Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func asyncEvent(name, payload string) invoke.AsyncEvent {
	return invoke.AsyncEvent{ID: invoke.NewRequestID(), Account: "000000000000", Region: "us-east-1", Name: name, Payload: []byte(payload)}
}

// waitEmpty waits until the queue holds nothing.
func (w *world) waitEmpty(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var rows []kv.KV
		err := w.store.In("async").View(t.Context(), func(r kv.Reader) (err error) {
			rows, err = r.Scan(t.Context(), kv.Range{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d rows stay", len(rows))
		}
	}
}

func TestQueueRunsEvents(t *testing.T) {
	w, h, to := newQueueWorld(t)
	q := w.queue(to)
	waiting := asyncEvent("good", `"before"`)
	if err := q.Put(t.Context(), waiting); err != nil {
		t.Fatal(err)
	}
	run(t, q)
	h.wait(t, 1)
	big := asyncEvent("good", `"`+strings.Repeat("x", 1<<20-2)+`"`)
	if err := q.Put(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	if err := q.Put(t.Context(), asyncEvent("nobody", `{}`)); err != nil {
		t.Fatal(err)
	}
	got := h.wait(t, 2)
	if got[0] != "good "+waiting.ID+` "before"` {
		t.Errorf("first call = %s", got[0])
	}
	if got[1] != "good "+big.ID+" "+string(big.Payload) {
		t.Errorf("the large payload arrived as %d bytes", len(got[1]))
	}
	w.waitEmpty(t)
}

func TestQueueRetriesThenTellsDestination(t *testing.T) {
	w, h, to := newQueueWorld(t)
	to.all["bad"].OnFailure = to.all["good"].Function.ARN
	to.all["bad"].Function.ARN = "arn:aws:lambda:us-east-1:000000000000:function:bad"
	q := w.queue(to)
	run(t, q)
	e := asyncEvent("bad", `{"message":"m"}`)
	if err := q.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got := h.wait(t, 4)
	for i := range 3 {
		if got[i] != "bad "+e.ID+` {"message":"m"}` {
			t.Errorf("call %d = %s", i, got[i])
		}
	}
	// The record as AWS writes it (aws-replies: test_lambda_destinations.py::TestLambdaDestinationSqs::test_retries).
	_, record, _ := strings.Cut(strings.TrimPrefix(got[3], "good "), " ")
	var doc map[string]any
	if err := json.Unmarshal([]byte(record), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "timestamp")
	want := map[string]any{
		"version":        "1.0",
		"requestContext": map[string]any{"requestId": e.ID, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:bad:$LATEST", "condition": "RetriesExhausted", "approximateInvokeCount": 3.0},
		"requestPayload": map[string]any{"message": "m"}, "responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"responsePayload": map[string]any{"errorMessage": "intentional failure"},
	}
	if fmt.Sprint(doc) != fmt.Sprint(want) {
		t.Errorf("record = %v\nwant     %v", doc, want)
	}
	w.waitEmpty(t)
}

func TestQueueHonoursItsLimits(t *testing.T) {
	w, h, to := newQueueWorld(t)
	to.all["bad"].Retries = 0
	to.all["good"].Function.Reserved = new(0)
	q := w.queue(to)
	run(t, q)
	for _, name := range []string{"bad", "good"} {
		if err := q.Put(t.Context(), asyncEvent(name, `{}`)); err != nil {
			t.Fatal(err)
		}
	}
	w.waitEmpty(t)
	if got := h.wait(t, 1); len(got) != 1 || !strings.HasPrefix(got[0], "bad") {
		t.Errorf("calls = %q, want one of bad", got)
	}
}

// TestQueueReturnsEvents takes the runner away in the midst of an event: the next one runs it again.
func TestQueueReturnsEvents(t *testing.T) {
	w, h, to := newQueueWorld(t)
	to.all["hang"].Function.Timeout = time.Hour
	e := asyncEvent("hang", `{}`)
	q := w.queue(to)
	stop := run(t, q)
	if err := q.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 1)
	var stopped atomic.Bool
	go func() { stop(); stopped.Store(true) }()
	for !stopped.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	run(t, w.queue(to))
	if got := h.wait(t, 2); got[0] != got[1] {
		t.Errorf("calls = %q, want twice the same", got)
	}
}

// members are two processes of which one may be dead.
type members struct {
	name string
	dead *atomic.Pointer[string]
}

func (m members) Name() string { return m.name }

func (m members) Alive(_ context.Context, name string) bool {
	dead := m.dead.Load()
	return dead == nil || *dead != name
}

// TestQueueOfTwo: of two processes on one queue each event is run by one. When one is taken for dead the other runs its
// events, and what the first then says of them does not count.
func TestQueueOfTwo(t *testing.T) {
	w, h, to := newQueueWorld(t)
	to.all["hang"].Function.Timeout = time.Second
	var dead atomic.Pointer[string]
	first, second := w.queue(to), w.queue(to)
	first.Members, second.Members = members{"first", &dead}, members{"second", &dead}
	stopFirst := run(t, first)
	hang := asyncEvent("hang", `{}`)
	if err := first.Put(t.Context(), hang); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 1)
	run(t, second)
	const events = 40
	for i := range events {
		if err := first.Put(t.Context(), asyncEvent("good", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	h.wait(t, 1+events)

	// The first one is taken for dead just when its function runs into its time limit.
	to.mu.Lock()
	to.all["hang"] = to.all["good"]
	to.mu.Unlock()
	dead.Store(new("first"))
	got := h.wait(t, 2+events)
	if got[1+events] != "good "+hang.ID+" {}" {
		t.Errorf("then came %q", got[1+events])
	}
	w.waitEmpty(t)
	stopFirst()
	if got := h.wait(t, 2+events); len(got) != 2+events {
		t.Errorf("%d calls, want %d", len(got), 2+events)
	}
	w.waitEmpty(t)
}
