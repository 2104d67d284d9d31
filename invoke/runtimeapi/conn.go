package runtimeapi

import (
	"bufio"
	"encoding/json"
	"net"
	"strconv"
	"sync"
	"time"

	"lambent/invoke"
)

const (
	readBuffer  = 8 << 10
	smallWrite  = 64 << 10 // answers up to this size go out in one write of one buffer
	keepWrite   = 8 << 10  // larger write buffers are not kept
	maxError    = 1 << 20  // of an error document, as the runtimes of AWS cut it
	maxSwallow  = 256 << 20
	pathRuntime = "/2018-06-01/runtime/"
)

// A conn is one connection of a runtime. Its goroutine reads; answers to "next" may be written by whoever
// brings the work.
type conn struct {
	line *line
	nc   net.Conn
	r    *bufio.Reader
	req  request

	wmu  sync.Mutex
	w    []byte // guarded by wmu; the write buffer, between uses empty
	held bool   // guarded by wmu; a 202 goes out with the next answer
}

func newConn(l *line, nc net.Conn) *conn {
	return &conn{line: l, nc: nc, r: bufio.NewReaderSize(nc, readBuffer)}
}

func (c *conn) serve() {
	defer c.line.remove(c)
	defer c.nc.Close()
	for {
		if err := c.req.readHead(c.r); err != nil {
			if status, ok := badRequest(err); ok {
				c.reply(status, "Runtime.BadRequest", err.Error())
			}
			return
		}
		// A runtime that has asked for work and not been answered has nothing else to say on this line.
		if c.line.waiting(c) || !c.handle() || c.req.close {
			return
		}
	}
}

// handle answers one request; false ends the connection.
func (c *conn) handle() bool {
	switch rt := routeOf(c.req.path); {
	case rt.kind == routeNone:
		return c.swallow() && c.reply(404, "Runtime.NotFound", "no such route")
	case string(c.req.method) != rt.method():
		return c.swallow() && c.reply(405, "Runtime.MethodNotAllowed", "method not allowed")
	case rt.kind == routeNext:
		return c.swallow() && c.next()
	case rt.kind == routeStem:
		return c.swallow() && c.stem()
	case rt.kind == routeInitError:
		return c.initError()
	case rt.kind == routeResponse:
		return c.response(rt.id)
	default:
		return c.failure(rt.id)
	}
}

func (c *conn) next() bool {
	inv, ok := c.line.askNext(c)
	if !ok {
		return c.reply(403, "InvalidStateTransition", "State transition from Running to Ready failed for runtime. Error: State transition is not allowed")
	}
	return inv == nil || c.writeInvocation(inv) == nil
}

func (c *conn) stem() bool {
	body, ok := c.line.askStem(c)
	if !ok {
		return c.reply(403, "InvalidStateTransition", "this sandbox is no stem cell any more")
	}
	return body == nil || c.writeAssignment(body) == nil
}

