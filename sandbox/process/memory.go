package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A memory is the memory limit of one sandbox.
//
// What lies in /tmp is memory to the kernel (tmpfs), but not to AWS: a function of 128 MB may fill its 512 MB /tmp. So
// the kernel's limit is that of memory and /tmp together, and a threshold below it tells us when it may be time: then
// we look at what is not file pages, and end the sandbox when that is over its limit, or else set the threshold to where
// it could next be. On version 2 the threshold is memory.high, which also slows the sandbox down while we look; on
// version 1 it is an eventfd.
type memory struct {
	group *cgroup
	dir   string // "" without a memory controller
	v2    bool
	tmp   int64

	mu      sync.Mutex // guards what follows
	limit   int64      // negative: none
	most    int64      // highest use seen
	asked   time.Time  // when most was last brought up to date
	high    int64      // the kernel's own peak then
	eventFD *os.File   // version 1, nil until watched
	endOOM  func()
	watch   int // version 2: inotify watch
}

// stats may be asked for once a request, and reading them costs the kernel a flush of counters.
const memoryStatsEvery = 500 * time.Millisecond

func newMemory(g *cgroup, tmp int64) *memory {
	return &memory{group: g, dir: g.dirs["memory"], v2: g.tree.in2["memory"], tmp: tmp}
}

// setLimit sets the limit; negative is none. The threshold follows in the background: on version 1 the kernel takes
// some milliseconds to set one.
func (m *memory) setLimit(n int64) error {
	m.mu.Lock()
	m.limit = n
	events := m.eventFD
	m.mu.Unlock()
	if m.dir == "" {
		return nil
	}
	file, most := "memory.limit_in_bytes", "-1"
	if m.v2 {
		file, most = "memory.max", "max"
	}
	if n > 0 {
		most = strconv.FormatInt(n+m.tmp, 10)
	}
	if err := write(filepath.Join(m.dir, file), most); err != nil {
		return err
	}
	if m.v2 {
		return m.arm(n)
	}
	if events != nil {
		events.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}) // have the watcher arm it
	}
	return nil
}

// arm asks to be told when more than n bytes are used. On version 1 only the watcher's goroutine calls it.
func (m *memory) arm(n int64) error {
	switch {
	case m.v2 && n <= 0:
		return write(filepath.Join(m.dir, "memory.high"), "max")
	case m.v2:
		return write(filepath.Join(m.dir, "memory.high"), strconv.FormatInt(n, 10))
	}
	m.mu.Lock()
	events := m.eventFD
	m.mu.Unlock()
	if events == nil || n <= 0 {
		return nil
	}
	usage, err := os.Open(filepath.Join(m.dir, "memory.usage_in_bytes"))
	if err != nil {
		return err
	}
	defer usage.Close()
	raw, err := events.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = write(filepath.Join(m.dir, "cgroup.event_control"), fmt.Sprintf("%d %d %d", fd, usage.Fd(), n))
	})
	return errors.Join(controlErr, err)
}

// use returns what is used in all, and what of it is file pages: the page cache and /tmp.
func (m *memory) use() (all, files int64, err error) {
	usage, key := "memory.usage_in_bytes", "cache"
	if m.v2 {
		usage, key = "memory.current", "file"
	}
	if files, err = number(filepath.Join(m.dir, "memory.stat"), key); err != nil {
		return 0, 0, err
	}
	all, err = number(filepath.Join(m.dir, usage), "")
	return all, files, err
}

// check ends the sandbox when it uses more than it may, or arms the threshold again.
func (m *memory) check() {
	m.mu.Lock()
	limit, endOOM := m.limit, m.endOOM
	m.mu.Unlock()
	if limit <= 0 || endOOM == nil {
		return
	}
	all, files, err := m.use()
	if err != nil {
		return // it has just ended
	}
	private := max(0, all-files)
	m.mu.Lock()
	m.most = max(m.most, min(private, limit))
	m.mu.Unlock()
	if private >= limit {
		endOOM()
		return
	}
	const step = 1 << 20 // never arm it so near that we would be told at once
	m.arm(all + max(step, limit-private))
}

