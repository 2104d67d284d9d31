package invoke_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/blob"
	"lambent/blob/blobtest"
	"lambent/invoke"
	"lambent/invoke/invoketest"
	"lambent/invoke/runtimeapi"
	"lambent/kv/kvtest"
	"lambent/runtimes"
	"lambent/runtimes/nodejs"
	"lambent/runtimes/python"
	"lambent/sandbox"
	"lambent/sandbox/process"
)

// real runs functions as processes in real sandboxes.
type real struct {
	*invoke.Invoker
	t     testing.TB
	pool  *sandbox.Pool
	blobs *blob.Store
	logs  *invoketest.Sink
}

func newReal(t testing.TB) *real {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: real sandboxes need root here")
	}
	dir := t.TempDir()
	d, err := process.Open(process.Config{Dir: filepath.Join(dir, "sandboxes")})
	if err != nil {
		t.Fatal(err)
	}
	r := &real{t: t, blobs: blobtest.Mem(t, kvtest.Mem(t)), logs: &invoketest.Sink{}}
	logs := invoke.NewLogs(r.logs, slog.New(slog.DiscardHandler))
	r.pool = sandbox.New(d, sandbox.Config{NewSession: invoke.Sessions(logs, runtimeapi.New)})
	code, err := invoke.OpenCode(r.blobs, filepath.Join(dir, "code"), 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.Invoker = invoke.New(invoke.Config{Pool: r.pool, Code: code, Credentials: (*invoketest.Cloud)(nil),
		Runtimes: runtimes.NewSet(nodejs.New(nodejs.Search("")), python.New(python.Search("")))})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { logs.Run(ctx) })
	running.Go(func() { r.pool.Run(ctx) })
	t.Cleanup(func() {
		r.pool.Close()
		cancel()
		running.Wait()
		code.Close()
		d.Close()
	})
	return r
}

func (r *real) function(name, runtime, handler string, files ...string) *invoke.Function {
	r.t.Helper()
	code, err := r.blobs.Put(r.t.Context(), bytes.NewReader(invoketest.Zip(r.t, files...)))
	if err != nil {
		r.t.Fatal(err)
	}
	return &invoke.Function{Account: "000000000000", Region: "us-east-1", Name: name, Version: "$LATEST", Revision: "1",
		ARN: "arn:aws:lambda:us-east-1:000000000000:function:" + name, Runtime: runtime, Handler: handler, Code: code,
		Memory: 128, Tmp: 512, Timeout: 3 * time.Second, LogGroup: "/aws/lambda/" + name, RoleARN: "arn:aws:iam::000000000000:role/r"}
}

func TestRealFunctions(t *testing.T) {
	r := newReal(t)
	node := `exports.handler = async (e, c) => { console.log("hello", e.name); return {hi: e.name, fn: c.functionName, left: c.getRemainingTimeInMillis() > 0, id: c.awsRequestId} }`
	py := "import os\ndef handler(e, c):\n    print('hello', e['name'])\n    return {'hi': e['name'], 'fn': c.function_name, 'region': os.environ['AWS_REGION']}\n"
	tests := []struct {
		name             string
		fn               *invoke.Function
		payload          string
		failed           bool
		want, log, again string
	}{
		{"node", r.function("node", "nodejs20.x", "index.handler", "index.js", node), `{"name":"Niko"}`, false, `{"hi":"Niko","fn":"node","left":true,"id":"` + id + `"}`, "\tINFO\thello Niko\nEND RequestId", ""},
		{"old node", r.function("oldnode", "nodejs12.x", "handler.hello", "handler.js", `module.exports.hello = async event => ({statusCode: 200})`), `{}`, false, `{"statusCode":200}`, "REPORT", ""},
		{"python", r.function("py", "python3.11", "index.handler", "index.py", py), `{"name":"Niko"}`, false, `{"hi": "Niko", "fn": "py", "region": "us-east-1"}`, "hello Niko\nEND RequestId", ""},
		{"error", r.function("err", "nodejs20.x", "index.handler", "index.js", `exports.handler = async () => { throw new TypeError("no") }`), `{}`, true, `"errorType":"TypeError","errorMessage":"no"`, "Invoke Error", ""},
		{"wrong handler", r.function("wrong", "nodejs20.x", "nope.handler", "index.js", ``), `{}`, true, `Runtime.ImportModuleError`, "Status: error\tError Type: Runtime.ImportModuleError", ""},
		{"exit", r.function("exit", "nodejs20.x", "index.handler", "index.js", `exports.handler = async () => { process.exit(3) }`), `{}`, true, `Error: Runtime exited with error: exit status 3`, "Runtime.ExitError", ""},
		{"memory", r.function("mem", "python3.11", "index.handler", "index.py", "def handler(e, c):\n    x = []\n    while True:\n        x.append(bytearray(10000000))\n"), `{}`, true, `"errorType":"Runtime.OutOfMemory"`, "Max Memory Used: 128 MB", ""},
		{"timeout", r.function("slow", "nodejs20.x", "index.handler", "index.js", `exports.handler = () => new Promise(() => setTimeout(() => {}, 60000))`), `{}`, true, `Task timed out after 3.00 seconds`, "Status: timeout", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := r.Call(t.Context(), tt.fn, &invoke.Request{Payload: []byte(tt.payload), RequestID: id, LogTail: true})
			if err != nil {
				t.Fatal(err)
			}
			if (res.FunctionError != "") != tt.failed || !strings.Contains(string(res.Payload), tt.want) {
				t.Errorf("answer = %q %s\nwant %s", res.FunctionError, res.Payload, tt.want)
			}
			if !strings.Contains(string(res.LogTail), tt.log) && !strings.Contains(r.logs.Wait(t, tt.fn.LogGroup, "REPORT"), tt.log) {
				t.Errorf("log = %s\nwant %q", res.LogTail, tt.log)
			}
		})
	}
}

