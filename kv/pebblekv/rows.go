package pebblekv

import (
	"hash/maphash"
	"sync"

	"lambent/kv/driver"
)

// rows keeps values that were read lately, so that the rows which every request looks at (the version of a
// function, the stage of an API) cost a look into a map and not a walk through the levels of Pebble.
//
// It never shows a value that the reader's snapshot would not. A value is kept together with a version up to
// which the last write of its key is known to lie (since), and a commit that writes the key takes it out before it
// can be seen by anybody. So whoever finds a value there and has a snapshot with all commits up to since would read
// the same. What is read is kept only if the snapshot it came from has every write of the key there is: to know
// that without remembering all keys, the last version that wrote any key of the same hash is held.
//
// Of two halves the younger takes what is read; when it is full the older one is forgotten.
type rows struct {
	seed maphash.Seed
	half int // bytes that one half may hold

	mu       sync.Mutex // guards the fields below; taken alone or after recent.mu
	young    map[string]row
	old      map[string]row
	bytes    int                   // of young
	written  [rowSlots]uint64      // last version that wrote a key of this hash
	cleared  uint64                // last version that deleted a range
	occupied [rowSlots / 64]uint64 // bit set when a key of this hash may be kept
}

// row is a value that every snapshot with all commits up to since has.
type row struct {
	value []byte // nil when the key is absent
	since uint64
}

// Bounds of what is kept.
const (
	rowBytes    = 2 << 20 // of keys and values in all
	rowSlots    = 4096
	maxRowValue = 16 << 10 // a larger value is not kept
	rowOverhead = 96       // bytes that an entry costs besides its key and value
)

func (r *rows) init(bytes int) {
	r.seed = maphash.MakeSeed()
	r.half = bytes / 2
	r.young, r.old = map[string]row{}, map[string]row{}
}

func (r *rows) slot(key []byte) uint64 { return maphash.Bytes(r.seed, key) % rowSlots }

// get returns a copy of the value of key in a snapshot that has all commits up to version; nil when absent.
func (r *rows) get(key []byte, version uint64) (value []byte, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, found := r.young[string(key)]
	if !found {
		if kept, found = r.old[string(key)]; found {
			delete(r.old, string(key))
			r.addLocked(key, kept)
		}
	}
	if !found || kept.since > version {
		return nil, false
	}
	if kept.value == nil {
		return nil, true
	}
	return append(make([]byte, 0, len(kept.value)), kept.value...), true
}

// keep remembers the value that key has in a snapshot with all commits up to version, if it has this still.
func (r *rows) keep(key, value []byte, version uint64) {
	if len(value) > maxRowValue || len(key)+len(value)+rowOverhead > r.half {
		return
	}
	slot := r.slot(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	since := max(r.written[slot], r.cleared)
	if since > version {
		return
	}
	kept := row{since: since}
	if value != nil {
		kept.value = append(make([]byte, 0, len(value)), value...)
	}
	if _, found := r.young[string(key)]; found {
		return // another reader was faster
	}
	r.occupied[slot/64] |= 1 << (slot % 64)
	r.addLocked(key, kept)
}

func (r *rows) addLocked(key []byte, kept row) {
	size := len(key) + len(kept.value) + rowOverhead
	if r.bytes+size > r.half {
		r.old, r.young, r.bytes = r.young, map[string]row{}, 0
	}
	r.bytes += size
	r.young[string(key)] = kept
}

// write forgets what the commit of ops with this version writes. It is called before anybody can see the commit.
func (r *rows) write(ops []driver.Op, version uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case driver.Nop:
		case driver.DeleteRange:
			r.cleared = version
			r.clearLocked()
		default:
			r.writeLocked(op.Key, version)
		}
	}
}

func (r *rows) writeLocked(key []byte, version uint64) {
	slot := r.slot(key)
	r.written[slot] = version
	if r.occupied[slot/64]&(1<<(slot%64)) == 0 {
		return // most writes are of keys that nobody has read
	}
	if kept, found := r.young[string(key)]; found {
		r.bytes -= len(key) + len(kept.value) + rowOverhead
		delete(r.young, string(key))
	}
	delete(r.old, string(key))
}

func (r *rows) clearLocked() {
	if len(r.young)+len(r.old) == 0 {
		return
	}
	r.young, r.old, r.bytes = map[string]row{}, map[string]row{}, 0
	clear(r.occupied[:])
}

// size returns the bytes held, at most.
func (r *rows) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.bytes
	if len(r.old) > 0 {
		n += r.half
	}
	return n
}
