package kvtest

import (
	"context"
	"errors"
	"testing"

	"lambent/kv"
)

func testLimits(t *testing.T, s *kv.Store) {
	value := make([]byte, kv.MaxValue)
	for _, tt := range []struct {
		name string
		fn   func(tx *kv.Tx)
		want error
	}{
		{"longest key", func(tx *kv.Tx) { tx.Set(make([]byte, kv.MaxKey), nil) }, nil},
		{"key too long", func(tx *kv.Tx) { tx.Set(make([]byte, kv.MaxKey+1), nil) }, kv.ErrTooLarge},
		{"key too long to delete", func(tx *kv.Tx) { tx.Delete(make([]byte, kv.MaxKey+1)) }, kv.ErrTooLarge},
		{"range too long", func(tx *kv.Tx) { tx.DeleteRange(nil, make([]byte, kv.MaxKey+1)) }, kv.ErrTooLarge},
		{"longest stamped key", func(tx *kv.Tx) { tx.SetStamped(make([]byte, kv.MaxKey-12), nil, nil) }, nil},
		{"stamped key too long", func(tx *kv.Tx) { tx.SetStamped(make([]byte, kv.MaxKey-12), []byte("x"), nil) }, kv.ErrTooLarge},
		{"largest value", func(tx *kv.Tx) { tx.Set([]byte("v"), value) }, nil},
		{"value too large", func(tx *kv.Tx) { tx.Set([]byte("v"), make([]byte, kv.MaxValue+1)) }, kv.ErrTooLarge},
		{"stamped value too large", func(tx *kv.Tx) { tx.SetStamped(nil, nil, make([]byte, kv.MaxValue+1)) }, kv.ErrTooLarge},
		{"most writes", func(tx *kv.Tx) {
			for i := range kv.MaxWrites/kv.MaxValue - 1 {
				tx.Set(key("%d", i), value)
			}
		}, nil},
		{"too many writes", func(tx *kv.Tx) {
			for i := range kv.MaxWrites / kv.MaxValue {
				tx.Set(key("%d", i), value)
			}
		}, kv.ErrTooLarge},
		{"overwriting counts once", func(tx *kv.Tx) {
			for range 2 * kv.MaxWrites / kv.MaxValue {
				tx.Set([]byte("same"), value)
			}
		}, nil},
		{"too many small writes", func(tx *kv.Tx) {
			for i := range kv.MaxOps + 1 {
				tx.Set(bytesOf(uint64(i)), nil)
			}
		}, kv.ErrTooLarge},
		{"most stamped keys", func(tx *kv.Tx) {
			for range kv.MaxStamped {
				tx.SetStamped(nil, nil, nil)
			}
			tx.DeleteRange(nil, nil)
		}, nil},
		{"too many stamped keys", func(tx *kv.Tx) {
			for range kv.MaxStamped + 1 {
				tx.SetStamped(nil, nil, nil)
			}
		}, kv.ErrTooLarge},
	} {
		err := s.Update(t.Context(), func(tx *kv.Tx) error { tt.fn(tx); return nil })
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == nil {
			continue
		}
		err = s.Update(t.Context(), func(tx *kv.Tx) error { // reads fail, too, so that loops end
			tx.Set([]byte("left behind"), nil)
			tt.fn(tx)
			_, err := tx.Get(t.Context(), nil)
			wantErr(t, tt.name+": Get", err, tt.want)
			return err
		})
		wantErr(t, tt.name, err, tt.want)
	}
	view(t, s, func(r kv.Reader) { want(t, "left behind", get(t, r, "left behind"), "-") })
}

func testCancel(t *testing.T, s *kv.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx *kv.Tx) error {
		tx.Set([]byte("a"), nil)
		cancel()
		_, err := tx.Get(ctx, []byte("b"))
		wantErr(t, "Get", err, context.Canceled)
		return nil
	})
	wantErr(t, "Update", err, context.Canceled)
	wantErr(t, "View", s.View(ctx, func(kv.Reader) error { return nil }), context.Canceled)
	want(t, "all", all(t, s), "")
}

// testRetries: an Update that meets a conflict each time goes on until its context ends.
func testRetries(t *testing.T, s *kv.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := 0
	err := s.Update(ctx, func(tx *kv.Tx) error {
		if runs++; runs == 10 {
			cancel()
		}
		if err := add(t.Context(), tx, []byte("n"), 1); err != nil {
			return err
		}
		return s.Update(t.Context(), func(tx *kv.Tx) error { return add(t.Context(), tx, []byte("n"), 1) })
	})
	wantErr(t, "Update", err, context.Canceled)
	view(t, s, func(r kv.Reader) { want(t, "n", number([]byte(get(t, r, "n"))), uint64(runs)) })
	if got := s.Stats().Retries; got < 9 {
		t.Errorf("Stats count %d retries, want 9 or more", got)
	}
}
