// Package httpbind moves members between a structure and the parts of an HTTP message that are not its
// structured body: path, query, headers, status, and bodies that are plain bytes. The two REST protocols
// share it.
package httpbind

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/plan"
)

// Options say how strictly members are read.
type Options struct {
	// ExactTimes refuses timestamps in another format than their member's.
	ExactTimes bool
}

// Decode fills the members that stand in the path, the query and the headers. The error is a *cloud.Fault.
func Decode(r *wire.Request, s plan.Slot, o Options) error {
	if !s.Type().Bound {
		return nil
	}
	d := decoder{r: r, options: o}
	for _, m := range s.Type().Members {
		var err error
		switch m.In {
		case plan.URI:
			err = d.label(s, m)
		case plan.Query:
			err = d.query(s, m)
		case plan.Header:
			err = d.header(s, m)
		case plan.PrefixHeaders:
			d.prefixHeaders(s, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type decoder struct {
	r       *wire.Request
	arena   plan.Arena
	options Options
}

// set sets a scalar from text; ok is false when the text does not fit.
func (d *decoder) set(s plan.Slot, text string, f plan.TimeFormat) (ok bool) {
	if s.Type().Kind != plan.Time || !d.options.ExactTimes {
		return s.SetText(text, f)
	}
	t, err := plan.ParseTimeExact(text, s.Member().Time.Or(f))
	s.SetTime(t)
	return err == nil
}

func unfit(m *plan.Member, text string) error {
	return &cloud.Fault{
		Code:    "SerializationException",
		Message: fmt.Sprintf("'%s' at '%s' can not be converted to %s", text, m.Name, m.Type.Kind),
	}
}

func (d *decoder) label(s plan.Slot, m *plan.Member) error {
	raw, ok := d.r.Labels[m.Wire]
	if !ok {
		return nil
	}
	text, err := url.PathUnescape(raw)
	if err != nil || !d.set(s.Make(m, &d.arena), text, plan.ISO8601) {
		return unfit(m, raw)
	}
	return nil
}

func (d *decoder) query(s plan.Slot, m *plan.Member) error {
	if m.Type.Kind == plan.Map {
		return d.queryMap(s, m)
	}
	values := d.r.Query[m.Wire]
	if len(values) == 0 {
		return nil
	}
	if m.Type.Kind == plan.List {
		return d.list(s.Make(m, &d.arena), values, plan.ISO8601)
	}
	return d.scalar(s, m, values[0], plan.ISO8601)
}

// scalar sets a member from text. An empty text is no number or time, and taken as not given.
func (d *decoder) scalar(s plan.Slot, m *plan.Member, text string, f plan.TimeFormat) error {
	if text == "" && m.Type.Kind != plan.String {
		return nil
	}
	if !d.set(s.Make(m, &d.arena), text, f) {
		s.Clear(m)
		return unfit(m, text)
	}
	return nil
}

func (d *decoder) list(s plan.Slot, values []string, f plan.TimeFormat) error {
	s.MakeList()
	for _, v := range values {
		if !d.set(s.Append(&d.arena), v, f) {
			return unfit(s.Member(), v)
		}
	}
	return nil
}

// queryMap takes the whole query, with what other members are bound to.
func (d *decoder) queryMap(s plan.Slot, m *plan.Member) error {
	if len(d.r.Query) == 0 {
		return nil
	}
	w := s.Make(m, &d.arena).MakeMap(0)
	for k, values := range d.r.Query {
		v := w.Value(&d.arena)
		if v.Type().Kind == plan.List {
			if err := d.list(v, values, plan.ISO8601); err != nil {
				return err
			}
		} else if !d.set(v, values[0], plan.ISO8601) {
			return unfit(m, values[0])
		}
		w.Put(k)
	}
	return nil
}

func (d *decoder) header(s plan.Slot, m *plan.Member) error {
	values := d.r.Header.Values(m.Wire)
	if len(values) == 0 {
		return nil
	}
	switch {
	case m.Type.Kind == plan.List:
		return d.headerList(s, m, strings.Join(values, ","))
	case m.JSONValue:
		text, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil {
			return unfit(m, values[0])
		}
		return d.scalar(s, m, string(text), plan.HTTPDate)
	}
	return d.scalar(s, m, values[0], plan.HTTPDate)
}

func (d *decoder) headerList(s plan.Slot, m *plan.Member, text string) error {
	e := m.Elem
	var parts []string
	if e.Type.Kind == plan.Time && e.Time.Or(plan.HTTPDate) == plan.HTTPDate {
		parts = splitDates(text)
	} else if parts = splitList(text); parts == nil {
		return unfit(m, text)
	}
	if len(parts) == 1 && parts[0] == "" {
		return nil
	}
	return d.list(s.Make(m, &d.arena), parts, plan.HTTPDate)
}

// splitDates parts a list of HTTP dates, each of which has a comma of its own.
func splitDates(text string) (dates []string) {
	parts := strings.Split(text, ",")
	for i := 0; i+1 < len(parts); i += 2 {
		dates = append(dates, strings.TrimSpace(parts[i])+", "+strings.TrimSpace(parts[i+1]))
	}
	if len(parts)%2 == 1 {
		dates = append(dates, strings.TrimSpace(parts[len(parts)-1]))
	}
	return dates
}

// splitList parts a header value at its commas. A part in double quotes may hold commas, and \" and \\ in it
// are a quote and a backslash. It returns nil where quotes do not match.
func splitList(text string) (parts []string) {
	for {
		text = strings.TrimLeft(text, " \t")
		if !strings.HasPrefix(text, `"`) {
			part, rest, more := strings.Cut(text, ",")
			parts = append(parts, strings.TrimRight(part, " \t"))
			if !more {
				return parts
			}
			text = rest
			continue
		}
		part, rest, ok := unquote(text[1:])
		rest = strings.TrimLeft(rest, " \t")
		if !ok || rest != "" && rest[0] != ',' {
			return nil
		}
		parts = append(parts, part)
		if rest == "" {
			return parts
		}
		text = rest[1:]
	}
}

func unquote(text string) (part, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// prefixHeaders collects the headers whose names begin with the member's prefix, under the rest of the name in
// lower case: header names have no case.
func (d *decoder) prefixHeaders(s plan.Slot, m *plan.Member) {
	prefix := http.CanonicalHeaderKey(m.Wire)
	var w *plan.MapWriter
	for name, values := range d.r.Header {
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) || len(values) == 0 {
			continue
		}
		if w == nil {
			w = s.Make(m, &d.arena).MakeMap(0)
		}
		w.Value(&d.arena).SetString(strings.Join(values, ","))
		w.Put(strings.ToLower(name[len(prefix):]))
	}
}

// DecodePayload fills a payload member that is plain bytes: a stream, blob, string. done is false where
// the body is structured, and then nothing was read. The error comes from reading the body, or is a *cloud.Fault.
func DecodePayload(r *wire.Request, s plan.Slot) (done bool, err error) {
	m := s.Type().Payload
	switch {
	case m == nil:
		return false, nil
	case m.Type.Kind == plan.Stream:
		if r.Body != nil {
			s.Make(m, nil).SetStream(asReadCloser(r.Body))
		}
		return true, nil
	case m.Type.Kind != plan.Blob && m.Type.Kind != plan.String:
		return false, nil
	}
	body, err := ReadBody(r)
	if err != nil || len(body) == 0 {
		return true, err
	}
	if m.Type.Kind == plan.Blob {
		s.Make(m, nil).SetBytes(body)
	} else {
		s.Make(m, nil).SetString(string(body))
	}
	return true, nil
}

func asReadCloser(r io.Reader) io.ReadCloser {
	if rc, ok := r.(io.ReadCloser); ok {
		return rc
	}
	return io.NopCloser(r)
}

// ReadBody reads the whole body.
func ReadBody(r *wire.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	const mostTrusted = 1 << 20 // the client's word on the length, before anything has come
	var b bytes.Buffer
	if r.Length > 0 {
		b.Grow(int(min(r.Length, mostTrusted)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r.Body)
	return slices.Clip(b.Bytes()), err
}
