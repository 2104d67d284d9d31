package process_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

func open(t testing.TB) *process.Driver {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: sandboxes without root are another test")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestHello(t *testing.T) {
	d := open(t)
	for _, w := range d.Report().Walls {
		t.Logf("%v %s: %s (%s)", w.OK, w.Name, w.Detail, w.Remedy)
	}
	var out bytes.Buffer
	start := time.Now()
	s, err := d.Start(t.Context(), driver.Spec{
		Mounts: []driver.Mount{{Source: "/usr", Target: "/usr"}},
		Links:  map[string]string{"/bin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64"},
		Argv:   []string{"/bin/sh", "-c", "id; ls -la / /proc /dev; cat /proc/self/cgroup /proc/self/status /proc/self/mountinfo; ulimit -a; exit 5"},
		Env:    []string{"PATH=/usr/bin"},
		Stdout: &out, Stderr: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start))
	<-s.Done()
	t.Log(time.Since(start))
	t.Logf("%+v\n%s", s.Exit(), out.String())
	s.Kill()
}
