package apigateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/lang/apievent"
	"lambent/lang/vtl"
)

// integrate hands the request to the method's integration and answers with what comes back.
func (x *call) integrate() {
	switch *x.use.method.MethodIntegration.Type {
	case "AWS_PROXY":
		x.lambdaProxy()
	case "AWS":
		x.lambda()
	case "MOCK":
		x.mock()
	default: // refused when it was put
		x.refuse(errConfigured)
	}
}

// invoke calls the function with a payload. ok is false when the client has had its answer.
func (x *call) invoke(payload []byte) (result []byte, functionError string, ok bool) {
	x.w.Header().Set("X-Amzn-Trace-Id", x.ev.Trace)
	// The function goes on, as on AWS, when the time is over or the client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), x.use.timeout)
	defer cancel()
	result, functionError, err := x.s.invoker.Invoke(ctx, x.c, x.use.function, x.sourceARN(), payload)
	switch {
	case err == nil:
		return result, functionError, true
	case errors.Is(err, context.DeadlineExceeded):
		x.refuse(errTimeout)
	default:
		x.refuse(errConfigured)
	}
	return nil, "", false
}

// sourceARN names the method for the function's resource policy; parameters in the path stand as stars.
func (x *call) sourceARN() string {
	path := pathParameter.ReplaceAllString(strings.TrimPrefix(x.use.path, "/"), "*")
	return x.c.ARNOf("execute-api", x.ev.API+"/"+x.ev.Stage+"/"+x.r.Method+"/"+path)
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

func (x *call) lambdaProxy() {
	x.ev.Base64 = len(x.rt.settings.BinaryMediaTypes) > 0 && x.binary(x.r.Header.Get("Content-Type"))
	result, functionError, ok := x.invoke(x.ev.V1(make([]byte, 0, x.ev.Size())))
	if !ok {
		return
	}
	if functionError != "" {
		x.refuse(errFunction)
		return
	}
	answer, err := apievent.ParseV1(result)
	if err == nil && answer.Base64 && x.wantsBinary() {
		err = answer.Decode()
	}
	if err != nil {
		x.refuse(errFunction)
		return
	}
	answer.Default("Content-Type", "application/json")
	answer.Write(x.w, apievent.RemapREST)
}

// wantsBinary says whether the first type that the client accepts is a binary one of the API.
func (x *call) wantsBinary() bool {
	first, _, _ := strings.Cut(x.r.Header.Get("Accept"), ",")
	return x.binary(first)
}

// lambda is the custom integration: the mapping templates make the payload and the response.
func (x *call) lambda() {
	payload, ok := x.mapRequest()
	if !ok {
		return
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		e := errBadBody
		e.message = "Could not parse request body into json: the payload for the function is not JSON"
		x.refuse(e)
		return
	}
	result, functionError, ok := x.invoke(payload)
	if !ok {
		return
	}
	failed := ""
	if functionError != "" {
		var e struct{ ErrorMessage *string }
		_ = json.Unmarshal(result, &e) // an error document of another shape has no message to select by
		failed = cloud.Val(e.ErrorMessage)
	}
	x.respond(x.use.response(failed, functionError != ""), result)
}

// mock answers by itself: the request template says with which status.
func (x *call) mock() {
	body, ok := x.mapRequest()
	if !ok {
		return
	}
	m := mockStatus.FindSubmatch(body)
	if m == nil {
		x.refuse(errConfigured)
		return
	}
	x.respond(x.use.response(string(m[1]), true), nil)
}

// mockStatus finds the status in what a request template made. AWS reads it as JSON of the lenient kind: Serverless
// writes {statusCode:200}.
var mockStatus = regexp.MustCompile(`["']?\bstatusCode["']?\s*:\s*["']?(\d{3})\b`)

// response returns the integration response that a text selects, the default one when none does; nil for neither.
func (rt *route) response(text string, selects bool) *response {
	for _, r := range rt.responses {
		if r.pattern == nil || (selects && r.pattern.MatchString(text)) {
			return r
		}
	}
	return nil
}

// mapRequest makes the integration's request body of the client's.
func (x *call) mapRequest() ([]byte, bool) {
	body := x.ev.Body
	if x.binary(x.r.Header.Get("Content-Type")) && cloud.Val(x.use.method.MethodIntegration.ContentHandling) == "CONVERT_TO_TEXT" {
		body = []byte(base64.StdEncoding.EncodeToString(body))
	}
	t := x.use.request[x.contentType()]
	if t == nil {
		t = x.use.request["$default"]
	}
	if t == nil {
		behavior := *x.use.method.MethodIntegration.PassthroughBehavior
		if behavior == "NEVER" || (behavior == "WHEN_NO_TEMPLATES" && len(x.use.request) > 0) {
			x.refuse(errMediaType)
			return nil, false
		}
		return body, true
	}
	out, err := t.Render(x.variables(body), vtl.Limits{})
	if err != nil {
		x.refuse(errConfigured)
		return nil, false
	}
	return []byte(out), true
}

// respond maps an integration's response to the client's.
func (x *call) respond(r *response, body []byte) {
	if r == nil {
		x.refuse(errConfigured)
		return
	}
	contentType, t := x.responseTemplate(r)
	out := &apievent.Response{Status: r.status, Body: body}
	if t != nil {
		text, err := t.Render(x.variables(body), vtl.Limits{})
		if err != nil {
			x.refuse(errConfigured)
			return
		}
		out.Body = []byte(text)
	}
	if cloud.Val(r.ContentHandling) == "CONVERT_TO_BINARY" {
		out.Base64 = true
		if out.Decode() != nil {
			x.refuse(errConfigured)
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.ResponseParameters)) {
		if v, ok := x.mapped(r.ResponseParameters[name], body); ok {
			set(out, strings.TrimPrefix(name, "method.response.header."), v)
		}
	}
	x.override(out)
	out.Default("Content-Type", contentType)
	out.Write(x.w, apievent.DropHop)
}

// responseTemplate picks the template for what the client accepts; without such, the one for JSON, or any.
func (x *call) responseTemplate(r *response) (contentType string, t *vtl.Template) {
	accept, _, _ := strings.Cut(x.r.Header.Get("Accept"), ",")
	accept, _, _ = strings.Cut(accept, ";")
	for _, contentType := range append([]string{strings.TrimSpace(accept), "application/json"}, slices.Sorted(maps.Keys(r.templates))...) {
		if t := r.templates[contentType]; t != nil {
			return contentType, t
		}
	}
	return "application/json", nil
}

// set gives the response one header line of that name.
func set(out *apievent.Response, name, value string) {
	out.Header = slices.DeleteFunc(out.Header, func(h apievent.Header) bool { return strings.EqualFold(h.Name, name) })
	if !strings.ContainsAny(value, "\r\n\x00") {
		out.Header = append(out.Header, apievent.Header{Name: name, Value: value})
	}
}

// override applies what templates assigned to $context.responseOverride.
func (x *call) override(out *apievent.Response) {
	if x.context == nil {
		return
	}
	o, ok := x.context.Get("responseOverride").(*vtl.Map)
	if !ok {
		return
	}
	if n, err := strconv.Atoi(plain(o.Get("status"))); err == nil && n >= 200 && n <= 599 {
		out.Status = n
	}
	header, ok := o.Get("header").(*vtl.Map)
	if !ok {
		return
	}
	for _, name := range header.Keys() {
		set(out, name, plain(header.Get(name)))
	}
}

// refuse answers with a gateway response.
func (x *call) refuse(e gatewayError) {
	a := x.answer(e)
	out := &apievent.Response{Status: e.status}
	if a != nil && a.status != 0 {
		out.Status = a.status
	}
	x.w.Header()["x-amzn-ErrorType"] = []string{e.name}
	contentType, body := "application/json", a.body(x, e)
	out.Body = body
	if a != nil {
		contentType = a.contentType
		for _, name := range slices.Sorted(maps.Keys(a.ResponseParameters)) {
			if v, ok := x.mapped(a.ResponseParameters[name], nil); ok {
				set(out, strings.TrimPrefix(name, "gatewayresponse.header."), v)
			}
		}
	}
	out.Default("Content-Type", contentType)
	out.Write(x.w, apievent.DropHop)
}

// answer returns the API's own gateway response for an error: that of its kind, or the one for its class.
func (x *call) answer(e gatewayError) *gatewayAnswer {
	if x.rt == nil {
		return nil
	}
	if a := x.rt.answers[e.kind]; a != nil {
		return a
	}
	return x.rt.answers["DEFAULT_"+strconv.Itoa(e.status/100)+"XX"]
}

// A gatewayAnswer is a gateway response, compiled.
type gatewayAnswer struct {
	*GatewayResponse
	status      int
	contentType string
	template    string
}

func compileAnswer(r *GatewayResponse) *gatewayAnswer {
	a := &gatewayAnswer{GatewayResponse: r, contentType: "application/json", template: defaultTemplate}
	a.status, _ = strconv.Atoi(cloud.Val(r.StatusCode)) // three digits or nothing
	if t, ok := r.ResponseTemplates["application/json"]; ok {
		a.template = t
		return a
	}
	for _, contentType := range slices.Sorted(maps.Keys(r.ResponseTemplates)) {
		a.contentType, a.template = contentType, r.ResponseTemplates[contentType]
		break
	}
	return a
}

// body is the text of a refusal. Gateway responses know simple substitution only, no Velocity.
func (a *gatewayAnswer) body(x *call, e gatewayError) []byte {
	message, _ := json.Marshal(e.message)
	if a == nil || a.template == defaultTemplate {
		if e.spaced {
			return []byte(`{"message": ` + string(message) + `}`)
		}
		return []byte(`{"message":` + string(message) + `}`)
	}
	return []byte(contextReference.ReplaceAllStringFunc(a.template, func(ref string) string {
		switch name := strings.TrimPrefix(ref, "$context."); name {
		case "error.messageString":
			return string(message)
		case "error.message":
			return e.message
		case "error.responseType":
			return e.kind
		default:
			if name, ok := strings.CutPrefix(ref, "$stageVariables."); ok {
				return x.ev.Variables[name]
			}
			v, _ := x.contextValue(name)
			return v
		}
	}))
}

var contextReference = regexp.MustCompile(`\$(?:context|stageVariables)\.[a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_]+)*`)
