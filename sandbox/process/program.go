package process

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lambent/sandbox/driver"
)

// Descriptors of process 1, given by the driver at its start. 0 is /dev/null; 1 and 2 are the outputs.
const (
	logFD    = driver.LogFD
	statusFD = 5 // takes the main process's wait status
	userFD   = 6 // the user namespace to enter
	procsFD  = 7 // and up: cgroup.procs files to write oneself into
)

// A program is what the tape of one sandbox is made from.
type program struct {
	spec                driver.Spec
	stage               string           // empty folder of the host on which the new root is built; unseen outside the sandbox
	procs               int              // number of cgroup.procs descriptors
	filter              []byte           // seccomp
	hideFiles, hideDirs []string         // below /proc
	uid                 int              // inside the user namespace that is entered last
	userNS              bool             // userFD is one
	nested              bool             // without root: make a user namespace that maps uid to ours
	maxPIDs             int64            // RLIMIT_NPROC where no cgroup bounds it; 0 sets none
	addrs               []netip.AddrPort // to listen on
	root                bool             // hand the mount namespace over as well, for live mounts
	probe               bool             // build the walls and start nothing
	control             uint64           // address of the control message
}

// The tape, in order. Each part is one wall.
func (p *program) write(t *tape) {
	p.enterCgroups(t)
	p.buildRoot(t)
	p.openNetwork(t)
	p.limitResources(t)
	p.dropPrivileges(t)
	p.report(t)
	if p.probe {
		t.call("exit", unix.SYS_EXIT_GROUP, 0)
		return
	}
	p.run(t)
}

func (p *program) enterCgroups(t *tape) {
	for i := range p.procs {
		t.call("enter cgroup", unix.SYS_WRITE, procsFD+i, "0", 1)
		t.call("close", unix.SYS_CLOSE, procsFD+i)
	}
	// So that /proc/self/cgroup shows "/" and not where the host keeps us.
	t.try("cgroup namespace", unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP)
}

const (
	bindFlags = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	rootSize  = "size=4m,nr_inodes=4096,mode=755"
)

