package sandboxtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probe is what runs inside a sandbox. It never returns.
func probe(args []string) {
	probes := map[string]func([]string){
		"output": probeOutput, "exit": probeExit, "signal": probeSignal, "environment": probeEnvironment, "read": probeRead, "write": probeWrite,
		"call": probeCall, "callandwait": probeCall, "look": probeLook, "escape": probeEscape, "reach": probeReach, "hold": probeHold, "intrude": probeIntrude,
		"eat": probeEat, "eatandwait": probeEat, "fill": probeFill, "fillandeat": probeFill, "forkbomb": probeForkBomb, "openfiles": probeOpenFiles,
		"orphans": probeOrphans, "orphan": func([]string) {}, "parent": probeParent, "daemon": probeDaemon, "tick": probeTick, "unkillable": probeUnkillable,
		"awaitfile": probeAwaitFile, "sleep": func([]string) { time.Sleep(time.Hour) },
	}
	f := probes[args[0]]
	if f == nil {
		fmt.Fprintln(os.Stderr, "no probe", args)
		os.Exit(99)
	}
	f(args)
	os.Exit(0)
}

func probeOutput([]string) {
	fmt.Println("out")
	fmt.Fprintln(os.Stderr, "err")
	if _, err := unix.Write(3, []byte("log\n")); err != nil {
		fmt.Fprintln(os.Stderr, "no log:", err)
	}
}

func probeExit(args []string) {
	n, _ := strconv.Atoi(args[1])
	os.Exit(n)
}

func probeSignal(args []string) {
	n, _ := strconv.Atoi(args[1])
	signal.Reset(syscall.Signal(n))
	syscall.Kill(os.Getpid(), syscall.Signal(n))
	time.Sleep(time.Hour)
}

func probeEnvironment(args []string) {
	dir, _ := os.Getwd()
	host, _ := os.Hostname()
	fmt.Printf("args %q\nenv %q\ndir %s\nhost %s\n", args[1:], os.Environ(), dir, host)
	var fds []int
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			fds = append(fds, fd)
		}
	}
	fmt.Println("fds", fds)
}

