package pgkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"lambent/kv/driver"
)

// txn is one transaction attempt.
type txn struct {
	e        *Engine
	mode     driver.Mode
	deadline time.Time
	c        *conn // nil before the first read
	begun    bool  // BEGIN was sent
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

// read runs one statement, and BEGIN with it when it is the first.
func (t *txn) read(ctx context.Context, each func(row [][]byte), stmt statement, args ...[]byte) error {
	if t.failed != nil {
		return t.failed
	}
	b, err := t.batch(ctx)
	if err != nil {
		return err
	}
	b.add(stmt, args...)
	t.failed = b.run(ctx, t.deadline, func(_ int, row [][]byte) { each(row) })
	if errors.Is(t.failed, driver.ErrUnavailable) && !time.Now().Before(t.deadline) {
		t.failed = fmt.Errorf("%w: no answer from %s", driver.ErrTooOld, t.e.where)
	}
	return t.failed
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
	b := t.c.batch()
	if !t.begun {
		t.begun = true
		if t.mode == driver.ReadOnly {
			b.add(stmtBeginView)
		} else {
			b.add(stmtBegin)
		}
	}
	return b, nil
}

// Finish implements driver.Txn. Only the COMMIT tells that what was read has a place in a serial order.
func (t *txn) Finish(ctx context.Context) error {
	defer t.release()
	if t.failed != nil || t.c == nil {
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
	t.e.running.leave()
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
