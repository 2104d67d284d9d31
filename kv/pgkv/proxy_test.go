package pgkv_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between the engine and its server and breaks connections at a chosen moment.
type proxy struct {
	listener net.Listener
	to       string
	fault    atomic.Pointer[fault] // of the next chunk in its direction

	mu    sync.Mutex // guards conns
	conns []net.Conn
	wg    sync.WaitGroup
}

// fault is what happens to the next chunk that the client sends, or the server.
type fault struct {
	fromServer bool
	hold       chan struct{} // nil: the chunk is lost; else it is passed on when this is closed
	happened   chan struct{} // closed when it has happened
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &proxy{listener: l, to: to}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cutAll()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, s)
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(c, s, false) })
		p.wg.Go(func() { p.pass(s, c, true) })
	}
}

// pass copies chunks until one side ends or a fault happens.
func (p *proxy) pass(from, to net.Conn, fromServer bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if f := p.fault.Load(); n > 0 && f != nil && f.fromServer == fromServer && p.fault.CompareAndSwap(f, nil) {
			if f.hold != nil {
				from.Close() // the client sees a broken connection while the server waits for the chunk
				close(f.happened)
				<-f.hold
				_, _ = to.Write(buf[:n])
				_, _ = io.Copy(io.Discard, to)
				return
			}
			close(f.happened)
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cutAll breaks all connections.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// next arms a fault.
func (p *proxy) next(f *fault) *fault {
	f.happened = make(chan struct{})
	p.fault.Store(f)
	return f
}
