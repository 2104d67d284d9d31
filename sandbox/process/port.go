package process

import (
	"net"
	"sync"
)

// A port serves the connections that a sandbox makes to one address on its loopback.
type port struct {
	listener net.Listener
	serve    func(net.Conn)
	free     chan struct{} // one token for each connection that may still be opened
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]bool
	closed bool
}

func newPort(l net.Listener, serve func(net.Conn)) *port {
	return &port{listener: l, serve: serve, free: make(chan struct{}, maxPortConns), conns: make(map[net.Conn]bool)}
}

// run accepts until close.
func (p *port) run() {
	p.running.Go(func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.free <- struct{}{} // connections beyond the bound wait in the listener's queue
			if !p.add(c) {
				c.Close()
				return
			}
			p.running.Go(func() {
				defer func() {
					c.Close()
					p.drop(c)
					<-p.free
				}()
				p.serve(c)
			})
		}
	})
}

func (p *port) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *port) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// close ends all connections and waits for those who serve them.
func (p *port) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
