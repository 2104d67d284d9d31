// Package app wires a cloud together: it reads the configuration, opens the stores, builds every room
// with plain constructors, fits their small interfaces to each other, runs them, and closes them in the
// reverse order. It is the only package that may import every other.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/cli"
	"lambent/cluster"
	"lambent/gateway"
	"lambent/gateway/ca"
	"lambent/kv"
	"lambent/service"
	"lambent/trace"
	"lambent/trace/otlp"
)

// Version is what `lambent version` prints; a release sets it with -ldflags.
var Version = "0.1.0-dev"

// cloudParts are the parts of a running cloud, in the order in which they were opened.
type cloudParts struct {
	config *Config
	log    *slog.Logger
	data   dataFolder
	key    cli.RootKey
	master []byte

	listener net.Listener
	domain   string
	inner    *innerListener // connections from inside sandboxes
	registry *prometheus.Registry
	tracer   *trace.Tracer  // nil when nobody wants traces,
	exporter *otlp.Exporter // so is this

	ca            *ca.CA
	store         *kv.Store
	format        int           // of the store
	readOnly      bool          // nothing is written in the data folder
	bucket        driver.Bucket // of blobs
	blobs         *blob.Store
	cluster       *cluster.Cluster // nil when no other process shares the store
	services      []service.Service
	resourceTypes []string // of templates
	gateway       *gateway.Gateway
	running       []runner

	closers []func() error // run last to first
}

// A runner is background work that ends with its context.
type runner struct {
	name string
	run  func(context.Context) error
}

// Run opens a cloud, serves it until ctx ends, and closes it. ready is called once, when it answers.
func Run(ctx context.Context, config *Config, logTo io.Writer, ready func(cli.Running)) (err error) {
	limitMemory()
	p := &cloudParts{config: config, log: newLog(config, logTo), registry: prometheus.NewRegistry()}
	p.background("memory", settle)
	defer func() {
		for _, c := range backward(p.closers) {
			err = errors.Join(err, c())
		}
	}()
	for _, open := range []func() error{p.openData, p.listen, p.openStores, p.openCluster, p.openCA, p.openTraces, p.openProfiles, p.openServices} {
		if err := open(); err != nil {
			return err
		}
	}
	return p.serve(ctx, ready)
}

func backward[T any](s []T) []T {
	out := make([]T, 0, len(s))
	for i := len(s) - 1; i >= 0; i-- {
		out = append(out, s[i])
	}
	return out
}

func newLog(c *Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked by Load
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// onClose adds what is to be done at the end, before everything that was opened earlier is closed.
func (p *cloudParts) onClose(f func() error) { p.closers = append(p.closers, f) }

// background adds work that runs as long as the cloud.
func (p *cloudParts) background(name string, run func(context.Context) error) {
	p.running = append(p.running, runner{name, run})
}

func (p *cloudParts) openData() (err error) {
	if p.data, err = openData(p.config); err != nil {
		return err
	}
	p.onClose(p.data.close)
	if err := p.data.refuseHalf(); err != nil {
		return err
	}
	if p.master, err = p.data.masterKey(); err != nil {
		return err
	}
	p.key, err = p.data.rootKey(p.config)
	return err
}

func (p *cloudParts) listen() error {
	l, err := net.Listen("tcp", p.config.Listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen, or --listen 127.0.0.1:0 for any free port", err)
	}
	p.listener = l
	p.onClose(func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if p.domain = p.config.Domain; p.domain == "" {
		p.domain = "localhost:" + port
	}
	p.inner = newInnerListener(l.Addr())
	return nil
}

func (p *cloudParts) openCA() (err error) {
	host, _, err := net.SplitHostPort(p.domain)
	if err != nil {
		host = p.domain
	}
	p.ca, err = ca.Open(ca.Config{Dir: p.data.ca(), Domain: host})
	return explainWrite(p.data.path, err)
}

// serve runs everything until ctx ends or a part fails.
func (p *cloudParts) serve(ctx context.Context, ready func(cli.Running)) error {
	// The listeners end first and drain while the parts behind them still work.
	partsCtx, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	parts, partsCtx := errgroup.WithContext(p.tracer.With(partsCtx))
	for _, r := range p.running {
		parts.Go(func() error {
			if err := r.run(partsCtx); err != nil && partsCtx.Err() == nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	server := gateway.Server{Handler: p.gateway, TLS: p.ca.TLS(), Log: p.log, Grace: p.config.DrainTimeout}
	doors, doorsCtx := errgroup.WithContext(ctx)
	doors.Go(func() error { return server.Run(doorsCtx, p.listener) })
	doors.Go(func() error { return server.Run(doorsCtx, p.inner) })
	doors.Go(func() error { // a part that fails ends the cloud
		select {
		case <-partsCtx.Done():
			return context.Cause(partsCtx)
		case <-doorsCtx.Done():
			return nil
		}
	})
	err := p.announce(ready)
	if err == nil {
		err = doors.Wait()
	}
	p.log.Info("ending")
	stopParts()
	if failed := parts.Wait(); failed != nil {
		err = failed // the doors say no more than that it ended them
	}
	return errors.Join(err, p.data.unnote())
}

// announce notes how to reach the cloud and says that it serves.
func (p *cloudParts) announce(ready func(cli.Running)) error {
	r := cli.Running{
		Endpoint: "http://" + p.reachable(), Data: p.data.path, Domain: p.domain, Region: p.config.Region, PID: os.Getpid(), Version: Version,
		CA: p.ca.CertFile(), Bundle: p.ca.BundleFile(), Key: p.key,
	}
	if err := p.data.note(r); err != nil {
		return err
	}
	p.log.Info("serving", "endpoint", r.Endpoint, "domain", r.Domain, "data", p.data.path, "memory", p.config.Memory)
	ready(r)
	return nil
}

// reachable is the address for clients on this machine.
func (p *cloudParts) reachable() string {
	addr := p.listener.Addr().String()
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil && ip.IsUnspecified() {
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	return addr
}
