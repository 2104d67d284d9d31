package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/bbolt"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

func comparisons() []comparison {
	return []comparison{
		{"put, Pebble", "bare Pebble", "0.6", putsBesidePebble},
		{"read and write 3 of 100,000 keys, Pebble", "bare Pebble, unchecked", "0.85", modifiesBesidePebble},
		{"put, Pebble, once more", "bbolt, batched", "2", putsBesideBolt},
		{"put, PostgreSQL", "pgbench, same statements", "0.7", putsBesidePgbench},
		{"read and write 3 of 100,000 keys, PostgreSQL", "pgbench, same statements", "0.7", modifiesBesidePgbench},
		{"add to 1 of 100 keys, PostgreSQL, as hot", "the same with Update", "", hotBesideUpdate},
		{"read 1 of 100,000 keys, PostgreSQL", "pgbench, same statements", "", readsBesidePgbench},
	}
}

// spread does op from all writers for a turn.
func (o options) spread(ctx context.Context, op func(n uint64) error) (float64, error) {
	var done atomic.Int64
	errs := make([]error, o.writers)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range o.writers {
		wg.Go(func() {
			for time.Since(start) < o.turn && ctx.Err() == nil {
				if errs[w] = op(rand.Uint64()); errs[w] != nil {
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds(), errors.Join(append(errs, ctx.Err())...)
}

func median(rates []float64) float64 {
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// key is one of as many as there are numbers, in no order.
func key(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("bench/"), n*0x9e3779b97f4a7c15)
}

func threeKeys() [3][]byte {
	return [3][]byte{key(rand.Uint64N(modified)), key(rand.Uint64N(modified)), key(rand.Uint64N(modified))}
}

var value = make([]byte, valueSize)

// put and modify are what the store does.
func put(ctx context.Context, s *kv.Store) func(uint64) error {
	return func(n uint64) error {
		return s.Update(ctx, func(tx *kv.Tx) error {
			tx.Set(key(n), value)
			return nil
		})
	}
}

func modify(ctx context.Context, s *kv.Store) func(uint64) error {
	return func(uint64) error {
		k := threeKeys()
		return s.Update(ctx, func(tx *kv.Tx) error {
			if _, err := tx.GetAll(ctx, k[:]...); err != nil {
				return err
			}
			for _, key := range k {
				tx.Set(key, value)
			}
			return nil
		})
	}
}

func (o options) side(op func(uint64) error) side {
	return func(ctx context.Context) (float64, error) { return o.spread(ctx, op) }
}

func openPebbles(dir string) (*kv.Store, *pebble.DB, error) {
	engine, err := pebblekv.Open(filepath.Join(dir, "store"), pebblekv.Options{})
	if err != nil {
		return nil, nil, err
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	raw, err := pebble.Open(filepath.Join(dir, "pebble"), &pebble.Options{
		Cache: cache, MemTableSize: 8 << 20, MemTableStopWritesThreshold: 4, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
	})
	return kv.New(engine), raw, err
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, _ ...any) { panic(format) }

func putsBesidePebble(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	s, raw, err := openPebbles(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	bare := func(n uint64) error { return raw.Set(key(n), value, pebble.Sync) }
	return o.side(put(ctx, s)), o.side(bare), func() error { return errors.Join(s.Close(), raw.Close()) }, nil
}

func modifiesBesidePebble(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	s, raw, err := openPebbles(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	bare := func(uint64) (err error) {
		batch := raw.NewBatch()
		defer func() { err = errors.Join(err, batch.Close()) }()
		for _, key := range threeKeys() {
			_, c, err := raw.Get(key)
			if err == nil {
				err = c.Close()
			}
			if err != nil && !errors.Is(err, pebble.ErrNotFound) {
				return err
			}
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.Sync)
	}
	return o.side(modify(ctx, s)), o.side(bare), func() error { return errors.Join(s.Close(), raw.Close()) }, nil
}

func putsBesideBolt(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	engine, err := pebblekv.Open(filepath.Join(dir, "store"), pebblekv.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	s := kv.New(engine)
	bolt, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o600, nil)
	if err != nil {
		return nil, nil, nil, errors.Join(err, s.Close())
	}
	bucket := []byte("b")
	err = bolt.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists(bucket); return err })
	bolt.MaxBatchSize, bolt.MaxBatchDelay = o.writers, time.Millisecond // the best of those tried
	batched := func(n uint64) error {
		return bolt.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key(n), value) })
	}
	return o.side(put(ctx, s)), o.side(batched), func() error { return errors.Join(s.Close(), bolt.Close()) }, err
}
