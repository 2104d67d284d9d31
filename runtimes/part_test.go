package runtimes_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lambent/runtimes"
)

func TestParts(t *testing.T) {
	shelf := runtimes.Shelf{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	p := runtimes.Part{
		Name: "thing", Files: map[string][]byte{"in": []byte("1")}, Package: "coreutils",
		Command: []string{"sh", "-c", "umask 077; mkdir sub; cp in sub/out; echo made"},
	}
	if got := shelf.Find("thing"); got != "" {
		t.Errorf("before: %s", got)
	}
	var out bytes.Buffer
	if err := shelf.Add(t.Context(), p, "", &out); err != nil || out.String() != "made\n" {
		t.Fatal(err, out.String())
	}
	dir := shelf.Find("thing")
	if fi, err := os.Stat(filepath.Join(dir, "sub")); err != nil || fi.Mode().Perm()&0o055 != 0o055 {
		t.Errorf("not for everybody: %v %v", err, fi)
	}

	broken := p
	broken.Command = []string{"sh", "-c", "exit 3"}
	if err := shelf.Add(t.Context(), broken, "", &out); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
	broken.Command = []string{"no-such-program"}
	if err := shelf.Add(t.Context(), broken, "", &out); err == nil || !strings.Contains(err.Error(), "apt-get install coreutils") || !strings.Contains(err.Error(), "--from") {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "sub", "out")); err != nil || string(b) != "1" {
		t.Errorf("after a failure: %v %q", err, b)
	}

	from := t.TempDir()
	os.WriteFile(filepath.Join(from, "file"), []byte("2"), 0o600)
	if err := shelf.Add(t.Context(), p, from, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub")); err == nil {
		t.Error("the old one is still there")
	}
	if left, _ := filepath.Glob(filepath.Join(shelf[0], ".*")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
