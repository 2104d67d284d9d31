package java_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/java"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

var limits = driver.Limits{MemoryBytes: 512 << 20, CPUQuota: 1}

// shelf is where conformance/tools/install.sh puts what lambent runtimes add brings.
var shelf = runtimes.Shelf{"../../.tools/runtimes"}

func setup(t testing.TB) (driver.Driver, *java.Runtime) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	dir, err := filepath.Abs(shelf[0])
	if err != nil {
		t.Fatal(err)
	}
	r := java.New(java.Search(""), runtimes.Shelf{dir})
	if len(r.Installed()) == 0 {
		t.Skip("no Java on this host, or make tools has not brought its client")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, r
}

// compiled returns a function's folder: the classes of testdata, and the library that they use in lib.
func compiled(t testing.TB) string {
	t.Helper()
	dir := runtimetest.Code(t, nil)
	libraries, _ := filepath.Glob("../../.tools/java-events/*.jar")
	for _, jar := range libraries {
		b, err := os.ReadFile(jar)
		if err != nil {
			t.Fatal(err)
		}
		os.Mkdir(filepath.Join(dir, "lib"), 0o755)
		if err := os.WriteFile(filepath.Join(dir, "lib", filepath.Base(jar)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sources, _ := filepath.Glob("testdata/*.java")
	classpath := "../../.tools/runtimes/java/*:../../.tools/java-events/*"
	out, err := exec.Command("javac", append([]string{"--release", "11", "-cp", classpath, "-d", dir}, sources...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

// uploaded is what S3 sends when an image has been put.
const uploaded = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-01-02T03:04:05.678Z",
"eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AIDA"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},
"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"images","bucket":{"name":"photos","ownerIdentity":{"principalId":"A3NL1KOZZKExample"},"arn":"arn:aws:s3:::photos"},
"object":{"key":"cat.png","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"0055AED6DCD90281E5"}}}]}`

// TestHandlers starts a JVM for each kind of handler: the few cases that cannot share one.
func TestHandlers(t *testing.T) {
	d, r := setup(t)
	code := compiled(t)
	start := func(t *testing.T, runtime, handler string) *runtimetest.Function {
		fn := runtimes.Function{Runtime: runtime, Handler: handler, CodeDir: code, Limits: limits, Env: runtimetest.Env(map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"})}
		return runtimetest.Start(t, d, r, fn, false)
	}
	t.Run("RequestHandler", func(t *testing.T) {
		t.Parallel()
		f := start(t, "java17", "example.Hello")
		if got := f.Invoke(t, "r1", `{"name":"ü"}`); got.Body != `{"hello":"ü"}` || got.Path != "invocation/r1/response" {
			t.Errorf("got %+v\n%s", got, f.Output())
		}
		if log := f.Records(t, 1)[0]; log != "for ü" {
			t.Errorf("log %q", log)
		}
		got := f.Invoke(t, "r2", `{"fail":1}`)
		if e := got.Error(); got.Path != "invocation/r2/error" || e.ErrorType != "java.lang.IllegalStateException" || e.ErrorMessage != "no" ||
			len(e.StackTrace) == 0 || e.StackTrace[0] != "example.Hello.handleRequest(Hello.java:17)" {
			t.Errorf("error: %+v", got)
		}
		if log := f.Records(t, 3)[2]; !strings.HasPrefix(log, "no: java.lang.IllegalStateException\njava.lang.IllegalStateException: no\n") {
			t.Errorf("log of the error %q", log)
		}
		if got := f.Invoke(t, "r3", `{"name":"again"}`); got.Body != `{"hello":"again"}` {
			t.Errorf("after an error: %+v", got)
		}
	})
	t.Run("plain method with objects", func(t *testing.T) {
		t.Parallel()
		if got := start(t, "java17", "example.Hello::older").Invoke(t, "r1", `{"name":"Ada","age":36}`); got.Body != `{"name":"Ada","age":37}` {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		f := start(t, "java17", "example.Hello::context")
		f.Send(t.Context(), "r1", `{}`, map[string]string{"Lambda-Runtime-Trace-Id": "Root=1-2-3"})
		want := `"r1 hello $LATEST arn:aws:lambda:eu-west-1:000000000000:function:hello 512 /aws/lambda/hello stream true null Root=1-2-3 /var/task"`
		if got := f.Result(t); got.Body != want {
			t.Errorf("got %+v, want %s", got, want)
		}
	})
	t.Run("RequestStreamHandler", func(t *testing.T) {
		t.Parallel()
		body := `[1, "two"]`
		if got := start(t, "java25", "example.Hello$Echo").Invoke(t, "r1", body); got.Body != body {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("an image was put into S3", func(t *testing.T) {
		t.Parallel()
		f := start(t, "java17", "ImageProcessor")
		if got := f.Invoke(t, "r1", uploaded); got.Body != `null` || got.Path != "invocation/r1/response" {
			t.Errorf("got %+v\n%s", got, f.Output())
		}
		f.WaitOutput(t, "New image cat.png in photos\n")
	})
	t.Run("no class", func(t *testing.T) {
		t.Parallel()
		got := start(t, "java17", "example.Nothing").Invoke(t, "r1", `{}`) // the client starts, and says so when it is called
		if e := got.Error(); got.Path != "invocation/r1/error" || e.ErrorType != "java.lang.ClassNotFoundException" || e.ErrorMessage != "Class not found: example.Nothing" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("fails at start", func(t *testing.T) {
		t.Parallel()
		f := start(t, "java17", "example.Hello$Broken")
		if got := f.Result(t); got.Path != "init/error" || got.Error().ErrorType != "java.lang.IllegalArgumentException" || got.Error().ErrorMessage != "at start" {
			t.Errorf("got %+v\n%s", got, f.Output())
		}
	})
}

func TestPlan(t *testing.T) {
	// A JVM is known by the file that says what it is: nothing is run.
	home := t.TempDir()
	for version, release := range map[string]string{"11": `JAVA_VERSION="11.0.2"`, "21": "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"21\"\n", "8": `JAVA_VERSION="1.8.0_402"`} {
		dir := filepath.Join(home, version)
		os.MkdirAll(filepath.Join(dir, "bin"), 0o755)
		os.WriteFile(filepath.Join(dir, "bin", "java"), nil, 0o755)
		os.WriteFile(filepath.Join(dir, "release"), []byte(release), 0o644)
	}
	os.Chmod(home, 0o755)
	jars := filepath.Join(home, java.Folder)
	os.Mkdir(jars, 0o755)
	r := java.New([]string{home + "/*/bin/java"}, runtimes.Shelf{home})
	fn := runtimes.Function{Runtime: "java17", Handler: "a.B", CodeDir: "/", Limits: driver.Limits{MemoryBytes: 512 << 20}}
	if _, err := r.Plan(fn); err == nil || !strings.Contains(err.Error(), "lambent runtimes add java") || len(r.Installed()) != 0 {
		t.Errorf("without jars: %v, installed %v", err, r.Installed())
	}
	for _, name := range []string{"aws-lambda-java-runtime-interface-client-2.9.0.jar", "aws-lambda-java-core-1.4.0.jar", "aws-lambda-java-serialization-1.2.0.jar"} {
		os.WriteFile(filepath.Join(jars, name), nil, 0o644)
	}
	for _, tt := range []struct{ runtime, runs, notice string }{
		{"java8.al2", "java8", ""},
		{"java11", "java11", ""},
		{"java17", "java21", "java17 is not installed on this host: the function runs on Java 21"},
		{"java25", "java21", "java25 is not installed on this host: the function runs on Java 21"},
	} {
		fn.Runtime = tt.runtime
		p, err := r.Plan(fn)
		if err != nil || p.Runtime != tt.runs || p.Notice != tt.notice {
			t.Errorf("%s: %v %q %q", tt.runtime, err, p.Runtime, p.Notice)
		}
		if argv := strings.Join(p.Spec.Argv, " "); !strings.Contains(argv, "-XX:MaxHeapSize=445644k") || strings.Contains(argv, "--add-opens") == (p.Runtime == "java8") {
			t.Errorf("%s: %s", tt.runtime, argv)
		}
	}
}
