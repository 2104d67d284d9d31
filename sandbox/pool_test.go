package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lambent/sandbox"
	"lambent/sandbox/driver"
)

// host is a driver without a kernel: its sandboxes only keep a diary. Real ones are examined in sandboxtest.
type host struct {
	mu     sync.Mutex
	boxes  []*box
	refuse error
	noLive bool
}

type box struct {
	spec   driver.Spec
	l      *listener
	done   chan struct{}
	once   sync.Once
	mu     sync.Mutex
	diary  []string
	limits driver.Limits
}

func (h *host) Start(_ context.Context, spec driver.Spec) (driver.Sandbox, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	b := &box{spec: spec, l: &listener{make(chan struct{})}, done: make(chan struct{})}
	h.boxes = append(h.boxes, b)
	return b, nil
}
func (h *host) Report() driver.Report {
	return driver.Report{LiveMount: !h.noLive, Freeze: true, Reclaim: true}
}
func (h *host) Close() error { return nil }

// box returns the n-th sandbox started, and started how many there were.
func (h *host) box(n int) *box {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.boxes[n]
}

func (h *host) started() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.boxes)
}

func (b *box) read() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.diary)
}

func (h *host) alive() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.boxes {
		select {
		case <-b.done:
		default:
			n++
		}
	}
	return n
}

func (b *box) note(s string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.diary = append(b.diary, s)
	return nil
}
func (b *box) ID() string                 { return "box" }
func (b *box) Listener() net.Listener     { return b.l }
func (b *box) Mount(dir, to string) error { return b.note("mount " + dir + " " + to) }
func (b *box) Resize(l driver.Limits) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = l
	return nil
}
func (b *box) Freeze() error         { return b.note("freeze") }
func (b *box) Thaw() error           { return b.note("thaw") }
func (b *box) Reclaim() error        { return b.note("reclaim") }
func (b *box) MaxMemory() int64      { return 0 }
func (b *box) Done() <-chan struct{} { return b.done }
func (b *box) Exit() driver.Exit     { return driver.Exit{} }
func (b *box) Kill()                 { b.once.Do(func() { close(b.done); close(b.l.closed) }) }

type listener struct{ closed chan struct{} }

func (l *listener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *listener) Close() error              { return nil }
func (l *listener) Addr() net.Addr            { return &net.TCPAddr{} }

// session boots after a while.
type session struct{ boots time.Duration }

func (s session) Outputs() (a, b, c io.Writer) { return nil, nil, nil }
func (s session) Serve(l net.Listener)         { l.Accept() }
func (s session) Ready(ctx context.Context) error {
	select {
	case <-time.After(s.boots):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pool runs a test over a pool, in fake time.
func pool(t *testing.T, c sandbox.Config, test func(t *testing.T, h *host, p *sandbox.Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		if c.NewSession == nil {
			c.NewSession = func() sandbox.Session { return session{40 * time.Millisecond} }
		}
		p := sandbox.New(h, c)
		done := make(chan struct{})
		go func() { p.Run(t.Context()); close(done) }()
		test(t, h, p)
		p.Close()
		<-done
		if n := h.alive(); n != 0 {
			t.Errorf("%d sandboxes are left after Close", n)
		}
	})
}

func plan(key string) sandbox.Plan {
	return sandbox.Plan{Key: key, Spec: driver.Spec{Limits: driver.Limits{MemoryBytes: 128}}}
}

func stemPlan(key string) sandbox.Plan {
	p := plan(key)
	p.Stem = &sandbox.Stem{Name: "node"}
	p.Mounts = []driver.Mount{{Source: "/code/" + key, Target: "/var/task"}}
	return p
}

func acquire(t *testing.T, p *sandbox.Pool, pl sandbox.Plan, want sandbox.Origin) *sandbox.Sandbox {
	t.Helper()
	s, err := p.Acquire(t.Context(), pl)
	if err != nil {
		t.Fatal(err)
	}
	if s.Origin != want {
		t.Fatalf("origin is %v, want %v", s.Origin, want)
	}
	return s
}

func TestWarmSandboxesBelongToTheirKey(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		a := acquire(t, p, plan("a"), sandbox.Plain)
		acquire(t, p, plan("a"), sandbox.Plain) // a is busy
		p.Release(a)
		acquire(t, p, plan("b"), sandbox.Plain)
		if s := acquire(t, p, plan("a"), sandbox.Warm); s != a {
			t.Error("not the sandbox that was released")
		}
	})
}

