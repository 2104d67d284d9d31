package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lambent/sandbox/driver"
)

const (
	setupTimeout = 10 * time.Second // from clone to execve
	maxPortConns = 256              // connections at a time from one sandbox to its Ports
)

// Sandbox is one running sandbox.
type Sandbox struct {
	driver   *Driver
	spec     driver.Spec
	pid      int // process 1, as the host numbers it
	group    *cgroup
	memory   *memory
	mountNS  int // descriptor, -1 without root
	listener net.Listener
	ports    []*port
	outputs  sync.WaitGroup
	writing  sync.Mutex    // held while a writer of the Spec is called
	done     chan struct{} // nothing runs any more
	freed    chan struct{} // and nothing is left

	mu     sync.Mutex // guards what follows
	exit   driver.Exit
	killed bool
	reaped bool // pid may belong to another process now
}

var _ driver.Sandbox = (*Sandbox)(nil)

// start makes a sandbox. On failure all that was made so far is undone.
func (d *Driver) start(ctx context.Context, spec driver.Spec, uid int) (_ *Sandbox, err error) {
	s := &Sandbox{driver: d, spec: spec, mountNS: -1, done: make(chan struct{}), freed: make(chan struct{})}
	p := &program{
		spec: spec, stage: d.stage, filter: d.filter, uid: uid, userNS: d.userNS >= 0, nested: d.nested,
		root: d.root, hideFiles: d.hideFiles, hideDirs: d.hideDirs, probe: len(spec.Argv) == 0,
	}
	if p.addrs, err = addresses(spec); err != nil {
		return nil, err
	}
	p.spec.Files = withUsers(spec.Files, uid)
	if d.nested && !d.cgroups.has("pids") {
		p.maxPIDs = spec.PIDs
	}

	if s.group, err = d.cgroups.make(spec.ID); err != nil {
		return nil, err
	}
	s.memory = newMemory(s.group, spec.TmpBytes)
	if err = s.Resize(spec.Limits); err != nil {
		s.group.remove()
		return nil, err
	}
	f, err := openFiles(spec, s.group.v1Dirs(), d.userNS)
	if err != nil {
		s.group.remove()
		return nil, err
	}
	p.procs = len(f.procs)
	t := newTape(d.code)
	p.write(t)

	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET}
	if d.nested {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if dir := s.group.dirs["unified"]; dir != "" {
		cg, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			f.closeAll()
			s.group.remove()
			return nil, fmt.Errorf("open %s: %w", dir, err)
		}
		defer unix.Close(cg)
		attr.UseCgroupFD, attr.CgroupFD = true, cg
	}
	s.pid, err = d.spawner.start(t, f.child(), attr)
	f.closeChild()
	if err != nil {
		f.closeHost()
		s.group.remove()
		return nil, err
	}
	if err = s.handshake(ctx, t, f.control, p.handed()); err == nil {
		err = s.register()
	}
	if err != nil {
		unix.Kill(s.pid, unix.SIGKILL)
		reap(s.pid)
		f.closeHost()
		s.closeNetwork()
		s.group.remove()
		return nil, err
	}
	f.control.Close()
	s.attend(f)
	return s, nil
}

