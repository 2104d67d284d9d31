// Package apievent turns HTTP requests into the JSON events that functions behind an API are called with, and what the
// functions return into HTTP responses: payload format 1.0 as REST APIs and HTTP APIs have it, and 2.0, which
// HTTP APIs and function URLs share. It is pure: facts in, bytes out.
package apievent

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lambent/lang/jsonpath"
)

// A Request holds what is known of one request. The functions of this package do not change it.
type Request struct {
	Account      string // "anonymous" for function URLs
	API          string
	Deployment   string // REST APIs only
	Stage        string
	Domain       string // as the client should address it: id.execute-api.region.domain
	DomainPrefix string // the API's id

	Method   string
	Protocol string // "HTTP/1.1"
	Path     string // what the event calls path or rawPath, escaped as it was sent
	FullPath string // path of the request context, with the stage
	RawQuery string
	Host     string
	Header   http.Header // as net/http has it, without Host
	Secure   bool        // over TLS
	SourceIP string

	Resource   string // matched resource path: "/users/{id}"
	ResourceID string
	RouteKey   string // "GET /users/{id}", "$default"
	Operation  string // operationName of the method, "" when it has none
	Params     []Param
	Variables  map[string]string // the stage's

	RequestID  string
	ExtendedID string // x-amz-apigw-id
	Trace      string // value of X-Amzn-Trace-Id
	Time       time.Time

	Body   []byte
	Base64 bool // put the body in as base64
}

// Port is the port that a client called, by the host that it named.
func Port(host string, secure bool) string {
	if _, port, err := net.SplitHostPort(host); err == nil {
		return port
	}
	if secure {
		return "443"
	}
	return "80"
}

// A Param is a path parameter.
type Param struct{ Name, Value string }

// A Field is a header, or a query parameter, with all its values: one at least.
type Field struct {
	Name   string
	Values []string
}

// Last returns the value that stands for all where there can be one only.
func (f Field) Last() string { return f.Values[len(f.Values)-1] }

// Size is about how many bytes an event takes, to begin a buffer with.
func (r *Request) Size() int { return 2048 + 2*len(r.RawQuery) + len(r.Body) + len(r.Body)/3 }

// V1 appends the event of a REST API's AWS_PROXY integration.
func (r *Request) V1(dst []byte) []byte {
	dst = append(dst, `{"resource":`...)
	dst = jsonpath.AppendString(dst, r.Resource)
	dst = member(dst, "path", r.Path)
	dst = member(dst, "httpMethod", r.Method)
	dst = appendBoth(dst, "headers", "multiValueHeaders", r.headersV1())
	dst = appendBoth(dst, "queryStringParameters", "multiValueQueryStringParameters", Query(r.RawQuery))
	dst = r.appendParams(append(dst, `,"pathParameters":`...))
	dst = appendStrings(append(dst, `,"stageVariables":`...), r.Variables)
	dst = append(dst, `,"requestContext":{"resourceId":`...)
	dst = jsonpath.AppendString(dst, r.ResourceID)
	dst = member(dst, "resourcePath", r.Resource)
	if r.Operation != "" {
		dst = member(dst, "operationName", r.Operation)
	}
	dst = r.contextV1(dst, false)
	if r.Deployment != "" {
		dst = member(dst, "deploymentId", r.Deployment)
	}
	return r.appendBody(append(dst, '}'))
}

// HTTPV1 appends the event of an HTTP API's integration with payload format 1.0.
func (r *Request) HTTPV1(dst []byte) []byte {
	dst = append(dst, `{"version":"1.0"`...)
	dst = member(dst, "resource", r.Resource)
	dst = member(dst, "path", r.Path)
	dst = member(dst, "httpMethod", r.Method)
	dst = appendBoth(dst, "headers", "multiValueHeaders", r.headersV1())
	dst = appendBoth(dst, "queryStringParameters", "multiValueQueryStringParameters", Query(r.RawQuery))
	dst = append(dst, `,"requestContext":{"resourceId":`...)
	dst = jsonpath.AppendString(dst, r.RouteKey)
	dst = member(dst, "resourcePath", r.Resource)
	dst = r.contextV1(dst, true)
	dst = r.appendParams(append(dst, `},"pathParameters":`...))
	dst = appendStrings(append(dst, `,"stageVariables":`...), r.Variables)
	return r.appendBody(dst)
}

