package pgkv

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"

	"lambent/kv/driver"
)

var _ driver.Mover = (*Engine)(nil)

// export is a state of the store on a connection of its own, outside of the pool and of the limits of time.
type export struct {
	txn
	conn  *pgx.Conn
	above driver.Stamp
}

// exportFor is longer than anybody copies a store.
const exportFor = 30 * 24 * time.Hour

// Snapshot implements driver.Mover. It waits for a moment that needs no checks of what is read, as pg_dump
// does; under load that can take some seconds.
func (e *Engine) Snapshot(ctx context.Context) (driver.Snapshot, error) {
	if !e.running.Enter() {
		return nil, driver.ErrClosed
	}
	defer e.running.Leave()
	c, err := e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	x := &export{conn: c.pool.Hijack()}
	x.txn = txn{e: e, mode: driver.ReadOnly, begun: true, deadline: time.Now().Add(exportFor), c: c}
	if err := x.begin(ctx); err != nil {
		x.Close()
		return nil, e.failure(ctx, err)
	}
	return x, nil
}

func (x *export) begin(ctx context.Context) error {
	_, err := x.conn.Exec(ctx, `SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
		SET application_name = 'lambent export'; BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	var next uint64
	err = x.conn.QueryRow(ctx, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8").Scan(&next)
	x.above = driver.MakeStamp(x.e.base.Load()+next, 0, 0)
	return err
}

// Scan implements driver.Snapshot.
func (x *export) Scan(ctx context.Context, r driver.Range) ([]driver.KV, error) {
	return x.txn.Scan(ctx, r, false)
}

// Above implements driver.Snapshot.
func (x *export) Above() driver.Stamp { return x.above }

// Close implements driver.Snapshot.
func (x *export) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), maxAge)
	defer cancel()
	return x.conn.Close(ctx)
}

// RaiseStamps implements driver.Mover.
func (e *Engine) RaiseStamps(ctx context.Context, above driver.Stamp) error {
	if !e.running.Enter() {
		return driver.ErrClosed
	}
	defer e.running.Leave()
	version := binary.BigEndian.Uint64(above[:])
	var base int64
	err := pgx.BeginTxFunc(ctx, e.pool, housekeeping, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `WITH next AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 AS id)
			UPDATE kv_meta SET base = greatest(base, $1::int8 + 1 - id), high = greatest(high, $1::int8 + $2::int8)
			FROM next RETURNING base`, int64(version), highStep).Scan(&base)
	})
	if err != nil {
		return e.failure(ctx, err)
	}
	e.base.Store(uint64(base))
	return nil
}