// TestRealLayers finds libraries, programs and files of layers below /opt, the later layer's over the earlier's.
func TestRealLayers(t *testing.T) {
	r := newReal(t)
	layer := func(files ...string) blob.Ref {
		ref, err := r.blobs.Put(t.Context(), bytes.NewReader(invoketest.Zip(t, files...)))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	first := layer("nodejs/node_modules/greet/index.js", "module.exports = 'hello'", "python/greet.py", "word = 'hello'", "which", "first", "first", "")
	second := layer("which", "second")
	node := r.function("node", "nodejs20.x", "index.handler", "index.js",
		`exports.handler = async () => [require('greet'), require('fs').readFileSync('/opt/which', 'utf8'), require('fs').existsSync('/opt/first')]`)
	py := r.function("py", "python3.11", "index.handler", "index.py", "import greet\ndef handler(e, c):\n    return [greet.word, open('/opt/which').read()]\n")
	node.Layers, py.Layers = []blob.Ref{first, second}, []blob.Ref{second, first}
	for _, tt := range []struct {
		fn   *invoke.Function
		want string
	}{{node, `["hello","second",true]`}, {py, `["hello", "first"]`}} {
		for range 2 { // cold from a stem cell or plain, then warm
			res, err := r.Call(t.Context(), tt.fn, &invoke.Request{Payload: []byte("{}")})
			if err != nil {
				t.Fatal(err)
			}
			if string(res.Payload) != tt.want {
				t.Errorf("%s answers %s, want %s", tt.fn.Name, res.Payload, tt.want)
			}
		}
	}
}

// TestRealWarmAndCold calls from many sides: one sandbox serves one call at a time, and is used again.
func TestRealWarmAndCold(t *testing.T) {
	r := newReal(t)
	fn := r.function("count", "nodejs20.x", "index.handler", "index.js", `let n = 0; exports.handler = async (e) => { n++; const m = n; await new Promise(d => setTimeout(d, 20)); return [m, n] }`)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 5 {
				res, err := r.Call(t.Context(), fn, &invoke.Request{Payload: []byte(`{}`)})
				if err != nil {
					t.Error(err)
					return
				}
				var a, b string
				a, b, _ = strings.Cut(strings.Trim(string(res.Payload), "[]"), ",")
				if a != b {
					t.Errorf("two calls at a time in one sandbox: %s", res.Payload)
				}
			}
		})
	}
	group.Wait()
	if s := r.pool.Stats(); s.Warm == 0 || s.Busy != 0 {
		t.Errorf("stats = %+v", s)
	}
}

func benchmarkReal(b *testing.B, fn func(*real) *invoke.Function) {
	r := newReal(b)
	f := fn(r)
	req := &invoke.Request{Payload: []byte(`{"name":"Niko"}`)}
	if _, err := r.Call(b.Context(), f, req); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Call(b.Context(), f, req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRealNode(b *testing.B) {
	benchmarkReal(b, func(r *real) *invoke.Function {
		return r.function("node", "nodejs20.x", "index.handler", "index.js", `exports.handler = async (e) => ({hello: e.name})`)
	})
}

func BenchmarkRealPython(b *testing.B) {
	benchmarkReal(b, func(r *real) *invoke.Function {
		return r.function("py", "python3.11", "index.handler", "index.py", "def handler(e, c):\n    return {'hello': e['name']}\n")
	})
}
