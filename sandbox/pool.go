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
	"io"
	"net"
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
	Key  string      // function version; see "Who may use which"
	Spec driver.Spec // the plain path: a fresh sandbox that starts as the function

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

	pool   *Pool
	limits driver.Limits
	served chan struct{} // closed when Session.Serve has returned
	state  state
	since  time.Time // of the state
	stem   string    // name of the stem kind it waits as, "" when it is a function's
}

// Config sets the pool's bounds. Zero values take the defaults; negative durations mean never.
type Config struct {
	NewSession func() Session // required

	MaxSandboxes int   // default 1000
	MaxMemory    int64 // sum of memory limits of sandboxes in use; default none

	MaxStems     int           // stem cells of one kind kept ready at most; default 8
	FreezeAfter  time.Duration // idle time until frozen; default 1 s
	ReclaimAfter time.Duration // until its memory is put aside; default 30 s
	LetGoAfter   time.Duration // until it is killed; default 10 min
	StemIdle     time.Duration // without demand a kind's stem cells are let go; default 5 min
}

// Pool is a bounded pool of sandboxes over one driver.
type Pool struct{}

// New returns a pool over d. Run keeps it; Close ends it. The driver stays the caller's.
func New(d driver.Driver, c Config) *Pool { return &Pool{} }

// Run freezes, reclaims, lets go and refills stem cells until ctx ends. It returns after Close's work is done.
func (p *Pool) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Acquire returns a sandbox for plan: a warm one, else a stem cell that has been given plan.Mounts and Limits, else
// a fresh one. It never waits for a stem cell to boot. Hand it back with Release or Discard.
func (p *Pool) Acquire(ctx context.Context, plan Plan) (*Sandbox, error) { return nil, errors.ErrUnsupported }

// Release hands s back for the next call with the same key. A sandbox that has ended is discarded.
func (p *Pool) Release(s *Sandbox) {}

// Discard kills s: after a timeout, a crash, or when what it was made from has changed.
func (p *Pool) Discard(s *Sandbox) {}

// Evict kills the idle sandboxes of key and those busy when they are released: the function was updated or deleted.
func (p *Pool) Evict(key string) {}

// Expect starts stem cells of a kind in the background: a function that could use one has been deployed.
func (p *Pool) Expect(stem *Stem) {}

// Stats returns a snapshot for metrics.
func (p *Pool) Stats() Stats { return Stats{} }

// Close kills every sandbox and waits. Acquire fails afterwards.
func (p *Pool) Close() error { return nil }

// Stats counts what the pool holds and has done.
type Stats struct {
	Busy, Idle, Frozen, Reclaimed, Stems     int
	MemoryLimit                              int64 // sum of the limits of Busy
	Warm, FromStem, Plain, Full, LetGo, Died int64 // counted since the start
}

type state int
