package runtimeapi_test

import (
	"io"
	"net"
	"testing"
	"time"

	"lambent/invoke"
	"lambent/invoke/runtimeapi"
)

// FuzzTalk lets a runtime say anything. Whatever it is, the talk ends when its listener does, and no event claims more than
// the protocol allows.
func FuzzTalk(f *testing.F) {
	f.Add([]byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\nPOST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nLambda-Runtime-Function-Error-Type: E\r\n\r\n"))
	f.Add([]byte("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /lambent/stem/next HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /2018-06-01/runtime/invocation/id/error HTTP/1.1\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := net.Pipe()
		ln := &onePipe{conn: ours, closed: make(chan struct{})}
		talk := runtimeapi.New()
		if err := talk.Send(&invoke.Invocation{RequestID: "id", Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); talk.Serve(ln) }()
		go io.Copy(io.Discard, theirs)
		theirs.SetWriteDeadline(time.Now().Add(time.Second))
		theirs.Write(said)
		theirs.Close()
		ln.Close()
		<-done
		answers := 0
		for len(talk.Events()) > 0 {
			switch e := <-talk.Events(); e.Kind {
			case invoke.Answered, invoke.Failed, invoke.TooLarge:
				if answers++; e.RequestID != "id" {
					t.Errorf("answer to %q", e.RequestID)
				}
			}
		}
		if answers > 1 {
			t.Errorf("%d answers to one invocation", answers)
		}
	})
}

// onePipe is a listener that accepts one connection.
type onePipe struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *onePipe) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *onePipe) Close() error   { close(l.closed); return nil }
func (l *onePipe) Addr() net.Addr { return &net.TCPAddr{} }
