package pebblekv

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv/driver"
)

// txn is one transaction attempt.
type txn struct {
	e       *Engine
	mode    driver.Mode
	snap    *snapshot // nil before the first read
	version uint64    // the snapshot has all commits up to here
	reads   readSet
	loose   bool   // untracked reads were made in a ReadWrite transaction
	awaited uint64 // what was read is durable once this version is
	entered bool   // in the list of recent, whose lock guards it and the links
	older   *txn
	newer   *txn
}

var _ driver.Txn = (*txn)(nil)

// begin takes the snapshot. One that writes gets the latest, to meet few conflicts. One that only reads is
// content with any that has all that is acknowledged.
func (t *txn) begin() {
	switch {
	case t.snap != nil:
		return
	case t.mode == driver.ReadOnly:
		t.version = t.e.durable.version.Load()
	default:
		t.e.recent.enter(t, &t.e.applied)
	}
	t.snap = t.e.snapshot(t.version)
}

// Get implements driver.Txn.
func (t *txn) Get(ctx context.Context, key []byte, tracked bool) ([]byte, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	t.note(key, tracked)
	return t.get(key)
}

func (t *txn) get(key []byte) ([]byte, error) {
	rows := &t.e.rows
	if v, found := rows.get(key, t.snap.version); found {
		return v, nil
	}
	v, closer, err := t.snap.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		rows.keep(key, nil, t.snap.version)
		return nil, nil
	}
	if err != nil {
		return nil, explainDamage(err)
	}
	rows.keep(key, v, t.snap.version)
	out := append(make([]byte, 0, len(v)), v...)
	return out, closer.Close()
}

// GetAll implements driver.Txn.
func (t *txn) GetAll(ctx context.Context, keys [][]byte, tracked bool) ([][]byte, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	out := make([][]byte, len(keys))
	for i, key := range keys {
		t.note(key, tracked)
		v, err := t.get(key)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// Scan implements driver.Txn.
func (t *txn) Scan(ctx context.Context, r driver.Range, tracked bool) (out []driver.KV, err error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	if out, err = t.snap.scan(ctx, r); err != nil {
		return nil, err
	}
	t.noteRange(seen(r, out), tracked)
	return out, nil
}

// seen returns the part of r that a scan has looked at.
func seen(r driver.Range, out []driver.KV) span {
	s := span{r.Begin, r.End}
	if r.Limit == 0 || len(out) < r.Limit {
		return s
	}
	if last := out[len(out)-1].Key; r.Reverse {
		s.begin = last
	} else {
		s.end = append(bytes.Clone(last), 0)
	}
	return s
}

func (t *txn) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.e.failure(); err != nil {
		return err
	}
	t.begin()
	return nil
}

// note remembers that key was read.
func (t *txn) note(key []byte, tracked bool) {
	switch {
	case t.mode == driver.ReadOnly:
		t.await(func(r *recent) uint64 { return r.keyLocked(key) })
	case tracked:
		t.reads.addKey(key)
	default:
		t.loose = true
	}
}

// noteRange remembers that a range was read.
func (t *txn) noteRange(s span, tracked bool) {
	switch {
	case t.mode == driver.ReadOnly:
		least := t.e.durable.version.Load()
		t.await(func(r *recent) uint64 { return r.rangeLocked(s, least) })
	case tracked:
		t.reads.addRange(s)
	default:
		t.loose = true
	}
}

// await finds out which version must be durable before what was just read may be shown: that of the last
// write of it, unless this is certainly after the snapshot. A write that was being applied while the
// snapshot was taken counts, seen or not: then the wait is one sync longer than needed. When nothing in
// the snapshot waits for its sync, nothing is asked.
func (t *txn) await(last func(*recent) uint64) {
	d := t.e.durable.version.Load()
	if t.snap.upper <= d || t.awaited == t.snap.upper {
		return
	}
	r := &t.e.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	version := last(r)
	if r.floor > d {
		version = t.snap.upper // some writes that are not durable were forgotten
	}
	t.awaited = max(t.awaited, min(version, t.snap.upper))
}

// Commit implements driver.Txn.
func (t *txn) Commit(ctx context.Context, ops []driver.Op) (driver.Stamp, error) {
	if len(ops) == 0 {
		t.begin()
		upper := t.snap.upper
		return driver.MakeStamp(upper, 1<<16-1, 1<<16-1), t.Finish(ctx)
	}
	defer t.release()
	if err := ctx.Err(); err != nil {
		return driver.Stamp{}, err
	}
	return t.e.commit(t, ops)
}

// Finish implements driver.Txn.
func (t *txn) Finish(ctx context.Context) error {
	defer t.release()
	if t.snap == nil {
		return nil
	}
	if t.mode == driver.ReadWrite {
		t.awaitReads()
	}
	done, err := t.e.durable.wait(ctx, t.awaited)
	if err == nil && !done {
		err = t.e.failure()
	}
	return err
}

// awaitReads is await for all reads of a ReadWrite transaction.
func (t *txn) awaitReads() {
	if t.loose {
		t.awaited = t.snap.upper
	}
	least := t.e.durable.version.Load()
	for key := range t.reads.keys {
		t.await(func(r *recent) uint64 { return r.keyLocked(key) })
	}
	for _, s := range t.reads.ranges {
		t.await(func(r *recent) uint64 { return r.rangeLocked(s, least) })
	}
}

// release gives back what the transaction holds, itself included.
func (t *txn) release() {
	e := t.e
	if t.snap != nil {
		e.snapshots.release(t.snap)
	}
	e.recent.leave(t)
	t.reads.reset()
	*t = txn{e: e, reads: t.reads}
	e.txns.Put(t)
	e.running.Leave()
}

// span is the keys from begin up to end.
type span struct{ begin, end []byte }

// readSet is what a transaction has read. Keys lie one after the other in one buffer, since most
// transactions read a few and forget them soon.
type readSet struct {
	buf    []byte
	ends   []int // of the keys in buf
	ranges []span
}

func (s *readSet) addKey(key []byte) {
	s.buf = append(s.buf, key...)
	s.ends = append(s.ends, len(s.buf))
}

func (s *readSet) addRange(r span) {
	s.ranges = append(s.ranges, span{slices.Clone(r.begin), slices.Clone(r.end)})
}

// reset empties the set and keeps a buffer of ordinary size for the next transaction.
func (s *readSet) reset() {
	clear(s.ranges)
	*s = readSet{buf: s.buf[:0], ends: s.ends[:0], ranges: s.ranges[:0]}
	if cap(s.buf) > 16<<10 {
		*s = readSet{}
	}
}

func (s *readSet) any() bool { return len(s.ends)+len(s.ranges) > 0 }

// keys yields the keys that were read.
func (s *readSet) keys(yield func([]byte) bool) {
	begin := 0
	for _, end := range s.ends {
		if !yield(s.buf[begin:end:end]) {
			return
		}
		begin = end
	}
}
