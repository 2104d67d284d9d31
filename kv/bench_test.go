package kv_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// The benchmarks run the store and bare Pebble by turns in one process on one disk, since the speed of a
// sync differs from machine to machine and from minute to minute: only the ratio says something.

const (
	writers   = 64
	turns     = 6 // of each side
	valueSize = 1 << 10
)

// BenchmarkPut writes durable values of 1 KiB, 64 at a time.
func BenchmarkPut(b *testing.B) {
	store, raw := openBoth(b)
	value := make([]byte, valueSize)
	compare(b,
		func(n uint64) error {
			return store.Update(b.Context(), func(tx *kv.Tx) error {
				tx.Set(benchKey(n), value)
				return nil
			})
		},
		func(n uint64) error { return raw.Set(benchKey(n), value, pebble.Sync) },
	)
}

// BenchmarkModify reads and writes three keys of 100,000 in a transaction, 64 at a time, beside the same
// reads and writes in bare Pebble, which checks nothing.
func BenchmarkModify(b *testing.B) {
	store, raw := openBoth(b)
	value := make([]byte, valueSize)
	ctx := b.Context()
	keys := func() [3][]byte {
		var k [3][]byte
		for i := range k {
			k[i] = benchKey(rand.Uint64N(100_000))
		}
		return k
	}
	compare(b,
		func(uint64) error {
			k := keys()
			return store.Update(ctx, func(tx *kv.Tx) error {
				if _, err := tx.GetAll(ctx, k[:]...); err != nil {
					return err
				}
				for _, key := range k {
					tx.Set(key, value)
				}
				return nil
			})
		},
		func(uint64) error {
			batch := raw.NewBatch()
			defer batch.Close()
			for _, key := range keys() {
				if _, c, err := raw.Get(key); err == nil {
					c.Close()
				}
				if err := batch.Set(key, value, nil); err != nil {
					return err
				}
			}
			return batch.Commit(pebble.Sync)
		},
	)
	b.ReportMetric(float64(store.Stats().Retries), "retries")
}

// BenchmarkCounter adds to one key, 64 at a time: every transaction conflicts with every other.
func BenchmarkCounter(b *testing.B) {
	store, _ := openBoth(b)
	ctx := b.Context()
	b.ResetTimer()
	took := spread(b, b.N, func(uint64) error {
		return store.Update(ctx, func(tx *kv.Tx) error {
			v, err := tx.Get(ctx, []byte("counter"))
			if err != nil {
				return err
			}
			var n uint64
			if v != nil {
				n = binary.BigEndian.Uint64(v)
			}
			tx.Set([]byte("counter"), binary.BigEndian.AppendUint64(nil, n+1))
			return nil
		})
	})
	b.ReportMetric(float64(b.N)/took.Seconds(), "ops/s")
	b.ReportMetric(float64(store.Stats().Retries)/float64(b.N), "retries/op")
}

// BenchmarkGet reads one key at a time in a View, from one goroutine.
func BenchmarkGet(b *testing.B) {
	store, raw := openBoth(b)
	ctx := b.Context()
	key := benchKey(1)
	err := store.Update(ctx, func(tx *kv.Tx) error { tx.Set(key, make([]byte, 100)); return nil })
	if err != nil {
		b.Fatal(err)
	}
	if err := raw.Set(key, make([]byte, 100), pebble.Sync); err != nil {
		b.Fatal(err)
	}
	b.Run("kv", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = store.View(ctx, func(r kv.Reader) error {
				_, err := r.Get(ctx, key)
				return err
			})
		}
	})
	b.Run("pebble", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, c, err := raw.Get(key)
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}

func benchKey(n uint64) []byte { return fmt.Appendf(nil, "bench/%016x", n*0x9e3779b97f4a7c15) }

// openBoth opens an empty store, and bare Pebble with the same sizes, on disk.
func openBoth(b *testing.B) (*kv.Store, *pebble.DB) {
	engine, err := pebblekv.Open(b.TempDir(), pebblekv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	store := kv.New(engine)
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	raw, err := pebble.Open(b.TempDir(), &pebble.Options{
		Cache: cache, MemTableSize: 8 << 20, MemTableStopWritesThreshold: 4,
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
		if err := raw.Close(); err != nil {
			b.Error(err)
		}
	})
	return store, raw
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// compare runs b.N operations of each side by turns and reports both rates and their ratio.
func compare(b *testing.B, store, raw func(n uint64) error) {
	var took [2]time.Duration
	b.ResetTimer()
	for turn := range turns {
		n := b.N*(turn+1)/turns - b.N*turn/turns
		took[0] += spread(b, n, store)
		took[1] += spread(b, n, raw)
	}
	b.ReportMetric(float64(b.N)/took[0].Seconds(), "kv-ops/s")
	b.ReportMetric(float64(b.N)/took[1].Seconds(), "pebble-ops/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
}

// spread does op n times from all writers and returns how long it took.
func spread(b *testing.B, n int, op func(uint64) error) time.Duration {
	start := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	base := rand.Uint64()
	for range writers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := op(base + uint64(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}
