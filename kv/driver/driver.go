// Package driver defines what a storage engine must do to stand under package kv.
//
// An engine is an ordered map of bytes with serializable transactions. Everything that can be written
// once (limits, retries, rooms, a transaction's view of its own writes, wake-ups) lives in kv; an engine
// reads at a snapshot, remembers what was read, and commits. The interface is shaped so that an engine
// across a network needs few round trips: beginning costs nothing by itself (a server's BEGIN can travel
// with the first read), reads come in batches, and all writes arrive at once with the commit.
//
// An engine keeps its own records under keys that begin with the byte 0x00; kv never uses such keys.
package driver

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// Errors that an engine returns, bare or wrapped, and that kv acts upon.
var (
	// ErrConflict says that another transaction changed what this one read. The attempt left no trace.
	ErrConflict = errors.New("kv: conflict with another transaction")
	// ErrTooOld says that the transaction took longer than it may. The attempt left no trace.
	ErrTooOld = errors.New("kv: transaction too old")
	// ErrDamaged says that what is on disk is not what was written. Other parts of the store may be whole.
	ErrDamaged = errors.New("kv: the store is damaged; lambent store check says where, a backup has what was there")
	// ErrUnavailable says that the store cannot be reached now. The attempt left no trace.
	ErrUnavailable = errors.New("kv: the store cannot be reached")
	// ErrUnknown says that the commit was sent and its outcome is not known.
	ErrUnknown = errors.New("kv: commit outcome unknown")
	// ErrClosed says that the store is closed or closing.
	ErrClosed = errors.New("kv: store is closed")
	// ErrFull says that the engine refuses writes because its disk is (almost) full. Reads still work.
	ErrFull = errors.New("kv: no space left for the store")
)

// Stamp orders commits: 8 bytes version, 2 bytes order among commits of that version, 2 bytes order
// within the transaction, all big-endian, so that stamps compare as bytes.
type Stamp [12]byte

// MakeStamp builds a stamp from its three parts.
func MakeStamp(version uint64, batch, order uint16) (s Stamp) {
	binary.BigEndian.PutUint64(s[:], version)
	binary.BigEndian.PutUint16(s[8:], batch)
	binary.BigEndian.PutUint16(s[10:], order)
	return s
}

// StampPrefix is the length of the part of a stamp that the engine fills in at commit; the rest, the
// order within the transaction, is there before.
const StampPrefix = 10

// KV is one key with its value.
type KV struct{ Key, Value []byte }

// Range is the keys k with Begin <= k < End in ascending order, or descending when Reverse is set.
// Limit 0 means no limit. An engine always gets a non-nil End.
type Range struct {
	Begin, End []byte
	Limit      int
	Reverse    bool
}

// Engine is one open store.
type Engine interface {
	// Begin starts one attempt of a transaction. It need not touch the store before the first read.
	Begin(ctx context.Context, mode Mode) (Txn, error)
	// StableBefore returns a stamp below which no stamped key can appear any more, now or after a crash,
	// and which is above the stamps of all commits acknowledged before the call.
	StableBefore(ctx context.Context) (Stamp, error)
	// Stats returns counters and sizes.
	Stats() Stats
	// Close waits for running transactions and releases the store.
	Close() error
}

// Mode says what a transaction is for.
type Mode uint8

// Modes of a transaction.
const (
	ReadWrite Mode = iota
	ReadOnly       // never commits
)

// Txn is one attempt of a transaction, used by one goroutine and ended by exactly one call of Commit or
// Finish. All reads see one snapshot. An engine neither keeps nor changes the keys that it is given to
// read; what it returns belongs to the caller.
type Txn interface {
	// Get returns the value of key, nil when absent and non-nil when present, even if empty. A tracked
	// read joins the conflict set: Commit fails when another transaction has changed the key since.
	Get(ctx context.Context, key []byte, tracked bool) ([]byte, error)
	// GetAll is Get for several keys in one round trip; the result has one entry for each key.
	GetAll(ctx context.Context, keys [][]byte, tracked bool) ([][]byte, error)
	// Scan reads a range. The part really read (up to the last key returned, when Limit cut it) joins
	// the conflict set if tracked: keys that appear in it later (phantoms) conflict too.
	Scan(ctx context.Context, r Range, tracked bool) ([]KV, error)
	// Commit applies ops in their order and returns when they are durable. The engine owns ops from now on.
	Commit(ctx context.Context, ops []Op) (Stamp, error)
	// Finish ends the transaction without writes. It returns nil once all that was read is durable, so
	// that no caller acts on what a crash could take back.
	Finish(ctx context.Context) error
}

// Kind says what an Op does.
type Kind uint8

// Kinds of operations. Nop is skipped: it stands for a write that a later one in the same transaction undid.
const (
	Nop Kind = iota
	Set
	Delete
	DeleteRange // Key <= k < Value
	SetStamped  // as Set, after the first StampPrefix bytes of the commit's stamp are put at Key[StampAt:]
)

// Op is one write of a transaction.
type Op struct {
	Key, Value []byte // Value is the end of the range for DeleteRange
	StampAt    int
	Kind       Kind
}

// Stats are an engine's counters since it was opened, and its present sizes.
type Stats struct {
	Commits   uint64 // transactions with writes that became durable
	Conflicts uint64 // attempts refused with ErrConflict
	TooOld    uint64 // attempts refused because they could not be checked any more
	Sync      Latency

	DiskBytes     uint64 // files of the store
	LogBytes      uint64 // the part of it that is write-ahead log
	MemTableBytes uint64
	CacheBytes    uint64
	RowBytes      uint64 // rows kept in memory because they were read lately
	RecentWrites  int    // writes remembered for conflict checks
	Running       int    // transactions in progress

	// Of an engine across a network.
	Settled          uint64 // commits whose outcome had to be asked for after the connection broke
	Connections      int    // in use
	ConnectionsBound int    // that may be in use at once; 0 when the engine has none
}

// Latency is a histogram of durations.
type Latency struct {
	Counts [len(LatencyBounds) + 1]uint64 // Counts[i] is the number within LatencyBounds[i]; the last is the rest
	Sum    time.Duration
}

// LatencyBounds are the upper bounds of the buckets of a Latency.
var LatencyBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	time.Second,
}
