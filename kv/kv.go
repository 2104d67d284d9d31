// Package kv is the one store under everything: ordered keys, serializable transactions, retry on
// conflict, wake after commit.
//
// # Transactions
//
// [Store.Update] runs a closure against a snapshot and commits what it wrote, atomically and durably. If
// another transaction has meanwhile changed something that the closure read (a key, or a range including
// the keys that were not there), the closure runs again; so it must change nothing but its own results.
// [Store.View] reads at one snapshot. Neither returns before everything that the closure has read is
// durable: nobody ever acts on what a crash could take back. This holds for closures that fail, too.
//
// Limits hold on every engine: [MaxAge], [MaxWrites], [MaxOps], [MaxValue], [MaxKey].
//
// # Rooms
//
// A [Store] is a handle on one room, a name space of keys and topics. [Store.In] opens another by name;
// through a handle the keys of other rooms can be neither read nor named.
//
// # Streams
//
// [Tx.SetStamped] puts a stamp into the key that grows in the order of commits. A reader of such keys
// keeps a cursor, reads up to [Store.StableBefore] and misses nothing: no key can appear below it later.
// [Store.Watch] wakes readers; it is a hint that may be lost, so they look once a second as well.
package kv

import (
	"context"
	"errors"
	"time"

	"lambent/kv/driver"
)

// Limits of a transaction, the same for every engine.
const (
	MaxAge     = 5 * time.Second // from the start of an attempt to its commit
	MaxWrites  = 8 << 20         // bytes of keys and values written
	MaxValue   = 1 << 20         // bytes of one value; larger things go to package blob
	MaxKey     = 8 << 10         // bytes of one key as the caller gives it; a stamp counts
	MaxOps     = 1 << 17         // keys and ranges written; what is overwritten in the same transaction counts once
	MaxStamped = 1 << 16         // stamped keys
)

// Errors to branch on with errors.Is.
var (
	// ErrTooLarge says that the transaction broke one of the size limits.
	ErrTooLarge = errors.New("kv: transaction too large")
	// ErrTooOld says that the closure took longer than MaxAge.
	ErrTooOld = driver.ErrTooOld
	// ErrConflict says that the transaction met conflicts until its retries were used up.
	ErrConflict = driver.ErrConflict
	// ErrDamaged says that a part of what is on disk is not what was written.
	ErrDamaged = driver.ErrDamaged
	// ErrUnavailable says that the store could not be reached, until the retries were used up.
	ErrUnavailable = driver.ErrUnavailable
	// ErrUnknown says that the connection broke during the commit: it may have happened or not. An
	// idempotency key written in the same transaction tells.
	ErrUnknown = driver.ErrUnknown
	// ErrClosed says that the store was closed.
	ErrClosed = driver.ErrClosed
	// ErrFull says that the disk is full: the store refuses writes and still answers reads.
	ErrFull = driver.ErrFull
)

// Stamp orders commits: 8 bytes commit version, 2 bytes order among commits of that version, 2 bytes
// order within the transaction. Stamps compare as bytes.
type Stamp = driver.Stamp

// KV is one key with its value.
type KV = driver.KV

// Range is the keys k with Begin <= k < End in ascending order, or descending when Reverse is set. A nil
// End is the end of the room. Limit 0 means no limit.
type Range = driver.Range

// Reader reads one snapshot of a room.
type Reader interface {
	// Get returns the value of key, or nil when it is absent. A present value is never nil.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// GetAll returns the values of keys in their order, with nil for those absent. It is one round trip.
	GetAll(ctx context.Context, keys ...[]byte) ([][]byte, error)
	// Scan returns the entries of a range; their keys are without the room's prefix.
	Scan(ctx context.Context, r Range) ([]KV, error)
}
