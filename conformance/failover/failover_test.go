// Package failover tries what a cluster promises, with real parts: two Lambent servers on three PostgreSQL
// servers, replicated synchronously under Patroni, of which the leader is killed while many write.
package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lambent/app"
	"lambent/cli"
	"lambent/wire/sigv4"
)

const accessKey, secretKey = "AKIATESTTESTTESTTEST", "secret"

// wanted turns the test on: it takes minutes, and make failover runs it.
const wanted = "LAMBENT_TEST_FAILOVER"

// serve runs a server of the cloud until the test ends and returns its address.
func serve(t *testing.T, data, blobs, store string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log, err := os.Create(data + ".log")
	if err != nil {
		t.Fatal(err)
	}
	flags := cli.FlagValues{"data": data, "blobs": blobs, "store": store, "listen": "127.0.0.1:0", "log-requests": "false",
		"root-access-key-id": accessKey, "root-secret-access-key": secretKey}
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- app.Server{}.Serve(ctx, cli.ServeOptions{Flags: flags, LogTo: log}, func(r cli.Running) { ready <- r.Endpoint })
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, log.Close()); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	select {
	case endpoint := <-ready:
		return endpoint
	case err := <-ended:
		ended <- err
		t.Fatal(err)
		return ""
	}
}

// join gives a second server what it has in common with the first.
func join(t *testing.T, first, second string) {
	t.Helper()
	for _, name := range []string{"cloud-id", "master-key", cli.RootKeyFile} {
		b, err := os.ReadFile(filepath.Join(first, name))
		if err == nil {
			err = errors.Join(os.MkdirAll(second, 0o700), os.WriteFile(filepath.Join(second, name), b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(second, "ca"), os.DirFS(filepath.Join(first, "ca"))); err != nil {
		t.Fatal(err)
	}
}

var client = http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// s3 makes one request.
func s3(method, url, body string) (string, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if err := sigv4.Sign(r, sigv4.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, "us-east-1", "s3", time.Now()); err != nil {
		return "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// load is many who write objects, each under a key of its own, and note what was acknowledged.
type load struct {
	mu     sync.Mutex // guards the fields below
	acked  []string
	times  []time.Time
	failed map[string]int // by kind

	stop    context.CancelFunc
	writers sync.WaitGroup
}

const writers = 16

func write(endpoints []string, name string) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{failed: map[string]int{}, stop: stop}
	for w := range writers {
		l.writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("/load/%s/%d/%d", name, w, i)
				_, err := s3("PUT", endpoints[(w+i)%len(endpoints)]+key, key)
				l.note(key, err)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	return l
}

func (l *load) note(key string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.acked, l.times = append(l.acked, key), append(l.times, time.Now())
		return
	}
	kind := err.Error()
	if _, after, found := strings.Cut(kind, "<Code>"); found {
		kind, _, _ = strings.Cut(after, "<")
	}
	l.failed[kind]++
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// more waits until n more writes were acknowledged.
func (l *load) more(t *testing.T, n int, within time.Duration) {
	t.Helper()
	want := l.count() + n
	for end := time.Now().Add(within); l.count() < want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d writes more in %v; failed: %v", n-(want-l.count()), within, l.failed)
		}
	}
}

// end stops the writers and returns the longest time without an acknowledgement after since.
func (l *load) end(since time.Time) (gap time.Duration) {
	l.stop()
	l.writers.Wait()
	last := since
	for _, at := range l.times {
		if at.After(since) {
			gap, last = max(gap, at.Sub(last)), at
		}
	}
	return gap
}

// lost reads every acknowledged object and returns those that are not what was written.
func (l *load) lost(t *testing.T, endpoints []string) (keys []string) {
	t.Helper()
	work := make(chan string)
	var mu sync.Mutex // guards keys
	var readers sync.WaitGroup
	for r := range writers {
		readers.Go(func() {
			for key := range work {
				got, err := s3("GET", endpoints[r%len(endpoints)]+key, "")
				if err != nil || got != key {
					mu.Lock()
					keys = append(keys, fmt.Sprintf("%s: %q %v", key, got, err))
					mu.Unlock()
				}
			}
		})
	}
	for _, key := range l.acked {
		work <- key
	}
	close(work)
	readers.Wait()
	return keys
}

// TestLeaderKilled kills the leader while many write through two servers: first its machine, then its PostgreSQL.
func TestLeaderKilled(t *testing.T) {
	if os.Getenv(wanted) == "" {
		t.Skipf("SKIPPED: it takes minutes; run make failover, or set %s", wanted)
	}
	began := time.Now()
	c := start(t)
	t.Logf("the cluster has formed after %v", time.Since(began).Round(time.Second))
	c.createDatabase()
	dir := t.TempDir()
	first, second, blobs := filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "blobs")
	endpoints := []string{serve(t, first, blobs, c.database())}
	join(t, first, second)
	endpoints = append(endpoints, serve(t, second, blobs, c.database()))
	if _, err := s3("PUT", endpoints[0]+"/load", ""); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		kill func(n *node)
	}{
		{"machine", c.kill},
		{"postgres", c.killPostgres},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leader := c.leader()
			l := write(endpoints, tt.name)
			l.more(t, 2000, time.Minute)
			killed, before := time.Now(), l.count()
			tt.kill(leader)
			l.more(t, 2000, 3*time.Minute)
			gap := l.end(killed)
			if next := c.leader(); next == leader {
				t.Errorf("%s is the leader again: nobody took over", next.name)
			}
			lost := l.lost(t, endpoints)
			t.Logf("%s: %d writes acknowledged, %d of them before the kill; none for %v; %d lost; answers that were none: %v",
				tt.name, len(l.acked), before, gap.Round(10*time.Millisecond), len(lost), l.failed)
			if len(lost) > 0 {
				t.Errorf("%d acknowledged writes are lost, such as %s", len(lost), lost[0])
			}
			if tt.name == "machine" {
				c.launch(leader) // the machine is back
			}
			c.settle(2 * time.Minute)
		})
	}
	t.Run("standbys that do not answer", func(t *testing.T) { frozen(t, c, endpoints) })
	flags := cli.FlagValues{"data": first, "blobs": blobs, "store": c.database()}
	report, err := app.Server{}.Check(t.Context(), cli.ServeOptions{Flags: flags, LogTo: io.Discard}, func(int64, int64) {})
	if err != nil || !report.OK() {
		t.Errorf("store check: %+v, %v", report, err)
	}
}

