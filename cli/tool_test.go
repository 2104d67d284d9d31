package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// freshCloud is a Server whose cloud answers until its context ends.
type freshCloud struct {
	stub
	handler http.HandlerFunc
}

func (f freshCloud) Serve(ctx context.Context, o ServeOptions, ready func(Running)) error {
	server := httptest.NewServer(f.handler)
	defer server.Close()
	ready(Running{Endpoint: server.URL, Region: "us-east-1", PID: os.Getpid()})
	<-ctx.Done()
	return nil
}

func TestExecTakesTheToolsExit(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request) {}
	for _, tt := range []struct {
		name      string
		args      []string
		code      int
		out, errs string
	}{
		{"success", []string{"sh", "-c", "echo $AWS_ENDPOINT_URL"}, 0, "http://127.0.0.1:", ""},
		{"exit code", []string{"sh", "-c", "exit 3"}, 3, "", ""},
		{"a signal", []string{"sh", "-c", "kill -TERM $$"}, 128 + 15, "", ""},
		{"standard input", []string{"cat"}, 0, `{"from":"stdin"}`, ""},
		{"flags are the tool's", []string{"echo", "--json", "-x"}, 0, "--json -x", ""},
		{"no such command", []string{"no-such-tool"}, 1, "", "no-such-tool: no such command in PATH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, front := range [][]string{{"exec", "--"}, {"exec"}} {
				code, out, errs := run(t, stub{}, nothing, append(front, tt.args...)...)
				if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.errs) {
					t.Errorf("%q: code %d\n%s\n%s", front, code, out, errs)
				}
			}
		})
	}
}

// A signal cancels the command's context at once; the cloud must outlive the tool, which may call it to clean up.
func TestFreshCloudOutlivesTheTool(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	server := freshCloud{handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/interrupt" {
			interrupt()
		}
		io.WriteString(w, "cloud at "+r.URL.Path)
	}}
	var out, errs bytes.Buffer
	// The second call comes after the cloud, had it been told to end, would have.
	script := `exec 2>&1; curl -sS "$AWS_ENDPOINT_URL/interrupt"; sleep 0.3; curl -sS "$AWS_ENDPOINT_URL/cleanup"; exit 4`
	code := Run(ctx, Deps{Out: &out, Err: &errs, Environ: os.Environ(), Server: server}, []string{"exec", "--fresh", "--", "sh", "-c", script})
	if code != 4 || !strings.Contains(out.String(), "cloud at /cleanup") {
		t.Errorf("code %d\n%s\n%s", code, out.String(), errs.String())
	}
}

func TestFreshCloudThatDoesNotStart(t *testing.T) {
	code, _, errs := run(t, stub{}, nil, "exec", "--fresh", "--", "true")
	if code != 1 || !strings.Contains(errs, "unexpected EOF") || !strings.Contains(errs, "the fresh cloud did not start") {
		t.Errorf("code %d: %s", code, errs)
	}
}
