// Package cluster is what the servers of one store know of each other: who is alive, who holds which lease, and that
// something has changed.
//
// # Who is alive
//
// Each process is a member under a name of its own, made at its start. It counts a number in its row up every two
// seconds and looks at those of the others. A member whose number stands still for ten seconds, by the clock of the one who looks,
// is dead; one that left in good order has no row. Clocks of different servers are never compared.
//
// # Leases
//
// A lease is a row with its owner and a fencing number, which grows with each owner. It is free when its owner is dead.
// A member that was only slow may still believe that it holds the lease; therefore every transaction that it writes as
// the owner calls [Lease.Check], which fails once somebody else has taken over. What the owner does outside of
// transactions may happen twice.
//
// # Wake-ups
//
// After a commit that notified topics, a member tells the others, who wake those who watch there. Wake-ups may be lost:
// watchers look by themselves as well. They travel by HTTP, signed with a key that all servers of the cloud have.
//
// # Keys
//
//	node   NAME   a member: where it listens, how far it has counted
//	lease  NAME   who holds it, and its fencing number
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lambent/kv"
)

// Times of the members.
const (
	beatEvery   = 2 * time.Second
	deadAfter   = 10 * time.Second
	forgetAfter = 10 * time.Minute // a dead member's row
)

// Config is what a member needs.
type Config struct {
	KV      *kv.Store // a room of its own
	Address string    // host:port at which the others reach Handler; "" when they cannot
	Key     []byte    // that the servers of the cloud share
	Log     *slog.Logger
}

// Cluster is this process as a member.
type Cluster struct {
	Config
	name string
	wake waker

	mu     sync.Mutex // guards the fields below
	beat   uint64
	others map[string]*member
	held   map[string]bool // leases of this process
}

// member is another process as this one sees it.
type member struct {
	memberRow
	changed time.Time // when its number was seen to grow
}

type memberRow struct {
	Address string
	Beat    uint64
}

func memberKey(name string) []byte { return kv.Key("node", name) }

// New makes a member with a new name. The others see it once Join is called.
func New(c Config) *Cluster {
	cl := &Cluster{Config: c, name: rand.Text(), others: map[string]*member{}, held: map[string]bool{}}
	cl.wake.init(c)
	return cl
}

// Name is the member's own, which no other process has or ever had.
func (c *Cluster) Name() string { return c.name }

// Join writes the member's row and looks at the others. It is called before anything asks Alive.
func (c *Cluster) Join(ctx context.Context) error { return c.step(ctx) }

// Run counts until ctx ends. For a while after that the others still take this member for alive, so that its work can
// come to rest before it leaves.
func (c *Cluster) Run(ctx context.Context) error {
	var sender sync.WaitGroup
	sender.Go(func() { c.wake.run(ctx, c.peers) })
	defer sender.Wait()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := c.step(ctx); err != nil && ctx.Err() == nil {
				c.Log.WarnContext(ctx, "cluster: the store failed", "error", err)
			}
		}
	}
}

// step counts this member up and looks at the others.
func (c *Cluster) step(ctx context.Context) error {
	c.mu.Lock()
	c.beat++
	row := memberRow{c.Address, c.beat}
	c.mu.Unlock()
	err := c.KV.Update(ctx, func(tx *kv.Tx) error { return kv.PutRow(tx, memberKey(c.name), row) })
	if err != nil {
		return err
	}
	rows, err := c.read(ctx)
	if err != nil {
		return err
	}
	return c.forget(ctx, c.observe(rows, time.Now()))
}

func (c *Cluster) read(ctx context.Context) (rows map[string]memberRow, err error) {
	err = c.KV.View(ctx, func(r kv.Reader) error {
		rows = map[string]memberRow{}
		found, err := r.Scan(ctx, kv.Prefix("node"))
		for _, f := range found {
			parts, err := kv.Unkey(f.Key)
			if err != nil {
				return err
			}
			var row memberRow
			if err := kv.DecodeRow(f.Value, &row); err != nil {
				return err
			}
			rows[parts[1].(string)] = row
		}
		return err
	})
	return rows, err
}

// observe notes who has counted on, and returns those who stand still for so long that they can be forgotten.
func (c *Cluster) observe(rows map[string]memberRow, now time.Time) (long map[string]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	long = map[string]uint64{}
	for name := range c.others {
		if _, there := rows[name]; !there {
			delete(c.others, name)
		}
	}
	for name, row := range rows {
		m := c.others[name]
		switch {
		case name == c.name:
		case m == nil || m.Beat != row.Beat:
			c.others[name] = &member{row, now}
		case now.Sub(m.changed) > forgetAfter:
			long[name] = row.Beat
		}
	}
	return long
}

// forget removes rows of members that still stand where they stood.
func (c *Cluster) forget(ctx context.Context, long map[string]uint64) error {
	for name, beat := range long {
		err := c.KV.Update(ctx, func(tx *kv.Tx) error {
			var row memberRow
			found, err := kv.GetRow(ctx, tx, memberKey(name), &row)
			if found && row.Beat == beat {
				tx.Delete(memberKey(name))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveFor bounds the farewell, when the store may be gone as well.
const leaveFor = 2 * time.Second

// Leave says farewell: from now on the others take this member for dead. It is called after Run has returned.
func (c *Cluster) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveFor)
	defer cancel()
	err := c.KV.Update(ctx, func(tx *kv.Tx) error { tx.Delete(memberKey(c.name)); return nil })
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrUnknown) {
		return nil // the others will notice
	}
	return err
}

// Alive says whether a member lives, as far as this one has seen. One that has left is dead, and so is a name that was
// never there. In doubt, also when the store fails, it is alive.
func (c *Cluster) Alive(ctx context.Context, name string) bool {
	if alive, known := c.seen(name); known {
		return alive
	}
	rows, err := c.read(ctx) // it may have joined since we looked
	if err != nil {
		return true
	}
	c.observe(rows, time.Now())
	alive, _ := c.seen(name)
	return alive
}

func (c *Cluster) seen(name string) (alive, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.others[name]
	return name == c.name || c.aliveLocked(m), name == c.name || m != nil
}

func (c *Cluster) aliveLocked(m *member) bool { return m != nil && time.Since(m.changed) < deadAfter }

// Members returns how many members live, this one included.
func (c *Cluster) Members() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 1
	for _, m := range c.others {
		if c.aliveLocked(m) {
			n++
		}
	}
	return n
}

// peers returns where the other living members listen.
func (c *Cluster) peers() (addresses []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.others {
		if m.Address != "" && c.aliveLocked(m) {
			addresses = append(addresses, m.Address)
		}
	}
	return addresses
}
