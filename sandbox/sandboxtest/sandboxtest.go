// Package sandboxtest is the exam that every sandbox driver sits: what must work, and what a function that tries to get out,
// to see, to reach or to use more than it may, must not be able to do.
//
// The programs that run inside are probes: functions of this package, in the test's own binary, which the sandbox sees
// at /probe. A driver's test is one short file:
//
//	func TestMain(m *testing.M) { sandboxtest.Main(m) }
//	func TestDriver(t *testing.T) { sandboxtest.Run(t, open) }
package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lambent/sandbox/driver"
)

const (
	probePath = "/probe"            // of this binary inside a sandbox
	innerName = "sandboxtest-inner" // argv[0] of the test run in namespaces of its own
	patience  = 30 * time.Second    // of a test that waits for what must come
)

// Main runs the tests of a package that calls Run. When this process is a probe inside a sandbox, it is that instead. As
// root it runs the tests in mount, network and host name namespaces of their own: should a wall be broken, a probe that
// mounts or opens ports does so there, and not on the machine.
func Main(m *testing.M) {
	switch {
	case os.Args[0] == probePath:
		probe(os.Args[1:])
	case os.Args[0] != innerName && os.Geteuid() == 0:
		os.Exit(wrapped())
	}
	os.Exit(m.Run())
}

func wrapped() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = innerName
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:    syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig means the thread
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandboxtest:", err)
		return 1
	}
	return 0
}

// Run examines the driver that open returns. Each test opens one of its own.
func Run(t *testing.T, open func(t testing.TB) driver.Driver) {
	e := &exam{open: open}
	for _, tt := range []struct {
		name string
		test func(*testing.T, *room)
	}{
		{"Output", testOutput}, {"Exit", testExit}, {"Environment", testEnvironment}, {"Files", testFiles},
		{"StartFails", testStartFails}, {"StartCancelled", testStartCancelled},
		{"Listener", testListener}, {"Ports", testPorts},
		{"SeesNothing", testSeesNothing}, {"CannotEscape", testCannotEscape}, {"ReachesNothing", testReachesNothing},
		{"SandboxesAreApart", testApart},
		{"Memory", testMemory}, {"TmpIsNotMemory", testTmpIsNotMemory}, {"TmpSize", testTmpSize}, {"Processes", testProcesses}, {"OpenFiles", testOpenFiles},
		{"Orphans", testOrphans}, {"Daemons", testDaemons}, {"Kill", testKill}, {"KillRaces", testKillRaces},
		{"Freeze", testFreeze}, {"KillFrozen", testKillFrozen}, {"Reclaim", testReclaim}, {"Mount", testMount}, {"Resize", testResize},
		{"Many", testMany}, {"Close", testClose},
	} {
		t.Run(tt.name, func(t *testing.T) { e.run(t, tt.test) })
	}
}

type exam struct {
	open func(t testing.TB) driver.Driver
}

// run gives a test its driver, and looks afterwards whether anything was left behind.
func (e *exam) run(t *testing.T, test func(*testing.T, *room)) {
	before := takeStock(t)
	d := e.open(t)
	r := &room{t: t, Driver: d}
	test(t, r)
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	before.compare(t)
}

// room is one test's driver.
type room struct {
	driver.Driver
	t *testing.T
}

// spec describes a sandbox that runs a probe.
func spec(probe ...string) driver.Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	s := driver.Spec{
		Mounts: []driver.Mount{{Source: self, Target: probePath}},
		Links:  make(map[string]string),
		Dirs:   []string{"/var/task"},
		Argv:   append([]string{probePath}, probe...),
		Env:    []string{"PROBE=1", "GOMAXPROCS=2"},
		Limits: driver.Limits{MemoryBytes: 128 << 20, PIDs: 64},
	}
	// A test binary built with -race is linked dynamically.
	for _, dir := range []string{"/lib", "/lib64"} {
		if to, err := os.Readlink(dir); err == nil {
			s.Links[dir] = to
		} else if _, err := os.Stat(dir); err == nil {
			s.Mounts = append(s.Mounts, driver.Mount{Source: dir, Target: dir})
		}
	}
	for _, dir := range []string{"/usr/lib", "/usr/lib64"} {
		if _, err := os.Stat(dir); err == nil {
			s.Mounts = append(s.Mounts, driver.Mount{Source: dir, Target: dir})
		}
	}
	return s
}

