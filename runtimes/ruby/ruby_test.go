package ruby_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/ruby"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

var limits = driver.Limits{MemoryBytes: 128 << 20}

func setup(t testing.TB) (driver.Driver, *ruby.Runtime) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	r := ruby.New(ruby.Search(""))
	if len(r.Installed()) == 0 {
		t.Skip("no Ruby on this host")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, r
}

func function(t testing.TB, handler, code string) runtimes.Function {
	return runtimes.Function{Runtime: "ruby3.2", Handler: handler, CodeDir: runtimetest.Code(t, map[string]string{"app.rb": code}), Limits: limits}
}

func TestHandlers(t *testing.T) {
	d, r := setup(t)
	tests := []struct{ name, handler, code, event, want string }{
		{"hash", "app.handler", `def handler(event:, context:) = { got: event }`, `{"a":"ü"}`, `{"got":{"a":"ü"}}`},
		{"nothing", "app.handler", `def handler(event:, context:); end`, ``, `null`},
		{"class", "app.Shop.sell", `class Shop; def self.sell(event:, context:) = event["n"] + 1; end`, `{"n":1}`, `2`},
		{"module in a module", "app.A::B.run", `module A; module B; def self.run(event:, context:) = name; end; end`, `{}`, `"A::B"`},
		{"bytes", "app.handler", "require 'stringio'\ndef handler(event:, context:) = StringIO.new('raw')", `{}`, `raw`},
		{"context", "app.handler", `def handler(event:, context:) = [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb,
			context.log_group_name, context.log_stream_name, context.invoked_function_arn, context.get_remaining_time_in_millis > 1000, context.client_context, context.identity]`, `{}`,
			`["r1","hello","$LATEST","128","/aws/lambda/hello","stream","arn:aws:lambda:eu-west-1:000000000000:function:hello",true,null,null]`},
		{"environment", "app.handler", `def handler(event:, context:) = [ENV['_HANDLER'], ENV['AWS_REGION'], ENV['LAMBENT_STEM'], ENV['_LAMBDA_TELEMETRY_LOG_FD'], Dir.pwd, ENV['_X_AMZN_TRACE_ID']]`, `{}`,
			`["app.handler","eu-west-1",null,null,"/var/task",null]`},
		{"gem of its own", "app.handler", "require 'mine'\ndef handler(event:, context:) = Mine", `{}`, `"in a layer"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fn := function(t, tt.handler, tt.code)
			fn.OptDir = runtimetest.Code(t, map[string]string{"ruby/lib/mine.rb": "Mine = 'in a layer'"})
			for _, stem := range []bool{true, false} {
				if !stem && tt.name != "environment" {
					continue // a Ruby takes long to start, and goes the same way from here
				}
				f := runtimetest.Start(t, d, r, fn, stem)
				for range 2 {
					if got := f.Invoke(t, "r1", tt.event); got.Body != tt.want || got.Path != "invocation/r1/response" {
						t.Fatalf("stem %v: got %+v, want %s\n%s", stem, got, tt.want, f.Output())
					}
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	d, r := setup(t)
	tests := []struct {
		name, handler, code  string
		path, kind, platform string
		message              string
		ends                 bool // the process does, as the error may have left it broken
	}{
		{"raise", "app.handler", "def handler(event:, context:)\n  raise ArgumentError, 'no'\nend", "invocation/r1/error", "Function<ArgumentError>", "Function<ArgumentError>", "no", false},
		{"own class", "app.handler", "class Mine < StandardError; end\ndef handler(event:, context:) = raise(Mine, 'no')", "invocation/r1/error", "Function<Mine>", "Function<UserDefinedError>", "no", false},
		{"no method", "app.nope", "", "invocation/r1/error", "Function<NoMethodError>", "Function<NoMethodError>", "undefined method `nope' for Kernel:Module", true},
		{"cannot be JSON", "app.handler", "def handler(event:, context:) = Float::NAN", "invocation/r1/error", "Function<JSON::GeneratorError>", "Function<JSON::GeneratorError>", "NaN not allowed in JSON", false},
		{"no file", "nope.handler", "", "init/error", "Init<LoadError>", "Init<LoadError>", "cannot load such file -- nope", true},
		{"raise at start", "app.handler", "raise 'early'", "init/error", "Init<RuntimeError>", "Init<RuntimeError>", "early", true},
		{"syntax", "app.handler", "def", "init/error", "Init<SyntaxError>", "Init<SyntaxError>", "", true},
		{"no dot", "app", "", "init/error", "Init<ArgumentError>", "Init<ArgumentError>", `Invalid handler ["app"], must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := runtimetest.Start(t, d, r, function(t, tt.handler, tt.code), true)
			var got runtimetest.Result
			if strings.HasPrefix(tt.path, "init") {
				got = f.Result(t)
			} else {
				got = f.Invoke(t, "r1", `{}`)
			}
			if e := got.Error(); got.Path != tt.path || e.ErrorType != tt.kind || got.Type != tt.platform || !strings.Contains(e.ErrorMessage, tt.message) {
				t.Errorf("got %+v", got)
			}
			if tt.name == "raise" && strings.Join(got.Error().StackTrace, "|") != "/var/task/app.rb:2:in `handler'" {
				t.Errorf("stack %q", got.Error().StackTrace)
			}
			if log := f.Records(t, 2)[1]; !strings.Contains(log, `"errorType": "`+tt.kind+`"`) {
				t.Errorf("log %q", log)
			}
			if tt.ends {
				<-f.Sandbox.Done()
				if f.Sandbox.Exit().Code != 1 {
					t.Errorf("exit %+v", f.Sandbox.Exit())
				}
				return
			}
			if again := f.Invoke(t, "r2", `{}`); again.Path != "invocation/r2/error" {
				t.Errorf("second call: %+v", again)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "app.handler", `
require 'logger'
LOG = Logger.new($stdout)
def handler(event:, context:)
  puts "two\nlines"
  LOG.info("logged")
  p({ a: 1 })
  warn "to stderr"
  print "a line "
  puts "in two parts"
  system "echo child"
end
`), true)
	f.Invoke(t, "r1", `{}`)
	got := f.Records(t, 4)
	if got[0] != "two\nlines\n" || got[2] != "{:a=>1}\n" || got[3] != "to stderr\n" {
		t.Errorf("%q", got)
	}
	if !regexp.MustCompile(`^I, \[[-0-9T:.]+ #\d+\]  INFO r1 -- : logged\n$`).MatchString(got[1]) {
		t.Errorf("logged %q", got[1])
	}
	f.WaitOutput(t, "a line in two parts\nchild\n")
}

func TestHeaders(t *testing.T) {
	d, r := setup(t)
	f := runtimetest.Start(t, d, r, function(t, "app.handler", `def handler(event:, context:) = [ENV['_X_AMZN_TRACE_ID'], ENV.fetch('_X_AMZN_TRACE_ID', 'none'), context.client_context, context.identity]`), true)
	f.Send(t.Context(), "r1", `{}`, map[string]string{
		"Lambda-Runtime-Trace-Id": "Root=1-2-3", "Lambda-Runtime-Client-Context": `{"custom":{"k":"v"}}`, "Lambda-Runtime-Cognito-Identity": `{"cognitoIdentityId":"i"}`,
	})
	if got, want := f.Result(t).Body, `["Root=1-2-3","Root=1-2-3",{"custom":{"k":"v"}},{"cognitoIdentityId":"i"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := f.Invoke(t, "r2", `{}`).Body, `[null,"none",null,null]`; got != want {
		t.Errorf("without headers: got %s, want %s", got, want)
	}
}

func TestPlan(t *testing.T) {
	r := ruby.New(ruby.Search(""))
	if len(r.Installed()) == 0 {
		t.Skip("no Ruby on this host")
	}
	installed := r.Installed()[0]
	for name, env := range map[string]map[string]string{"RUBYOPT": {"RUBYOPT": "-W"}, "GEM_HOME": {"GEM_HOME": "/x"}, "a variable": {"X": "y"}} {
		p, err := r.Plan(runtimes.Function{Runtime: installed.Name, Handler: "a.b", CodeDir: "/", Env: env})
		if err != nil || (p.Stem != "") != (name == "a variable") || p.Notice != "" {
			t.Errorf("%s: %v, stem %q, notice %q", name, err, p.Stem, p.Notice)
		}
	}
	if p, err := r.Plan(runtimes.Function{Runtime: "ruby2.5", Handler: "a.b", CodeDir: "/"}); err != nil || p.Notice == "" {
		t.Errorf("another version: %v %q", err, p.Notice)
	}
}
