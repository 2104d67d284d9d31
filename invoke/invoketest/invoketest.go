// Package invoketest runs functions in tests without processes: the sandboxes of its driver are goroutines that speak
// the Runtime API over loopback, as a language runtime does.
package invoketest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/blob"
	"lambent/invoke"
	"lambent/invoke/runtimeapi"
	"lambent/runtimes"
	"lambent/sandbox"
	"lambent/sandbox/driver"
)

// A Program is what runs in a sandbox. It returns how the main process ended.
type Program func(*Box) driver.Exit

// A Cloud is an Invoker with all that it needs, for one test.
type Cloud struct {
	Invoker *invoke.Invoker
	Pool    *sandbox.Pool
	Driver  *Driver
	Logs    *Sink

	CredentialLife time.Duration // of the credentials that functions get; 0 is an hour
}

// Start makes a cloud in which a function's handler names one of programs. All of its runtimes run them.
func Start(t testing.TB, blobs *blob.Store, programs map[string]Program) *Cloud {
	t.Helper()
	c := &Cloud{Driver: &Driver{programs: programs}, Logs: &Sink{}}
	logs := invoke.NewLogs(c.Logs, slog.New(slog.DiscardHandler))
	c.Pool = sandbox.New(c.Driver, sandbox.Config{NewSession: invoke.Sessions(logs, runtimeapi.New), FreezeAfter: -1})
	code, err := invoke.OpenCode(blobs, t.TempDir()+"/code", 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c.Invoker = invoke.New(invoke.Config{Pool: c.Pool, Runtimes: runtimes.NewSet(family{}), Code: code, Credentials: c,
		Env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, InitLimit: 500 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { logs.Run(ctx) })
	running.Go(func() { c.Pool.Run(ctx) })
	t.Cleanup(func() {
		c.Pool.Close()
		cancel()
		running.Wait()
		code.Close()
	})
	return c
}

// FunctionCredentials implements invoke.Credentials.
func (c *Cloud) FunctionCredentials(_ context.Context, account, roleARN, session string) (invoke.Credential, error) {
	life := time.Hour
	if c != nil && c.CredentialLife != 0 {
		life = c.CredentialLife
	}
	return invoke.Credential{AccessKeyID: "ASIA" + account, SecretAccessKey: "secret", SessionToken: roleARN + "/" + session,
		Expires: time.Now().Add(life)}, nil
}

// Zip makes a code package of files, name and content in turn.
func Zip(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Sink keeps logs in memory.
type Sink struct {
	mu      sync.Mutex
	batches []invoke.LogBatch
}

// PutLogs implements invoke.LogSink.
func (s *Sink) PutLogs(_ context.Context, batches []invoke.LogBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, batches...)
	return nil
}

// Text is what group holds, all streams in the order of arrival.
func (s *Sink) Text(group string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, batch := range s.batches {
		if batch.Group == group {
			for _, e := range batch.Events {
				b.WriteString(e.Message)
			}
		}
	}
	return b.String()
}

// Streams are the names of the streams of group.
func (s *Sink) Streams(group string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	seen := map[string]bool{}
	for _, batch := range s.batches {
		if batch.Group == group && !seen[batch.Stream] {
			seen[batch.Stream] = true
			names = append(names, batch.Stream)
		}
	}
	return names
}

// Wait waits until group holds text, and returns all of it.
func (s *Sink) Wait(t testing.TB, group, text string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := s.Text(group)
		if strings.Contains(got, text) {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("log of %s has no %q:\n%s", group, text, got)
		}
	}
}

// family runs every runtime that tests use.
type family struct{}

func (family) Names() []string {
	return []string{"nodejs20.x", "python3.12", "nodejs12.x", "provided.al2023"}
}
func (family) Installed() []runtimes.Version { return nil }
func (family) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	spec := driver.Spec{Argv: []string{"/bootstrap", fn.Env["_HANDLER"]}, Limits: fn.Limits, TmpBytes: fn.TmpBytes}
	for k, v := range fn.Env {
		spec.Env = append(spec.Env, k+"="+v)
	}
	return runtimes.Plan{Runtime: fn.Runtime, Spec: spec}, nil
}

// Driver makes sandboxes of goroutines.
type Driver struct {
	programs map[string]Program

	mu      sync.Mutex
	started int
}

var _ driver.Driver = (*Driver)(nil)

// Add makes a program run for functions with that handler.
func (d *Driver) Add(handler string, p Program) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.programs[handler] = p
}

func (d *Driver) program(spec driver.Spec) Program {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(spec.Argv) < 2 {
		return nil
	}
	return d.programs[spec.Argv[1]]
}

// Started counts the sandboxes made so far.
func (d *Driver) Started() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.started
}

// Report implements driver.Driver.
func (d *Driver) Report() driver.Report { return driver.Report{Driver: "invoketest"} }

// Close implements driver.Driver.
func (d *Driver) Close() error { return nil }

