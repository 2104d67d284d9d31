package kv

import (
	"context"
	"hash/maphash"
	"slices"
)

// latches let one transaction of this process at a time at a hot key. Keys share latches by their hash.
type latches struct {
	seed maphash.Seed
	held [latchCount]chan struct{} // has an element while held
}

const latchCount = 512

func newLatches() *latches {
	l := &latches{seed: maphash.MakeSeed()}
	for i := range l.held {
		l.held[i] = make(chan struct{}, 1)
	}
	return l
}

// take waits until the latches of keys are free and holds them until give is called. They are taken in one order,
// so that nobody waits in a circle, and those who wait for one get it in turn.
func (l *latches) take(ctx context.Context, prefix []byte, keys [][]byte) (give func(), err error) {
	var at []uint64
	for _, k := range keys {
		var h maphash.Hash
		h.SetSeed(l.seed)
		_, _ = h.Write(prefix) // never fails
		_, _ = h.Write(k)
		at = append(at, h.Sum64()%latchCount)
	}
	slices.Sort(at)
	at = slices.Compact(at)
	for n, i := range at {
		select {
		case l.held[i] <- struct{}{}:
		case <-ctx.Done():
			l.give(at[:n])
			return nil, ctx.Err()
		}
	}
	return func() { l.give(at) }, nil
}

func (l *latches) give(at []uint64) {
	for _, i := range at {
		<-l.held[i]
	}
}

// UpdateHot is Update for a transaction that reads and changes rows that many others change at the same time: a
// counter, the head of a queue. Those that name a common key run one after the other in this process, where they
// would otherwise conflict and run again. It is a help and no promise: other processes, and calls of Update, do not
// wait. A closure must not call UpdateHot.
func (s *Store) UpdateHot(ctx context.Context, keys [][]byte, fn func(tx *Tx) error) error {
	give, err := s.core.latches.take(ctx, s.prefix, keys)
	if err != nil {
		return err
	}
	defer give()
	return s.Update(ctx, fn)
}
