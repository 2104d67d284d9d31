package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lambent/gateway"
	"lambent/gateway/ca"
)

// serve starts a server and returns its address, a client that trusts it, and a function that ends it.
func serve(t *testing.T, h http.Handler, grace time.Duration) (addr string, client *http.Client, stop func() error) {
	t.Helper()
	authority, err := ca.Open(ca.Config{Dir: t.TempDir(), Domain: "cloud.test"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &gateway.Server{Handler: h, TLS: authority.TLS(), Log: slog.New(slog.DiscardHandler), Grace: grace}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	addr = l.Addr().String()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: authority.Pool()},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	ended := false
	stop = func() error {
		cancel()
		ended = true
		return <-done
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if !ended {
			_ = stop()
		}
	})
	return addr, &http.Client{Transport: transport}, stop
}

func TestOnePort(t *testing.T) {
	_, client, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+string(body))
	}), 0)
	for target, want := range map[string]string{
		"http://localhost/":                        "HTTP/1.1 localhost body",
		"https://localhost/":                       "HTTP/2.0 localhost body",
		"https://127.0.0.1/":                       "HTTP/2.0 127.0.0.1 body",
		"https://s3.amazonaws.com/":                "HTTP/2.0 s3.amazonaws.com body",
		"https://abc.execute-api.eu-1.cloud.test/": "HTTP/2.0 abc.execute-api.eu-1.cloud.test body",
	} {
		res, err := client.Post(target, "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		got, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(got) != want || len(res.Header["Date"]) != 1 {
			t.Errorf("%s: got %q with dates %v, want %q and one date", target, got, res.Header["Date"], want)
		}
	}
	if _, err := client.Get("https://example.org/"); err == nil {
		t.Error("the CA vouches for a name that is not the cloud's")
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestContinue sees the server ask for a body that the client holds back.
func TestContinue(t *testing.T) {
	addr, _, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}), 0)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	head := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q, %v", head, err)
	}
	_, _ = io.WriteString(conn, "ok")
	got := make([]byte, 15)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "HTTP/1.1 200 OK" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestDrain(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	addr, client, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "finished")
	}), time.Minute)
	silent, err := net.Dial("tcp", addr) // shows no first byte: the end must not wait for it
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	answer := make(chan string, 1)
	go func() {
		res, err := client.Get("http://localhost/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the port is shut
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(release)
	if got := <-answer; got != "finished" {
		t.Errorf("the request in flight: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestGraceEnds(t *testing.T) {
	began := make(chan struct{})
	ended := make(chan error, 1)
	_, client, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		ended <- r.Context().Err()
	}), time.Millisecond)
	go func() {
		if res, err := client.Get("http://localhost/"); err == nil {
			res.Body.Close()
		}
	}()
	<-began
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	default:
		t.Error("Run returned before the handler did")
	}
}

func TestLargeBodies(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	_, client, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}), 0)
	for _, target := range []string{"http://localhost/", "https://localhost/"} {
		res, err := client.Post(target, "", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", target, len(got), err)
		}
	}
}
