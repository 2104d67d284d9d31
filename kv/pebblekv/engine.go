// Package pebblekv is the embedded engine under package kv: Pebble with an optimistic layer that makes its
// transactions serializable.
//
// # How a transaction runs
//
// It reads from a Pebble snapshot and remembers the keys and ranges that it has read. To commit, it takes
// the commit lock, checks these against the writes of the commits that its snapshot may lack, takes the
// next version, and applies its batch, which makes it visible to others. Then it gives up the lock and
// waits for the batch to be synced; Pebble syncs all batches that wait with one fsync, and the next
// commits are checked and applied meanwhile. The log keeps their order: when a commit is durable, so is
// every commit before it.
//
// Commits are thus visible a little before they are durable. A reader of such a value waits, when its
// transaction ends, until it is durable.
//
// # Locks
//
// commitMu -> recent.mu -> rows.mu means that recent.mu may be taken while commitMu is held, not the opposite. All
// other locks here are taken alone.
package pebblekv

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv/driver"
)

// Engine is an open Pebble store.
type Engine struct {
	db    *pebble.DB
	lock  *pebble.Lock
	space *space
	fatal func(error)

	readOnly bool

	commitMu  sync.Mutex // serializes check, version and apply
	reserved  uint64     // versions up to here may be used without a new reservation; guarded by commitMu
	assigned  atomic.Uint64
	applied   atomic.Uint64 // every commit up to here is visible; stored while commitMu is held
	durable   durable
	recent    recent
	rows      rows
	snapshots snapshots

	opened  atomic.Bool           // Open has succeeded
	broken  atomic.Pointer[error] // why the store has stopped
	told    chan struct{}         // closed when Options.Fatal has returned, which it should not
	running driver.Running
	txns    sync.Pool // of *txn
	counts  counts
}

var _ driver.Engine = (*Engine)(nil)

// Begin implements driver.Engine. The snapshot is taken by the first read.
func (e *Engine) Begin(ctx context.Context, mode driver.Mode) (driver.Txn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.failure(); err != nil {
		return nil, err
	}
	if !e.running.Enter() {
		return nil, driver.ErrClosed
	}
	t, _ := e.txns.Get().(*txn)
	if t == nil {
		t = &txn{e: e}
	}
	t.mode = mode
	return t, nil
}

// StableBefore implements driver.Engine. Only durable commits count: a version that is visible but not
// durable could be lost in a crash, and what comes after the crash must not land behind a reader.
func (e *Engine) StableBefore(ctx context.Context) (driver.Stamp, error) {
	if err := e.failure(); err != nil {
		return driver.Stamp{}, err
	}
	return driver.MakeStamp(e.durable.version.Load()+1, 0, 0), ctx.Err()
}

// closeGrace is how long Close waits for running transactions; kv ends them sooner.
const closeGrace = 10 * time.Second

// Close implements driver.Engine. A second Close does nothing and returns driver.ErrClosed.
func (e *Engine) Close() error {
	first, idle := e.running.Stop(closeGrace)
	if !idle {
		return errors.New("kv: close: transactions are still running")
	}
	if !first {
		return driver.ErrClosed
	}
	e.snapshots.expire(math.MaxUint64)
	if err := e.failure(); err != nil {
		return err // Pebble cannot be closed in good order any more
	}
	err := e.db.Close()
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// ErrStopped says that the store has stopped because a write or sync of its log failed. It takes nothing any
// more; only a new process can open it again.
var ErrStopped = errors.New("kv: the store has stopped")

// failure returns why the store has stopped, or nil.
func (e *Engine) failure() error {
	if p := e.broken.Load(); p != nil {
		return *p
	}
	return nil
}

// fail stops the store: after a failed write or sync of the log nobody knows what is on disk, and trying
// again would hide a loss. The first failure is told to Options.Fatal, which ends the process.
func (e *Engine) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrStopped, err)
	if !e.broken.CompareAndSwap(nil, &err) {
		return e.failure()
	}
	e.durable.stop()
	e.fatal(err)
	close(e.told)
	return err
}