func TestIdleSandboxesAge(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		s := acquire(t, p, plan("a"), sandbox.Plain)
		p.Release(s)
		time.Sleep(1100 * time.Millisecond)
		if st := p.Stats(); st.Frozen != 1 || st.Reclaimed != 0 {
			t.Errorf("after a second: %+v", st)
		}
		acquire(t, p, plan("a"), sandbox.Warm)
		p.Release(s)
		time.Sleep(31 * time.Second)
		if st := p.Stats(); st.Reclaimed != 1 {
			t.Errorf("after half a minute: %+v", st)
		}
		acquire(t, p, plan("a"), sandbox.Warm)
		p.Release(s)
		if got, want := h.box(0).read(), "[freeze thaw freeze reclaim thaw]"; got != want {
			t.Errorf("diary %v, want %v", got, want)
		}
		time.Sleep(11 * time.Minute)
		if st := p.Stats(); st.Idle != 0 || st.LetGo != 1 || h.alive() != 0 {
			t.Errorf("after ten minutes: %+v", st)
		}
	})
}

func TestStemCells(t *testing.T) {
	pool(t, sandbox.Config{MaxStems: 3}, func(t *testing.T, h *host, p *sandbox.Pool) {
		acquire(t, p, stemPlan("a"), sandbox.Plain) // none yet, and nobody waits for one
		time.Sleep(time.Second)
		if st := p.Stats(); st.Stems != 1 {
			t.Fatalf("%+v", st)
		}
		acquire(t, p, stemPlan("b"), sandbox.FromStem)
		if b := h.box(1); b.read() != "[mount /code/b /var/task]" || b.limits.MemoryBytes != 128 {
			t.Errorf("diary %v, limits %+v", b.read(), b.limits)
		}
		acquire(t, p, stemPlan("c"), sandbox.Plain) // faster than the refill: more are wanted
		acquire(t, p, stemPlan("d"), sandbox.Plain)
		acquire(t, p, stemPlan("e"), sandbox.Plain)
		time.Sleep(time.Second)
		if st := p.Stats(); st.Stems != 3 {
			t.Errorf("%+v, want 3 stems", st)
		}
		time.Sleep(6 * time.Minute)
		if st := p.Stats(); st.Stems != 0 {
			t.Errorf("without demand: %+v", st)
		}
	})
}

func TestExpect(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		p.Expect(stemPlan("a").Stem)
		p.Expect(stemPlan("a").Stem)
		time.Sleep(time.Second)
		acquire(t, p, stemPlan("a"), sandbox.FromStem)
		time.Sleep(time.Second)
		if st := p.Stats(); st.Stems != 1 || st.Plain != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestStemCellThatDoesNotBoot(t *testing.T) {
	broken := func() sandbox.Session { return session{time.Hour} }
	pool(t, sandbox.Config{NewSession: broken}, func(t *testing.T, h *host, p *sandbox.Pool) {
		p.Expect(stemPlan("a").Stem)
		time.Sleep(10 * time.Minute)
		if n := h.started(); n < 5 || n > 20 {
			t.Errorf("%d were tried in 10 minutes", n)
		}
		acquire(t, p, stemPlan("a"), sandbox.Plain)
	})
}

func TestWithoutLiveMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{noLive: true}
		p := sandbox.New(h, sandbox.Config{NewSession: func() sandbox.Session { return session{} }})
		p.Expect(stemPlan("a").Stem)
		acquire(t, p, stemPlan("a"), sandbox.Plain)
		time.Sleep(time.Minute)
		if h.started() != 1 {
			t.Errorf("%d sandboxes", h.started())
		}
		p.Close()
	})
}

func TestBounds(t *testing.T) {
	pool(t, sandbox.Config{MaxSandboxes: 2, MaxMemory: 300}, func(t *testing.T, h *host, p *sandbox.Pool) {
		a := acquire(t, p, plan("a"), sandbox.Plain)
		b := acquire(t, p, plan("b"), sandbox.Plain)
		if _, err := p.Acquire(t.Context(), plan("c")); !errors.Is(err, sandbox.ErrFull) {
			t.Errorf("third: %v", err)
		}
		p.Release(b)
		time.Sleep(time.Millisecond)
		p.Release(a)
		acquire(t, p, plan("c"), sandbox.Plain) // lets b go, the one idle the longest
		synctest.Wait()
		acquire(t, p, plan("a"), sandbox.Warm)
		big := plan("d")
		big.Spec.MemoryBytes = 200
		if _, err := p.Acquire(t.Context(), big); !errors.Is(err, sandbox.ErrFull) {
			t.Errorf("over memory: %v", err)
		}
		if st := p.Stats(); st.Full != 2 || st.LetGo != 1 || st.MemoryLimit != 256 {
			t.Errorf("%+v", st)
		}
	})
}

