package pgkv

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lambent/kv/driver"
)

// session is what the engine knows of one connection.
type session struct {
	id       [16]byte // of its row in kv_commit
	commits  int64    // sent so far
	prepared [statements]*pgconn.StatementDescription
}

// sessionKey is where a connection keeps its session.
const sessionKey = "lambent session"

// connected prepares a new connection: all statements in one round trip.
func connected(ctx context.Context, c *pgx.Conn) error {
	s := &session{}
	rand.Read(s.id[:])
	p := c.PgConn().StartPipeline(ctx)
	texts := statementTexts()
	for i, text := range texts {
		p.SendPrepare(fmt.Sprint("s", i), text, nil)
	}
	if err := p.Sync(); err != nil {
		return errors.Join(err, p.Close())
	}
	for i := range texts {
		got, err := p.GetResults()
		if err != nil {
			return errors.Join(err, p.Close())
		}
		s.prepared[i] = got.(*pgconn.StatementDescription)
		s.prepared[i].Name = fmt.Sprint("s", i)
	}
	c.PgConn().CustomData()[sessionKey] = s
	return p.Close()
}

// conn is a connection lent by the pool.
type conn struct {
	e    *Engine
	pool *pgxpool.Conn
	pg   *pgconn.PgConn
	s    *session
}

// acquireFor is how long a caller waits for a free connection.
const acquireFor = 5 * time.Second

func (e *Engine) acquire(ctx context.Context) (*conn, error) {
	wait, cancel := context.WithTimeout(ctx, acquireFor)
	defer cancel()
	p, err := e.pool.Acquire(wait)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && e.pool.Stat().AcquiredConns() >= e.pool.Config().MaxConns {
			return nil, fmt.Errorf("%w: no free connection to %s within %v", driver.ErrUnavailable, e.where, acquireFor)
		}
		return nil, e.failure(ctx, err)
	}
	pg := p.Conn().PgConn()
	return &conn{e: e, pool: p, pg: pg, s: pg.CustomData()[sessionKey].(*session)}, nil
}

// release gives the connection back, out of any transaction. The pool drops one that is closed.
func (c *conn) release() {
	if !c.pg.IsClosed() && c.pg.TxStatus() != 'I' {
		b := c.batch()
		b.add(stmtRollback)
		_ = b.run(context.Background(), time.Now().Add(maxAge), nil) // a connection that cannot roll back is closed by its failure
	}
	c.pool.Release()
}

// batch is statements for one round trip.
type batch struct {
	c     *conn
	batch pgconn.Batch
	size  int // statements
	done  int // statements that the server has answered
}

func (c *conn) batch() *batch { return &batch{c: c} }

var binaryFormat = []int16{1}

// add appends a statement. A nil argument is NULL.
func (b *batch) add(s statement, args ...[]byte) {
	b.size++
	b.batch.ExecStatement(b.c.s.prepared[s], args, binaryFormat, binaryFormat)
}

// run sends the statements and calls each for every row, whose values are good until it returns, with the
// number of the statement. It waits until end, and returns the first error as one that kv acts upon.
func (b *batch) run(ctx context.Context, end time.Time, each func(stmt int, row [][]byte)) error {
	limited, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if err := b.send(limited, each); err != nil {
		return b.c.e.failure(ctx, err)
	}
	return nil
}

// send is run that waits as long as ctx does and returns errors as they come.
func (b *batch) send(ctx context.Context, each func(stmt int, row [][]byte)) error {
	results := b.c.pg.ExecBatch(ctx, &b.batch)
	for ; results.NextResult(); b.done++ {
		rr := results.ResultReader()
		for rr.NextRow() {
			each(b.done, rr.Values())
		}
		_, _ = rr.Close() // Close below has the error as well
	}
	err := results.Close()
	if fromStandby(err) {
		_ = b.c.pg.Close(ctx) // the pool makes a new one, to the primary
	}
	return err
}

// number reads an integer of 8 bytes.
func number(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// int8Arg is an integer as an argument.
func int8Arg(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// bytesArray is an argument of type bytea[].
func bytesArray(list [][]byte) []byte {
	size := 20
	for _, b := range list {
		size += 4 + len(b)
	}
	out := arrayHeader(make([]byte, 0, size), 17, len(list))
	for _, b := range list {
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out
}

// int4Array is an argument of type int4[].
func int4Array(list []int32) []byte {
	out := arrayHeader(make([]byte, 0, 20+8*len(list)), 23, len(list))
	for _, n := range list {
		out = binary.BigEndian.AppendUint32(out, 4)
		out = binary.BigEndian.AppendUint32(out, uint32(n))
	}
	return out
}

// arrayHeader begins an array of one dimension of the type with that object id.
func arrayHeader(out []byte, oid uint32, n int) []byte {
	for _, v := range []uint32{1, 0, oid, uint32(n), 1} { // dimensions, no nulls, type, length, lower bound
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}
