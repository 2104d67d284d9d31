package apigateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"

	"lambent/lang/apievent"
	"lambent/lang/apiroute"
	"lambent/lang/jsonpath"
	"lambent/lang/vtl"
)

// Mapping expressions: what stands on the right of a parameter mapping.

// validMapping judges the value of an integration response's parameter.
func validMapping(v string) bool {
	if len(v) >= 2 && v[0] == '\'' && v[len(v)-1] == '\'' {
		return true
	}
	for _, prefix := range []string{"integration.response.header.", "integration.response.multivalueheader.", "integration.response.body.", "context.", "stageVariables."} {
		if rest, ok := strings.CutPrefix(v, prefix); ok && rest != "" {
			return true
		}
	}
	return v == "integration.response.body"
}

// validGatewayMapping judges the value of a gateway response's parameter.
func validGatewayMapping(v string) bool {
	if len(v) >= 2 && v[0] == '\'' && v[len(v)-1] == '\'' {
		return true
	}
	for _, prefix := range []string{"method.request.header.", "method.request.path.", "method.request.querystring.", "context.", "stageVariables."} {
		if rest, ok := strings.CutPrefix(v, prefix); ok && rest != "" {
			return true
		}
	}
	return false
}

// mapped evaluates a mapping expression; body is that of the integration's response.
func (x *call) mapped(expression string, body []byte) (string, bool) {
	if len(expression) >= 2 && expression[0] == '\'' {
		return expression[1 : len(expression)-1], true
	}
	if name, ok := strings.CutPrefix(expression, "method.request."); ok {
		return x.parameter(name)
	}
	if name, ok := strings.CutPrefix(expression, "context."); ok {
		return x.contextValue(name)
	}
	if name, ok := strings.CutPrefix(expression, "stageVariables."); ok {
		v, ok := x.ev.Variables[name]
		return v, ok
	}
	if expression == "integration.response.body" {
		return string(body), true
	}
	if path, ok := strings.CutPrefix(expression, "integration.response.body."); ok {
		v, found := selectJSON(body, path)
		return plain(v), found
	}
	return "", false // a function's answer has no headers
}

func selectJSON(body []byte, path string) (any, bool) {
	doc, err := parseBody(body)
	if err != nil {
		return nil, false
	}
	p, err := jsonpath.Compile(path)
	if err != nil {
		return nil, false
	}
	v, found, err := p.Eval(doc)
	return v, found && err == nil
}

// parseBody reads a body as JSON; one that is empty counts as {}.
func parseBody(body []byte) (any, error) {
	if len(strings.TrimSpace(string(body))) == 0 {
		return jsonpath.NewObject(), nil
	}
	return jsonpath.Parse(body)
}

// plain is the text of a value in a header or URL: strings as they are, the rest as JSON.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool, int64, int, float64, json.Number:
		return fmt.Sprint(v)
	}
	return string(jsonpath.Append(nil, v))
}

// contextValue returns $context.a.b as text.
func (x *call) contextValue(name string) (string, bool) {
	var v any = x.contextMap()
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(*vtl.Map)
		if !ok || !m.Has(part) {
			return "", false
		}
		v = m.Get(part)
	}
	return plain(v), v != nil
}

// contextMap is $context. Templates may assign to its overrides, and to whatever they like: the response's templates
// see what the request's did.
func (x *call) contextMap() *vtl.Map {
	if x.context == nil {
		x.context = x.makeContext()
	}
	return x.context
}

func (x *call) makeContext() *vtl.Map {
	ev := &x.ev
	return vtl.MapOf(
		"accountId", ev.Account, "apiId", ev.API, "deploymentId", ev.Deployment, "stage", ev.Stage,
		"domainName", ev.Domain, "domainPrefix", ev.DomainPrefix, "httpMethod", ev.Method, "path", ev.FullPath, "protocol", ev.Protocol,
		"requestId", ev.RequestID, "extendedRequestId", ev.ExtendedID, "xrayTraceId", ev.Trace,
		"requestTime", ev.Time.UTC().Format("02/Jan/2006:15:04:05 -0700"), "requestTimeEpoch", ev.Time.UnixMilli(),
		"resourceId", ev.ResourceID, "resourcePath", ev.Resource,
		"identity", vtl.MapOf("sourceIp", ev.SourceIP, "userAgent", x.r.UserAgent()),
		"requestOverride", vtl.MapOf("header", vtl.NewMap(), "path", vtl.NewMap(), "querystring", vtl.NewMap()),
		"responseOverride", vtl.MapOf("header", vtl.NewMap()),
	)
}

// variables are what a mapping template sees; body is what $input reads.
func (x *call) variables(body []byte) map[string]any {
	stage := vtl.NewMap()
	for k, v := range x.ev.Variables {
		stage.Put(k, v)
	}
	return map[string]any{
		"input": &input{x: x, body: body}, "util": utility{}, "context": x.contextMap(), "stageVariables": stage,
	}
}

