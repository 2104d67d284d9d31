package kv_test

import (
	"context"
	"sync"
	"testing"

	"lambent/kv"
	"lambent/kv/kvtest"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	s := kvtest.Mem(t).In("a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				err := s.Update(ctx, func(tx *kv.Tx) error {
					v, err := tx.Get(ctx, []byte("n"))
					if err != nil {
						return err
					}
					tx.Set([]byte("n"), append(v, 1))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(ctx, []byte("n"))
		if len(v) != 400 {
			t.Error(len(v))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
