package plan

import (
	"reflect"
	"slices"
	"unsafe"
)

// MapLen returns the number of entries of a Map.
func (s Slot) MapLen() int { return reflect.NewAt(s.m.Type.Go, s.p).Elem().Len() }

// Entries calls fn for each entry of a Map in the order of its keys, until fn returns false. v is valid
// during the call; ok is false for a null.
func (s Slot) Entries(fn func(key string, v Slot, ok bool) bool) {
	e := s.m.Elem
	if m, isText := s.text(); isText {
		for _, k := range sortedKeys(m) {
			v := m[k]
			if !fn(k, Slot{e, unsafe.Pointer(&v)}, true) {
				return
			}
		}
		return
	}
	m := reflect.NewAt(s.m.Type.Go, s.p).Elem()
	keys := make([]string, 0, m.Len())
	for it := m.MapRange(); it.Next(); {
		keys = append(keys, it.Key().String())
	}
	slices.Sort(keys)
	held := reflect.New(s.m.Type.Go.Elem())
	for _, k := range keys {
		held.Elem().Set(m.MapIndex(reflect.ValueOf(k)))
		v, ok := s.at(e, held.UnsafePointer())
		if !fn(k, v, ok || !e.pointer) {
			return
		}
	}
}

// text returns a map of plain strings as what it is: such maps are the most common.
func (s Slot) text() (m map[string]string, ok bool) {
	if s.m.Elem.pointer || s.m.Type.Go.Elem() != reflect.TypeFor[string]() {
		return nil, false
	}
	return *(*map[string]string)(s.p), true
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// A MapWriter fills a Map.
type MapWriter struct {
	slot Slot
	text map[string]string
	m    reflect.Value
	held reflect.Value // the value to be put next
	key  reflect.Value
	s    string
}

// MakeMap makes a Map empty, but given, and returns what fills it. There is room for size entries.
func (s Slot) MakeMap(size int) *MapWriter {
	w := &MapWriter{slot: s}
	if _, ok := s.text(); ok {
		w.text = make(map[string]string, size)
		*(*map[string]string)(s.p) = w.text
		return w
	}
	w.m = reflect.MakeMapWithSize(s.m.Type.Go, size)
	reflect.NewAt(s.m.Type.Go, s.p).Elem().Set(w.m)
	w.held = reflect.New(s.m.Type.Go.Elem()).Elem()
	w.key = reflect.New(reflect.TypeFor[string]()).Elem()
	return w
}

// Value returns the slot of a new zero value. It becomes an entry with Put.
func (w *MapWriter) Value(a *Arena) Slot {
	e := w.slot.m.Elem
	if w.text != nil {
		w.s = ""
		return Slot{e, unsafe.Pointer(&w.s)}
	}
	w.held.SetZero()
	return w.slot.make(e, w.held.Addr().UnsafePointer(), a)
}

// Put stores the value that was filled last.
func (w *MapWriter) Put(key string) {
	if w.text != nil {
		w.text[key] = w.s
		return
	}
	w.key.SetString(key)
	w.m.SetMapIndex(w.key, w.held)
}

// PutNull stores a null; ok is false when the map may not hold one.
func (w *MapWriter) PutNull(key string) (ok bool) {
	if !w.slot.m.Elem.pointer {
		return false
	}
	w.held.SetZero()
	w.Put(key)
	return true
}

// Has tells whether the key was put before.
func (w *MapWriter) Has(key string) bool {
	if w.text != nil {
		_, ok := w.text[key]
		return ok
	}
	return w.m.MapIndex(reflect.ValueOf(key)).IsValid()
}
