// Package runtimeapi is the talk that AWS Lambda's runtimes hold with the cloud: the Runtime API of
// 2018-06-01 over HTTP/1.1, on a listener that only the sandbox can reach.
//
//	GET  /2018-06-01/runtime/invocation/next           wait for work; answers with the event
//	POST /2018-06-01/runtime/invocation/{id}/response  what the handler returned, or returns bit by bit
//	POST /2018-06-01/runtime/invocation/{id}/error     how the handler failed
//	POST /2018-06-01/runtime/init/error                the handler could not be loaded
//	GET  /lambent/stem/next                            a stem cell waits for its function
//
// This is the path that every warm invocation takes, so the HTTP is our own and lean: while a runtime
// waits in "next", whoever sends an invocation writes the answer into its connection directly, and
// what comes back is read by the connection's goroutine and handed over before the runtime gets its 202.
// On the other side stands foreign code: heads, bodies, chunks and the number of connections are bounded,
// and nothing that it sends can do more than fail its own function.
package runtimeapi

import (
	"errors"
	"net"
	"sync"
	"time"

	"lambent/invoke"
)

// maxConns bounds the connections of one sandbox; a runtime needs one or two.
const maxConns = 64

// stuckWrite is how long a runtime may take to read an answer.
const stuckWrite = 30 * time.Second

// New makes the talk with one sandbox.
func New() invoke.Talk {
	return &line{events: make(chan invoke.Event, 8), conns: map[*conn]struct{}{}}
}

// A line is the talk with one sandbox.
type line struct {
	events  chan invoke.Event
	running sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	conns      map[*conn]struct{}
	ready      bool               // the first "next" came
	initFailed bool               // an init error came instead
	idle       *conn              // waits in "next"
	pending    *invoke.Invocation // sent while nobody waited
	current    string             // request id under way
	sink       invoke.Sink        // of that; may be nil
	reading    bool               // one connection reads an answer: so a sandbox costs the memory of one
	stem       *conn              // waits in "stem/next"
	assigned   bool
	assignment []byte // given while no stem waited
}

var (
	errClosed   = errors.New("runtime api: the talk is closed")
	errBusy     = errors.New("runtime api: an invocation is under way")
	errAssigned = errors.New("runtime api: the stem cell has its function already")
)

// Events implements invoke.Talk.
func (l *line) Events() <-chan invoke.Event { return l.events }

// Assign implements invoke.Talk.
func (l *line) Assign(body []byte) error {
	l.mu.Lock()
	if l.closed || l.assigned {
		defer l.mu.Unlock()
		if l.closed {
			return errClosed
		}
		return errAssigned
	}
	l.assigned = true
	c := l.stem
	l.stem = nil
	if c == nil {
		l.assignment = body
	}
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.writeAssignment(body)
}

// Send implements invoke.Talk.
func (l *line) Send(inv *invoke.Invocation) error {
	l.mu.Lock()
	if l.closed || l.current != "" || l.pending != nil {
		defer l.mu.Unlock()
		if l.closed {
			return errClosed
		}
		return errBusy
	}
	c := l.idle
	l.idle = nil
	if c == nil {
		l.pending = inv
	} else {
		l.current, l.sink = inv.RequestID, inv.Sink
	}
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.writeInvocation(inv)
}

// Serve implements invoke.Talk.
func (l *line) Serve(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			break
		}
		if c := newConn(l, nc); l.add(c) {
			go c.serve()
		} else {
			nc.Close()
		}
	}
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		c.nc.Close()
	}
	l.mu.Unlock()
	l.running.Wait()
}

// Withdraw implements invoke.Talk.
func (l *line) Withdraw() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.pending != nil
	l.pending = nil
	return was
}

func (l *line) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= maxConns {
		return false
	}
	l.conns[c] = struct{}{}
	l.running.Add(1)
	return true
}

func (l *line) remove(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	if l.idle == c {
		l.idle = nil
	}
	if l.stem == c {
		l.stem = nil
	}
	l.mu.Unlock()
	l.running.Done()
}

// say hands an event over. The channel holds more than one life of a sandbox can say at a time; should
// nobody listen any more, the event is of no use to anyone.
func (l *line) say(e invoke.Event) {
	select {
	case l.events <- e:
	default:
	}
}

// askNext notes that c waits for an invocation. It returns one that is there already; ok is false when the
// runtime may not ask now.
func (l *line) askNext(c *conn) (inv *invoke.Invocation, ok bool) {
	l.mu.Lock()
	if l.current != "" || l.initFailed || (l.idle != nil && l.idle != c) {
		l.mu.Unlock()
		return nil, false
	}
	first := !l.ready
	l.ready = true
	if inv = l.pending; inv != nil {
		l.pending, l.current, l.sink = nil, inv.RequestID, inv.Sink
	} else {
		l.idle = c
	}
	l.mu.Unlock()
	if first {
		l.say(invoke.Event{Kind: invoke.Ready})
	}
	return inv, true
}

// askStem notes that c waits for an assignment, and returns it when it is there already.
func (l *line) askStem(c *conn) (body []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready || l.initFailed || l.stem != nil || (l.assigned && l.assignment == nil) {
		return nil, false
	}
	if body = l.assignment; body != nil {
		l.assignment = nil
		return body, true
	}
	l.stem = c
	l.say(invoke.Event{Kind: invoke.StemReady})
	return nil, true
}

// waiting says whether c has an unanswered "next".
func (l *line) waiting(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle == c || l.stem == c
}

// claim lets a connection read the answer to the invocation id, and no other at the same time.
func (l *line) claim(id []byte) (sink invoke.Sink, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading || l.current == "" || l.current != string(id) {
		return nil, false
	}
	l.reading = true
	return l.sink, true
}

// claimInit lets a connection read why the function cannot start.
func (l *line) claimInit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading || l.ready || l.initFailed {
		return false
	}
	l.reading = true
	return true
}

// release gives a claim back: its answer did not arrive whole.
func (l *line) release() {
	l.mu.Lock()
	l.reading = false
	l.mu.Unlock()
}

// finish ends what was claimed with e.
func (l *line) finish(e invoke.Event) {
	l.mu.Lock()
	e.RequestID = l.current
	l.current, l.sink = "", nil
	l.reading = false
	if e.Kind == invoke.InitFailed {
		l.initFailed = true
	}
	l.mu.Unlock()
	l.say(e)
}
