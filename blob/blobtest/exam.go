package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/kv"
)

// Run puts a bucket through the exam. The function open returns an empty bucket, store an empty store in
// memory for the references. The exam runs on the clock of testing/synctest: a bucket must take its times
// from time.Now.
func Run(t *testing.T, open func(t testing.TB) driver.Bucket, store func(t testing.TB) *kv.Store) {
	for _, part := range []struct {
		name string
		exam func(t *testing.T, x exam)
	}{
		{"PutOpen", testPutOpen},
		{"Same", testSame},
		{"Absent", testAbsent},
		{"BrokenReader", testBrokenReader},
		{"Cancel", testCancel},
		{"Abort", testAbort},
		{"Parallel", testParallel},
		{"Sweep", testSweep},
		{"SweepRenewed", testSweepRenewed},
		{"SweepOpen", testSweepOpen},
		{"SweepRace", testSweepRace},
		{"Hold", testHold},
	} {
		t.Run(part.name, func(t *testing.T) {
			bucket := open(t)
			synctest.Test(t, func(t *testing.T) {
				s := store(t)
				part.exam(t, exam{blob.New(bucket, s), s, bucket})
			})
		})
	}
}

// exam is what a part of the exam works with.
type exam struct {
	*blob.Store
	kv     *kv.Store
	bucket driver.Bucket
}

