package fileblob_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lambent/blob"
	"lambent/blob/fileblob"
	"lambent/kv"
	"lambent/kv/kvtest"
)

// disk knows what of a folder would survive a loss of power: the bytes of files that were synced, and the
// entries of folders that were.
type disk struct {
	root    string
	content map[uint64][]byte            // by inode
	entries map[string]map[string]uint64 // by folder
	last    [2]string                    // the change under way: it is done when the next begins

	steps int
	fail  func(n int, op string) error // what the disk answers to a change
}

func newDisk(t *testing.T, fail func(n int, op string) error) *disk {
	d := &disk{root: filepath.Join(inMemory(t), "root"), content: map[uint64][]byte{}, entries: map[string]map[string]uint64{}, fail: fail}
	if err := os.MkdirAll(filepath.Join(d.root, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// inMemory returns a folder where a sync takes no time, if there is such a place.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lambent-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// step is what the bucket tells.
func (d *disk) step(op, path string) error {
	d.settle()
	d.steps++
	if err := d.fail(d.steps-1, op); err != nil {
		return err
	}
	d.last = [2]string{op, path}
	return nil
}

// settle notes what the last change has made durable.
func (d *disk) settle() {
	op, path := d.last[0], d.last[1]
	d.last = [2]string{}
	switch op {
	case "sync":
		if b, err := os.ReadFile(path); err == nil {
			d.content[inode(path)] = b
		}
	case "syncdir":
		d.entries[path] = entries(path)
	}
}

func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func entries(dir string) map[string]uint64 {
	all := map[string]uint64{}
	found, _ := os.ReadDir(dir) // none when it is gone
	for _, e := range found {
		all[e.Name()] = inode(filepath.Join(dir, e.Name()))
	}
	return all
}

// cut makes a folder of what survives a loss of power. With keep, entries that were not synced survive too, but
// never bytes.
func (d *disk) cut(t *testing.T, keep bool) string {
	t.Helper()
	d.settle()
	to := inMemory(t)
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.root {
			return err
		}
		_, durable := d.entries[filepath.Dir(path)][e.Name()]
		if !durable && !keep && filepath.Base(path) != "blobs" { // which was there before
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		name, _ := filepath.Rel(d.root, path)
		if e.IsDir() {
			return os.Mkdir(filepath.Join(to, name), 0o700)
		}
		return os.WriteFile(filepath.Join(to, name), d.content[inode(path)], 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// contents are blobs, the first two with names that begin alike.
var contents = func() []string {
	first := map[byte]string{}
	for i := 0; ; i++ {
		s := fmt.Sprintf("blob %d", i)
		b := sha256.Sum256([]byte(s))[0]
		if other, found := first[b]; found {
			return []string{other, s, "another", strings.Repeat("large", 100_000)}
		}
		first[b] = s
	}
}()

// work puts and links blobs, sweeps, and returns those that were acknowledged, until the disk breaks.
func work(t *testing.T, root string, d *disk) (acked []blob.Ref, _ error) {
	t.Helper()
	bucket, err := fileblob.OpenOn(root, d.step)
	if err != nil {
		return nil, err
	}
	defer bucket.Die()
	store := kvtest.Mem(t)
	s := blob.New(bucket, store)
	if _, err := s.Put(t.Context(), strings.NewReader("orphan")); err != nil {
		return nil, err
	}
	for range 2 { // the second time they are there
		for _, c := range contents {
			ref, err := s.Put(t.Context(), strings.NewReader(c))
			if err != nil {
				return acked, err
			}
			err = store.Update(t.Context(), func(tx *kv.Tx) error { s.Link(tx, ref, "owner"); return nil })
			if err != nil {
				return acked, err
			}
			acked = append(acked, ref)
		}
		if _, err := s.Sweep(t.Context(), -time.Hour); err != nil {
			return acked, err
		}
	}
	return acked, nil
}

// examine opens what is left and compares: acknowledged blobs are there, and no blob is other than its name says.
func examine(t *testing.T, root string, acked []blob.Ref) {
	t.Helper()
	bucket := open(t, root)
	defer bucket.Die()
	s := blob.New(bucket, kvtest.Mem(t))
	for _, ref := range acked {
		b, err := s.Open(t.Context(), ref)
		if err != nil {
			t.Errorf("acknowledged: %v", err)
			continue
		}
		b.Close()
	}
	for name, err := range bucket.Names(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		o, err := bucket.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.Copy(h, o); err != nil || hex.EncodeToString(h.Sum(nil)) != name {
			t.Errorf("blob %s has other bytes (%d of them, %v)", name, o.Size(), err)
		}
		o.Close()
	}
	if _, err := s.Put(t.Context(), strings.NewReader("more")); err != nil {
		t.Errorf("it takes no more: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) != 2 { // of the bucket that is open
		t.Errorf("tmp holds %v, %v", left, err)
	}
}

var errDead = errors.New("the process is dead")

// TestCrashAtEveryStep ends the process, or cuts the power, before each change to the disk.
func TestCrashAtEveryStep(t *testing.T) {
	steps := 0
	for at := 0; ; at++ {
		d := newDisk(t, func(n int, _ string) error {
			if n >= at {
				return errDead
			}
			return nil
		})
		acked, err := work(t, d.root, d)
		if err == nil {
			break
		}
		if !errors.Is(err, errDead) {
			t.Fatalf("at step %d: %v", at, err)
		}
		examine(t, d.cut(t, false), acked)
		examine(t, d.cut(t, true), acked)
		examine(t, d.root, acked) // the process alone died
		if t.Failed() {
			t.Fatalf("at step %d", at)
		}
		steps++
	}
	t.Logf("%d steps", steps)
	if steps < 50 {
		t.Error("too few steps")
	}
}

// TestFaultAtEveryStep breaks the disk once at each change: what was not acknowledged says why, and after it
// everything works.
func TestFaultAtEveryStep(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		for at := 0; ; at++ {
			d := newDisk(t, func(n int, _ string) error {
				if n == at {
					return fault
				}
				return nil
			})
			acked, err := work(t, d.root, d)
			if err == nil && d.steps <= at {
				break
			}
			if err == nil || !errors.Is(err, fault) || fault == syscall.ENOSPC && !errors.Is(err, blob.ErrFull) && !strings.Contains(err.Error(), "sweep") {
				t.Fatalf("at step %d: got %v, want %v", at, err, fault)
			}
			examine(t, d.cut(t, false), acked)
			examine(t, d.root, acked)
			if t.Failed() {
				t.Fatalf("%v at step %d", fault, at)
			}
		}
	}
}

// TestTwoProcesses: a second process with the same folder leaves what the first is writing alone.
func TestTwoProcesses(t *testing.T) {
	root := t.TempDir()
	first := open(t, root)
	up, err := first.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	second := open(t, root)
	sum := sha256.Sum256([]byte("hello"))
	name := hex.EncodeToString(sum[:])
	if err := up.Commit(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Open(t.Context(), name); err != nil {
		t.Error(err)
	}
	// What one commits the other does not remove, however they meet.
	for round := range 200 {
		cutoff := time.Now()
		time.Sleep(time.Microsecond)
		gone := make(chan error, 1)
		go func() { _, err := second.RemoveOlder(t.Context(), name, cutoff); gone <- err }()
		up, err := first.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := up.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(up.Commit(t.Context(), name), <-gone); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Open(t.Context(), name); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}
