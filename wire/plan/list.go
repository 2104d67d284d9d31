package plan

import (
	"reflect"
	"unsafe"
)

// slice is how Go holds a slice.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

// Len returns the number of elements of a List.
func (s Slot) Len() int { return (*slice)(s.p).len }

// Index returns an element of a List; ok is false when it is null.
func (s Slot) Index(i int) (v Slot, ok bool) {
	e := s.m.Elem
	h := (*slice)(s.p)
	v, ok = s.at(e, unsafe.Add(h.data, uintptr(i)*s.m.Type.Go.Elem().Size()))
	return v, ok || !e.pointer // a nil list or blob in a list stands for an empty one
}

// MakeList makes a List empty, but given.
func (s Slot) MakeList() {
	if s.m.Type.Go.Elem().Kind() == reflect.String {
		*(*[]string)(s.p) = []string{}
		return
	}
	reflect.NewAt(s.m.Type.Go, s.p).Elem().Set(reflect.MakeSlice(s.m.Type.Go, 0, 0))
}

// Append adds an element to a List and returns its slot.
func (s Slot) Append(a *Arena) Slot {
	e := s.m.Elem
	p := s.grow()
	return s.make(e, p, a)
}

// AppendNull adds a null to a sparse List; ok is false when the list may not hold one.
func (s Slot) AppendNull() (ok bool) {
	if !s.m.Elem.pointer {
		return false
	}
	s.grow()
	return true
}

// grow adds a zero element and returns its address.
func (s Slot) grow() unsafe.Pointer {
	if s.m.Elem.Type.Kind == String && !s.m.Elem.pointer {
		l := (*[]string)(s.p)
		*l = append(*l, "")
		return unsafe.Pointer(&(*l)[len(*l)-1])
	}
	l := reflect.NewAt(s.m.Type.Go, s.p).Elem()
	if l.Len() == l.Cap() {
		l.Grow(1)
	}
	n := l.Len()
	l.SetLen(n + 1)
	l.Index(n).SetZero() // room behind the length may hold what an earlier append left
	return unsafe.Add((*slice)(s.p).data, uintptr(n)*s.m.Type.Go.Elem().Size())
}
