// Package sandbox keeps a pool of warm sandboxes over a driver.
//
// # What a sandbox goes through
//
// A sandbox is started for a function, or made from a stem cell: a sandbox whose interpreter is booted and
// whose bootstrap waits, with no function in it. Acquire hands it out for one invocation at a time; Release
// takes it back. An idle sandbox is frozen, after longer idle its memory is put aside, after longer still it
// is let go. While nobody calls, nothing runs, and in the end nothing is held.
//
// # Who may use which
//
// A warm sandbox is handed out only for the very key it was made for (account, function, version and a hash of
// what its configuration says): two functions never share one. A stem cell has seen no function.
//
// # Bounds
//
// Config bounds the number of sandboxes and the sum of their memory limits. A full pool first lets idle ones go
// (least recently used first, then stem cells); when all are busy Acquire answers ErrFull at once.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"lambent/sandbox/driver"
)

// ErrFull is returned by Acquire when every sandbox is busy and the pool's bounds are reached.
var ErrFull = errors.New("sandbox: pool is full")

// ErrClosed is returned by Acquire after Close.
var ErrClosed = errors.New("sandbox: pool is closed")

// Session is the pool user's end of the talk with one sandbox: it takes its output and serves its listener.
// The pool asks Config.NewSession for one before it starts a sandbox, so that not a line of output is lost.
type Session interface {
	// Outputs returns the writers for Spec.Stdout, Spec.Stderr and Spec.Log. It is called once, first.
	Outputs() (stdout, stderr, log io.Writer)
	// Serve accepts and serves connections until l is closed. The pool runs it in a goroutine that Kill waits for.
	Serve(l net.Listener)
	// Ready returns nil when the sandbox waits for work: a stem cell has asked for its assignment. The pool
	// calls it for stem cells only; ctx ends when the sandbox does, or takes too long.
	Ready(ctx context.Context) error
}

// Plan says how to get a sandbox for a function.
type Plan struct {
	Key   string      // function version; see "Who may use which"
	Fresh bool        // never a warm one: there are to be more than there are
	Spec  driver.Spec // the plain path: a fresh sandbox that starts as the function

	Stem   *Stem          // nil, or the kind of stem cell that can become this function
	Mounts []driver.Mount // into the stem cell, before it is handed out: the function's code
	// Limits for a stem cell that becomes this function are Spec.Limits.
}

// Stem is a kind of stem cell. Plans with stems of the same name share them, so Spec depends on the name alone.
type Stem struct {
	Name string // e.g. "nodejs20.x"
	Spec driver.Spec
}

// Origin says where an acquired sandbox came from.
type Origin int

const (
	Warm     Origin = iota // has run this function before
	FromStem               // was a stem cell until now: the caller sends the assignment
	Plain                  // started for this call
)

// Sandbox is a driver's sandbox in the hands of one caller, from Acquire to Release or Discard.
type Sandbox struct {
	driver.Sandbox
	Session Session   // made by Config.NewSession
	Key     string    // the plan's
	Origin  Origin    // of this Acquire
	Started time.Time // when the driver started it

	stem *stemKind     // the kind that it was started as, nil on the plain path
	work sync.Mutex    // held while it is frozen, thawed or reclaimed; taken before Pool.mu never after
	gone chan struct{} // closed when Session.Serve has returned

	// Guarded by Pool.mu.
	state   state
	since   time.Time // of the state
	memory  int64     // limit
	evicted bool      // kill it when it is released
}

// state is where a sandbox is in its life.
type state int

const (
	starting  state = iota // the driver has it, or it is a stem cell that boots
	ready                  // a stem cell that waits for a function
	busy                   // in a caller's hands
	idle                   // waits for the next call
	frozen                 // the same, and stopped
	reclaimed              // the same, and its memory put aside
	dead                   // ended, or being ended
)

