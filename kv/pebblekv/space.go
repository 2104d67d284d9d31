package pebblekv

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"lambent/kv/driver"
)

// space watches the free space of the disk, so that writes are refused while there is still room for the
// log and for compactions. A log that hits the end of the disk would stop the process.
type space struct {
	fs    vfs.FS
	dir   string
	least uint64
	off   bool

	next atomic.Int64 // when to look again, Unix nanoseconds
	full atomic.Bool
}

// spaceEvery is how often the disk is asked, at most.
const spaceEvery = time.Second

func newSpace(o Options, dir string) *space {
	return &space{fs: o.FS, dir: dir, least: uint64(max(o.MinFreeBytes, 0)), off: o.MinFreeBytes < 0}
}

// check returns driver.ErrFull when the disk is too full to write.
func (s *space) check() error {
	if s.off {
		return nil
	}
	now := time.Now().UnixNano()
	if next := s.next.Load(); now >= next && s.next.CompareAndSwap(next, now+int64(spaceEvery)) {
		s.look()
	}
	if s.full.Load() {
		return driver.ErrFull
	}
	return nil
}

// checkOpen returns driver.ErrFull when there is not even room to open the store: Pebble begins a log and a manifest
// and writes tables out of what the last log holds, in the background, where running out of space can only end the process.
func (s *space) checkOpen() error {
	if s.off {
		return nil
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err == nil && usage.AvailBytes < s.least/4 {
		return driver.ErrFull
	}
	return nil
}

func (s *space) look() {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		s.full.Store(false) // a file system in memory, or one that does not tell
		return
	}
	s.full.Store(usage.AvailBytes < s.least)
}
