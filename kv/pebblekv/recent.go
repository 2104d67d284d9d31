package pebblekv

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"lambent/kv/driver"
)

// recent remembers which keys and ranges were written by the latest commits: all those that a running
// transaction's snapshot may lack, and all that are not yet durable. A deleted range is remembered as a
// range, so that it conflicts with reads of keys that were not even there.
type recent struct {
	mu     sync.Mutex // guards the fields below
	keys   *btree.BTreeG[write]
	order  []write      // entries of keys by version, some outdated by a later write of the same key
	ranges []rangeWrite // by version
	floor  uint64       // writes up to this version may have been forgotten
	bytes  int          // of keys held in order and ranges

	oldest, newest *txn // transactions that have read, by version of their snapshot
}

type write struct {
	key     []byte
	version uint64
}

type rangeWrite struct {
	span
	version uint64
}

// errForgotten refuses a transaction for which too much was written since its snapshot to be checked.
var errForgotten = fmt.Errorf("%w: too many writes since it began", driver.ErrConflict)

// Bounds of what is remembered.
const (
	maxRecentBytes  = 16 << 20
	maxRecentRanges = 4096
	writeOverhead   = 96 // bytes that an entry costs besides its key
)

func (r *recent) init(version uint64) {
	r.keys = btree.NewG(32, func(a, b write) bool { return bytes.Compare(a.key, b.key) < 0 })
	r.floor = version
}

// enter registers a transaction that is about to take its snapshot, and gives it the version up to which
// the snapshot must reach. From now on nothing is forgotten that is later than this.
func (r *recent) enter(t *txn, applied *atomic.Uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.version, t.entered = applied.Load(), true
	t.older = r.newest
	if r.newest == nil {
		r.oldest = t
	} else {
		r.newest.newer = t
	}
	r.newest = t
}

// leave takes a transaction off the list.
func (r *recent) leave(t *txn) {
	if !t.entered {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.older == nil {
		r.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	if t.newer == nil {
		r.newest = t.older
	} else {
		t.newer.older = t.older
	}
	t.older, t.newer, t.entered = nil, nil, false
}

// checkLocked says whether what t has read is still so.
func (r *recent) checkLocked(t *txn) error {
	if !t.reads.any() {
		return nil
	}
	if t.version < r.floor {
		return errForgotten
	}
	for key := range t.reads.keys {
		if r.keyLocked(key) > t.version {
			return driver.ErrConflict
		}
	}
	for _, s := range t.reads.ranges {
		if r.touchedLocked(s, t.version) {
			return driver.ErrConflict
		}
	}
	return nil
}

// keyLocked returns the version of the last remembered write of key, 0 if there is none.
func (r *recent) keyLocked(key []byte) uint64 {
	w, _ := r.keys.Get(write{key: key})
	for i := len(r.ranges) - 1; i >= 0 && r.ranges[i].version > w.version; i-- {
		if g := &r.ranges[i]; bytes.Compare(g.begin, key) <= 0 && bytes.Compare(key, g.end) < 0 {
			return g.version
		}
	}
	return w.version
}

// touchedLocked says whether anything in s was written after version.
func (r *recent) touchedLocked(s span, version uint64) (touched bool) {
	r.keys.AscendRange(write{key: s.begin}, write{key: s.end}, func(w write) bool {
		touched = w.version > version
		return !touched
	})
	return touched || r.lastDeleteLocked(s, version) > version
}

// rangeLocked returns the version of the last remembered write in s, if it is above least, else 0.
func (r *recent) rangeLocked(s span, least uint64) (version uint64) {
	r.keys.AscendRange(write{key: s.begin}, write{key: s.end}, func(w write) bool {
		if w.version > least {
			version = max(version, w.version)
		}
		return true
	})
	return max(version, r.lastDeleteLocked(s, max(least, version)))
}

// lastDeleteLocked returns the version of the last range deletion that overlaps s, if it is above least, else 0.
func (r *recent) lastDeleteLocked(s span, least uint64) uint64 {
	for i := len(r.ranges) - 1; i >= 0 && r.ranges[i].version > least; i-- {
		if g := &r.ranges[i]; bytes.Compare(g.begin, s.end) < 0 && bytes.Compare(s.begin, g.end) < 0 {
			return g.version
		}
	}
	return 0
}

// addLocked remembers the writes of a commit.
func (r *recent) addLocked(ops []driver.Op, version uint64) {
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case driver.Nop:
		case driver.DeleteRange:
			r.ranges = append(r.ranges, rangeWrite{span{op.Key, op.Value}, version})
			r.bytes += len(op.Key) + len(op.Value) + writeOverhead
		default:
			w := write{op.Key, version}
			r.keys.ReplaceOrInsert(w)
			r.order = append(r.order, w)
			r.bytes += len(op.Key) + writeOverhead
		}
	}
}

// forgetLocked drops what no running transaction can conflict with and nobody waits for, and the oldest
// of the rest when it is too much.
func (r *recent) forgetLocked(durable, applied uint64) {
	needed := min(durable, applied)
	if r.oldest != nil {
		needed = min(needed, r.oldest.version)
	}
	r.dropLocked(needed)
	for len(r.order)+len(r.ranges) > 0 && (r.bytes > maxRecentBytes || len(r.ranges) > maxRecentRanges) {
		next := r.nextLocked()
		r.dropLocked(next)
		r.floor = max(r.floor, next)
	}
}

// nextLocked returns the lowest version that is remembered.
func (r *recent) nextLocked() uint64 {
	switch {
	case len(r.ranges) == 0:
		return r.order[0].version
	case len(r.order) == 0:
		return r.ranges[0].version
	}
	return min(r.order[0].version, r.ranges[0].version)
}

// dropLocked forgets the writes up to version.
func (r *recent) dropLocked(version uint64) {
	n := 0
	for ; n < len(r.order) && r.order[n].version <= version; n++ {
		w := r.order[n]
		if last, found := r.keys.Get(w); found && last.version == w.version {
			r.keys.Delete(w)
		}
		r.bytes -= len(w.key) + writeOverhead
	}
	r.order = advance(r.order, n)
	for n = 0; n < len(r.ranges) && r.ranges[n].version <= version; n++ {
		r.bytes -= len(r.ranges[n].begin) + len(r.ranges[n].end) + writeOverhead
	}
	r.ranges = advance(r.ranges, n)
}

// advance cuts the first n elements off s, so that they can be collected, and the array under it too when
// nothing is left.
func advance[T any](s []T, n int) []T {
	if n == len(s) && cap(s) > 1024 {
		return nil
	}
	clear(s[:n])
	if n == len(s) {
		return s[:0]
	}
	return s[n:]
}

// size returns the number of writes remembered.
func (r *recent) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.order) + len(r.ranges)
}
