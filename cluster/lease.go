package cluster

import (
	"context"
	"errors"
	"time"

	"lambent/kv"
)

// ErrFenced says that somebody else has taken the lease over.
var ErrFenced = errors.New("cluster: the lease was taken over")

// Lease is something that this member may do and no other.
type Lease struct {
	c     *Cluster
	name  string
	fence uint64
}

type leaseRow struct {
	Owner string // "" when it was given back
	Fence uint64 // of the present or last owner
}

func leaseKey(name string) []byte { return kv.Key("lease", name) }

// Acquire takes the lease of that name, or returns nil when a living member holds it, be it this one.
func (c *Cluster) Acquire(ctx context.Context, name string) (*Lease, error) {
	if !c.reserve(name) {
		return nil, nil
	}
	l, err := c.take(ctx, name)
	if err != nil || l == nil {
		c.unreserve(name)
		return nil, err
	}
	return l, nil
}

// take writes the lease down as this member's if it is free.
func (c *Cluster) take(ctx context.Context, name string) (l *Lease, err error) {
	var seen leaseRow
	err = c.KV.View(ctx, func(r kv.Reader) error {
		_, err := kv.GetRow(ctx, r, leaseKey(name), &seen)
		return err
	})
	if err != nil || seen.Owner != "" && seen.Owner != c.name && c.Alive(ctx, seen.Owner) {
		return nil, err
	}
	err = c.KV.Update(ctx, func(tx *kv.Tx) error {
		l = nil
		var row leaseRow
		if _, err := kv.GetRow(ctx, tx, leaseKey(name), &row); err != nil || row != seen {
			return err // another was faster
		}
		l = &Lease{c, name, row.Fence + 1}
		return kv.PutRow(tx, leaseKey(name), leaseRow{c.name, row.Fence + 1})
	})
	return l, err
}

func (c *Cluster) reserve(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[name] {
		return false
	}
	c.held[name] = true
	return true
}

func (c *Cluster) unreserve(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, name)
}

// Check fails with ErrFenced unless the lease is still this member's. Called in a transaction, it makes sure that the
// transaction commits only if that is so.
func (l *Lease) Check(ctx context.Context, tx *kv.Tx) error {
	var row leaseRow
	if _, err := kv.GetRow(ctx, tx.In(l.c.KV), leaseKey(l.name), &row); err != nil {
		return err
	}
	if row.Owner != l.c.name || row.Fence != l.fence {
		return ErrFenced
	}
	return nil
}

// Release gives the lease back. It may be called once.
func (l *Lease) Release(ctx context.Context) error {
	defer l.c.unreserve(l.name)
	err := l.c.KV.Update(ctx, func(tx *kv.Tx) error {
		if err := l.Check(ctx, tx); err != nil {
			return err
		}
		return kv.PutRow(tx, leaseKey(l.name), leaseRow{Fence: l.fence})
	})
	if errors.Is(err, ErrFenced) {
		return nil
	}
	return err
}

// Lead calls work whenever this member gets the lease of that name, until ctx ends. The context of work ends when
// the lease is found to be another's; work should also check it in its transactions. When work returns nil early, the
// lease is given back and tried for again after a while; an error of work ends Lead.
func (c *Cluster) Lead(ctx context.Context, name string, work func(context.Context, *Lease) error) error {
	for {
		l, err := c.Acquire(ctx, name)
		if err != nil && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "cluster: the store failed", "lease", name, "error", err)
		}
		if l != nil {
			if err := c.lead(ctx, l, work); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(deadAfter):
		}
	}
}

// lead calls work once and watches the lease meanwhile.
func (c *Cluster) lead(ctx context.Context, l *Lease, work func(context.Context, *Lease) error) error {
	mine, lost := context.WithCancel(ctx)
	defer lost()
	done := make(chan error, 1)
	go func() { done <- work(mine, l) }() // ends before lead does: <-done
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveFor)
			defer cancel()
			_ = l.Release(farewell) // else it is free when this member is gone
			if mine.Err() != nil || errors.Is(err, ErrFenced) {
				return nil
			}
			return err
		case <-tick.C:
			err := c.KV.Update(mine, func(tx *kv.Tx) error { return l.Check(mine, tx) })
			if errors.Is(err, ErrFenced) {
				lost()
			}
		}
	}
}
