package vectors_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lambent/service"
)

// fill sets a value from a vector's parameters: member names as keys, blobs as text, times as seconds. It reads
// the tags by itself, so that a mistake of package plan does not hide itself.
func fill(t *testing.T, v reflect.Value, p any) {
	t.Helper()
	if v.Kind() == reflect.Pointer {
		if p != nil {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), p)
		}
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		if text, ok := p.(string); ok {
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				t.Fatal(err)
			}
			v.Set(reflect.ValueOf(at))
			return
		}
		sec, frac := math.Modf(p.(float64))
		v.Set(reflect.ValueOf(time.Unix(int64(sec), int64(math.Round(frac*1e3))*1e6).UTC()))
		return
	case service.Document:
		text, _ := json.Marshal(p)
		v.SetBytes(text)
		return
	case []byte:
		v.SetBytes([]byte(p.(string)))
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		v.Set(reflect.ValueOf(io.NopCloser(strings.NewReader(p.(string)))))
	case reflect.String:
		v.SetString(p.(string))
	case reflect.Bool:
		v.SetBool(p.(bool))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(p.(float64)))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float(p))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), len(p.([]any)), len(p.([]any))))
		for i, e := range p.([]any) {
			fill(t, v.Index(i), e)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for k, e := range p.(map[string]any) {
			x := reflect.New(v.Type().Elem()).Elem()
			fill(t, x, e)
			v.SetMapIndex(reflect.ValueOf(k), x)
		}
	case reflect.Struct:
		fillStruct(t, v, p)
	}
}

func fillStruct(t *testing.T, v reflect.Value, p any) {
	t.Helper()
	params, _ := p.(map[string]any)
	for name, e := range params {
		found := false
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Tag.Get("name") == name || f.Name == name {
				found = true
				fill(t, v.Field(i), e)
			}
		}
		if !found {
			t.Fatalf("%v has no member %s", v.Type(), name)
		}
	}
}

func float(p any) float64 {
	switch p {
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	return p.(float64)
}

// difference returns the first place where two values differ, or "". Streams are read.
func difference(path string, got, want reflect.Value) string {
	differ := func() string { return fmt.Sprintf("%s is %s, want %s", path, show(got), show(want)) }
	switch got.Kind() {
	case reflect.Pointer, reflect.Interface:
		if got.IsNil() || want.IsNil() {
			if got.IsNil() != want.IsNil() && !emptyStream(got) && !emptyStream(want) {
				return differ()
			}
			return ""
		}
		if r, ok := got.Interface().(io.Reader); ok {
			g, _ := io.ReadAll(r)
			w, _ := io.ReadAll(want.Interface().(io.Reader))
			if !bytes.Equal(g, w) {
				return fmt.Sprintf("%s holds %q, want %q", path, g, w)
			}
			return ""
		}
		return difference(path, got.Elem(), want.Elem())
	case reflect.Struct:
		if g, ok := got.Interface().(time.Time); ok {
			if !g.Equal(want.Interface().(time.Time)) {
				return differ()
			}
			return ""
		}
		for i := range got.NumField() {
			if f := got.Type().Field(i); f.Name != "_" {
				if d := difference(path+"."+f.Name, got.Field(i), want.Field(i)); d != "" {
					return d
				}
			}
		}
	case reflect.Slice:
		if g, ok := got.Interface().(service.Document); ok && got.Len() > 0 && want.Len() > 0 {
			return compareJSON(string(g), string(want.Interface().(service.Document)))
		}
		if got.IsNil() != want.IsNil() || got.Len() != want.Len() {
			return differ()
		}
		for i := range got.Len() {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); d != "" {
				return d
			}
		}
	case reflect.Map:
		if got.IsNil() != want.IsNil() || got.Len() != want.Len() {
			return differ()
		}
		for _, k := range want.MapKeys() {
			g := got.MapIndex(k)
			if !g.IsValid() {
				return fmt.Sprintf("%s[%q] is missing", path, k)
			}
			if d := difference(fmt.Sprintf("%s[%q]", path, k), g, want.MapIndex(k)); d != "" {
				return d
			}
		}
	case reflect.Float32, reflect.Float64:
		if got.Float() != want.Float() && !(math.IsNaN(got.Float()) && math.IsNaN(want.Float())) {
			return differ()
		}
	default:
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			return differ()
		}
	}
	return ""
}

