package app

import (
	"net"
	"sync"
)

// innerListener is a listener whose connections come from inside sandboxes: a function that opens the
// cloud's address on its own loopback is connected to the gateway like any client.
type innerListener struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newInnerListener(addr net.Addr) *innerListener {
	return &innerListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *innerListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *innerListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *innerListener) Addr() net.Addr { return l.addr }

// serve hands a connection to the gateway and returns when it has been closed.
func (l *innerListener) serve(c net.Conn) {
	w := &watchedConn{Conn: c, closed: make(chan struct{})}
	select {
	case l.conns <- w:
		<-w.closed
	case <-l.done:
		c.Close()
	}
}

// watchedConn says when it is closed.
type watchedConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (c *watchedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}
