package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lambent/cli"
	"lambent/kv/pgkv/pgtest"
)

// start runs a cloud until the test ends, and fails the test when it does not serve or does not end well.
func start(t *testing.T, flags cli.FlagValues) cli.Running {
	t.Helper()
	r, err := tryStart(t, flags)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tryStart is start for a cloud that may refuse to serve.
func tryStart(t *testing.T, flags cli.FlagValues) (cli.Running, error) {
	t.Helper()
	l, err := Load(flags, environment(nil), "")
	if err != nil {
		return cli.Running{}, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan cli.Running, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, &l.Config, io.Discard, func(r cli.Running) { ready <- r }) }()
	select {
	case err := <-ended:
		stop()
		return cli.Running{}, errors.Join(err)
	case r := <-ready:
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("at the end: %v", err)
			}
		})
		return r, nil
	}
}

// refuse wants a start to fail with one line that holds all of want.
func refuse(t *testing.T, flags cli.FlagValues, want ...string) {
	t.Helper()
	_, err := tryStart(t, flags)
	if err == nil {
		t.Fatal("it serves")
	}
	oneLine(t, err, want...)
}

// oneLine wants an error of one line that holds all of want.
func oneLine(t *testing.T, err error, want ...string) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

func TestOneFolderServesOneCloud(t *testing.T) {
	dir := t.TempDir()
	first := start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"})
	refuse(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}, "another lambent serves the data folder "+dir, "--data")
	// The refused one leaves the other's note, and the other, alone.
	if _, err := os.Stat(filepath.Join(dir, cli.ServerFile)); err != nil {
		t.Error(err)
	}
	resp, err := http.Get(first.Endpoint + "/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refuse(t, cli.FlagValues{"memory": "true", "listen": l.Addr().String()}, l.Addr().String(), "in use", "--listen")
}

// TestRootKeyStays restarts a cloud on its folder: the same key, and 0600.
func TestRootKeyStays(t *testing.T) {
	dir := t.TempDir()
	var keys [2]cli.RootKey
	for i := range keys {
		t.Run("start", func(t *testing.T) {
			keys[i] = start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}).Key
		})
	}
	if keys[0] != keys[1] || keys[0].AccessKeyID == "" {
		t.Errorf("got %s, then %s", keys[0].AccessKeyID, keys[1].AccessKeyID)
	}
	for _, name := range []string{cli.RootKeyFile, "master-key", "ca/ca.key"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, cli.ServerFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note stays behind: %v", err)
	}
}

// inMounts, set in the environment, tells TestFullAndReadOnlyDisks that it runs in a mount namespace of its own.
const inMounts = "LAMBENT_TEST_MOUNTS"

// TestFullAndReadOnlyDisks starts clouds on file systems that take nothing. It runs itself again in a mount
// namespace of its own, so that the host sees none of them.
func TestFullAndReadOnlyDisks(t *testing.T) {
	if os.Getenv(inMounts) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestFullAndReadOnlyDisks$", "-test.v")
		c.Env = append(os.Environ(), inMounts+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := c.CombinedOutput()
		switch {
		case errors.Is(err, syscall.EPERM), bytes.Contains(out, []byte("--- SKIP")):
			t.Skip("SKIPPED: file systems of the test's own cannot be mounted here; run it as root")
		case err != nil:
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	mount := func(options string) string {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			t.Skip("SKIPPED: mount: ", err)
		}
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		return dir
	}
	t.Run("full", func(t *testing.T) {
		dir := mount("size=64k")
		if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("filling it: %v", err)
		}
		refuse(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}, "the disk is full", "--data")
	})
	for _, kb := range []int{4, 64, 256, 1 << 10, 4 << 10, 12 << 10} {
		t.Run(fmt.Sprintf("%d kB", kb), func(t *testing.T) {
			refuse(t, cli.FlagValues{"data": mount(fmt.Sprintf("size=%dk", kb)), "listen": "127.0.0.1:0"}, "the disk is full", "--data")
		})
	}
	// A disk without room for one more file becomes full at any step: the store, the certificate authority, the note.
	for files := 2; files < 40; files++ {
		t.Run(fmt.Sprintf("%d files", files), func(t *testing.T) {
			flags := cli.FlagValues{"data": mount(fmt.Sprintf("size=128m,nr_inodes=%d", files)), "listen": "127.0.0.1:0"}
			if _, err := tryStart(t, flags); err != nil {
				oneLine(t, err, "the disk is full", "--data")
			}
		})
	}
	t.Run("read-only", func(t *testing.T) {
		dir := mount("ro")
		refuse(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}, "cannot be written", "--data")
	})
}

func TestDoctor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "made", "yet")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	report, err := Server{}.Doctor(t.Context(), cli.ServeOptions{Flags: cli.FlagValues{"data": dir, "listen": l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	areas := map[string]bool{}
	for _, c := range report.Checks {
		areas[c.Area] = true
		switch {
		case c.Status != statusOK && c.Remedy == "":
			t.Errorf("%s %s is %s and nothing says what to do", c.Area, c.Name, c.Status)
		case c.Name == "port" && c.Status != statusWarn:
			t.Errorf("a port in use is %s", c.Status)
		case strings.HasSuffix(strings.TrimSpace(c.Detail), " at"), c.Detail == "":
			t.Errorf("%s %s says nothing: %q", c.Area, c.Name, c.Detail)
		case c.Name == "data folder" && c.Status != statusOK:
			t.Errorf("a folder that can be made: %s %s", c.Status, c.Detail)
		}
	}
	for _, area := range []string{"sandbox", "languages", "server"} {
		if !areas[area] {
			t.Errorf("nothing is said of %s", area)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking made the folder")
	}
}

// TestSharedStore: a data folder and a store are of one cloud, and a folder is one server's.
func TestSharedStore(t *testing.T) {
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	folder, other := t.TempDir(), t.TempDir()
	flags := func(data string) cli.FlagValues {
		return cli.FlagValues{"data": data, "blobs": filepath.Join(folder, "blobs"), "listen": "127.0.0.1:0", "peer-listen": "127.0.0.1:0", "store": server.URL()}
	}
	t.Run("serving", func(t *testing.T) {
		start(t, flags(folder))
		refuse(t, flags(folder), "another lambent serves the data folder "+folder)
		refuse(t, flags(other), "copy cloud-id, master-key, root-key.json, ca from that server's data folder to "+other)
		for _, name := range sharedFiles {
			if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.IsDir() {
				if err := os.CopyFS(filepath.Join(other, name), os.DirFS(filepath.Join(folder, name))); err != nil {
					t.Fatal(err)
				}
				continue
			}
			b, err := os.ReadFile(filepath.Join(folder, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(other, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		one, two := start(t, flags(other)), start(t, cli.FlagValues{"data": t.TempDir(), "listen": "127.0.0.1:0"})
		if one.Key == two.Key {
			t.Error("another cloud has the same key")
		}
	})
	refuse(t, cli.FlagValues{"data": folder, "listen": "127.0.0.1:0"}, "belongs to a cloud whose store is a database; name that with --store")
	if err := os.WriteFile(filepath.Join(other, cloudIDFile), []byte("another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	refuse(t, flags(other), "it is the store of ", "this is another")
	bad := flags(folder)
	bad["store"] = "mysql://x"
	refuse(t, bad, "store: want the URL of a PostgreSQL database")
	bad = flags(folder)
	bad["peer-listen"] = "0.0.0.0:1"
	refuse(t, bad, "peer-listen: want host:port with a host that the other servers can reach")
}
