package pebblekv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// ledger is a workload that can tell after a crash what is missing. Each transaction appends a stamped
// entry and writes its number under two keys; a reader notes what it has been shown.
type ledger struct {
	mu     sync.Mutex // guards the fields below
	acked  []kv.Stamp
	stable kv.Stamp // the highest StableBefore that was answered
	shown  uint64   // the highest number that a View has returned
}

var logPrefix, pairA, pairB = []byte("log/"), []byte("pair/a"), []byte("pair/b")

// write does one transaction and notes its stamp once it is acknowledged.
func (l *ledger) write(ctx context.Context, s *kv.Store) error {
	stamp, err := s.UpdateStamp(ctx, func(tx *kv.Tx) error {
		v, err := tx.Get(ctx, pairA)
		if err != nil {
			return err
		}
		var n uint64
		if v != nil {
			n = binary.BigEndian.Uint64(v)
		}
		next := binary.BigEndian.AppendUint64(nil, n+1)
		tx.Set(pairA, next)
		tx.Set(pairB, next)
		tx.SetStamped(logPrefix, nil, bytes.Repeat(next, 50))
		tx.Set(fmt.Appendf(nil, "filler/%d", n%10), bytes.Repeat(next, 50))
		if n%5 == 4 {
			tx.DeleteRange([]byte("filler/"), []byte("filler/5"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, stamp)
	return nil
}

// look notes what a reader is shown.
func (l *ledger) look(ctx context.Context, s *kv.Store) error {
	var n uint64
	err := s.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(ctx, pairA)
		if v != nil {
			n = binary.BigEndian.Uint64(v)
		}
		return err
	})
	if err != nil {
		return err
	}
	stable, err := s.StableBefore(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = max(l.shown, n)
	if bytes.Compare(stable[:], l.stable[:]) > 0 {
		l.stable = stable
	}
	return nil
}

// note is what had been promised at some moment.
func (l *ledger) note() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{acked: slices.Clone(l.acked), stable: l.stable, shown: l.shown}
}

// check opens what a crash has left and compares it with what had been promised before.
func (l *ledger) check(t *testing.T, fs vfs.FS) {
	t.Helper()
	engine, err := pebblekv.Open("data", pebblekv.Options{FS: fs})
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	s := kv.New(engine)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	found := map[kv.Stamp]bool{}
	ctx := t.Context()
	err = s.View(ctx, func(r kv.Reader) error {
		entries, err := r.Scan(ctx, kv.Range{Begin: logPrefix, End: []byte("log0")})
		if err != nil {
			return err
		}
		for i, e := range entries {
			found[kv.Stamp(e.Key[len(logPrefix):])] = true
			if n := binary.BigEndian.Uint64(e.Value); n != uint64(i+1) {
				t.Errorf("entry %d has number %d: the log is no prefix of history", i+1, n)
			}
		}
		pair, err := r.GetAll(ctx, pairA, pairB)
		if err != nil {
			return err
		}
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("half a transaction: %x and %x", pair[0], pair[1])
		}
		if len(entries) > 0 && !bytes.Equal(pair[0], entries[len(entries)-1].Value[:8]) {
			t.Errorf("half a transaction: log has %d entries, the counter is %x", len(entries), pair[0])
		}
		if uint64(len(entries)) < l.shown {
			t.Errorf("a reader was shown number %d, the log ends at %d", l.shown, len(entries))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, stamp := range l.acked {
		if !found[stamp] {
			t.Errorf("acknowledged commit %x is lost", stamp)
		}
	}
	l.checkNext(t, s, found)
}

// checkNext checks that a commit after the crash comes after all that was there before.
func (l *ledger) checkNext(t *testing.T, s *kv.Store, found map[kv.Stamp]bool) {
	t.Helper()
	next := &ledger{}
	if err := next.write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	stamp := next.acked[0]
	if bytes.Compare(stamp[:], l.stable[:]) < 0 {
		t.Errorf("commit %x after the crash is below %x, where a reader stood", stamp, l.stable)
	}
	for before := range found {
		if bytes.Compare(stamp[:], before[:]) <= 0 {
			t.Errorf("commit %x after the crash is not above %x before it", stamp, before)
		}
	}
}

// smallTables makes Pebble flush and compact within a short test.
var smallTables = pebblekv.Options{MemTableBytes: 64 << 10}

// TestCrashAtEveryWrite cuts the power before each thing that the store does to its disk.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, keep := range []int{0, 30, 100} {
		t.Run(fmt.Sprintf("keep%d", keep), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			type crash struct {
				fs       *vfs.MemFS
				promised *ledger
			}
			var mu sync.Mutex // guards crashes and rng
			var crashes []crash
			disk := vfs.NewCrashableMem()
			l := &ledger{}
			faulty := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					promised := l.note()
					mu.Lock()
					defer mu.Unlock()
					crashes = append(crashes, crash{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}), promised})
				}
				return nil
			}))
			o := smallTables
			o.FS = faulty
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
			t.Logf("%d crashes", len(crashes))
			for _, c := range crashes {
				c.promised.check(t, c.fs)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestCrashUnderLoad cuts the power while many write and read.
func TestCrashUnderLoad(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		crashUnderLoad(t, rand.New(rand.NewPCG(seed, 0)))
	}
}

func crashUnderLoad(t *testing.T, rng *rand.Rand) {
	disk := vfs.NewCrashableMem()
	o := smallTables
	o.FS = disk
	engine, err := pebblekv.Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	l := &ledger{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	work := func(fn func(context.Context, *kv.Store) error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := fn(ctx, s); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 6 {
		work(l.write)
	}
	work(l.look)
	type crash struct {
		fs       *vfs.MemFS
		promised *ledger
	}
	var crashes []crash
	for len(crashes) < 5 {
		at := len(l.note().acked) + 1 + rng.IntN(100)
		for len(l.note().acked) < at && !t.Failed() {
			runtime.Gosched()
		}
		promised := l.note()
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}
		crashes = append(crashes, crash{disk.CrashClone(cfg), promised})
	}
	cancel()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range crashes {
		c.promised.check(t, c.fs)
	}
}