// box is a running sandbox and its output.
type box struct {
	driver.Sandbox
	t        *testing.T
	out, err *output
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts a sandbox; it is killed at the end of the test.
func (r *room) start(s driver.Spec) *box {
	r.t.Helper()
	b := &box{t: r.t, out: &output{}, err: &output{}}
	s.Stdout, s.Stderr = b.out, b.err
	var err error
	if b.Sandbox, err = r.Start(r.t.Context(), s); err != nil {
		r.t.Fatalf("start %q: %v", s.Argv, err)
	}
	r.t.Cleanup(b.Kill)
	return b
}

// exit waits for the end.
func (b *box) exit() driver.Exit {
	b.t.Helper()
	select {
	case <-b.Done():
	case <-time.After(patience):
		b.t.Fatalf("has not ended\nstdout: %s\nstderr: %s", b.out, b.err)
	}
	return b.Exit()
}

// finish waits for the end and demands that it was a good one; it returns the output.
func (b *box) finish() string {
	b.t.Helper()
	if e := b.exit(); e != (driver.Exit{}) {
		b.t.Errorf("exit %+v\nstdout: %s\nstderr: %s", e, b.out, b.err)
	}
	return b.out.String()
}

// run runs a probe to its good end and returns its output.
func (r *room) run(probe ...string) string {
	r.t.Helper()
	return r.start(spec(probe...)).finish()
}

// await waits until the output has text in it.
func (b *box) await(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q in its output", text), func() bool { return strings.Contains(b.out.String(), text) })
}

func (b *box) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		ended := false
		select {
		case <-b.Done():
			ended = true
		default:
		}
		if (ended && !ok()) || time.Now().After(end) {
			b.t.Fatalf("no %s; exit %+v\nstdout: %s\nstderr: %s", what, b.Exit(), b.out, b.err)
		}
	}
}

func testOutput(t *testing.T, r *room) {
	log := &output{}
	s := spec("output")
	s.Log = log
	b := r.start(s)
	b.finish()
	if b.out.String() != "out\n" || b.err.String() != "err\n" || log.String() != "log\n" {
		t.Errorf("stdout %q, stderr %q, log %q", b.out, b.err, log)
	}
	b = r.start(spec("output")) // without a log
	b.finish()
	if b.out.String() != "out\n" || b.err.String() != "err\nno log: bad file descriptor\n" {
		t.Errorf("without a log: stdout %q, stderr %q", b.out, b.err)
	}
}

func testExit(t *testing.T, r *room) {
	if got := r.start(spec("exit", "7")).exit(); got != (driver.Exit{Code: 7}) {
		t.Errorf("exit 7: %+v", got)
	}
	if got := r.start(spec("signal", "15")).exit(); got != (driver.Exit{Code: -1, Signal: 15}) {
		t.Errorf("signal 15: %+v", got)
	}
	if got := r.start(spec("signal", "9")).exit(); got != (driver.Exit{Code: -1, Signal: 9}) {
		t.Errorf("signal 9: %+v", got)
	}
}

func testEnvironment(t *testing.T, r *room) {
	s := spec("environment", "a b", "")
	s.Env = []string{"X=1", "Y=a=b\nc", "EMPTY="}
	s.Dir, s.Host = "/var/task", "function"
	want := `args ["a b" ""]
env ["X=1" "Y=a=b\nc" "EMPTY="]
dir /var/task
host function
fds [0 1 2]
`
	if got := r.start(s).finish(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func testFiles(t *testing.T, r *room) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.WriteFile(filepath.Join(dir, "a"), []byte("code"), 0o644)
	s := spec("read", "/var/task/a", "/etc/config", "/link", "/one/file")
	s.Mounts = append(s.Mounts, driver.Mount{Source: dir, Target: "/var/task"}, driver.Mount{Source: filepath.Join(dir, "a"), Target: "/one/file"})
	s.Files = map[string][]byte{"/etc/config": []byte("small")}
	s.Links["/link"] = "/etc/config"
	if got, want := r.start(s).finish(), "code\nsmall\nsmall\ncode\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"/", "/var/task", "/etc", "/etc/config", "/one/file", "/dev", "/var", "/proc/sys/kernel"} {
		s.Argv = []string{probePath, "write", name}
		if got := r.start(s).finish(); !strings.HasPrefix(got, "no: ") {
			t.Errorf("%s can be written: %s", name, got)
		}
	}
}

