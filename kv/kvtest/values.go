package kvtest

import (
	"bytes"
	"errors"
	"testing"

	"lambent/kv"
	"lambent/kv/driver"
)

func testValues(t *testing.T, s *kv.Store) {
	set(t, s, "a", "1", "empty", "", "", "no key", "zero\x00", "\x00\xff")
	view(t, s, func(r kv.Reader) {
		for k, v := range map[string]string{"a": "1", "empty": "", "": "no key", "zero\x00": "\x00\xff", "b": "-", "zero": "-"} {
			want(t, "Get "+k, get(t, r, k), v)
		}
		values, err := r.GetAll(t.Context(), []byte("b"), []byte("a"), []byte("empty"), []byte("a"))
		must(t, err)
		want(t, "GetAll", text(values[0])+text(values[1])+text(values[2])+text(values[3]), "-11")
		want(t, "empty value is nil", values[2] == nil, false)
		none, err := r.GetAll(t.Context())
		must(t, err)
		want(t, "GetAll of nothing", len(none), 0)
	})
	update(t, s, func(tx *kv.Tx) error {
		tx.Set([]byte("a"), []byte("2"))
		tx.Delete([]byte("empty"))
		tx.Delete([]byte("was never there"))
		return nil
	})
	want(t, "all", all(t, s), "=no key a=2 zero\x00=\x00\xff")

	buf := []byte("k") // what is given may be changed after the call
	update(t, s, func(tx *kv.Tx) error {
		tx.Set(buf, buf)
		buf[0] = 'x'
		return nil
	})
	buf[0] = 'k'
	view(t, s, func(r kv.Reader) {
		want(t, "copied value", get(t, r, "k"), "k")
		v, err := r.Get(t.Context(), []byte("k"))
		must(t, err)
		v[0] = '!' // what is returned belongs to the caller
		want(t, "value after the caller changed his", get(t, r, "k"), "k")
	})
	big := bytes.Repeat([]byte("x"), kv.MaxValue)
	update(t, s, func(tx *kv.Tx) error { tx.Set([]byte("big"), big); return nil })
	view(t, s, func(r kv.Reader) { want(t, "big value", len(get(t, r, "big")), len(big)) })
}

func testScan(t *testing.T, s *kv.Store) {
	set(t, s, "a", "1", "b", "2", "c", "3", "d", "4", "e", "5")
	set(t, s.In("other"), "b1", "x")
	for _, tt := range []struct {
		begin, end string
		limit      int
		reverse    bool
		want       string
	}{
		{"", "", 0, false, "a=1 b=2 c=3 d=4 e=5"},
		{"", "", 0, true, "e=5 d=4 c=3 b=2 a=1"},
		{"b", "d", 0, false, "b=2 c=3"},
		{"b", "d", 0, true, "c=3 b=2"},
		{"a1", "d1", 0, false, "b=2 c=3 d=4"},
		{"b", "", 2, false, "b=2 c=3"},
		{"b", "", 2, true, "e=5 d=4"},
		{"a", "b", 1, false, "a=1"},
		{"c", "c", 0, false, ""},
		{"d", "b", 0, false, ""},
		{"x", "", 0, true, ""},
	} {
		g := kv.Range{Begin: []byte(tt.begin), Limit: tt.limit, Reverse: tt.reverse}
		if tt.end != "" {
			g.End = []byte(tt.end)
		}
		view(t, s, func(r kv.Reader) { want(t, "View", scan(t, r, g), tt.want) })
		update(t, s, func(tx *kv.Tx) error {
			want(t, "Update", scan(t, tx, g), tt.want)
			want(t, "Snapshot", scan(t, tx.Snapshot(), g), tt.want)
			tx.Set([]byte("zz"), nil) // from here on the transaction looks through its own writes
			tx.Delete([]byte("zz"))
			want(t, "Update with writes", scan(t, tx, g), tt.want)
			return nil
		})
	}
}