// contextV1 appends the members of requestContext that both kinds of format 1.0 have; amr adds the one of HTTP APIs.
func (r *Request) contextV1(dst []byte, amr bool) []byte {
	dst = member(dst, "httpMethod", r.Method)
	dst = member(dst, "extendedRequestId", r.ExtendedID)
	dst = member(dst, "requestTime", r.clock())
	dst = member(dst, "path", r.FullPath)
	dst = member(dst, "accountId", r.Account)
	dst = member(dst, "protocol", r.Protocol)
	dst = member(dst, "stage", r.Stage)
	dst = member(dst, "domainPrefix", r.DomainPrefix)
	dst = append(dst, `,"requestTimeEpoch":`...)
	dst = strconv.AppendInt(dst, r.Time.UnixMilli(), 10)
	dst = member(dst, "requestId", r.RequestID)
	dst = append(dst, `,"identity":{"cognitoIdentityPoolId":null,"accountId":null,"cognitoIdentityId":null,"caller":null`...)
	dst = member(dst, "sourceIp", r.SourceIP)
	dst = append(dst, `,"principalOrgId":null,"accessKey":null,"cognitoAuthenticationType":null,"cognitoAuthenticationProvider":null,"userArn":null`...)
	if amr {
		dst = append(dst, `,"cognitoAmr":null`...)
	}
	dst = append(dst, `,"userAgent":`...)
	if agent := r.Header.Get("User-Agent"); agent != "" {
		dst = jsonpath.AppendString(dst, agent)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"user":null}`...)
	dst = member(dst, "domainName", r.Domain)
	return member(dst, "apiId", r.API)
}

// V2 appends the event of payload format 2.0.
func (r *Request) V2(dst []byte) []byte {
	dst = append(dst, `{"version":"2.0"`...)
	dst = member(dst, "routeKey", r.RouteKey)
	dst = member(dst, "rawPath", r.Path)
	dst = member(dst, "rawQueryString", r.RawQuery)
	if cookies := r.cookies(); len(cookies) > 0 {
		dst = appendList(append(dst, `,"cookies":`...), cookies)
	}
	dst = appendJoined(append(dst, `,"headers":`...), r.headersV2())
	if q := Query(r.RawQuery); len(q) > 0 {
		dst = appendJoined(append(dst, `,"queryStringParameters":`...), q)
	}
	dst = append(dst, `,"requestContext":{"accountId":`...)
	dst = jsonpath.AppendString(dst, r.Account)
	dst = member(dst, "apiId", r.API)
	dst = member(dst, "domainName", r.Domain)
	dst = member(dst, "domainPrefix", r.DomainPrefix)
	dst = append(dst, `,"http":{"method":`...)
	dst = jsonpath.AppendString(dst, r.Method)
	dst = member(dst, "path", r.FullPath)
	dst = member(dst, "protocol", r.Protocol)
	dst = member(dst, "sourceIp", r.SourceIP)
	dst = member(dst, "userAgent", r.Header.Get("User-Agent"))
	dst = member(append(dst, '}'), "requestId", r.RequestID)
	dst = member(dst, "routeKey", r.RouteKey)
	dst = member(dst, "stage", r.Stage)
	dst = member(dst, "time", r.clock())
	dst = append(dst, `,"timeEpoch":`...)
	dst = append(strconv.AppendInt(dst, r.Time.UnixMilli(), 10), '}')
	if len(r.Params) > 0 {
		dst = r.appendParams(append(dst, `,"pathParameters":`...))
	}
	if len(r.Variables) > 0 {
		dst = appendStrings(append(dst, `,"stageVariables":`...), r.Variables)
	}
	if len(r.Body) > 0 {
		return r.appendBody(dst)
	}
	return append(dst, `,"isBase64Encoded":false}`...)
}

// clock is the time as it stands in the common log format.
func (r *Request) clock() string { return r.Time.UTC().Format("02/Jan/2006:15:04:05 -0700") }

// appendBody appends the members that carry the body, and the end of the event.
func (r *Request) appendBody(dst []byte) []byte {
	dst = append(dst, `,"body":`...)
	switch {
	case len(r.Body) == 0:
		return append(dst, `null,"isBase64Encoded":false}`...)
	case r.Base64:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, r.Body)
		return append(dst, `","isBase64Encoded":true}`...)
	}
	dst = jsonpath.AppendString(dst, string(r.Body))
	return append(dst, `,"isBase64Encoded":false}`...)
}

func (r *Request) appendParams(dst []byte) []byte {
	if len(r.Params) == 0 {
		return append(dst, "null"...)
	}
	for i, p := range r.Params {
		dst = append(dst, "{,"[min(i, 1)])
		dst = append(jsonpath.AppendString(dst, p.Name), ':')
		dst = jsonpath.AppendString(dst, p.Value)
	}
	return append(dst, '}')
}

func appendStrings(dst []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return append(dst, "null"...)
	}
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, n := range names {
		dst = append(dst, "{,"[min(i, 1)])
		dst = append(jsonpath.AppendString(dst, n), ':')
		dst = jsonpath.AppendString(dst, m[n])
	}
	return append(dst, '}')
}

// member appends ,"name":"value".
func member(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return jsonpath.AppendString(dst, value)
}

