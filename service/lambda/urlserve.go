package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
	"lambent/lang/apievent"
	"lambent/service"
)

const urlPrefix = "/_lambda-url/"

// urlPath recognises the path form: /_lambda-url/{id}/…
func urlPath(path string) (id, rest string, ok bool) {
	after, ok := strings.CutPrefix(path, urlPrefix)
	if !ok {
		return "", "", false
	}
	id, rest, _ = strings.Cut(after, "/")
	return id, "/" + rest, id != ""
}

// serveURL answers a request to a function URL.
func (s *Service) serveURL(w http.ResponseWriter, r *http.Request, at service.Published) {
	to, u, err := s.urlTarget(r.Context(), at.ID)
	if err != nil {
		s.urlFault(w, err)
		return
	}
	origin := allowOrigin(u.Cors, r.Header.Get("Origin"))
	if u.Cors != nil && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		preflight(w, u.Cors, origin)
		return
	}
	if err := s.answerURL(w, r, at, to, u, origin); err != nil {
		s.urlFault(w, err)
	}
}

// errURLFunction is what a client sees of a function that fails.
var errURLFunction = cloud.Faultf("InternalServerErrorException", "Internal Server Error").WithStatus(http.StatusBadGateway)

var errURLForbidden = cloud.Faultf("AccessDeniedException", "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html").WithStatus(403)

func (s *Service) urlTarget(ctx context.Context, id string) (to reference, u *urlRow, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		var row urlIDRow
		found, err := kv.GetRow(ctx, rd, urlIDKey(id), &row)
		if err != nil || !found {
			return orElse(err, errURLForbidden)
		}
		to = reference{functionID{row.Account, row.Region, row.Name}, row.Qualifier}
		u, err = to.loadURL(ctx, rd)
		return err
	})
	return to, u, err
}

// answerURL runs the function, if the request may, and sends its answer.
func (s *Service) answerURL(w http.ResponseWriter, r *http.Request, at service.Published, to reference, u *urlRow, origin string) error {
	ctx := r.Context()
	snap, err := s.snapshot(ctx, to)
	if err != nil {
		return orElse(gone(err), errURLForbidden)
	}
	if err := s.admitURL(ctx, at, to, u, snap.policies[to.qualifier]); err != nil {
		return err
	}
	event, err := urlEvent(r, at, to, u)
	if err != nil {
		return err
	}
	c := at.Caller
	c.Account, c.Region = to.account, to.region
	version := snap.targets[to.qualifier].pick()
	if u.Mode == "RESPONSE_STREAM" {
		t, err := s.open(ctx, c, to, version, event, "", false)
		if err != nil {
			return err
		}
		defer t.close()
		return streamURL(w, t, u.Cors, origin)
	}
	res, err := s.call(ctx, c, to, version, event, "", false)
	if err != nil {
		return err
	}
	if res.FunctionError != "" {
		return errURLFunction
	}
	writeAnswer(w, parseAnswer(res.Payload), u.Cors, origin)
	return nil
}

// admitURL asks who may call a URL. With AuthType NONE the function's policy must let everyone in: the type alone does
// not. With AWS_IAM the request is signed, and the policies of the one who signed or the function's own let it happen;
// another account needs both.
func (s *Service) admitURL(ctx context.Context, at service.Published, to reference, u *urlRow, policy *policyRow) error {
	const action = "lambda:InvokeFunctionUrl"
	who := access{action: action, keys: map[string]string{"lambda:functionurlauthtype": u.Auth}}
	if u.Auth != "AWS_IAM" {
		if !policy.allows(who) {
			return errURLForbidden
		}
		return nil
	}
	c := at.Caller
	if at.Signed != "lambda" {
		return errURLForbidden
	}
	who.principal = principal{AWS: c.ARN}
	own, byPolicy := c.Account == to.account, policy.allows(who)
	if own && (c.Root || byPolicy) || byPolicy && c.Root {
		return nil
	}
	if s.Identities == nil || !own && !byPolicy {
		return errURLForbidden
	}
	err := s.Identities.Authorize(ctx, c, action, []string{to.qualified(to.qualifier)})
	if cloud.FaultCode(err) == "AccessDenied" {
		return errURLForbidden
	}
	return err
}

func (s *Service) urlFault(w http.ResponseWriter, err error) {
	status, code, message := http.StatusInternalServerError, "InternalServerErrorException", "Internal Server Error"
	var f *cloud.Fault
	switch {
	case errors.As(err, &f) && f.Code == "TooManyRequestsException":
		status, code, message = http.StatusTooManyRequests, f.Code, f.Message
	case errors.As(err, &f) && f.Status != 0:
		status, code, message = f.Status, f.Code, f.Message
	case errors.As(err, &f):
		status, code, message = http.StatusBadRequest, f.Code, f.Message
	default:
		s.Log.Error("function URL", "error", err)
	}
	body, _ := json.Marshal(map[string]string{"Message": message})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-ErrorType", code)
	w.WriteHeader(status)
	w.Write(body)
}

