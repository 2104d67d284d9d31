// Package runtimetest drives a language runtime in a real sandbox from a test: it starts a function by the plain path or
// from a stem cell, answers its Runtime API, and shows what came back.
package runtimetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

// Function is a running function.
type Function struct {
	Sandbox driver.Sandbox
	Plan    runtimes.Plan

	events  chan event
	results chan Result
	server  *http.Server
	wait    time.Duration

	booted, assigned chan struct{} // closed when a stem cell has asked, and when it may be answered

	mu      sync.Mutex // guards what follows
	records []string
	output  bytes.Buffer
	body    bytes.Buffer // of the answer that is coming in
}

type event struct {
	id, body string
	headers  map[string]string
}

// Result is what the runtime posted.
type Result struct {
	Path string // below /2018-06-01/runtime/, request id as posted
	Body string
	Type string // Lambda-Runtime-Function-Error-Type

	Header, Trailer http.Header
}

// Error parses the body as an error.
func (r Result) Error() (shape struct {
	ErrorType, ErrorMessage, RequestID string
	Trace, StackTrace                  []string
}) {
	json.Unmarshal([]byte(r.Body), &shape)
	return shape
}

// Code writes the files of a function into a folder that sandboxes can read.
func Code(t testing.TB, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "code")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Env returns the variables that the platform gives a function.
func Env(extra map[string]string) map[string]string {
	env := map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "hello", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hello", "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
	}
	for k, v := range extra {
		env[k] = v
	}
	return env
}

// Start starts fn from a stem cell, or by the plain path.
func Start(t testing.TB, d driver.Driver, r runtimes.Runtime, fn runtimes.Function, stem bool) *Function {
	t.Helper()
	if stem {
		return Boot(t, d, r, fn).Become(t)
	}
	f := plan(t, r, fn)
	f.start(t, d, f.Plan.Spec)
	return f
}

// Boot starts a stem cell that can become fn, and waits until it asks for its assignment.
func Boot(t testing.TB, d driver.Driver, r runtimes.Runtime, fn runtimes.Function) *Function {
	t.Helper()
	f := plan(t, r, fn)
	if f.Plan.Stem == "" {
		t.Fatal("this function has no stem cells")
	}
	f.start(t, d, f.Plan.StemSpec)
	select {
	case <-f.booted:
	case <-f.Sandbox.Done():
		t.Fatalf("stem cell ended: %+v\n%s", f.Sandbox.Exit(), f.Output())
	case <-time.After(f.wait):
		t.Fatalf("stem cell did not ask for its assignment\n%s", f.Output())
	}
	return f
}

// Become makes a stem cell into its function.
func (f *Function) Become(t testing.TB) *Function {
	t.Helper()
	for _, m := range f.Plan.StemMounts {
		if err := f.Sandbox.Mount(m.Source, m.Target); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sandbox.Resize(f.Plan.Spec.Limits); err != nil {
		t.Fatal(err)
	}
	close(f.assigned)
	return f
}

func plan(t testing.TB, r runtimes.Runtime, fn runtimes.Function) *Function {
	t.Helper()
	if fn.Env == nil {
		fn.Env = Env(nil)
	}
	p, err := r.Plan(fn)
	if err != nil {
		t.Fatal(err)
	}
	return &Function{
		Plan: p, events: make(chan event), results: make(chan Result, 16), wait: 20 * time.Second,
		booted: make(chan struct{}), assigned: make(chan struct{}),
	}
}

func (f *Function) start(t testing.TB, d driver.Driver, spec driver.Spec) {
	t.Helper()
	spec.Stdout, spec.Stderr = (*output)(f), (*output)(f)
	spec.Log = runtimes.NewFrames(func(_ time.Time, record []byte) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.records = append(f.records, string(record))
	})
	var err error
	if f.Sandbox, err = d.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Sandbox.Kill)
	f.server = &http.Server{Handler: f.routes()}
	go f.server.Serve(f.Sandbox.Listener())
	t.Cleanup(func() { f.server.Close() })
}

func (f *Function) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /lambent/stem/next", func(w http.ResponseWriter, r *http.Request) {
		close(f.booted)
		select {
		case <-f.assigned:
			w.Write(f.Plan.Assignment)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-f.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(3*time.Second).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:hello")
			for k, v := range e.headers {
				w.Header().Set(k, v)
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(e.body)))
			io.WriteString(w, e.body)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.body.Reset()
		f.mu.Unlock()
		io.Copy((*body)(f), r.Body)
		f.mu.Lock()
		result := Result{r.PathValue("rest"), f.body.String(), r.Header.Get("Lambda-Runtime-Function-Error-Type"), r.Header, r.Trailer}
		f.mu.Unlock()
		f.results <- result
		w.Header().Set("Content-Length", "16")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"status":"OK"}`+"\n")
	})
	return mux
}

// Send hands the function an event and does not wait.
func (f *Function) Send(ctx context.Context, id, body string, headers map[string]string) error {
	select {
	case f.events <- event{id, body, headers}:
		return nil
	case <-f.Sandbox.Done():
		return fmt.Errorf("sandbox ended: %+v\n%s", f.Sandbox.Exit(), f.Output())
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.wait):
		return fmt.Errorf("the function did not ask for an event\n%s", f.Output())
	}
}

// Result waits for what the runtime posts next.
func (f *Function) Result(t testing.TB) Result {
	t.Helper()
	select {
	case r := <-f.results:
		return r
	case <-time.After(f.wait):
		t.Fatalf("no result\n%s", f.Output())
	case <-f.Sandbox.Done():
		select {
		case r := <-f.results:
			return r
		default:
			t.Fatalf("sandbox ended: %+v\n%s", f.Sandbox.Exit(), f.Output())
		}
	}
	panic("unreachable")
}

// Invoke sends an event and waits for the result.
func (f *Function) Invoke(t testing.TB, id, body string) Result {
	t.Helper()
	if err := f.Send(t.Context(), id, body, nil); err != nil {
		t.Fatal(err)
	}
	return f.Result(t)
}

// Records waits until there are at least n log records and returns them.
func (f *Function) Records(t testing.TB, n int) []string {
	t.Helper()
	for end := time.Now().Add(f.wait); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		got := append([]string(nil), f.records...)
		f.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("%d log records, want %d: %q\n%s", len(got), n, got, f.Output())
		}
	}
}

// Output is everything written to stdout and stderr, and the log records.
func (f *Function) Output() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.output.String() + strings.Join(f.records, "\n")
}

// WaitOutput waits until stdout and stderr have text in them.
func (f *Function) WaitOutput(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(f.wait); !strings.Contains(f.Output(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q in the output\n%s", text, f.Output())
		}
	}
}

// WaitBody waits until an answer that is still coming in has text in it.
func (f *Function) WaitBody(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(f.wait); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		got := f.body.String()
		f.mu.Unlock()
		if strings.Contains(got, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in the answer %q\n%s", text, got, f.Output())
		}
	}
}

type body Function

func (b *body) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body.Write(p)
}

type output Function

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.output.Write(p)
}
