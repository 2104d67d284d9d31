package vtl

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A List is Velocity's (Java's) list. Lists are shared by reference.
type List struct {
	Items []any

	// JSON makes the list print as JSON text, as arrays that $input.path returns do; others print as [a, b].
	JSON bool
}

// A Map is Velocity's (Java's LinkedHashMap): it keeps the order in which keys came. Maps are shared by reference.
type Map struct {
	keys []string
	vals map[string]any
}

// NewMap returns an empty map.
func NewMap() *Map { return &Map{vals: map[string]any{}} }

// MapOf returns a map of keys and values in turn: MapOf("a", 1, "b", 2).
func MapOf(pairs ...any) *Map {
	m := NewMap()
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Put(pairs[i].(string), pairs[i+1])
	}
	return m
}

// Get returns the value of a key; nil when there is none.
func (m *Map) Get(key string) any { return m.vals[key] }

// Has says whether the key is there.
func (m *Map) Has(key string) bool {
	_, ok := m.vals[key]
	return ok
}

// Put gives the key a value; a new key goes to the end.
func (m *Map) Put(key string, v any) {
	if _, ok := m.vals[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.vals[key] = v
}

// Remove takes the key out.
func (m *Map) Remove(key string) {
	if _, ok := m.vals[key]; !ok {
		return
	}
	delete(m.vals, key)
	for i, k := range m.keys {
		if k == key {
			m.keys = append(m.keys[:i:i], m.keys[i+1:]...)
			return
		}
	}
}

// Keys returns the keys in order. The caller must not change it.
func (m *Map) Keys() []string { return m.keys }

// Len returns the number of keys.
func (m *Map) Len() int { return len(m.keys) }

// An entry is one element of a map's entrySet.
type entry struct {
	key   string
	value any
}

// block is the value of #define: it renders where it is referenced.
type block struct{ body []node }

const maxValueDepth = 100

// Text returns a value's text as a template would print it; nothing is the empty string.
func Text(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	r := &rendering{limits: Limits{}.orDefault()}
	return r.display(v)
}

// display returns the value as Java's toString has it.
func (r *rendering) display(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case nil:
		return "null", nil
	}
	var b strings.Builder
	if err := r.write(&b, v, 0, false); err != nil {
		return "", err
	}
	return b.String(), r.spend(b.Len())
}

// write writes v as toString does, or as JSON inside an array that came from JSON.
func (r *rendering) write(b *strings.Builder, v any, depth int, asJSON bool) error {
	if depth > maxValueDepth {
		return ErrNested
	}
	if err := r.tick(); err != nil {
		return err
	}
	if b.Len() > r.limits.Output {
		return ErrBytes
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		if asJSON {
			writeJSONString(b, v)
			return nil
		}
		b.WriteString(v)
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(javaDouble(v))
	case json.Number:
		b.WriteString(v.String())
	case *List:
		return r.writeList(b, v, depth, asJSON || v.JSON)
	case *Map:
		return r.writeMap(b, v, depth, asJSON)
	case entry:
		b.WriteString(v.key + "=")
		return r.write(b, v.value, depth+1, false)
	case *block:
		return r.render(b, v.body)
	case Object:
		s, ok, err := v.Call("toString", nil)
		if err != nil {
			return err
		}
		if s, isString := s.(string); ok && isString {
			b.WriteString(s)
		}
	}
	return nil
}

func (r *rendering) writeList(b *strings.Builder, l *List, depth int, asJSON bool) error {
	b.WriteByte('[')
	for i, e := range l.Items {
		if i > 0 {
			b.WriteString(separator(asJSON))
		}
		if err := r.write(b, e, depth+1, asJSON); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func (r *rendering) writeMap(b *strings.Builder, m *Map, depth int, asJSON bool) error {
	b.WriteByte('{')
	for i, k := range m.keys {
		if i > 0 {
			b.WriteString(separator(asJSON))
		}
		if asJSON {
			writeJSONString(b, k)
			b.WriteByte(':')
		} else {
			b.WriteString(k + "=")
		}
		if err := r.write(b, m.vals[k], depth+1, asJSON); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeJSONString(b *strings.Builder, s string) {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil { // a string always encodes
		b.Write(bytes.TrimSuffix(quoted.Bytes(), []byte("\n")))
	}
}

func separator(asJSON bool) string {
	if asJSON {
		return ","
	}
	return ", "
}

// javaDouble formats as Double.toString does.
func javaDouble(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); f == 0 || (a >= 1e-3 && a < 1e7) {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}

// truth is Velocity 1.7's: nothing and false are false, all else is true, the empty string too.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	}
	return true
}

// asFloat returns a number as a double.
func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// equal is Velocity's ==: numbers by value, the same kind by content, else by their text.
func (r *rendering) equal(a, b any, depth int) (bool, error) {
	if depth > maxValueDepth {
		return false, ErrNested
	}
	if err := r.tick(); err != nil {
		return false, err
	}
	if a == nil || b == nil {
		return a == nil && b == nil, nil
	}
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return x == y, nil
		}
	}
	if x, ok := asFloat(a); ok {
		if y, ok := asFloat(b); ok {
			return x == y, nil
		}
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return x == y, nil
		}
	case bool:
		if y, ok := b.(bool); ok {
			return x == y, nil
		}
	case *List:
		if y, ok := b.(*List); ok {
			return r.equalLists(x, y, depth)
		}
	case *Map:
		if y, ok := b.(*Map); ok {
			return r.equalMaps(x, y, depth)
		}
	}
	x, err := r.display(a)
	if err != nil {
		return false, err
	}
	y, err := r.display(b)
	return x == y, err
}

func (r *rendering) equalLists(x, y *List, depth int) (bool, error) {
	if len(x.Items) != len(y.Items) {
		return false, nil
	}
	for i := range x.Items {
		if ok, err := r.equal(x.Items[i], y.Items[i], depth+1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *rendering) equalMaps(x, y *Map, depth int) (bool, error) {
	if x.Len() != y.Len() {
		return false, nil
	}
	for _, k := range x.keys {
		if !y.Has(k) {
			return false, nil
		}
		if ok, err := r.equal(x.vals[k], y.vals[k], depth+1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// normal turns the Go numbers that a caller may supply into the two kinds used here.
func normal(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
	}
	return v
}
