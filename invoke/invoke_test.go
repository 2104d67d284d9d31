package invoke_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/blob"
	"lambent/blob/blobtest"
	"lambent/invoke"
	"lambent/invoke/invoketest"
	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/sandbox/driver"
)

const id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

// programs are the functions of these tests, by handler.
func programs() map[string]invoketest.Program {
	return map[string]invoketest.Program{
		"echo": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string { return string(e.Payload) }),
		"log": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			b.Log("framed record")
			b.Print("raw line\nno newline")
			return `"` + b.Env("AWS_LAMBDA_LOG_STREAM_NAME") + `"`
		}),
		"env": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			return fmt.Sprintf("%q", b.Env(strings.Trim(string(e.Payload), `"`)))
		}),
		"context": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			return fmt.Sprintf(`{"arn":%q,"context":%q,"trace":%t,"left":%t}`, e.ARN, e.ClientContext, strings.HasPrefix(e.TraceID, "Root=1-"), time.Until(e.Deadline) <= time.Second)
		}),
		"sleep": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			select {
			case <-b.Killed():
			case <-time.After(time.Minute):
			}
			return "null"
		}),
		"block": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			if string(e.Payload) == `"wait"` {
				time.Sleep(200 * time.Millisecond)
			}
			if string(e.Payload) == `"wait long"` {
				time.Sleep(time.Second)
			}
			return "null"
		}),
		"fail": func(b *invoketest.Box) driver.Exit {
			for {
				e, ok := b.Next()
				if !ok {
					return driver.Exit{}
				}
				b.Fail(e.ID, `{"errorMessage":"Handler fails","errorType":"Exception"}`, "Exception")
			}
		},
		"exit1": func(b *invoketest.Box) driver.Exit { b.Next(); return driver.Exit{Code: 1} },
		"exit0": func(b *invoketest.Box) driver.Exit { b.Next(); return driver.Exit{} },
		"oom":   func(b *invoketest.Box) driver.Exit { b.Next(); return driver.Exit{Code: -1, Signal: 9, OOM: true} },
		"segv":  func(b *invoketest.Box) driver.Exit { b.Next(); return driver.Exit{Code: -1, Signal: 11} },
		"die":   func(b *invoketest.Box) driver.Exit { return driver.Exit{Code: 127} },
		"once": func(b *invoketest.Box) driver.Exit { // answers, then ends
			e, _ := b.Next()
			b.Answer(e.ID, `"once"`)
			return driver.Exit{}
		},
		"badinit": func(b *invoketest.Box) driver.Exit {
			b.FailInit(`{"errorMessage":"Cannot find module 'x'","errorType":"Runtime.ImportModuleError"}`, "Runtime.ImportModuleError")
			return driver.Exit{Code: 1}
		},
		"slowinit": func(b *invoketest.Box) driver.Exit { <-b.Killed(); return driver.Exit{} },
		"big": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			return strings.Repeat("x", invoke.MaxResponse+1)
		}),
	}
}

type world struct {
	*invoketest.Cloud
	store *kv.Store
	blobs *blob.Store
	code  blob.Ref
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, programs())
}

func newWorldWith(t *testing.T, programs map[string]invoketest.Program) *world {
	t.Helper()
	store := kvtest.Mem(t)
	blobs := blobtest.Mem(t, store.In("blob"))
	code, err := blobs.Put(t.Context(), bytes.NewReader(invoketest.Zip(t, "index.js", "x")))
	if err != nil {
		t.Fatal(err)
	}
	return &world{invoketest.Start(t, blobs, programs), store, blobs, code}
}

func (w *world) function(handler string) *invoke.Function {
	return &invoke.Function{Account: "000000000000", Region: "us-east-1", Name: handler, Version: "$LATEST", Revision: "r1",
		ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + handler, Runtime: "nodejs20.x", Handler: handler, Code: w.code,
		Memory: 128, Tmp: 512, Timeout: time.Second, LogGroup: "/aws/lambda/" + handler, RoleARN: "arn:aws:iam::000000000000:role/r"}
}

