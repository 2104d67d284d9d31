package pebblekv

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv/driver"
)

var _ driver.Mover = (*Engine)(nil)

// still is a state of the whole store.
type still struct {
	e *Engine
	*snapshot
}

// Snapshot implements driver.Mover.
func (e *Engine) Snapshot(ctx context.Context) (driver.Snapshot, error) {
	if err := e.failure(); err != nil {
		return nil, err
	}
	if !e.running.Enter() {
		return nil, driver.ErrClosed
	}
	s := &still{e, e.snapshot(e.durable.version.Load())}
	done, err := e.durable.wait(ctx, s.upper)
	if err == nil && !done {
		err = e.failure()
	}
	if err != nil {
		_ = s.Close() // reports nothing
		return nil, err
	}
	return s, nil
}

// Scan implements driver.Snapshot.
func (s *still) Scan(ctx context.Context, r driver.Range) ([]driver.KV, error) {
	if err := s.e.failure(); err != nil {
		return nil, err
	}
	return s.scan(ctx, r)
}

// Above implements driver.Snapshot.
func (s *still) Above() driver.Stamp { return driver.MakeStamp(s.upper+1, 0, 0) }

// Close implements driver.Snapshot.
func (s *still) Close() error {
	s.e.snapshots.release(s.snapshot)
	s.e.running.Leave()
	return nil
}

// RaiseStamps implements driver.Mover.
func (e *Engine) RaiseStamps(ctx context.Context, above driver.Stamp) error {
	if e.readOnly {
		return ErrReadOnly
	}
	if !e.running.Enter() {
		return driver.ErrClosed
	}
	defer e.running.Leave()
	e.commitMu.Lock()
	defer e.commitMu.Unlock()
	if err := e.failure(); err != nil {
		return err
	}
	version := binary.BigEndian.Uint64(above[:])
	if version <= e.assigned.Load() {
		return ctx.Err()
	}
	if err := e.db.Set(reservedKey, binary.BigEndian.AppendUint64(nil, version), pebble.Sync); err != nil {
		return e.fail(err)
	}
	e.reserved = version
	e.assigned.Store(version)
	e.applied.Store(version)
	e.durable.advance(version)
	return ctx.Err()
}
