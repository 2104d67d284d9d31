package app

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What the garbage collector is told, see collector.
const (
	calmPercent = 50              // growth of the heap between two collections of a quiet process
	busyRoom    = 32 << 20        // bytes that a busy one may allocate between two, at least
	busyGap     = 2 * time.Second // collections closer than this make it a busy one
	mostPercent = 800
)

// A collector trades memory for time only while there is work: a quiet process stays small, since its heap may grow by
// half of what lives. Where that lets one collection follow close upon the other (a small heap, many requests), the heap
// gets more room, up to a bound. It needs no goroutine: the runtime tells it of the end of each collection.
type collector struct {
	last    time.Time
	percent int
	live    []metrics.Sample
}

// limitMemory sets the garbage collector up, unless its user has done so.
func limitMemory() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(calmPercent)
	c := &collector{last: time.Now(), percent: calmPercent, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	c.wait()
}

// wait has the runtime call after the next collection, which finds the sentinel dead.
func (c *collector) wait() {
	sentinel := new([16]byte)
	runtime.SetFinalizer(sentinel, func(*[16]byte) {
		c.after(time.Now())
		c.wait()
	})
}

// after sets the pace once a collection has ended.
func (c *collector) after(now time.Time) {
	metrics.Read(c.live)
	percent := pace(now.Sub(c.last), c.live[0].Value.Uint64())
	c.last = now
	if percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// pace returns the percentage for a heap of which live bytes live, and whose last collection was gap ago.
func pace(gap time.Duration, live uint64) int {
	if gap > busyGap {
		return calmPercent
	}
	percent := busyRoom * 100 / int(max(live, 1))
	return min(max(percent, calmPercent), mostPercent) / 10 * 10 // in steps: a change stops the world for a moment
}

// settleAfter is how long after its start a cloud lets go of what only the start needed.
const settleAfter = time.Second

// settle lets go of the pages of the program's own file that the start has touched: tables of types, the code that
// builds the services. Nobody asks for most of them again; what is needed comes back from the page cache, at some
// microseconds once. It takes two thirds off what an idle server holds.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(settleAfter):
	}
	_, _ = releaseProgram() // less memory is a courtesy; without it all works as well
	return nil
}

// releaseProgram drops the mapped pages of the program's file that cannot have been written to, and returns how many bytes
// of address space they are.
func releaseProgram() (int, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	released := 0
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line) // address perms offset dev inode path
		if len(fields) < 6 || fields[5] != self || fields[1][1] == 'w' {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); err != nil {
			return released, err
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return released, errno
		}
		released += int(to - from)
	}
	return released, nil
}
