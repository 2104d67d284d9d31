package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"lambent/cloud"
	"lambent/invoke"
)

// maxClientContext is how long a client context may be, decoded.
const maxClientContext = 3583

func (s *Service) invoke(ctx context.Context, c cloud.Caller, in *InvokeInput) (*InvokeOutput, error) {
	r, err := parseName(c, *in.FunctionName, cloud.Val(in.Qualifier))
	if err != nil {
		return nil, err
	}
	if in.DurableExecutionName != nil {
		return nil, cloud.NotImplemented("DurableExecutionName")
	}
	if in.TenantId != nil {
		return nil, cloud.NotImplemented("TenantId")
	}
	clientContext, err := decodeClientContext(cloud.Val(in.ClientContext))
	if err != nil {
		return nil, err
	}
	kind := cloud.Or(in.InvocationType, "RequestResponse")
	payload, err := checkPayload(in.Payload, kind == "Event")
	if err != nil {
		return nil, err
	}
	at, err := s.authorize(ctx, c, r, "lambda:InvokeFunction")
	if err != nil {
		return nil, err
	}
	switch kind {
	case "DryRun":
		return &InvokeOutput{StatusCode: new(int32(204))}, nil
	case "Event":
		if err := s.later(ctx, c, r, payload, clientContext); err != nil {
			return nil, err
		}
		return &InvokeOutput{StatusCode: new(int32(202))}, nil
	}
	tail := cloud.Val(in.LogType) == "Tail"
	res, err := s.call(ctx, c, r, at, payload, clientContext, tail)
	if err != nil {
		return nil, err
	}
	out := &InvokeOutput{StatusCode: new(int32(200)), Payload: res.Payload, ExecutedVersion: new(res.Version)}
	if res.FunctionError != "" {
		out.FunctionError = new(res.FunctionError)
	}
	if tail {
		out.LogResult = new(base64.StdEncoding.EncodeToString(res.LogTail))
	}
	return out, nil
}

// invokeAsync is the operation that Event invocations replaced.
func (s *Service) invokeAsync(ctx context.Context, c cloud.Caller, in *InvokeAsyncInput) (*InvokeAsyncOutput, error) {
	r, err := parseName(c, *in.FunctionName, "")
	if err != nil {
		return nil, err
	}
	var body []byte
	if in.InvokeArgs != nil {
		if body, err = io.ReadAll(io.LimitReader(in.InvokeArgs, invoke.MaxAsyncPayload+1)); err != nil {
			return nil, fmt.Errorf("read invoke args: %w", err)
		}
	}
	payload, err := checkPayload(body, true)
	if err != nil {
		return nil, err
	}
	if _, err := s.authorize(ctx, c, r, "lambda:InvokeFunction"); err != nil {
		return nil, err
	}
	if err := s.later(ctx, c, r, payload, ""); err != nil {
		return nil, err
	}
	return &InvokeAsyncOutput{Status: new(int32(202))}, nil
}

// authorize finds what to run, if the caller may. The gateway has asked the policies of an identity of this account;
// a service, or another account, needs the function's own policy.
func (s *Service) authorize(ctx context.Context, c cloud.Caller, r reference, action string) (*target, error) {
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	a := access{action: action, keys: map[string]string{}}
	switch {
	case c.Via != "" && !ownRole(c):
		a.principal = principal{Service: c.Via}
		a.keys["aws:sourcearn"] = c.ARN
		a.keys["aws:sourceaccount"] = c.Account
		if source, ok := cloud.ParseARN(c.ARN); ok && source.Account != "" {
			a.keys["aws:sourceaccount"] = source.Account
		}
	case c.Account != r.account:
		a.principal = principal{AWS: c.ARN}
	default:
		return snap.targets[r.qualifier].pick(), nil
	}
	if !snap.policies[r.qualifier].allows(a) {
		who := or(c.Via, c.ARN)
		return nil, cloud.Faultf("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
			who, action, r.qualified(r.qualifier), action).WithStatus(403)
	}
	return snap.targets[r.qualifier].pick(), nil
}

// ownRole tells whether a service acts in a role or for a user that its caller gave it, rather than as itself: then
// ARN is an identity, whose own policies have been asked.
func ownRole(c cloud.Caller) bool {
	a, ok := cloud.ParseARN(c.ARN)
	return ok && (a.Service == "sts" || a.Service == "iam")
}

func (s *Service) call(ctx context.Context, c cloud.Caller, r reference, at *target, payload []byte, clientContext string, tail bool) (*invoke.Result, error) {
	return s.callInto(ctx, c, r, at, payload, clientContext, tail, nil)
}

// callInto is call for an answer that may be streamed.
func (s *Service) callInto(ctx context.Context, c cloud.Caller, r reference, at *target, payload []byte, clientContext string, tail bool, sink invoke.Sink) (*invoke.Result, error) {
	res, err := s.Invoker.Call(ctx, at.function, &invoke.Request{
		Payload: payload, ClientContext: clientContext, RequestID: requestID(c), TraceID: c.Trace, ARN: r.qualified(r.qualifier), LogTail: tail, Sink: sink})
	var throttled *invoke.Throttled
	switch {
	case errors.As(err, &throttled):
		return nil, tooManyRequests(throttled.Reason)
	case err != nil:
		return nil, invoke.Fault(err)
	}
	return res, nil
}