// addresses are those to listen on: the Runtime API's first.
func addresses(spec driver.Spec) ([]netip.AddrPort, error) {
	list := []string{spec.RuntimeAPIAddr}
	for _, p := range spec.Ports {
		list = append(list, p.Addr)
	}
	var addrs []netip.AddrPort
	for _, s := range list {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			return nil, err
		}
		if !a.Addr().Is4() || !a.Addr().IsLoopback() {
			return nil, fmt.Errorf("%s: not an IPv4 address on loopback", s)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// withUsers adds the files that name the sandbox's user, unless the Spec brings its own.
func withUsers(files map[string][]byte, uid int) map[string][]byte {
	all := map[string][]byte{
		"/etc/passwd": fmt.Appendf(nil, "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:%d:%[1]d::/tmp:/sbin/nologin\n", uid),
		"/etc/group":  fmt.Appendf(nil, "root:x:0:\nsbx_user1051:x:%d:\n", uid),
	}
	maps.Copy(all, files)
	return all
}

// files are the descriptors of a starting sandbox, the child's ends and ours.
type files struct {
	null                *os.File
	stdout, stderr, log *os.File // ours; nil when discarded
	outW, errW, logW    *os.File // the child's
	control             *net.UnixConn
	controlChild        *os.File
	status, statusW     *os.File
	userNS              int
	procs               []*os.File
}

func openFiles(spec driver.Spec, cgroupDirs []string, userNS int) (_ *files, err error) {
	f := &files{userNS: userNS}
	defer func() {
		if err != nil {
			f.closeAll()
		}
	}()
	if f.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	for _, o := range []struct {
		to   io.Writer
		r, w **os.File
	}{{spec.Stdout, &f.stdout, &f.outW}, {spec.Stderr, &f.stderr, &f.errW}, {spec.Log, &f.log, &f.logW}} {
		if o.to == nil {
			continue
		}
		if *o.r, *o.w, err = os.Pipe(); err != nil {
			return nil, err
		}
	}
	if f.status, f.statusW, err = os.Pipe(); err != nil {
		return nil, err
	}
	if f.control, f.controlChild, err = controlPair(); err != nil {
		return nil, err
	}
	for _, dir := range cgroupDirs {
		file, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		f.procs = append(f.procs, file)
	}
	return f, nil
}

// controlPair makes the socket pair over which the tape reports: packets, and an end when execve is done.
func controlPair() (*net.UnixConn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	host, child := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control")
	defer host.Close()
	c, err := net.FileConn(host)
	if err != nil {
		child.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), child, nil
}

// child lists the descriptors as process 1 gets them: see the constants in program.go.
func (f *files) child() []int {
	null := int(f.null.Fd())
	or := func(w *os.File) int {
		if w == nil {
			return null
		}
		return int(w.Fd())
	}
	user := f.userNS
	if user < 0 {
		user = null
	}
	list := []int{null, or(f.outW), or(f.errW), or(f.logW), int(f.controlChild.Fd()), int(f.statusW.Fd()), user}
	for _, p := range f.procs {
		list = append(list, int(p.Fd()))
	}
	return list
}

func (f *files) closeChild() {
	closeFiles(append(f.procs, f.null, f.outW, f.errW, f.logW, f.controlChild, f.statusW)...)
}

func (f *files) closeHost() {
	closeFiles(f.stdout, f.stderr, f.log, f.status)
	if f.control != nil {
		f.control.Close()
	}
}

func (f *files) closeAll() {
	f.closeChild()
	f.closeHost()
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// handshake takes the listeners over and waits until the main process has been started.
func (s *Sandbox) handshake(ctx context.Context, t *tape, control *net.UnixConn, want int) error {
	control.SetReadDeadline(time.Now().Add(setupTimeout))
	stop := context.AfterFunc(ctx, func() { control.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	msg, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4*want))
	n, oobn, _, _, err := control.ReadMsgUnix(msg, oob)
	if err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("set up: %w", err))
	}
	if n != 1 || msg[0] != ready {
		return t.failure(msg[:n])
	}
	fds, err := received(oob[:oobn], want)
	if err != nil {
		return err
	}
	if s.driver.root {
		s.mountNS, fds = fds[want-1], fds[:want-1]
	}
	if err := s.openNetwork(fds); err != nil {
		return err
	}
	// The end of the conversation says that execve succeeded; anything else is the report of a failure.
	n, err = control.Read(msg)
	if n > 0 {
		return t.failure(msg[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(ctx.Err(), fmt.Errorf("start: %w", err))
	}
	return nil
}

func received(oob []byte, want int) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("set up: bad control message: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err == nil && len(fds) != want {
		err = fmt.Errorf("%d descriptors instead of %d", len(fds), want)
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	return fds, nil
}

// openNetwork makes listeners of descriptors: the Runtime API's, then those of the Ports. It owns the descriptors.
func (s *Sandbox) openNetwork(fds []int) error {
	var firstErr error
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(file)
		file.Close()
		switch {
		case err != nil:
			firstErr = errors.Join(firstErr, err)
		case i == 0:
			s.listener = l
		default:
			s.ports = append(s.ports, newPort(l, s.spec.Ports[i-1].Serve))
		}
	}
	return firstErr
}

func (s *Sandbox) closeNetwork() {
	if s.listener != nil {
		s.listener.Close()
	}
	for _, p := range s.ports {
		p.close()
	}
	if s.mountNS >= 0 {
		unix.Close(s.mountNS)
	}
}

// register adds s to the driver's sandboxes; it fails when the driver is ending.
func (s *Sandbox) register() error {
	s.driver.mu.Lock()
	defer s.driver.mu.Unlock()
	if s.driver.ending {
		return driver.ErrClosed
	}
	s.driver.live[s] = true
	return nil
}

// attend starts the goroutines that accompany a sandbox. They end by themselves when it does, and freed is closed last.
func (s *Sandbox) attend(f *files) {
	for _, o := range []struct {
		from *os.File
		to   io.Writer
	}{{f.stdout, s.spec.Stdout}, {f.stderr, s.spec.Stderr}, {f.log, s.spec.Log}} {
		if o.from != nil {
			s.outputs.Go(func() { s.pass(o.from, o.to) })
		}
	}
	for _, p := range s.ports {
		p.run()
	}
	s.driver.watcher.add(s.memory, s.endOOM)
	go s.await(f.status)
}

// pass hands on what a sandbox writes. The Spec's writers, which may be one, are called one at a time.
func (s *Sandbox) pass(from *os.File, to io.Writer) {
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			s.writing.Lock()
			to.Write(buf[:n]) // a writer that gives up must not block the function
			s.writing.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// await waits for the end of process 1, then clears away.
func (s *Sandbox) await(status *os.File) {
	b, _ := io.ReadAll(io.LimitReader(status, 4))
	io.Copy(io.Discard, status) // until process 1 has ended
	status.Close()
	reap(s.pid) // and with it everything else in its process namespace
	oom := s.memory.oomKills() > 0
	s.memory.last()

	s.outputs.Wait()
	s.mu.Lock()
	s.reaped = true
	killed := s.killed
	exit := driver.Exit{Code: -1, Signal: int(unix.SIGKILL), Killed: killed}
	if len(b) == 4 {
		w := syscall.WaitStatus(binary.LittleEndian.Uint32(b))
		exit.Code, exit.Signal = w.ExitStatus(), 0
		if w.Signaled() {
			exit.Code, exit.Signal = -1, int(w.Signal())
		}
	}
	exit.OOM = s.exit.OOM || (oom && exit.Signal == int(unix.SIGKILL) && !killed)
	s.exit = exit
	s.mu.Unlock()
	close(s.done)

	s.driver.watcher.remove(s.memory)
	s.closeNetwork()
	s.group.remove() // what fails here is swept by the next Open
	s.driver.mu.Lock()
	delete(s.driver.live, s)
	s.driver.mu.Unlock()
	close(s.freed)
}

// ID implements driver.Sandbox.
func (s *Sandbox) ID() string { return s.spec.ID }

// Listener implements driver.Sandbox.
func (s *Sandbox) Listener() net.Listener { return s.listener }

// Done implements driver.Sandbox.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Exit implements driver.Sandbox.
func (s *Sandbox) Exit() driver.Exit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit
}

// MaxMemory implements driver.Sandbox.
func (s *Sandbox) MaxMemory() int64 { return s.memory.peak() }

// Mount implements driver.Sandbox.
func (s *Sandbox) Mount(hostDir, target string) error {
	if s.mountNS < 0 {
		return driver.ErrUnsupported
	}
	if s.ended() {
		return driver.ErrClosed
	}
	if err := s.driver.mounter.mount(s.mountNS, hostDir, target); err != nil {
		return fmt.Errorf("mount %s at %s: %w", hostDir, target, err)
	}
	return nil
}

// Resize implements driver.Sandbox.
func (s *Sandbox) Resize(l driver.Limits) error {
	if l.MemoryBytes != 0 {
		if err := s.memory.setLimit(l.MemoryBytes); err != nil {
			return err
		}
	}
	if l.CPUQuota != 0 {
		if err := s.group.setCPU(l.CPUQuota); err != nil {
			return err
		}
	}
	if l.PIDs != 0 {
		return s.group.setPIDs(l.PIDs)
	}
	return nil
}

// Freeze implements driver.Sandbox.
func (s *Sandbox) Freeze() error { return s.freeze(true) }

// Thaw implements driver.Sandbox.
func (s *Sandbox) Thaw() error { return s.freeze(false) }

func (s *Sandbox) freeze(frozen bool) error {
	err := s.group.freeze(frozen)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return driver.ErrUnsupported
	case err != nil && s.ended():
		return driver.ErrClosed
	}
	return err
}

// Reclaim implements driver.Sandbox.
func (s *Sandbox) Reclaim() error {
	if !s.driver.report.Reclaim {
		return driver.ErrUnsupported
	}
	for _, pid := range s.group.pids() {
		if err := pageOut(pid); err != nil && !s.ended() {
			return fmt.Errorf("page out process %d: %w", pid, err)
		}
	}
	return nil
}

func (s *Sandbox) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Kill implements driver.Sandbox.
func (s *Sandbox) Kill() {
	s.mu.Lock()
	if !s.reaped {
		s.killed = true
		unix.Kill(s.pid, unix.SIGKILL)
		if s.group.dirs["freezer"] != "" {
			s.group.freeze(false) // a process in the version 1 freezer does not even die
		}
	}
	s.mu.Unlock()
	<-s.freed
}

// endOOM ends a sandbox that uses more memory than it may.
func (s *Sandbox) endOOM() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reaped && !s.killed {
		s.exit.OOM = true
		unix.Kill(s.pid, unix.SIGKILL)
	}
}
