package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/source/schedule"
)

// rig is a source over memory whose rules call one function with the timer's id and due time.
type rig struct {
	*testing.T
	store  *kv.Store
	timers *schedule.Timers

	mu     sync.Mutex // guards the fields below
	calls  []string   // payload @ time of the call
	answer func(payload string) error
}

func newRig(t *testing.T) *rig {
	store := kvtest.Mem(t)
	return &rig{T: t, store: store.In("test"), timers: schedule.NewTimers(store.In("schedule"))}
}

func (r *rig) Due(_ context.Context, id string, at time.Time, deliver func(account, region, functionARN, sourceARN string, payload []byte, attempts int, age time.Duration)) error {
	if strings.HasPrefix(id, "none") {
		return nil
	}
	deliver("000000000000", "us-east-1", "fn", "rule/"+id, []byte(id+" "+at.Format("15:04:05")), 5, time.Hour)
	return nil
}

func (r *rig) InvokeAsync(_ context.Context, account, region, function, source string, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, string(payload)+" @ "+time.Now().UTC().Format("15:04:05"))
	if r.answer != nil {
		return r.answer(string(payload))
	}
	return nil
}

// called returns the calls so far, and forgets them.
func (r *rig) called() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func (r *rig) set(id, expression string) {
	r.Helper()
	err := r.store.Update(context.Background(), func(tx *kv.Tx) error {
		return r.timers.Set(context.Background(), tx, id, expression, time.Now())
	})
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) clear(id string) {
	r.Helper()
	err := r.store.Update(context.Background(), func(tx *kv.Tx) error { return r.timers.Clear(context.Background(), tx, id) })
	if err != nil {
		r.Fatal(err)
	}
}

// run starts a source; stop ends it and waits.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	source := schedule.New(r.timers, r, r, slog.New(slog.DiscardHandler))
	go func() { done <- source.Run(ctx) }()
	return func() {
		r.Helper()
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run: %v", err)
		}
	}
}

func (r *rig) want(calls ...string) {
	r.Helper()
	got := r.called()
	slices.Sort(got) // calls at the same time come in any order
	slices.Sort(calls)
	if !slices.Equal(got, calls) {
		r.Errorf("got calls %q, want %q", got, calls)
	}
}

// The bubble's clock begins at midnight on 2000-01-01.

func TestFiresOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.run()()
		time.Sleep(30 * time.Second)
		r.set("rate", "rate(1 minute)")
		r.set("cron", "cron(0/2 * * * ? *)")
		r.set("never", "cron(0 0 1 1 ? 1999)")
		time.Sleep(3*time.Minute + time.Second)
		r.want("rate 00:01:30 @ 00:01:30", "cron 00:02:00 @ 00:02:00", "rate 00:02:30 @ 00:02:30", "rate 00:03:30 @ 00:03:30")
		r.set("rate", "rate(2 minutes)")
		r.clear("cron")
		time.Sleep(4*time.Minute + time.Second)
		r.want("rate 00:05:31 @ 00:05:31", "rate 00:07:31 @ 00:07:31")
		r.clear("rate")
		r.clear("rate")
		time.Sleep(time.Hour)
		r.want()
	})
}

// A source that was away fires what it missed once, as of the latest time, and goes on in step.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set("rate", "rate(7 minutes)")
		r.set("cron", "cron(10 * * * ? *)")
		r.set("yearly", "cron(0 1 1 1 ? *)")
		time.Sleep(59 * time.Minute)
		stop := r.run()
		time.Sleep(5 * time.Minute)
		stop()
		r.want("rate 00:56:00 @ 00:59:00", "cron 00:10:00 @ 00:59:00", "rate 01:03:00 @ 01:03:00", "yearly 01:00:00 @ 01:00:00")
	})
}

func TestMissedForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set("odd", "cron(0 1 1,3 * ? *)")
		time.Sleep(26 * time.Hour)
		defer r.run()()
		time.Sleep(time.Hour)
		r.want()
		time.Sleep(24 * time.Hour)
		r.want("odd 01:00:00 @ 01:00:00")
	})
}

// Each firing is delivered once by however many sources run.
func TestManySources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 3 {
			defer r.run()()
		}
		for i := range 50 {
			r.set(fmt.Sprint("t", i), "rate(1 minute)")
		}
		time.Sleep(10*time.Minute + time.Second)
		seen := map[string]int{}
		for _, c := range r.called() {
			payload, _, _ := strings.Cut(c, " @")
			seen[payload]++
		}
		if len(seen) != 500 {
			t.Errorf("got %d firings, want 500", len(seen))
		}
		for c, n := range seen {
			if n != 1 {
				t.Errorf("%s: delivered %d times", c, n)
			}
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		left := 3
		r.answer = func(string) error {
			if left--; left >= 0 {
				return errors.New("busy")
			}
			return nil
		}
		defer r.run()()
		r.set("once", "at(2000-01-01T00:01:00)")
		time.Sleep(2 * time.Hour)
		calls := r.called()
		if len(calls) != 4 {
			t.Fatalf("got calls %q, want 4", calls)
		}
		for _, c := range calls {
			if !strings.HasPrefix(c, "once 00:01:00 @") {
				t.Errorf("the retry carries %q", c)
			}
		}
	})
}

func TestGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		calls int
	}{
		{"gone", cloud.Faultf("ResourceNotFoundException", "Function not found: fn"), 1},
		{"throttled", cloud.Faultf("TooManyRequestsException", "Rate Exceeded."), 6},
		{"broken", cloud.Faultf("InternalFailure", "").WithStatus(500), 6},
		{"unknown", errors.New("no route"), 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.answer = func(string) error { return tt.err }
				defer r.run()()
				r.set("once", "at(2000-01-01T00:01:00)")
				time.Sleep(2 * time.Hour)
				if got := len(r.called()); got != tt.calls {
					t.Errorf("got %d calls, want %d", got, tt.calls)
				}
			})
		})
	}
}

// A source that dies with a delivery in hand leaves it to the next.
func TestLeaseReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		hang := make(chan struct{})
		dead := schedule.New(r.timers, r, hanging(hang), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan struct{})
		go func() { defer close(done); dead.Run(ctx) }()
		r.set("once", "at(2000-01-01T00:01:00)")
		time.Sleep(time.Minute + time.Second)
		defer r.run()()
		time.Sleep(time.Minute)
		r.want() // under the other's lease
		time.Sleep(2 * time.Minute)
		calls := r.called()
		if len(calls) != 1 {
			t.Errorf("got calls %q, want one", calls)
		}
		cancel()
		close(hang)
		<-done
		time.Sleep(time.Hour)
		r.want()
	})
}

// hanging is an invoker that answers when the channel is closed, whatever its context says.
type hanging chan struct{}

func (h hanging) InvokeAsync(context.Context, string, string, string, string, []byte) error {
	<-h
	return nil
}

func TestTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 timers take a second")
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := 0; i < 10_000; i += 500 {
			err := r.store.Update(context.Background(), func(tx *kv.Tx) error {
				for j := range 500 {
					if err := r.timers.Set(context.Background(), tx, fmt.Sprint("t", i+j), "rate(1 minute)", time.Now()); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		defer r.run()()
		time.Sleep(2*time.Minute + time.Second)
		if got := len(r.called()); got != 20_000 {
			t.Errorf("got %d calls, want 20,000", got)
		}
	})
}

func TestSetRefusesNonsense(t *testing.T) {
	r := newRig(t)
	err := r.store.Update(context.Background(), func(tx *kv.Tx) error {
		return r.timers.Set(context.Background(), tx, "x", "rate(0 minutes)", time.Now())
	})
	if err == nil {
		t.Error("got no error")
	}
}
