package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/service"
	"lambent/trace"
	"lambent/wire"
	"lambent/wire/protocol"
	"lambent/wire/sigv4"
)

// An exchange is one request on its way through the gateway, and what becomes of it.
type exchange struct {
	g     *Gateway
	r     *http.Request
	w     *writer
	now   time.Time
	id    string // UUID; S3 shows its own form of it
	place address

	// Of an API request. The header is the request's own but for a presigned one to S3, see hoisted.
	query  url.Values
	header http.Header

	claim    *sigv4.Claim // nil without a signature that could be read
	claimErr error        // why there is none
	key      Key
	keyErr   error
	body     []byte // once readBody has run
	whole    bool   // body is set

	caller cloud.Caller

	// For the log and the measurements.
	service, operation, code string
	cause                    error
	span                     *trace.Span
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{g: g, r: r, now: time.Now().UTC(), id: newRequestID()}
	x.w = &writer{ResponseWriter: w, control: http.NewResponseController(w)}
	if g.tracer != nil {
		x.follow()
	}
	g.metrics.inFlight.Inc()
	defer x.end()
	x.place = g.hosts.read(r.Host)
	if x.servePublished() || x.serveOwn() || x.serveAdmin() {
		return
	}
	x.serveAPI()
}

// end logs and counts. A panic is our own bug: the client gets one 500, or a broken connection where
// the reply had already begun.
func (x *exchange) end() {
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler {
		x.cause = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
		x.code = "panic"
		if !x.w.begun {
			x.w.Header().Set("Content-Type", "text/plain")
			http.Error(x.w, "Internal error. Request id: "+x.id, http.StatusInternalServerError)
			panicked = nil
		} else {
			panicked = http.ErrAbortHandler
		}
	}
	x.g.metrics.inFlight.Dec()
	took := time.Since(x.now)
	x.g.metrics.observe(x.service, x.operation, x.w.status, took)
	x.log(took)
	x.endSpan()
	if panicked != nil {
		panic(panicked)
	}
}

func (x *exchange) log(took time.Duration) {
	level, message := slog.LevelInfo, "request"
	switch {
	case x.code == "panic":
		level, message = slog.LevelError, "request panicked"
	case x.w.status >= 500 && x.w.status != http.StatusNotImplemented:
		level = slog.LevelError
	case x.g.quiet:
		return
	}
	ctx := x.r.Context()
	if !x.g.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("id", x.id), slog.String("service", x.service), slog.String("operation", x.operation),
		slog.String("account", x.caller.Account), slog.String("region", x.caller.Region), slog.String("caller", x.caller.ARN),
		slog.String("method", x.r.Method), slog.Int("status", x.w.status), slog.String("code", x.code),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.Int64("in", max(x.r.ContentLength, int64(len(x.body)))), slog.Int64("out", x.w.bytes),
		slog.String("peer", x.caller.SourceIP))
	if x.service == "" || x.w.status == http.StatusNotFound {
		attrs = append(attrs, slog.String("host", x.r.Host), slog.String("path", x.r.URL.Path))
	}
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	x.g.log.LogAttrs(ctx, level, message, attrs...)
}

// serveAPI answers a request for an operation.
func (x *exchange) serveAPI() {
	x.query = x.r.URL.Query()
	x.pace()
	x.identify()
	x.header = x.hoisted()
	t, err := x.route()
	if t.room != nil {
		x.service = t.room.api.Name
	}
	if t.op != nil {
		x.operation = t.op.model.Name
	}
	var reply *wire.Response
	if err == nil {
		reply, err = x.perform(&t)
	}
	if err != nil {
		reply = x.refuse(&t, err)
	}
	x.send(&t, reply)
}

