// Package jsonbody reads and writes structures as JSON, over their plans: the bodies of awsJson and
// restJson, and payload members of restJson.
package jsonbody

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"lambent/cloud"
	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// Decode fills a structure from a JSON object. Members that the model does not know are ignored, and null
// is the same as nothing, as on AWS. Members that stand elsewhere in the HTTP message are not filled.
// An empty text is an empty object. The error is a *cloud.Fault.
func Decode(text []byte, s plan.Slot) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if s.Type().Direct && decodeDirect(text, s) {
		return nil
	}
	d := decoder{Reader: jsontext.NewReader(text)}
	d.structure(s)
	d.End()
	return d.fault()
}

// decodeDirect fills a structure by code of its own. ok is false, and the structure as it was, where that code has met
// something that it does not know: the plan then reads the text or says what is wrong with it.
func decodeDirect(text []byte, s plan.Slot) (ok bool) {
	r := jsontext.NewReader(text)
	s.Direct().DecodeJSON(r)
	if r.End(); r.Err() == nil {
		return true
	}
	s.Reset()
	return false
}

type decoder struct {
	*jsontext.Reader
	arena plan.Arena
}

// serialization is the fault of AWS's parsers for input of the wrong form.
func serialization(message string) *cloud.Fault {
	return &cloud.Fault{Code: "SerializationException", Message: message}
}

func (d *decoder) fault() error {
	err := d.Err()
	if _, ok := err.(*jsontext.SyntaxError); ok {
		return serialization("Could not parse the request body as JSON: " + err.Error())
	}
	if err == jsontext.ErrUnusual { // of a custom value
		return serialization("Unexpected field type")
	}
	return err
}

// value reads a value that is not null.
func (d *decoder) value(s plan.Slot) {
	switch t := s.Type(); t.Kind {
	case plan.String:
		if d.expect('"', s) {
			s.SetString(d.arena.String(d.String()))
		}
	case plan.Struct:
		d.structure(s)
	case plan.List:
		d.list(s)
	case plan.Map:
		d.entries(s)
	case plan.Bool:
		if d.Peek() == 'f' || d.expect('t', s) {
			s.SetBool(d.Bool())
		}
	case plan.Int8, plan.Int16, plan.Int32, plan.Int64:
		d.integer(s)
	case plan.Float32, plan.Float64:
		d.float(s)
	case plan.Time:
		d.time(s)
	case plan.Blob, plan.Stream:
		d.blob(s)
	case plan.Document:
		s.SetBytes(bytes.Clone(d.Raw()))
	case plan.Custom:
		s.Direct().DecodeJSON(d.Reader)
	}
}

func (d *decoder) structure(s plan.Slot) {
	if !d.expect('{', s) {
		return
	}
	t := s.Type()
	next, set := 0, 0
	for d.Open('{'); d.More('}'); {
		key := d.Key()
		m := member(t, key, &next)
		switch {
		case m == nil:
			if t.Union && string(key) != "__type" && d.Peek() != 'n' {
				d.Fail(serialization("Unknown member of the union " + t.Shape))
			}
			d.Skip()
			continue
		case d.Null():
			s.Clear(m)
			continue
		}
		s.Clear(m) // a name that comes twice: the last one counts, alone
		d.value(s.Make(m, &d.arena))
		set++
	}
	if t.Union && set != 1 && d.Err() == nil {
		d.Fail(serialization("Exactly one member of the union " + t.Shape + " must be set"))
	}
}

// member finds a member by its name in bodies. Most clients send members in the order of the model, so
// the one after the last is tried first.
func member(t *plan.Type, name []byte, next *int) *plan.Member {
	if *next < len(t.Members) {
		if m := t.Members[*next]; m.Wire == string(name) && m.In == plan.Body {
			*next++
			return m
		}
	}
	m := t.OnWire(name)
	if m != nil {
		*next = m.Index() + 1
	}
	return m
}

func (d *decoder) list(s plan.Slot) {
	if !d.expect('[', s) {
		return
	}
	s.MakeList()
	for d.Open('['); d.More(']'); {
		if !d.Null() {
			d.value(s.Append(&d.arena))
		} else if !s.AppendNull() {
			d.Fail(serialization("A list may not hold null"))
		}
	}
}