// peak returns the most memory used so far, /tmp and page cache not counted where they can be told apart. The pages of
// an interpreter's files, which all sandboxes share, are not the sandbox's own and count neither here nor for the limit:
// a Node.js that has just started uses 8 MB, not the 43 MB that its process shows.
func (m *memory) peak() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir == "" || time.Since(m.asked) < memoryStatsEvery {
		return m.most
	}
	m.asked = time.Now()
	file := "memory.max_usage_in_bytes"
	if m.v2 {
		file = "memory.peak" // since Linux 5.19
	}
	high, err := number(filepath.Join(m.dir, file), "")
	if err == nil && high == m.high {
		return m.most
	}
	m.high = high
	all, files, err := m.use()
	if err != nil {
		return m.most
	}
	m.most = max(m.most, max(all, high)-files)
	if m.limit > 0 {
		m.most = min(m.most, m.limit)
	}
	return m.most
}

// last brings the peak up to date before the numbers are gone.
func (m *memory) last() {
	m.mu.Lock()
	m.asked = time.Time{}
	m.mu.Unlock()
	m.peak()
}

// oomKills is how many processes the kernel has killed for want of memory.
func (m *memory) oomKills() int64 {
	if m.dir == "" {
		return 0
	}
	file := "memory.oom_control"
	if m.v2 {
		file = "memory.events"
	}
	n, _ := number(filepath.Join(m.dir, file), "oom_kill")
	return n
}

// A memoryWatcher hears of thresholds and has them checked.
type memoryWatcher struct {
	inotify *os.File // version 2
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows
	watchs map[int]*memory
}

func newMemoryWatcher() *memoryWatcher {
	w := &memoryWatcher{watchs: make(map[int]*memory)}
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		w.inotify = os.NewFile(uintptr(fd), "inotify")
		w.running.Go(w.readInotify)
	}
	return w
}

func (w *memoryWatcher) close() {
	if w.inotify != nil {
		w.inotify.Close()
	}
	w.running.Wait()
}

// add watches a sandbox; endOOM ends it.
func (w *memoryWatcher) add(m *memory, endOOM func()) {
	m.mu.Lock()
	m.endOOM = endOOM
	m.mu.Unlock()
	switch {
	case m.dir == "":
	case m.v2:
		w.addV2(m)
		m.check()
	default:
		w.addV1(m)
	}
}

func (w *memoryWatcher) addV2(m *memory) {
	if w.inotify == nil {
		return
	}
	raw, err := w.inotify.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		wd, err := unix.InotifyAddWatch(int(fd), filepath.Join(m.dir, "memory.events"), unix.IN_MODIFY)
		if err != nil {
			return
		}
		m.watch = wd
		w.mu.Lock()
		w.watchs[wd] = m
		w.mu.Unlock()
	})
}

func (w *memoryWatcher) readInotify() {
	buf := make([]byte, 64*unix.SizeofInotifyEvent)
	for {
		n, err := w.inotify.Read(buf)
		if err != nil {
			return
		}
		// Events of a watched file carry no name, so each is SizeofInotifyEvent bytes.
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; b = b[unix.SizeofInotifyEvent:] {
			wd := int(int32(nativeUint32(b)))
			w.mu.Lock()
			m := w.watchs[wd]
			w.mu.Unlock()
			if m != nil {
				m.check()
			}
		}
	}
}

func nativeUint32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (w *memoryWatcher) addV1(m *memory) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return
	}
	events := os.NewFile(uintptr(fd), "eventfd")
	m.mu.Lock()
	m.eventFD = events
	m.mu.Unlock()
	w.running.Go(func() {
		for {
			m.check()
			var b [8]byte
			if _, err := events.Read(b[:]); err != nil {
				return
			}
		}
	})
}

// remove ends the watch over a sandbox.
func (w *memoryWatcher) remove(m *memory) {
	m.mu.Lock()
	events := m.eventFD
	m.eventFD = nil
	m.mu.Unlock()
	if events != nil {
		events.Close()
	}
	w.mu.Lock()
	delete(w.watchs, m.watch) // the kernel drops its watch with the folder
	w.mu.Unlock()
}

// writableAreas lists the private writable parts of a process's memory.
func writableAreas(pid int) ([]unix.RemoteIovec, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	return parseMaps(string(maps)), nil
}

func parseMaps(maps string) []unix.RemoteIovec {
	var areas []unix.RemoteIovec
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 5 || len(f[1]) < 4 || f[1][1] != 'w' || f[1][3] != 'p' {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if !ok || errors.Join(err1, err2) != nil || end <= begin {
			continue
		}
		areas = append(areas, unix.RemoteIovec{Base: uintptr(begin), Len: int(end - begin)})
	}
	return areas
}
