package plan

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"time"
	"unsafe"

	"lambent/wire/arena"
	"lambent/wire/jsontext"
)

// An Arena makes the small values of one decoded input.
type Arena = arena.Arena

// A Slot is the place of one value: a structure, or something inside one. It is how drivers read and
// write values without knowing their Go types. The methods of a Slot must fit its kind.
//
// All unsafe code of the codecs stands in this file, list.go and map.go: a Slot's pointer always points to a
// live value of type m.Type.Go, because it comes from reflect or from the field offset of such a value.
type Slot struct {
	m *Member
	p unsafe.Pointer
}

// Open returns the plan of the struct that v points to, and its slot.
func Open(v any) (Slot, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return Slot{}, fmt.Errorf("plan: %T is not a pointer to a struct", v)
	}
	t, err := Of(rv.Type().Elem())
	if err != nil {
		return Slot{}, err
	}
	return Slot{&Member{Type: t}, rv.UnsafePointer()}, nil
}

// Type returns the type of the slot's value.
func (s Slot) Type() *Type { return s.m.Type }

// Member returns the member that the slot is the place of. For a slot made by Open only its Type is set.
func (s Slot) Member() *Member { return s.m }

// Interface returns a pointer to the value.
func (s Slot) Interface() any { return reflect.NewAt(s.m.Type.Go, s.p).Interface() }

// Get returns the slot of a structure's member; ok is false when the member was not given.
func (s Slot) Get(m *Member) (v Slot, ok bool) {
	return s.at(m, unsafe.Add(s.p, m.offset))
}

// at returns the slot of a value held by m at p.
func (s Slot) at(m *Member, p unsafe.Pointer) (Slot, bool) {
	if m.pointer {
		p = *(*unsafe.Pointer)(p)
		return Slot{m, p}, p != nil
	}
	switch m.Type.Kind {
	case Blob, Document, Custom, List:
		return Slot{m, p}, (*slice)(p).data != nil
	case Map, Events: // a stream of events is a func, and that a pointer
		return Slot{m, p}, *(*unsafe.Pointer)(p) != nil
	case Stream:
		return Slot{m, p}, *(*io.ReadCloser)(p) != nil
	}
	return Slot{m, p}, true
}

// Make sets a structure's member to a new zero value and returns its slot.
func (s Slot) Make(m *Member, a *Arena) Slot {
	return s.make(m, unsafe.Add(s.p, m.offset), a)
}

func (s Slot) make(m *Member, p unsafe.Pointer, a *Arena) Slot {
	if !m.pointer {
		return Slot{m, p}
	}
	if m.Type.Kind == String {
		v := a.NewString()
		*(**string)(p) = v
		return Slot{m, unsafe.Pointer(v)}
	}
	v := reflect.New(m.Type.Go).UnsafePointer()
	*(*unsafe.Pointer)(p) = v
	return Slot{m, v}
}

// Reset makes a structure a zero one.
func (s Slot) Reset() { reflect.NewAt(s.m.Type.Go, s.p).Elem().SetZero() }

// Clear makes a structure's member one that was not given.
func (s Slot) Clear(m *Member) {
	f := unsafe.Add(s.p, m.offset)
	if m.pointer {
		*(*unsafe.Pointer)(f) = nil
		return
	}
	reflect.NewAt(m.Type.Go, f).Elem().SetZero()
}

// Bool returns the value of a Bool.
func (s Slot) Bool() bool { return *(*bool)(s.p) }

// SetBool sets a Bool.
func (s Slot) SetBool(v bool) { *(*bool)(s.p) = v }

// Int returns the value of an integer of any width.
func (s Slot) Int() int64 {
	switch s.m.Type.Kind {
	case Int8:
		return int64(*(*int8)(s.p))
	case Int16:
		return int64(*(*int16)(s.p))
	case Int32:
		return int64(*(*int32)(s.p))
	}
	return *(*int64)(s.p)
}

// SetInt sets an integer; ok is false, and nothing set, when it does not fit.
func (s Slot) SetInt(v int64) (ok bool) {
	switch s.m.Type.Kind {
	case Int8:
		*(*int8)(s.p) = int8(v)
		return v == int64(int8(v))
	case Int16:
		*(*int16)(s.p) = int16(v)
		return v == int64(int16(v))
	case Int32:
		*(*int32)(s.p) = int32(v)
		return v == int64(int32(v))
	}
	*(*int64)(s.p) = v
	return true
}

// Float returns the value of a Float32 or Float64.
func (s Slot) Float() float64 {
	if s.m.Type.Kind == Float32 {
		return float64(*(*float32)(s.p))
	}
	return *(*float64)(s.p)
}

// FloatBits returns how many bits a float has: 32 or 64.
func (s Slot) FloatBits() int {
	if s.m.Type.Kind == Float32 {
		return 32
	}
	return 64
}

// SetFloat sets a Float32 or Float64; ok is false when it is too large.
func (s Slot) SetFloat(v float64) (ok bool) {
	if s.m.Type.Kind == Float32 {
		*(*float32)(s.p) = float32(v)
		return !math.IsInf(float64(float32(v)), 0) || math.IsInf(v, 0)
	}
	*(*float64)(s.p) = v
	return true
}

// String returns the value of a String.
func (s Slot) String() string { return *(*string)(s.p) }

// SetString sets a String. The caller gives the string away: it must not alias bytes that may change.
func (s Slot) SetString(v string) { *(*string)(s.p) = v }

// Time returns the value of a Time.
func (s Slot) Time() time.Time { return *(*time.Time)(s.p) }

// SetTime sets a Time.
func (s Slot) SetTime(v time.Time) { *(*time.Time)(s.p) = v }

// Bytes returns the value of a Blob or Document.
func (s Slot) Bytes() []byte { return *(*[]byte)(s.p) }

// SetBytes sets a Blob or Document. Nil becomes empty: a blob that was given is never nil.
func (s Slot) SetBytes(v []byte) {
	if v == nil {
		v = []byte{}
	}
	*(*[]byte)(s.p) = v
}

// Stream returns the value of a Stream.
func (s Slot) Stream() io.ReadCloser { return *(*io.ReadCloser)(s.p) }

// SetStream sets a Stream.
func (s Slot) SetStream(v io.ReadCloser) { *(*io.ReadCloser)(s.p) = v }

// Events returns the value of a stream of events.
func (s Slot) Events() EventStream { return s.Interface().(EventStream) }

// Direct returns the value of a Custom, or of a structure whose Type is Direct.
func (s Slot) Direct() jsontext.Direct { return s.Interface().(jsontext.Direct) }

// An EventStream is a pointer to a service.Events, whatever its events are.
type EventStream interface {
	EventType() reflect.Type                               // the union that each event is
	Each(yield func(event any, err error) bool)            // event points to an EventType
	Fill(each func(yield func(event any, err error) bool)) // makes the stream one of these events
}

// slotOfString makes a slot of a string that stands in no structure: a key of a map.
func slotOfString(m *Member, s *string) Slot { return Slot{m, unsafe.Pointer(s)} }
