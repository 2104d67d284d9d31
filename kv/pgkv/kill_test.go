package pgkv_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lambent/kv"
	"lambent/kv/pgkv"
	"lambent/kv/pgkv/pgtest"
)

// killedURL tells the child of TestKillProcess where to write.
const killedURL = "LAMBENT_TEST_KILLED_URL"

// killRounds is how often each thing is killed.
const killRounds = 10

// TestKillProcess kills a process of ours that writes with 16 goroutines, and checks that every write it has
// acknowledged is there.
func TestKillProcess(t *testing.T) {
	pg := server(t, pgtest.Options{Durable: true})
	s := kv.New(open(t, pg.URL(), pgkv.Options{}))
	defer s.Close()
	acked := map[string]bool{}
	for round := range killRounds {
		before := len(acked)
		killWriter(t, pg.URL(), acked)
		checkAcked(t, s, acked)
		t.Logf("round %d: %d more acknowledged", round, len(acked)-before)
	}
}

// killWriter runs a writer for a random time, kills it, and adds what it has acknowledged.
func killWriter(t *testing.T, url string, acked map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), killedURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewReader(out)
	enough := 1 + rand.IntN(1000)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // what was not written to its end was not acknowledged
		}
		check(t, err)
		acked[line[:len(line)-1]] = true
		if n == enough {
			check(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
}

func checkAcked(t *testing.T, s *kv.Store, acked map[string]bool) {
	t.Helper()
	there := map[string]bool{}
	check(t, s.View(t.Context(), func(r kv.Reader) error {
		rows, err := r.Scan(t.Context(), kv.Range{})
		clear(there)
		for _, row := range rows {
			there[hex.EncodeToString(row.Key)] = true
		}
		return err
	}))
	lost := 0
	for k := range acked {
		if !there[k] {
			lost++
		}
	}
	if lost > 0 {
		t.Fatalf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
}

// TestKilledWriter is the process that TestKillProcess kills: it writes and prints each key once it is acknowledged.
func TestKilledWriter(t *testing.T) {
	url := os.Getenv(killedURL)
	if url == "" {
		t.Skip("runs as the child of TestKillProcess")
	}
	s := kv.New(open(t, url, pgkv.Options{}))
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error {
					tx.SetStamped([]byte("k"), nil, make([]byte, rand.IntN(500)))
					return nil
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(3)
				}
				out.Lock()
				fmt.Printf("%x\n", append([]byte("k"), stamp[:]...)) // one write call: no half line
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKillServer kills the server under load, now a session's process, which makes the server start again by itself, now
// the whole server. Every acknowledged change is there, once: the engine tells a commit that was lost from one
// whose answer was.
func TestKillServer(t *testing.T) {
	pg := server(t, pgtest.Options{Durable: true})
	s := kv.New(open(t, pg.URL(), pgkv.Options{}))
	defer s.Close()
	c := &counting{s: s}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() { c.run(ctx, t, w) })
	}
	for round := range 2 * killRounds {
		c.more(t)
		if round%2 == 0 {
			killSession(t, pg)
			continue
		}
		check(t, pg.Kill())
		check(t, pg.Start(t.Context()))
	}
	c.more(t)
	stop()
	wg.Wait()
	c.check(t)
}

// counting is writers that add to counters and count what was acknowledged.
type counting struct {
	s *kv.Store

	mu      sync.Mutex // guards the fields below
	acked   [16]uint64
	unknown [16]uint64
}

func (c *counting) run(ctx context.Context, t *testing.T, w int) {
	key := []byte{byte(w)}
	for ctx.Err() == nil {
		err := c.s.Update(context.WithoutCancel(ctx), func(tx *kv.Tx) error {
			v, err := tx.Get(ctx, key)
			if err != nil {
				return err
			}
			tx.Set(key, binary.BigEndian.AppendUint64(nil, number(v)+1))
			tx.SetStamped([]byte("log"), key, nil)
			return nil
		})
		c.mu.Lock()
		switch {
		case err == nil:
			c.acked[w]++
		case errors.Is(err, kv.ErrUnknown):
			c.unknown[w]++
		case ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable):
			t.Error(err)
		}
		c.mu.Unlock()
	}
}

func number(v []byte) uint64 {
	if v == nil {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func (c *counting) total() (n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.acked {
		n += a
	}
	return n
}

// more waits until some hundred more changes are acknowledged.
func (c *counting) more(t *testing.T) {
	t.Helper()
	enough := c.total() + 100 + rand.Uint64N(400)
	for start := time.Now(); c.total() < enough; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("the writers do not get on")
		}
	}
}

// check compares counters and log with what was acknowledged.
func (c *counting) check(t *testing.T) {
	t.Helper()
	var rows, log []kv.KV
	check(t, c.s.View(t.Context(), func(r kv.Reader) (err error) {
		if rows, err = r.Scan(t.Context(), kv.Range{End: []byte{16}}); err == nil {
			log, err = r.Scan(t.Context(), kv.Range{Begin: []byte("log"), End: []byte("loh")})
		}
		return err
	}))
	sum := uint64(0)
	for w, row := range rows {
		n := number(row.Value)
		sum += n
		if n < c.acked[w] || n > c.acked[w]+c.unknown[w] {
			t.Errorf("writer %d: counter %d, acknowledged %d, unknown %d", w, n, c.acked[w], c.unknown[w])
		}
	}
	if sum != uint64(len(log)) {
		t.Errorf("counters say %d, the log has %d entries", sum, len(log))
	}
	t.Logf("%d changes, %s unknown, %d attempts repeated", sum, fmt.Sprint(c.unknown), c.s.Stats().Retries)
}

// killSession kills the process of a session that runs a statement of the engine.
func killSession(t *testing.T, pg *pgtest.Server) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), strings.Replace(pg.URL(), "lambent:secret@", "postgres@", 1))
	check(t, err)
	defer c.Close(t.Context())
	var pid int
	for pid == 0 {
		err := c.QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'lambent' AND state <> 'idle' LIMIT 1").Scan(&pid)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
	}
	p, err := os.FindProcess(pid)
	check(t, err)
	check(t, p.Kill())
}
