package invoke

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"lambent/runtimes"
	"lambent/sandbox"
)

// maxTail is how much of the log an invocation with LogType Tail gives back.
const maxTail = 4 << 10

// maxEarly bounds what a sandbox may write before it is a function's.
const maxEarly = 256 << 10

// settle is how long output that a handler has written may still be on its way when its answer is here.
const settle = 2 * time.Millisecond

// A Session is our end of one sandbox: the talk with its runtime, and its log.
type Session struct {
	talk Talk
	logs *Logs

	stdout, stderr lines
	frames         *runtimes.Frames

	mu       sync.Mutex
	stream   *logStream // nil until the sandbox is a function's
	early    []LogEvent // written before that
	earlyLen int
	records  int     // written so far
	ending   *report // an invocation whose END is not yet written
	endTimer *time.Timer
	tail     []byte
	wantTail bool
	ended    bool
	free     func() // gives the code folder back
	expires  time.Time
}

var _ sandbox.Session = (*Session)(nil)

// Sessions returns what the pool asks for each new sandbox.
func Sessions(logs *Logs, talk func() Talk) func() sandbox.Session {
	return func() sandbox.Session {
		s := &Session{talk: talk(), logs: logs}
		s.stdout.session, s.stderr.session = s, s
		s.frames = runtimes.NewFrames(func(at time.Time, record []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.writeLocked(at, string(record))
		})
		return s
	}
}

// Outputs implements sandbox.Session.
func (s *Session) Outputs() (stdout, stderr, log io.Writer) { return &s.stdout, &s.stderr, s.frames }

// Serve implements sandbox.Session.
func (s *Session) Serve(l net.Listener) {
	s.talk.Serve(l)
	s.mu.Lock()
	s.ended = true
	free := s.free
	s.free = nil
	s.endLocked()
	s.mu.Unlock()
	if free != nil {
		free()
	}
}

// Ready implements sandbox.Session: a stem cell has asked for its function.
func (s *Session) Ready(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case e := <-s.talk.Events():
		if e.Kind != StemReady {
			return errors.New("invoke: a stem cell did not ask for its function")
		}
		return nil
	}
}

// adopt makes the sandbox fn's: what it has written so far, and all it will write, goes to stream. The code
// folder is kept until the sandbox ends.
func (s *Session) adopt(fn *Function, stream string, expires time.Time, free func()) {
	s.mu.Lock()
	s.stream = &logStream{account: fn.Account, region: fn.Region, group: fn.LogGroup, name: stream}
	s.expires = expires
	if !s.ended {
		s.free, free = free, nil
	}
	early := s.early
	s.early = nil
	s.mu.Unlock()
	if free != nil {
		free()
	}
	if len(early) > 0 {
		s.logs.add(s.stream, early...)
	}
}

// expired tells whether the function's credentials end soon, at the latest during a call that begins now.
func (s *Session) expired(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.expires.IsZero() && s.expires.Sub(now) < credentialMargin
}

// note writes a line of the platform.
func (s *Session) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked(time.Now(), line)
}

// begin writes START.
func (s *Session) begin(r *report, wantTail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked()
	s.tail, s.wantTail = s.tail[:0], wantTail
	if r.fn.systemLogs() {
		s.writeLocked(time.Now(), r.start())
	}
}

// finish writes END and REPORT a moment later, so that what the handler wrote just before it answered stands
// before them, and nobody waits for it.
func (s *Session) finish(r *report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = r
	if s.endTimer == nil {
		s.endTimer = time.AfterFunc(settle, s.end)
	} else {
		s.endTimer.Reset(settle)
	}
}

// finishNow is finish for a caller who wants the end of the log with the answer, or is about to kill the sandbox.
func (s *Session) finishNow(r *report) []byte {
	s.awaitQuiet()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = r
	s.endLocked()
	tail := s.tail
	s.tail, s.wantTail = nil, false
	return tail[max(0, len(tail)-maxTail):]
}

// awaitQuiet waits until nothing has been written for a moment, but not long.
func (s *Session) awaitQuiet() {
	written := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.records
	}
	last := written()
	for range 10 {
		time.Sleep(settle)
		now := written()
		if now == last {
			return
		}
		last = now
	}
}

func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked()
}

func (s *Session) endLocked() {
	r := s.ending
	if r == nil {
		return
	}
	s.ending = nil
	s.stdout.flushLocked()
	s.stderr.flushLocked()
	now := time.Now()
	if r.out.line != "" {
		s.writeLocked(now, r.out.line)
	}
	if !r.fn.systemLogs() {
		return
	}
	for _, line := range r.end() {
		s.writeLocked(now, line)
	}
}

func (s *Session) writeLocked(at time.Time, record string) {
	if record == "" {
		return
	}
	s.records++
	if s.wantTail {
		s.tailLocked(record)
	}
	e := LogEvent{at, record}
	switch {
	case s.stream != nil:
		s.logs.add(s.stream, e)
	case s.earlyLen < maxEarly:
		s.early, s.earlyLen = append(s.early, e), s.earlyLen+len(record)
	}
}

func (s *Session) tailLocked(record string) {
	s.tail = append(s.tail, record...)
	if record[len(record)-1] != '\n' {
		s.tail = append(s.tail, '\n')
	}
	if len(s.tail) > 2*maxTail {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-maxTail:]...)
	}
}

// lines turns a stream of bytes into records, one a line.
type lines struct {
	session *Session
	partial []byte // guarded by session.mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, more, found := bytes.Cut(rest, []byte{'\n'})
		rest = more
		if found {
			line = append(append(l.partial, line...), '\n')
			l.partial = l.partial[:0]
			l.session.writeLocked(time.Now(), string(line))
			continue
		}
		if l.partial = append(l.partial, line...); len(l.partial) > maxRecord {
			l.flushLocked()
		}
	}
	return len(p), nil
}

func (l *lines) flushLocked() {
	if len(l.partial) > 0 {
		l.session.writeLocked(time.Now(), string(l.partial))
		l.partial = l.partial[:0]
	}
}

func (f *Function) systemLogs() bool { return f.SystemLogLevel != "WARN" || !f.JSONLogs }

// streamName makes the name of a new log stream, as AWS does: 2024/01/02/[$LATEST]58419525dade4d17a495dceeeed44708.
func streamName(version string, now time.Time) string {
	var id [16]byte
	rand.Read(id[:])
	return now.UTC().Format("2006/01/02/") + "[" + version + "]" + hex.EncodeToString(id[:])
}
