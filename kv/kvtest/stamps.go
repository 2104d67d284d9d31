package kvtest

import (
	"bytes"
	"sync"
	"testing"

	"lambent/kv"
)

func testStampOrder(t *testing.T, s *kv.Store) {
	var last kv.Stamp
	for range 20 {
		stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error {
			tx.SetStamped([]byte("s/"), []byte("/a"), []byte("first"))
			tx.SetStamped([]byte("s/"), []byte("/b"), []byte("second"))
			return nil
		})
		must(t, err)
		if bytes.Compare(stamp[:], last[:]) <= 0 {
			t.Fatalf("stamp %x after %x", stamp, last)
		}
		last = stamp
		view(t, s, func(r kv.Reader) {
			entries, err := r.Scan(t.Context(), kv.Range{Begin: append([]byte("s/"), stamp[:]...)})
			must(t, err)
			want(t, "entries", len(entries), 2)
			want(t, "first key", string(entries[0].Key), "s/"+string(stamp[:])+"/a")
			want(t, "values", string(entries[0].Value)+" "+string(entries[1].Value), "first second")
		})
	}
	readOnly, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error { get(t, tx, "x"); return nil })
	must(t, err)
	if bytes.Compare(readOnly[:], last[:]) < 0 {
		t.Errorf("stamp of a read %x is below a commit it saw, %x", readOnly, last)
	}
}

func testStableAfterCommit(t *testing.T, s *kv.Store) {
	for range 20 {
		stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error { tx.SetStamped(nil, nil, nil); return nil })
		must(t, err)
		stable, err := s.StableBefore(t.Context())
		must(t, err)
		if bytes.Compare(stable[:], stamp[:]) <= 0 {
			t.Fatalf("stable before %x, which is not above the commit %x", stable, stamp)
		}
	}
}

// testLateArrivals: writers change items and append what they did to a stream, in the same transaction.
// Readers follow it with a cursor: they must see each change once, and those of an item in their order.
func testLateArrivals(t *testing.T, s *kv.Store) {
	const workers, rounds, items = 8, 60, 4
	ctx := t.Context()
	var writers, readers sync.WaitGroup
	for w := range workers {
		writers.Go(func() {
			for i := range rounds {
				item := byte((w + i) % items)
				err := s.Update(ctx, func(tx *kv.Tx) error {
					k := key("item/%d", item)
					v, err := tx.Get(ctx, k)
					if err != nil {
						return err
					}
					next := bytesOf(number(v) + 1)
					tx.Set(k, next)
					tx.SetStamped([]byte("stream/"), []byte{item}, next)
					tx.Notify("stream")
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() { follow(t, s, done, workers*rounds) })
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// follow reads the stream until done is closed and once more, and checks what it saw.
func follow(t *testing.T, s *kv.Store, done chan struct{}, total int) {
	wake, stop := s.Watch("stream")
	defer stop()
	var cursor kv.Stamp
	last := map[byte]uint64{}
	count := 0
	for end := false; !end; {
		select {
		case <-done:
			end = true
		case <-wake:
		}
		stable, err := s.StableBefore(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		err = s.View(t.Context(), func(r kv.Reader) error {
			entries, err := r.Scan(t.Context(), kv.Range{
				Begin: append([]byte("stream/"), cursor[:]...),
				End:   append([]byte("stream/"), stable[:]...),
			})
			for _, e := range entries {
				count++
				item, n := e.Key[len(e.Key)-1], number(e.Value)
				if n != last[item]+1 {
					t.Errorf("item %d: change %d after %d", item, n, last[item])
				}
				last[item] = n
			}
			return err
		})
		if err != nil {
			t.Error(err)
			return
		}
		cursor = stable
	}
	want(t, "changes seen", count, total)
}