func testStartFails(t *testing.T, r *room) {
	s := spec()
	for name, change := range map[string]func(){
		"no such program":       func() { s.Argv = []string{"/nowhere"} },
		"not a program":         func() { s.Argv = []string{"/etc/text"}; s.Files = map[string][]byte{"/etc/text": []byte("text")} },
		"no such folder":        func() { s.Dir = "/nowhere" },
		"no such mount":         func() { s.Mounts = append(s.Mounts, driver.Mount{Source: "/no/where", Target: "/x"}) },
		"no program":            func() { s.Argv = nil },
		"relative program":      func() { s.Argv = []string{"probe"} },
		"bad id":                func() { s.ID = "../x" },
		"listener not loopback": func() { s.RuntimeAPIAddr = "10.0.0.1:80" },
	} {
		s = spec("exit", "0")
		change()
		if b, err := r.Start(t.Context(), s); err == nil {
			b.Kill()
			t.Errorf("%s: started", name)
		}
	}
	r.run("exit", "0") // and the driver works on
}

func testStartCancelled(t *testing.T, r *room) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := r.Start(ctx, spec("sleep")); err == nil {
		b.Kill() // it may have been quicker
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func testListener(t *testing.T, r *room) {
	s := spec("call", driver.DefaultRuntimeAPIAddr)
	b := r.start(s)
	c, err := b.Listener().Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	c.Close()
	b.finish()
	b.Kill()
	if _, err := b.Listener().Accept(); err == nil {
		t.Error("still open after Kill")
	}
}

func testPorts(t *testing.T, r *room) {
	var served sync.WaitGroup
	served.Add(1)
	echo := func(c net.Conn) {
		b, _ := io.ReadAll(c)
		if string(b) == "hello" {
			served.Done()
		}
	}
	s := spec("call", "127.0.0.1:80")
	s.Ports = []driver.Port{{Addr: "127.0.0.1:4566", Serve: echo}, {Addr: "127.0.0.1:80", Serve: echo}}
	r.start(s).finish()
	served.Wait()

	// Kill ends connections and waits for those who serve them.
	ended := make(chan struct{})
	started := make(chan struct{})
	s = spec("callandwait", "127.0.0.1:4566")
	s.Ports = []driver.Port{{Addr: "127.0.0.1:4566", Serve: func(c net.Conn) {
		close(started)
		io.Copy(io.Discard, c)
		close(ended)
	}}}
	b := r.start(s)
	<-started
	b.Kill()
	select {
	case <-ended:
	default:
		t.Error("a connection is served after Kill")
	}
}

func testSeesNothing(t *testing.T, r *room) {
	t.Setenv("SECRET_OF_THE_HOST", "s3cret")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.complaints(r.run("look", secret))
}

// complaints reports each line of a probe's output.
func (r *room) complaints(out string) {
	r.t.Helper()
	for line := range strings.Lines(out) {
		r.t.Error(strings.TrimSpace(line))
	}
}

func testCannotEscape(t *testing.T, r *room) {
	r.complaints(r.run("escape"))
}

func testReachesNothing(t *testing.T, r *room) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback here: ", err)
	}
	defer tcp.Close()
	abstract, err := net.Listen("unix", fmt.Sprintf("@sandboxtest-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	r.complaints(r.run("reach", "tcp "+tcp.Addr().String(), "unix "+abstract.Addr().String(),
		"tcp 169.254.169.254:80", "tcp 10.0.0.1:80", "tcp 1.1.1.1:443", "udp 8.8.8.8:53", "tcp [2606:4700:4700::1111]:443", "tcp 127.0.0.1:22"))
}

func testApart(t *testing.T, r *room) {
	a := r.start(spec("hold", "/tmp/mark"))
	a.await("held")
	r.complaints(r.run("intrude", "/tmp/mark"))
	select {
	case <-a.Done():
		t.Errorf("the other ended: %+v", a.Exit())
	default:
	}
}

// limited skips a test of a limit that this host cannot give.
func (r *room) limited(wall string) {
	for _, w := range r.Report().Missing() {
		if w.Name == wall {
			r.t.Skipf("%s: %s", w.Name, w.Detail)
		}
	}
}

