package pgkv

import (
	"bytes"
	"context"

	"lambent/kv/driver"
)

// A long key does not fit into the index of the table kv. It lies in kv_long, and kv has a mark where
// long keys with its first maxShort bytes belong in the order of keys: these bytes and a zero, which is the only
// kind of key there that is longer than maxShort. A mark stays when its last long key is deleted.

// shortRange returns the rows of kv to read for r: those whose keys lie in r, and the marks of long ones.
func shortRange(r driver.Range) driver.Range {
	if len(r.Begin) > maxShort {
		r.Begin = mark(r.Begin)
	}
	if len(r.End) > maxShort {
		r.End = append(mark(r.End), 0)
	}
	return r
}

// wholeRange returns the rows of kv to delete for a deletion of [begin, end): marks only where all that
// they stand for goes.
func wholeRange(begin, end []byte) (b, e []byte) {
	if len(begin) > maxShort {
		begin = append(mark(begin), 0)
	}
	if len(end) > maxShort {
		end = mark(end)
	}
	return begin, end
}

// mark is the key of the mark for a long key.
func mark(key []byte) []byte { return append(bytes.Clone(key[:maxShort]), 0) }

// addLong appends rows to out, long keys in the place of their marks, up to the limit of r.
func (t *txn) addLong(ctx context.Context, out, rows []driver.KV, r driver.Range) ([]driver.KV, error) {
	if out == nil && !anyLong(rows) {
		return rows, nil
	}
	for _, row := range rows {
		if r.Limit > 0 && len(out) == r.Limit {
			break
		}
		if len(row.Key) <= maxShort {
			out = append(out, row)
			continue
		}
		stmt, left := stmtScanLong, 0
		if r.Reverse {
			stmt = stmtScanLongReverse
		}
		if r.Limit > 0 {
			left = r.Limit - len(out)
		}
		err := t.read(ctx, func(row [][]byte) { out = append(out, entry(row[0], row[1])) },
			stmt, row.Key[:maxShort], r.Begin, r.End, limitArg(left))
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func anyLong(rows []driver.KV) bool {
	for _, row := range rows {
		if len(row.Key) > maxShort {
			return true
		}
	}
	return false
}
