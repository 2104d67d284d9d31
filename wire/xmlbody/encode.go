package xmlbody

import (
	"unicode/utf8"

	"lambent/wire/plan"
)

// A Writer appends XML to B.
type Writer struct {
	B     []byte
	Milli bool // timestamps always have milliseconds, as S3 writes them
}

// Open appends a start tag, with a namespace where ns has one.
func (w *Writer) Open(name string, ns plan.Namespace) {
	w.begin(name, ns)
	w.B = append(w.B, '>')
}

func (w *Writer) begin(name string, ns plan.Namespace) {
	w.B = append(append(w.B, '<'), name...)
	if ns.URI == "" {
		return
	}
	w.B = append(w.B, " xmlns"...)
	if ns.Prefix != "" {
		w.B = append(append(w.B, ':'), ns.Prefix...)
	}
	w.B = append(w.B, `="`...)
	w.B = appendEscaped(w.B, ns.URI)
	w.B = append(w.B, '"')
}

// Close appends an end tag.
func (w *Writer) Close(name string) {
	w.B = append(append(append(w.B, "</"...), name...), '>')
}

// Text appends an element that holds text.
func (w *Writer) Text(name, text string) {
	w.Open(name, plan.Namespace{})
	w.B = appendEscaped(w.B, text)
	w.Close(name)
}

// Element appends a value as an element called name. ns, where it is set, takes the place of the value's own
// namespace. The namespace of a structure's shape counts at the root only, unless it declares a prefix.
func (w *Writer) Element(name string, ns plan.Namespace, s plan.Slot) {
	if ns.URI == "" {
		ns = s.Member().NS
	}
	if s.Type().Kind == plan.Struct {
		if own := s.Type().NS; ns.URI == "" && own.Prefix != "" {
			ns = own
		}
		w.begin(name, ns)
		w.attributes(s)
		w.B = append(w.B, '>')
		w.Members(s)
		w.Close(name)
		return
	}
	w.Open(name, ns)
	w.content(s)
	w.Close(name)
}

func (w *Writer) attributes(s plan.Slot) {
	for _, m := range s.Type().Members {
		if !m.Attr {
			continue
		}
		if v, ok := s.Get(m); ok {
			w.B = append(append(append(w.B, ' '), m.Wire...), `="`...)
			w.B = appendEscaped(w.B, string(w.text(v)))
			w.B = append(w.B, '"')
		}
	}
}

// Members appends the elements of a structure's members in the body.
func (w *Writer) Members(s plan.Slot) { w.members(s, "") }

func (w *Writer) members(s plan.Slot, except string) {
	for _, m := range s.Type().Members {
		if !m.InReplyBody() || m.Attr || m.Wire == except {
			continue
		}
		v, ok := s.Get(m)
		switch {
		case !ok:
		case m.Flat && m.Type.Kind == plan.List:
			w.list(m.Element(), v)
		case m.Flat && m.Type.Kind == plan.Map:
			w.entries(m.Wire, v)
		default:
			w.Element(m.Wire, plan.Namespace{}, v)
		}
	}
}

func (w *Writer) content(s plan.Slot) {
	switch s.Type().Kind {
	case plan.List:
		w.list(s.Member().Elem.Wire, s)
	case plan.Map:
		w.entries("entry", s)
	default:
		w.B = appendEscaped(w.B, string(w.text(s)))
	}
}

func (w *Writer) text(s plan.Slot) []byte {
	if w.Milli && s.Type().Kind == plan.Time && s.Member().Time.Or(plan.ISO8601) == plan.ISO8601 {
		return s.Time().UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z")
	}
	return s.AppendText(nil, plan.ISO8601)
}

func (w *Writer) list(name string, s plan.Slot) {
	for i := range s.Len() {
		if v, ok := s.Index(i); ok {
			w.Element(name, plan.Namespace{}, v)
		} else {
			w.Open(name, plan.Namespace{})
			w.Close(name)
		}
	}
}

func (w *Writer) entries(name string, s plan.Slot) {
	m := s.Member()
	s.Entries(func(key string, v plan.Slot, ok bool) bool {
		ns := plan.Namespace{}
		if m.Flat {
			ns = m.NS
		}
		w.Open(name, ns)
		w.Open(m.Key.Wire, m.Key.NS)
		w.B = appendEscaped(w.B, key)
		w.Close(m.Key.Wire)
		if ok {
			w.Element(m.Elem.Wire, plan.Namespace{}, v)
		}
		w.Close(name)
		return true
	})
}

// appendEscaped appends text, with what XML or a parser's white space rules would change written as references.
func appendEscaped(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '&' && c != '<' && c != '>' && c != '"' && c != '\'' || c == '\t' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if ref := reference(r, n); ref != "" {
			b = append(append(b, s[start:i]...), ref...)
			start = i + n
		}
		i += n
	}
	return append(b, s[start:]...)
}

func reference(r rune, size int) string {
	const hex = "0123456789ABCDEF"
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;"
	case r == '"':
		return "&quot;"
	case r == '\'':
		return "&apos;"
	case r == 0 || r == utf8.RuneError && size == 1: // neither can stand in XML in any form
		return "\ufffd"
	case r < 0x10:
		return "&#x" + hex[r:r+1] + ";"
	case r < 0x20:
		return "&#x1" + hex[r-0x10:r-0x0f] + ";"
	case r == 0x85:
		return "&#x85;"
	case r == 0x2028:
		return "&#x2028;"
	}
	return ""
}
