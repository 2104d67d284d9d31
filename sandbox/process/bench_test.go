package process_test

import (
	"testing"

	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

func sleeper() driver.Spec {
	return driver.Spec{
		Mounts: []driver.Mount{{Source: "/usr", Target: "/usr"}},
		Dirs:   []string{"/var/task"},
		Links:  map[string]string{"/bin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64"},
		Argv:   []string{"/bin/sleep", "1000"},
	}
}

// BenchmarkStart is a sandbox around the smallest program: what the walls cost.
func BenchmarkStart(b *testing.B) {
	d := open(b)
	for b.Loop() {
		s, err := d.Start(b.Context(), sleeper())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Kill()
		b.StartTimer()
	}
}

func BenchmarkKill(b *testing.B) {
	d := open(b)
	for b.Loop() {
		b.StopTimer()
		s, err := d.Start(b.Context(), sleeper())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s.Kill()
	}
}

// running runs a benchmark over one live sandbox.
func running(b *testing.B, f func(s driver.Sandbox) error) {
	d := open(b)
	s, err := d.Start(b.Context(), sleeper())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := f(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFreezeThaw(b *testing.B) {
	running(b, func(s driver.Sandbox) error {
		if err := s.Freeze(); err != nil {
			return err
		}
		return s.Thaw()
	})
}

func BenchmarkMount(b *testing.B) {
	running(b, func(s driver.Sandbox) error { return s.Mount("/etc", "/var/task") })
}

func BenchmarkResize(b *testing.B) {
	running(b, func(s driver.Sandbox) error {
		return s.Resize(driver.Limits{MemoryBytes: 300 << 20, CPUQuota: 1, PIDs: 100})
	})
}

// BenchmarkOpen is what the driver adds to the start of a server.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		d, err := process.Open(process.Config{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