// appendBoth appends a member with each field's last value and one with all values, null when there is no field.
func appendBoth(dst []byte, single, multi string, fields []Field) []byte {
	dst = append(append(append(dst, `,"`...), single...), `":`...)
	if len(fields) == 0 {
		dst = append(dst, "null"...)
	} else {
		for i, f := range fields {
			dst = append(dst, "{,"[min(i, 1)])
			dst = append(jsonpath.AppendString(dst, f.Name), ':')
			dst = jsonpath.AppendString(dst, f.Last())
		}
		dst = append(dst, '}')
	}
	dst = append(append(append(dst, `,"`...), multi...), `":`...)
	if len(fields) == 0 {
		return append(dst, "null"...)
	}
	for i, f := range fields {
		dst = append(dst, "{,"[min(i, 1)])
		dst = append(jsonpath.AppendString(dst, f.Name), ':')
		dst = appendList(dst, f.Values)
	}
	return append(dst, '}')
}

// appendJoined appends an object of the fields with their values joined by commas.
func appendJoined(dst []byte, fields []Field) []byte {
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonpath.AppendString(dst, f.Name), ':')
		dst = jsonpath.AppendString(dst, strings.Join(f.Values, ","))
	}
	return append(dst, '}')
}

func appendList(dst []byte, values []string) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonpath.AppendString(dst, v)
	}
	return append(dst, ']')
}

// Query splits a query string into parameters as AWS reads it, in the order of their first appearance.
func Query(raw string) []Field {
	var fields []Field
	at := map[string]int{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		i, ok := at[name]
		if !ok {
			at[name] = len(fields)
			fields = append(fields, Field{name, []string{value}})
			continue
		}
		fields[i].Values = append(fields[i].Values, value)
	}
	return fields
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// hopHeader says whether a header concerns one connection only, and never reaches a function.
func hopHeader(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// headersV1 returns the headers that an event of format 1.0 shows, sorted by name.
func (r *Request) headersV1() []Field {
	fields := make([]Field, 0, len(r.Header)+5)
	for name, values := range r.Header {
		if hopHeader(name) || name == "Content-Length" || name == "Expect" || len(values) == 0 || r.own(name) {
			continue
		}
		fields = append(fields, Field{name, values})
	}
	fields = append(fields,
		Field{"Host", []string{r.Host}},
		Field{"X-Amzn-Trace-Id", []string{r.Trace}},
		Field{"X-Forwarded-For", []string{r.forwardedFor()}},
		Field{"X-Forwarded-Port", []string{Port(r.Host, r.Secure)}},
		Field{"X-Forwarded-Proto", []string{r.scheme()}})
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// headersV2 returns the headers that an event of format 2.0 shows: lower case, cookies apart, sorted by name.
func (r *Request) headersV2() []Field {
	fields := make([]Field, 0, len(r.Header)+5)
	for name, values := range r.Header {
		if hopHeader(name) || name == "Cookie" || len(values) == 0 || r.own(name) {
			continue
		}
		fields = append(fields, Field{strings.ToLower(name), values})
	}
	fields = append(fields,
		Field{"host", []string{r.Host}},
		Field{"x-amzn-trace-id", []string{r.Trace}},
		Field{"x-forwarded-for", []string{r.forwardedFor()}},
		Field{"x-forwarded-port", []string{Port(r.Host, r.Secure)}},
		Field{"x-forwarded-proto", []string{r.scheme()}})
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// own says whether the gateway sets the header itself.
func (r *Request) own(name string) bool {
	switch name {
	case "Host", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	}
	return false
}

// forwardedFor is the chain of addresses the request came through, this hop's last.
func (r *Request) forwardedFor() string {
	if before := strings.Join(r.Header.Values("X-Forwarded-For"), ", "); before != "" {
		return before + ", " + r.SourceIP
	}
	return r.SourceIP
}

func (r *Request) scheme() string {
	if r.Secure {
		return "https"
	}
	return "http"
}

func (r *Request) cookies() []string {
	var cookies []string
	for _, line := range r.Header.Values("Cookie") {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c != "" {
				cookies = append(cookies, c)
			}
		}
	}
	return cookies
}

// Headers returns the headers that an event of format 1.0 shows.
func (r *Request) Headers() []Field { return r.headersV1() }

// TextBody says whether HTTP APIs and function URLs hand a body of this content type and encoding over as text:
// text/*, JSON, JavaScript and XML. Bytes that are not UTF-8 always go as base64, so that nothing is lost.
func TextBody(contentType, contentEncoding string, body []byte) bool {
	if contentEncoding != "" && !strings.EqualFold(contentEncoding, "identity") {
		return false
	}
	return textType(contentType) && utf8.Valid(body)
}

func textType(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch t = strings.ToLower(strings.TrimSpace(t)); t {
	case "", "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml")
}