func probeRead(args []string) {
	for _, name := range args[1:] {
		b, err := os.ReadFile(name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(string(b))
	}
}

// tryWrite tries all ways to change a file or folder.
func tryWrite(name string) error {
	if fi, err := os.Stat(name); err != nil {
		return err
	} else if fi.IsDir() {
		return os.WriteFile(filepath.Join(name, "new"), []byte("x"), 0o644)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	f.Close()
	return nil
}

func probeWrite(args []string) {
	fmt.Println("no:", tryWrite(args[1]))
}

func probeCall(args []string) {
	c, err := net.Dial("tcp", args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c.Write([]byte("hello"))
	if args[0] == "callandwait" {
		time.Sleep(time.Hour)
	}
	c.(*net.TCPConn).CloseWrite()
	io.ReadAll(c)
}

// probeLook prints what it should not see.
func probeLook(args []string) {
	bad := func(format string, a ...any) { fmt.Printf(format+"\n", a...) }
	if _, err := os.Stat(args[1]); err == nil {
		bad("the host's %s is there", args[1])
	}
	root, _ := os.ReadDir("/")
	for _, e := range root {
		if !slices.Contains([]string{"dev", "etc", "lib", "lib64", "probe", "proc", "tmp", "usr", "var"}, e.Name()) {
			bad("the root has %s", e.Name())
		}
	}
	etc, _ := os.ReadDir("/etc")
	for _, e := range etc {
		if !slices.Contains([]string{"passwd", "group"}, e.Name()) {
			bad("/etc has %s", e.Name())
		}
	}
	dev, _ := os.ReadDir("/dev")
	for _, e := range dev {
		if !slices.Contains([]string{"fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"}, e.Name()) {
			bad("/dev has %s", e.Name())
		}
	}
	proc, _ := os.ReadDir("/proc")
	for _, e := range proc {
		if n, err := strconv.Atoi(e.Name()); err == nil && n != 1 && n != os.Getpid() {
			bad("process %d is seen", n)
		}
	}
	for _, name := range []string{"/proc/1/environ", "/proc/1/mem", "/proc/1/root", "/proc/1/cwd", "/proc/1/exe", "/proc/1/fd", "/proc/kcore", "/proc/kmsg"} {
		if f, err := os.Open(name); err == nil {
			b := make([]byte, 64)
			if n, err := f.Read(b); err == nil && n > 0 {
				bad("%s can be read: %q", name, b[:n])
			} else if names, err := f.Readdirnames(-1); err == nil && len(names) > 0 {
				bad("%s can be listed: %q", name, names)
			}
		}
	}
	for _, name := range []string{"/proc/kallsyms", "/proc/keys", "/proc/cmdline", "/proc/partitions", "/proc/modules"} {
		if b, _ := os.ReadFile(name); len(b) > 0 {
			bad("%s can be read", name)
		}
	}
	if b, _ := os.ReadFile("/proc/self/cgroup"); strings.Contains(string(b), "lambent") || strings.Contains(string(b), "..") {
		bad("control groups of the host: %s", b)
	}
	for _, e := range os.Environ() {
		if e != "PROBE=1" && e != "GOMAXPROCS=2" {
			bad("environment has %s", e)
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		bad("interfaces: %v", err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			bad("network interface %s", i.Name)
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch {
		case strings.HasPrefix(name, "Cap") && strings.Trim(value, "0") != "",
			name == "NoNewPrivs" && value != "1", name == "Seccomp" && value != "2", name == "Groups" && strings.TrimSpace(value) != "" && strings.TrimSpace(value) != "65534":
			bad("%s: %s", name, value)
		}
	}
	if os.Getuid() == 0 || os.Geteuid() == 0 || os.Getgid() == 0 {
		bad("is root")
	}
}

// probeEscape tries what must be refused, and prints what is not.
func probeEscape([]string) {
	str := func(s string) uintptr {
		p, _ := unix.BytePtrFromString(s)
		return uintptr(unsafe.Pointer(p))
	}
	zeros := make([]byte, 4096)
	buf := uintptr(unsafe.Pointer(&zeros[0]))
	calls := []struct {
		name string
		n    uintptr
		args [6]uintptr
	}{
		{"mount tmpfs", unix.SYS_MOUNT, [6]uintptr{str("x"), str("/tmp"), str("tmpfs")}},
		{"mount proc", unix.SYS_MOUNT, [6]uintptr{str("x"), str("/tmp"), str("proc")}},
		{"bind mount", unix.SYS_MOUNT, [6]uintptr{str("/"), str("/tmp"), 0, unix.MS_BIND}},
		{"remount root writable", unix.SYS_MOUNT, [6]uintptr{0, str("/"), 0, unix.MS_REMOUNT | unix.MS_BIND}},
		{"umount /proc", unix.SYS_UMOUNT2, [6]uintptr{str("/proc"), unix.MNT_DETACH}},
		{"open_tree", unix.SYS_OPEN_TREE, [6]uintptr{^uintptr(99), str("/"), unix.OPEN_TREE_CLONE}},
		{"fsopen", unix.SYS_FSOPEN, [6]uintptr{str("tmpfs")}},
		{"mount_setattr", unix.SYS_MOUNT_SETATTR, [6]uintptr{^uintptr(99), str("/"), 0, buf, 32}},
		{"pivot_root", unix.SYS_PIVOT_ROOT, [6]uintptr{str("/tmp"), str("/tmp")}},
		{"chroot", unix.SYS_CHROOT, [6]uintptr{str("/tmp")}},
		{"unshare mounts", unix.SYS_UNSHARE, [6]uintptr{unix.CLONE_NEWNS}},
		{"unshare users", unix.SYS_UNSHARE, [6]uintptr{unix.CLONE_NEWUSER}},
		{"unshare network", unix.SYS_UNSHARE, [6]uintptr{unix.CLONE_NEWNET}},
		{"clone into new user namespace", unix.SYS_CLONE, [6]uintptr{unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD)}},
		{"mknod", unix.SYS_MKNODAT, [6]uintptr{^uintptr(99), str("/tmp/disk"), unix.S_IFBLK | 0o666, 8 << 8}},
		{"ptrace process 1", unix.SYS_PTRACE, [6]uintptr{unix.PTRACE_ATTACH, 1}},
		{"ptrace seize process 1", unix.SYS_PTRACE, [6]uintptr{unix.PTRACE_SEIZE, 1}},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uintptr{1, buf, 1, buf, 1}},
		{"bpf", unix.SYS_BPF, [6]uintptr{0, buf, 64}},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [6]uintptr{buf, 0, ^uintptr(0), ^uintptr(0)}},
		{"userfaultfd", unix.SYS_USERFAULTFD, [6]uintptr{}},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uintptr{1, buf}},
		{"keyctl", unix.SYS_KEYCTL, [6]uintptr{0, ^uintptr(2)}},
		{"add_key", unix.SYS_ADD_KEY, [6]uintptr{str("user"), str("k"), buf, 1, ^uintptr(2)}},
		{"init_module", unix.SYS_INIT_MODULE, [6]uintptr{buf, 1, str("")}},
		{"kexec_load", unix.SYS_KEXEC_LOAD, [6]uintptr{}},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, [6]uintptr{3, buf, 0}},
		{"reboot", unix.SYS_REBOOT, [6]uintptr{unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_CAD_OFF}},
		{"swapoff", unix.SYS_SWAPOFF, [6]uintptr{str("/x")}},
		{"sethostname", unix.SYS_SETHOSTNAME, [6]uintptr{str("x"), 1}},
		{"setuid 0", unix.SYS_SETUID, [6]uintptr{0}},
		{"setgid 0", unix.SYS_SETGID, [6]uintptr{0}},
		{"setgroups", unix.SYS_SETGROUPS, [6]uintptr{1, buf}},
		{"syslog", unix.SYS_SYSLOG, [6]uintptr{3, buf, 100}},
		{"clock_settime", unix.SYS_CLOCK_SETTIME, [6]uintptr{0, buf}},
		{"statmount", 457, [6]uintptr{buf, buf, 100}},
		{"listmount", 458, [6]uintptr{buf, buf, 100}},
		{"raise open files", unix.SYS_PRLIMIT64, [6]uintptr{0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))}},
		{"packet socket", unix.SYS_SOCKET, [6]uintptr{unix.AF_PACKET, unix.SOCK_RAW, 0}},
		{"raw socket", unix.SYS_SOCKET, [6]uintptr{unix.AF_INET, unix.SOCK_RAW, 1}},
		{"virtual machine socket", unix.SYS_SOCKET, [6]uintptr{unix.AF_VSOCK, unix.SOCK_STREAM, 0}},
		{"crypto socket", unix.SYS_SOCKET, [6]uintptr{unix.AF_ALG, unix.SOCK_SEQPACKET, 0}},
		{"see process 1's files", unix.SYS_OPENAT, [6]uintptr{^uintptr(99), str("/proc/1/root/"), unix.O_RDONLY}},
		{"write process 1's memory", unix.SYS_OPENAT, [6]uintptr{^uintptr(99), str("/proc/1/mem"), unix.O_RDWR}},
		{"enter process 1's namespaces", unix.SYS_OPENAT, [6]uintptr{^uintptr(99), str("/proc/1/ns/mnt"), unix.O_RDONLY}},
		{"core pattern", unix.SYS_OPENAT, [6]uintptr{^uintptr(99), str("/proc/sys/kernel/core_pattern"), unix.O_WRONLY}},
		{"sysrq", unix.SYS_OPENAT, [6]uintptr{^uintptr(99), str("/proc/sysrq-trigger"), unix.O_WRONLY}},
	}
	for _, c := range calls {
		r, _, errno := unix.Syscall6(c.n, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		if errno == 0 {
			fmt.Printf("%s succeeds: %d\n", c.name, r)
		}
	}
	// A signal to process 1 must not end it: its end would be that of the sandbox, without a status.
	unix.Kill(1, unix.SIGKILL)
	unix.Kill(1, unix.SIGTERM)
	for _, name := range []string{"/", "/usr/lib", "/dev", "/etc", "/var", "/var/task", "/probe", "/etc/passwd", "/proc/sys/kernel/hostname"} {
		if err := tryWrite(name); err == nil {
			fmt.Printf("%s can be written\n", name)
		}
	}
	if err := os.WriteFile("/tmp/ok", []byte("x"), 0o644); err != nil {
		fmt.Println("/tmp cannot be written:", err)
	}
	// A program with the set-user-id bit must not gain anything.
	if err := os.Chmod("/tmp/ok", 0o4755); err == nil {
		if to, err := os.Readlink("/proc/self/exe"); err == nil && to == "" {
			fmt.Println("unexpected")
		}
	}
}

