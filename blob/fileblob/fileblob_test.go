package fileblob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lambent/blob"
	"lambent/blob/blobtest"
	"lambent/blob/driver"
	"lambent/blob/fileblob"
	"lambent/kv/kvtest"
)

func open(t testing.TB, dir string) *fileblob.Bucket {
	t.Helper()
	b, err := fileblob.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExam(t *testing.T) {
	blobtest.Run(t, func(t testing.TB) driver.Bucket { return open(t, filepath.Join(t.TempDir(), "blobs")) }, kvtest.Mem)
}

// TestFolder: a blob is one file, open to nobody else, and nothing else is left behind.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	s := blob.New(open(t, dir), kvtest.Mem(t))
	for range 2 {
		if _, err := s.Put(t.Context(), strings.NewReader("hello")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if name, _ := filepath.Rel(dir, path); strings.HasPrefix(name, "blobs/") || strings.HasPrefix(name, "tmp/") && !strings.HasSuffix(name, ".alive") {
			got = append(got, name)
		}
		return err
	})
	want := "blobs/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("files %v, error %v, want %s", got, err, want)
	}
}

// TestLeftovers: what a crash left in the making is removed, what is no blob is left alone and not listed.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	up, err := b.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(dir, "blobs", "ab", "notes.txt")
	if err := errors.Join(os.Mkdir(filepath.Dir(stranger), 0o700), os.WriteFile(stranger, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := b.Die(); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "tmp", "put-1") // as the first version left them
	if err := os.WriteFile(first, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("tmp holds %v, error %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 2 { // the open bucket's own
		t.Errorf("tmp holds %v, error %v", left, err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
			t.Errorf("after Close tmp holds %v, error %v", left, err)
		}
	}()
	s := blob.New(b, kvtest.Mem(t))
	if n, err := s.Sweep(t.Context(), 0); n != 0 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	b := open(t, t.TempDir())
	for _, name := range []string{"", "ab", strings.Repeat("A", 64), strings.Repeat("../", 21) + "a", strings.Repeat("a", 65)} {
		if _, err := b.Open(t.Context(), name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of %q: %v, want that the name is malformed", name, err)
		}
		if _, err := b.RemoveOlder(t.Context(), name, time.Now()); err == nil {
			t.Errorf("RemoveOlder of %q gave no error", name)
		}
		up, err := b.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := up.Commit(t.Context(), name); err == nil {
			t.Errorf("Commit as %q gave no error", name)
		}
	}
}

// TestOpenErrors: a folder that cannot be used is named in the error.
func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fileblob.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names %s", err, file)
	}
}

// smallDisk tells the child of TestFull where it may mount a small disk.
const smallDisk = "LAMBENT_TEST_SMALL_DISK"

// TestFull: on a full disk Put gives one clear error, leaves nothing behind, and works again when there is space.
func TestFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("may not make a mount namespace here")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFullDisk(t *testing.T) {
	dir := os.Getenv(smallDisk)
	if dir == "" {
		t.Skip("runs as the child of TestFull")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("may not mount here: ", err)
	}
	s := blob.New(open(t, filepath.Join(dir, "blobs")), kvtest.Mem(t))
	for range 3 {
		_, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 2<<20)))
		if !errors.Is(err, blob.ErrFull) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Put: got %v, want ErrFull in one line", err)
		}
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 700<<10))); err != nil {
		t.Errorf("there is space again: %v", err)
	}
}
