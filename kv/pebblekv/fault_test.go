package pebblekv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// faulty is a disk that breaks at one of the things done to it.
type faulty struct {
	broken func(op errorfs.Op) bool // what counts
	err    error
	stays  bool // what counts fails from then on; else only once

	mu sync.Mutex // guards the fields below
	at int        // how many go well before
	n  int        // how many there were

	healed bool
}

// heal mends the disk, so that what Pebble goes on doing with it ends.
func (f *faulty) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = true
}

func (f *faulty) MaybeError(op errorfs.Op) error {
	if !f.broken(op) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if !f.healed && (f.n-1 == f.at || f.stays && f.n > f.at) {
		return f.err
	}
	return nil
}

func (f *faulty) String() string { return "faulty" }

// reached says whether the disk has broken yet.
func (f *faulty) reached() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > f.at
}

func isWrite(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// faultChild tells the child of TestFaultAtEveryPlace that it is one.
const faultChild = "LAMBENT_TEST_FAULT_CHILD"

// TestFaultAtEveryPlace breaks the disk at each write, or each sync, in turn. Either the store goes on, or it
// stops with ErrStopped and the disk's error; then the power is cut, and what was promised is there. Stores that have
// stopped cannot be closed, so each kind of fault is tried in a process that ends with them.
func TestFaultAtEveryPlace(t *testing.T) {
	child := os.Getenv(faultChild) != ""
	for _, tt := range []struct {
		name  string
		where func(errorfs.Op) bool
		err   error
		stays bool
	}{
		{"full", isWrite, syscall.ENOSPC, true},
		{"EIO on a sync", isSync, syscall.EIO, false},
		{"EIO on syncs", isSync, syscall.EIO, true},
		{"EIO on a write", isWrite, syscall.EIO, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !child {
				cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestFaultAtEveryPlace$/^"+strings.ReplaceAll(tt.name, " ", "_")+"$")
				cmd.Env = append(os.Environ(), faultChild+"=1")
				out, err := cmd.CombinedOutput()
				if t.Logf("%s", out); err != nil {
					t.Fatal(err)
				}
				return
			}
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			stopped, at := 0, 0
			for ; ; at++ {
				f := &faulty{broken: tt.where, err: tt.err, stays: tt.stays, at: at}
				if workUntilFault(t, f, rng) {
					stopped++
				}
				if t.Failed() {
					t.Fatalf("at place %d", at)
				}
				if !f.reached() {
					break
				}
			}
			t.Logf("%d places, the store stopped at %d of them", at, stopped)
			if stopped == 0 {
				t.Error("the store never stopped: the disk did not break where it matters")
			}
		})
	}
}

// workUntilFault works on a disk that breaks, and then checks what is on it after a power cut. It says whether
// the store has stopped.
func workUntilFault(t *testing.T, f *faulty, rng *rand.Rand) (stopped bool) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	l := &ledger{}
	reason := make(chan error, 1)
	o := smallTables
	o.FS = errorfs.Wrap(disk, f)
	// The process would end here. A goroutine of Pebble's that says so holds locks, so all that remains is left alone.
	o.Fatal = func(err error) { reason <- err; select {} }
	engine, err := pebblekv.Open("data", o)
	if err != nil {
		if !errors.Is(err, f.err) && !f.reached() {
			t.Errorf("open: %v", err)
		}
		l.check(t, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}))
		return false
	}
	done := make(chan error, 1)
	go func() { done <- workload(t.Context(), kv.New(engine), l) }()
	select {
	case err := <-done:
		if err != nil && !f.reached() {
			t.Errorf("an error without a fault: %v", err)
		}
	case err := <-reason:
		stopped = true
		if !errors.Is(err, pebblekv.ErrStopped) || !errors.Is(err, f.err) {
			t.Errorf("stopped with %v, want ErrStopped and %v", err, f.err)
		}
	}
	promised := l.note()
	keep := []int{0, 50, 100}[rng.IntN(3)]
	crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng})
	f.heal()
	promised.check(t, crashed)
	return stopped
}

// workload writes enough that the store flushes and compacts.
func workload(ctx context.Context, s *kv.Store, l *ledger) error {
	for range 120 {
		if err := errors.Join(l.write(ctx, s), l.look(ctx, s)); err != nil {
			return err
		}
	}
	return s.Close()
}

// TestTornWrites cuts the power while the log is being written: of what was not synced, a part is there that
// ends anywhere, and what follows is what the disk held before.
func TestTornWrites(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	l := &ledger{}
	type crash struct {
		fs       *vfs.MemFS
		promised *ledger
	}
	var crashes []crash
	torn := 0
	hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isSync(op) || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		promised := l.note()
		synced := disk.CrashClone(vfs.CrashCloneCfg{})
		full := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
		if tear(t, synced, full, op.Path, rng) {
			torn++
		}
		crashes = append(crashes, crash{full, promised})
		return nil
	})
	o := smallTables
	o.FS = errorfs.Wrap(disk, hook)
	engine, err := pebblekv.Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	for range 150 {
		if err := errors.Join(l.write(t.Context(), s), l.look(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d crashes, %d of them in the middle of a write", len(crashes), torn)
	if torn < 100 {
		t.Error("too few writes were torn")
	}
	for i, c := range crashes {
		c.promised.check(t, c.fs)
		if t.Failed() {
			t.Fatalf("at crash %d", i)
		}
	}
}

// tear cuts off a part of what was written to the file and not synced, and puts old bytes in its place. It says whether
// there was something to tear.
func tear(t *testing.T, synced, full *vfs.MemFS, path string, rng *rand.Rand) bool {
	t.Helper()
	before, after := content(t, synced, path), content(t, full, path)
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
	}
	end := len(bytes.TrimRight(after, "\x00"))
	if same >= end {
		return false
	}
	cut := same + rng.IntN(end-same)
	after = after[:cut]
	switch rng.IntN(3) {
	case 0: // the file ends here
	case 1: // the blocks were reserved, with nothing in them
		after = append(after, make([]byte, 4096)...)
	case 2: // they hold what another file has left there
		for range 4096 {
			after = append(after, byte(rng.Uint32()))
		}
	}
	f, err := full.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(after); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return true
}

// content reads a file, nil when it is absent.
func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		return nil
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(fmt.Errorf("read %s: %w", path, err))
	}
	return b
}
