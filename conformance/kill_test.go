package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lambent/wire/sigv4"
)

// killKey is the root key of the cloud that TestKill kills.
var killKey = sigv4.Credentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: "secret"}

// TestKill kills a cloud ten times, with SIGKILL, while many put objects, small ones in rows and large ones in blobs,
// replace them and delete them. Each time it starts again at once, every acknowledged object is what was put last,
// and store check finds nothing wrong.
func TestKill(t *testing.T) {
	bin := filepath.Join(build(t), "lambent")
	data := filepath.Join(t.TempDir(), "data")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	acked := map[string]string{} // by key, "" for one that was deleted; a write under way when it was killed is not in it
	var endpoint string
	for round := range 10 {
		start := time.Now()
		cmd, at := serveToKill(t, bin, data)
		took := time.Since(start)
		endpoint = at
		if round == 0 {
			if _, err := object(http.MethodPut, endpoint+"/kill", ""); err != nil {
				t.Fatal(err)
			}
		}
		examine(t, endpoint, acked)
		work := time.AfterFunc(time.Duration(200+rng.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		n := putUntilKilled(endpoint, round, acked)
		work.Stop()
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("round %d: it ended by itself: %v", round, err)
		}
		t.Logf("round %d: started in %v, %d writes acknowledged", round, took.Round(time.Millisecond), n)
		if out, err := exec.Command(bin, "store", "check", "--data", data).CombinedOutput(); err != nil {
			t.Fatalf("round %d: store check: %v\n%s", round, err, out)
		}
	}
	cmd, endpoint := serveToKill(t, bin, data)
	examine(t, endpoint, acked)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// serveToKill starts the cloud and returns when it answers.
func serveToKill(t *testing.T, bin, data string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(bin, "serve", "--data", data, "--listen", "127.0.0.1:0", "--json", "--log-requests=false",
		"--root-access-key-id", killKey.AccessKeyID, "--root-secret-access-key", killKey.SecretAccessKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var running struct{ Endpoint string }
	if err := json.NewDecoder(out).Decode(&running); err != nil {
		t.Fatal(err)
	}
	return cmd, running.Endpoint
}

// object makes one request of S3.
func object(method, url, body string) (string, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if err := sigv4.Sign(r, killKey, "us-east-1", "s3", time.Now()); err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// putUntilKilled writes from many goroutines, each under keys of its own, and notes what was acknowledged, until
// the cloud is gone.
func putUntilKilled(endpoint string, round int, acked map[string]string) (n int) {
	var mu sync.Mutex // guards acked and n
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("/kill/%d/%d", w, i%20)
				content := fmt.Sprintf("%d/%d/%d ", w, round, i)
				method := http.MethodPut
				switch i % 5 {
				case 3:
					content = strings.Repeat(content, 20_000)
				case 4:
					method, content = http.MethodDelete, ""
				}
				mu.Lock()
				delete(acked, key) // it may happen without an answer
				mu.Unlock()
				_, err := object(method, endpoint+key, content)
				mu.Lock()
				if err == nil {
					acked[key], n = content, n+1
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	writers.Wait()
	return n
}

// examine holds what was acknowledged against what is there.
func examine(t *testing.T, endpoint string, acked map[string]string) {
	t.Helper()
	for key, want := range acked {
		got, err := object(http.MethodGet, endpoint+key, "")
		gone := err != nil && strings.Contains(err.Error(), "NoSuchKey")
		if want == "" && !gone || want != "" && got != want {
			t.Errorf("%s: %d bytes, %v; want %d bytes", key, len(got), err, len(want))
		}
	}
}