func (c *conn) response(id []byte) bool {
	sink, ok := c.line.claim(id)
	if !ok {
		return c.swallow() && c.reply(400, "InvalidRequestID", "Invalid request ID")
	}
	if sink != nil && c.req.streaming {
		return c.stream(sink)
	}
	body, err := c.body(invoke.MaxResponse)
	switch {
	case err == errTooLarge:
		c.line.finish(invoke.Event{Kind: invoke.TooLarge, Size: c.req.size})
		return c.swallow() && c.reply(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
	case err != nil:
		c.line.release()
		return false
	}
	c.answered(invoke.Event{Kind: invoke.Answered, Payload: body})
	return c.write202()
}

// stream hands an answer on while it is made.
func (c *conn) stream(sink invoke.Sink) bool {
	if err := c.goOn(); err != nil {
		c.line.release()
		return false
	}
	sink.Begin(string(c.req.kind))
	switch err := c.req.copyBody(c.r, sink, invoke.MaxStream); {
	case err == errTooLarge:
		c.line.finish(invoke.Event{Kind: invoke.TooLarge, Size: c.req.size, Streamed: true})
		return c.swallow() && c.reply(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(invoke.MaxStream)+" bytes).")
	case err != nil:
		c.line.release()
		return false
	}
	c.answered(invoke.Event{Kind: invoke.Answered, Streamed: true})
	return c.write202()
}

// answered hands over what the handler returned, unless the trailers say that it failed after it had begun to answer.
func (c *conn) answered(e invoke.Event) {
	if c.req.trailerError != "" {
		e = invoke.Event{Kind: invoke.Failed, Payload: c.req.trailerBody, ErrorType: c.req.trailerError, Streamed: e.Streamed}
	}
	c.line.finish(e)
}

func (c *conn) failure(id []byte) bool {
	if _, ok := c.line.claim(id); !ok {
		return c.swallow() && c.reply(400, "InvalidRequestID", "Invalid request ID")
	}
	return c.document(invoke.Failed)
}

func (c *conn) initError() bool {
	if !c.line.claimInit() {
		return c.swallow() && c.reply(403, "InvalidStateTransition", "State transition from Ready to InitError failed for runtime. Error: State transition is not allowed")
	}
	return c.document(invoke.InitFailed)
}

// document reads an error document and hands it over. One that is too large is left out: the error's type says enough.
func (c *conn) document(kind invoke.EventKind) bool {
	e := invoke.Event{Kind: kind, ErrorType: string(c.req.errorType)}
	body, err := c.body(maxError)
	switch {
	case err == errTooLarge:
		if !c.swallow() {
			c.line.release()
			return false
		}
	case err != nil:
		c.line.release()
		return false
	}
	e.Payload = body
	c.line.finish(e)
	return c.write202()
}

// body reads the request's body.
func (c *conn) body(limit int64) ([]byte, error) {
	if err := c.goOn(); err != nil {
		return nil, err
	}
	return c.req.readBody(c.r, limit)
}

// goOn tells a client that waits for it to send its body.
func (c *conn) goOn() error {
	if !c.req.expect {
		return nil
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.flush(append(c.begin(), "HTTP/1.1 100 Continue\r\n\r\n"...))
}

const accepted = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n"

// write202 tells a runtime that its answer has arrived. A runtime that has asked its next question already does not
// wait for that: then the two answers go out together, and it need not wake up twice.
func (c *conn) write202() bool {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.r.Buffered() > 0 {
		c.held = true
		return true
	}
	return c.flush(append(c.begin(), accepted...)) == nil
}

// begin returns the write buffer with what was held back. wmu must be held.
func (c *conn) begin() []byte {
	if !c.held {
		return c.w[:0]
	}
	c.held = false
	return append(c.w[:0], accepted...)
}

// swallow reads the rest of a body that nobody wants, so that the next request can be found.
func (c *conn) swallow() bool { return c.req.discard(c.r, maxSwallow) == nil }

var statusText = map[int]string{400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	413: "Request Entity Too Large", 431: "Request Header Fields Too Large", 501: "Not Implemented"}

func (c *conn) reply(status int, kind, message string) bool {
	body, _ := json.Marshal(map[string]string{"errorMessage": message, "errorType": kind})
	c.wmu.Lock()
	defer c.wmu.Unlock()
	w := append(c.begin(), "HTTP/1.1 "...)
	w = strconv.AppendInt(w, int64(status), 10)
	w = append(append(w, ' '), statusText[status]...)
	w = append(w, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	w = strconv.AppendInt(w, int64(len(body)), 10)
	w = append(append(w, "\r\n\r\n"...), body...)
	return c.flush(w) == nil
}

func (c *conn) writeInvocation(inv *invoke.Invocation) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	w := append(c.begin(), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: "...)
	w = append(w, inv.RequestID...)
	w = append(w, "\r\nLambda-Runtime-Deadline-Ms: "...)
	w = strconv.AppendInt(w, inv.Deadline.UnixMilli(), 10)
	w = appendHeader(w, "Lambda-Runtime-Invoked-Function-Arn: ", inv.ARN)
	w = appendHeader(w, "Lambda-Runtime-Trace-Id: ", inv.TraceID)
	w = appendHeader(w, "Lambda-Runtime-Client-Context: ", inv.ClientContext)
	w = appendHeader(w, "Lambda-Runtime-Cognito-Identity: ", inv.CognitoIdentity)
	return c.writeBody(w, inv.Payload)
}

func (c *conn) writeAssignment(body []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.writeBody(append(c.begin(), "HTTP/1.1 200 OK\r\nContent-Type: application/json"...), body)
}

// appendHeader adds a header unless its value is empty. What would end the line early becomes a space.
func appendHeader(w []byte, name, value string) []byte {
	if value == "" {
		return w
	}
	w = append(append(w, "\r\n"...), name...)
	for i := range len(value) {
		b := value[i]
		if b < ' ' && b != '\t' || b == 0x7f {
			b = ' '
		}
		w = append(w, b)
	}
	return w
}

func (c *conn) writeBody(w, body []byte) error {
	w = append(w, "\r\nContent-Length: "...)
	w = strconv.AppendInt(w, int64(len(body)), 10)
	w = append(w, "\r\n\r\n"...)
	if len(body) <= smallWrite {
		return c.flush(append(w, body...))
	}
	// More than the socket may take at once: a runtime that does not read must not hold its caller.
	c.nc.SetWriteDeadline(time.Now().Add(stuckWrite))
	defer c.nc.SetWriteDeadline(time.Time{})
	bufs := net.Buffers{w, body}
	_, err := bufs.WriteTo(c.nc)
	return err
}

func (c *conn) flush(w []byte) error {
	if cap(w) <= keepWrite {
		c.w = w[:0]
	} else {
		c.w = nil
	}
	_, err := c.nc.Write(w)
	return err
}
