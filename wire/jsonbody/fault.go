package jsonbody

import (
	"lambent/wire/fault"
	"lambent/wire/jsontext"
)

// AppendFault appends the message and the further members of a fault, each with a comma behind it.
func AppendFault(b []byte, v fault.View) []byte {
	name := v.MessageName
	if name == "" {
		name = "message"
	}
	if v.Message != "" {
		b = append(jsontext.AppendString(b, name), ':')
		b = append(jsontext.AppendString(b, v.Message), ',')
	}
	if !v.HasMore {
		return b
	}
	return appendMembers(b, v.Detail, v.MessageName)
}
