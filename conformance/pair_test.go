package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"lambent/kv/kvtest"
)

// A pair is two servers on one PostgreSQL store, behind a balancer that gives new connections to them by turns. With
// the URL of a database in LAMBENT_TEST_STORE every script's cloud is a pair.
type pair struct {
	balancer net.Listener
	servers  []string // addresses
	next     atomic.Uint64
	wg       sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// pairs says whether clouds are pairs.
func pairs() bool { return strings.HasPrefix(os.Getenv(kvtest.StoreVariable), "postgres://") }

// sharedStore returns the URL of the script's store, and whether clouds are pairs.
func sharedStore(ts *testscript.TestScript) (string, bool) {
	if !pairs() {
		return "", false
	}
	at := os.Getenv(kvtest.StoreVariable)
	h := fnv.New64a()
	h.Write([]byte(ts.Getenv("WORK")))
	schema := fmt.Sprintf("script_%x", h.Sum64())
	ctx := context.Background()
	c, err := pgx.Connect(ctx, at)
	ts.Check(err)
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema)
	ts.Check(err)
	u, err := url.Parse(at)
	ts.Check(err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), true
}

// startPair starts two servers with the same flags and hides them behind one address.
func startPair(ts *testscript.TestScript, store string, flags []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	p := &pair{balancer: l, conns: map[net.Conn]bool{}}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	data := ts.Getenv("LAMBENT_DATA")
	flags = append([]string{"--store", store, "--blobs", filepath.Join(data, "blobs"), "--peer-listen", "127.0.0.1:0", "--domain", "localhost:" + port}, flags...)
	s := &server{pair: p}
	for _, folder := range []string{data, data + "-2"} {
		if folder != data {
			ts.Check(shareFiles(data, folder))
		}
		s.start(ts, folder, flags)
		var running struct{ Endpoint string }
		readJSONFrom(ts, folder, "server.json", &running)
		p.servers = append(p.servers, strings.TrimPrefix(running.Endpoint, "http://"))
	}
	ts.Check(rewriteEndpoint(filepath.Join(data, "server.json"), "http://"+l.Addr().String()))
	p.wg.Go(p.accept)
}

// shareFiles copies what servers of one cloud have in common.
func shareFiles(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil // it was copied at an earlier start
	}
	if err := os.MkdirAll(to, 0o711); err != nil {
		return err
	}
	for _, name := range []string{"cloud-id", "master-key", "root-key.json"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			return err
		}
	}
	return os.CopyFS(filepath.Join(to, "ca"), os.DirFS(filepath.Join(from, "ca")))
}

// rewriteEndpoint makes the commands of a script talk to the balancer.
func rewriteEndpoint(file, endpoint string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for name := range all {
		if strings.EqualFold(name, "endpoint") {
			all[name] = endpoint
		}
	}
	if b, err = json.Marshal(all); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

func (p *pair) accept() {
	for {
		c, err := p.balancer.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve passes a connection on to the server whose turn it is, or another that answers. When none does, nobody is
// let in any more.
func (p *pair) serve(c net.Conn) {
	defer c.Close()
	var s net.Conn
	err := net.ErrClosed
	for range p.servers {
		if s, err = net.Dial("tcp", p.servers[p.next.Add(1)%uint64(len(p.servers))]); err == nil {
			break
		}
	}
	if err != nil {
		p.balancer.Close()
		return
	}
	defer s.Close()
	if !p.keep(c, s) {
		return
	}
	defer p.drop(c, s)
	var both sync.WaitGroup
	both.Go(func() { passOn(c, s) })
	passOn(s, c)
	both.Wait()
}

// passOn copies until from ends, and then says so to to.
func passOn(from, to net.Conn) {
	_, _ = io.Copy(to, from) // how a client goes away is its own affair
	if t, ok := to.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}

// keep remembers connections so that close can end them; it says no once it has.
func (p *pair) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

func (p *pair) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

func (p *pair) close() {
	p.balancer.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}