func testMemory(t *testing.T, r *room) {
	r.limited("memory limit")
	b := r.start(spec("eat", "64"))
	b.finish()
	b = r.start(spec("eat", "2000"))
	if e := b.exit(); !e.OOM || e.Signal != 9 || e.Killed {
		t.Errorf("exit %+v, want OOM\n%s", e, b.out)
	}
	if n := b.MaxMemory(); n != 128<<20 {
		t.Errorf("after OOM at 128 MiB, MaxMemory is %d MiB", n>>20)
	}
	b = r.start(spec("eatandwait", "64"))
	b.await("ate")
	b.until("64 MiB in MaxMemory", func() bool { return b.MaxMemory() >= 60<<20 && b.MaxMemory() < 128<<20 })
}

func testTmpIsNotMemory(t *testing.T, r *room) {
	r.limited("memory limit")
	s := spec("fill", "/tmp/big", "300")
	s.TmpBytes = 512 << 20
	r.start(s).finish()
	s.Argv = []string{probePath, "fillandeat", "/tmp/big", "300", "1000"}
	if e := r.start(s).exit(); !e.OOM {
		t.Errorf("with 300 MiB in /tmp, 1000 MiB of memory: exit %+v, want OOM", e)
	}
}

func testTmpSize(t *testing.T, r *room) {
	s := spec("fill", "/tmp/big", "40")
	s.TmpBytes = 16 << 20
	if got := r.start(s).exit(); got.Code != 28 { // ENOSPC
		t.Errorf("exit %+v, want code 28", got)
	}
}

func testProcesses(t *testing.T, r *room) {
	r.limited("process limit")
	out := r.run("forkbomb")
	var n int
	fmt.Sscan(out, &n)
	if n < 4 || n > 64 {
		t.Errorf("%d processes were started: %s", n, out)
	}
}

func testOpenFiles(t *testing.T, r *room) {
	out := r.run("openfiles")
	var n int
	fmt.Sscan(out, &n)
	if n < 500 || n > 1024 {
		t.Errorf("%d files were opened: %s", n, out)
	}
}

func testOrphans(t *testing.T, r *room) {
	if got := r.run("orphans"); got != "reaped\n" {
		t.Error(got)
	}
}

func testDaemons(t *testing.T, r *room) {
	b := r.start(spec("daemon"))
	if e := b.exit(); e.Code != 0 {
		t.Errorf("exit %+v\n%s", e, b.err)
	}
	n := len(b.out.String())
	time.Sleep(20 * time.Millisecond)
	if len(b.out.String()) != n {
		t.Error("a child writes on after Done")
	}
}

func testKill(t *testing.T, r *room) {
	b := r.start(spec("unkillable"))
	b.await("ready")
	b.Kill()
	if e := b.Exit(); !e.Killed || e.OOM || e.Signal != 9 {
		t.Errorf("exit %+v", e)
	}
	b.Kill()
	if err := b.Freeze(); err == nil {
		t.Error("Freeze after Kill succeeds")
	}
	if err := b.Mount("/usr/lib", "/var/task"); err == nil {
		t.Error("Mount after Kill succeeds")
	}
}

func testKillRaces(t *testing.T, r *room) {
	var wg sync.WaitGroup
	for range 8 {
		b := r.start(spec("exit", "0"))
		for range 3 {
			wg.Go(b.Kill)
		}
	}
	wg.Wait()
}

