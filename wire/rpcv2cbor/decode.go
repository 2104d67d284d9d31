package rpcv2cbor

import (
	"bytes"

	"lambent/cloud"
	"lambent/wire/cbor"
	"lambent/wire/plan"
)

// decode fills a structure from a CBOR map. Members that the model does not know are ignored, and null is the
// same as nothing. No bytes at all are an empty structure. The error is a *cloud.Fault.
func decode(body []byte, s plan.Slot) error {
	if len(body) == 0 {
		return nil
	}
	d := decoder{Reader: cbor.NewReader(body)}
	d.structure(s)
	d.End()
	return d.fault()
}

type decoder struct {
	*cbor.Reader
	arena plan.Arena
}

func serialization(message string) *cloud.Fault {
	return &cloud.Fault{Code: "SerializationException", Message: message}
}

func (d *decoder) fault() error {
	err := d.Err()
	if _, ok := err.(*cbor.SyntaxError); ok {
		return serialization("Could not parse the request body as CBOR: " + err.Error())
	}
	return err
}

// value reads a value that is not null.
func (d *decoder) value(s plan.Slot) {
	switch t := s.Type(); t.Kind {
	case plan.String:
		s.SetString(d.arena.String(d.Text()))
	case plan.Struct:
		d.structure(s)
	case plan.List:
		d.list(s)
	case plan.Map:
		d.entries(s)
	case plan.Bool:
		s.SetBool(d.Bool())
	case plan.Int8, plan.Int16, plan.Int32, plan.Int64:
		d.integer(s)
	case plan.Float32, plan.Float64:
		if v := d.Float(); !s.SetFloat(v) {
			d.Fail(serialization("A number is too large for a " + t.Kind.String()))
		}
	case plan.Time:
		s.SetTime(d.Time())
	case plan.Blob:
		s.SetBytes(bytes.Clone(d.Bytes()))
	default: // documents and streams have no form in this protocol
		d.Fail(serialization("A " + t.Kind.String() + " is not expected"))
	}
}

func (d *decoder) integer(s plan.Slot) {
	v, ok := d.whole()
	if d.Err() == nil && (!ok || !s.SetInt(v)) {
		d.Fail(serialization("A number can not be converted to an " + s.Type().Kind.String()))
	}
}

// whole reads an integer. Some encoders write 5.0 for 5.
func (d *decoder) whole() (v int64, ok bool) {
	if d.Peek() != cbor.Float {
		return d.Int()
	}
	f := d.Float()
	const exact = 1 << 53
	if f != f || f < -exact || f > exact || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

func (d *decoder) structure(s plan.Slot) {
	t := s.Type()
	set := 0
	for n := d.OpenMap(); d.More(&n); {
		name := d.Text()
		m := t.OnWire(name)
		switch {
		case m == nil:
			if t.Union && string(name) != "__type" && d.Peek() != cbor.Null {
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

func (d *decoder) list(s plan.Slot) {
	s.MakeList()
	for n := d.OpenArray(); d.More(&n); {
		if !d.Null() {
			d.value(s.Append(&d.arena))
		} else if !s.AppendNull() {
			d.Fail(serialization("A list may not hold null"))
		}
	}
}

func (d *decoder) entries(s plan.Slot) {
	w := s.MakeMap(0)
	for n := d.OpenMap(); d.More(&n); {
		key := d.arena.String(d.Text())
		if !d.Null() {
			d.value(w.Value(&d.arena))
			w.Put(key)
		} else if !w.PutNull(key) {
			d.Fail(serialization("A map may not hold null"))
		}
	}
}

// decodeMember fills one member from a CBOR value: a payload.
func decodeMember(body []byte, s plan.Slot, m *plan.Member) error {
	if len(body) == 0 {
		return nil
	}
	d := decoder{Reader: cbor.NewReader(body)}
	if !d.Null() {
		d.value(s.Make(m, &d.arena))
	}
	d.End()
	return d.fault()
}
