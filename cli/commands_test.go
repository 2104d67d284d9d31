package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stub is a Server whose data folder is given and which runs nothing.
type stub struct {
	dir    string
	report Report
}

func (s stub) EachSetting(fn func(name, def, help string)) { fn("data", "", "data folder") }
func (s stub) Serve(context.Context, ServeOptions, func(Running)) error {
	return io.ErrUnexpectedEOF
}
func (s stub) PrintConfig(_ ServeOptions, w io.Writer, _ bool) error {
	_, err := io.WriteString(w, "data  x  flag\n")
	return err
}
func (s stub) Data(ServeOptions) (string, error) { return s.dir, nil }
func (s stub) Parts(ServeOptions) ([]Part, error) {
	return []Part{{"one", "for this", "/data/runtimes/one"}, {"two", "for that", ""}}, nil
}
func (s stub) AddPart(_ context.Context, _ ServeOptions, name, from string) (string, error) {
	return "/data/runtimes/" + name + from, nil
}
func (s stub) Doctor(context.Context, ServeOptions) (Report, error) { return s.report, nil }

// run runs a command line against a cloud that handler answers for.
func run(t *testing.T, s stub, handler http.HandlerFunc, args ...string) (code int, out, errs string) {
	t.Helper()
	if handler != nil {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		s.dir = t.TempDir()
		b, _ := json.Marshal(Running{Endpoint: server.URL, Region: "us-east-1", PID: os.Getpid()})
		for name, content := range map[string]string{ServerFile: string(b), RootKeyFile: `{"accessKeyId":"AKIA1","secretAccessKey":"s"}`} {
			if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var o, e bytes.Buffer
	code = Run(t.Context(), Deps{In: strings.NewReader(`{"from":"stdin"}`), Out: &o, Err: &e, Server: s, Version: "1.2.3"}, args)
	return code, o.String(), e.String()
}

func TestSmallCommands(t *testing.T) {
	for _, tt := range []struct {
		args      string
		code      int
		out, errs string
	}{
		{"version", 0, "lambent 1.2.3", ""},
		{"runtimes", 0, "two  for that  not here: lambent runtimes add two", ""},
		{"runtimes --json", 0, `"path": "/data/runtimes/one"`, ""},
		{"runtimes add java", 0, "java is in /data/runtimes/java\n", ""},
		{"runtimes add java --from /x", 0, "java is in /data/runtimes/java/x\n", ""},
		{"runtimes add", 1, "", "accepts 1 arg(s)"},
		{"version --json", 0, `"version": "1.2.3"`, ""},
		{"completion bash", 0, "complete", ""},
		{"serve --print-config", 0, "data", ""},
		{"serve", 1, "", "unexpected EOF"},
		{"stauts", 1, "", "status"}, // a suggestion
		{"exec", 1, "", "requires at least 1 arg(s), only received 0; usage: lambent exec [flags] -- COMMAND [ARG...]"},
		{"invoke", 1, "", "usage: lambent invoke FUNCTION"},
		{"serve extra", 1, "", "usage: lambent serve [flags]"},
		{"serve --listn x", 1, "", "unknown flag: --listn; lambent serve --help lists the flags"},
		{"doctor", 1, "missing  memory", ""},
		{"doctor --json", 1, `"ok": false`, ""},
		{"status", 1, "", "lambent serve --data "},
		{"status", 1, "", "--data or LAMBENT_DATA"},
		{"logs f --since yesterday", 1, "", "want how far back"},
	} {
		s := stub{dir: t.TempDir(), report: Report{Checks: []Check{{Area: "sandbox", Name: "memory", Status: "missing"}}}}
		code, out, errs := run(t, s, nil, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.errs) {
			t.Errorf("lambent %s: code %d\n%s\n%s", tt.args, code, out, errs)
		}
	}
}

func TestInvoke(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/lambda/aws4_request") {
			t.Errorf("not signed: %s", r.Header.Get("Authorization"))
		}
		if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
			w.Header().Set("X-Amzn-Requestid", "id-1")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte("a line\n")))
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		if strings.Contains(r.URL.Path, "broken") {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		io.Copy(w, r.Body)
	}
	const failed = `{"errorType":"TypeError","errorMessage":"x is not a function","trace":["TypeError: x is not a function"]}`
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte(`{"from":"file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{[]string{"invoke", "f", "-d", `{"a":1}`}, 0, `{"a":1}`, "a line"},
		{[]string{"invoke", "f", "-d", "-"}, 0, `{"from":"stdin"}`, ""},
		{[]string{"invoke", "f", "-d", "text"}, 1, "", "the payload is not JSON"},
		{[]string{"invoke", "f", "-d", "@/nowhere"}, 1, "", "no such file"},
		{[]string{"invoke", "f", "-d", "@-"}, 0, `{"from":"stdin"}`, ""},
		{[]string{"invoke", "f", "-d", "@" + file}, 0, `{"from":"file"}`, ""},
		{[]string{"invoke", "f", "-d", "{}", "--json"}, 0, `"log": "a line\n"`, ""},
		{[]string{"invoke", "f", "-d", "{}", "--json"}, 0, `"version": "$LATEST"`, ""},
		{[]string{"invoke", "broken", "-d", failed, "--quiet"}, 1, failed, "lambent: function broken failed: TypeError: x is not a function\n"},
		{[]string{"invoke", "broken", "-d", failed, "--json"}, 1, `"functionError": "Unhandled"`, "lambent: function broken failed: TypeError"},
		{[]string{"invoke", "broken", "-d", `"odd"`}, 1, `"odd"`, `lambent: function broken failed: "odd"`},
		{[]string{"invoke", "f", "--async", "--json"}, 0, `"requestId": "id-1"`, ""},
		{[]string{"invoke", "f", "--async"}, 0, "", "queued as id-1"},
	} {
		code, out, errs := run(t, stub{}, answer, tt.args...)
		if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.errs) {
			t.Errorf("%q: code %d\n%s\n%s", tt.args, code, out, errs)
		}
	}
}

func TestAnswerThatIsNoJSON(t *testing.T) {
	text := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain text") }
	if code, out, _ := run(t, stub{}, text, "invoke", "f"); code != 0 || out != "plain text\n" {
		t.Errorf("code %d: %q", code, out)
	}
	if code, out, _ := run(t, stub{}, text, "invoke", "f", "--json"); code != 0 || !strings.Contains(out, `"payload": "plain text"`) {
		t.Errorf("code %d: %q", code, out)
	}
}

func TestRefusalsAreShown(t *testing.T) {
	refuse := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException:http://x")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"Message":"Function not found"}`)
	}
	code, _, errs := run(t, stub{}, refuse, "invoke", "f")
	if code != 1 || !strings.Contains(errs, "lambent: ResourceNotFoundException: Function not found") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestLogs(t *testing.T) {
	pages := []string{
		`{"events":[{"eventId":"1","timestamp":1000,"message":"first\n","logStreamName":"s"}],"nextToken":"t"}`,
		`{"events":[{"eventId":"2","timestamp":2000,"message":"second","logStreamName":"s"}]}`,
	}
	var asked []map[string]any
	page := func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		io.WriteString(w, pages[min(len(asked), 1)])
		asked = append(asked, in)
	}
	code, out, errs := run(t, stub{}, page, "logs", "f", "--filter", "x")
	if want := "1970-01-01T00:00:01.000Z  first\n1970-01-01T00:00:02.000Z  second\n"; code != 0 || out != want {
		t.Errorf("code %d, %q, %s", code, out, errs)
	}
	if asked[0]["logGroupName"] != "/aws/lambda/f" || asked[0]["filterPattern"] != "x" || asked[1]["nextToken"] != "t" {
		t.Errorf("asked %v", asked)
	}
}
