package pebblekv_test

import (
	"fmt"
	"testing"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// TestForgotten: what is remembered for a transaction that lasts while others write has a bound. When it is
// passed the transaction runs again, for nobody knows whether it met a conflict.
func TestForgotten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		most  int // writes remembered at any time
		write func(tx *kv.Tx, i int)
	}{
		{"keys", 4096, func(tx *kv.Tx, i int) {
			for j := range 100 {
				tx.Set(append(make([]byte, 7000), fmt.Sprint(i, j)...), nil)
			}
		}},
		{"ranges", 4200, func(tx *kv.Tx, i int) {
			for j := range 100 {
				tx.DeleteRange(fmt.Appendf(nil, "x%06d", 2*(100*i+j)), fmt.Appendf(nil, "x%06d", 2*(100*i+j)+1))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engine, err := pebblekv.OpenMem()
			if err != nil {
				t.Fatal(err)
			}
			s := kv.New(engine)
			ctx := t.Context()
			attempts := 0
			err = s.Update(ctx, func(tx *kv.Tx) error {
				attempts++
				if _, err := tx.Get(ctx, []byte("read")); err != nil {
					return err
				}
				tx.Set([]byte("written"), nil)
				for i := 0; i < 60 && attempts == 1; i++ {
					if err := s.Update(ctx, func(tx *kv.Tx) error { tt.write(tx, i); return nil }); err != nil {
						return err
					}
					if got := engine.Stats().RecentWrites; got > tt.most {
						t.Errorf("%d writes are remembered, want %d at most", got, tt.most)
					}
				}
				return nil
			})
			if err != nil || attempts != 2 {
				t.Errorf("%d attempts, error %v, want two", attempts, err)
			}
			if got := engine.Stats(); got.TooOld != 1 || got.Conflicts != 0 {
				t.Errorf("%+v", got)
			}
			// With nobody reading, only the last commit is remembered.
			for range 2 {
				if err := put(ctx, s, "a", "1"); err != nil {
					t.Fatal(err)
				}
			}
			if got := engine.Stats().RecentWrites; got != 1 {
				t.Errorf("%d writes are still remembered", got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