// Config sets the pool's bounds. Zero values take the defaults; negative durations mean never.
type Config struct {
	NewSession func() Session // required
	Log        *slog.Logger   // of stem cells that do not start; nil discards

	MaxSandboxes int   // default 1000
	MaxMemory    int64 // sum of memory limits of sandboxes in callers' hands; default none

	MaxStems     int           // stem cells of one kind kept ready at most; default 8, negative for none
	FreezeAfter  time.Duration // idle time until frozen; default 1 s
	ReclaimAfter time.Duration // until its memory is put aside; default 30 s
	LetGoAfter   time.Duration // until it is killed; default 10 min
	StemIdle     time.Duration // without demand a kind's stem cells are let go; default 5 min
}

// setDefaults fills in what was left out.
func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	number := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	number(&c.MaxSandboxes, 1000)
	number(&c.MaxStems, 8)
	span := func(d *time.Duration, def time.Duration) {
		switch {
		case *d == 0:
			*d = def
		case *d < 0:
			*d = never
		}
	}
	span(&c.FreezeAfter, time.Second)
	span(&c.ReclaimAfter, 30*time.Second)
	span(&c.LetGoAfter, 10*time.Minute)
	span(&c.StemIdle, 5*time.Minute)
}

const never = 100 * 365 * 24 * time.Hour

// Pool is a bounded pool of sandboxes over one driver.
type Pool struct {
	driver driver.Driver
	config Config
	report driver.Report
	ctx    context.Context // of background work; ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // background goroutines
	wake   chan struct{}  // the keeper has something new to look at

	mu      sync.Mutex // guards what follows
	all     map[*Sandbox]bool
	count   int                   // all, and those about to be started
	idle    map[string][]*Sandbox // by key, the last released at the end
	stems   map[string]*stemKind
	kept    map[string]int // by key: how many idle ones stay, see Keep
	inHands int64          // memory limits of busy sandboxes
	closed  bool
	stats   Stats
}

// Stats counts what the pool holds and has done.
type Stats struct {
	Busy, Idle, Frozen, Reclaimed, Stems     int   // Idle includes Frozen, which includes Reclaimed
	MemoryLimit                              int64 // sum of the limits of Busy
	Warm, FromStem, Plain, Full, LetGo, Died int64 // counted since the start
}

