package kvtest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"lambent/kv"
	"lambent/kv/driver"
)

// testExport: an export is one state, though others write while it is read, and holds all that was
// acknowledged before.
func testExport(t *testing.T, open func(t testing.TB) driver.Engine) {
	s := store(t, open(t))
	room, inner := s.In("a"), s.In("a").In("b\x00c")
	set(t, s, "root", "1")
	for i := range 100 {
		set(t, room, fmt.Sprintf("%03d", i), "old")
	}
	set(t, inner, "x", "inner")
	x, err := s.Export(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, x.Close()) })
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 100 {
			if err := room.Update(t.Context(), func(tx *kv.Tx) error {
				tx.Delete(key("%03d", i))
				tx.Set(key("new%d", i), nil)
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
	defer wg.Wait()
	count := map[string]int{}
	var last []byte
	for row, err := range x.Rows(t.Context()) {
		must(t, err)
		if bytes.Compare(last, row.Key) >= 0 {
			t.Fatalf("key %x after %x", row.Key, last)
		}
		last = row.Key
		rooms, k, err := kv.SplitKey(row.Key)
		must(t, err)
		count[fmt.Sprintf("%q", rooms)]++
		if len(rooms) == 1 && (string(row.Value) != "old" || len(k) != 3) {
			t.Errorf("the export shows %s=%s, which came later", k, row.Value)
		}
	}
	want(t, "rows by room", fmt.Sprint(count), `map[["a" "b\x00c"]:1 ["a"]:100 []:1]`)
	var got []kv.KV
	for row, err := range x.In(t.Context(), inner) {
		must(t, err)
		got = append(got, row)
	}
	want(t, "rows of one room", join(got), "x=inner")
}

// testImport: rows that another store has exported are there, and stamps go on above theirs.
func testImport(t *testing.T, open func(t testing.TB) driver.Engine) {
	from := Mem(t)
	must(t, from.RaiseStamps(t.Context(), driver.MakeStamp(1<<40, 5, 6)))
	large := string(make([]byte, 300_000))
	for i := range 20 {
		set(t, from.In("rows"), fmt.Sprint(i), large)
	}
	var old kv.Stamp
	for range 5 {
		var err error
		old, err = from.UpdateStamp(t.Context(), func(tx *kv.Tx) error { tx.SetStamped([]byte("s"), nil, nil); return nil })
		must(t, err)
	}
	if low := driver.MakeStamp(1<<40, 5, 6); bytes.Compare(old[:], low[:]) <= 0 {
		t.Fatalf("stamp %x is not above %x", old, low)
	}
	x, err := from.Export(t.Context())
	must(t, err)
	defer x.Close()
	if above := x.Above(); bytes.Compare(above[:], old[:]) <= 0 {
		t.Errorf("Above says %x, the last stamp is %x", above, old)
	}

	to := store(t, open(t))
	set(t, to, "stranger", "")
	isEmpty(t, to, false)
	must(t, to.Clear(t.Context()))
	isEmpty(t, to, true)
	must(t, to.Import(t.Context(), x.Rows(t.Context())))
	must(t, to.RaiseStamps(t.Context(), x.Above()))
	must(t, to.RaiseStamps(t.Context(), kv.Stamp{})) // takes nothing back
	want(t, "the root", all(t, to) == all(t, from), true)
	want(t, "rows", all(t, to.In("rows")) == all(t, from.In("rows")), true)
	next, err := to.UpdateStamp(t.Context(), func(tx *kv.Tx) error { tx.SetStamped([]byte("s"), nil, nil); return nil })
	must(t, err)
	if above := x.Above(); bytes.Compare(next[:], above[:]) <= 0 {
		t.Errorf("stamp %x after an import is not above %x", next, above)
	}
	stable, err := to.StableBefore(t.Context())
	must(t, err)
	if bytes.Compare(stable[:], next[:]) <= 0 {
		t.Errorf("StableBefore %x is not above the commit %x", stable, next)
	}
}

func isEmpty(t *testing.T, s *kv.Store, yes bool) {
	t.Helper()
	empty, err := s.Empty(t.Context())
	must(t, err)
	want(t, "Empty", empty, yes)
}