func (d *decoder) entries(s plan.Slot) {
	if !d.expect('{', s) {
		return
	}
	w := s.MakeMap(d.Ahead())
	for d.Open('{'); d.More('}'); {
		key := d.arena.String(d.Key())
		if !d.Null() {
			d.value(w.Value(&d.arena))
			w.Put(key)
		} else if !w.PutNull(key) {
			d.Fail(serialization("A map may not hold null"))
		}
	}
}

func (d *decoder) integer(s plan.Slot) {
	if !d.expect('0', s) {
		return
	}
	n := d.Number()
	v, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		// "1.0" and "1e3" are whole numbers too; their floats are exact where that can matter.
		f, ferr := strconv.ParseFloat(string(n), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			d.Fail(serialization(string(n) + " can not be converted to an " + s.Type().Kind.String()))
			return
		}
		v = int64(f)
	}
	if !s.SetInt(v) {
		d.Fail(serialization(string(n) + " can not be converted to an " + s.Type().Kind.String()))
	}
}

func (d *decoder) float(s plan.Slot) {
	if d.Peek() == '"' {
		d.namedFloat(s)
		return
	}
	if !d.expect('0', s) {
		return
	}
	n := d.Number()
	v, err := strconv.ParseFloat(string(n), 64)
	if err != nil || !s.SetFloat(v) {
		d.Fail(serialization(string(n) + " can not be converted to a " + s.Type().Kind.String()))
	}
}

func (d *decoder) namedFloat(s plan.Slot) {
	switch string(d.String()) {
	case "NaN":
		s.SetFloat(math.NaN())
	case "Infinity":
		s.SetFloat(math.Inf(1))
	case "-Infinity":
		s.SetFloat(math.Inf(-1))
	default:
		d.Fail(serialization("class java.lang.String can not be converted to an " + s.Type().Kind.String()))
	}
}

func (d *decoder) time(s plan.Slot) {
	format, first := s.Member().Time.Or(plan.Epoch), byte('"')
	if format == plan.Epoch {
		first = '0'
	}
	if first == '0' && d.Peek() == '"' {
		d.Fail(serialization("class java.lang.String can not be converted to milliseconds since epoch"))
		return
	}
	if !d.expect(first, s) {
		return
	}
	var text []byte
	if format == plan.Epoch {
		text = d.Number()
	} else {
		text = d.String()
	}
	if d.Err() != nil {
		return
	}
	t, err := plan.ParseTimeExact(string(text), format)
	if err != nil {
		d.Fail(serialization(strconv.Quote(string(text)) + " can not be converted to a Timestamp"))
		return
	}
	s.SetTime(t)
}

func (d *decoder) blob(s plan.Slot) {
	if d.Peek() != '"' {
		d.Fail(serialization("only base-64-encoded strings are convertible to bytes"))
		return
	}
	text := d.String()
	v := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(v, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		d.Fail(serialization("Invalid Base64 text"))
		return
	}
	s.SetBytes(v[:n])
}

// expect fails, in AWS's words, when the next value is not of the kind that begins with c; '0' stands for numbers.
func (d *decoder) expect(c byte, s plan.Slot) bool {
	next := d.Peek()
	if next == c || c == '0' && (next == '-' || next >= '0' && next <= '9') {
		return true
	}
	kind := s.Type().Kind
	switch next {
	case '{':
		d.Fail(serialization("Start of structure or map found where not expected."))
	case '[':
		d.Fail(serialization("Start of list found where not expected"))
	case '"', 't', 'f', 'n', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if c == '{' || c == '[' {
			d.Fail(serialization("Unexpected field type"))
			break
		}
		d.Fail(serialization(javaClass(next) + " can not be converted to an " + kind.String()))
	default:
		d.Number() // no value at all: the reader says so
	}
	return false
}

// javaClass names the class by which AWS's messages call a value that begins with c.
func javaClass(c byte) string {
	switch c {
	case '"':
		return "class java.lang.String"
	case 't', 'f':
		return "class java.lang.Boolean"
	}
	return "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
}

// DecodeMember fills one member from a JSON value: a payload. An empty text or null leaves it as it is.
func DecodeMember(text []byte, s plan.Slot, m *plan.Member) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	d := decoder{Reader: jsontext.NewReader(text)}
	if m.Type.Kind == plan.Document || !d.Null() {
		d.value(s.Make(m, &d.arena))
	}
	d.End()
	return d.fault()
}