// perform runs the operation of t and returns its reply.
func (x *exchange) perform(t *target) (*wire.Response, error) {
	if x.isUpload(t) {
		return x.performUpload(t)
	}
	if err := x.authenticate(t); err != nil {
		return nil, err
	}
	if t.unknown != nil {
		return nil, t.unknown
	}
	x.header = x.hoisted() // chunked bodies change what it says of them
	if t.op.impl == nil {
		return nil, notImplemented("lambent does not implement %s:%s yet.", t.room.api.Name, t.op.model.Name)
	}
	codec, ok := t.codec()
	if !ok {
		return nil, notImplemented("lambent does not speak %s yet.", t.protocol)
	}
	in := newInput(t.op)
	req, err := x.wireRequest(t)
	if err != nil {
		return nil, err
	}
	if err := codec.Decode(t.api(), t.op.model, req, in); err != nil {
		return nil, err
	}
	out, err := x.g.run(x.r.Context(), t.op, t.protocol, x.caller, in)
	if err != nil {
		return nil, err
	}
	reply, err := codec.Encode(t.api(), t.op.model, x.shownID(t), out)
	if err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	return reply, nil
}

// hoisted returns the header together with what the maker of a presigned S3 URL moved from there into
// the query string: x-amz-acl, x-amz-meta-color and the like mean the same in either place. Checksums
// stay behind: the JavaScript SDK presigns that of an empty body for whatever will be sent.
func (x *exchange) hoisted() http.Header {
	if x.claim == nil || !x.claim.Presigned || !x.signedFor("s3") {
		return x.r.Header
	}
	h := x.r.Header.Clone()
	for name, values := range x.query {
		lower := strings.ToLower(name)
		switch {
		case !strings.HasPrefix(lower, "x-amz-"), h.Get(name) != "":
		case strings.HasPrefix(lower, "x-amz-checksum-"), lower == "x-amz-sdk-checksum-algorithm":
		case slices.Contains(signatureParameters, lower):
		default:
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	return h
}

// signatureParameters make up a presigned URL's signature.
var signatureParameters = []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
	"x-amz-signature", "x-amz-security-token", "x-amz-content-sha256", "x-amz-region-set"}

// newInput makes an empty input of the operation.
func newInput(op *operation) any { return reflect.New(op.model.Input).Interface() }

// wireRequest gives a codec what it needs. S3's bodies are read as they come, all others are whole by now.
func (x *exchange) wireRequest(t *target) (*wire.Request, error) {
	req := &wire.Request{Method: x.r.Method, Header: x.header, Query: x.query, Labels: t.labels, Body: x.r.Body, Length: x.r.ContentLength}
	if x.whole {
		body, header, err := wire.Decompress(x.header, x.body, t.op.limit)
		if err != nil {
			return nil, err
		}
		req.Header = header
		if t.isQuery() && !isForm(x.r) {
			body = []byte(x.r.URL.RawQuery)
		}
		req.Body, req.Length = bytes.NewReader(body), int64(len(body))
	} else if !t.op.stream && !t.op.events {
		req.Body = http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, t.op.limit)
	}
	return req, nil
}

// run checks the input, asks for permission and calls the operation.
func (g *Gateway) run(ctx context.Context, op *operation, p service.Protocol, c cloud.Caller, in any) (any, error) {
	if err := protocol.Validate(op.room.api, p, in); err != nil {
		return nil, err
	}
	if err := g.permit(ctx, op, c, in); err != nil {
		return nil, err
	}
	ctx, span := trace.Start(ctx, "handle")
	out, err := op.impl.Handle(ctx, c, in)
	span.End(err)
	return out, err
}

// permit asks the Authorizer for everybody but root.
func (g *Gateway) permit(ctx context.Context, op *operation, c cloud.Caller, in any) error {
	if c.Root || op.impl.Access.Public || c.Anonymous && op.model.NoAuth {
		return nil
	}
	var resources []string
	if op.impl.Access.Resources != nil {
		resources = op.impl.Access.Resources(c, in)
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	if g.authorize == nil {
		if c.Anonymous {
			return op.room.family.denied("Access Denied")
		}
		return op.room.family.denied(fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
			c.ARN, op.action, resources[0], op.action))
	}
	err := g.authorize.Authorize(ctx, c, op.action, resources)
	if fault := (*cloud.Fault)(nil); errors.As(err, &fault) && fault.Code == "AccessDenied" {
		return op.room.family.denied(fault.Message)
	}
	return err
}