func testFreeze(t *testing.T, r *room) {
	if !r.Report().Freeze {
		t.Skip("this host cannot freeze")
	}
	b := r.start(spec("tick"))
	b.await("tick")
	for range 3 {
		if err := b.Freeze(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // what was in the pipe
		n := len(b.out.String())
		time.Sleep(50 * time.Millisecond)
		if got := len(b.out.String()); got != n {
			t.Errorf("frozen, and wrote %d bytes", got-n)
		}
		if err := b.Thaw(); err != nil {
			t.Fatal(err)
		}
		b.until("output after Thaw", func() bool { return len(b.out.String()) > n })
	}
}

func testKillFrozen(t *testing.T, r *room) {
	if !r.Report().Freeze {
		t.Skip("this host cannot freeze")
	}
	b := r.start(spec("tick"))
	if err := b.Freeze(); err != nil {
		t.Fatal(err)
	}
	b.Kill()
}

func testReclaim(t *testing.T, r *room) {
	b := r.start(spec("eatandwait", "64"))
	b.await("ate")
	if err := b.Reclaim(); err != nil && !errors.Is(err, driver.ErrUnsupported) {
		t.Error(err)
	}
}

func testMount(t *testing.T, r *room) {
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub/a"), []byte("later"), 0o666)
	b := r.start(spec("awaitfile", "/var/task/sub/a"))
	err := b.Mount(dir, "/var/task")
	if !r.Report().LiveMount {
		if !errors.Is(err, driver.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := b.finish(); got != "later\nno: read-only file system\n" {
		t.Errorf("got %q", got)
	}
	b = r.start(spec("sleep"))
	for _, c := range [][2]string{{"/no/such/folder", "/var/task"}, {dir, "/no/such/target"}} {
		if err := b.Mount(c[0], c[1]); err == nil {
			t.Errorf("mount %v: no error", c)
		}
	}
	if err := b.Mount(dir, "/var/task"); err != nil {
		t.Errorf("after failures: %v", err)
	}
}

func testResize(t *testing.T, r *room) {
	r.limited("memory limit")
	s := spec("awaitfile", "/var/task/go", "eat", "150")
	s.MemoryBytes = 64 << 20
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.WriteFile(filepath.Join(dir, "go"), nil, 0o644)
	for _, limit := range []int64{100, 300} {
		b := r.start(s)
		if err := b.Resize(driver.Limits{MemoryBytes: limit << 20, PIDs: 200, CPUQuota: 1.5}); err != nil {
			t.Fatal(err)
		}
		if err := b.Mount(dir, "/var/task"); err != nil {
			t.Skip(err)
		}
		if e := b.exit(); e.OOM != (limit < 150) {
			t.Errorf("150 MiB with a limit of %d MiB: %+v\n%s", limit, e, b.err)
		}
	}
}

func testMany(t *testing.T, r *room) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			s, err := r.Start(t.Context(), spec("sleep"))
			if err != nil {
				t.Error(err)
				return
			}
			s.Kill()
		})
	}
	wg.Wait()
}

func testClose(t *testing.T, r *room) {
	b := r.start(spec("sleep"))
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-b.Done():
	default:
		t.Error("Close left a sandbox")
	}
	if s, err := r.Start(t.Context(), spec("sleep")); err == nil {
		s.Kill()
		t.Error("Start after Close succeeds")
	}
}

// stock is what a process has: to find out what a driver left behind.
type stock struct {
	mounts   string
	fds      []string
	children []string
	routines int
	tmp      []string
}

func takeStock(t *testing.T) stock {
	t.Helper()
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var fds []string
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(to, "/proc/") && !strings.Contains(to, "anon_inode:[eventpoll]") && !strings.Contains(to, "anon_inode:[eventfd]") {
			fds = append(fds, to)
		}
	}
	slices.Sort(fds)
	var children []string
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		children = append(children, strings.Fields(string(b))...)
	}
	tmp, _ := filepath.Glob(filepath.Join(os.TempDir(), "*lambent*"))
	return stock{string(mounts), fds, children, runtime.NumGoroutine(), tmp}
}

// compare reports what is there now and was not before. The kernel and Go's runtime may need a moment.
func (s stock) compare(t *testing.T) {
	t.Helper()
	var problems []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		now := takeStock(t)
		problems = nil
		if now.mounts != s.mounts {
			problems = append(problems, "mounts changed:\n"+now.mounts)
		}
		if len(now.fds) > len(s.fds) {
			problems = append(problems, fmt.Sprintf("descriptors: %q, were %q", now.fds, s.fds))
		}
		if len(now.children) > len(s.children) {
			problems = append(problems, fmt.Sprintf("processes: %v, were %v", now.children, s.children))
		}
		if now.routines > s.routines {
			buf := make([]byte, 1<<20)
			problems = append(problems, fmt.Sprintf("%d goroutines, were %d:\n%s", now.routines, s.routines, buf[:runtime.Stack(buf, true)]))
		}
		if len(now.tmp) > len(s.tmp) {
			problems = append(problems, fmt.Sprintf("files: %q, were %q", now.tmp, s.tmp))
		}
		if len(problems) == 0 {
			return
		}
	}
	t.Errorf("left behind: %s", strings.Join(problems, "\n"))
}
