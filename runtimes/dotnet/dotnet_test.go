package dotnet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/dotnet"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

var limits = driver.Limits{MemoryBytes: 256 << 20}

// setup compiles the client as it stands in the source.
func setup(t testing.TB) (driver.Driver, *dotnet.Runtime) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	if _, err := exec.LookPath("mcs"); err != nil {
		t.Skip("no C# compiler on this host")
	}
	shelf := runtimes.Shelf{runtimetest.Code(t, nil)}
	if err := shelf.Add(t.Context(), dotnet.Part(), "", os.Stderr); err != nil {
		t.Fatal(err)
	}
	r := dotnet.New(dotnet.Search(), shelf)
	if len(r.Installed()) == 0 {
		t.Skip("no Mono on this host")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, r
}

func compile(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("mcs", args...).CombinedOutput(); err != nil {
		t.Fatalf("mcs: %v\n%s", err, out)
	}
}

func TestHandlers(t *testing.T) {
	d, r := setup(t)
	code := runtimetest.Code(t, nil)
	compile(t, "-target:library", "-out:"+filepath.Join(code, "Shop.dll"), "testdata/Hello.cs")
	start := func(t *testing.T, handler string) *runtimetest.Function {
		fn := runtimes.Function{Runtime: "dotnet8", Handler: handler, CodeDir: code, Limits: limits}
		return runtimetest.Start(t, d, r, fn, false)
	}
	for _, tt := range []struct{ name, handler, event, want string }{
		{"task", "Shop::Example.Hello::Later", `"ü"`, `"ü!"`},
		{"stream", "Shop::Example.Hello::Echo", `[1, "x"]`, `[1, "x"]`},
		{"nothing", "Shop::Example.Hello::Nothing", `{"a":"b"}`, ``},
		{"context", "Shop::Example.Hello::Context", `{}`, `"r1 hello arn:aws:lambda:eu-west-1:000000000000:function:hello 128 True  \/var\/task"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, tt.handler)
			for range 2 {
				if got := f.Invoke(t, "r1", tt.event); got.Body != tt.want || got.Path != "invocation/r1/response" {
					t.Fatalf("got %+v, want %s\n%s", got, tt.want, f.Output())
				}
			}
		})
	}
	t.Run("objects and logs", func(t *testing.T) {
		f := start(t, "Shop::Example.Hello::Older")
		for _, want := range []string{`{"Age":37,"Name":"Ada"}`, `{"Age":38,"Name":"Ada"}`} {
			if got := f.Invoke(t, "r1", `{"Name":"Ada","Age":36}`); got.Body != want {
				t.Errorf("got %+v, want %s", got, want)
			}
		}
		got := f.Records(t, 4)
		if !strings.HasSuffix(got[0], "Z\tr1\tinfo\tcall 1 of Ada") || !strings.HasSuffix(got[1], "Z\tr1\twarn\tfrom the logger") {
			t.Errorf("logs %q", got)
		}
	})
	t.Run("fails", func(t *testing.T) {
		f := start(t, "Shop::Example.Hello::Fail")
		for range 2 {
			got := f.Invoke(t, "r1", `{}`)
			e := got.Error()
			if got.Path != "invocation/r1/error" || got.Type != "InvalidOperationException" || e.ErrorType != got.Type || e.ErrorMessage != "no" ||
				!strings.Contains(got.Body, `"cause":{"errorType":"ArgumentException","errorMessage":"why"`) || len(e.StackTrace) == 0 || !strings.Contains(e.StackTrace[0], "Example.Hello") {
				t.Errorf("got %+v", got)
			}
		}
	})
	for _, tt := range []struct{ name, handler, kind, message string }{
		{"form", "Shop.Hello", "InvalidHandler", "Invalid lambda function handler: 'Shop.Hello'. The valid format is 'ASSEMBLY::TYPE::METHOD'."},
		{"no assembly", "Nope::A::B", "LambdaException", "Could not find the specified handler assembly with the file name 'Nope'."},
		{"no method", "Shop::Example.Hello::Nope", "LambdaException", "Unable to find method 'Nope' in type 'Example.Hello' from assembly 'Shop'."},
		{"fails at start", "Shop::Example.Broken::Run", "InvalidOperationException", "at start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, tt.handler)
			if got := f.Result(t); got.Path != "init/error" || got.Error().ErrorType != tt.kind || got.Error().ErrorMessage != tt.message {
				t.Errorf("got %+v", got)
			}
			<-f.Sandbox.Done()
			if f.Sandbox.Exit().Code != 1 {
				t.Errorf("exit %+v", f.Sandbox.Exit())
			}
		})
	}
}

func TestWithoutClient(t *testing.T) {
	r := dotnet.New(dotnet.Search(), nil)
	_, err := r.Plan(runtimes.Function{Runtime: "dotnet8", Handler: "A::B::C", CodeDir: "/"})
	if err == nil || !strings.Contains(err.Error(), "lambent runtimes add dotnet") && !strings.Contains(err.Error(), "apt-get install mono-runtime") || len(r.Installed()) != 0 {
		t.Errorf("%v, installed %v", err, r.Installed())
	}
}
