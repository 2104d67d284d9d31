package nodejs_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/nodejs"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

var limits = driver.Limits{MemoryBytes: 128 << 20}

func setup(t testing.TB) (driver.Driver, *nodejs.Runtime) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	r := nodejs.New(nodejs.Search(""))
	if len(r.Installed()) == 0 {
		t.Skip("no Node.js on this host")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, r
}

func function(t testing.TB, handler string, files map[string]string) runtimes.Function {
	return runtimes.Function{Runtime: "nodejs20.x", Handler: handler, CodeDir: runtimetest.Code(t, files), Limits: limits}
}

// both runs a test from a stem cell and by the plain path.
func both(t *testing.T, f func(t *testing.T, stem bool)) {
	t.Run("stem", func(t *testing.T) { f(t, true) })
	t.Run("plain", func(t *testing.T) { f(t, false) })
}

func TestHandlers(t *testing.T) {
	d, r := setup(t)
	const id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
	tests := []struct {
		name, handler string
		files         map[string]string
		event, want   string
	}{
		{"async", "index.handler", map[string]string{"index.js": `exports.handler = async (e) => ({got: e})`}, `{"a":"ü"}`, `{"got":{"a":"ü"}}`},
		{"promise", "index.handler", map[string]string{"index.js": `exports.handler = (e) => Promise.resolve(e.a)`}, `{"a":1}`, `1`},
		{"callback", "index.handler", map[string]string{"index.js": `exports.handler = (e, c, cb) => setTimeout(() => cb(null, 'late'), 5)`}, `{}`, `"late"`},
		{"callback waits for the loop", "index.handler", map[string]string{"index.js": `
			let n = 0; exports.handler = (e, c, cb) => { setTimeout(() => { n = 1 }, 30); cb(null, {get n() { return n }}) }`}, `{}`, `{"n":1}`},
		{"callback does not wait when told", "index.handler", map[string]string{"index.js": `
			let n = 0; exports.handler = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; setTimeout(() => { n = 1 }, 500); cb(null, {get n() { return n }}) }`}, `{}`, `{"n":0}`},
		{"never answers", "index.handler", map[string]string{"index.js": `exports.handler = () => {}`}, `{}`, `null`},
		{"undefined", "index.handler", map[string]string{"index.js": `exports.handler = async () => {}`}, `{}`, `null`},
		{"context.succeed", "index.handler", map[string]string{"index.js": `exports.handler = (e, c) => c.succeed('s')`}, `{}`, `"s"`},
		{"context.done", "index.handler", map[string]string{"index.js": `exports.handler = (e, c) => c.done(null, 'd')`}, `{}`, `"d"`},
		{"nested export in a folder", "src/a.b.c", map[string]string{"src/a.js": `exports.b = {x: 5, c() { return Promise.resolve(this.x) }}`}, `{}`, `5`},
		{"ES module by ending", "index.handler", map[string]string{"index.mjs": `import {x} from './x.mjs'; export const handler = async () => x`, "x.mjs": `export const x = await Promise.resolve('esm')`}, `{}`, `"esm"`},
		{"ES module by package.json", "index.handler", map[string]string{"package.json": `{"type":"module"}`, "index.js": `export async function handler() { return 'mod' }`}, `{}`, `"mod"`},
		{"CommonJS by ending", "index.handler", map[string]string{"package.json": `{"type":"module"}`, "index.cjs": `exports.handler = async () => 'cjs'`}, `{}`, `"cjs"`},
		{"default export", "index.handler", map[string]string{"index.mjs": `export default {handler: async () => 'def'}`}, `{}`, `"def"`},
		{"own packages", "index.handler", map[string]string{"index.js": `exports.handler = async () => require('p')`, "node_modules/p/index.js": `module.exports = 'p'`}, `{}`, `"p"`},
		{"empty event", "index.handler", map[string]string{"index.js": `exports.handler = async (e) => e`}, ``, `{}`},
		{"context", "index.handler", map[string]string{"index.js": `exports.handler = async (e, c) => [c.awsRequestId, c.functionName, c.functionVersion, c.memoryLimitInMB,
			c.logGroupName, c.logStreamName, c.invokedFunctionArn, c.getRemainingTimeInMillis() > 1000, c.callbackWaitsForEmptyEventLoop, typeof c.identity]`}, `{}`,
			`["` + id + `","hello","$LATEST","128","/aws/lambda/hello","stream","arn:aws:lambda:eu-west-1:000000000000:function:hello",true,true,"undefined"]`},
		{"environment", "index.handler", map[string]string{"index.js": `exports.handler = async () => [process.env._HANDLER, process.env.AWS_REGION, process.env.LAMBENT_STEM === undefined,
			process.env._LAMBDA_TELEMETRY_LOG_FD === undefined, process.cwd(), process.env.TZ, process.env.AWS_EXECUTION_ENV]`}, `{}`,
			`["index.handler","eu-west-1",true,true,"/var/task",":UTC","AWS_Lambda_nodejs20.x"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, stem bool) {
				f := runtimetest.Start(t, d, r, function(t, tt.handler, tt.files), stem)
				for range 2 { // warm as well
					got := f.Invoke(t, id, tt.event)
					if got.Body != tt.want || got.Path != "invocation/"+id+"/response" {
						t.Fatalf("got %+v, want %s\n%s", got, tt.want, f.Output())
					}
				}
			})
		})
	}
}

func TestInvokeErrors(t *testing.T) {
	d, r := setup(t)
	tests := []struct{ name, code, kind, message, log string }{
		{"throw", `exports.handler = async () => { throw new TypeError('no\nway') }`, "TypeError", "no\nway", `ERROR	Invoke Error 	{"errorType":"TypeError","errorMessage":"no\nway","stack":["TypeError: no","way"`},
		{"throw at once", `exports.handler = () => { throw new Error('sync') }`, "Error", "sync", `ERROR	Invoke Error 	{"errorType":"Error"`},
		{"callback", `exports.handler = (e, c, cb) => cb(new Error('cb'))`, "Error", "cb", `Invoke Error`},
		{"string", `exports.handler = (e, c, cb) => cb('just text')`, "string", "just text", `ERROR	Invoke Error 	{"errorType":"string","errorMessage":"just text","trace":[]}`},
		{"own fields", `exports.handler = async () => { const e = new Error('x'); e.code = 'E1'; e.name = 'Own'; throw e }`, "Own", "x", `{"errorType":"Own","errorMessage":"x","code":"E1","stack":[`},
		{"not JSON", `exports.handler = async () => 1n`, "Error", "Unable to stringify response body", `Unable to stringify`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": tt.code}), true)
			got := f.Invoke(t, "r1", `{}`)
			e := got.Error()
			if got.Path != "invocation/r1/error" || e.ErrorType != tt.kind || got.Type != tt.kind || (tt.message != "" && e.ErrorMessage != tt.message) {
				t.Errorf("got %+v", got)
			}
			if log := f.Records(t, 1)[0]; !strings.Contains(log, tt.log) || !strings.Contains(log, "Z\tr1\t") {
				t.Errorf("log %q, want %q in it", log, tt.log)
			}
			if again := f.Invoke(t, "r2", `{}`); again.Path != "invocation/r2/error" {
				t.Errorf("second call: %+v", again)
			}
		})
	}
}

// TestStreaming: answers in chunks, and what becomes of errors before and after the first.
func TestStreaming(t *testing.T) {
	d, r := setup(t)
	const failed = "Lambda-Runtime-Function-Error-Type"
	tests := []struct {
		name, code string
		body, kind string // of the answer
		trailer    string // error type after the beginning
		refused    string // error type before it
	}{
		{name: "plain", code: `async (e, s, c) => { s.write('a'); s.write(c.awsRequestId); s.end('ü') }`, body: "ar1ü", kind: "application/octet-stream"},
		{name: "own type", code: `async (e, s) => { s.setContentType('text/html'); s.end('<p>') }`, body: "<p>", kind: "text/html"},
		{name: "nothing", code: `async (e, s) => s.end()`, kind: "application/octet-stream"},
		{name: "pipeline", code: `async (e, s) => require('stream/promises').pipeline(require('stream').Readable.from(['x'.repeat(1e5), 'y']), s)`, body: strings.Repeat("x", 1e5) + "y", kind: "application/octet-stream"},
		{name: "ends after it returns", code: `async (e, s) => { s.write('1'); setTimeout(() => s.end('2'), 5) }`, body: "12", kind: "application/octet-stream"},
		{name: "never ends", code: `async (e, s) => { s.write('1') }`, body: "1", kind: "application/octet-stream"},
		{name: "with a prelude", code: `async (e, s) => { s = awslambda.HttpResponseStream.from(s, {statusCode: 201, headers: {a: 'b'}}); s.write('body'); s.end() }`,
			body: `{"statusCode":201,"headers":{"a":"b"}}` + "\x00\x00\x00\x00\x00\x00\x00\x00body", kind: "application/vnd.awslambda.http-integration-response"},
		{name: "prelude alone", code: `async (e, s) => { awslambda.HttpResponseStream.from(s, {statusCode: 302}).end() }`,
			body: `{"statusCode":302}` + "\x00\x00\x00\x00\x00\x00\x00\x00", kind: "application/vnd.awslambda.http-integration-response"},
		{name: "fails before", code: `async () => { throw new TypeError('no') }`, refused: "TypeError"},
		{name: "fails after", code: `async (e, s) => { s.write('half'); throw new TypeError('no') }`, body: "half", kind: "application/octet-stream", trailer: "TypeError"},
		{name: "is not async", code: `() => {}`, refused: "Error"},
		{name: "too late for a type", code: `async (e, s) => { s.write('x'); await new Promise(setImmediate); s.setContentType('a/b') }`, body: "x", kind: "application/octet-stream", trailer: "Runtime.InvalidStreamingOperation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": "exports.handler = awslambda.streamifyResponse(" + tt.code + ")"}), true)
			for range 2 { // the connection is good for the next one
				got := f.Invoke(t, "r1", `{}`)
				if tt.refused != "" {
					if got.Path != "invocation/r1/error" || got.Type != tt.refused {
						t.Fatalf("got %+v", got)
					}
					continue
				}
				if got.Path != "invocation/r1/response" || got.Body != tt.body || got.Header.Get("Content-Type") != tt.kind ||
					got.Header.Get("Lambda-Runtime-Function-Response-Mode") != "streaming" || got.Trailer.Get(failed) != tt.trailer {
					t.Fatalf("got %.300q\n%s", fmt.Sprint(got), f.Output())
				}
				if tt.trailer != "" {
					shape, err := base64.StdEncoding.DecodeString(got.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
					if !strings.Contains(string(shape), `"errorType":"`+tt.trailer+`"`) {
						t.Errorf("error body %v %s", err, shape)
					}
				}
			}
		})
	}
}

// TestStreamingSendsAtOnce: a chunk arrives while the handler waits for something else.
func TestStreamingSendsAtOnce(t *testing.T) {
	d, r := setup(t)
	arrived := make(chan struct{})
	fn := function(t, "index.handler", map[string]string{"index.js": `
		const wait = () => new Promise((resolve) => require('net').connect(7000, '127.0.0.1').on('close', resolve).resume());
		exports.handler = awslambda.streamifyResponse(async (e, s) => { s.write('first'); await wait(); s.end(' last') })`})
	fn.Ports = []driver.Port{{Addr: "127.0.0.1:7000", Serve: func(c net.Conn) {
		<-arrived
		c.Close()
	}}}
	f := runtimetest.Start(t, d, r, fn, true)
	if err := f.Send(t.Context(), "r1", `{}`, nil); err != nil {
		t.Fatal(err)
	}
	f.WaitBody(t, "first")
	close(arrived)
	if got := f.Result(t); got.Body != "first last" {
		t.Errorf("got %+v", got)
	}
}

func TestInitErrors(t *testing.T) {
	d, r := setup(t)
	tests := []struct{ name, handler, code, kind, message string }{
		{"no module", "nope.handler", ``, "Runtime.ImportModuleError", "Error: Cannot find module 'nope'\nRequire stack:\n- /var/runtime/index.js"},
		{"missing import", "index.handler", `require('left-pad')`, "Runtime.ImportModuleError", "Error: Cannot find module 'left-pad'\nRequire stack:\n- /var/task/index.js\n- /var/runtime/index.js"},
		{"no handler", "index.nope", `exports.handler = 1`, "Runtime.HandlerNotFound", "index.nope is undefined or not exported"},
		{"no function", "index.handler", `exports.handler = 1`, "Runtime.HandlerNotFound", "index.handler is not a function"},
		{"syntax", "index.handler", `exports.handler = (`, "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token '}'"},
		{"no dot", "index", ``, "Runtime.MalformedHandlerName", "Bad handler"},
		{"outside", "../index.handler", ``, "Runtime.MalformedHandlerName", "'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names."},
		{"throws", "index.handler", `throw new RangeError('at start')`, "RangeError", "at start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, stem bool) {
				f := runtimetest.Start(t, d, r, function(t, tt.handler, map[string]string{"index.js": tt.code}), stem)
				got := f.Result(t)
				e := got.Error()
				message := e.ErrorMessage
				if tt.name == "syntax" { // V8's words change
					message = tt.message
				}
				if got.Path != "init/error" || e.ErrorType != tt.kind || message != tt.message || len(e.Trace) == 0 {
					t.Errorf("got %+v", got)
				}
				if log := f.Records(t, 1)[0]; !strings.Contains(log, "\tundefined\tERROR\tUncaught Exception \t{\"errorType\":") {
					t.Errorf("log %q", log)
				}
				<-f.Sandbox.Done()
				if f.Sandbox.Exit().Code != 1 {
					t.Errorf("exit %+v", f.Sandbox.Exit())
				}
			})
		})
	}
}

func TestMissingSDK(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": `require('@aws-sdk/client-s3')`}), true)
	if got := f.Result(t); got.Error().ErrorType != "Runtime.ImportModuleError" {
		t.Errorf("got %+v", got)
	}
	if log := f.Records(t, 1)[0]; !strings.Contains(log, "WARN\t@aws-sdk/client-s3 is part of AWS's runtimes, and not here yet: package it with the function (npm install @aws-sdk/client-s3), or let the operator add it for all (lambent runtimes add nodejs-sdk).") {
		t.Errorf("log %q", log)
	}
}

// TestSDK: what the operator has put on the shelf is found after the function's own modules and its layers'.
func TestSDK(t *testing.T) {
	d, r := setup(t)
	r.Carry(runtimes.Shelf{runtimetest.Code(t, map[string]string{
		"nodejs-sdk/node_modules/@aws-sdk/client-s3/index.js": `module.exports = 'carried'`,
		"nodejs-sdk/node_modules/twice/index.js":              `module.exports = 'carried'`,
		"nodejs-sdk-v2/node_modules/aws-sdk/index.js":         `module.exports = 'old'`,
	})})
	fn := function(t, "index.handler", map[string]string{
		"index.js": `exports.handler = async () => {
			let old;
			try { old = require('aws-sdk') } catch (e) { old = e.code }
			return [require('@aws-sdk/client-s3'), (await import('@aws-sdk/client-s3')).default, require('twice'), require('own'), old];
		}`,
		"node_modules/own/index.js": `module.exports = 'own'`,
	})
	fn.OptDir = runtimetest.Code(t, map[string]string{"nodejs/node_modules/twice/index.js": `module.exports = 'from a layer'`})
	for name, old := range map[string]string{"nodejs16.x": "old", "nodejs20.x": "MODULE_NOT_FOUND"} {
		fn.Runtime = name
		both(t, func(t *testing.T, stem bool) {
			want := `["carried","carried","from a layer","own","` + old + `"]`
			if got := runtimetest.Start(t, d, r, fn, stem).Invoke(t, "r", `{}`); got.Body != want {
				t.Errorf("%s: got %+v, want %s", name, got, want)
			}
		})
	}
}

// TestPlainPath is what only a fresh interpreter can honour.
func TestPlainPath(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "index.handler", map[string]string{
		"index.js": `exports.handler = async () => [process.env.WRAPPED, globalThis.early, process.execArgv.some(a => a.startsWith('--max-old-space-size='))]`,
		"early.js": `globalThis.early = 'required'`,
		"wrapper":  "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n",
	})
	fn.Env = runtimetest.Env(map[string]string{"NODE_OPTIONS": "--require /var/task/early.js", "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper"})
	if got := runtimetest.Start(t, d, r, fn, false).Invoke(t, "r", `{}`); got.Body != `["yes","required",true]` {
		t.Errorf("got %+v", got)
	}
}

func TestLayers(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "index.handler", map[string]string{"index.js": `exports.handler = async () => require('inlayer')`})
	fn.OptDir = runtimetest.Code(t, map[string]string{"nodejs/node_modules/inlayer/index.js": `module.exports = 'from a layer'`})
	both(t, func(t *testing.T, stem bool) {
		if got := runtimetest.Start(t, d, r, fn, stem).Invoke(t, "r", `{}`); got.Body != `"from a layer"` {
			t.Errorf("got %+v", got)
		}
	})
}

func TestUncaught(t *testing.T) {
	d, r := setup(t)
	tests := []struct {
		name, code, kind, message string
		status                    int
	}{
		{"exception", `exports.handler = () => new Promise(() => setTimeout(() => { throw new Error('late') }, 1))`, "Error", "late", 129},
		{"rejection", `exports.handler = () => new Promise(() => { Promise.reject(new Error('lost')); setTimeout(() => {}, 1000) })`, "Runtime.UnhandledPromiseRejection", "Error: lost", 128},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": tt.code}), true)
			got := f.Invoke(t, "r1", `{}`)
			if e := got.Error(); got.Path != "invocation/r1/error" || e.ErrorType != tt.kind || e.ErrorMessage != tt.message {
				t.Errorf("got %+v", got)
			}
			<-f.Sandbox.Done()
			if f.Sandbox.Exit().Code != tt.status {
				t.Errorf("exit %+v, want %d", f.Sandbox.Exit(), tt.status)
			}
		})
	}
}

func TestUncaughtBetweenInvocations(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": `
		exports.handler = async () => { setTimeout(() => { throw new Error('afterwards') }, 20); return 1 }`}), true)
	if got := f.Invoke(t, "r1", `{}`); got.Body != "1" {
		t.Fatalf("got %+v", got)
	}
	if got := f.Result(t); got.Path != "invocation/r1/error" || got.Error().ErrorMessage != "afterwards" {
		t.Errorf("got %+v", got)
	}
}

func TestLogs(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "index.handler", map[string]string{"index.js": `
		console.log('at start');
		exports.handler = async () => {
			console.log('two\nlines %d', 7, {a: 1}); console.info('i'); console.warn('w'); console.error('e'); console.debug('d');
			process.stdout.write('raw\n'); process.stderr.write('raw err\n');
		}`})
	f := runtimetest.Start(t, d, r, fn, true)
	f.Invoke(t, "r1", `{}`)
	got := f.Records(t, 6)
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t`)
	want := []string{"undefined\tINFO\tat start", "r1\tINFO\ttwo\nlines 7 { a: 1 }", "r1\tINFO\ti", "r1\tWARN\tw", "r1\tERROR\te", "r1\tDEBUG\td"}
	for i, w := range want {
		if !stamp.MatchString(got[i]) || stamp.ReplaceAllString(got[i], "") != w {
			t.Errorf("record %d: %q, want a time and %q", i, got[i], w)
		}
	}
	f.WaitOutput(t, "raw\n")
	f.WaitOutput(t, "raw err\n")

	fn.Env = runtimetest.Env(map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"})
	f = runtimetest.Start(t, d, r, fn, true)
	f.Invoke(t, "r2", `{}`)
	for i, want := range []string{"WARN", "ERROR"} {
		var line struct{ Level, Message, RequestID, Timestamp string }
		if err := json.Unmarshal([]byte(f.Records(t, 2)[i]), &line); err != nil || line.Level != want || line.RequestID != "r2" || line.Timestamp == "" {
			t.Errorf("record %d: %v %q", i, err, f.Records(t, 2)[i])
		}
	}
}

func TestHeaders(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": `
		const { execFileSync } = require('child_process');
		exports.handler = async (e, c) => {
			if (e.set) process.env._X_AMZN_TRACE_ID = e.set;
			const child = execFileSync('/bin/sh', ['-c', 'echo $_X_AMZN_TRACE_ID'], { encoding: 'utf8' }).trim();
			return [process.env._X_AMZN_TRACE_ID, child, c.clientContext, c.identity];
		}`}), true)
	f.Send(t.Context(), "r1", `{}`, map[string]string{
		"Lambda-Runtime-Trace-Id": "Root=1-2-3", "Lambda-Runtime-Client-Context": `{"custom":{"k":"v"}}`, "Lambda-Runtime-Cognito-Identity": `{"cognitoIdentityId":"i"}`,
	})
	if got, want := f.Result(t).Body, `["Root=1-2-3","Root=1-2-3",{"custom":{"k":"v"}},{"cognitoIdentityId":"i"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := f.Invoke(t, "r2", `{"set":"mine"}`).Body, `["mine","mine",null,null]`; got != want {
		t.Errorf("without headers, set by the function: got %s, want %s", got, want)
	}
	if got, want := f.Invoke(t, "r3", `{}`).Body, `[null,"",null,null]`; got != want {
		t.Errorf("after it: got %s, want %s", got, want)
	}
}

func TestLargeBodies(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "index.handler", map[string]string{"index.js": `exports.handler = async (e) => e`}), true)
	body := `{"x":"` + strings.Repeat("é", 3<<20) + `"}`
	if got := f.Invoke(t, "r1", body); got.Body != body {
		t.Errorf("got %d bytes at %s, want %d", len(got.Body), got.Path, len(body))
	}
}

func TestPlan(t *testing.T) {
	r := nodejs.New(nodejs.Search(""))
	if len(r.Installed()) == 0 {
		t.Skip("no Node.js on this host")
	}
	newest := r.Installed()[len(r.Installed())-1]
	plan := func(name string, env map[string]string) runtimes.Plan {
		p, err := r.Plan(runtimes.Function{Runtime: name, Handler: "a.b", CodeDir: "/", Env: env})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan(newest.Name, nil); p.Notice != "" || p.Stem == "" || p.Runtime != newest.Name {
		t.Errorf("installed version: %q %q %q", p.Notice, p.Stem, p.Runtime)
	}
	if p := plan("nodejs12.x", nil); p.Notice == "" || p.Runtime == "nodejs12.x" {
		t.Errorf("missing version: %q %q", p.Notice, p.Runtime)
	}
	for _, k := range []string{"NODE_OPTIONS", "LD_PRELOAD", "AWS_LAMBDA_EXEC_WRAPPER"} {
		if p := plan(newest.Name, map[string]string{k: "x"}); p.Stem != "" {
			t.Errorf("%s: made from a stem cell", k)
		}
	}
	if p := plan(newest.Name, map[string]string{"NODE_ENV": "production"}); p.Stem == "" {
		t.Error("NODE_ENV: no stem cell")
	}
}
