package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Server serves a handler on one listener, plain HTTP and TLS alike: the first byte of a connection
// tells which.
type Server struct {
	Handler http.Handler
	TLS     *tls.Config  // nil: no TLS
	Log     *slog.Logger // nil: nothing is logged

	// Grace is how long requests in flight may take once Run's context has ended; 0 is 30 seconds.
	Grace time.Duration
}

// Run serves until ctx ends, then lets requests in flight finish within the grace period, and returns
// when no connection is left. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	logger := s.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var handlers sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			s.Handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if s.TLS != nil {
		server.TLSConfig = s.TLS.Clone()
	}
	door := newDoor(l, server.TLSConfig)
	defer door.wait()

	served := make(chan error, 1)
	go func() { served <- server.Serve(door) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace := s.Grace
	if grace == 0 {
		grace = 30 * time.Second
	}
	drain, stop := context.WithTimeout(base, grace)
	defer stop()
	err := server.Shutdown(drain)
	if err != nil { // what is still running sees its context end, then its connection
		cancel()
		logger.Warn("requests were cut off at the end of the grace period", "grace", grace)
		err = server.Close()
	}
	<-served
	handlers.Wait()
	return err
}

// A door is a listener whose connections have shown their first byte. Waiting for it must not keep
// other connections out, so each waits in a goroutine of its own.
type door struct {
	net.Listener
	tls   *tls.Config
	ready chan net.Conn
	slots chan struct{}   // one for each connection that has not shown its first byte
	open  context.Context // ends when the door is closed, for the reason that Accept gives
	shut  context.CancelCauseFunc
	greet sync.WaitGroup
}

func newDoor(l net.Listener, config *tls.Config) *door {
	d := &door{Listener: l, tls: config, ready: make(chan net.Conn), slots: make(chan struct{}, maxGreetings)}
	d.open, d.shut = context.WithCancelCause(context.Background())
	d.greet.Go(d.accept)
	return d
}

// accept takes connections until the listener is closed.
func (d *door) accept() {
	pause := 5 * time.Millisecond
	for {
		conn, err := d.Listener.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			select {
			case d.slots <- struct{}{}:
				d.greet.Go(func() { d.admit(conn) })
			case <-d.open.Done():
				conn.Close()
			}
			continue
		}
		// Out of file descriptors, for one: it passes.
		if ne := net.Error(nil); errors.As(err, &ne) && !errors.Is(err, net.ErrClosed) {
			select {
			case <-time.After(pause):
				pause = min(2*pause, time.Second)
				continue
			case <-d.open.Done():
			}
		}
		d.shut(err)
		return
	}
}

// admit reads the first byte and hands the connection on.
func (d *door) admit(conn net.Conn) {
	defer func() { <-d.slots }()
	_ = conn.SetReadDeadline(time.Now().Add(headerTimeout))
	// Close must not wait for a silent client.
	unblock := context.AfterFunc(d.open, func() { _ = conn.SetReadDeadline(time.Now()) })
	var first [1]byte
	_, err := io.ReadFull(conn, first[:])
	if !unblock() || err != nil {
		conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	var out net.Conn = &begun{Conn: conn, first: first, unread: true}
	if first[0] == tlsHandshake && d.tls != nil {
		out = tls.Server(out, d.tls)
	}
	select {
	case d.ready <- out:
	case <-d.open.Done():
		conn.Close()
	}
}

// tlsHandshake is the first byte of every TLS connection: the record type of a ClientHello.
const tlsHandshake = 0x16

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.ready:
		return conn, nil
	case <-d.open.Done():
		return nil, context.Cause(d.open)
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	err := d.Listener.Close()
	d.shut(net.ErrClosed)
	return err
}

// wait returns when no connection is waiting at the door.
func (d *door) wait() {
	_ = d.Close()
	d.greet.Wait()
}

// begun is a connection whose first byte was read already.
type begun struct {
	net.Conn
	first  [1]byte
	unread bool
}

func (c *begun) Read(p []byte) (int, error) {
	if !c.unread || len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.unread = false
	p[0] = c.first[0]
	return 1, nil
}
