package pgkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"lambent/kv/driver"
)

// txn is one transaction attempt.
type txn struct {
	e        *Engine
	mode     driver.Mode
	deadline time.Time
	c        *conn // nil when none is needed
	begun    bool  // BEGIN was sent
	first    *firstRead
	failed   error // why the server has given up the transaction
}

var _ driver.Txn = (*txn)(nil)

// Get implements driver.Txn. All reads are tracked: the server knows no other.
func (t *txn) Get(ctx context.Context, key []byte, _ bool) (value []byte, err error) {
	stmt := stmtGet
	if len(key) > maxShort {
		stmt = stmtGetLong
	}
	err = t.read(ctx, func(row [][]byte) { value = present(row[0]) }, stmt, key)
	return value, err
}

// GetAll implements driver.Txn.
func (t *txn) GetAll(ctx context.Context, keys [][]byte, tracked bool) ([][]byte, error) {
	out := make([][]byte, len(keys))
	at := make(map[string][]int, len(keys))
	ask := make([][]byte, 0, len(keys))
	for i, k := range keys {
		if len(k) > maxShort {
			v, err := t.Get(ctx, k, tracked)
			if err != nil {
				return nil, err
			}
			out[i] = v
			continue
		}
		if at[string(k)] = append(at[string(k)], i); len(at[string(k)]) == 1 {
			ask = append(ask, k)
		}
	}
	if len(ask) == 0 {
		return out, nil
	}
	err := t.read(ctx, func(row [][]byte) {
		for _, i := range at[string(row[0])] {
			out[i] = present(row[1])
		}
	}, stmtGetAll, bytesArray(ask))
	return out, err
}

// Scan implements driver.Txn.
func (t *txn) Scan(ctx context.Context, r driver.Range, _ bool) ([]driver.KV, error) {
	below := shortRange(r)
	var out []driver.KV
	for {
		rows, err := t.scan(ctx, below)
		if err != nil {
			return nil, err
		}
		if out, err = t.addLong(ctx, out, rows, r); err != nil {
			return nil, err
		}
		if r.Limit == 0 || len(out) == r.Limit || len(rows) < below.Limit {
			return out, nil
		}
		// Long keys were fewer than their marks: go on behind the last row.
		below.Limit = r.Limit - len(out)
		if last := rows[len(rows)-1].Key; r.Reverse {
			below.End = last
		} else {
			below.Begin = append(bytes.Clone(last), 0)
		}
	}
}

// scan reads rows of the table kv.
func (t *txn) scan(ctx context.Context, r driver.Range) (rows []driver.KV, err error) {
	stmt := stmtScan
	if r.Reverse {
		stmt = stmtScanReverse
	}
	err = t.read(ctx, func(row [][]byte) { rows = append(rows, entry(row[0], row[1])) }, stmt, r.Begin, r.End, limitArg(r.Limit))
	return rows, err
}

// read runs one statement, and BEGIN with it when it is the first. But the first read of a view runs alone: most
// views have no other, and then it was a transaction of its own, done in one round trip. With the second read
// it is made again, within the transaction that begins there, and must give the same.
func (t *txn) read(ctx context.Context, each func(row [][]byte), stmt statement, args ...[]byte) error {
	if t.failed != nil {
		return t.failed
	}
	b, err := t.batch(ctx)
	if err != nil {
		return err
	}
	alone := t.mode == driver.ReadOnly && !t.begun && t.first == nil
	var again *firstRead
	if !alone {
		again = t.begin(b)
	}
	b.add(stmt, args...)
	last := b.size - 1
	var sum maphash.Hash
	sum.SetSeed(t.e.seed)
	t.failed = b.run(ctx, t.deadline, func(n int, row [][]byte) {
		if alone || n != last {
			addRow(&sum, row)
		}
		if n == last {
			each(row)
		}
	})
	switch {
	case errors.Is(t.failed, driver.ErrUnavailable) && !time.Now().Before(t.deadline):
		t.failed = fmt.Errorf("%w: no answer from %s", driver.ErrTooOld, t.e.where)
	case t.failed == nil && again != nil && again.sum != sum.Sum64():
		t.failed = driver.ErrConflict
	case t.failed == nil && alone:
		t.first = &firstRead{stmt, cloneAll(args), sum.Sum64()}
		t.c.release()
		t.c = nil
	}
	return t.failed
}

// firstRead is a read that was made outside of the transaction, and a hash of its rows.
type firstRead struct {
	stmt statement
	args [][]byte
	sum  uint64
}

// begin adds BEGIN to the round trip, unless the transaction has begun, and the first read of a view if that was
// made before.
func (t *txn) begin(b *batch) (again *firstRead) {
	if t.begun {
		return nil
	}
	t.begun = true
	if t.mode == driver.ReadWrite {
		b.add(stmtBegin)
		return nil
	}
	b.add(stmtBeginView)
	b.add(t.first.stmt, t.first.args...)
	return t.first
}

// addRow adds a row to a hash.
func addRow(sum *maphash.Hash, row [][]byte) {
	for _, column := range row {
		maphash.WriteComparable(sum, len(column))
		_, _ = sum.Write(column) // never fails
	}
}

func cloneAll(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = bytes.Clone(b)
	}
	return out
}

// batch begins a round trip of the transaction.
func (t *txn) batch(ctx context.Context) (*batch, error) {
	if t.c == nil {
		c, err := t.e.acquire(ctx)
		if err != nil {
			t.failed = err
			return nil, err
		}
		t.c = c
	}
	return t.c.batch(), nil
}

// Finish implements driver.Txn. Only the COMMIT tells that what was read has a place in a serial order.
func (t *txn) Finish(ctx context.Context) error {
	defer t.release()
	if t.failed != nil || !t.begun {
		t.e.counts.refused(t.failed)
		return t.failed
	}
	b := t.c.batch()
	b.add(stmtCommit)
	err := b.run(ctx, time.Now().Add(commitGrace), nil)
	t.e.counts.refused(err)
	return err
}

// release gives back what the transaction holds.
func (t *txn) release() {
	if t.c != nil {
		t.c.release()
		t.c = nil
	}
	t.e.running.Leave()
}

// present copies a value; what is there is never nil.
func present(v []byte) []byte { return append(make([]byte, 0, len(v)), v...) }

// entry copies a key and its value into one allocation.
func entry(key, value []byte) driver.KV {
	n := len(key)
	buf := make([]byte, n+len(value))
	copy(buf, key)
	copy(buf[n:], value)
	return driver.KV{Key: buf[:n:n], Value: buf[n:]}
}

// limitArg is a limit as an argument; none is NULL.
func limitArg(n int) []byte {
	if n == 0 {
		return nil
	}
	return int8Arg(int64(n))
}
