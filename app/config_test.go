package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lambent/cli"
)

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

func TestLoadPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lambent.yml")
	if err := os.WriteFile(file, []byte("region: from-file\ndomain: from-file\nlog-level: warn\nlog-requests: false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment(map[string]string{"LAMBENT_REGION": "from-env", "LAMBENT_DOMAIN": "from-env", "HOME": "/home/u"})
	l, err := Load(cli.FlagValues{"region": "from-flag"}, env, file)
	if err != nil {
		t.Fatal(err)
	}
	if l.Region != "from-flag" || l.Domain != "from-env" || l.LogLevel != "warn" || l.LogRequests || l.Listen != "127.0.0.1:4566" || l.IdleFreeze != 2*time.Second {
		t.Errorf("%+v", l.Config)
	}
	var out bytes.Buffer
	if err := l.Print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"from-flag", "flag\n", "environment\n", "file\n", "default\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestLoadReportsEveryProblem(t *testing.T) {
	env := environment(map[string]string{"LAMBENT_MAX_SANDBOXES": "many", "LAMBENT_LOG_LEVEL": "loud", "LAMBENT_ROOT_ACCESS_KEY_ID": "AKIA1"})
	_, err := Load(cli.FlagValues{"listen": "0.0.0.0:4566", "runtime-fallback": "maybe"}, env, "")
	for _, want := range []string{`max-sandboxes (from environment): "many" is not valid`, "log-level", "--insecure-listen", "runtime-fallback", "together or not at all"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "want at least 1") {
		t.Errorf("max-sandboxes is reported twice: %v", err)
	}
	file := filepath.Join(t.TempDir(), "lambent.yml")
	if err := os.WriteFile(file, []byte("regoin: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(nil, env, file); err == nil || !strings.Contains(err.Error(), `no setting is named "regoin"`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	l, err := Load(cli.FlagValues{"root-access-key-id": "AKIA1", "root-secret-access-key": "hush"}, environment(nil), "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.Print(&out, true); err != nil || strings.Contains(out.String(), "hush") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestExplainWrite(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOSPC: "the disk is full; free some space", syscall.EROFS: "cannot be written by this user", syscall.EACCES: "cannot be written by this user",
	} {
		if got := explainWrite("/data", &os.PathError{Op: "write", Path: "/data", Err: err}); !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// TestReadOnlyDataFolder starts a cloud on a folder that cannot be written: a file system of the kernel's own.
func TestReadOnlyDataFolder(t *testing.T) {
	err := Run(t.Context(), &Config{Data: "/proc/lambent", Listen: "127.0.0.1:0", LogLevel: "error"}, io.Discard, func(cli.Running) { t.Error("it serves") })
	if err == nil || !strings.Contains(err.Error(), "name another with --data") {
		t.Errorf("got %v", err)
	}
}

// TestTwoCloudsInOneProcess runs two clouds side by side: they share nothing.
func TestTwoCloudsInOneProcess(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running [2]cli.Running
	ended := make(chan error, 2)
	for i := range running {
		l, err := Load(cli.FlagValues{"memory": "true", "listen": "127.0.0.1:0", "drain-timeout": "1s"}, environment(nil), "")
		if err != nil {
			t.Fatal(err)
		}
		ready := make(chan cli.Running, 1)
		go func() { ended <- Run(ctx, &l.Config, io.Discard, func(r cli.Running) { ready <- r }) }()
		select {
		case running[i] = <-ready:
		case err := <-ended:
			t.Fatal(err)
		}
	}
	if running[0].Key == running[1].Key || running[0].Endpoint == running[1].Endpoint {
		t.Errorf("the same cloud twice: %+v", running)
	}
	for _, r := range running {
		resp, err := http.Get(r.Endpoint + "/health")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("health: %s", resp.Status)
		}
	}
	stop()
	for range running {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
