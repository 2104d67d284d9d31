package otlp

import (
	"strconv"
	"time"

	"lambent/trace"
)

// The documents, as the protocol's JSON form has them: 64-bit numbers are texts, ids are hexadecimal.

// A resource says who sends.
type resource struct {
	Attributes []attribute `json:"attributes"`

	scope scope
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// value has one field set.
type value struct {
	String *string  `json:"stringValue,omitempty"`
	Bool   *bool    `json:"boolValue,omitempty"`
	Int    string   `json:"intValue,omitempty"`
	Double *float64 `json:"doubleValue,omitempty"`
}

type event struct {
	Time       string      `json:"timeUnixNano"`
	Name       string      `json:"name"`
	Attributes []attribute `json:"attributes,omitempty"`
}

type status struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code"`
}

type span struct {
	Trace      string      `json:"traceId"`
	ID         string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes,omitempty"`
	Dropped    int         `json:"droppedAttributesCount,omitempty"`
	Events     []event     `json:"events,omitempty"`
	Status     *status     `json:"status,omitempty"`
}

type scopeSpans struct {
	Scope scope  `json:"scope"`
	Spans []span `json:"spans"`
}

type resourceSpans struct {
	Resource resource     `json:"resource"`
	Scopes   []scopeSpans `json:"scopeSpans"`
}

type tracesDocument struct {
	Resources []resourceSpans `json:"resourceSpans"`
}

const statusError = 2

func newResource(c Config) resource {
	r := resource{scope: scope{"lambent", c.Version}, Attributes: []attribute{text("service.name", "lambent")}}
	if c.Version != "" {
		r.Attributes = append(r.Attributes, text("service.version", c.Version))
	}
	if c.Instance != "" {
		r.Attributes = append(r.Attributes, text("service.instance.id", c.Instance))
	}
	return r
}

func (r resource) spans(batch []trace.Data) tracesDocument {
	spans := make([]span, 0, len(batch))
	for i := range batch {
		spans = append(spans, spanOf(&batch[i]))
	}
	return tracesDocument{[]resourceSpans{{r, []scopeSpans{{r.scope, spans}}}}}
}

func spanOf(d *trace.Data) span {
	s := span{Trace: d.Trace.String(), ID: d.Span.String(), Name: d.Name, Kind: int(d.Kind), Start: nanos(d.Start), End: nanos(d.End),
		Attributes: attributes(d.Attributes), Dropped: d.Dropped}
	if d.Parent != (trace.SpanID{}) {
		s.Parent = d.Parent.String()
	}
	for _, e := range d.Events {
		s.Events = append(s.Events, event{nanos(e.Time), e.Name, attributes(e.Attributes)})
	}
	if d.Failed {
		s.Status = &status{d.Error, statusError}
	}
	return s
}

func attributes(in []trace.Attribute) []attribute {
	var out []attribute
	for _, a := range in {
		out = append(out, attribute{a.Key, valueOf(a.Value)})
	}
	return out
}

func valueOf(v any) value {
	switch v := v.(type) {
	case string:
		return value{String: &v}
	case bool:
		return value{Bool: &v}
	case int:
		return value{Int: strconv.Itoa(v)}
	case int64:
		return value{Int: strconv.FormatInt(v, 10)}
	case float64:
		return value{Double: &v}
	}
	return value{String: new("?")} // Attribute allows no other
}

func text(key, v string) attribute { return attribute{key, value{String: &v}} }

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