func testOwnWrites(t *testing.T, s *kv.Store) {
	set(t, s, "a", "1", "b", "2", "c", "3", "d", "4", "e", "5")
	update(t, s, func(tx *kv.Tx) error {
		tx.Set([]byte("b"), []byte("B"))
		tx.Delete([]byte("c"))
		tx.Set([]byte("c1"), []byte("new"))
		tx.SetStamped([]byte("c"), []byte("x"), []byte("unseen"))
		want(t, "own set", get(t, tx, "b"), "B")
		want(t, "own delete", get(t, tx, "c"), "-")
		want(t, "snapshot", get(t, tx.Snapshot(), "c"), "3")
		want(t, "scan", scan(t, tx, kv.Range{}), "a=1 b=B c1=new d=4 e=5")
		want(t, "limited", scan(t, tx, kv.Range{Begin: []byte("b"), Limit: 2}), "b=B c1=new")
		want(t, "reverse", scan(t, tx, kv.Range{Limit: 4, Reverse: true}), "e=5 d=4 c1=new b=B")
		values, err := tx.GetAll(t.Context(), []byte("a"), []byte("b"), []byte("c"), []byte("c1"))
		must(t, err)
		want(t, "GetAll", text(values[0])+text(values[1])+text(values[2])+text(values[3]), "1B-new")

		tx.DeleteRange([]byte("b"), []byte("d"))
		want(t, "after DeleteRange", scan(t, tx, kv.Range{}), "a=1 d=4 e=5")
		want(t, "key in deleted range", get(t, tx, "b"), "-")
		tx.Set([]byte("b"), []byte("again"))
		want(t, "set after DeleteRange", scan(t, tx, kv.Range{}), "a=1 b=again d=4 e=5")
		want(t, "limit over a hole", scan(t, tx, kv.Range{Limit: 3}), "a=1 b=again d=4")
		want(t, "limit over a hole, reverse", scan(t, tx, kv.Range{Limit: 3, Reverse: true}), "e=5 d=4 b=again")
		tx.Set([]byte("d"), nil)
		want(t, "empty value", get(t, tx, "d"), "")
		return nil
	})
	// The stamped key lay in the range that was deleted after it.
	want(t, "committed", all(t, s), "a=1 b=again d= e=5")
}

func testRooms(t *testing.T, s *kv.Store) {
	a, b, inner, deep := s.In("a"), s.In("b"), s.In("a").In("b"), s.In("a").In("\x00")
	root := kv.Range{}
	rooms := map[string]*kv.Store{"exam": s, "a": a, "b": b, "a/b": inner, "a/0": deep, "a0b": s.In("a\x00b"), "none": s.In("")}
	for name, room := range rooms {
		set(t, room, "k", name, "\x00", "low", "\xff\xff", "high")
	}
	for name, room := range rooms {
		want(t, name, all(t, room), "\x00=low k="+name+" \xff\xff=high")
	}
	update(t, a, func(tx *kv.Tx) error {
		other := tx.In(b)
		want(t, "the other room in the same transaction", get(t, other, "k"), "b")
		other.Set([]byte("k"), []byte("changed"))
		want(t, "own write through a second view", get(t, tx.In(s.In("b")), "k"), "changed")
		want(t, "scan of the own room", scan(t, tx, root), "\x00=low k=a \xff\xff=high")
		tx.DeleteRange(nil, nil)
		return nil
	})
	want(t, "emptied room", all(t, a), "")
	want(t, "room within it", all(t, inner), "\x00=low k=a/b \xff\xff=high")
	want(t, "written from the other room", all(t, b), "\x00=low k=changed \xff\xff=high")
}

func testAbort(t *testing.T, s *kv.Store) {
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx *kv.Tx) error {
		tx.Set([]byte("a"), nil)
		tx.DeleteRange(nil, nil)
		tx.SetStamped(nil, nil, nil)
		return boom
	})
	want(t, "error of the closure", err, boom)
	want(t, "error of a view", s.View(t.Context(), func(kv.Reader) error { return boom }), boom)
	want(t, "all", all(t, s), "")
}

func testPanic(t *testing.T, s *kv.Store) {
	func() {
		defer func() { want(t, "panic", recover(), any("boom")) }()
		_ = s.Update(t.Context(), func(tx *kv.Tx) error {
			tx.Set([]byte("a"), nil)
			get(t, tx, "b")
			panic("boom")
		})
	}()
	set(t, s, "b", "1") // the store goes on
	want(t, "all", all(t, s), "b=1")
	want(t, "running", s.Stats().Engine.Running, 0)
}

func testEscape(t *testing.T, s *kv.Store) {
	var tx *kv.Tx
	var r kv.Reader
	update(t, s, func(x *kv.Tx) error { tx = x; return nil })
	view(t, s, func(x kv.Reader) { r = x })
	for _, r := range []kv.Reader{tx, r, tx.Snapshot()} {
		if _, err := r.Get(t.Context(), nil); err == nil {
			t.Errorf("%T.Get after the end gave no error", r)
		}
		if _, err := r.GetAll(t.Context(), nil); err == nil {
			t.Errorf("%T.GetAll after the end gave no error", r)
		}
		if _, err := r.Scan(t.Context(), kv.Range{}); err == nil {
			t.Errorf("%T.Scan after the end gave no error", r)
		}
	}
}

func testClosed(t *testing.T, engine driver.Engine) {
	s := kv.New(engine)
	if s.In("room").Close() == nil {
		t.Error("a room could close the store")
	}
	must(t, s.Close())
	wantErr(t, "second Close", s.Close(), kv.ErrClosed)
	wantErr(t, "Update", s.Update(t.Context(), func(*kv.Tx) error { return nil }), kv.ErrClosed)
	wantErr(t, "View", s.View(t.Context(), func(kv.Reader) error { return nil }), kv.ErrClosed)
	_ = s.Stats() // does not crash
}