func (s *Service) later(ctx context.Context, c cloud.Caller, r reference, payload []byte, clientContext string) error {
	return s.queue.Put(ctx, invoke.AsyncEvent{ID: requestID(c), TraceID: c.Trace, Account: r.account, Region: r.region, Name: r.name,
		Qualifier: r.qualifier, ARN: r.qualified(r.qualifier), ClientContext: clientContext, Payload: payload})
}

// requestID is the request's own id, which is the invocation's too, if it has the form that functions expect.
func requestID(c cloud.Caller) string {
	if len(c.RequestID) == 36 && strings.Count(c.RequestID, "-") == 4 {
		return c.RequestID
	}
	return invoke.NewRequestID()
}

// InvokeARN runs the function for another service of the cloud and waits for its answer. With c.Via set and c.ARN the
// resource that it calls for (an API's method, a rule), the function's policy must allow that service that source;
// without, or with c.ARN an identity, the caller has been authorized already.
func (s *Service) InvokeARN(ctx context.Context, c cloud.Caller, arn string, payload []byte) (answer []byte, functionError string, err error) {
	r, at, err := s.reach(ctx, &c, arn, payload, invoke.MaxPayload)
	if err != nil {
		return nil, "", err
	}
	c.RequestID = "" // a request to an API has an id of its own
	res, err := s.call(ctx, c, r, at, payload, "", false)
	if err != nil {
		return nil, "", err
	}
	return res.Payload, res.FunctionError, nil
}

// InvokeAsyncARN is InvokeARN for an event: it returns when the event is durable.
func (s *Service) InvokeAsyncARN(ctx context.Context, c cloud.Caller, arn string, payload []byte) error {
	r, _, err := s.reach(ctx, &c, arn, payload, invoke.MaxAsyncPayload)
	if err != nil {
		return err
	}
	c.RequestID = ""
	return s.later(ctx, c, r, payload, "")
}

func (s *Service) reach(ctx context.Context, c *cloud.Caller, arn string, payload []byte, limit int) (reference, *target, error) {
	if a, ok := cloud.ParseARN(arn); ok {
		c.Region = a.Region // a service may call across regions
	}
	r, err := parseName(*c, arn, "")
	if err != nil {
		return r, nil, err
	}
	if len(payload) > limit {
		return r, nil, payloadTooLarge(len(payload), limit == invoke.MaxAsyncPayload)
	}
	at, err := s.authorize(ctx, *c, r, "lambda:InvokeFunction")
	return r, at, err
}

func payloadTooLarge(size int, async bool) error {
	f := cloud.Faultf("RequestEntityTooLargeException", "Request must be smaller than %d bytes for the InvokeFunction operation", invoke.MaxPayload)
	if async {
		f = cloud.Faultf(f.Code, "%d byte payload is too large for the Event invocation type (limit %d bytes)", size, invoke.MaxAsyncPayload)
	}
	return f.WithStatus(413)
}

// checkPayload makes sure that a function gets JSON. None at all is an empty object.
func checkPayload(p []byte, async bool) ([]byte, error) {
	switch {
	case len(p) > invoke.MaxPayload || async && len(p) > invoke.MaxAsyncPayload:
		return nil, payloadTooLarge(len(p), async)
	case len(p) == 0:
		return []byte("{}"), nil
	case !json.Valid(p) || !utf8.Valid(p):
		return nil, badContent("Could not parse request body into json: Could not parse payload into json: %s", jsonProblem(p))
	}
	return p, nil
}

// jsonProblem says where a payload stops being JSON, in the words of the parser that AWS uses.
func jsonProblem(p []byte) string {
	const where = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]"
	at := badUTF8(p)
	var syntax *json.SyntaxError
	var v json.RawMessage
	err := json.Unmarshal(p, &v)
	if errors.As(err, &syntax) && (at < 0 || int(syntax.Offset)-1 < at) {
		at = max(int(syntax.Offset)-1, 0)
	}
	at = max(min(at, len(p)-1), 0)
	line := 1 + bytes.Count(p[:at], []byte{'\n'})
	column := at - bytes.LastIndexByte(p[:at], '\n')
	b := p[at]
	switch {
	case b >= 0x80 && at > 0 && (bytes.Count(p[:at], []byte{'"'})%2 == 1 || 'a' <= p[at-1] && p[at-1] <= 'z'): // in a string or word
		return fmt.Sprintf("Invalid UTF-8 start byte 0x%02x"+where, b, line, column+1)
	case b < ' ' || b >= 0x7f:
		return fmt.Sprintf("Unexpected character ((CTRL-CHAR, code %d)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"+where, b, line, column)
	case err != nil && strings.Contains(err.Error(), "unexpected end"):
		return fmt.Sprintf("Unexpected end-of-input"+where, line, column+1)
	}
	return fmt.Sprintf("Unexpected character ('%c' (code %d)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"+where, b, b, line, column)
}

// badUTF8 is where p stops being UTF-8, -1 if nowhere.
func badUTF8(p []byte) int {
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// decodeClientContext turns the header into the JSON that a function sees.
func decodeClientContext(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	text, err := base64.StdEncoding.DecodeString(header)
	if err != nil || !json.Valid(text) {
		return "", badContent("Could not parse request body into json: Client context must be a valid Base64-encoded JSON object.")
	}
	if len(text) > maxClientContext {
		return "", badContent("Client context must be no more than %d bytes when base64-decoded.", maxClientContext)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", badContent("Could not parse request body into json: %s", err)
	}
	return compact.String(), nil
}
