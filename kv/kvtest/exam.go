package kvtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"lambent/kv"
	"lambent/kv/driver"
)

// Run puts an engine through the exam. The function open returns an empty store; Run closes it.
func Run(t *testing.T, open func(t testing.TB) driver.Engine) {
	for _, part := range []struct {
		name string
		exam func(t *testing.T, s *kv.Store)
	}{
		{"Values", testValues},
		{"Scan", testScan},
		{"OwnWrites", testOwnWrites},
		{"Rooms", testRooms},
		{"Abort", testAbort},
		{"LostUpdate", testLostUpdate},
		{"WriteSkew", testWriteSkew},
		{"Phantom", testPhantom},
		{"ScanLimit", testScanLimit},
		{"DeleteRangeConflict", testDeleteRangeConflict},
		{"DeleteRangePhantom", testDeleteRangePhantom},
		{"BlindWrites", testBlindWrites},
		{"SnapshotReads", testSnapshotReads},
		{"OneSnapshot", testOneSnapshot},
		{"StampOrder", testStampOrder},
		{"LateArrivals", testLateArrivals},
		{"StableAfterCommit", testStableAfterCommit},
		{"Limits", testLimits},
		{"Cancel", testCancel},
		{"Retries", testRetries},
		{"Hot", testHot},
		{"Watch", testWatch},
		{"Panic", testPanic},
		{"Escape", testEscape},
	} {
		t.Run(part.name, func(t *testing.T) { part.exam(t, store(t, open(t)).In("exam")) })
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
	t.Run("Histories", func(t *testing.T) { testHistories(t, open) })
	t.Run("Closed", func(t *testing.T) { testClosed(t, open(t)) })
	t.Run("Export", func(t *testing.T) { testExport(t, open) })
	t.Run("Import", func(t *testing.T) { testImport(t, open) })
}

// store returns the root handle of a store over engine that is closed at the end of the test.
func store(t testing.TB, engine driver.Engine) *kv.Store {
	s := kv.New(engine)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// must ends the test if err is not nil.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// update runs fn and ends the test on an error.
func update(t testing.TB, s *kv.Store, fn func(tx *kv.Tx) error) {
	t.Helper()
	must(t, s.Update(t.Context(), fn))
}

// set stores pairs of keys and values in one transaction.
func set(t testing.TB, s *kv.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx *kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
}

// get returns the value of key, "-" when it is absent.
func get(t testing.TB, r kv.Reader, key string) string {
	t.Helper()
	v, err := r.Get(t.Context(), []byte(key))
	must(t, err)
	return text(v)
}

// text is a value as a string, with "-" for an absent one.
func text(v []byte) string {
	if v == nil {
		return "-"
	}
	return string(v)
}

// scan returns the entries of a range as "key=value key=value".
func scan(t testing.TB, r kv.Reader, g kv.Range) string {
	t.Helper()
	entries, err := r.Scan(t.Context(), g)
	must(t, err)
	return join(entries)
}

func join(entries []kv.KV) string {
	s := ""
	for i, e := range entries {
		if i > 0 {
			s += " "
		}
		s += string(e.Key) + "=" + string(e.Value)
	}
	return s
}

// all returns everything in the room as "key=value key=value".
func all(t testing.TB, s *kv.Store) (out string) {
	t.Helper()
	view(t, s, func(r kv.Reader) { out = scan(t, r, kv.Range{}) })
	return out
}

// view runs fn in a View.
func view(t testing.TB, s *kv.Store, fn func(r kv.Reader)) {
	t.Helper()
	must(t, s.View(t.Context(), func(r kv.Reader) error { fn(r); return nil }))
}

// want compares.
func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantErr checks the kind of an error.
func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

// between runs fn in an Update whose first attempt is disturbed: after fn has run, and before its commit,
// other runs in a transaction of its own. It returns the number of attempts.
func between(t testing.TB, s *kv.Store, fn func(tx *kv.Tx) error, other func(tx *kv.Tx) error) (attempts int) {
	t.Helper()
	update(t, s, func(tx *kv.Tx) error {
		attempts++
		if err := fn(tx); err != nil || attempts > 1 {
			return err
		}
		return s.Update(context.WithoutCancel(t.Context()), other)
	})
	return attempts
}

func key(format string, args ...any) []byte { return fmt.Appendf(nil, format, args...) }
