package s3blob_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lambent/blob"
	"lambent/blob/blobtest"
	"lambent/blob/driver"
	"lambent/blob/s3blob"
	"lambent/kv/kvtest"
	"lambent/wire/sigv4"
)

const accessKey, secretKey = "AKIATESTTESTTESTTEST", "secret"

// binDir is where the program is built.
var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "lambent-s3-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(binDir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// binary builds the program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir, "lambent")
	cmd := exec.Command("go", "build", "-o", path, "lambent/cmd/lambent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// server runs the cloud in a process of its own, and returns its address.
func server(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--log-level", "error", "--json",
		"--root-access-key-id", accessKey, "--root-secret-access-key", secretKey)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := cmd.Process.Signal(syscall.SIGTERM)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	var running struct{ Endpoint string }
	if err := json.NewDecoder(out).Decode(&running); err != nil {
		t.Fatal(err)
	}
	return running.Endpoint
}

// makeBucket makes a bucket of S3.
func makeBucket(t testing.TB, endpoint, name string) {
	t.Helper()
	r, err := http.NewRequest("PUT", endpoint+"/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sigv4.Sign(r, sigv4.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, "us-east-1", "s3", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("make bucket %s: %s", name, resp.Status)
	}
}

// config reaches a bucket with a connection for each request: those that stay would outlive the tests' clocks.
func config(t testing.TB, endpoint, bucket string) s3blob.Config {
	t.Helper()
	c, err := s3blob.ParseURL("s3://" + bucket + "/some/prefix?endpoint=" + endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c.AccessKeyID, c.SecretAccessKey, c.Spool = accessKey, secretKey, t.TempDir()
	c.Transport = &http.Transport{DisableKeepAlives: true}
	return c
}

func open(t testing.TB, c s3blob.Config) *s3blob.Bucket {
	t.Helper()
	b, err := s3blob.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExam is judged against the project's own S3 in another process. The exam's clock is not the server's: the
// bucket finds out.
func TestExam(t *testing.T) {
	endpoint := server(t)
	var n atomic.Int64
	blobtest.Run(t, func(t testing.TB) driver.Bucket {
		name := fmt.Sprintf("exam-%d", n.Add(1))
		makeBucket(t, endpoint, name)
		return open(t, config(t, endpoint, name))
	}, kvtest.Mem)
}

func TestOpenErrors(t *testing.T) {
	endpoint := server(t)
	makeBucket(t, endpoint, "there")
	good := config(t, endpoint, "there")
	for _, tt := range []struct {
		change func(c *s3blob.Config)
		want   string
	}{
		{func(c *s3blob.Config) { c.SecretAccessKey = "wrong" }, "SignatureDoesNotMatch"},
		{func(c *s3blob.Config) { c.AccessKeyID = "AKIAOTHER" }, "InvalidAccessKeyId"},
		{func(c *s3blob.Config) { c.SecretAccessKey = "" }, "needs an access key"},
		{func(c *s3blob.Config) { c.Bucket = "not-there" }, "NoSuchBucket"},
		{func(c *s3blob.Config) { c.Endpoint = "http://127.0.0.1:1" }, "connection refused"},
	} {
		c := good
		tt.change(&c)
		if _, err := s3blob.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want s3blob.Config
	}{
		{"s3://b", s3blob.Config{Bucket: "b", Region: "us-east-1"}},
		{"s3://b/x/y/?region=eu-west-3", s3blob.Config{Bucket: "b", Prefix: "x/y", Region: "eu-west-3"}},
		{"s3://b?endpoint=http://h:1", s3blob.Config{Bucket: "b", Region: "us-east-1", Endpoint: "http://h:1", Path: true}},
		{"s3://b?style=host&endpoint=http://h:1", s3blob.Config{Bucket: "b", Region: "us-east-1", Endpoint: "http://h:1"}},
	} {
		if got, err := s3blob.ParseURL(tt.url); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v", tt.url, got, err)
		}
	}
	for _, bad := range []string{"", "s3://", "s3:///x", "http://b", "s3://u:p@b", "s3://b#f", "s3://b/x y", "s3://b?endpont=x", "s3://b?style=x",
		"s3://b?endpoint=host:1", "s3://b?endpoint=http://h/path", "s3://b?endpoint=ftp://h"} {
		if got, err := s3blob.ParseURL(bad); err == nil {
			t.Errorf("ParseURL(%q) = %+v, want an error", bad, got)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("s3://b/x?endpoint=http://h:1&region=r&style=path")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s3blob.ParseURL(text)
		if err == nil && c.Bucket == "" {
			t.Errorf("ParseURL(%q) names no bucket", text)
		}
	})
}

// flaky passes requests on, but answers some with an error of its own, and breaks off the bodies of others.
type flaky struct {
	http.RoundTripper
	n int
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.n++
	switch f.n % 4 {
	case 1:
		return nil, errors.New("the line is dead")
	case 2:
		w := httptest.NewRecorder()
		w.WriteHeader(503)
		io.WriteString(w, "<Error><Code>SlowDown</Code><Message>later</Message></Error>")
		return w.Result(), nil
	}
	resp, err := f.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == "GET" && resp.ContentLength > 1000 && f.n%8 == 3 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, 1000), resp.Body}
	}
	return resp, err
}

// TestFlaky: a store that is away for a moment, or a connection that breaks, is nothing that a caller sees.
func TestFlaky(t *testing.T) {
	endpoint := server(t)
	makeBucket(t, endpoint, "flaky")
	c := config(t, endpoint, "flaky")
	c.Transport = &flaky{RoundTripper: c.Transport}
	s := blob.New(open(t, c), kvtest.Mem(t))
	content := strings.Repeat("content", 100_000)
	for range 3 {
		ref, err := s.Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != content {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
