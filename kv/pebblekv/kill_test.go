package pebblekv_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// killedDir tells the child of TestKill where to write.
const killedDir = "LAMBENT_TEST_KILLED_DIR"

// TestKill kills a process that writes with 16 goroutines, thirty times over the same folder, and checks that
// every write it has acknowledged is there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 30 {
		before := len(acked)
		killWriter(t, dir, round, acked)
		start := time.Now()
		s := openDir(t, dir)
		took := time.Since(start)
		checkAcked(t, s, acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d more acknowledged, open took %v", round, len(acked)-before, took)
	}
}

// killWriter runs a writer for a random time, kills it, and adds what it has acknowledged.
func killWriter(t *testing.T, dir string, round int, acked map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	enough := 1 + rand.IntN(3000)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // what was not written to its end was not acknowledged
		}
		if err != nil {
			t.Fatal(err)
		}
		acked[line[:len(line)-1]] = true
		if n == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("round %d: the writer ended by itself: %v", round, err)
	}
}

func checkAcked(t *testing.T, s *kv.Store, acked map[string]bool) {
	t.Helper()
	ctx := t.Context()
	err := s.View(ctx, func(r kv.Reader) error {
		lost := 0
		for k := range acked {
			key, err := hex.DecodeString(k)
			if err != nil {
				return err
			}
			if v, err := r.Get(ctx, key); err != nil {
				return err
			} else if v == nil {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%d of %d acknowledged writes are lost", lost, len(acked))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledWriter is the process that TestKill kills: it writes and prints each key once it is acknowledged.
func TestKilledWriter(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("runs as the child of TestKill")
	}
	s := openDir(t, dir)
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error {
					tx.SetStamped([]byte("k"), nil, make([]byte, rand.IntN(2000)))
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

func openDir(t testing.TB, dir string) *kv.Store {
	t.Helper()
	engine, err := pebblekv.Open(dir, pebblekv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return kv.New(engine)
}
