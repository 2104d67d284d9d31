package kvtest

import (
	"context"
	"sync"
	"testing"

	"lambent/kv"
)

// testHot: transactions that name a common hot key do not disturb each other, those that wait can be called off, and a
// failure lets the next one in.
func testHot(t *testing.T, s *kv.Store) {
	const workers, rounds = 8, 20
	a, b := []byte("a"), []byte("b")
	before := s.Stats().Retries
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range rounds {
				keys := [][]byte{a, b}
				if w%2 == 0 {
					keys = [][]byte{b, a, b}
				}
				err := s.UpdateHot(t.Context(), keys, func(tx *kv.Tx) error {
					if err := add(t.Context(), tx, a, 1); err != nil {
						return err
					}
					return add(t.Context(), tx, b, 2)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	view(t, s, func(r kv.Reader) {
		want(t, "a", number([]byte(get(t, r, "a"))), workers*rounds)
		want(t, "b", number([]byte(get(t, r, "b"))), 2*workers*rounds)
	})
	want(t, "retries", s.Stats().Retries-before, 0)

	ctx, cancel := context.WithCancel(t.Context())
	err := s.UpdateHot(t.Context(), [][]byte{a}, func(*kv.Tx) error {
		cancel()
		err := s.UpdateHot(ctx, [][]byte{b, a}, func(*kv.Tx) error { t.Error("ran"); return nil })
		wantErr(t, "waiting for a", err, context.Canceled)
		return s.UpdateHot(t.Context(), [][]byte{b}, func(*kv.Tx) error { return nil })
	})
	must(t, err)
	must(t, s.In("other").UpdateHot(t.Context(), [][]byte{a}, func(*kv.Tx) error { return nil }))
}
