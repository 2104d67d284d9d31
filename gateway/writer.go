package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// A writer notes what was sent.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController

	status            int
	bytes             int64
	begun             bool
	deadlineEachWrite bool // for endpoints, which write when they like
	until             time.Time
}

func (w *writer) WriteHeader(status int) {
	if status < 200 { // informational replies precede the real one
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.begun {
		return
	}
	w.status, w.begun = status, true
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.deadlineEachWrite {
		w.deadline()
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what was written. Until the next write any time may pass.
func (w *writer) FlushError() error { return pushWriter{w}.sent() }

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// deadline gives the client bodyTimeout more to take what is written.
func (w *writer) deadline() {
	w.until = pushed(w.until, w.control.SetWriteDeadline)
}

// A pushWriter sends every write at once. Between two of them any time may pass.
type pushWriter struct{ w *writer }

func (p pushWriter) Write(b []byte) (int, error) {
	p.w.deadline()
	n, err := p.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, p.sent()
}

// sent flushes and lifts the deadline, which over HTTP/2 would end the reply when it passes.
func (p pushWriter) sent() error {
	if err := p.w.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	p.w.until = time.Time{}
	_ = p.w.control.SetWriteDeadline(time.Time{}) // writers in tests have no deadlines
	return nil
}

// pushed sets a deadline bodyTimeout from now, unless one nearly as far stands already.
func pushed(until time.Time, set func(time.Time) error) time.Time {
	now := time.Now()
	if until.Sub(now) > bodyTimeout-time.Second {
		return until
	}
	until = now.Add(bodyTimeout)
	_ = set(until) // writers in tests have no deadlines
	return until
}

// A pacedBody is a request body whose sender must not pause longer than bodyTimeout.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	until   time.Time
	done    bool
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.done {
		return b.ReadCloser.Read(p)
	}
	b.until = pushed(b.until, b.control.SetReadDeadline)
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// A deadline that stays would end the connection while the operation runs.
		b.done = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close implements io.Closer.
func (b *pacedBody) Close() error {
	if !b.done {
		b.done = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return b.ReadCloser.Close()
}