func TestEndings(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		a := acquire(t, p, plan("a"), sandbox.Plain)
		p.Discard(a)
		p.Discard(a)
		p.Release(a)
		synctest.Wait()
		if h.alive() != 0 {
			t.Error("discarded, and lives")
		}
		b := acquire(t, p, plan("a"), sandbox.Plain)
		p.Release(b)
		h.box(1).Kill() // ends by itself while idle
		synctest.Wait()
		c := acquire(t, p, plan("a"), sandbox.Plain)
		h.box(2).Kill() // while busy
		p.Release(c)
		synctest.Wait()
		d := acquire(t, p, plan("a"), sandbox.Plain)
		e := acquire(t, p, plan("a"), sandbox.Plain)
		p.Release(d)
		p.Evict("a")
		p.Release(e)
		synctest.Wait()
		if st := p.Stats(); h.alive() != 0 || st.Busy+st.Idle != 0 || st.Died != 1 || st.MemoryLimit != 0 {
			t.Errorf("%d live, %+v", h.alive(), st)
		}
	})
}

func TestStartFails(t *testing.T) {
	pool(t, sandbox.Config{MaxSandboxes: 1}, func(t *testing.T, h *host, p *sandbox.Pool) {
		h.refuse = errors.New("no")
		for range 3 {
			if _, err := p.Acquire(t.Context(), plan("a")); !errors.Is(err, h.refuse) {
				t.Errorf("got %v", err)
			}
		}
		h.refuse = nil
		acquire(t, p, plan("a"), sandbox.Plain)
	})
}

func TestAcquireAfterClose(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		s := acquire(t, p, plan("a"), sandbox.Plain)
		p.Close()
		p.Release(s)
		if _, err := p.Acquire(t.Context(), plan("a")); !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHammer(t *testing.T) {
	pool(t, sandbox.Config{MaxSandboxes: 20, FreezeAfter: time.Millisecond, LetGoAfter: 20 * time.Millisecond}, func(t *testing.T, h *host, p *sandbox.Pool) {
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				for n := range 200 {
					s, err := p.Acquire(t.Context(), stemPlan(fmt.Sprint(i%5)))
					if errors.Is(err, sandbox.ErrFull) {
						time.Sleep(time.Millisecond)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(n%4) * time.Millisecond)
					if n%17 == 0 {
						p.Discard(s)
					} else {
						p.Release(s)
					}
				}
			})
		}
		wg.Wait()
		if st := p.Stats(); st.Busy != 0 || st.MemoryLimit != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestKeep keeps as many idle sandboxes of a key as it was told to, and lets the others go.
func TestKeep(t *testing.T) {
	pool(t, sandbox.Config{MaxSandboxes: 3, LetGoAfter: time.Minute}, func(t *testing.T, h *host, p *sandbox.Pool) {
		p.Keep("a", 2)
		fresh := plan("a")
		fresh.Fresh = true
		var boxes []*sandbox.Sandbox
		for range 3 {
			boxes = append(boxes, acquire(t, p, fresh, sandbox.Plain))
		}
		for _, s := range boxes {
			p.Release(s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := p.Count("a"); n != 2 {
			t.Errorf("%d are left", n)
		}
		p.Release(acquire(t, p, plan("b"), sandbox.Plain))
		p.Release(acquire(t, p, plan("c"), sandbox.Plain)) // b makes room, not a
		if n := p.Count("a"); n != 2 {
			t.Errorf("%d are left after others needed room", n)
		}
		p.Keep("a", 0)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := p.Count("a"); n != 0 {
			t.Errorf("%d are left that nobody wants", n)
		}
	})
}

// TestOld lets idle sandboxes go that are named, and none that is in a caller's hands meanwhile.
func TestOld(t *testing.T) {
	pool(t, sandbox.Config{}, func(t *testing.T, h *host, p *sandbox.Pool) {
		fresh := plan("a")
		fresh.Fresh = true
		for _, s := range []*sandbox.Sandbox{acquire(t, p, fresh, sandbox.Plain), acquire(t, p, fresh, sandbox.Plain), acquire(t, p, fresh, sandbox.Plain)} {
			p.Release(s)
		}
		n := 0
		old := p.Old("a", func(sandbox.Session) bool { n++; return n > 1 }) // the last two released
		busy := acquire(t, p, plan("a"), sandbox.Warm)                      // one of them
		p.LetGo(old)
		synctest.Wait()
		if got := p.Count("a"); len(old) != 2 || got != 2 || h.alive() != 2 {
			t.Errorf("%d were old; %d are counted, %d live", len(old), got, h.alive())
		}
		p.Release(busy)
	})
}
