package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"lambent/kv/driver"
)

// Export is one state of the whole store, of all its rooms. It is for one goroutine, and closed by its user.
type Export struct{ snap driver.Snapshot }

// ErrCannotMove says that an engine can neither be copied as a whole nor take the rows of another.
var ErrCannotMove = errors.New("kv: this engine cannot be copied")

// Export returns a state of the store that holds everything acknowledged before the call. Unlike a View it
// may be kept for hours.
func (s *Store) Export(ctx context.Context) (*Export, error) {
	mover, ok := s.core.engine.(driver.Mover)
	if !ok {
		return nil, ErrCannotMove
	}
	snap, err := mover.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &Export{snap}, nil
}

// Above returns a stamp that is greater than every stamp in the export.
func (x *Export) Above() Stamp { return x.snap.Above() }

// Close gives the export back.
func (x *Export) Close() error { return x.snap.Close() }

// Rows yields every row of the store in the order of keys, all rooms one after the other. The keys are those
// of the engine: SplitKey reads them, and Import takes them. After an error nothing follows.
func (x *Export) Rows(ctx context.Context) iter.Seq2[KV, error] {
	return x.rows(ctx, []byte{rootByte}, []byte{0xff})
}

// In yields the rows of the room of s, their keys without the room's prefix.
func (x *Export) In(ctx context.Context, s *Store) iter.Seq2[KV, error] {
	begin, end := bounds(s.prefix, nil, nil)
	return func(yield func(KV, error) bool) {
		for row, err := range x.rows(ctx, begin, end) {
			if err == nil {
				row.Key = row.Key[len(s.prefix):]
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// scanBytes is about how much an export reads at a time.
const scanBytes = 1 << 20

func (x *Export) rows(ctx context.Context, begin, end []byte) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		limit := 16
		for {
			page, err := x.snap.Scan(ctx, Range{Begin: begin, End: end, Limit: limit})
			if err != nil {
				yield(KV{}, err)
				return
			}
			size := 1
			for _, row := range page {
				size += len(row.Key) + len(row.Value)
				begin = append(bytes.Clone(row.Key), 0)
				if !yield(row, nil) {
					return
				}
			}
			if len(page) < limit {
				return
			}
			limit = min(max(limit*scanBytes/size, 1), 4*limit, 10_000)
		}
	}
}

// SplitKey reads a key as an engine has it: the names of the rooms from the root to the row's own, and the
// key within it.
func SplitKey(key []byte) (rooms []string, rest []byte, err error) {
	if len(key) > 0 && key[0] == rootByte {
		return nil, key[1:], nil
	}
	if len(key) == 0 || key[0] != roomByte {
		return nil, nil, fmt.Errorf("%w: %x is in no room", ErrBadKey, key)
	}
	for rest = key[1:]; len(rest) > 0 && rest[0] != 0; {
		name, n := part(rest)
		room, ok := name.(string)
		if n == 0 || !ok {
			return nil, nil, fmt.Errorf("%w: %x is in no room", ErrBadKey, key)
		}
		rooms, rest = append(rooms, room), rest[n:]
	}
	if len(rooms) == 0 || len(rest) == 0 {
		return nil, nil, fmt.Errorf("%w: %x is in no room", ErrBadKey, key)
	}
	return rooms, rest[1:], nil
}

// Batches of an import stay well below the limits of a transaction.
const (
	importBytes = 2 << 20
	importOps   = 5000
)

// Import puts rows, with keys as Export.Rows gives them, into the store, in many transactions. It is for a
// store that nobody uses yet. When it fails, some of the rows are there.
func (s *Store) Import(ctx context.Context, rows iter.Seq2[KV, error]) error {
	var ops []driver.Op
	size := 0
	for row, err := range rows {
		if err != nil {
			return err
		}
		if _, _, err := SplitKey(row.Key); err != nil {
			return err
		}
		ops = append(ops, driver.Op{Kind: driver.Set, Key: row.Key, Value: clone(row.Value)})
		size += len(row.Key) + len(row.Value)
		if size >= importBytes || len(ops) == importOps {
			if err := s.write(ctx, ops); err != nil {
				return err
			}
			ops, size = nil, 0
		}
	}
	return s.write(ctx, ops)
}

// writeTries is how often a batch is written before its error counts. Writing it twice does no harm.
const writeTries = 5

// write commits ops as they are.
func (s *Store) write(ctx context.Context, ops []driver.Op) error {
	if len(ops) == 0 {
		return nil
	}
	for try := 1; ; try++ {
		txn, err := s.core.engine.Begin(ctx, driver.ReadWrite)
		if err != nil {
			return err
		}
		mine := make([]driver.Op, len(ops)) // the engine owns what it is given
		copy(mine, ops)
		_, err = txn.Commit(ctx, mine)
		if err == nil || try == writeTries || !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknown) {
			return err
		}
		if err := backoff(ctx, try+7, false); err != nil {
			return err
		}
	}
}

// RaiseStamps makes the stamps that this store gives from now on greater than above, so that the stamps in
// rows that were imported stay below them. It is for a store that nobody uses yet.
func (s *Store) RaiseStamps(ctx context.Context, above Stamp) error {
	mover, ok := s.core.engine.(driver.Mover)
	if !ok {
		return ErrCannotMove
	}
	return mover.RaiseStamps(ctx, above)
}

// Empty says whether the whole store holds no row.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	page, err := s.page(ctx, 1)
	return len(page) == 0, err
}

// Clear removes every row of the whole store, in many transactions. It is for a store that nobody uses.
func (s *Store) Clear(ctx context.Context) error {
	for {
		page, err := s.page(ctx, importOps)
		if err != nil || len(page) == 0 {
			return err
		}
		ops := make([]driver.Op, len(page))
		for i, row := range page {
			ops[i] = driver.Op{Kind: driver.Delete, Key: row.Key}
		}
		if err := s.write(ctx, ops); err != nil {
			return err
		}
	}
}

// page reads the first rows of the whole store.
func (s *Store) page(ctx context.Context, limit int) ([]KV, error) {
	txn, err := s.core.engine.Begin(ctx, driver.ReadOnly)
	if err != nil {
		return nil, err
	}
	page, err := txn.Scan(ctx, Range{Begin: []byte{rootByte}, End: []byte{0xff}, Limit: limit}, false)
	return page, errors.Join(err, txn.Finish(ctx))
}
