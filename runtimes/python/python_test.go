package python_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/python"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

var limits = driver.Limits{MemoryBytes: 128 << 20}

func setup(t testing.TB) (driver.Driver, *python.Runtime) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	r := python.New(python.Search(""))
	if len(r.Installed()) == 0 {
		t.Skip("no Python on this host")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, r
}

func function(t testing.TB, handler, code string) runtimes.Function {
	return runtimes.Function{Runtime: "python3.11", Handler: handler, CodeDir: runtimetest.Code(t, map[string]string{"app.py": code}), Limits: limits}
}

// both runs a test from a stem cell and by the plain path.
func both(t *testing.T, f func(t *testing.T, stem bool)) {
	t.Run("stem", func(t *testing.T) { f(t, true) })
	t.Run("plain", func(t *testing.T) { f(t, false) })
}

func TestHandlers(t *testing.T) {
	d, r := setup(t)
	const id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
	tests := []struct{ name, code, event, want string }{
		{"dict", `def handler(e, c): return {"got": e}`, `{"a":"ü"}`, `{"got": {"a": "\u00fc"}}`},
		{"nothing", `def handler(e, c): pass`, `{}`, `null`},
		{"empty event", `def handler(e, c): return e`, ``, `{}`},
		{"decimal", "import decimal\ndef handler(e, c): return decimal.Decimal('1.5')", `{}`, `1.5`},
		{"context", `def handler(e, c): return [c.aws_request_id, c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name,
			c.log_stream_name, c.invoked_function_arn, c.get_remaining_time_in_millis() > 1000, c.client_context, c.identity.cognito_identity_id]`, `{}`,
			`["` + id + `", "hello", "$LATEST", "128", "/aws/lambda/hello", "stream", "arn:aws:lambda:eu-west-1:000000000000:function:hello", true, null, null]`},
		{"environment", "import os\ndef handler(e, c): return [os.environ['_HANDLER'], os.environ['AWS_REGION'], 'LAMBENT_STEM' in os.environ, '_LAMBDA_TELEMETRY_LOG_FD' in os.environ, os.getcwd(), os.environ['TZ']]", `{}`,
			`["app.handler", "eu-west-1", false, false, "/var/task", ":UTC"]`},
		{"no packages of the host", "import sys\ndef handler(e, c): return [p for p in sys.path if 'packages' in p and not p.startswith('/opt/')] + sys.path[:1]", `{}`, `["/var/task"]`},
		{"quits like site", `def handler(e, c): return callable(exit)`, `{}`, `true`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, stem bool) {
				f := runtimetest.Start(t, d, r, function(t, "app.handler", tt.code), stem)
				for range 2 {
					got := f.Invoke(t, id, tt.event)
					if got.Body != tt.want || got.Path != "invocation/"+id+"/response" {
						t.Fatalf("got %+v, want %s\n%s", got, tt.want, f.Output())
					}
				}
			})
		})
	}
}

func TestHandlerInPackage(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "", "")
	fn.CodeDir = runtimetest.Code(t, map[string]string{"pkg/mod.py": "def func(e, c): return __name__", "pkg/__init__.py": ""})
	for _, handler := range []string{"pkg/mod.func", "pkg.mod.func"} {
		fn.Handler = handler
		if got := runtimetest.Start(t, d, r, fn, true).Invoke(t, "r", `{}`); got.Body != `"pkg.mod"` {
			t.Errorf("%s: %+v", handler, got)
		}
	}
}

func TestInvokeErrors(t *testing.T) {
	d, r := setup(t)
	tests := []struct {
		name, code, event, kind, message string
		trace                            []string
		log                              string
	}{
		{"raise", "def handler(e, c):\n    raise ValueError('no')\n", `{}`, "ValueError", "no", []string{"  File \"/var/task/app.py\", line 2, in handler\n    raise ValueError('no')\n"},
			"[ERROR] ValueError: no\nTraceback (most recent call last):\n\u00a0\u00a0File \"/var/task/app.py\", line 2, in handler\n\u00a0\u00a0\u00a0\u00a0raise ValueError('no')"},
		{"bytes", `def handler(e, c): return b"x"`, `{}`, "Runtime.MarshalError", "Unable to marshal response: Object of type bytes is not JSON serializable", nil, "[ERROR] Runtime.MarshalError: Unable to marshal response"},
		{"bad event", `def handler(e, c): return 1`, `{`, "Runtime.UnmarshalError", "Unable to unmarshal input: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", nil, "[ERROR] Runtime.UnmarshalError"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtimetest.Start(t, d, r, function(t, "app.handler", tt.code), true)
			got := f.Invoke(t, "r1", tt.event)
			e := got.Error()
			if got.Path != "invocation/r1/error" || got.Type != tt.kind || e.ErrorType != tt.kind || e.ErrorMessage != tt.message || e.RequestID != "r1" ||
				strings.Join(e.StackTrace, "") != strings.Join(tt.trace, "") {
				t.Errorf("got %+v", got)
			}
			if log := f.Records(t, 1)[0]; !strings.Contains(log, tt.log) {
				t.Errorf("log %q, want %q in it", log, tt.log)
			}
			if again := f.Invoke(t, "r2", tt.event); again.Path != "invocation/r2/error" {
				t.Errorf("second call: %+v", again)
			}
		})
	}
}