// emptyStream tells whether v is a stream without bytes, which is as good as none.
func emptyStream(v reflect.Value) bool {
	if v.Kind() != reflect.Interface || v.IsNil() {
		return false
	}
	b, _ := io.ReadAll(v.Interface().(io.Reader))
	return len(b) == 0
}

func show(v reflect.Value) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return fmt.Sprintf("%#v", v.Interface())
}

// compareBodies returns how two bodies differ in meaning, or "".
func compareBodies(mediaType, got, want string) string {
	switch mediaType {
	case "application/json":
		return compareJSON(got, want)
	case "application/xml":
		return compareXML(got, want)
	case "application/cbor":
		return compareCBOR(got, want)
	}
	if got != want {
		return "bodies differ"
	}
	return ""
}

func compareJSON(got, want string) string {
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return "not JSON: " + err.Error()
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return "vector is not JSON: " + err.Error()
	}
	// awsJson 1.0 vectors name the shape with its namespace, which the API models do not have.
	for _, v := range []any{g, w} {
		if m, ok := v.(map[string]any); ok {
			if s, ok := m["__type"].(string); ok {
				m["__type"] = s[strings.IndexByte(s, '#')+1:]
			}
		}
	}
	if !reflect.DeepEqual(g, w) {
		return "JSON differs"
	}
	return ""
}

// element is XML as far as it is compared: the order of attributes and of differently named children does
// not count, nor does white space between elements.
type element struct {
	name     string
	attrs    []string
	text     string
	children []*element
}

func (e *element) String() string {
	if len(e.children) == 0 {
		text := e.text
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			text = at.UTC().Format(time.RFC3339Nano) // one instant has many forms
		}
		return fmt.Sprintf("<%s %v>%q", e.name, e.attrs, text)
	}
	var c []string
	for _, x := range e.children {
		c = append(c, x.String())
	}
	slices.SortStableFunc(c, func(a, b string) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return fmt.Sprintf("<%s %v>%v", e.name, e.attrs, c)
}

// sortKey leaves the order of list elements as it is; that of map entries does not count.
func sortKey(s string) string {
	name, _, _ := strings.Cut(s, " ")
	if strings.HasSuffix(name, ":entry") || strings.Contains(strings.ToLower(name), "map") {
		return s
	}
	return name
}

func compareXML(got, want string) string {
	g, err := parseXML(got)
	if err != nil {
		return "not XML: " + err.Error()
	}
	w, err := parseXML(want)
	if err != nil {
		return "vector is not XML: " + err.Error()
	}
	g.forgive(w)
	if g.String() != w.String() {
		return fmt.Sprintf("XML differs:\n%v\n%v", g, w)
	}
	return ""
}

// forgive takes away what AWS always sends and many vectors leave out: the namespace of the root, the metadata
// of awsQuery and the request id of ec2Query.
func (e *element) forgive(want *element) {
	if len(e.children) != 1 || len(want.children) != 1 {
		return
	}
	g, w := e.children[0], want.children[0]
	if strings.HasPrefix(w.name, ":") {
		g.dropNamespace(g.name[:strings.LastIndexByte(g.name, ':')])
	}
	isMetadata := func(c *element) bool {
		return strings.HasSuffix(c.name, ":ResponseMetadata") || strings.HasSuffix(c.name, ":requestId")
	}
	if !slices.ContainsFunc(w.children, isMetadata) {
		g.children = slices.DeleteFunc(g.children, isMetadata)
	}
}

func (e *element) dropNamespace(uri string) {
	if local, ok := strings.CutPrefix(e.name, uri+":"); ok {
		e.name = ":" + local
	}
	e.attrs = slices.DeleteFunc(e.attrs, func(a string) bool { return a == ":xmlns="+uri })
	for _, c := range e.children {
		c.dropNamespace(uri)
	}
}

func parseXML(text string) (*element, error) {
	root := &element{}
	stack := []*element{root}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		t, err := d.Token()
		if err == io.EOF {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Space + ":" + t.Name.Local}
			for _, a := range t.Attr {
				e.attrs = append(e.attrs, a.Name.Space+":"+a.Name.Local+"="+a.Value)
			}
			slices.Sort(e.attrs)
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
}
