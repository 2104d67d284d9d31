package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"lambent/cluster"
	"lambent/invoke"
)

// openCluster makes this process a member of those that share the store, if it is one that can be shared.
func (p *cloudParts) openCluster() error {
	if p.config.Store != "" {
		if err := p.join(); err != nil {
			return err
		}
	}
	p.background("blob sweeper", p.alone("blob sweeper", p.sweepBlobs))
	return nil
}

func (p *cloudParts) join() error {
	config := cluster.Config{KV: p.store.In("cluster"), Key: p.derivedKey("cluster"), Log: p.log}
	if at := p.config.PeerListen; at != "" {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return fmt.Errorf("%w; choose another address with --peer-listen", err)
		}
		p.onClose(func() error { return ignoreClosed(l.Close()) })
		p.background("peers", func(ctx context.Context) error { return p.servePeers(ctx, l) })
		config.Address = l.Addr().String()
	}
	p.cluster = cluster.New(config)
	p.store.OnNotify(p.cluster.Notified)
	if err := p.cluster.Join(context.Background()); err != nil {
		return err
	}
	p.onClose(func() error { return p.cluster.Leave(context.Background()) })
	p.background("cluster", p.cluster.Run)
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// derivedKey makes a key for one purpose out of the one that the servers of a cloud share.
func (p *cloudParts) derivedKey(purpose string) []byte {
	m := hmac.New(sha256.New, p.master)
	m.Write([]byte("lambent " + purpose))
	return m.Sum(nil)
}

// peerTimeout bounds a message of another server.
const peerTimeout = 5 * time.Second

// servePeers takes what other servers tell until ctx ends.
func (p *cloudParts) servePeers(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: p.cluster.Handler(p.store.Wake), ReadTimeout: peerTimeout, WriteTimeout: peerTimeout, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// members are the processes that share the store; nil when this one is alone.
func (p *cloudParts) members() invoke.Members {
	if p.cluster == nil {
		return nil
	}
	return p.cluster
}

// node is this process's name among those that share the store; "" when it is alone.
func (p *cloudParts) node() string {
	if p.cluster == nil {
		return ""
	}
	return p.cluster.Name()
}

// alone makes background work that one of the servers does for all.
func (p *cloudParts) alone(name string, work func(context.Context) error) func(context.Context) error {
	if p.cluster == nil {
		return work
	}
	return func(ctx context.Context) error {
		return p.cluster.Lead(ctx, name, func(ctx context.Context, _ *cluster.Lease) error { return work(ctx) })
	}
}