// buildRoot mounts a small tmpfs, fills it, and makes it the root.
func (p *program) buildRoot(t *tape) {
	t.call("make mounts private", unix.SYS_MOUNT, 0, "/", 0, unix.MS_REC|unix.MS_PRIVATE, 0)
	t.call("mount root", unix.SYS_MOUNT, "root", p.stage, "tmpfs", unix.MS_NOSUID, rootSize)
	t.call("enter root", unix.SYS_CHDIR, p.stage)
	t.call("umask", unix.SYS_UMASK, 0o022)

	r := &root{tape: t, made: map[string]bool{".": true}}
	for _, d := range []string{"proc", "dev", "tmp"} {
		r.dir(d)
	}
	for _, d := range p.spec.Dirs {
		r.dir(d)
	}
	for _, name := range slices.Sorted(maps.Keys(p.spec.Links)) {
		r.link(name, p.spec.Links[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.spec.Files)) {
		r.file(name, p.spec.Files[name])
	}
	for _, m := range p.spec.Mounts {
		r.mount(m)
	}
	r.devices()
	t.call("mount /tmp", unix.SYS_MOUNT, "tmp", "tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("size=%d,mode=1777", p.spec.TmpBytes))
	r.proc(p.hideFiles, p.hideDirs)

	t.call("pivot_root", unix.SYS_PIVOT_ROOT, ".", ".")
	t.call("leave the host's root", unix.SYS_UMOUNT2, ".", unix.MNT_DETACH)
	t.call("enter /", unix.SYS_CHDIR, "/")
	readOnly := mountAttr(bindFlags)
	t.call("make root read-only", unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", 0, readOnly, len(readOnly))
}

func mountAttr(set uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, set)
	return append(b, make([]byte, 24)...) // clear, propagation, userns
}

// root writes the records that fill the new root; the current directory is the new root.
type root struct {
	tape *tape
	made map[string]bool
}

func inside(name string) string {
	if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name != "" {
		return name
	}
	return "."
}

// dir makes a directory and its parents. That one exists already is no error: it may lie in an earlier mount.
func (r *root) dir(name string) {
	name = inside(name)
	if r.made[name] {
		return
	}
	r.dir(path.Dir(name))
	r.tape.try("mkdir /"+name, unix.SYS_MKDIRAT, unix.AT_FDCWD, name, 0o755)
	r.made[name] = true
}

func (r *root) link(name, target string) {
	name = inside(name)
	r.dir(path.Dir(name))
	r.tape.call("link /"+name, unix.SYS_SYMLINKAT, target, unix.AT_FDCWD, name)
}

func (r *root) file(name string, content []byte) {
	name = inside(name)
	r.dir(path.Dir(name))
	step := "write /" + name
	fd := r.tape.keep(step, unix.SYS_OPENAT, unix.AT_FDCWD, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o644)
	if len(content) > 0 {
		r.tape.call(step, unix.SYS_WRITE, fd, content, len(content))
	}
	r.tape.call(step, unix.SYS_CLOSE, fd)
}

// mount shows a file or folder of the host read-only.
func (r *root) mount(m driver.Mount) {
	r.bind(m.Source, m.Target, bindFlags)
}

func (r *root) bind(source, target string, attr uint64) {
	target = inside(target)
	if fi, err := os.Stat(source); err == nil && !fi.IsDir() {
		r.file(target, nil)
	} else {
		r.dir(target)
	}
	r.cover(source, target, attr)
}

// cover mounts source over an existing target.
func (r *root) cover(source, target string, attr uint64) {
	t, step, flags := r.tape, "mount "+source+" at /"+target, mountAttr(attr)
	fd := t.keep(step, unix.SYS_OPEN_TREE, unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE)
	t.call(step, unix.SYS_MOUNT_SETATTR, fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, flags, len(flags))
	t.call(step, unix.SYS_MOVE_MOUNT, fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	t.call(step, unix.SYS_CLOSE, fd)
}

// devices fills /dev with what every program expects, and nothing else.
func (r *root) devices() {
	t := r.tape
	t.call("mount /dev", unix.SYS_MOUNT, "dev", "dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "size=64k,mode=755")
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		r.bind("/dev/"+name, "dev/"+name, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	}
	r.link("dev/fd", "/proc/self/fd")
	r.link("dev/stdin", "/proc/self/fd/0")
	r.link("dev/stdout", "/proc/self/fd/1")
	r.link("dev/stderr", "/proc/self/fd/2")
	readOnly := mountAttr(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC)
	t.call("make /dev read-only", unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "dev", 0, readOnly, len(readOnly))
}

// aboutHost are the files and folders of /proc that tell about the host.
var aboutHost = []string{"acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "cmdline", "diskstats", "interrupts",
	"iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "latency_stats", "locks", "mdstat", "modules",
	"partitions", "sched_debug", "slabinfo", "softirqs", "swaps", "sysrq-trigger", "timer_list", "tty", "vmallocinfo",
	"zoneinfo"}

// hiddenProc returns those of aboutHost that this host has and that the function could read.
func hiddenProc() (files, dirs []string) {
	for _, name := range aboutHost {
		fi, err := os.Stat("/proc/" + name)
		switch {
		case err != nil || fi.Mode().Perm()&0o004 == 0:
		case fi.IsDir():
			dirs = append(dirs, name)
		default:
			files = append(files, name)
		}
	}
	return files, dirs
}

func (r *root) proc(hideFiles, hideDirs []string) {
	t := r.tape
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	t.call("mount /proc", unix.SYS_MOUNT, "proc", "proc", "proc", flags, 0)
	for _, name := range hideDirs {
		t.call("hide /proc/"+name, unix.SYS_MOUNT, "none", "proc/"+name, "tmpfs", flags|unix.MS_RDONLY, "size=4k,nr_inodes=2,mode=555")
	}
	for _, name := range hideFiles {
		r.cover("/dev/null", "proc/"+name, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	}
}

// openNetwork brings loopback up and opens the listeners, which the report hands to the host.
func (p *program) openNetwork(t *tape) {
	name := p.spec.Host
	t.call("set host name", unix.SYS_SETHOSTNAME, name, len(name))

	ifreq := make([]byte, 40)
	copy(ifreq, "lo")
	binary.LittleEndian.PutUint16(ifreq[16:], unix.IFF_UP|unix.IFF_RUNNING)
	s := t.keep("open socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	t.call("bring loopback up", unix.SYS_IOCTL, s, unix.SIOCSIFFLAGS, ifreq)
	t.call("close socket", unix.SYS_CLOSE, s)

	// The control message that hands the listeners over is filled in as they are opened, while any port may be.
	size := 4 * p.handed()
	control := binary.LittleEndian.AppendUint64(nil, uint64(unix.CmsgLen(size)))
	control = binary.LittleEndian.AppendUint32(control, unix.SOL_SOCKET)
	control = binary.LittleEndian.AppendUint32(control, unix.SCM_RIGHTS)
	head := len(control)
	p.control = t.bytes(append(control, make([]byte, unix.CmsgSpace(size)-head+8)...))
	at := func(i int) slot {
		// A result is eight bytes and a descriptor four: the upper half of each is where the next will stand.
		return slot(p.control + uint64(head+4*i))
	}
	for i, a := range p.addrs {
		listen(t, at(i), a)
	}
	if p.root {
		t.keepIn(at(len(p.addrs)), "open mount namespace", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
}

// handed is how many descriptors the report hands over.
func (p *program) handed() int {
	if p.root {
		return len(p.addrs) + 1
	}
	return len(p.addrs)
}

// listen opens a listener and leaves its descriptor in s.
func listen(t *tape, s slot, a netip.AddrPort) {
	step := "listen on " + a.String()
	one := binary.LittleEndian.AppendUint32(nil, 1)
	sa := binary.LittleEndian.AppendUint16(nil, unix.AF_INET)
	sa = binary.BigEndian.AppendUint16(sa, a.Port())
	ip := a.Addr().As4()
	sa = append(append(sa, ip[:]...), make([]byte, 8)...)
	t.keepIn(s, step, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	t.call(step, unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_REUSEADDR, one, len(one))
	t.call(step, unix.SYS_BIND, s, sa, len(sa))
	t.call(step, unix.SYS_LISTEN, s, 128)
}

// limitResources sets what is not a cgroup's.
func (p *program) limitResources(t *tape) {
	limit := func(what int, n uint64) {
		b := binary.LittleEndian.AppendUint64(nil, n)
		t.try("set resource limit", unix.SYS_PRLIMIT64, 0, what, binary.LittleEndian.AppendUint64(b, n), 0)
	}
	limit(unix.RLIMIT_NOFILE, 1024)
	limit(unix.RLIMIT_CORE, 0)
	limit(unix.RLIMIT_MSGQUEUE, 1<<20)
	if p.maxPIDs > 0 {
		limit(unix.RLIMIT_NPROC, uint64(p.maxPIDs))
	}
	// When the host itself runs out of memory, functions go first.
	// As batch work a function that is woken does not push aside those who wake it: the gateway and the others that
	// share its core. With more functions busy than cores that is the difference between queueing and thrashing.
	t.try("set scheduling", unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_BATCH, make([]byte, 4))
	fd := t.keep("set oom score", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/oom_score_adj", unix.O_WRONLY, 0)
	t.try("set oom score", unix.SYS_WRITE, fd, "500", 3)
	t.call("set oom score", unix.SYS_CLOSE, fd)
}

// dropPrivileges enters the user namespace, which owns none of the sandbox's other namespaces, and gives up every
// capability in it. From here on the tape can do no more than the function.
func (p *program) dropPrivileges(t *tape) {
	switch {
	case p.userNS:
		t.call("enter user namespace", unix.SYS_SETNS, userFD, unix.CLONE_NEWUSER)
	case p.nested:
		t.try("stay dumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		t.call("user namespace", unix.SYS_UNSHARE, unix.CLONE_NEWUSER)
		for _, f := range [][2]string{{"setgroups", "deny"}, {"uid_map", fmt.Sprintf("%d 0 1", p.uid)}, {"gid_map", fmt.Sprintf("%d 0 1", p.uid)}} {
			fd := t.keep("open "+f[0], unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/"+f[0], unix.O_WRONLY, 0)
			t.call("write "+f[0], unix.SYS_WRITE, fd, f[1], len(f[1]))
			t.call("close", unix.SYS_CLOSE, fd)
		}
	}
	for c := range unix.CAP_LAST_CAP + 8 { // some for kernels newer than this program
		t.try("drop capability", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0)
	}
	if p.nested {
		t.try("drop groups", unix.SYS_SETGROUPS, 0, 0)
	} else {
		t.call("drop groups", unix.SYS_SETGROUPS, 0, 0)
	}
	t.call("set group", unix.SYS_SETRESGID, p.uid, p.uid, p.uid)
	t.call("set user", unix.SYS_SETRESUID, p.uid, p.uid, p.uid)
	t.call("clear ambient capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	header := binary.LittleEndian.AppendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3)
	t.call("drop capabilities", unix.SYS_CAPSET, append(header, 0, 0, 0, 0), make([]byte, 24))

	// After the last change of credentials, which would reset both.
	t.call("die with the server", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, int(unix.SIGKILL), 0, 0, 0)
	t.call("close memory to others", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	t.call("no new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	fprog := t.words(uint64(len(p.filter)/8), t.bytes(p.filter))
	t.call("seccomp", unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, fprog, 0, 0)
}

// report hands the listeners to the host in one message, which also says that all walls stand.
func (p *program) report(t *tape) {
	iov := t.words(t.bytes([]byte{ready}), 1)
	message := t.words(0, 0, iov, 1, p.control, uint64(unix.CmsgSpace(4*p.handed())), 0)
	t.call("hand over listeners", unix.SYS_SENDMSG, controlFD, message, 0)
}

// ready is the message that comes with the listeners.
const ready = 'r'

// run starts the main process. What stays behind is process 1: it reaps orphans until the main process ends, passes
// on how that was, and ends; the kernel then kills whatever is left in the process namespace.
func (p *program) run(t *tape) {
	zero, status, reaped := t.slot(), t.slot(), t.slot()
	child := t.keep("fork", unix.SYS_CLONE, int(unix.SIGCHLD), 0, 0, 0, 0)
	toParent := t.branch(child, zero, false, 0)

	t.call("new session", unix.SYS_SETSID)
	if p.spec.Log == nil {
		t.call("close log", unix.SYS_CLOSE, logFD)
	}
	t.call("close on exec", unix.SYS_CLOSE_RANGE, controlFD, 1<<30, unix.CLOSE_RANGE_CLOEXEC)
	t.call("enter "+p.spec.Dir, unix.SYS_CHDIR, p.spec.Dir)
	t.call("start "+p.spec.Argv[0], unix.SYS_EXECVE, p.spec.Argv[0], t.strings(p.spec.Argv), t.strings(p.spec.Env))

	t.aim(toParent, t.here())
	t.call("close control", unix.SYS_CLOSE, controlFD) // its end at the host now says when execve is done
	loop := t.here()
	t.store(reaped, "wait", unix.SYS_WAIT4, -1, uint64(status), 0, 0)
	t.branch(reaped, child, false, loop)
	t.try("pass status on", unix.SYS_WRITE, statusFD, uint64(status), 4)
	t.call("exit", unix.SYS_EXIT_GROUP, 0)
}
