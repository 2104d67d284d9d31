package pgkv

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"lambent/kv/driver"
)

// Commit implements driver.Txn.
func (t *txn) Commit(ctx context.Context, ops []driver.Op) (driver.Stamp, error) {
	if len(ops) == 0 {
		return t.commitReads(ctx)
	}
	defer t.release()
	if t.failed == nil {
		t.failed = ctx.Err()
	}
	if t.failed != nil {
		t.e.counts.refused(t.failed)
		return driver.Stamp{}, t.failed
	}
	start := time.Now()
	version, err := t.commit(ctx, ops)
	if err != nil {
		t.e.counts.refused(err)
		return driver.Stamp{}, err
	}
	t.e.counts.committed(time.Since(start))
	return driver.MakeStamp(version, 0, 0), nil
}

// commitReads ends a transaction that wrote nothing. Its stamp is that of the last transaction that it can have seen.
func (t *txn) commitReads(ctx context.Context) (s driver.Stamp, err error) {
	if t.failed != nil || t.c == nil {
		return s, t.Finish(ctx)
	}
	defer t.release()
	b := t.c.batch()
	b.add(stmtNextID)
	b.add(stmtCommit)
	err = b.run(ctx, time.Now().Add(commitGrace), func(_ int, row [][]byte) {
		s = driver.MakeStamp(t.e.base.Load()+number(row[0])-1, 1<<16-1, 1<<16-1)
	})
	t.e.counts.refused(err)
	return s, err
}

// commit sends the writes with COMMIT and returns the version. From here on the caller's context does not count:
// a commit that was sent is waited for.
func (t *txn) commit(ctx context.Context, ops []driver.Op) (version uint64, err error) {
	b, err := t.batch(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
	defer cancel()
	t.begin(b)
	s := t.c.s
	s.commits++
	b.add(stmtMark, s.id[:], int8Arg(s.commits))
	w := writes{b: b, base: int8Arg(int64(t.e.base.Load()))}
	w.all(ops)
	b.add(stmtCommit)
	err = b.send(ctx, func(_ int, row [][]byte) { version = t.e.base.Load() + number(row[0]) }) // only the mark returns a row
	switch {
	case err == nil:
		return version, nil
	case b.outcomeUnknown(err):
		return t.e.settle(ctx, s.id, s.commits, err)
	}
	return 0, t.e.failure(ctx, err)
}

// settle finds out whether commit number n of a lost session has happened, and sees to it that it does not
// happen later.
func (e *Engine) settle(ctx context.Context, session [16]byte, n int64, cause error) (version uint64, err error) {
	e.counts.unknown.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
	defer cancel()
	lost := e.failure(context.Background(), cause)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		last, xid, err := e.closeSession(ctx, session)
		switch {
		case err == nil && last == n:
			return e.base.Load() + xid, nil
		case err == nil:
			return 0, fmt.Errorf("%w (the commit did not happen)", lost)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %v; then %v", driver.ErrUnknown, lost, err)
		case <-time.After(pause):
		}
	}
}

// closeSession reads a session's row once no commit of it is in progress, and lets none through any more.
// At READ COMMITTED the statement waits for the lost session's and sees what it left.
func (e *Engine) closeSession(ctx context.Context, id [16]byte) (last int64, xid uint64, err error) {
	c, err := e.acquire(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.release()
	tx, err := c.pool.BeginTx(ctx, housekeeping)
	if err != nil {
		return 0, 0, e.failure(ctx, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit it does nothing
	err = tx.QueryRow(ctx, `INSERT INTO kv_commit AS c VALUES ($1, false, -1, '0', now())
		ON CONFLICT (id) DO UPDATE SET open = false, at = now() RETURNING n, xid::text::int8`, id[:]).Scan(&last, &xid)
	if err == nil {
		err = tx.Commit(ctx)
	}
	return last, xid, e.failure(ctx, err)
}

// writes turns operations into statements. Consecutive ones of a kind go together, in the order of their
// keys, so that two transactions lock common rows in the same order.
type writes struct {
	b    *batch
	base []byte

	set     []driver.Op // by key, at most one for each, with Delete among them
	stamped []driver.Op
}

func (w *writes) all(ops []driver.Op) {
	for _, op := range ops {
		switch op.Kind {
		case driver.Set, driver.Delete:
			w.set = append(w.set, op)
		case driver.SetStamped:
			w.stamped = append(w.stamped, op)
		case driver.DeleteRange:
			w.flush()
			w.deleteRange(op.Key, op.Value)
		}
	}
	w.flush()
}

func (w *writes) deleteRange(begin, end []byte) {
	b, e := wholeRange(begin, end)
	if bytes.Compare(b, e) < 0 {
		w.b.add(stmtDeleteRange, b, e)
	}
	w.b.add(stmtDeleteRangeLong, begin, end)
}

func (w *writes) flush() {
	w.flushPoints()
	w.flushStamped()
}

func (w *writes) flushPoints() {
	if len(w.set) == 1 && len(w.set[0].Key) <= maxShort {
		if op := w.set[0]; op.Kind == driver.Set {
			w.b.add(stmtSet, op.Key, orEmpty(op.Value))
		} else {
			w.b.add(stmtDelete, op.Key)
		}
		w.set = w.set[:0]
		return
	}
	slices.SortStableFunc(w.set, func(a, b driver.Op) int { return bytes.Compare(a.Key, b.Key) })
	var keys, values, deleted, longKeys, longValues, longDeleted [][]byte
	for i, op := range w.set {
		if i+1 < len(w.set) && bytes.Equal(op.Key, w.set[i+1].Key) {
			continue // a later one decides
		}
		isLong := len(op.Key) > maxShort
		switch {
		case op.Kind == driver.Set && isLong:
			longKeys, longValues = append(longKeys, op.Key), append(longValues, op.Value)
		case op.Kind == driver.Set:
			keys, values = append(keys, op.Key), append(values, op.Value)
		case isLong:
			longDeleted = append(longDeleted, op.Key)
		default:
			deleted = append(deleted, op.Key)
		}
	}
	w.set = w.set[:0]
	w.each(stmtDeleteAll, deleted)
	w.each(stmtSetAll, keys, values)
	w.each(stmtDeleteLong, longDeleted)
	w.each(stmtSetLongMark, longKeys)
	w.each(stmtSetLong, longKeys, longValues)
}

// each adds a statement over arrays, unless they are empty.
func (w *writes) each(s statement, arrays ...[][]byte) {
	if len(arrays[0]) == 0 {
		return
	}
	args := make([][]byte, len(arrays))
	for i, a := range arrays {
		args[i] = bytesArray(a)
	}
	w.b.add(s, args...)
}

func (w *writes) flushStamped() {
	w.addStamped(false, stmtSetStamped)
	w.addStamped(true, stmtSetStampedLongMark, stmtSetStampedLong)
	w.stamped = w.stamped[:0]
}

func (w *writes) addStamped(long bool, stmts ...statement) {
	var keys, values [][]byte
	var at []int32
	for _, op := range w.stamped {
		if long == (len(op.Key) > maxShort) {
			keys, values, at = append(keys, op.Key), append(values, op.Value), append(at, int32(op.StampAt)+1)
		}
	}
	if len(keys) == 0 {
		return
	}
	for _, s := range stmts {
		w.b.add(s, bytesArray(keys), bytesArray(values), int4Array(at), w.base)
	}
}

// orEmpty is a value as an argument, where nil would be NULL.
func orEmpty(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}
