package upgrade

import (
	"errors"
	"strings"
	"testing"

	"lambent/kv"
	"lambent/kv/kvtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bring brings a store up to the present format.
func bring(t *testing.T, s *kv.Store) {
	t.Helper()
	got, err := Store(t.Context(), s)
	if err != nil || got != Format {
		t.Fatalf("Store: %d, %v", got, err)
	}
}

func TestStore(t *testing.T) {
	s := kvtest.Mem(t)
	if got, err := Read(t.Context(), s); got != 1 || err != nil {
		t.Errorf("a store that does not say its format: %d, %v", got, err)
	}
	for range 2 {
		bring(t, s)
		if got, err := Read(t.Context(), s); got != Format || err != nil {
			t.Errorf("after Store: %d, %v", got, err)
		}
	}
	must(t, Record(t.Context(), s, 1)) // takes nothing back
	must(t, room(s).Update(t.Context(), func(tx *kv.Tx) error { return kv.PutRow(tx, formatKey, row{Format + 1}) }))
	if _, err := Store(t.Context(), s); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "its format is 4") {
		t.Errorf("a newer store: %v", err)
	}
	if len(steps) != Format-1 {
		t.Errorf("%d steps lead to format %d", len(steps), Format)
	}
}

func TestRestore(t *testing.T) {
	s := kvtest.Mem(t)
	must(t, BeginRestore(t.Context(), s))
	must(t, s.Update(t.Context(), func(tx *kv.Tx) error { tx.Set([]byte("half"), nil); return nil }))
	if _, err := Store(t.Context(), s); !errors.Is(err, ErrRestoring) {
		t.Errorf("a store that is being restored: %v", err)
	}
	must(t, BeginRestore(t.Context(), s)) // again, from the start
	must(t, s.View(t.Context(), func(r kv.Reader) error {
		if v, err := r.Get(t.Context(), []byte("half")); v != nil || err != nil {
			t.Errorf("what the first restore left is there: %q, %v", v, err)
		}
		return nil
	}))
	must(t, EndRestore(t.Context(), s))
	bring(t, s)
	if err := BeginRestore(t.Context(), s); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a store in use: %v", err)
	}
}

func TestBelongs(t *testing.T) {
	s := kvtest.Mem(t)
	for range 2 {
		must(t, Belongs(t.Context(), s, []byte("one key")))
	}
	if err := Belongs(t.Context(), s, []byte("another")); !errors.Is(err, ErrOtherKeys) {
		t.Errorf("another key: %v", err)
	}
}