func TestInitErrors(t *testing.T) {
	d, r := setup(t)
	tests := []struct{ name, handler, code, kind, message string }{
		{"no module", "nope.handler", ``, "Runtime.ImportModuleError", "Unable to import module 'nope': No module named 'nope'"},
		{"missing import", "app.handler", `import nothing_here`, "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nothing_here'"},
		{"no handler", "app.nope", ``, "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'app'"},
		{"syntax", "app.handler", "def handler(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': invalid syntax (app.py, line 1)"},
		{"no dot", "app", ``, "Runtime.MalformedHandlerName", "Bad handler 'app': not enough values to unpack (expected 2, got 1)"},
		{"builtin", "sys.exit", ``, "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"},
		{"raises", "app.handler", `raise KeyError('k')`, "KeyError", "'k'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, stem bool) {
				f := runtimetest.Start(t, d, r, function(t, tt.handler, tt.code), stem)
				got := f.Result(t)
				if e := got.Error(); got.Path != "init/error" || e.ErrorType != tt.kind || e.ErrorMessage != tt.message {
					t.Errorf("got %+v", got)
				}
				if log := f.Records(t, 1)[0]; !strings.HasPrefix(log, "[ERROR] "+tt.kind+": "+tt.message) {
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
	f := runtimetest.Start(t, d, r, function(t, "app.handler", `import boto3`), true)
	if got := f.Result(t); got.Error().ErrorMessage != "Unable to import module 'app': No module named 'boto3'" {
		t.Errorf("got %+v", got)
	}
	if log := f.Records(t, 1)[0]; log != "[WARNING] boto3 is part of AWS's runtimes, and not here yet: package it with the function, or let the operator add it for all (lambent runtimes add python-sdk)." {
		t.Errorf("log %q", log)
	}
}

// TestSDK: what the operator has put on the shelf is found after the function's own modules and its layers'.
func TestSDK(t *testing.T) {
	d, r := setup(t)
	r.Carry(runtimes.Shelf{runtimetest.Code(t, map[string]string{"python-sdk/boto3.py": `x = 'carried'`, "python-sdk/twice.py": `x = 'carried'`})})
	fn := function(t, "app.handler", "import boto3, twice\ndef handler(e, c): return [boto3.x, twice.x]")
	fn.OptDir = runtimetest.Code(t, map[string]string{"python/twice.py": `x = 'from a layer'`})
	both(t, func(t *testing.T, stem bool) {
		if got := runtimetest.Start(t, d, r, fn, stem).Invoke(t, "r", `{}`); got.Body != `["carried", "from a layer"]` {
			t.Errorf("got %+v", got)
		}
	})
}

func TestLayers(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "app.handler", "import inlayer\ndef handler(e, c): return inlayer.x")
	fn.OptDir = runtimetest.Code(t, map[string]string{"python/inlayer.py": `x = 'from a layer'`})
	both(t, func(t *testing.T, stem bool) {
		if got := runtimetest.Start(t, d, r, fn, stem).Invoke(t, "r", `{}`); got.Body != `"from a layer"` {
			t.Errorf("got %+v", got)
		}
	})
}

func TestExit(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "app.handler", "import sys\ndef handler(e, c):\n    print('bye')\n    sys.exit(3)\n"), true)
	if err := f.Send(t.Context(), "r1", `{}`, nil); err != nil {
		t.Fatal(err)
	}
	<-f.Sandbox.Done()
	if f.Sandbox.Exit().Code != 3 {
		t.Errorf("exit %+v", f.Sandbox.Exit())
	}
	f.WaitOutput(t, "bye\n")
}

