package jsonbody

import (
	"strconv"

	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// Append appends a structure as a JSON object, with those of its members that stand in the body.
func Append(b []byte, s plan.Slot) []byte {
	if s.Type().Direct {
		return s.Direct().AppendJSON(b)
	}
	return appendStructure(b, s)
}

func appendStructure(b []byte, s plan.Slot) []byte {
	b = append(b, '{')
	return jsontext.AppendEnd(appendMembers(b, s, ""), '}')
}

// AppendMember appends one member, which must be set: a payload.
func AppendMember(b []byte, s plan.Slot, m *plan.Member) []byte {
	v, _ := s.Get(m)
	return AppendValue(b, v)
}

// appendMembers appends a structure's members but for one, each with a comma behind it.
func appendMembers(b []byte, s plan.Slot, except string) []byte {
	for _, m := range s.Type().Members {
		if !m.InReplyBody() || m.Wire == except {
			continue
		}
		v, ok := s.Get(m)
		if !ok {
			continue
		}
		b = append(b, m.JSONKey...)
		b = append(AppendValue(b, v), ',')
	}
	return b
}

// AppendValue appends any value.
func AppendValue(b []byte, s plan.Slot) []byte {
	switch s.Type().Kind {
	case plan.String:
		return jsontext.AppendString(b, s.String())
	case plan.Struct:
		return appendStructure(b, s)
	case plan.List:
		return appendList(b, s)
	case plan.Map:
		return appendMap(b, s)
	case plan.Bool:
		return strconv.AppendBool(b, s.Bool())
	case plan.Int8, plan.Int16, plan.Int32, plan.Int64:
		return strconv.AppendInt(b, s.Int(), 10)
	case plan.Float32, plan.Float64:
		return jsontext.AppendFloat(b, s.Float(), s.FloatBits())
	case plan.Time:
		return appendTime(b, s)
	case plan.Blob:
		return jsontext.AppendBase64(b, s.Bytes())
	case plan.Document:
		return appendDocument(b, s.Bytes())
	case plan.Custom:
		return s.Direct().AppendJSON(b)
	}
	return append(b, "null"...)
}

func appendList(b []byte, s plan.Slot) []byte {
	b = append(b, '[')
	for i := range s.Len() {
		if v, ok := s.Index(i); ok {
			b = AppendValue(b, v)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, ',')
	}
	return jsontext.AppendEnd(b, ']')
}

func appendMap(b []byte, s plan.Slot) []byte {
	b = append(b, '{')
	s.Entries(func(key string, v plan.Slot, ok bool) bool {
		b = append(jsontext.AppendString(b, key), ':')
		if ok {
			b = AppendValue(b, v)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, ',')
		return true
	})
	return jsontext.AppendEnd(b, '}')
}

func appendTime(b []byte, s plan.Slot) []byte {
	f := s.Member().Time.Or(plan.Epoch)
	if f == plan.Epoch {
		return plan.AppendTime(b, s.Time(), f)
	}
	b = append(b, '"')
	return append(plan.AppendTime(b, s.Time(), f), '"')
}

// appendDocument appends raw JSON; an empty document is null.
func appendDocument(b, doc []byte) []byte {
	if len(doc) == 0 {
		return append(b, "null"...)
	}
	return append(b, doc...)
}
