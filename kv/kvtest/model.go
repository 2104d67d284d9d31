package kvtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lambent/kv"
	"lambent/kv/driver"
)

// model is what a room should hold.
type model map[string]string

func (m model) get(key string) string {
	if v, found := m[key]; found {
		return v
	}
	return "-"
}

func (m model) deleteRange(begin, end string) {
	for k := range m {
		if begin <= k && (end == "" || k < end) {
			delete(m, k)
		}
	}
}

// scan returns the entries of a range as join does; an empty end is the end of the room.
func (m model) scan(begin, end string, limit int, reverse bool) string {
	keys := slices.Sorted(maps.Keys(m))
	if reverse {
		slices.Reverse(keys)
	}
	var entries []kv.KV
	for _, k := range keys {
		if begin <= k && (end == "" || k < end) && (limit == 0 || len(entries) < limit) {
			entries = append(entries, kv.KV{Key: []byte(k), Value: []byte(m[k])})
		}
	}
	return join(entries)
}

var (
	modelKeys   = rapid.StringOfN(rapid.SampledFrom([]rune("abc\x00\x7f")), 0, 2, -1)
	modelValues = rapid.StringOfN(rapid.SampledFrom([]rune("xyz")), 0, 3, -1)
)

// testModel runs random transactions one after the other beside a model in memory. Some fail on purpose.
func testModel(t *testing.T, open func(t testing.TB) driver.Engine) {
	s := store(t, open(t))
	room := 0
	rapid.Check(t, func(rt *rapid.T) {
		room++
		s := s.In(fmt.Sprint(room))
		m := model{}
		for range rapid.IntRange(1, 6).Draw(rt, "transactions") {
			m = modelTransaction(rt, t, s, m)
		}
		if got, want := all(t, s), m.scan("", "", 0, false); got != want {
			rt.Fatalf("in the end: got %q, want %q", got, want)
		}
	})
}

func modelTransaction(rt *rapid.T, t *testing.T, s *kv.Store, before model) model {
	after := maps.Clone(before)
	commit := rapid.Bool().Draw(rt, "commit")
	refused := errors.New("refused")
	err := s.Update(t.Context(), func(tx *kv.Tx) error {
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			modelStep(rt, t, tx, before, after)
		}
		if !commit {
			return refused
		}
		return nil
	})
	if commit {
		must(t, err)
		return after
	}
	wantErr(t, "Update", err, refused)
	return before
}

// modelStep does one thing in the transaction and in its model.
func modelStep(rt *rapid.T, t *testing.T, tx *kv.Tx, before, after model) {
	k, k2 := modelKeys.Draw(rt, "key"), modelKeys.Draw(rt, "key2")
	end := []byte(k2)
	if k2 == "" {
		end = nil
	}
	switch step := rapid.SampledFrom([]string{"set", "delete", "deleteRange", "get", "scan", "snapshot"}).Draw(rt, "step"); step {
	case "set":
		v := modelValues.Draw(rt, "value")
		tx.Set([]byte(k), []byte(v))
		after[k] = v
	case "delete":
		tx.Delete([]byte(k))
		delete(after, k)
	case "deleteRange":
		tx.DeleteRange([]byte(k), end)
		after.deleteRange(k, k2)
	case "get":
		values, err := tx.GetAll(t.Context(), []byte(k), []byte(k2))
		must(t, err)
		if got, want := get(t, tx, k)+" "+text(values[0])+" "+text(values[1]), after.get(k)+" "+after.get(k)+" "+after.get(k2); got != want {
			rt.Fatalf("get %q, %q: got %q, want %q", k, k2, got, want)
		}
	default:
		limit, reverse := rapid.IntRange(0, 4).Draw(rt, "limit"), rapid.Bool().Draw(rt, "reverse")
		g := kv.Range{Begin: []byte(k), End: end, Limit: limit, Reverse: reverse}
		got, want := scan(t, tx, g), after.scan(k, k2, limit, reverse)
		if step == "snapshot" {
			got, want = scan(t, tx.Snapshot(), g), before.scan(k, k2, limit, reverse)
		}
		if got != want {
			rt.Fatalf("%s [%q, %q) limit %d reverse %v: got %q, want %q", step, k, k2, limit, reverse, got, want)
		}
	}
}
