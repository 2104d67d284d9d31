package gateway

import (
	"strings"

	"lambent/trace"
)

// follow begins the span of a request, a part of its sender's trace if there is one.
func (x *exchange) follow() {
	ctx, span := x.g.tracer.Root(x.r.Context(), x.r.Method, trace.Server, trace.ParentOf(x.r.Header))
	if span.On() {
		x.r, x.span = x.r.WithContext(ctx), span
	}
}

// traceHeader is the trace that the request is part of, for those that it leads to; "" when nobody has begun one.
func (x *exchange) traceHeader() string {
	if x.span.On() {
		return x.span.Amazon()
	}
	if h := x.r.Header.Get("X-Amzn-Trace-Id"); len(h) <= maxTraceHeader && strings.Contains(h, "Root=") {
		return h
	}
	return ""
}

const maxTraceHeader = 512

// endSpan says what became of the request, in OpenTelemetry's words.
func (x *exchange) endSpan() {
	if !x.span.On() {
		return
	}
	if x.service != "" {
		x.span.Rename(x.service + " " + x.operation)
	}
	x.span.Set("http.request.method", x.r.Method)
	x.span.Set("http.response.status_code", x.w.status)
	x.span.Set("server.address", x.r.Host)
	x.span.Set("aws.request_id", x.id)
	if x.service != "" {
		x.span.Set("rpc.system", "aws-api")
		x.span.Set("rpc.service", x.service)
		x.span.Set("rpc.method", x.operation)
	}
	for key, value := range map[string]string{
		"cloud.account.id": x.caller.Account, "cloud.region": x.caller.Region, "enduser.id": x.caller.ARN,
		"client.address": x.caller.SourceIP, "error.type": x.code,
	} {
		if value != "" {
			x.span.Set(key, value)
		}
	}
	switch {
	case x.cause != nil:
		x.span.End(x.cause)
	case x.w.status >= 500:
		x.span.Fail(x.code)
	default:
		x.span.End(nil)
	}
}