// New returns a pool over d. Run keeps it; Close ends it. The driver stays the caller's.
func New(d driver.Driver, c Config) *Pool {
	c.setDefaults()
	p := &Pool{
		driver: d, config: c, report: d.Report(), wake: make(chan struct{}, 1),
		all: make(map[*Sandbox]bool), idle: make(map[string][]*Sandbox), stems: make(map[string]*stemKind), kept: make(map[string]int),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Acquire returns a sandbox for plan: a warm one, else a stem cell that has been given plan.Mounts and Limits, else
// a fresh one. It never waits for a stem cell to boot. Hand it back with Release or Discard.
func (p *Pool) Acquire(ctx context.Context, plan Plan) (*Sandbox, error) {
	if !plan.Fresh {
		if s := p.takeWarm(plan); s != nil {
			return s, nil
		}
	}
	if err := p.reserve(plan); err != nil {
		return nil, err
	}
	if s := p.takeStem(plan); s != nil {
		return s, nil
	}
	s, err := p.start(ctx, plan.Spec, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.count--
		p.inHands -= plan.Spec.MemoryBytes
		return nil, err
	}
	p.stats.Plain++
	p.handLocked(s, plan, Plain)
	return s, nil
}

// takeWarm takes the sandbox of this key that was used last, or returns nil.
// AcquireWarm returns an idle sandbox of plan.Key, or nil at once. Of the plan only Key and Spec.Limits are looked at, so a
// caller who remembers them need not make a whole plan for each call.
func (p *Pool) AcquireWarm(plan Plan) *Sandbox { return p.takeWarm(plan) }

func (p *Pool) takeWarm(plan Plan) *Sandbox {
	for {
		p.mu.Lock()
		list := p.idle[plan.Key]
		if len(list) == 0 || p.closed || p.overMemoryLocked(plan) {
			p.mu.Unlock()
			return nil
		}
		s := list[len(list)-1]
		p.dropIdleLocked(s)
		stopped := s.state == frozen || s.state == reclaimed
		p.inHands += plan.Spec.MemoryBytes
		p.handLocked(s, plan, Warm)
		p.mu.Unlock()

		s.work.Lock() // the keeper may just be freezing it
		var err error
		if stopped {
			err = s.Thaw()
		}
		s.work.Unlock()
		if err == nil && !s.ended() {
			p.mu.Lock()
			p.stats.Warm++
			p.mu.Unlock()
			return s
		}
		p.Discard(s)
	}
}

// reserve makes room for one more sandbox in a caller's hands.
func (p *Pool) reserve(plan Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.overMemoryLocked(plan) {
		p.stats.Full++
		return ErrFull
	}
	if p.count >= p.config.MaxSandboxes {
		// A ready stem cell that this plan can use needs no room of its own.
		usable := plan.Stem != nil && p.stems[plan.Stem.Name] != nil && len(p.stems[plan.Stem.Name].ready) > 0
		if victim := p.victimLocked(); victim != nil && !usable {
			p.stats.LetGo++
			p.endLocked(victim)
		} else if !usable {
			p.stats.Full++
			return ErrFull
		}
	}
	p.count++
	p.inHands += plan.Spec.MemoryBytes
	return nil
}

func (p *Pool) overMemoryLocked(plan Plan) bool {
	return p.config.MaxMemory > 0 && p.inHands+plan.Spec.MemoryBytes > p.config.MaxMemory
}

// victimLocked is the sandbox to let go when there must be room: the one idle the longest, else a stem cell.
func (p *Pool) victimLocked() *Sandbox {
	var oldest *Sandbox
	for _, list := range p.idle {
		if len(list) <= p.kept[list[0].Key] {
			continue
		}
		if s := list[0]; oldest == nil || s.since.Before(oldest.since) {
			oldest = s
		}
	}
	for _, k := range p.stems {
		if oldest == nil && len(k.ready) > 0 {
			oldest = k.ready[0]
		}
	}
	return oldest
}

// handLocked puts s into a caller's hands. The caller has counted its memory.
func (p *Pool) handLocked(s *Sandbox, plan Plan, from Origin) {
	s.Key, s.Origin, s.memory = plan.Key, from, plan.Spec.MemoryBytes
	s.state, s.since = busy, time.Now()
}

// start starts a sandbox with a session. Its place has been counted.
func (p *Pool) start(ctx context.Context, spec driver.Spec, kind *stemKind) (*Sandbox, error) {
	s := &Sandbox{Session: p.config.NewSession(), stem: kind, gone: make(chan struct{}), since: time.Now()}
	spec.Stdout, spec.Stderr, spec.Log = s.Session.Outputs()
	var err error
	if s.Sandbox, err = p.driver.Start(ctx, spec); err != nil {
		return nil, err
	}
	s.Started = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		go s.Kill() // Close no longer waits for it, but the driver's does
		return nil, ErrClosed
	}
	p.all[s] = true
	p.work.Go(func() { p.serve(s) })
	return s, nil
}

// serve runs the session for as long as the sandbox lives, and then forgets the sandbox.
func (p *Pool) serve(s *Sandbox) {
	s.Session.Serve(s.Listener())
	close(s.gone)
	s.Kill() // it may have ended by itself; what it held is to be free before it is forgotten
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s.state {
	case busy: // its caller will notice, and discard it
	case dead:
	default:
		p.stats.Died++
	}
	p.forgetLocked(s)
}

// forgetLocked takes s out of every list.
func (p *Pool) forgetLocked(s *Sandbox) {
	switch s.state {
	case idle, frozen, reclaimed:
		p.dropIdleLocked(s)
		s.state = dead
	case ready:
		s.stem.drop(s)
		s.state = dead
	case starting:
		s.state = dead
	}
	if p.all[s] {
		delete(p.all, s)
		p.count--
	}
}

// endLocked takes s out of its list and kills it in the background.
func (p *Pool) endLocked(s *Sandbox) {
	switch s.state {
	case idle, frozen, reclaimed:
		p.dropIdleLocked(s)
	case ready:
		s.stem.drop(s)
	case busy:
		p.inHands -= s.memory
	}
	s.state = dead
	if !p.closed { // else Close does it
		p.work.Go(s.Kill)
	}
}

// dropIdleLocked takes s out of the idle list of its key.
func (p *Pool) dropIdleLocked(s *Sandbox) {
	list := p.idle[s.Key]
	for i, x := range list {
		if x == s {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(p.idle, s.Key)
	} else {
		p.idle[s.Key] = list
	}
}

// ended reports whether the sandbox has ended by itself.
func (s *Sandbox) ended() bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// Release hands s back for the next call with the same key. A sandbox that has ended is discarded.
func (p *Pool) Release(s *Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.state != busy {
		return
	}
	if p.closed || s.evicted || s.ended() {
		p.endLocked(s)
		return
	}
	p.inHands -= s.memory
	s.state, s.since = idle, time.Now()
	p.idle[s.Key] = append(p.idle[s.Key], s)
	p.stirLocked()
}

// Discard kills s: after a timeout, a crash, or when what it was made from has changed. It does not wait.
func (p *Pool) Discard(s *Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.state == busy {
		p.endLocked(s)
	}
}

// Evict kills the idle sandboxes of key and those busy when they are released: the function was updated or deleted.
func (p *Pool) Evict(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.all {
		switch {
		case s.Key != key:
		case s.state == busy:
			s.evicted = true
		case s.state == idle || s.state == frozen || s.state == reclaimed:
			p.endLocked(s)
		}
	}
}

// Keep lets n idle sandboxes of key stay for as long as it is not called again with less: they are frozen, but their memory
// is not put aside, and no other function takes their place.
func (p *Pool) Keep(key string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > 0 {
		p.kept[key] = n
	} else {
		delete(p.kept, key)
	}
	p.stirLocked()
}

// Old returns the idle sandboxes of key of which old says so. It must not call the pool.
func (p *Pool) Old(key string, old func(Session) bool) []*Sandbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []*Sandbox
	for _, s := range p.idle[key] {
		if old(s.Session) {
			found = append(found, s)
		}
	}
	return found
}

// LetGo ends those of list that are idle.
func (p *Pool) LetGo(list []*Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range list {
		if s.state == idle || s.state == frozen || s.state == reclaimed {
			p.stats.LetGo++
			p.endLocked(s)
		}
	}
}

// Count returns how many sandboxes of key are there, idle or in a caller's hands.
func (p *Pool) Count(key string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.all {
		if s.Key == key && s.state != dead && !s.evicted {
			n++
		}
	}
	return n
}

// Stats returns a snapshot for metrics.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.stats
	st.MemoryLimit = p.inHands
	for s := range p.all {
		switch s.state {
		case busy:
			st.Busy++
		case ready:
			st.Stems++
		case reclaimed:
			st.Reclaimed++
			st.Frozen++
			st.Idle++
		case frozen:
			st.Frozen++
			st.Idle++
		case idle:
			st.Idle++
		}
	}
	return st
}

// Close kills every sandbox and waits. Acquire fails afterwards.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	var all []*Sandbox
	for s := range p.all {
		all = append(all, s)
	}
	p.stirLocked()
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(s.Kill)
	}
	wg.Wait()
	p.work.Wait()
	return nil
}

// stirLocked wakes the keeper.
func (p *Pool) stirLocked() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// String names the origin for logs and metrics.
func (o Origin) String() string {
	switch o {
	case Warm:
		return "warm"
	case FromStem:
		return "stem"
	case Plain:
		return "plain"
	}
	return fmt.Sprintf("Origin(%d)", int(o))
}
