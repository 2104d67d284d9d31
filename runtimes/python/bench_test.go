package python_test

import (
	"testing"

	"lambent/runtimes/runtimetest"
)

const hello = `def handler(e, c): return {"hello": e["name"]}`

// BenchmarkCold is from nothing to the first answer.
func BenchmarkCold(b *testing.B) {
	d, r := setup(b)
	fn := function(b, "app.handler", hello)
	b.Run("stem", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := runtimetest.Boot(b, d, r, fn)
			b.StartTimer()
			f := s.Become(b)
			f.Invoke(b, "r", `{"name":"x"}`)
			b.StopTimer()
			f.Sandbox.Kill()
			b.StartTimer()
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			f := runtimetest.Start(b, d, r, fn, false)
			f.Invoke(b, "r", `{"name":"x"}`)
			b.StopTimer()
			f.Sandbox.Kill()
			b.StartTimer()
		}
	})
}

func BenchmarkWarm(b *testing.B) {
	d, r := setup(b)
	f := runtimetest.Start(b, d, r, function(b, "app.handler", hello), true)
	for b.Loop() {
		f.Invoke(b, "r", `{"name":"x"}`)
	}
}

// BenchmarkFreezeThaw is one round of putting an idle function to sleep and waking it with a call.
func BenchmarkFreezeThaw(b *testing.B) {
	d, r := setup(b)
	f := runtimetest.Start(b, d, r, function(b, "app.handler", hello), true)
	for b.Loop() {
		if err := f.Sandbox.Freeze(); err != nil {
			b.Fatal(err)
		}
		if err := f.Sandbox.Thaw(); err != nil {
			b.Fatal(err)
		}
		f.Invoke(b, "r", `{"name":"x"}`)
	}
}
