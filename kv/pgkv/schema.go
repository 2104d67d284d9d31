package pgkv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// format is the version of the tables that this package makes.
const format = 1

// The tables. Values are not compressed: they are small or compressed already, and each read would pay.
// Free room in the pages lets an update stay where the row is.
const schema = `
CREATE TABLE kv (k bytea PRIMARY KEY, v bytea NOT NULL)
	WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE kv ALTER COLUMN k SET STORAGE PLAIN, ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE TABLE kv_long (p bytea NOT NULL, h bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (p, h));
ALTER TABLE kv_long ALTER COLUMN p SET STORAGE PLAIN, ALTER COLUMN v SET STORAGE EXTERNAL;
CREATE TABLE kv_commit (id bytea PRIMARY KEY, open boolean NOT NULL, n bigint NOT NULL, xid xid8 NOT NULL, at timestamptz NOT NULL)
	WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE kv_meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL, cloud text NOT NULL,
	base bigint NOT NULL, high bigint NOT NULL, system bigint NOT NULL);
`

// errLoad marks what load finds wrong with the store itself.
var errLoad = errors.New("store")

type loadError struct{ error }

func (loadError) Is(target error) bool { return target == errLoad }
func (l loadError) Unwrap() error      { return l.error }

// load makes the tables, or checks what is there, and takes over the store's name and base.
func (e *Engine) load(ctx context.Context, tx pgx.Tx, o Options) error {
	// One server at a time makes the tables or a new base.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('lambent store'))"); err != nil {
		return err
	}
	var meta, kv bool
	err := tx.QueryRow(ctx, `SELECT to_regclass('kv_meta') IS NOT NULL, to_regclass('kv') IS NOT NULL`).Scan(&meta, &kv)
	switch {
	case err != nil:
		return err
	case meta:
		return e.check(ctx, tx, o)
	case kv:
		return loadError{fmt.Errorf("%w: it has a table kv that is not ours; give the store a database of its own", ErrNotStore)}
	}
	e.cloud = o.Cloud
	if e.cloud == "" {
		e.cloud = rand.Text()
	}
	if _, err := tx.Exec(ctx, schema); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO kv_meta SELECT true, $1::int, $2::text, 0, pg_current_xact_id()::text::int8 + $3::int8, "+system, format, e.cloud, highStep)
	return err
}

// system is the SQL of the identifier of a PostgreSQL installation: a dump that is restored has another.
const system = "(SELECT system_identifier FROM pg_control_system())"

// check refuses a store that is not for this program or this cloud.
func (e *Engine) check(ctx context.Context, tx pgx.Tx, o Options) error {
	var found int
	var base, high, next int64
	var same bool
	err := tx.QueryRow(ctx, "SELECT format, cloud, base, high, pg_snapshot_xmax(pg_current_snapshot())::text::int8, system = "+system+" FROM kv_meta").
		Scan(&found, &e.cloud, &base, &high, &next, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return loadError{fmt.Errorf("%w: kv_meta is empty", ErrNotStore)}
	case err != nil:
		return err
	case found > format:
		return loadError{fmt.Errorf("%w: its format is %d, this version knows %d; use the newer version", ErrNewerFormat, found, format)}
	case found < format:
		return loadError{fmt.Errorf("%w: its format is %d, which no version has written", ErrNotStore, found)}
	case o.Cloud != "" && o.Cloud != e.cloud:
		return loadError{fmt.Errorf("%w: it is the store of %s, this is %s", ErrOtherCloud, e.cloud, o.Cloud)}
	}
	if !same {
		// The data was moved to another installation, whose transaction ids begin anew.
		base = high - next + 1
		_, err = tx.Exec(ctx, "UPDATE kv_meta SET base = $1::int8, high = $2::int8, system = "+system, base, high+highStep)
	}
	e.base.Store(uint64(base))
	return err
}

// highStep is how far kv_meta.high is kept above the versions in use, so that after a move of the data the
// new ones are above all old ones.
const highStep = 1 << 24

// The keeper's rounds.
const (
	keepEvery  = 5 * time.Second
	reapAfter  = 15 * time.Second // three times what a transaction may take
	sweepAfter = 24 * time.Hour   // far longer than a connection lives
	sweepEvery = 10 * time.Minute
)

// keep does what must be done from time to time until ctx ends. What it cannot do now it tries again.
func (e *Engine) keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = e.reap(ctx, reapAfter)
		_ = e.raiseHigh(ctx)
		if time.Since(swept) > sweepEvery && e.sweep(ctx) == nil {
			swept = time.Now()
		}
	}
}

// reap ends sessions of any of our servers that hold a transaction open for too long. The server ends one that
// waits for a statement by itself, but not one whose client froze in the middle of sending.
func (e *Engine) reap(ctx context.Context, after time.Duration) error {
	return e.execute(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND application_name = $1
		AND xact_start < now() - make_interval(secs => $2) AND pid <> pg_backend_pid()`, applicationName, after.Seconds())
}

// raiseHigh keeps kv_meta.high above the versions in use.
func (e *Engine) raiseHigh(ctx context.Context) error {
	return e.execute(ctx, `UPDATE kv_meta SET high = base + pg_snapshot_xmax(pg_current_snapshot())::text::int8 + $1::int8
		WHERE high < base + pg_snapshot_xmax(pg_current_snapshot())::text::int8 + $1::int8 / 2`, highStep)
}

// sweep removes the rows of sessions that ended long ago and looks at the sizes.
func (e *Engine) sweep(ctx context.Context) error {
	err := e.execute(ctx, "DELETE FROM kv_commit WHERE at < now() - make_interval(secs => $1)", sweepAfter.Seconds())
	if err != nil {
		return err
	}
	var size int64
	err = e.pool.QueryRow(ctx, "SELECT pg_total_relation_size('kv') + pg_total_relation_size('kv_long')").Scan(&size)
	e.sizes.Store(uint64(size))
	return err
}

// execute runs a statement in a transaction of its own.
func (e *Engine) execute(ctx context.Context, sql string, args ...any) error {
	return pgx.BeginTxFunc(ctx, e.pool, housekeeping, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}
