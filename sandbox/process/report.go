package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lambent/sandbox/driver"
)

// probe finds out what works by trying it: it builds the walls once, with less each time that fails, and starts nothing.
func (d *Driver) probe() {
	var userErr error
	if d.root {
		if d.userNS, userErr = d.openUserNS(); userErr != nil {
			d.userNS = -1
		}
	} else {
		d.nested = true
	}
	d.report.LiveMount = d.root
	err := d.tryOne()
	if err != nil && d.userNS >= 0 {
		unix.Close(d.userNS)
		d.userNS, userErr = -1, err
		err = d.tryOne()
	}
	d.broken = err
	d.report.Driver = "process"
	d.describe(userErr)
}

// tryOne builds a sandbox that runs nothing.
func (d *Driver) tryOne() error {
	spec := driver.Spec{ID: "probe", Argv: []string{"/"}}
	if err := complete(&spec); err != nil {
		return err
	}
	spec.Argv = nil
	s, err := d.start(context.Background(), spec, d.uid(0))
	if err != nil {
		return err
	}
	if frozen := s.group.freeze(true); frozen == nil {
		d.report.Freeze = s.group.freeze(false) == nil
	}
	s.Kill()
	return nil
}

// openUserNS makes the user namespace that sandboxes enter last, and returns its descriptor. It belongs to a child
// that only waits to be killed.
func (d *Driver) openUserNS() (int, error) {
	t := newTape(d.code)
	t.call("ready", unix.SYS_WRITE, controlFD, "r", 1)
	t.call("wait", unix.SYS_PPOLL, 0, 0, 0, 0, 0)
	t.call("exit", unix.SYS_EXIT_GROUP, 0)

	f, err := openFiles(driver.Spec{}, nil, -1)
	if err != nil {
		return -1, err
	}
	defer f.closeHost()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: d.firstID, Size: 1 << 16}}
	pid, err := d.spawner.start(t, f.child(), &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
	})
	f.closeChild()
	if err != nil {
		return -1, err
	}
	defer func() {
		unix.Kill(pid, unix.SIGKILL)
		reap(pid)
	}()
	return unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// describe writes the report.
func (d *Driver) describe(userErr error) {
	r := &d.report
	const asRoot = "run as root, or with CAP_SYS_ADMIN"
	made := func(name, detail string, err error, remedy string, must bool) {
		w := driver.Wall{Name: name, OK: err == nil, Detail: detail, Must: must}
		if err != nil {
			w.Detail, w.Remedy = err.Error(), remedy
		}
		r.Walls = append(r.Walls, w)
	}
	remedy := asRoot
	if !d.root {
		remedy = asRoot + ", or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
	}
	made("own file system", "mount namespace, read-only mounts on a private root, /tmp of a fixed size", d.broken, remedy, true)
	made("own processes", "process, IPC and host name namespaces; ends with its process 1", d.broken, remedy, true)
	made("own network", "network namespace with nothing but loopback", d.broken, remedy, true)
	made("no privileges", "a user of its own, no capabilities, no_new_privs", d.broken, remedy, true)
	made("system call filter", "seccomp, moby's default profile without ptrace", d.broken, remedy, true)
	if d.root {
		made("user namespace", fmt.Sprintf("users %d and up of the host", d.firstID), userErr, "sysctl user.max_user_namespaces=10000", false)
	} else {
		made("user namespace", "made by an ordinary user: all sandboxes are the same user to the host", d.broken, remedy, true)
	}
	for _, c := range []struct{ name, controller string }{{"memory limit", "memory"}, {"CPU limit", "cpu"}, {"process limit", "pids"}} {
		var err error
		if !d.cgroups.has(c.controller) {
			err = errors.New(d.cgroups.how(c.controller))
		}
		detail := d.cgroups.how(c.controller)
		if err != nil && c.controller == "pids" && d.nested && d.broken == nil {
			detail, err = "RLIMIT_NPROC in a user namespace", nil
		}
		made(c.name, detail, err, "delegate the "+c.controller+" cgroup controller: run as root, or under systemd with Delegate=yes", c.controller != "cpu")
	}
	made("open files limit", "RLIMIT_NOFILE 1024", d.broken, remedy, false)
	made("internet", "", errors.New("functions reach the cloud's own endpoint and nothing else"), "not offered yet", false)

	var freezeErr, liveErr, reclaimErr error
	if !r.Freeze {
		freezeErr = errors.New("no cgroup freezer")
	}
	if !r.LiveMount {
		liveErr = errors.New("without root no stem cells: functions start 30 to 40 ms slower")
	}
	if !hasSwap() {
		reclaimErr = errors.New("no swap: idle functions keep their memory until they are let go")
	}
	r.Reclaim = d.root && reclaimErr == nil
	made("freeze on idle", "cgroup freezer", freezeErr, "mount cgroup v2, and run as root or under systemd with Delegate=yes", false)
	made("stem cells", "code is mounted into live sandboxes", liveErr, asRoot, false)
	made("memory put aside on idle", "process_madvise", reclaimErr, "add swap or zram: modprobe zram", false)
}

func hasSwap() bool {
	b, _ := os.ReadFile(filepath.FromSlash("/proc/swaps"))
	return strings.Count(string(b), "\n") > 1
}
