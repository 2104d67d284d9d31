package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lambent/cluster"
	"lambent/kv"
	"lambent/kv/kvtest"
)

func member(t *testing.T, s *kv.Store, address string) *cluster.Cluster {
	t.Helper()
	c := cluster.New(cluster.Config{KV: s.In("cluster"), Address: address, Key: []byte("shared"), Log: slog.New(slog.DiscardHandler)})
	check(t, c.Join(t.Context()))
	return c
}

// run runs c until the function that it returns is called, which waits for its end and leaves.
func run(t *testing.T, c *cluster.Cluster) (leave func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		stop()
		check(t, <-done)
		check(t, c.Leave(context.WithoutCancel(t.Context())))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvtest.Mem(t)
		a, b, dead := member(t, s, ""), member(t, s, ""), member(t, s, "") // dead never counts on
		leaveA, leaveB := run(t, a), run(t, b)
		alive := func(when string, c *cluster.Cluster, name string, want bool) {
			t.Helper()
			if got := c.Alive(t.Context(), name); got != want {
				t.Errorf("%s: alive %v, want %v", when, got, want)
			}
		}
		time.Sleep(3 * time.Second)
		alive("a", b, a.Name(), true)
		alive("b", a, b.Name(), true)
		alive("itself", a, a.Name(), true)
		alive("somebody", a, "nobody", false)
		alive("dead, at first", a, dead.Name(), true)
		time.Sleep(10 * time.Second)
		alive("dead", a, dead.Name(), false)
		alive("a, still", b, a.Name(), true)
		if got := a.Members(); got != 2 {
			t.Errorf("%d members, want 2", got)
		}
		late := member(t, s, "") // sees the dead one for the first time
		alive("dead, seen late", late, dead.Name(), true)
		leaveB()
		time.Sleep(3 * time.Second)
		alive("b, which left", a, b.Name(), false)
		time.Sleep(11 * time.Minute)
		rows := 0
		check(t, s.In("cluster").View(t.Context(), func(r kv.Reader) error {
			found, err := r.Scan(t.Context(), kv.Prefix("node"))
			rows = len(found)
			return err
		}))
		if rows != 1 {
			t.Errorf("%d rows of members, want that of the living one", rows)
		}
		leaveA()
	})
}

func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvtest.Mem(t)
		ctx := t.Context()
		a, b := member(t, s, ""), member(t, s, "") // a does not count on: it is frozen, and will be dead to b
		leave := run(t, b)
		defer leave()
		work := s.In("work")
		write := func(l *cluster.Lease, value string) error {
			return work.Update(ctx, func(tx *kv.Tx) error {
				tx.Set([]byte("k"), []byte(value))
				return l.Check(ctx, tx)
			})
		}
		mine, err := a.Acquire(ctx, "x")
		check(t, err)
		again, err := a.Acquire(ctx, "x")
		check(t, err)
		other, err := b.Acquire(ctx, "x")
		check(t, err)
		if mine == nil || again != nil || other != nil {
			t.Fatalf("got %v, again %v, other %v", mine, again, other)
		}
		check(t, write(mine, "a"))
		time.Sleep(11 * time.Second)
		other, err = b.Acquire(ctx, "x")
		check(t, err)
		if other == nil {
			t.Fatal("the lease of a dead member was not free")
		}
		check(t, write(other, "b"))
		if err := write(mine, "late"); !errors.Is(err, cluster.ErrFenced) {
			t.Errorf("write of the old owner: %v, want ErrFenced", err)
		}
		check(t, mine.Release(ctx)) // does nothing to the new owner's
		check(t, write(other, "b"))
		check(t, other.Release(ctx))
		if err := write(other, "after"); !errors.Is(err, cluster.ErrFenced) {
			t.Errorf("write after Release: %v, want ErrFenced", err)
		}
		mine, err = a.Acquire(ctx, "x")
		check(t, err)
		if mine == nil {
			t.Fatal("a lease that was given back is not free")
		}
	})
}

// TestLead: one member at a time does the work, and another goes on when it leaves.
func TestLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvtest.Mem(t)
		var working, turns atomic.Int32
		work := func(ctx context.Context, l *cluster.Lease) error {
			turns.Add(1)
			if n := working.Add(1); n != 1 {
				t.Errorf("%d work at a time", n)
			}
			defer working.Add(-1)
			<-ctx.Done()
			return nil
		}
		var ends []func()
		for range 3 {
			c := member(t, s, "")
			leave := run(t, c)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- c.Lead(ctx, "work", work) }()
			ends = append(ends, func() {
				stop()
				check(t, <-done)
				leave()
			})
		}
		for i, end := range ends {
			time.Sleep(30 * time.Second)
			if working.Load() != 1 {
				t.Errorf("after %d have left, %d work", i, working.Load())
			}
			end()
		}
		if n := turns.Load(); n < 1 || n > 3 {
			t.Errorf("%d turns", n)
		}
	})
}

// TestWake: a commit on one server wakes a watcher on another that uses the same store.
func TestWake(t *testing.T) {
	s := kvtest.Mem(t)
	woken := make(chan []string, 16)
	ear := member(t, s, "")
	server := httptest.NewServer(ear.Handler(func(topics []string) { woken <- topics }))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	there := member(t, s, address) // its row tells where ear listens
	mouth := member(t, s, "")
	check(t, mouth.Join(t.Context()))
	leave := run(t, mouth)
	defer leave()
	mouth.Notified([]string{"\x01due", "\x00\xff"})
	got := <-woken
	for len(got) < 2 {
		got = append(got, <-woken...)
	}
	if got[0] != "\x01due" || got[1] != "\x00\xff" {
		t.Errorf("woken for %q", got)
	}
	if there.Name() == ear.Name() {
		t.Error("two members have one name")
	}
	res, err := http.Post(server.URL+"/wake", "", strings.NewReader("\x01x"))
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger was answered %s", res.Status)
	}
	select {
	case topics := <-woken:
		t.Errorf("a stranger woke %q", topics)
	default:
	}
}

// TestNotifiedNeverWaits: more than can be told is dropped.
func TestNotifiedNeverWaits(t *testing.T) {
	c := member(t, kvtest.Mem(t), "")
	for range 5000 {
		c.Notified([]string{"a", "b"})
	}
}