// urlEvent is the event of payload version 2.0 that the function gets for a request.
func urlEvent(r *http.Request, at service.Published, to reference, u *urlRow) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, invoke.MaxPayload+1))
	if err != nil {
		return nil, cloud.Faultf("BadRequestException", "The request body could not be read").WithStatus(400)
	}
	headers := map[string]string{"host": r.Host, "x-forwarded-for": at.Caller.SourceIP, "x-forwarded-proto": scheme(at.Caller), "x-forwarded-port": apievent.Port(r.Host, at.Caller.Secure)}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	if len(body) > 0 {
		headers["content-length"] = strconv.Itoa(len(body))
	}
	now := at.Caller.Now
	event := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery,
		"headers": headers, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": u.ID, "domainName": r.Host, "domainPrefix": u.ID,
			"http": map[string]string{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto,
				"sourceIp": at.Caller.SourceIP, "userAgent": r.UserAgent()},
			"requestId": requestID(at.Caller), "routeKey": "$default", "stage": "$default",
			"time": now.UTC().Format("02/Jan/2006:15:04:05 +0000"), "timeEpoch": now.UnixMilli(),
		},
	}
	if q := r.URL.Query(); len(q) > 0 {
		params := map[string]string{}
		for name, values := range q {
			params[name] = strings.Join(values, ",")
		}
		event["queryStringParameters"] = params
	}
	if cookies := r.Header.Values("Cookie"); len(cookies) > 0 {
		event["cookies"] = strings.Split(strings.Join(cookies, "; "), "; ")
	}
	if len(body) > 0 {
		event["body"] = string(body)
		if !isText(r.Header.Get("Content-Type")) || !utf8.Valid(body) {
			event["body"], event["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
		}
	}
	if u.Auth == "AWS_IAM" {
		signed(event, at.Caller)
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("function URL event: %w", err)
	}
	if len(payload) > invoke.MaxPayload {
		return nil, payloadTooLarge(len(payload), false)
	}
	return payload, nil
}

// signed says in an event who signed the request.
func signed(event map[string]any, c cloud.Caller) {
	in := event["requestContext"].(map[string]any)
	in["accountId"], in["authentication"] = c.Account, nil
	in["authorizer"] = map[string]any{"iam": map[string]any{"accessKey": c.AccessKeyID, "accountId": c.Account, "callerId": c.UserID,
		"cognitoIdentity": nil, "principalOrgId": nil, "userArn": c.ARN, "userId": c.UserID}}
}

func scheme(c cloud.Caller) string {
	if c.Secure {
		return "https"
	}
	return "http"
}

// isText tells whether a body of that type reaches the function as text.
func isText(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || slices.Contains([]string{"application/json", "application/javascript", "application/xml",
		"application/x-www-form-urlencoded"}, kind) || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// A urlAnswer is what a function's payload means as an HTTP response.
type urlAnswer struct {
	status  int
	headers map[string]string
	cookies []string
	body    []byte
}

// parseAnswer reads a payload: an object with a statusCode says everything; anything else is the body itself.
func parseAnswer(payload []byte) *urlAnswer {
	var full struct {
		StatusCode json.RawMessage            `json:"statusCode"`
		Headers    map[string]json.RawMessage `json:"headers"`
		Cookies    []string                   `json:"cookies"`
		Body       json.RawMessage            `json:"body"`
		Base64     bool                       `json:"isBase64Encoded"`
	}
	plain := &urlAnswer{status: 200, headers: map[string]string{"Content-Type": "application/json"}, body: unquote(payload)}
	if err := json.Unmarshal(payload, &full); err != nil || full.StatusCode == nil {
		return plain
	}
	status, err := strconv.Atoi(strings.Trim(string(full.StatusCode), `"`))
	if err != nil || status < 200 || status > 599 {
		return &urlAnswer{status: http.StatusBadGateway, headers: plain.headers, body: []byte(`{"Message":"Internal Server Error"}`)}
	}
	a := &urlAnswer{status: status, headers: map[string]string{"Content-Type": "application/json"}, cookies: full.Cookies, body: unquote(full.Body)}
	a.setHeaders(full.Headers)
	if full.Base64 {
		if decoded, err := base64.StdEncoding.DecodeString(string(a.body)); err == nil {
			a.body = decoded
		}
	}
	return a
}

// setHeaders puts the function's headers over ours.
func (a *urlAnswer) setHeaders(given map[string]json.RawMessage) {
	for name, value := range given {
		maps.DeleteFunc(a.headers, func(have, _ string) bool { return strings.EqualFold(have, name) })
		a.headers[name] = string(unquote(value))
	}
}

// unquote is the text of a JSON string, and any other JSON as it stands.
func unquote(b json.RawMessage) []byte {
	var text string
	if len(b) > 0 && b[0] == '"' && json.Unmarshal(b, &text) == nil {
		return []byte(text)
	}
	if string(b) == "null" {
		return nil
	}
	return b
}

func writeAnswer(w http.ResponseWriter, a *urlAnswer, cors *Cors, origin string) {
	h := w.Header()
	for name, value := range a.headers {
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding", "connection": // ours to say
		default:
			h.Set(name, value)
		}
	}
	for _, cookie := range a.cookies {
		h.Add("Set-Cookie", cookie)
	}
	if cors != nil && origin != "" {
		corsHeaders(h, cors, origin)
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func corsHeaders(h http.Header, cors *Cors, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if cloud.Val(cors.AllowCredentials) {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(cors.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(cors.ExposeHeaders, ","))
	}
}

// preflight answers a browser that asks before it sends; the function does not see it.
func preflight(w http.ResponseWriter, cors *Cors, origin string) {
	h := w.Header()
	if origin != "" {
		corsHeaders(h, cors, origin)
		if len(cors.AllowMethods) > 0 {
			h.Set("Access-Control-Allow-Methods", strings.Join(cors.AllowMethods, ","))
		}
		if len(cors.AllowHeaders) > 0 {
			h.Set("Access-Control-Allow-Headers", strings.Join(cors.AllowHeaders, ","))
		}
		if cors.MaxAge != nil {
			h.Set("Access-Control-Max-Age", strconv.Itoa(int(*cors.MaxAge)))
		}
	}
	w.WriteHeader(http.StatusOK)
}