func TestLogs(t *testing.T) {
	d, r := setup(t)
	fn := function(t, "app.handler", `
import logging, sys
log = logging.getLogger(__name__)
log.warning("at start")
def handler(e, c):
    logging.getLogger().setLevel(logging.INFO)
    log.info("two\nlines %d", 7)
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("caught")
    print("printed")
    sys.stderr.write("raw\n")
`)
	f := runtimetest.Start(t, d, r, fn, true)
	f.Invoke(t, "r1", `{}`)
	got := f.Records(t, 5)
	stamp := regexp.MustCompile(`\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t`)
	for i, want := range []string{"[WARNING]<>\tat start\n", "[INFO]<>r1\ttwo\nlines 7\n", "[ERROR]<>r1\tcaught\nTraceback (most recent call last):\n  File \"/var/task/app.py\", line 9, in handler\n"} {
		if s := stamp.ReplaceAllString(got[i], "<>"); !strings.HasPrefix(s, want) {
			t.Errorf("record %d: %q, want %q", i, s, want)
		}
	}
	if got[3] != "printed\n" || got[4] != "raw\n" {
		t.Errorf("printed: %q", got[3:])
	}

	fn.Env = runtimetest.Env(map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
	f = runtimetest.Start(t, d, r, fn, true)
	f.Invoke(t, "r2", `{}`)
	var line struct {
		Level, Message, RequestID, Timestamp, ErrorType string
	}
	if err := json.Unmarshal([]byte(f.Records(t, 3)[2]), &line); err != nil || line.Level != "ERROR" || line.RequestID != "r2" || line.ErrorType != "ZeroDivisionError" {
		t.Errorf("%v %+v", err, line)
	}
}

// TestPrintAndLogInOneOrder: both go the same way, whole lines each.
func TestPrintAndLogInOneOrder(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "app.handler", `
import logging, subprocess, sys
logging.getLogger().setLevel(logging.INFO)
def handler(e, c):
    for i in range(20):
        print("a", i)
        c.log("b %d" % i)
        sys.stderr.write("c %d\nd %d\n" % (i, i))
    print("of a line", end="", flush=True)
    print(", the rest")
    sys.stdout.buffer.write(b"bytes\n")
    subprocess.run(["echo", "child"])
    sys.stdout.write("unfinished")
    return [sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.encoding, sys.stdout.isatty()]
`), true)
	for range 2 {
		if got := f.Invoke(t, "r1", `{}`); got.Body != `[1, 2, "utf-8", false]` {
			t.Errorf("got %+v", got)
		}
	}
	got := f.Records(t, 161) // the first line of the second call ends what the first call left
	for i := range 20 {
		if want := fmt.Sprintf("a %d\n|b %d|c %d\n|d %d\n", i, i, i, i); strings.Join(got[4*i:4*i+4], "|") != want {
			t.Errorf("records %q, want %s", got[4*i:4*i+4], want)
		}
	}
	if got[80] != "bytes\n" {
		t.Errorf("%q", got[80])
	}
	f.WaitOutput(t, "of a line, the rest\nchild\nunfinisheda 0\n")
}

func TestHeaders(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "app.handler", `
import os
def handler(e, c): return [os.environ.get("_X_AMZN_TRACE_ID"), c.client_context and c.client_context.custom, c.client_context and c.client_context.client.app_title, c.identity.cognito_identity_id]`), true)
	f.Send(t.Context(), "r1", `{}`, map[string]string{
		"Lambda-Runtime-Trace-Id": "Root=1-2-3", "Lambda-Runtime-Client-Context": `{"custom":{"k":"v"},"client":{"app_title":"t"}}`, "Lambda-Runtime-Cognito-Identity": `{"cognitoIdentityId":"i"}`,
	})
	if got, want := f.Result(t).Body, `["Root=1-2-3", {"k": "v"}, "t", "i"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := f.Invoke(t, "r2", `{}`).Body, `[null, null, null, null]`; got != want {
		t.Errorf("without headers: got %s, want %s", got, want)
	}
}

// TestPrivateInterpreter runs a Python that lies below a home folder which nobody else may enter.
func TestPrivateInterpreter(t *testing.T) {
	d, _ := setup(t)
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	all := python.New(python.Search(home)).Installed()
	own := python.New(python.Search("")).Installed()
	if len(all) == len(own) {
		t.Skip("no Python below the home folder")
	}
	r := python.New(python.Search(home))
	for _, v := range all {
		if !strings.HasPrefix(v.Path, home) {
			continue
		}
		fn := function(t, "app.handler", "import sys, ssl, sqlite3, ctypes\ndef handler(e, c): return ['python%d.%d' % sys.version_info[:2], sys.prefix]")
		fn.Runtime = v.Name
		if got := runtimetest.Start(t, d, r, fn, true).Invoke(t, "r", `{}`); got.Body != `["`+v.Name+`", "/var/lang"]` {
			t.Errorf("%+v: got %+v", v, got)
		}
	}
}