// input is $input.
type input struct {
	x      *call
	body   []byte
	parsed any
	done   bool
}

var _ vtl.Object = (*input)(nil)

// Get returns $input.body; an empty one reads as {}.
func (in *input) Get(name string) any {
	if name != "body" {
		return nil
	}
	if len(in.body) == 0 {
		return "{}"
	}
	return string(in.body)
}

// Call answers $input.json, path and params.
func (in *input) Call(name string, args []any) (any, bool, error) {
	s, err := text(args, 0)
	if err != nil {
		return nil, true, err
	}
	switch name {
	case "params":
		if len(args) == 0 {
			return in.x.allParameters(), true, nil
		}
		return in.param(s), true, nil
	case "json":
		v, found, err := in.eval(s)
		if err != nil || !found {
			return `""`, true, err
		}
		return string(jsonpath.Append(nil, v)), true, nil
	case "path":
		v, found, err := in.eval(s)
		if err != nil || !found {
			return nil, true, err
		}
		return fromJSON(v), true, nil
	}
	return nil, false, nil
}

// eval applies a path to the body. A body that is not JSON is one string, as in AWS's lenient parser.
func (in *input) eval(path string) (any, bool, error) {
	if time.Now().After(in.x.deadline) {
		return nil, false, context.DeadlineExceeded // templates are bounded in steps, but not in what a path costs
	}
	if !in.done {
		doc, err := parseBody(in.body)
		if errors.Is(err, jsonpath.ErrDepth) {
			return nil, false, err
		}
		if err != nil {
			doc = string(in.body)
		}
		in.parsed, in.done = doc, true
	}
	if path == "" {
		path = "$"
	}
	p, err := jsonpath.Compile(path)
	if err != nil {
		return nil, false, err
	}
	return p.Eval(in.parsed)
}

// param is $input.params('x'): path, then query string, then header.
func (in *input) param(name string) string {
	for _, kind := range []string{"path.", "querystring.", "header."} {
		if v, ok := in.x.parameter(kind + name); ok {
			return v
		}
	}
	return ""
}

// allParameters is $input.params().
func (x *call) allParameters() *vtl.Map {
	if x.params != nil {
		return x.params
	}
	path, query, header := vtl.NewMap(), vtl.NewMap(), vtl.NewMap()
	for _, p := range x.ev.Params {
		path.Put(p.Name, apiroute.Unescape(p.Value))
	}
	for _, f := range apievent.Query(x.r.URL.RawQuery) {
		query.Put(f.Name, f.Last())
	}
	for _, f := range x.ev.Headers() {
		header.Put(f.Name, f.Last())
	}
	x.params = vtl.MapOf("path", path, "querystring", query, "header", header)
	return x.params
}

// fromJSON turns a JSON value into what templates work with.
func fromJSON(v any) any {
	switch v := v.(type) {
	case []any:
		l := &vtl.List{JSON: true, Items: make([]any, len(v))}
		for i, e := range v {
			l.Items[i] = fromJSON(e)
		}
		return l
	case *jsonpath.Object:
		m := vtl.NewMap()
		for _, k := range v.Keys() {
			e, _ := v.Get(k)
			m.Put(k, fromJSON(e))
		}
		return m
	}
	return v
}

// text is an argument's text.
func text(args []any, i int) (string, error) {
	if i >= len(args) {
		return "", nil
	}
	return vtl.Text(args[i])
}

// utility is $util.
type utility struct{}

var _ vtl.Object = utility{}

// Get returns nothing: $util has no properties.
func (utility) Get(string) any { return nil }

// Call answers the functions of $util.
func (utility) Call(name string, args []any) (any, bool, error) {
	s, err := text(args, 0)
	if err != nil {
		return nil, true, err
	}
	switch name {
	case "escapeJavaScript":
		return escapeJavaScript(s), true, nil
	case "parseJson":
		v, err := jsonpath.Parse([]byte(s))
		if err != nil {
			return nil, true, err
		}
		return fromJSON(v), true, nil
	case "urlEncode":
		return url.QueryEscape(s), true, nil
	case "urlDecode":
		v, err := url.QueryUnescape(s)
		return v, true, err
	case "base64Encode":
		return base64.StdEncoding.EncodeToString([]byte(s)), true, nil
	case "base64Decode":
		b, err := base64.StdEncoding.DecodeString(s)
		return string(b), true, err
	}
	return nil, false, nil
}

// escapeJavaScript escapes as Apache Commons' function of that name does: quotes, slashes, control characters and all
// that is not ASCII.
func escapeJavaScript(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case strings.ContainsRune(`"'\/`, c):
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c >= 0x20 && c < 0x7f:
			b.WriteRune(c)
		default:
			for _, u := range utf16.AppendRune(nil, c) {
				b.WriteString(`\u` + fmt.Sprintf("%04X", u))
			}
		}
	}
	return b.String()
}
