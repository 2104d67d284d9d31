package httpbind

import (
	"encoding/base64"
	"net/http"
	"strings"

	"lambent/wire"
	"lambent/wire/plan"
)

// Encode writes the members that stand in the headers and the status.
func Encode(s plan.Slot, resp *wire.Response) {
	for _, m := range s.Type().Members {
		if m.In != plan.Header && m.In != plan.PrefixHeaders && m.In != plan.Status {
			continue
		}
		v, ok := s.Get(m)
		if !ok {
			continue
		}
		switch m.In {
		case plan.Status:
			resp.Status = int(v.Int())
		case plan.Header:
			if text, ok := headerText(v); ok {
				resp.Header.Set(m.Wire, text)
			}
		case plan.PrefixHeaders:
			v.Entries(func(key string, e plan.Slot, ok bool) bool {
				if !ok {
					return true
				}
				name := m.Wire + key // as it is: clients give it to their users without the prefix
				if m.Wire == "" {
					name = http.CanonicalHeaderKey(name) // any header, maybe one that another member holds
				}
				resp.Header[name] = []string{string(e.AppendText(nil, plan.HTTPDate))}
				return true
			})
		}
	}
}

// headerText returns a value as a header has it; an empty list has no header.
func headerText(v plan.Slot) (text string, ok bool) {
	if v.Type().Kind != plan.List {
		b := v.AppendText(nil, plan.HTTPDate)
		if v.Member().JSONValue {
			return base64.StdEncoding.EncodeToString(b), true
		}
		return string(b), true
	}
	var parts []string
	for i := range v.Len() {
		e, ok := v.Index(i)
		if !ok {
			continue
		}
		part := string(e.AppendText(nil, plan.HTTPDate))
		if e.Type().Kind == plan.String && strings.ContainsAny(part, `",`) {
			part = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(part) + `"`
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", "), len(parts) > 0
}

// EncodePayload writes a payload member that is plain bytes, with the content type for its kind
// unless a header member has set one. done is false where the body is structured.
func EncodePayload(s plan.Slot, resp *wire.Response) (done bool) {
	m := s.Type().Payload
	if m == nil {
		return false
	}
	kind := m.Type.Kind
	if kind != plan.Stream && kind != plan.Blob && kind != plan.String {
		return false
	}
	v, ok := s.Get(m)
	if !ok {
		return true
	}
	switch kind {
	case plan.Stream:
		resp.Stream = v.Stream()
	case plan.Blob:
		resp.Body = v.Bytes()
	case plan.String:
		resp.Body = []byte(v.String())
	}
	if kind == plan.String {
		setDefault(resp.Header, "Content-Type", "text/plain")
	} else {
		setDefault(resp.Header, "Content-Type", "application/octet-stream")
	}
	return true
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}
