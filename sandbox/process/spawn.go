package process

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A spawner starts processes from one thread that lives as long as the driver. A sandbox asks the kernel to be killed
// when its parent dies, and to the kernel the parent is the thread that started it, which Go may otherwise end any time.
type spawner struct {
	jobs chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		defer close(s.done)
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// close ends the thread, and with it every process that it started.
func (s *spawner) close() {
	close(s.jobs)
	<-s.done
}

// start runs a tape with the given descriptors as 0, 1, 2, …; it returns the process id.
func (s *spawner) start(t *tape, files []int, attr *syscall.SysProcAttr) (int, error) {
	image, err := t.image()
	if err != nil {
		return 0, err
	}
	defer unix.Close(image)

	// The image is executed by its descriptor's number, and in the child package syscall makes descriptors of its
	// own: behind the highest that it was given, and at 0, 1, 2, …. So the image's lies above the latter and
	// below the highest given.
	high, err := unix.FcntlInt(uintptr(image), unix.F_DUPFD_CLOEXEC, len(files)+1)
	if err != nil {
		return 0, fmt.Errorf("duplicate descriptor: %w", err)
	}
	defer unix.Close(high)
	fds := make([]uintptr, len(files))
	for i, f := range files {
		up, err := unix.FcntlInt(uintptr(f), unix.F_DUPFD_CLOEXEC, high+1)
		if err != nil {
			closeAll(fds[:i])
			return 0, fmt.Errorf("duplicate descriptor: %w", err)
		}
		fds[i] = uintptr(up)
	}
	defer closeAll(fds)

	var pid int
	started := make(chan error, 1)
	s.jobs <- func() {
		var err error
		pid, _, err = syscall.StartProcess(fmt.Sprintf("/proc/self/fd/%d", high), []string{"init"},
			&syscall.ProcAttr{Files: fds, Env: []string{}, Sys: attr})
		started <- err
	}
	if err := <-started; err != nil {
		return 0, fmt.Errorf("start: %w", err)
	}
	return pid, nil
}

func closeAll(fds []uintptr) {
	for _, fd := range fds {
		unix.Close(int(fd))
	}
}

// reap waits for a child to end.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
