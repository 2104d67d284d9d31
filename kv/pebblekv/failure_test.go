package pebblekv_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// gate is a disk whose log can be made to fail, or to hang, when it is synced.
type gate struct {
	fail atomic.Pointer[error]
	hold atomic.Pointer[chan struct{}]
}

func (g *gate) MaybeError(op errorfs.Op) error {
	if !strings.HasSuffix(op.Path, ".log") {
		return nil
	}
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	if c := g.hold.Load(); c != nil {
		<-*c
	}
	if err := g.fail.Load(); err != nil {
		return *err
	}
	return nil
}

func (g *gate) String() string { return "gate" }

// close lets no sync pass until the function returned is called.
func (g *gate) close() (open func()) {
	c := make(chan struct{})
	g.hold.Store(&c)
	return func() { g.hold.Store(nil); close(c) }
}

// gated opens a store in memory behind a gate. Failures go to fatal.
func gated(t *testing.T, fatal func(error)) (*kv.Store, *gate) {
	t.Helper()
	g := &gate{}
	engine, err := pebblekv.Open("data", pebblekv.Options{FS: errorfs.Wrap(vfs.NewMem(), g), Fatal: fatal})
	if err != nil {
		t.Fatal(err)
	}
	return kv.New(engine), g
}

func put(ctx context.Context, s *kv.Store, k, v string) error {
	return s.Update(ctx, func(tx *kv.Tx) error { tx.Set([]byte(k), []byte(v)); return nil })
}

