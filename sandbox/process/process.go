// Package process is the sandbox driver made of the kernel's own parts: namespaces, control groups, seccomp.
//
// # The walls
//
// Each sandbox is a process tree in mount, process, IPC, host name, network and control group namespaces of its own.
// Its root is a small tmpfs with the Spec's files and read-only mounts, a /tmp of the Spec's size, a /dev of five
// devices and a /proc that shows its own processes only. Its network is a loopback with the listeners that the host
// opened in it, and nothing else: there is no way out. It runs as a user of its own (one that the host does not use),
// at last inside a user namespace that owns none of the other namespaces, without capabilities, with no_new_privs,
// under moby's default seccomp profile. Memory, CPU and the number of processes are bounded by control groups.
//
// # How one is started
//
// Process 1 of a sandbox is no program of ours but a list of system calls, the tape, that a few instructions play (see
// tape and program). So a sandbox costs one clone, one exec of a tiny image and some hundred system calls, not the start
// of another Go program, and its process 1 holds a few pages of memory.
//
// # What is left behind
//
// Nothing: the sandbox's processes die with its process 1, that one with the server's spawning thread, and namespaces and
// mounts with their processes. Control groups stay when a server is killed; the next one with the same Dir removes
// them at Open, after killing what may still be in them.
//
// # Without root
//
// The same tape runs inside a user namespace made by clone. Control groups are used where they were delegated.
// What then is missing (mounting into a live sandbox, most limits) the Report names.
package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lambent/sandbox/driver"
)

// Config says where the driver keeps its few files.
type Config struct {
	// Dir is a folder of this driver alone, made when missing. It names the driver: two servers never share one.
	Dir string
	// FirstUID is the first of 65,536 user ids that nothing else on this host uses; 0 means 200000. Only used by root.
	FirstUID int
}

// Driver is the process driver. Open makes one.
type Driver struct {
	name    string // of its cgroup folders
	stage   string
	root    bool // we may do everything
	filter  []byte
	code    []byte
	userNS  int // descriptor, -1 without
	nested  bool
	firstID int
	cgroups *cgroupTree
	spawner *spawner
	mounter *mounter
	watcher *memoryWatcher
	report  driver.Report
	broken  error // why no sandbox can be started at all
	ids     atomic.Int64

	hideFiles, hideDirs []string

	mu     sync.Mutex // guards what follows
	live   map[*Sandbox]bool
	ending bool
}

var _ driver.Driver = (*Driver)(nil)

// Open finds out what this host gives and removes what a crashed server with the same Dir left behind. It fails only
// when Dir cannot be used: on a host that gives no walls at all it is Start that says so, and the Report.
func Open(c Config) (*Driver, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox/process: %w", err)
	}
	d := &Driver{
		stage:   filepath.Join(dir, "root"),
		root:    isRoot(),
		userNS:  -1,
		firstID: c.FirstUID,
		live:    make(map[*Sandbox]bool),
	}
	if d.firstID == 0 {
		d.firstID = 200_000
	}
	sum := sha256.Sum256([]byte(dir))
	d.name = "lambent-" + hex.EncodeToString(sum[:4])
	if err := os.MkdirAll(d.stage, 0o755); err != nil {
		return nil, fmt.Errorf("sandbox/process: %w", err)
	}
	if d.code, err = playerCode(); err != nil {
		return nil, err
	}
	if d.filter, err = seccompFilter(); err != nil {
		return nil, err
	}
	if d.cgroups, err = openCgroups(d.name); err != nil {
		return nil, err
	}
	if err := d.sweep(filepath.Join(dir, "cgroups")); err != nil {
		return nil, err
	}
	d.hideFiles, d.hideDirs = hiddenProc()
	d.spawner = newSpawner()
	d.mounter = newMounter()
	d.watcher = newMemoryWatcher()
	d.probe()
	return d, nil
}

// isRoot reports whether we hold the capability that all of this takes, in the host's own user namespace or one like it.
func isRoot() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return os.Geteuid() == 0 && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// sweep ends and removes the sandboxes of an earlier server. Its folders are noted in file, because the next server
// may run in another control group itself.
func (d *Driver) sweep(file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("sandbox/process: %w", err)
	}
	bases := append(strings.Fields(string(old)), d.cgroups.bases()...)
	for _, base := range bases {
		if filepath.Base(base) != d.name {
			continue // not ours: a damaged file
		}
		entries, _ := os.ReadDir(base)
		for _, e := range entries {
			if e.IsDir() {
				g := &cgroup{tree: d.cgroups, dirs: map[string]string{"unified": filepath.Join(base, e.Name())}}
				g.all = []string{g.dirs["unified"]}
				g.kill()
				g.remove()
			}
		}
	}
	for _, base := range strings.Fields(string(old)) {
		if filepath.Base(base) == d.name {
			os.Remove(base)
		}
	}
	for _, base := range d.cgroups.bases() {
		if err := mkdir(base); err != nil {
			return fmt.Errorf("sandbox/process: %w", err)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(d.cgroups.bases(), "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("sandbox/process: %w", err)
	}
	return nil
}

// Report implements driver.Driver.
func (d *Driver) Report() driver.Report { return d.report }

// Close kills every sandbox, waits, and removes the driver's control groups.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.ending {
		d.mu.Unlock()
		return nil
	}
	d.ending = true
	var all []*Sandbox
	for s := range d.live {
		all = append(all, s)
	}
	d.mu.Unlock()

	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(s.Kill)
	}
	wg.Wait()
	d.spawner.close()
	d.mounter.close()
	d.watcher.close()
	if d.userNS >= 0 {
		unix.Close(d.userNS)
	}
	d.cgroups.close()
	return nil
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	if d.broken != nil {
		return nil, fmt.Errorf("sandbox: this host cannot run one: %w", d.broken)
	}
	n := d.ids.Add(1)
	if spec.ID == "" {
		spec.ID = fmt.Sprintf("s%d", n)
	}
	if err := complete(&spec); err != nil {
		return nil, fmt.Errorf("sandbox %s: %w", spec.ID, err)
	}
	s, err := d.start(ctx, spec, d.uid(n))
	if err != nil {
		return nil, fmt.Errorf("sandbox %s: %w", spec.ID, err)
	}
	return s, nil
}

// uid returns the user id of the n-th sandbox: its own, so that limits which the kernel counts by user are its own too.
func (d *Driver) uid(n int64) int {
	const first, some = 1000, 60_000 // of the 65,536
	id := first + int(n%some)
	switch {
	case d.nested:
		return 993
	case d.userNS < 0:
		return d.firstID + id
	}
	return id
}

// complete fills in defaults and refuses what cannot be meant.
func complete(s *driver.Spec) error {
	for _, r := range s.ID {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", r) {
			return fmt.Errorf("bad id %q", s.ID)
		}
	}
	if len(s.Argv) == 0 || !filepath.IsAbs(s.Argv[0]) {
		return fmt.Errorf("bad command %q", s.Argv)
	}
	for _, m := range s.Mounts {
		if !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.Target) {
			return fmt.Errorf("bad mount %+v", m)
		}
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	if s.Host == "" {
		s.Host = "localhost"
	}
	if s.TmpBytes == 0 {
		s.TmpBytes = driver.DefaultTmpBytes
	}
	if s.RuntimeAPIAddr == "" {
		s.RuntimeAPIAddr = driver.DefaultRuntimeAPIAddr
	}
	if s.MemoryBytes == 0 {
		s.MemoryBytes = 128 << 20
	}
	if s.PIDs == 0 {
		s.PIDs = 1024
	}
	return nil
}