// frozen stops both standbys without ending them, while many write: nothing is acknowledged that the leader alone has.
// Then the leader's machine is lost, so that one of them must lead with what it has.
func frozen(t *testing.T, c *cluster, endpoints []string) {
	l := write(endpoints, "frozen")
	l.more(t, 1000, time.Minute)
	standbys, leader := c.standbys(), c.leader()
	frozen := time.Now()
	for _, n := range standbys {
		c.signalPostgres(n, syscall.SIGSTOP)
	}
	time.Sleep(time.Second) // for answers on their way
	before := l.count()
	time.Sleep(12 * time.Second) // longer than any wait of a transaction
	if n := l.count() - before; n > 0 {
		t.Errorf("%d writes were acknowledged that no standby had", n)
	}
	c.kill(leader)
	for _, n := range standbys {
		c.signalPostgres(n, syscall.SIGCONT)
	}
	l.more(t, 1000, 3*time.Minute)
	gap := l.end(frozen)
	lost := l.lost(t, endpoints)
	t.Logf("%d writes acknowledged, %d of them before the standbys stopped answering; %d lost; none for %v; answers that were none: %v",
		len(l.acked), before, len(lost), gap.Round(10*time.Millisecond), l.failed)
	if len(lost) > 0 {
		t.Errorf("%d acknowledged writes are lost, such as %s", len(lost), lost[0])
	}
	c.launch(leader)
	c.settle(2 * time.Minute)
}