// probeReach prints the addresses that it can reach.
func probeReach(args []string) {
	for _, a := range args[1:] {
		network, address, _ := strings.Cut(a, " ")
		c, err := net.DialTimeout(network, address, 3*time.Second)
		if err != nil {
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				fmt.Println(a, "does not answer: packets went out")
			}
			continue
		}
		if network == "udp" { // connecting sends nothing; a write does
			if _, err := c.Write([]byte("x")); err != nil {
				continue
			}
		}
		fmt.Println("can reach", a)
	}
}

func probeHold(args []string) {
	os.WriteFile(args[1], []byte("mine"), 0o666)
	net.Listen("tcp", "127.0.0.1:7777")
	net.Listen("unix", "@held")
	unix.SysvShmGet(4711, 4096, unix.IPC_CREAT|0o666)
	fmt.Println("held")
	time.Sleep(time.Hour)
}

// probeIntrude prints what it can get at of the sandbox that holds.
func probeIntrude(args []string) {
	if _, err := os.Stat(args[1]); err == nil {
		fmt.Println("sees the other's /tmp")
	}
	for _, a := range [][2]string{{"tcp", "127.0.0.1:7777"}, {"unix", "@held"}} {
		if c, err := net.Dial(a[0], a[1]); err == nil {
			c.Close()
			fmt.Println("reaches the other at", a[1])
		}
	}
	if _, err := unix.SysvShmGet(4711, 4096, 0o666); err == nil {
		fmt.Println("shares memory with the other")
	}
	for pid := 2; pid < 5000; pid++ {
		if pid != os.Getpid() && unix.Kill(pid, 0) == nil && !ownThread(pid) {
			fmt.Println("can signal process", pid)
		}
	}
}

