package pebblekv

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv/driver"
)

// reserveStep is how many versions are reserved at a time. Reserving keeps versions from being used again
// after a crash that lost a commit whose stamp somebody may have seen, without a record in every commit.
const reserveStep = 1 << 20

// commit checks t, applies ops and returns when they are durable.
func (e *Engine) commit(t *txn, ops []driver.Op) (driver.Stamp, error) {
	if e.readOnly {
		return driver.Stamp{}, ErrReadOnly
	}
	if err := e.space.check(); err != nil {
		return driver.Stamp{}, err
	}
	start := time.Now()
	batch := e.db.NewBatchWithSize(batchSize(ops))
	version, err := e.apply(t, ops, batch)
	if err != nil {
		return driver.Stamp{}, err
	}
	if err := batch.SyncWait(); err != nil {
		return driver.Stamp{}, e.fail(fmt.Errorf("sync of the log: %w", err))
	}
	_ = batch.Close() // reports nothing
	e.durable.advance(version)
	e.snapshots.expire(version)
	if err := e.failure(); err != nil {
		return driver.Stamp{}, err
	}
	e.counts.committed(time.Since(start))
	return driver.MakeStamp(version, 0, 0), nil
}

// apply makes the commit visible. After the commit lock is released, the version's place in the log is fixed.
func (e *Engine) apply(t *txn, ops []driver.Op, batch *pebble.Batch) (version uint64, err error) {
	e.commitMu.Lock()
	defer e.commitMu.Unlock()
	if err := e.failure(); err != nil {
		return 0, err
	}
	if version, err = e.accept(t, ops); err != nil {
		return 0, err
	}
	fill(batch, ops)
	if version > e.reserved {
		e.reserved = version + reserveStep
		_ = batch.Set(reservedKey, binary.BigEndian.AppendUint64(nil, e.reserved), nil)
	}
	if err := e.write(batch); err != nil {
		return 0, err
	}
	e.applied.Store(version)
	return version, nil
}

// accept checks t against the recent commits, gives it a version, and remembers its writes. commitMu must be held.
func (e *Engine) accept(t *txn, ops []driver.Op) (uint64, error) {
	r := &e.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkLocked(t); err != nil {
		e.counts.refused(err)
		return 0, err
	}
	version := e.assigned.Load() + 1
	stamp(ops, version)
	e.rows.write(ops, version)
	r.forgetLocked(e.durable.version.Load(), e.applied.Load())
	r.addLocked(ops, version)
	e.assigned.Store(version)
	return version, nil
}

// write hands the batch to Pebble. Pebble panics when it cannot write its log.
func (e *Engine) write(batch *pebble.Batch) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = e.fail(fmt.Errorf("write of the log: %w", p))
		default:
			err = e.fail(fmt.Errorf("write of the log: %v", p))
		}
	}()
	if err := e.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return e.fail(err)
	}
	return nil
}

// stamp puts the version into the stamped keys.
func stamp(ops []driver.Op, version uint64) {
	s := driver.MakeStamp(version, 0, 0)
	for i := range ops {
		if op := &ops[i]; op.Kind == driver.SetStamped {
			copy(op.Key[op.StampAt:], s[:driver.StampPrefix])
		}
	}
}

// batchSize is about how many bytes ops take in a batch.
func batchSize(ops []driver.Op) int {
	n := 12
	for i := range ops {
		n += len(ops[i].Key) + len(ops[i].Value) + 8
	}
	return n
}

// fill puts ops into the batch. Its methods report errors only for batches that are closed or indexed.
func fill(batch *pebble.Batch, ops []driver.Op) {
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case driver.Set, driver.SetStamped:
			_ = batch.Set(op.Key, op.Value, nil)
		case driver.Delete:
			_ = batch.Delete(op.Key, nil)
		case driver.DeleteRange:
			_ = batch.DeleteRange(op.Key, op.Value, nil)
		}
	}
}
