package main

import (
	"slices"
	"strings"
)

// shapeTags are what a structure says of itself, carried by its blank field.
func (g *generator) shapeTags(name string, s *shape) string {
	var t []string
	if g.goNames[name] != name {
		t = append(t, "shape", name)
	}
	if s.Union || s.EventStream {
		t = append(t, "union", "")
	}
	if s.LocationName != "" {
		t = append(t, "wire", s.LocationName)
	}
	if s.XMLNamespace != nil {
		t = append(t, "ns", s.XMLNamespace.tag())
	}
	if s.Payload != "" {
		t = append(t, "payload", s.Payload)
	}
	return quoteTag(t)
}

func (n *xmlNamespace) tag() string {
	if n.Prefix != "" {
		return n.Prefix + "=" + n.URI
	}
	return n.URI
}

// locations maps the models' words to ours.
var locations = map[string]string{
	"uri": "uri", "querystring": "query", "header": "header", "headers": "headers", "statusCode": "status",
}

// memberTags are the tags of member m of structure name, whose Go field is called field.
func (g *generator) memberTags(name, m, field string) string {
	s := g.model.Shapes.m[name]
	r := s.Members.m[m]
	var t []string
	if m != field {
		t = append(t, "name", m)
	}
	if r.LocationName != "" && (r.LocationName != m || s.Payload == m) { // a payload without a name is called as its shape
		t = append(t, "wire", r.LocationName)
	}
	if r.Location != "" {
		t = append(t, "in", locations[r.Location])
	} else if s.Payload == m {
		t = append(t, "in", "payload")
	} else if r.EventHeader {
		t = append(t, "in", "eventheader")
	} else if r.EventPayload {
		t = append(t, "in", "eventpayload")
	}
	if r.QueryName != "" {
		t = append(t, "query", r.QueryName)
	}
	if s.EventStream && g.model.Shapes.m[r.Shape].Exception {
		t = append(t, "exception", "")
	}
	if !g.unbound && g.inputs[name] && slices.Contains(s.Required, m) {
		t = append(t, "req", "")
	}
	for _, f := range []struct {
		on  bool
		key string
	}{
		{r.XMLAttribute, "attr"}, {r.IdempotencyToken, "token"}, {r.HostLabel, "hostlabel"}, {r.JSONValue, "jsonvalue"},
		{r.Streaming || g.model.Shapes.m[r.Shape].Streaming, "stream"},
	} {
		if f.on {
			t = append(t, f.key, "")
		}
	}
	return quoteTag(append(t, g.valueTags(r, "", g.inputs[name] && !g.unbound)...))
}

// valueTags are the tags of a value of r's shape and of its elements, each key behind prefix.
func (g *generator) valueTags(r *ref, prefix string, constraints bool) (t []string) {
	s := g.model.Shapes.m[r.Shape]
	add := func(key, value string) { t = append(t, prefix+key, value) }
	if prefix != "" && r.LocationName != "" {
		add("wire", r.LocationName)
	}
	if r.Flattened || s.Flattened {
		add("flat", "")
	}
	if r.XMLNamespace != nil {
		add("ns", r.XMLNamespace.tag())
	} else if s.XMLNamespace != nil && s.Type != "structure" {
		add("ns", s.XMLNamespace.tag())
	}
	if f := r.TimestampFormat; f != "" {
		add("ts", f)
	} else if s.TimestampFormat != "" {
		add("ts", s.TimestampFormat)
	}
	if s.Sensitive {
		add("sensitive", "")
	}
	if constraints {
		t = append(t, s.constraintTags(prefix)...)
	}
	switch s.Type {
	case "list":
		t = append(t, g.valueTags(s.Member, prefix+"e.", constraints)...)
	case "map":
		t = append(t, g.valueTags(s.Key, prefix+"k.", constraints)...)
		t = append(t, g.valueTags(s.Value, prefix+"e.", constraints)...)
	}
	return t
}

func (s *shape) constraintTags(prefix string) (t []string) {
	lo, hi := "", ""
	if s.Min != nil {
		lo = s.Min.String()
	}
	if s.Max != nil {
		hi = s.Max.String()
	}
	if lo != "" || hi != "" {
		switch s.Type {
		case "string", "blob", "list", "map":
			if lo != "0" || hi != "" {
				t = append(t, prefix+"len", lo+":"+hi)
			}
		default:
			t = append(t, prefix+"range", lo+":"+hi)
		}
	}
	if len(s.Enum) > 0 {
		t = append(t, prefix+"enum", strings.Join(s.Enum, ","))
	}
	if s.Pattern != "" {
		t = append(t, prefix+"pat", s.Pattern)
	}
	return t
}