func ownThread(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid))
	return err == nil
}

// eat uses so much memory, straight from the kernel: Go's own heap, and more so with -race, uses some besides.
func eat(mib string) {
	n, _ := strconv.Atoi(mib)
	for range n {
		b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	}
	fmt.Println("ate", n)
}

func probeEat(args []string) {
	eat(args[1])
	if args[0] == "eatandwait" {
		time.Sleep(time.Hour)
	}
}

func probeFill(args []string) {
	n, _ := strconv.Atoi(args[2])
	f, err := os.Create(args[1])
	for i := 0; err == nil && i < n; i++ {
		_, err = f.Write(make([]byte, 1<<20))
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		os.Exit(int(errno))
	}
	if args[0] == "fillandeat" {
		eat(args[3])
	}
}

func probeForkBomb([]string) {
	n := 0
	for n < 10_000 {
		// A bare fork that ends at once but is not waited for: it counts until it is.
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			break
		}
		if pid == 0 {
			unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
		}
		n++
	}
	fmt.Println(n)
}

func probeOpenFiles([]string) {
	n := 0
	for n < 10_000 {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			break
		}
		n++
	}
	fmt.Println(n)
}

// probeOrphans leaves grandchildren behind that end, and looks whether process 1 has reaped them.
func probeOrphans([]string) {
	for range 5 {
		if err := exec.Command(probePath, "parent").Run(); err != nil {
			fmt.Println(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var left []string
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, f := range stats {
			if b, err := os.ReadFile(f); err == nil && f != "/proc/1/stat" && f != fmt.Sprintf("/proc/%d/stat", os.Getpid()) {
				left = append(left, string(b))
			}
		}
		if len(left) == 0 {
			fmt.Println("reaped")
			return
		}
		if time.Now().After(end) {
			fmt.Println("left:", left)
			return
		}
	}
}

func probeParent([]string) {
	exec.Command(probePath, "orphan").Start()
}

// probeDaemon starts a child that would outlive it.
func probeDaemon([]string) {
	child := exec.Command(probePath, "tick")
	child.Stdout = os.Stdout
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	time.Sleep(20 * time.Millisecond)
}

func probeTick([]string) {
	signal.Ignore(syscall.SIGPIPE)
	for {
		fmt.Println("tick")
		time.Sleep(time.Millisecond)
	}
}

// probeUnkillable ignores every signal that can be.
func probeUnkillable([]string) {
	signal.Ignore()
	exec.Command(probePath, "tick").Start()
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

// probeAwaitFile waits until a file is there, prints it, tries to write beside it, or goes on as another probe.
func probeAwaitFile(args []string) {
	for {
		b, err := os.ReadFile(args[1])
		if errors.Is(err, fs.ErrNotExist) {
			time.Sleep(time.Millisecond)
			continue
		}
		if len(args) > 2 {
			probe(args[2:])
		}
		fmt.Println(string(b))
		errno := syscall.Errno(0)
		errors.As(tryWrite(filepath.Dir(args[1])), &errno)
		fmt.Println("no:", errno)
		return
	}
}
