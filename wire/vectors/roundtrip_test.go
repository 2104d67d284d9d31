package vectors_test

import (
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lambent/service"
	"lambent/wire/document"
	"lambent/wire/jsonbody"
	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

// TestRoundTrip fills the vectors' types with random values and sends them through each body format and back.
func TestRoundTrip(t *testing.T) {
	for name, api := range apis {
		isXML := api.Protocols[0] == service.RestXML || api.Protocols[0] == service.AWSQuery
		for _, op := range api.Operations {
			for _, rt := range []reflect.Type{op.Input, op.Output} {
				seed := rand.Uint64()
				r := random{rand.New(rand.NewPCG(seed, 1))}
				for range 20 {
					v := reflect.New(rt)
					r.fill(v.Elem(), 0)
					back := reflect.New(rt)
					var text string
					if isXML {
						text = throughXML(t, v.Interface(), back.Interface())
					} else {
						text = throughJSON(t, v.Interface(), back.Interface())
					}
					dropBound(v)
					if d := difference("", back.Elem(), v.Elem()); d != "" {
						t.Fatalf("%s %v, seed %d: %s\nin %s", name, rt, seed, d, text)
					}
					throughDocument(t, v)
				}
			}
		}
	}
}

func throughJSON(t *testing.T, v, back any) string {
	t.Helper()
	s, err := plan.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	text := jsonbody.Append(nil, s)
	if s, err = plan.Open(back); err != nil {
		t.Fatal(err)
	}
	if err := jsonbody.Decode(text, s); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text)
}

func throughXML(t *testing.T, v, back any) string {
	t.Helper()
	s, err := plan.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	w := &xmlbody.Writer{}
	w.Element("Root", plan.Namespace{}, s)
	if s, err = plan.Open(back); err != nil {
		t.Fatal(err)
	}
	if err := xmlbody.Decode(w.B, s, xmlbody.Options{}); err != nil {
		t.Fatalf("%v\n%s", err, w.B)
	}
	return string(w.B)
}

func throughDocument(t *testing.T, v reflect.Value) {
	t.Helper()
	m, err := document.Encode(v.Interface())
	if err != nil {
		t.Fatal(err)
	}
	back := reflect.New(v.Type().Elem())
	if err := document.Decode(m, back.Interface(), document.Options{}); err != nil {
		t.Fatalf("%v\n%v", err, m)
	}
	if d := difference("", back.Elem(), v.Elem()); d != "" {
		t.Fatalf("%v: %s\nin %v", v.Type(), d, m)
	}
}

// dropBound clears what does not stand in the body of a request.
func dropBound(v reflect.Value) {
	clearBound(v.Elem())
}

func clearBound(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			clearBound(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearBound(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			clearBound(e)
			v.SetMapIndex(k, e)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Tag.Get("in") != "" {
				v.Field(i).SetZero()
			} else if f.Name != "_" {
				clearBound(v.Field(i))
			}
		}
	}
}

type random struct{ *rand.Rand }

func (r random) text() string {
	alphabet := []string{"a", "B", "0", " ", "\n", "\r", "\"", "<", "&", ">", "'", "ä", "😀", "\t", "\\", "\u0085", "\u2028"}
	var b strings.Builder
	for range r.IntN(8) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

func (r random) fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9)-1e9, 0).UTC()))
		return
	case service.Document:
		text, _ := json.Marshal(map[string]any{r.text(): []any{r.text(), 1.5, nil, true}})
		v.SetBytes(text)
		return
	case []byte:
		v.SetBytes([]byte(r.text()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.fill(v.Elem(), depth)
	case reflect.String:
		v.SetString(r.text())
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> (64 - v.Type().Bits()))
	case reflect.Float32:
		v.SetFloat(float64(math.Float32frombits(r.Uint32()&^(1<<30) | 1<<23))) // finite
	case reflect.Float64:
		v.SetFloat(r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30)))
	case reflect.Slice:
		n := r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			r.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			r.fill(e, depth+1)
			v.SetMapIndex(reflect.ValueOf(r.text()), e)
		}
	case reflect.Struct:
		r.fillStruct(v, depth)
	}
}

func (r random) fillStruct(v reflect.Value, depth int) {
	var fields []int
	union := false
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name == "_" {
			_, union = f.Tag.Lookup("union")
			continue
		}
		if f.Type != reflect.TypeFor[io.ReadCloser]() {
			fields = append(fields, i)
		}
	}
	if union {
		r.fillUnion(v, fields, depth)
		return
	}
	for _, i := range fields {
		if depth < 5 && r.IntN(3) > 0 {
			r.fill(v.Field(i), depth+1)
		}
		f := v.Field(i)
		if _, flat := v.Type().Field(i).Tag.Lookup("flat"); flat && (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0 {
			f.SetZero() // flattened and empty is nothing at all
		}
	}
}

// fillUnion sets one member; deep down one that ends there.
func (r random) fillUnion(v reflect.Value, fields []int, depth int) {
	if depth >= 4 {
		fields = slices.DeleteFunc(slices.Clone(fields), func(i int) bool {
			t := v.Type().Field(i).Type
			return t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
		})
	}
	r.fill(v.Field(fields[r.IntN(len(fields))]), depth+1)
}
