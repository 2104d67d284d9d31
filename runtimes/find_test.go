package runtimes_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lambent/runtimes"
)

// installed makes a folder of programs that print their version, and what finds them there.
func installed(t *testing.T, versions ...string) *runtimes.Interpreters {
	dir := t.TempDir()
	for i, v := range versions {
		bin := filepath.Join(dir, fmt.Sprint(i), "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "lang"), []byte("#!/bin/sh\necho lang "+v+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &runtimes.Interpreters{
		Search: []string{filepath.Join(dir, "*/bin/lang"), filepath.Join(dir, "0/bin/lang")},
		Version: func(printed string) (string, string, bool) {
			full := strings.TrimPrefix(strings.TrimSpace(printed), "lang ")
			major, _, ok := strings.Cut(full, ".")
			return full, major, ok
		},
		Compare: cmp.Compare[string],
	}
}

func TestInterpreters(t *testing.T) {
	found := installed(t, "24.1", "18.9", "nonsense", "20.3", "18.1")
	var versions []string
	for _, i := range found.All() {
		versions = append(versions, i.Version)
		if i.Inside != "/var/lang/bin/lang" || i.Prefix == "" {
			t.Errorf("%s is shown at %s", i.Path, i.Inside)
		}
	}
	if got := strings.Join(versions, " "); got != "18.9 20.3 24.1" {
		t.Errorf("found %s", got)
	}
	for want, got := range map[string]string{"12": "18", "18": "18", "22": "24", "24": "24", "26": "24"} {
		if i, ok := found.Nearest(want); !ok || i.Major != got {
			t.Errorf("for %s: %q, want %q", want, i.Major, got)
		}
	}
	if _, ok := installed(t).Nearest("1"); ok {
		t.Error("found one in nothing")
	}
}