// refuse makes the reply of an error.
func (x *exchange) refuse(t *target, err error) *wire.Response {
	if ctxErr := x.r.Context().Err(); ctxErr != nil {
		x.code, x.cause = "ClientClosedRequest", err
		return nil
	}
	fault := t.family.faultOf(err, t.op, x.now)
	if fault.Status == 0 {
		if m := errorModel(t.api(), fault.Code); m != nil && m.Status != 0 {
			fault = fault.WithStatus(m.Status)
		}
	}
	x.code, x.cause = fault.Code, fault.Cause
	codec, ok := t.codec()
	if !ok {
		return plainFault(fault)
	}
	var model *service.OperationModel
	if t.op != nil {
		model = t.op.model
	}
	return codec.EncodeFault(t.api(), model, x.shownID(t), fault)
}

// pace keeps a client that sends or takes nothing from holding its connection for ever.
func (x *exchange) pace() {
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return
	}
	x.r.Body = &pacedBody{ReadCloser: x.r.Body, control: x.w.control}
}

// readBody reads the whole body, once. Without a known key only little is read.
func (x *exchange) readBody(limit int64) error {
	if x.whole {
		return nil
	}
	if x.key.Secret == "" {
		limit = min(limit, maxUnsignedBody)
	}
	x.whole = true
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil
	}
	if x.r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	body := http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, limit)
	if n := x.r.ContentLength; n >= 0 && n <= 1<<20 {
		x.body = make([]byte, n)
		if _, err := io.ReadFull(body, x.body); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		_, err := body.Read(make([]byte, 1)) // to EOF, so that the connection notices when the client goes away
		if err == io.EOF {
			return nil
		}
		return err
	}
	var err error
	if x.body, err = io.ReadAll(body); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	return nil
}

// send writes the reply. HEAD replies have no body.
func (x *exchange) send(t *target, reply *wire.Response) {
	if reply == nil { // nobody is there to read it
		x.w.status = 499
		panic(http.ErrAbortHandler)
	}
	h := x.w.Header()
	for name, values := range reply.Header {
		h[name] = values
	}
	if t.family == familyS3 {
		h.Set("Server", "AmazonS3")
	} else if h.Get("X-Amzn-Requestid") == "" {
		h.Set("X-Amzn-Requestid", x.id)
	}
	if ct := x.r.Header.Get("Content-Type"); t.family == familyJSON && reply.Push == nil && strings.HasPrefix(ct, "application/x-amz-json-1.") {
		h.Set("Content-Type", ct[:len("application/x-amz-json-1.0")])
	}
	status := reply.Status
	if status == 0 {
		status = http.StatusOK
	}
	x.w.deadline()
	if reply.Push != nil {
		x.push(status, reply.Push)
		return
	}
	if reply.Stream != nil {
		x.stream(status, reply.Stream)
		return
	}
	if x.r.Method != http.MethodHead && bodyAllowed(status) {
		h.Set("Content-Length", strconv.Itoa(len(reply.Body)))
	}
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(reply.Body)
	}
}

// stream copies an output's stream. When it breaks off the connection is broken too, so that the client
// does not take the part for the whole.
func (x *exchange) stream(status int, stream io.ReadCloser) {
	defer stream.Close()
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead {
		return
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := stream.Read(*buf)
		if n > 0 {
			x.w.deadline()
			if _, werr := x.w.Write((*buf)[:n]); werr != nil {
				return // the client went away
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			x.cause = fmt.Errorf("copy the reply: %w", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// push sends a body that comes into being bit by bit.
func (x *exchange) push(status int, push func(io.Writer) error) {
	x.w.WriteHeader(status)
	to := pushWriter{x.w}
	if err := to.sent(); err != nil {
		return // the client went away
	}
	if err := push(to); err != nil && x.r.Context().Err() == nil {
		x.cause = fmt.Errorf("push the reply: %w", err)
	}
}

var copyBuffers = sync.Pool{New: func() any { return new(make([]byte, 64<<10)) }}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// shownID returns the request's id in the form of the service: a UUID, or S3's sixteen digits.
func (x *exchange) shownID(t *target) string {
	if t.family == familyS3 {
		return s3RequestID(x.id)
	}
	return x.id
}

func s3RequestID(id string) string {
	return strings.ToUpper(strings.ReplaceAll(id, "-", ""))[:16]
}

// newRequestID makes a random UUID (version 4).
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// peer returns the address of the other end, without port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