func (w *world) call(t *testing.T, fn *invoke.Function, payload string) *invoke.Result {
	t.Helper()
	res, err := w.Invoker.Call(t.Context(), fn, &invoke.Request{Payload: []byte(payload), RequestID: id, LogTail: true})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestOutcomes holds how invocations end against what AWS answers and logs (aws-replies: test_lambda.py).
func TestOutcomes(t *testing.T) {
	tests := []struct {
		handler, payload string
		failed           bool
		want             string // a pattern for the whole payload
		log              string // a pattern in the log
	}{
		{"echo", `{"a":1}`, false, `\{"a":1\}`, `START RequestId: ` + id + ` Version: \$LATEST\nEND RequestId: ` + id + `\nREPORT RequestId: ` + id + `\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\tInit Duration: \d+\.\d\d ms\t\n`},
		{"fail", `{}`, true, `\{"errorMessage":"Handler fails","errorType":"Exception"\}`, `END RequestId: ` + id},
		{"sleep", `{}`, true, `\{"errorMessage":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ` + id + ` Task timed out after 1\.00 seconds"\}`, `Task timed out after 1\.00 seconds\n\n(?s:.*)REPORT .*Duration: 1000\.00 ms\tBilled Duration: 1000 ms.*\tStatus: timeout\n`},
		{"exit1", `{}`, true, `\{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ` + id + ` Error: Runtime exited with error: exit status 1"\}`, `\tStatus: error\tError Type: Runtime.ExitError\n`},
		{"exit0", `{}`, true, `\{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ` + id + ` Error: Runtime exited without providing a reason"\}`, `Runtime exited without`},
		{"oom", `{}`, true, `\{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: ` + id + ` Error: Runtime exited with error: signal: killed"\}`, `Error Type: Runtime.OutOfMemory`},
		{"segv", `{}`, true, `.*signal: segmentation fault.*`, ``},
		{"die", `{}`, true, `.*Runtime.ExitError.*exit status 127.*`, `INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\nSTART`},
		{"badinit", `{}`, true, `\{"errorMessage":"Cannot find module 'x'","errorType":"Runtime.ImportModuleError"\}`, `Status: error\tError Type: Runtime.ImportModuleError`},
		{"slowinit", `{}`, true, `.*Task timed out after 1\.00 seconds.*`, `INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: timeout\n`},
		{"big", `{}`, true, `\{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size \(6291556 bytes\)."\}`, `Error Type: Function.ResponseSizeTooLarge`},
		{"env", `"AWS_LAMBDA_FUNCTION_NAME"`, false, `"env"`, ``},
		{"env", `"AWS_SESSION_TOKEN"`, false, `"arn:aws:iam::000000000000:role/r/env"`, ``},
		{"env", `"AWS_ENDPOINT_URL"`, false, `"http://127.0.0.1:4566"`, ``},
		{"env", `"AWS_EXECUTION_ENV"`, false, `"AWS_Lambda_nodejs20.x"`, ``},
	}
	w := newWorld(t)
	for _, tt := range tests {
		t.Run(tt.handler+tt.payload, func(t *testing.T) {
			fn := w.function(tt.handler)
			res := w.call(t, fn, tt.payload)
			if (res.FunctionError == "Unhandled") != tt.failed || res.RequestID != id || res.Version != "$LATEST" {
				t.Errorf("result = %+v", res)
			}
			if !regexp.MustCompile("^" + tt.want + "$").Match(res.Payload) {
				t.Errorf("payload = %.300s\nwant %s", res.Payload, tt.want)
			}
			log := w.Logs.Wait(t, fn.LogGroup, "REPORT")
			if !regexp.MustCompile(tt.log).MatchString(log) {
				t.Errorf("log = %q\nwant %s", log, tt.log)
			}
		})
	}
}

func TestWarmSandboxServesAgain(t *testing.T) {
	w := newWorld(t)
	fn := w.function("log")
	first := w.call(t, fn, "{}")
	if !strings.Contains(string(first.LogTail), "framed record\nraw line\nno newline\nEND RequestId") {
		t.Errorf("tail = %q", first.LogTail)
	}
	second := w.call(t, fn, "{}")
	if !bytes.Equal(first.Payload, second.Payload) || w.Driver.Started() != 1 {
		t.Errorf("the second call took another sandbox: %s, %s, %d started", first.Payload, second.Payload, w.Driver.Started())
	}
	if strings.Contains(string(second.LogTail), "Init Duration") {
		t.Errorf("a warm call reports an init: %q", second.LogTail)
	}
	w.Logs.Wait(t, fn.LogGroup, "REPORT")
	streams := w.Logs.Streams(fn.LogGroup)
	if len(streams) != 1 || !regexp.MustCompile(`^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`).MatchString(streams[0]) || `"`+streams[0]+`"` != string(first.Payload) {
		t.Errorf("streams = %q, want the one of %s", streams, first.Payload)
	}
	changed := *fn
	changed.Revision = "r2"
	if third := w.call(t, &changed, "{}"); bytes.Equal(third.Payload, first.Payload) {
		t.Error("a changed function runs in a sandbox of before")
	}
}

func TestDeadWarmSandboxIsReplaced(t *testing.T) {
	w := newWorld(t)
	fn := w.function("once")
	for range 3 {
		if res := w.call(t, fn, "{}"); string(res.Payload) != `"once"` {
			t.Errorf("payload = %s", res.Payload)
		}
	}
}

func TestContextOfAnInvocation(t *testing.T) {
	w := newWorld(t)
	fn := w.function("context")
	res, err := w.Invoker.Call(t.Context(), fn, &invoke.Request{Payload: []byte("{}"), ARN: fn.ARN + ":live", ClientContext: `{"custom":1}`})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"arn":"` + fn.ARN + `:live","context":"{\"custom\":1}","trace":true,"left":true}`
	if string(res.Payload) != want {
		t.Errorf("payload = %s\nwant      %s", res.Payload, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(res.RequestID) {
		t.Errorf("request id = %s", res.RequestID)
	}
}

func TestAdmission(t *testing.T) {
	w := newWorld(t)
	fn := w.function("block")
	fn.Reserved = new(2)
	var group sync.WaitGroup
	errs := make(chan error, 3)
	for range 3 {
		group.Go(func() {
			_, err := w.Invoker.Call(t.Context(), fn, &invoke.Request{Payload: []byte(`"wait"`)})
			errs <- err
		})
	}
	group.Wait()
	close(errs)
	var throttled int
	for err := range errs {
		var e *invoke.Throttled
		if errors.As(err, &e) && e.Reason == invoke.ReservedExceeded {
			throttled++
		} else if err != nil {
			t.Error(err)
		}
	}
	if throttled != 1 {
		t.Errorf("%d of 3 calls throttled at a reserved concurrency of 2, want 1", throttled)
	}
	if _, err := w.Invoker.Call(t.Context(), fn, &invoke.Request{Payload: []byte(`{}`)}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	none := *fn
	none.Reserved = nil
	none.Unreserved = -1
	var e *invoke.Throttled
	if _, err := w.Invoker.Call(t.Context(), &none, &invoke.Request{}); !errors.As(err, &e) || e.Reason != invoke.AccountExceeded {
		t.Errorf("error = %v, want %s", err, invoke.AccountExceeded)
	}
}

// TestCallerLeaves: when the caller has gone, the function goes on to its end, holds its place meanwhile, and its
// sandbox serves again.
func TestCallerLeaves(t *testing.T) {
	w := newWorld(t)
	fn := w.function("block")
	fn.Reserved, fn.Timeout = new(1), 10*time.Second
	ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer leave()
	_, err := w.Invoker.Call(ctx, fn, &invoke.Request{Payload: []byte(`"wait long"`)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error = %v, want that of the context", err)
	}
	var throttled *invoke.Throttled
	if _, err := w.Invoker.Call(t.Context(), fn, &invoke.Request{Payload: []byte(`{}`)}); !errors.As(err, &throttled) {
		t.Errorf("while it runs: %v, want that there is no place", err)
	}
	w.Invoker.Wait()
	if res := w.call(t, fn, `{}`); res.FunctionError != "" || strings.Contains(string(res.LogTail), "Init Duration") {
		t.Errorf("after it: %+v, want a warm sandbox", res)
	}
}

func TestBadCode(t *testing.T) {
	w := newWorld(t)
	store := kvtest.Mem(t)
	blobs := blobtest.Mem(t, store)
	ref, _ := blobs.Put(t.Context(), strings.NewReader("no zip"))
	cloud := invoketest.Start(t, blobs, programs())
	fn := w.function("echo")
	fn.Code = ref
	_, err := cloud.Invoker.Call(t.Context(), fn, &invoke.Request{})
	var bad *invoke.CodeError
	if !errors.As(err, &bad) {
		t.Errorf("error = %v, want a CodeError", err)
	}
	if err := cloud.Invoker.CheckCode(t.Context(), fn); !errors.As(err, &bad) {
		t.Errorf("check = %v, want a CodeError", err)
	}
}

func BenchmarkWarm(b *testing.B) {
	store := kvtest.Mem(b)
	blobs := blobtest.Mem(b, store.In("blob"))
	code, err := blobs.Put(b.Context(), bytes.NewReader(invoketest.Zip(b, "index.js", "x")))
	if err != nil {
		b.Fatal(err)
	}
	w := &world{invoketest.Start(b, blobs, programs()), store, blobs, code}
	fn := w.function("echo")
	req := &invoke.Request{Payload: []byte(`{}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Invoker.Call(b.Context(), fn, req); err != nil {
			b.Fatal(err)
		}
	}
}

// TestExtensionsAreNamed finds in the log what a layer brings and nobody starts.
func TestExtensionsAreNamed(t *testing.T) {
	w := newWorld(t)
	fn := w.function("echo")
	layer, err := w.blobs.Put(t.Context(), bytes.NewReader(invoketest.Zip(t, "extensions/agent", "#!/bin/sh", "python/x.py", "")))
	if err != nil {
		t.Fatal(err)
	}
	fn.Layers = []blob.Ref{layer}
	w.call(t, fn, `1`)
	if got := w.Logs.Wait(t, fn.LogGroup, "START"); !strings.HasPrefix(got, "lambent: extensions of layers are not started: agent\n") {
		t.Errorf("log = %s", got)
	}
}
