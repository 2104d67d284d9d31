package runtimeapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lambent/invoke"
	"lambent/invoke/runtimeapi"
)

// open starts a talk on loopback and returns it with its address.
func open(t testing.TB) (invoke.Talk, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	talk := runtimeapi.New()
	done := make(chan struct{})
	go func() { defer close(done); talk.Serve(ln) }()
	t.Cleanup(func() { ln.Close(); <-done })
	return talk, ln.Addr().String()
}

func event(t testing.TB, talk invoke.Talk) invoke.Event {
	t.Helper()
	select {
	case e := <-talk.Events():
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		panic("unreachable")
	}
}

func post(t testing.TB, url string, body io.Reader, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestInvocation(t *testing.T) {
	talk, addr := open(t)
	base := "http://" + addr + "/2018-06-01/runtime/"
	deadline := time.UnixMilli(1700000000123)
	next := make(chan *http.Response)
	go func() {
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			t.Error(err)
		}
		next <- resp
	}()
	if e := event(t, talk); e.Kind != invoke.Ready {
		t.Fatalf("first event is %v, want Ready", e.Kind)
	}
	err := talk.Send(&invoke.Invocation{RequestID: "id-1", TraceID: "Root=1", ARN: "arn:f", Deadline: deadline,
		ClientContext: "{\"a\":\"b\r\nX-Evil: 1\"}", Payload: []byte(`{"k":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	resp := <-next
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for name, want := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       "id-1",
		"Lambda-Runtime-Deadline-Ms":          "1700000000123",
		"Lambda-Runtime-Invoked-Function-Arn": "arn:f",
		"Lambda-Runtime-Trace-Id":             "Root=1",
		"Lambda-Runtime-Client-Context":       `{"a":"b  X-Evil: 1"}`,
		"X-Evil":                              "",
		"Lambda-Runtime-Cognito-Identity":     "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if string(body) != `{"k":1}` {
		t.Errorf("body = %s", body)
	}
	if err := talk.Send(&invoke.Invocation{RequestID: "id-2"}); err == nil {
		t.Error("a second invocation is taken while one is under way")
	}
	if status, _ := post(t, base+"invocation/other/response", strings.NewReader("x")); status != 400 {
		t.Errorf("response to an unknown id: %d, want 400", status)
	}
	// A reader of unknown length makes Go's client send chunks.
	chunked := struct{ io.Reader }{strings.NewReader(`"answer"`)}
	if status, _ := post(t, base+"invocation/id-1/response", chunked); status != 202 {
		t.Errorf("response: %d, want 202", status)
	}
	if e := event(t, talk); e.Kind != invoke.Answered || string(e.Payload) != `"answer"` || e.RequestID != "id-1" {
		t.Errorf("event = %+v", e)
	}
	if status, _ := post(t, base+"invocation/id-1/response", strings.NewReader("again")); status != 400 {
		t.Errorf("second response: %d, want 400", status)
	}
}

func TestFailures(t *testing.T) {
	talk, addr := open(t)
	base := "http://" + addr + "/2018-06-01/runtime/"
	if status, _ := post(t, base+"init/error", strings.NewReader(`{"errorMessage":"m"}`), "Lambda-Runtime-Function-Error-Type", "Runtime.ImportModuleError"); status != 202 {
		t.Errorf("init error: %d", status)
	}
	if e := event(t, talk); e.Kind != invoke.InitFailed || e.ErrorType != "Runtime.ImportModuleError" || string(e.Payload) != `{"errorMessage":"m"}` {
		t.Errorf("event = %+v", e)
	}
	resp, err := http.Get(base + "invocation/next")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("next after an init error: %d, want 403", resp.StatusCode)
	}
	for path, want := range map[string]int{"nonsense": 404, "invocation/": 404, "invocation/x/other": 404, "invocation/next": 405} {
		if status, _ := post(t, base+path, nil); status != want {
			t.Errorf("POST %s: %d, want %d", path, status, want)
		}
	}
}

func TestErrorDocumentAndTooLarge(t *testing.T) {
	talk, addr := open(t)
	c := dial(t, addr)
	c.send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
	event(t, talk)
	talk.Send(&invoke.Invocation{RequestID: "a"})
	c.response(200)
	// The X-Ray cause may be very long; it is read over.
	c.send("POST /2018-06-01/runtime/invocation/a/error HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-XRay-Error-Cause: " + strings.Repeat("x", 100<<10) +
		"\r\nLambda-Runtime-Function-Error-Type: Error\r\nContent-Length: 2\r\n\r\n{}")
	c.response(202)
	if e := event(t, talk); e.Kind != invoke.Failed || e.ErrorType != "Error" || string(e.Payload) != "{}" {
		t.Errorf("event = %+v", e)
	}
	// Pipelined: the answer and the next question in one write.
	talk.Send(&invoke.Invocation{RequestID: "b"})
	c.send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
	c.response(200)
	talkNext := fmt.Sprintf("POST /2018-06-01/runtime/invocation/b/response HTTP/1.1\r\nContent-Length: %d\r\n\r\n", invoke.MaxResponse+1)
	c.send(talkNext)
	c.send(string(bytes.Repeat([]byte("x"), invoke.MaxResponse+1)) + "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
	c.response(413)
	if e := event(t, talk); e.Kind != invoke.TooLarge || e.Size != invoke.MaxResponse+1 {
		t.Errorf("event = %v size %d", e.Kind, e.Size)
	}
	if err := talk.Send(&invoke.Invocation{RequestID: "c", Payload: bytes.Repeat([]byte("y"), 1<<20)}); err != nil {
		t.Fatal(err)
	}
	if n := len(c.response(200)); n != 1<<20 {
		t.Errorf("payload of %d bytes arrived as %d", 1<<20, n)
	}
}

// TestHeldAnswer: a runtime that sends its answer and its next question in one write gets both replies in one.
func TestHeldAnswer(t *testing.T) {
	talk, addr := open(t)
	c := dial(t, addr)
	const next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	c.send(next)
	event(t, talk)
	talk.Send(&invoke.Invocation{RequestID: "a"})
	c.response(200)
	for _, id := range []string{"a", "b"} {
		c.send("POST /2018-06-01/runtime/invocation/" + id + "/response HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + next)
		if e := event(t, talk); e.Kind != invoke.Answered || e.RequestID != id {
			t.Fatalf("event = %+v, want the answer to %s", e, id)
		}
		if err := talk.Send(&invoke.Invocation{RequestID: string(id[0] + 1), Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		c.response(202)
		if c.r.Buffered() == 0 {
			t.Error("the 202 came alone")
		}
		c.response(200)
	}
}

func TestStem(t *testing.T) {
	talk, addr := open(t)
	c := dial(t, addr)
	c.send("GET /lambent/stem/next HTTP/1.1\r\n\r\n")
	if e := event(t, talk); e.Kind != invoke.StemReady {
		t.Fatalf("event = %v, want StemReady", e.Kind)
	}
	if err := talk.Assign([]byte(`{"env":{}}`)); err != nil {
		t.Fatal(err)
	}
	if got := string(c.response(200)); got != `{"env":{}}` {
		t.Errorf("assignment = %s", got)
	}
	if err := talk.Assign(nil); err == nil {
		t.Error("a second assignment is taken")
	}
	c.send("GET /lambent/stem/next HTTP/1.1\r\n\r\n")
	c.response(403)
	c.send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
	if e := event(t, talk); e.Kind != invoke.Ready {
		t.Errorf("event = %v, want Ready", e.Kind)
	}
}

func TestWithdraw(t *testing.T) {
	talk, _ := open(t)
	if talk.Withdraw() {
		t.Error("withdrew nothing")
	}
	talk.Send(&invoke.Invocation{RequestID: "a"})
	if !talk.Withdraw() {
		t.Error("could not withdraw what nobody has taken")
	}
}

func TestMalformed(t *testing.T) {
	tests := []struct {
		name, request string
		want          int
	}{
		{"no version", "GET /\r\n\r\n", 400},
		{"bad length", "POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
		{"two lengths", "POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"length and chunks", "POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"other encoding", "POST /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"no colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400},
		{"folded", "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", 400},
		{"long line", "GET /" + strings.Repeat("a", 20000) + " HTTP/1.1\r\n\r\n", 431},
		{"many headers", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 200) + "\r\n", 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := open(t)
			c := dial(t, addr)
			c.send(tt.request)
			c.response(tt.want)
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &client{t, nc, bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Log(err) // the server may have closed a malformed request early
	}
}

func (c *client) response(want int) []byte {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != want {
		c.t.Fatalf("status = %d %s, want %d", resp.StatusCode, body, want)
	}
	return body
}

func BenchmarkInvocation(b *testing.B) {
	talk, addr := open(b)
	c := dial(b, addr)
	go func() {
		next := []byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUser-Agent: x\r\n\r\n")
		answer := []byte("POST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		buf := make([]byte, 4096)
		for {
			for _, m := range [][]byte{next, answer} {
				if _, err := c.nc.Write(m); err != nil {
					return
				}
				if _, err := c.nc.Read(buf); err != nil {
					return
				}
			}
		}
	}()
	<-talk.Events()
	inv := &invoke.Invocation{RequestID: "id", Deadline: time.Now(), ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Payload: []byte(`{"key":"value"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if err := talk.Send(inv); err != nil {
			b.Fatal(err)
		}
		<-talk.Events()
	}
}

// sink is what a caller has heard of an answer.
type sink struct {
	kind  string
	parts chan string
}

func (s *sink) Begin(contentType string) { s.kind = contentType }
func (s *sink) Write(p []byte) (int, error) {
	s.parts <- string(p)
	return len(p), nil
}

// TestStream sends an answer in two parts, of which the first arrives before the second is made.
func TestStream(t *testing.T) {
	for _, tt := range []struct {
		name, trailers string
		want           invoke.Event
	}{
		{"whole", "0\r\n\r\n", invoke.Event{Kind: invoke.Answered, RequestID: "id-1", Streamed: true}},
		{"fails half way", "0\r\nLambda-Runtime-Function-Error-Type: Oops\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
			invoke.Event{Kind: invoke.Failed, RequestID: "id-1", Streamed: true, ErrorType: "Oops", Payload: []byte("{}")}},
		{"too large", "1400000\r\n" + strings.Repeat("x", 20<<20) + "\r\n0\r\n\r\n", invoke.Event{Kind: invoke.TooLarge, RequestID: "id-1", Streamed: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			talk, addr := open(t)
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
			event(t, talk)
			s := &sink{parts: make(chan string, 1)}
			if err := talk.Send(&invoke.Invocation{RequestID: "id-1", Payload: []byte("{}"), Sink: s}); err != nil {
				t.Fatal(err)
			}
			io.WriteString(nc, "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nContent-Type: text/x\r\n"+
				"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
			if got := <-s.parts; got != "one" || s.kind != "text/x" {
				t.Errorf("first part %q of %s", got, s.kind)
			}
			go func() {
				for range s.parts {
				}
			}()
			io.WriteString(nc, "3\r\ntwo\r\n"+tt.trailers)
			got := event(t, talk)
			close(s.parts)
			got.Size = 0
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("event %+v, want %+v", got, tt.want)
			}
		})
	}
}
