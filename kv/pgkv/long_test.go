package pgkv_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lambent/kv"
	"lambent/kv/driver"
	"lambent/kv/kvtest"
	"lambent/kv/pgkv"
)

// noise is what no index can compress.
var noise = func() []byte {
	b := make([]byte, 8<<10)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}()

// longKey draws keys around the length where they go to another table, many with a common beginning.
func longKey(rt *rapid.T) []byte {
	n := rapid.SampledFrom([]int{1, 2047, 2048, 2049, 2050, 4000, 8000}).Draw(rt, "length")
	k := append([]byte{0x02}, noise[:n]...)
	k[rapid.SampledFrom([]int{1, n}).Draw(rt, "where")] = rapid.SampledFrom([]byte{0, 1, 2, 255}).Draw(rt, "byte")
	if rapid.Bool().Draw(rt, "tail") {
		k = append(k, 0)
	}
	return k
}

// TestLongKeys: keys longer than an index of PostgreSQL takes behave like all others.
func TestLongKeys(t *testing.T) {
	at := database(t)
	e := open(t, kvtest.Schema(t, at), pgkv.Options{})
	defer e.Close()
	rapid.Check(t, func(rt *rapid.T) {
		commit(t, e, driver.Op{Kind: driver.DeleteRange, Key: []byte{1}, Value: []byte{0xff}})
		model := map[string]string{}
		for i := range rapid.IntRange(1, 8).Draw(rt, "transactions") {
			ops := longOps(rt, i, model)
			commit(t, e, ops...)
			begin, end := longKey(rt), longKey(rt)
			if rapid.Bool().Draw(rt, "all") {
				begin, end = []byte{1}, []byte{0xff}
			}
			r := driver.Range{Begin: begin, End: end, Limit: rapid.IntRange(0, 4).Draw(rt, "limit"), Reverse: rapid.Bool().Draw(rt, "reverse")}
			if bytes.Compare(begin, end) >= 0 {
				continue
			}
			if got, want := scanned(t, e, r), modelScan(model, r); got != want {
				rt.Fatalf("scan %s\n got %s\nwant %s", describe(r), got, want)
			}
			k := longKey(rt)
			if got, want := read(t, e, k), model[string(k)]; got != want {
				rt.Fatalf("get: got %q, want %q", got, want)
			}
		}
	})
}

func longOps(rt *rapid.T, i int, model map[string]string) (ops []driver.Op) {
	for j := range rapid.IntRange(1, 5).Draw(rt, "ops") {
		k, v := longKey(rt), fmt.Sprint(i, ".", j)
		switch rapid.IntRange(0, 5).Draw(rt, "kind") {
		case 0:
			ops = append(ops, driver.Op{Kind: driver.Delete, Key: k})
			delete(model, string(k))
		case 1:
			end := longKey(rt)
			ops = append(ops, driver.Op{Kind: driver.DeleteRange, Key: k, Value: end})
			for m := range model {
				if m >= string(k) && m < string(end) {
					delete(model, m)
				}
			}
		default:
			ops = append(ops, driver.Op{Kind: driver.Set, Key: k, Value: []byte(v)})
			model[string(k)] = v
		}
	}
	return ops
}

func modelScan(model map[string]string, r driver.Range) (out string) {
	var keys []string
	for k := range model {
		if k >= string(r.Begin) && k < string(r.End) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	if r.Limit > 0 && len(keys) > r.Limit {
		keys = keys[:r.Limit]
	}
	for _, k := range keys {
		out += short([]byte(k)) + "=" + model[k] + " "
	}
	return out
}

func scanned(t *testing.T, e driver.Engine, r driver.Range) (out string) {
	t.Helper()
	txn := begin(t, e, driver.ReadOnly)
	rows, err := txn.Scan(t.Context(), r, false)
	check(t, err)
	check(t, txn.Finish(t.Context()))
	for _, row := range rows {
		out += short(row.Key) + "=" + string(row.Value) + " "
	}
	return out
}

// short names a long key: its length, the byte at the beginning that differs, its end.
func short(k []byte) string {
	return fmt.Sprintf("%d:%x…%x", len(k), k[:min(3, len(k))], k[max(0, len(k)-2):])
}

func describe(r driver.Range) string {
	return fmt.Sprintf("[%s, %s) limit %d reverse %v", short(r.Begin), short(r.End), r.Limit, r.Reverse)
}

func begin(t testing.TB, e driver.Engine, mode driver.Mode) driver.Txn {
	t.Helper()
	txn, err := e.Begin(t.Context(), mode)
	check(t, err)
	return txn
}

func commit(t testing.TB, e driver.Engine, ops ...driver.Op) driver.Stamp {
	t.Helper()
	stamp, err := begin(t, e, driver.ReadWrite).Commit(t.Context(), ops)
	check(t, err)
	return stamp
}

// read returns the value of key, "" when it is absent.
func read(t testing.TB, e driver.Engine, key []byte) string {
	t.Helper()
	txn := begin(t, e, driver.ReadOnly)
	v, err := txn.Get(t.Context(), key, false)
	check(t, err)
	check(t, txn.Finish(t.Context()))
	return string(v)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLongStamped: stamps in long keys, before, across and behind the length where the table changes.
func TestLongStamped(t *testing.T) {
	s := kv.New(open(t, kvtest.Schema(t, database(t)), pgkv.Options{}))
	defer s.Close()
	for _, n := range []int{10, 2030, 2040, 2044, 2048, 5000} {
		prefix := noise[:n]
		var stamps []kv.Stamp
		for range 3 {
			stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error {
				tx.SetStamped(prefix, noise[:2100], []byte("v"))
				return nil
			})
			check(t, err)
			stamps = append(stamps, stamp)
		}
		var rows []kv.KV
		check(t, s.View(t.Context(), func(r kv.Reader) (err error) {
			rows, err = r.Scan(t.Context(), kv.Range{Begin: prefix, End: append(bytes.Clone(prefix), 0xff)})
			return err
		}))
		if len(rows) != len(stamps) {
			t.Fatalf("prefix of %d: %d rows", n, len(rows))
		}
		for i, row := range rows {
			if !bytes.Equal(row.Key, slices.Concat(prefix, stamps[i][:], noise[:2100])) {
				t.Errorf("prefix of %d, row %d has another key", n, i)
			}
		}
		check(t, s.Update(t.Context(), func(tx *kv.Tx) error { tx.DeleteRange(nil, nil); return nil }))
	}
}
