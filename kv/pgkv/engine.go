// Package pgkv is the engine of a cluster under package kv: PostgreSQL, shared by any number of servers.
//
// # How a transaction runs
//
// It takes a connection of the pool with its first read, and BEGIN ISOLATION LEVEL SERIALIZABLE travels
// with that read. All its writes and the COMMIT are one more round trip. The server tracks what
// was read and refuses what has no place in a serial order; package kv then runs the closure again. Views are
// SERIALIZABLE READ ONLY, since a weaker snapshot can show a state that no serial order has.
//
// The server locks what was read by row, and by page of the index where the reader met no row, so two
// transactions can be told to conflict that only came near each other. Sequential scans would lock the whole
// table and are switched off.
//
// # Stamps
//
// The version in a stamp is the transaction's id plus a base that is fixed while the database lives. Ids are
// given out at a transaction's first write, which is sent together with its COMMIT, and grow. So a stamp is
// above those of all transactions acknowledged before, and two transactions that write the same key have
// stamps in the order of their commits. [Engine.StableBefore] is the oldest id in progress: a writer that
// hangs holds up the readers of streams, which is why transactions have limits of time at the server, and why no
// other long transactions belong on the same PostgreSQL server.
//
// # When a connection breaks
//
// Before the COMMIT is sent nothing has happened, and kv tries again. After it, the outcome is unknown to the
// client; each transaction therefore leaves a mark, the count of its session's commits, in a row of the
// session. A new connection reads and closes that row: closed, it lets no late COMMIT of the lost
// session through. Then the outcome is known, and only if the server stays away is it driver.ErrUnknown.
//
// # Tables
//
//	kv         k, v         all keys of up to 2,048 bytes
//	kv_long    p, h, k, v   longer keys by their first 2,048 bytes and their hash, since an index holds no more
//	kv_commit               one row for each session: its last commit
//	kv_meta                 one row: format, cloud, base of the stamps
package pgkv

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"lambent/kv/driver"
)

// Engine is an open store in a PostgreSQL database.
type Engine struct {
	pool  *pgxpool.Pool
	where string // host and database, for messages
	cloud string
	seed  maphash.Seed
	base  atomic.Uint64 // what is added to the id of a transaction to make a version

	running  driver.Running
	horizons horizons
	counts   counts
	sizes    atomic.Uint64 // bytes of the tables when the keeper last looked

	stop   context.CancelFunc // of the keeper
	keeper sync.WaitGroup
}

var _ driver.Engine = (*Engine)(nil)

// Begin implements driver.Engine. The first read takes a connection.
func (e *Engine) Begin(ctx context.Context, mode driver.Mode) (driver.Txn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !e.running.Enter() {
		return nil, driver.ErrClosed
	}
	return &txn{e: e, mode: mode, deadline: time.Now().Add(maxAge)}, nil
}

// Limits of time. kv gives a transaction 5 seconds; the server ends what a dead or frozen client left.
const (
	maxAge      = 5 * time.Second
	commitGrace = 10 * time.Second // how long a commit, or the question what became of it, may take
	stableGrace = time.Second      // how long StableBefore waits for older writers
)

// StableBefore implements driver.Engine. It waits for the transactions that are older than the latest
// commit, which takes as long as their last round trip. When one of them hangs, it gives up after a second
// and returns the stamp below which all is settled, which is then not above all commits: readers see those later.
func (e *Engine) StableBefore(ctx context.Context) (driver.Stamp, error) {
	if err := ctx.Err(); err != nil {
		return driver.Stamp{}, err
	}
	if !e.running.Enter() {
		return driver.Stamp{}, driver.ErrClosed
	}
	defer e.running.Leave()
	var reach uint64
	start := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		low, next, err := e.horizon(ctx)
		if err != nil {
			return driver.Stamp{}, err
		}
		if reach == 0 {
			reach = next
		}
		if low >= reach || time.Since(start) > stableGrace {
			return driver.MakeStamp(e.base.Load()+low, 0, 0), nil
		}
		select {
		case <-ctx.Done():
			return driver.Stamp{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Cloud returns the name of the cloud that the store belongs to.
func (e *Engine) Cloud() string { return e.cloud }

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
	e.stop()
	e.keeper.Wait()
	e.pool.Close()
	return nil
}

func (e *Engine) String() string { return fmt.Sprintf("PostgreSQL at %s", e.where) }