// put stores data and ends the test on an error.
func (x exam) put(t *testing.T, data []byte) blob.Ref {
	t.Helper()
	ref, err := x.Put(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want := (blob.Ref{SHA256: sha256.Sum256(data), Size: int64(len(data))}); ref != want {
		t.Fatalf("Put: got %v, want %v", ref, want)
	}
	return ref
}

// has says whether the blob is there.
func (x exam) has(t *testing.T, ref blob.Ref) bool {
	t.Helper()
	b, err := x.Open(t.Context(), ref)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}

func (x exam) update(t *testing.T, fn func(tx *kv.Tx)) {
	t.Helper()
	if err := x.kv.Update(t.Context(), func(tx *kv.Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// sweep sweeps and compares the number of blobs removed.
func (x exam) sweep(t *testing.T, grace time.Duration, want int) {
	t.Helper()
	got, err := x.Sweep(t.Context(), grace)
	if err != nil || got != want {
		t.Errorf("Sweep: %d removed, error %v, want %d removed", got, err, want)
	}
}

// names returns what is in the bucket.
func (x exam) names(t *testing.T) (names []string) {
	t.Helper()
	for name, err := range x.bucket.Names(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func random(size int) []byte {
	data := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = rng.Read(data) // never fails
	return data
}

func testPutOpen(t *testing.T, x exam) {
	for _, size := range []int{0, 1, 1000, 1 << 20, 5<<20 + 1} {
		data := random(size)
		ref := x.put(t, data)
		b, err := x.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, data) || b.Size() != int64(size) {
			t.Errorf("%d bytes: read %d, Size %d, error %v", size, len(got), b.Size(), err)
		}
		if _, err := b.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		if size <= 1000 { // it reads byte by byte
			if err := iotest.TestReader(b, data); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testSame(t *testing.T, x exam) {
	a, b := x.put(t, []byte("same")), x.put(t, []byte("same"))
	if a != b {
		t.Errorf("%v and %v", a, b)
	}
	if got := x.names(t); len(got) != 1 {
		t.Errorf("names: got %v, want one", got)
	}
}

func testAbsent(t *testing.T, x exam) {
	if x.has(t, blob.Ref{Size: 1}) {
		t.Error("a blob that was never put is there")
	}
	ref := x.put(t, []byte("x"))
	ref.Size++
	if _, err := x.Open(t.Context(), ref); err == nil {
		t.Error("Open with a wrong size gave no error")
	}
	x.sweep(t, time.Hour, 0)
	if gone, err := x.bucket.RemoveOlder(t.Context(), strings.Repeat("0", 64), time.Now()); gone || err != nil {
		t.Errorf("RemoveOlder of nothing: %v, %v", gone, err)
	}
}

func testBrokenReader(t *testing.T, x exam) {
	boom := errors.New("boom")
	r := io.MultiReader(bytes.NewReader(random(1<<20)), iotest.ErrReader(boom))
	if _, err := x.Put(t.Context(), r); !errors.Is(err, boom) {
		t.Errorf("Put: got %v, want the reader's error", err)
	}
	if got := x.names(t); len(got) != 0 {
		t.Errorf("names: got %v, want none", got)
	}
}

func testCancel(t *testing.T, x exam) {
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(bytes.NewReader(random(1<<20)), iotest.ErrReader(io.EOF))
	cancel()
	if _, err := x.Put(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: got %v, want context.Canceled", err)
	}
	if _, err := x.Sweep(ctx, 0); len(x.names(t)) > 0 || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Sweep: %v", err)
	}
}

func testAbort(t *testing.T, x exam) {
	up, err := x.bucket.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(up.Abort(), up.Abort()); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if got := x.names(t); len(got) != 0 {
		t.Errorf("names: got %v, want none", got)
	}
}

func testParallel(t *testing.T, x exam) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 10 {
				data := fmt.Appendf(nil, "%d", (i+j)%20)
				ref, err := x.Put(t.Context(), bytes.NewReader(data))
				if err != nil {
					t.Error(err)
					return
				}
				b, err := x.Open(t.Context(), ref)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, data) {
					t.Errorf("read %q, %v, want %q", got, err, data)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := x.names(t); len(got) != 20 {
		t.Errorf("%d names, want 20", len(got))
	}
}

func testSweep(t *testing.T, x exam) {
	orphan, linked, shared := x.put(t, []byte("orphan")), x.put(t, []byte("linked")), x.put(t, []byte("shared"))
	x.update(t, func(tx *kv.Tx) {
		x.Link(tx, linked, "s3/a")
		x.Link(tx, shared, "s3/a")
		x.Link(tx, shared, "s3/a") // twice is once
		x.Link(tx, shared, "s3/b")
	})
	x.sweep(t, time.Hour, 0) // within the grace period
	time.Sleep(2 * time.Hour)
	x.sweep(t, time.Hour, 1)
	if x.has(t, orphan) || !x.has(t, linked) || !x.has(t, shared) {
		t.Error("the wrong blob was removed")
	}
	x.update(t, func(tx *kv.Tx) { x.Unlink(tx, linked, "s3/a"); x.Unlink(tx, shared, "s3/a") })
	x.sweep(t, time.Hour, 1)
	if x.has(t, linked) || !x.has(t, shared) {
		t.Error("after Unlink the wrong blob was removed")
	}
	x.update(t, func(tx *kv.Tx) { x.Unlink(tx, shared, "s3/b"); x.Unlink(tx, shared, "never linked") })
	x.sweep(t, time.Hour, 1)
	if got := x.names(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// testSweepRenewed: an orphan that is put again has its grace period again.
func testSweepRenewed(t *testing.T, x exam) {
	ref := x.put(t, []byte("a"))
	time.Sleep(2 * time.Hour)
	x.put(t, []byte("a"))
	x.sweep(t, time.Hour, 0)
	time.Sleep(2 * time.Hour)
	x.sweep(t, time.Hour, 1)
	if x.has(t, ref) {
		t.Error("the blob is still there")
	}
}

func testSweepOpen(t *testing.T, x exam) {
	data := random(100_000)
	b, err := x.Open(t.Context(), x.put(t, data))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Hour)
	x.sweep(t, time.Hour, 1)
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes of a blob that was removed while open, error %v", len(got), err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// testSweepRace: an old orphan is put and linked again while it is being swept. Whichever comes first, the
// blob is there afterwards.
func testSweepRace(t *testing.T, x exam) {
	data := []byte("contended")
	for round := range 200 {
		ref := x.put(t, data)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := x.Sweep(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			ref, err := x.Put(t.Context(), bytes.NewReader(data))
			if err == nil {
				err = x.kv.Update(t.Context(), func(tx *kv.Tx) error { x.Link(tx, ref, "owner"); return nil })
			}
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if !x.has(t, ref) {
			t.Fatalf("round %d: the blob is gone after Put and Link", round)
		}
		x.update(t, func(tx *kv.Tx) { x.Unlink(tx, ref, "owner") })
	}
}

// testHold: what is there while blobs are held stays, until the time is over; a shorter hold takes nothing back.
func testHold(t *testing.T, x exam) {
	ref := x.put(t, []byte("orphan"))
	for _, d := range []time.Duration{3 * time.Hour, time.Hour} {
		if err := x.Hold(t.Context(), time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Hour)
	x.sweep(t, time.Hour, 0)
	if !x.has(t, ref) {
		t.Error("a held blob was removed")
	}
	time.Sleep(2 * time.Hour)
	x.sweep(t, time.Hour, 1)
}
