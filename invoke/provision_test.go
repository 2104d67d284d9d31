package invoke_test

import (
	"errors"
	"testing"
	"time"

	"lambent/invoke"
	"lambent/invoke/invoketest"
	"lambent/sandbox/driver"
)

// TestProvision starts what is missing, makes up for what is gone, and renews what will be of no use soon.
func TestProvision(t *testing.T) {
	w := newWorld(t)
	fn := w.function("env")
	started := 0
	provision := func(n, starts int, why string) {
		t.Helper()
		if err := w.Invoker.Provision(t.Context(), fn, n); err != nil {
			t.Fatal(err)
		}
		if got := w.Driver.Started() - started; got != starts {
			t.Errorf("%s: %d sandboxes were started, want %d", why, got, starts)
		}
		started = w.Driver.Started()
		for end := time.Now().Add(5 * time.Second); w.Invoker.Provisioned(fn) != max(n, 0) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if got := w.Invoker.Provisioned(fn); got != n {
			t.Errorf("%s: %d are there, want %d", why, got, n)
		}
	}
	w.CredentialLife = 21 * time.Minute // hardly more than a call may need
	provision(2, 2, "at first")
	w.CredentialLife = 0
	provision(2, 2, "with credentials that end soon")
	provision(2, 0, "again")
	if res := w.call(t, fn, `"AWS_LAMBDA_INITIALIZATION_TYPE"`); string(res.Payload) != `"provisioned-concurrency"` || w.Driver.Started() != started {
		t.Errorf("a call got %s", res.Payload)
	}
	provision(3, 1, "one more")
}

// TestProvisionFails tells that the function's own code does not start.
func TestProvisionFails(t *testing.T) {
	w := newWorldWith(t, map[string]invoketest.Program{"broken": func(b *invoketest.Box) driver.Exit {
		b.FailInit(`{}`, "Oops")
		<-b.Killed()
		return driver.Exit{}
	}})
	if err := w.Invoker.Provision(t.Context(), w.function("broken"), 1); !errors.Is(err, invoke.ErrInit) {
		t.Errorf("error = %v", err)
	}
}