// Start implements driver.Driver.
func (d *Driver) Start(_ context.Context, spec driver.Spec) (driver.Sandbox, error) {
	program := d.program(spec)
	if program == nil {
		return nil, driver.ErrUnsupported
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.started++
	id := strconv.Itoa(d.started)
	d.mu.Unlock()
	b := &Box{id: id, spec: spec, ln: ln, base: "http://" + ln.Addr().String() + "/2018-06-01/runtime/", done: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.client = &http.Client{Transport: &http.Transport{}}
	go b.run(program)
	return b, nil
}

// A Box is one sandbox, seen by the driver's user and by the program in it.
type Box struct {
	id     string
	spec   driver.Spec
	ln     net.Listener
	base   string
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	exit   driver.Exit
	killed bool
}

var _ driver.Sandbox = (*Box)(nil)

func (b *Box) run(p Program) {
	exit := p(b)
	b.mu.Lock()
	if exit.Killed = b.killed; b.killed {
		exit.Signal = 9
	}
	b.exit = exit
	b.mu.Unlock()
	b.client.CloseIdleConnections()
	close(b.done)
}

// The driver's side.

func (b *Box) ID() string                 { return b.id }
func (b *Box) Listener() net.Listener     { return b.ln }
func (b *Box) Mount(string, string) error { return driver.ErrUnsupported }
func (b *Box) Resize(driver.Limits) error { return nil }
func (b *Box) Freeze() error              { return driver.ErrUnsupported }
func (b *Box) Thaw() error                { return nil }
func (b *Box) Reclaim() error             { return driver.ErrUnsupported }
func (b *Box) MaxMemory() int64           { return 38 << 20 }
func (b *Box) Done() <-chan struct{}      { return b.done }

func (b *Box) Exit() driver.Exit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.exit
}

func (b *Box) Kill() {
	b.mu.Lock()
	b.killed = true
	b.mu.Unlock()
	b.cancel()
	b.ln.Close()
	<-b.done
}

// The program's side.

// Env is a variable of the sandbox's environment.
func (b *Box) Env(name string) string {
	for _, kv := range b.spec.Env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// Limits are the sandbox's.
func (b *Box) Limits() driver.Limits { return b.spec.Limits }

// Killed is done when the sandbox is to end.
func (b *Box) Killed() <-chan struct{} { return b.ctx.Done() }

// Print writes to standard output.
func (b *Box) Print(s string) { io.WriteString(b.spec.Stdout, s) }

// Log writes a framed record.
func (b *Box) Log(s string) {
	frame := binary.BigEndian.AppendUint32(nil, 0xa55a0003)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(s)))
	frame = binary.BigEndian.AppendUint64(frame, uint64(time.Now().UnixMicro()))
	b.spec.Log.Write(append(frame, s...))
}

// An Event is what the runtime was given.
type Event struct {
	ID, ARN, TraceID, ClientContext string
	Deadline                        time.Time
	Payload                         []byte
}

// Next waits for an event; ok is false when the sandbox is to end.
func (b *Box) Next() (e Event, ok bool) {
	req, _ := http.NewRequestWithContext(b.ctx, "GET", b.base+"invocation/next", nil)
	resp, err := b.client.Do(req)
	if err != nil {
		return e, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return e, false
	}
	h := resp.Header
	ms, _ := strconv.ParseInt(h.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	return Event{h.Get("Lambda-Runtime-Aws-Request-Id"), h.Get("Lambda-Runtime-Invoked-Function-Arn"), h.Get("Lambda-Runtime-Trace-Id"),
		h.Get("Lambda-Runtime-Client-Context"), time.UnixMilli(ms), body}, true
}

// Answer returns the handler's result.
func (b *Box) Answer(id, body string) int { return b.post("invocation/"+id+"/response", body, "") }

// Stream answers bit by bit: the chunks of parts are sent as they come. Parts that fail with an error end the answer with it
// in the trailers.
func (b *Box) Stream(id, contentType string, parts iter.Seq2[string, error]) int {
	r, w := io.Pipe()
	req, _ := http.NewRequestWithContext(b.ctx, "POST", b.base+"invocation/"+id+"/response", r)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	req.Trailer = http.Header{"Lambda-Runtime-Function-Error-Type": nil, "Lambda-Runtime-Function-Error-Body": nil}
	go func() {
		defer w.Close()
		for part, err := range parts {
			if err != nil {
				req.Trailer.Set("Lambda-Runtime-Function-Error-Type", "Error")
				req.Trailer.Set("Lambda-Runtime-Function-Error-Body", base64.StdEncoding.EncodeToString([]byte(`{"errorMessage":"`+err.Error()+`"}`)))
				return
			}
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}()
	return b.do(req)
}

// Fail returns the handler's error.
func (b *Box) Fail(id, body, kind string) int { return b.post("invocation/"+id+"/error", body, kind) }

// FailInit says that the handler cannot be loaded.
func (b *Box) FailInit(body, kind string) int { return b.post("init/error", body, kind) }

func (b *Box) post(path, body, kind string) int {
	req, _ := http.NewRequestWithContext(b.ctx, "POST", b.base+path, strings.NewReader(body))
	if kind != "" {
		req.Header.Set("Lambda-Runtime-Function-Error-Type", kind)
	}
	return b.do(req)
}

func (b *Box) do(req *http.Request) int {
	resp, err := b.client.Do(req)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// Serve is the loop of a healthy runtime: it answers every event with what handle returns.
func Serve(handle func(*Box, Event) string) Program {
	return func(b *Box) driver.Exit {
		for {
			e, ok := b.Next()
			if !ok {
				return driver.Exit{}
			}
			b.Answer(e.ID, handle(b, e))
		}
	}
}
