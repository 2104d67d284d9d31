package pebblekv_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// smallDisk tells a child process where it may mount a small disk.
const smallDisk = "LAMBENT_TEST_SMALL_DISK"

// onSmallDisk runs a test in a child with a mount namespace of its own.
func onSmallDisk(t *testing.T, test string) (stderr string, exit int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("may not make a mount namespace here")
	}
	t.Logf("the child says: %s", out.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

// mounted returns the small disk of a child.
func mounted(t *testing.T, options string) string {
	t.Helper()
	dir := os.Getenv(smallDisk)
	if dir == "" {
		t.Skip("runs as a child")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal("may not mount here: ", err)
	}
	return dir
}

// TestDiskRunsFull: when the log itself cannot grow, the process ends with one line that says why. (Before
// that, the watch over the free space refuses writes; here it is turned off.)
func TestDiskRunsFull(t *testing.T) {
	stderr, exit := onSmallDisk(t, "TestDiskRunsFullChild")
	if exit != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no space left on device") {
		t.Errorf("exit %d", exit)
	}
}

func TestDiskRunsFullChild(t *testing.T) {
	dir := mounted(t, "size=4m")
	engine, err := pebblekv.Open(dir, pebblekv.Options{MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	value := make([]byte, 100<<10)
	for {
		for i := range value {
			value[i] = byte(rand.Uint32())
		}
		if err := s.Update(t.Context(), func(tx *kv.Tx) error { tx.SetStamped(nil, nil, value); return nil }); err != nil {
			t.Fatal(err) // the process should have ended
		}
	}
}

// TestReadOnlyFolder: a folder on a read-only disk gives an error that says so.
func TestReadOnlyFolder(t *testing.T) {
	stderr, exit := onSmallDisk(t, "TestReadOnlyFolderChild")
	if exit != 0 {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}

func TestReadOnlyFolderChild(t *testing.T) {
	dir := mounted(t, "ro")
	_, err := pebblekv.Open(dir+"/data", pebblekv.Options{})
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "cannot be written") || strings.Contains(err.Error(), "\n") {
		os.Stderr.WriteString(err.Error())
		t.Errorf("got %v", err)
	}
	if _, err := pebblekv.Open(dir, pebblekv.Options{}); !errors.Is(err, syscall.EROFS) || errors.Is(err, pebblekv.ErrInUse) {
		os.Stderr.WriteString(err.Error())
		t.Errorf("got %v", err)
	}
}
