package kvtest

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"

	"lambent/kv"
)

func number(v []byte) uint64 {
	if len(v) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func bytesOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// add adds to the number at key.
func add(ctx context.Context, tx *kv.Tx, key []byte, n uint64) error {
	v, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	tx.Set(key, bytesOf(number(v)+n))
	return nil
}

func testLostUpdate(t *testing.T, s *kv.Store) {
	const workers, rounds = 8, 100
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				if err := s.Update(t.Context(), func(tx *kv.Tx) error { return add(t.Context(), tx, []byte("n"), 1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, s, func(r kv.Reader) { want(t, "sum", number([]byte(get(t, r, "n"))), workers*rounds) })
}

// testWriteSkew: of two doctors on call at least one must stay. Each looks at both and changes his own row only.
func testWriteSkew(t *testing.T, s *kv.Store) {
	ctx := t.Context()
	for i := range 100 {
		a, b := key("%d/a", i), key("%d/b", i)
		set(t, s, string(a), "on", string(b), "on")
		var wg sync.WaitGroup
		for _, me := range [][]byte{a, b} {
			wg.Go(func() {
				err := s.Update(ctx, func(tx *kv.Tx) error {
					v, err := tx.GetAll(ctx, a, b)
					if err == nil && text(v[0]) == "on" && text(v[1]) == "on" {
						tx.Set(me, []byte("off"))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		view(t, s, func(r kv.Reader) {
			if get(t, r, string(a)) == get(t, r, string(b)) {
				t.Errorf("round %d: both are %s", i, get(t, r, string(a)))
			}
		})
	}
}

// testPhantom: a row is added only where there is none. Reading nothing must conflict with what comes there.
func testPhantom(t *testing.T, s *kv.Store) {
	ctx := t.Context()
	for i := range 100 {
		room := kv.Prefix("r", i)
		var wg sync.WaitGroup
		for w := range 2 {
			wg.Go(func() {
				err := s.Update(ctx, func(tx *kv.Tx) error {
					there, err := tx.Scan(ctx, room)
					if err == nil && len(there) == 0 {
						tx.Set(kv.Key("r", i, w), []byte("x"))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		view(t, s, func(r kv.Reader) {
			entries, err := r.Scan(ctx, room)
			must(t, err)
			want(t, "rows", len(entries), 1)
		})
	}
}

// testScanLimit: a scan that a limit has cut conflicts with changes in the part it has seen. Beyond it an
// engine may be stricter, but not here: it would make queues crawl. A change alone leaves the serial order
// in which the scan came first; so where a conflict must come, the other transaction has also read what the
// scanner writes.
func testScanLimit(t *testing.T, s *kv.Store) {
	set(t, s, "b", "", "d", "", "f", "", "h", "")
	for _, tt := range []struct {
		change   string
		reverse  bool
		attempts int
	}{
		{"a", false, 2}, {"b", false, 2}, {"c", false, 2}, {"d", false, 2}, {"e", false, 1}, {"h", false, 1},
		{"i", true, 2}, {"h", true, 2}, {"g", true, 2}, {"f", true, 2}, {"e", true, 1}, {"b", true, 1},
	} {
		g := kv.Range{Limit: 2, Reverse: tt.reverse}
		got := between(t, s, func(tx *kv.Tx) error {
			_, err := tx.Scan(t.Context(), g)
			tx.Set([]byte("0result"), nil)
			return err
		}, func(tx *kv.Tx) error {
			tx.Set([]byte(tt.change), []byte("changed"))
			if tt.attempts > 1 {
				get(t, tx, "0result")
			}
			return nil
		})
		want(t, "attempts after a change of "+tt.change, got, tt.attempts)
		update(t, s, func(tx *kv.Tx) error {
			tx.DeleteRange(nil, nil)
			for _, k := range []string{"b", "d", "f", "h"} {
				tx.Set([]byte(k), nil)
			}
			return nil
		})
	}
}

// testDeleteRangeConflict: deleting a range conflicts with those who have read in it, keys that were not
// there included, and with nobody else.
func testDeleteRangeConflict(t *testing.T, s *kv.Store) {
	read := func(k string) func(tx *kv.Tx) error {
		return func(tx *kv.Tx) error {
			tx.Set([]byte("result"), []byte(get(t, tx, k)))
			return nil
		}
	}
	rangeOf := func(begin, end string) func(tx *kv.Tx) error {
		return func(tx *kv.Tx) error {
			tx.Set([]byte("result"), []byte(scan(t, tx, kv.Range{Begin: []byte(begin), End: []byte(end)})))
			return nil
		}
	}
	deleteCtoF := func(tx *kv.Tx) error {
		tx.DeleteRange([]byte("c"), []byte("f"))
		return nil
	}
	for _, tt := range []struct {
		name     string
		read     func(tx *kv.Tx) error
		attempts int
		result   string
	}{
		{"key inside", read("d"), 2, "-"},
		{"first key", read("c"), 2, "-"},
		{"key at the end", read("f"), 1, "6"},
		{"key before", read("b"), 1, "2"},
		{"range across the begin", rangeOf("b", "d"), 2, "b=2"},
		{"range across the end", rangeOf("e", "g"), 2, "f=6"},
		{"range inside", rangeOf("d", "d5"), 2, ""},
		{"range around", rangeOf("a", "z"), 2, "a=1 b=2 f=6"},
		{"range before", rangeOf("a", "c"), 1, "a=1 b=2"},
		{"range after", rangeOf("f", "z"), 1, "f=6"},
	} {
		update(t, s, func(tx *kv.Tx) error { tx.DeleteRange(nil, nil); return nil })
		set(t, s, "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6")
		got := between(t, s, tt.read, deleteCtoF)
		want(t, tt.name+": attempts", got, tt.attempts)
		view(t, s, func(r kv.Reader) { want(t, tt.name, get(t, r, "result"), tt.result) })
	}
}

// testDeleteRangePhantom: a directory is removed when it is seen empty while others put files into it if it
// is there. No file may ever be left without its directory.
func testDeleteRangePhantom(t *testing.T, s *kv.Store) {
	ctx := t.Context()
	dir, files := []byte("dir"), kv.Prefix("file")
	var wg sync.WaitGroup
	work := func(fn func(tx *kv.Tx, i int) error) {
		wg.Go(func() {
			for i := range 100 {
				if err := s.Update(ctx, func(tx *kv.Tx) error { return fn(tx, i) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work(func(tx *kv.Tx, _ int) error { tx.Set(dir, nil); return nil })
	for w := range 2 {
		work(func(tx *kv.Tx, i int) error {
			v, err := tx.Get(ctx, dir)
			if v != nil {
				tx.Set(kv.Key("file", w, i), nil)
			}
			return err
		})
	}
	work(func(tx *kv.Tx, _ int) error { // removes it with what is in it
		tx.DeleteRange(files.Begin, files.End)
		tx.DeleteRange(dir, []byte("dis"))
		return nil
	})
	for range 100 {
		err := s.View(ctx, func(r kv.Reader) error {
			there, err := r.Get(ctx, dir)
			if err != nil {
				return err
			}
			left, err := r.Scan(ctx, files)
			if there == nil && len(left) > 0 {
				t.Errorf("%d files without a directory", len(left))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// testBlindWrites: those who only write do not conflict.
func testBlindWrites(t *testing.T, s *kv.Store) {
	got := between(t, s, func(tx *kv.Tx) error {
		tx.Set([]byte("a"), []byte("1"))
		tx.DeleteRange([]byte("b"), []byte("c"))
		tx.SetStamped([]byte("s"), nil, nil)
		get(t, tx, "a") // its own write: nothing is read below
		get(t, tx, "b5")
		scan(t, tx, kv.Range{Begin: []byte("b1"), End: []byte("b7")})
		return nil
	}, func(tx *kv.Tx) error {
		tx.Set([]byte("a"), []byte("2"))
		tx.Set([]byte("b5"), []byte("2"))
		return nil
	})
	want(t, "attempts", got, 1)
	view(t, s, func(r kv.Reader) {
		want(t, "a", get(t, r, "a"), "1")
		want(t, "b5", get(t, r, "b5"), "-")
	})
}

// testSnapshotReads: reads through Snapshot see the snapshot and never conflict with a later commit that
// the transaction's tracked reads do not touch.
func testSnapshotReads(t *testing.T, s *kv.Store) {
	set(t, s, "a", "1", "b", "1")
	var before, after string
	update(t, s, func(tx *kv.Tx) error {
		before = get(t, tx.Snapshot(), "a")
		set(t, s, "a", "2", "c", "2")
		after = get(t, tx.Snapshot(), "a") + scan(t, tx.Snapshot(), kv.Range{})
		return nil
	})
	want(t, "before", before, "1")
	want(t, "after", after, "1a=1 b=1")
}

// testOneSnapshot: money moves between accounts while others read; every reader sees the same total.
func testOneSnapshot(t *testing.T, s *kv.Store) {
	ctx := t.Context()
	const accounts, each = 8, 100
	update(t, s, func(tx *kv.Tx) error {
		for i := range accounts {
			tx.Set(key("acc/%d", i), bytesOf(each))
		}
		return nil
	})
	total := func(r kv.Reader) (sum uint64, err error) {
		entries, err := r.Scan(ctx, kv.Range{Begin: []byte("acc/"), End: []byte("acc0")})
		for i, e := range entries {
			v, err := r.Get(ctx, key("acc/%d", i))
			if err != nil {
				return 0, err
			}
			if number(v) != number(e.Value) {
				t.Errorf("account %d: Scan says %d, Get says %d", i, number(e.Value), number(v))
			}
			sum += number(e.Value)
		}
		return sum, err
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				from, to := key("acc/%d", (w+i)%accounts), key("acc/%d", (w*3+i*5+1)%accounts)
				err := s.Update(ctx, func(tx *kv.Tx) error {
					if err := add(ctx, tx, from, ^uint64(0)); err != nil {
						return err
					}
					return add(ctx, tx, to, 1)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		var seen uint64
		look := func(r kv.Reader) (err error) { seen, err = total(r); return err }
		must(t, s.View(ctx, look))
		want(t, "total in a view", seen, accounts*each)
		must(t, s.Update(ctx, func(tx *kv.Tx) error { return look(tx) }))
		want(t, "total in an update", seen, accounts*each)
	}
	wg.Wait()
}