// TestFailedSync: after a failed sync nothing is acknowledged and nothing is read any more, and the process
// is told to stop, once.
func TestFailedSync(t *testing.T) {
	reasons := make(chan error, 10)
	s, g := gated(t, func(err error) { reasons <- err })
	ctx := t.Context()
	if err := put(ctx, s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	broken := error(syscall.EIO)
	g.fail.Store(&broken)
	for range 3 {
		if err := put(ctx, s, "a", "2"); !errors.Is(err, syscall.EIO) {
			t.Errorf("Update: got %v, want the disk's error", err)
		}
	}
	if err := s.View(ctx, func(r kv.Reader) error { _, err := r.Get(ctx, []byte("a")); return err }); err == nil {
		t.Error("View gave no error")
	}
	if _, err := s.StableBefore(ctx); err == nil {
		t.Error("StableBefore gave no error")
	}
	if n := len(reasons); n != 1 {
		t.Fatalf("the process was told to stop %d times, want once", n)
	}
	if err := <-reasons; !errors.Is(err, syscall.EIO) {
		t.Errorf("reason %v, want the disk's error", err)
	}
	if err := s.Close(); err == nil {
		t.Error("Close gave no error")
	}
}

// TestFailedSyncWakesReaders: who waits for a value to become durable learns that it never will.
func TestFailedSyncWakesReaders(t *testing.T) {
	s, g := gated(t, func(error) {})
	ctx := t.Context()
	open := g.close()
	wrote := make(chan error, 1)
	go func() { wrote <- put(ctx, s, "a", "1") }()
	read := make(chan error, 1)
	go func() { read <- seeA(ctx, s, func() {}) }()
	broken := error(syscall.EIO)
	g.fail.Store(&broken)
	open()
	if err := <-wrote; !errors.Is(err, syscall.EIO) {
		t.Errorf("Update: got %v, want the disk's error", err)
	}
	if err := <-read; errors.Is(err, errSeen) {
		t.Error("a value that is not durable was shown")
	}
}

var errSeen = errors.New("seen")

// seeA looks for key a until it is there, calls notice, and returns errSeen by way of an Update that does
// not commit. A look that comes just before the value is visible may wait for its sync all the same, so each
// look that sees nothing is given up soon and done again.
func seeA(ctx context.Context, s *kv.Store, notice func()) error {
	for {
		look, giveUp := context.WithCancel(ctx)
		timer := time.AfterFunc(5*time.Millisecond, giveUp)
		err := s.Update(look, func(tx *kv.Tx) error {
			v, err := tx.Get(look, []byte("a"))
			if v != nil && timer.Stop() { // from here on only ctx ends the look
				notice()
				return errSeen
			}
			return err
		})
		timer.Stop()
		givenUp := look.Err() != nil && ctx.Err() == nil
		giveUp()
		if err != nil && !(givenUp && errors.Is(err, context.Canceled)) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// TestReadWaitsForSync: what is visible and not yet durable is not shown, neither by a View nor by an Update
// that only looks or fails; who reads something else does not wait.
func TestReadWaitsForSync(t *testing.T) {
	s, g := gated(t, func(err error) { panic(err) })
	ctx := t.Context()
	if err := put(ctx, s, "b", "1"); err != nil {
		t.Fatal(err)
	}
	open := g.close()
	wrote := make(chan error, 1)
	go func() { wrote <- put(ctx, s, "a", "1") }()
	seen, noticed := make(chan error, 1), make(chan struct{})
	go func() { seen <- seeA(ctx, s, func() { close(noticed) }) }()
	<-noticed
	for range 10 { // others pass
		err := s.View(ctx, func(r kv.Reader) error {
			if _, err := r.Scan(ctx, kv.Range{Begin: []byte("a1")}); err != nil {
				return err
			}
			v, err := r.Get(ctx, []byte("b"))
			if string(v) != "1" {
				t.Errorf("b: got %q", v)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(ctx, func(tx *kv.Tx) error { _, err := tx.Get(ctx, []byte("b")); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	// A View of the key itself may show the state before, at once, or wait and show the value.
	viewed := make(chan string, 1)
	go func() {
		var got string
		err := s.View(ctx, func(r kv.Reader) error {
			v, err := r.Get(ctx, []byte("a"))
			got = string(v)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		viewed <- got
	}()
	select {
	case err := <-seen:
		t.Fatalf("a value was shown before it was durable (%v)", err)
	case got := <-viewed:
		if got != "" {
			t.Fatalf("a View showed %q before it was durable", got)
		}
	case err := <-wrote:
		t.Fatalf("a write was acknowledged before its sync (%v)", err)
	case <-time.After(20 * time.Millisecond):
	}
	stuck, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := seeA(stuck, s, func() {}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errSeen) {
		t.Errorf("an impatient reader got %v, want the end of its context", err)
	}
	open()
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if err := <-seen; !errors.Is(err, errSeen) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestInUse: a second process gets a clear answer. (Within one process the same lock is asked for.)
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir)
	_, err := pebblekv.Open(dir, pebblekv.Options{})
	if !errors.Is(err, pebblekv.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want ErrInUse that names the folder", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openDir(t, dir).Close(); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}

// TestNewerFormat: a store of a newer version is refused and not touched.
func TestNewerFormat(t *testing.T) {
	mem := vfs.NewMem()
	o := pebblekv.Options{FS: mem}
	engine, err := pebblekv.Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("data", &pebble.Options{FS: mem, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("\x00format"), []byte("\x00\x00\x00\x00\x00\x00\x00\x02"), pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := pebblekv.Open("data", o); !errors.Is(err, pebblekv.ErrNewerFormat) {
			t.Fatalf("got %v, want ErrNewerFormat", err)
		} else {
			t.Log(err)
		}
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// TestOpenErrors: what is wrong with the folder is said in one line that names it.
func TestOpenErrors(t *testing.T) {
	for _, tt := range []struct {
		errno syscall.Errno
		want  error
		says  string
	}{
		{syscall.ENOSPC, kv.ErrFull, "the disk is full"},
		{syscall.EROFS, syscall.EROFS, "cannot be written"},
		{syscall.EACCES, fs.ErrPermission, "cannot be written"},
		{syscall.EIO, syscall.EIO, "input/output error"},
	} {
		for at := range int32(8) { // fail at the first thing done to the disk, at the second, …
			n := int32(-1)
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
					return nil
				}
				if n++; n < at {
					return nil
				}
				return tt.errno
			}))
			_, err := open(disk)
			if err == nil {
				t.Fatalf("%v at write %d: Open gave no error", tt.errno, at)
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "data") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v at write %d: got %v", tt.errno, at, err)
			}
		}
	}
}

// open opens a store whose fatal errors come as panics, from Pebble too, and returns them as errors.
func open(disk vfs.FS) (e *pebblekv.Engine, err error) {
	return pebblekv.Open("data", pebblekv.Options{FS: disk, Fatal: func(error) {}})
}

// fullDisk says how much space is left.
type fullDisk struct {
	vfs.FS
	left atomic.Uint64
}

func (d *fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.left.Load()}, nil
}

// TestFull: on a disk that is almost full writes are refused, reads go on, and when there is space again
// writes do, too.
func TestFull(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem()}
	disk.left.Store(1 << 30)
	engine, err := pebblekv.Open("data", pebblekv.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	ctx := t.Context()
	if err := put(ctx, s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	until := func(what string, want error) {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			err := put(ctx, s, "a", "2")
			if errors.Is(err, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: got %v, want %v", what, err, want)
			}
		}
	}
	disk.left.Store(1 << 20)
	until("full", kv.ErrFull)
	err = s.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(ctx, []byte("a"))
		if v == nil {
			t.Error("the value is gone")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	disk.left.Store(1 << 30)
	until("space again", nil)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamage: a part of a file that is not what was written is told to who reads it; the rest can be read and written.
func TestDamage(t *testing.T) {
	mem := vfs.NewMem()
	o := pebblekv.Options{FS: mem, Fatal: func(err error) { t.Errorf("the store has stopped: %v", err) }}
	engine, err := pebblekv.Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	ctx := t.Context()
	for i := range 200 {
		if err := put(ctx, s, fmt.Sprintf("%03d", i), strings.Repeat(fmt.Sprint(i), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // an open store moves the log into a table
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if engine, err = pebblekv.Open("data", o); err != nil {
			t.Fatal(err)
		}
		s = kv.New(engine)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	harm(t, mem)
	if engine, err = pebblekv.Open("data", o); err != nil {
		t.Fatal(err)
	}
	s = kv.New(engine)
	whole, damaged := 0, 0
	for i := range 200 {
		err := s.View(ctx, func(r kv.Reader) error { _, err := r.Get(ctx, fmt.Appendf(nil, "%03d", i)); return err })
		switch {
		case err == nil:
			whole++
		case errors.Is(err, kv.ErrDamaged) && !strings.Contains(err.Error(), "\n"):
			damaged++
		default:
			t.Fatal(err)
		}
	}
	t.Logf("%d rows are whole, %d are damaged", whole, damaged)
	if whole == 0 || damaged == 0 {
		t.Errorf("%d rows are whole, %d are damaged", whole, damaged)
	}
	err = s.View(ctx, func(r kv.Reader) error { _, err := r.Scan(ctx, kv.Range{}); return err })
	if !errors.Is(err, kv.ErrDamaged) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Scan: %v", err)
	}
	if err := put(ctx, s, "000", "again"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// harm changes some bytes in the middle of the tables.
func harm(t *testing.T, fs vfs.FS) {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := "data/" + name
		b := content(t, fs, path)
		b[len(b)/3] ^= 0xff
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(b)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReadOnly: a store that is opened to be read shows all, its log included, takes nothing, and stays as it is.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := pebblekv.Open(dir, pebblekv.Options{ReadOnly: true}); err == nil {
		t.Error("a store that is not there was opened")
	}
	s := openDir(t, dir)
	if err := put(t.Context(), s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	engine, err := pebblekv.Open(dir, pebblekv.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s = kv.New(engine)
	err = s.View(t.Context(), func(r kv.Reader) error {
		v, err := r.Get(t.Context(), []byte("a"))
		if string(v) != "1" {
			t.Errorf("got %q", v)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := put(t.Context(), s, "a", "2"); !errors.Is(err, pebblekv.ErrReadOnly) {
		t.Errorf("Update: %v", err)
	}
	if _, err := pebblekv.Open(dir, pebblekv.Options{}); !errors.Is(err, pebblekv.ErrInUse) {
		t.Errorf("a second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after := fingerprint(t, dir); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// fingerprint tells a folder from one that has changed.
func fingerprint(t *testing.T, dir string) (s string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s += fmt.Sprintf("%s %x\n", e.Name(), sha256.Sum256(b))
	}
	return s
}
