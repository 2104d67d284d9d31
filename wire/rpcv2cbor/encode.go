package rpcv2cbor

import (
	"lambent/wire/cbor"
	"lambent/wire/fault"
	"lambent/wire/plan"
)

// appendStructure appends a structure as a map.
func appendStructure(b []byte, s plan.Slot) []byte {
	return cbor.AppendBreak(appendMembers(cbor.AppendOpenMap(b), s, ""))
}

// appendMember appends one member, which must be set: a payload.
func appendMember(b []byte, s plan.Slot, m *plan.Member) []byte {
	v, _ := s.Get(m)
	return appendValue(b, v)
}

// appendMembers appends a structure's members but for one.
func appendMembers(b []byte, s plan.Slot, except string) []byte {
	for _, m := range s.Type().Members {
		if m.In != plan.Body || m.Wire == except {
			continue
		}
		if v, ok := s.Get(m); ok {
			b = appendValue(cbor.AppendText(b, m.Wire), v)
		}
	}
	return b
}

func appendValue(b []byte, s plan.Slot) []byte {
	switch s.Type().Kind {
	case plan.String:
		return cbor.AppendText(b, s.String())
	case plan.Struct:
		return appendStructure(b, s)
	case plan.List:
		return appendList(b, s)
	case plan.Map:
		return appendMap(b, s)
	case plan.Bool:
		return cbor.AppendBool(b, s.Bool())
	case plan.Int8, plan.Int16, plan.Int32, plan.Int64:
		return cbor.AppendInt(b, s.Int())
	case plan.Float32, plan.Float64:
		return cbor.AppendFloat(b, s.Float(), s.FloatBits())
	case plan.Time:
		return cbor.AppendTime(b, s.Time())
	case plan.Blob:
		return cbor.AppendBytes(b, s.Bytes())
	}
	return cbor.AppendNull(b)
}

func appendList(b []byte, s plan.Slot) []byte {
	b = cbor.AppendArray(b, s.Len())
	for i := range s.Len() {
		if v, ok := s.Index(i); ok {
			b = appendValue(b, v)
		} else {
			b = cbor.AppendNull(b)
		}
	}
	return b
}

func appendMap(b []byte, s plan.Slot) []byte {
	b = cbor.AppendMap(b, s.MapLen())
	s.Entries(func(key string, v plan.Slot, ok bool) bool {
		b = cbor.AppendText(b, key)
		if ok {
			b = appendValue(b, v)
		} else {
			b = cbor.AppendNull(b)
		}
		return true
	})
	return b
}

// appendFault appends the message and the further members of a fault.
func appendFault(b []byte, v fault.View) []byte {
	name := v.MessageName
	if name == "" {
		name = "message"
	}
	if v.Message != "" {
		b = cbor.AppendText(cbor.AppendText(b, name), v.Message)
	}
	if !v.HasMore {
		return b
	}
	return appendMembers(b, v.Detail, v.MessageName)
}
