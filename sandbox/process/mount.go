package process

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A mounter mounts into the namespaces of live sandboxes, from a thread of its own that goes there and comes back.
type mounter struct {
	jobs chan mountJob
	done chan struct{}
}

type mountJob struct {
	namespace, tree int
	target          string
	result          chan error
}

func newMounter() *mounter {
	m := &mounter{jobs: make(chan mountJob), done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for job := range m.jobs {
			if m.travel(job) {
				return
			}
		}
	}()
	return m
}

func (m *mounter) close() {
	close(m.jobs)
	<-m.done
}

// travel serves jobs on a thread that belongs to no one else, until there are no more (true) or it could not come back
// home (false): the thread then ends, and the next job gets a new one.
func (m *mounter) travel(first mountJob) (end bool) {
	back := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: what has been abroad serves no other goroutine
		home, err := m.leave()
		if err != nil {
			first.result <- err
			back <- false
			return
		}
		defer unix.Close(home)
		for job, ok := first, true; ok; job, ok = <-m.jobs {
			result := visit(job)
			err := unix.Setns(home, unix.CLONE_NEWNS)
			job.result <- result
			if err != nil {
				back <- false
				return
			}
		}
		back <- true
	}()
	return <-back
}

// leave makes the thread's root and current directory its own, which setns demands, and notes where it came from.
func (m *mounter) leave() (home int, err error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return -1, fmt.Errorf("unshare: %w", err)
	}
	home, err = unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open own mount namespace: %w", err)
	}
	return home, nil
}

func visit(job mountJob) error {
	if err := unix.Setns(job.namespace, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter mount namespace: %w", err)
	}
	return unix.MoveMount(job.tree, "", unix.AT_FDCWD, job.target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// mount shows hostDir at target in a mount namespace, read-only.
func (m *mounter) mount(namespace int, hostDir, target string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, hostDir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: bindFlags, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("make read-only: %w", err)
	}
	result := make(chan error, 1)
	m.jobs <- mountJob{namespace, tree, target, result}
	return <-result
}

// pageOut asks the kernel to put a process's private memory aside.
func pageOut(pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	areas, err := writableAreas(pid)
	if err != nil {
		return err
	}
	const batch = 1024 // UIO_MAXIOV
	for len(areas) > 0 {
		n := min(batch, len(areas))
		_, _, errno := unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(pidfd), uintptr(unsafe.Pointer(&areas[0])), uintptr(n), unix.MADV_PAGEOUT, 0, 0)
		if errno != 0 {
			return errno
		}
		areas = areas[n:]
	}
	return nil
}
