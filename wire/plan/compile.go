package plan

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"lambent/wire/jsontext"
)

// Of returns the plan of a struct type. It fails only on types that no generator would make.
func Of(t reflect.Type) (*Type, error) {
	if p, ok := compiled.Load(t); ok {
		return p.(*Type), nil
	}
	compiling.Lock()
	defer compiling.Unlock()
	c := compiler{types: map[reflect.Type]*Type{}}
	p, err := c.structure(t)
	if err != nil {
		return nil, fmt.Errorf("plan of %v: %w", t, err)
	}
	markChecked(c.types)
	for t, p := range c.types {
		compiled.Store(t, p)
	}
	return p, nil
}

// Plans are functions of a type alone, so that one memory of them serves the whole process, as in encoding/json.
var (
	compiled  sync.Map   // reflect.Type → *Type, of structures
	compiling sync.Mutex // one compiler at a time, so that types that hold each other meet the same plans
)

// compiler makes the plans of a struct and of all it holds. A type enters the table before its members
// are compiled: that is where recursion ends.
type compiler struct {
	types map[reflect.Type]*Type
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	streamType = reflect.TypeFor[io.ReadCloser]()
	blobType   = reflect.TypeFor[[]byte]()
	eventsType = reflect.TypeFor[EventStream]()
	directType = reflect.TypeFor[jsontext.Direct]()
)

func (c *compiler) structure(t reflect.Type) (*Type, error) {
	if p, ok := compiled.Load(t); ok {
		return p.(*Type), nil
	}
	if p := c.types[t]; p != nil {
		return p, nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	p := &Type{Kind: Struct, Go: t, Shape: t.Name(), byName: map[string]*Member{}, byWire: map[string]*Member{}, byElement: map[string]*Member{}}
	c.types[t] = p
	p.Nothing = t.NumField() == 0
	p.Direct = reflect.PointerTo(t).Implements(directType)
	for f := range t.Fields() {
		if f.Name == "_" {
			p.shapeTags(f.Tag)
		}
	}
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		m, err := c.field(f)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		p.add(m)
	}
	return p, nil
}

func (t *Type) shapeTags(tag reflect.StructTag) {
	if v := tag.Get("shape"); v != "" {
		t.Shape = v
	}
	_, t.Union = tag.Lookup("union")
	t.Root = tag.Get("wire")
	t.NS = namespace(tag.Get("ns"))
	t.payload = tag.Get("payload")
}

func (t *Type) add(m *Member) {
	m.index = len(t.Members)
	if m.Name == t.payload {
		m.In = Payload
	}
	if m.Type.Kind == Events {
		m.In, t.Events = Payload, m
	}
	t.HasReply = t.HasReply || m.InReplyBody()
	t.Members = append(t.Members, m)
	t.byName[m.Name] = m
	if m.In == Body {
		t.HasBody = true
		t.byWire[m.Wire] = m
		t.byElement[m.Element()] = m
		if _, local, ok := strings.Cut(m.Wire, ":"); ok {
			t.byElement[local] = m
		}
		return
	}
	t.Bound = true
	if m.In == Payload || m.In == EventPayload {
		t.Payload = m
	}
}

// field compiles one field of a struct.
func (c *compiler) field(f reflect.StructField) (*Member, error) {
	name := f.Tag.Get("name")
	if name == "" {
		name = f.Name
	}
	m, err := c.member(f.Type, f.Tag, "", name)
	if err != nil {
		return nil, err
	}
	m.offset = f.Offset
	if m.In, err = location(f.Tag.Get("in")); err != nil {
		return nil, err
	}
	_, m.Required = f.Tag.Lookup("req")
	m.QueryName = f.Tag.Get("query")
	return m, nil
}

// member compiles what holds a value of Go type t, with the tags whose keys begin with prefix.
func (c *compiler) member(t reflect.Type, tag reflect.StructTag, prefix, name string) (m *Member, err error) {
	m = &Member{Name: name, Wire: name}
	if v, ok := tag.Lookup(prefix + "wire"); ok {
		m.Wire, m.Named = v, true
	}
	flag := func(key string) bool { _, ok := tag.Lookup(prefix + key); return ok }
	m.Flat, m.Attr, m.Stream = flag("flat"), flag("attr"), flag("stream")
	m.JSONValue, m.HostLabel, m.Sensitive, m.Exception = flag("jsonvalue"), flag("hostlabel"), flag("sensitive"), flag("exception")
	m.NS = namespace(tag.Get(prefix + "ns"))
	if m.Time, err = timeFormat(tag.Get(prefix + "ts")); err != nil {
		return nil, err
	}
	if t.Kind() == reflect.Pointer {
		m.pointer = true
		t = t.Elem()
	}
	if err := c.value(m, t, tag, prefix); err != nil {
		return nil, err
	}
	if m.check, err = newCheck(tag, prefix, m.Type.Kind); err != nil {
		return nil, err
	}
	m.JSONKey = append(strconv.AppendQuote(nil, m.Wire), ':')
	return m, nil
}

// value finds the plan of t and, for lists and maps, of what they hold.
func (c *compiler) value(m *Member, t reflect.Type, tag reflect.StructTag, prefix string) (err error) {
	kind, ok := scalarKind(t)
	switch {
	case ok:
		m.Type = &Type{Kind: kind, Go: t}
	case reflect.PointerTo(t).Implements(eventsType):
		m.Type = &Type{Kind: Events, Go: t}
		m.Type.Event, err = c.structure(reflect.New(t).Interface().(EventStream).EventType())
	case t.Kind() == reflect.Slice && reflect.PointerTo(t).Implements(directType):
		m.Type = &Type{Kind: Custom, Go: t}
	case t.Kind() == reflect.Struct:
		m.Type, err = c.structure(t)
	case t.Kind() == reflect.Slice:
		m.Type = &Type{Kind: List, Go: t}
		m.Elem, err = c.member(t.Elem(), tag, prefix+"e.", "member")
	case t.Kind() == reflect.Map && t.Key() == reflect.TypeFor[string]():
		m.Type = &Type{Kind: Map, Go: t}
		if m.Key, err = c.member(t.Key(), tag, prefix+"k.", "key"); err == nil {
			m.Elem, err = c.member(t.Elem(), tag, prefix+"e.", "value")
		}
	default:
		err = fmt.Errorf("no plan for values of type %v", t)
	}
	return err
}

func scalarKind(t reflect.Type) (Kind, bool) {
	switch {
	case t == timeType:
		return Time, true
	case t == streamType:
		return Stream, true
	case t == blobType:
		return Blob, true
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && (t.Name() == "Document" || t.Name() == "RawMessage"):
		return Document, true
	}
	switch t.Kind() {
	case reflect.Bool:
		return Bool, true
	case reflect.Int8:
		return Int8, true
	case reflect.Int16:
		return Int16, true
	case reflect.Int32:
		return Int32, true
	case reflect.Int64:
		return Int64, true
	case reflect.Float32:
		return Float32, true
	case reflect.Float64:
		return Float64, true
	case reflect.String:
		return String, true
	}
	return 0, false
}

func location(s string) (Location, error) {
	switch s {
	case "":
		return Body, nil
	case "uri":
		return URI, nil
	case "query":
		return Query, nil
	case "header":
		return Header, nil
	case "headers":
		return PrefixHeaders, nil
	case "status":
		return Status, nil
	case "payload":
		return Payload, nil
	case "eventheader":
		return EventHeader, nil
	case "eventpayload":
		return EventPayload, nil
	}
	return 0, fmt.Errorf("unknown location %q", s)
}

func timeFormat(s string) (TimeFormat, error) {
	switch s {
	case "":
		return DefaultTime, nil
	case "iso8601", "date-time":
		return ISO8601, nil
	case "rfc822", "http-date":
		return HTTPDate, nil
	case "unixTimestamp", "epoch-seconds":
		return Epoch, nil
	}
	return 0, fmt.Errorf("unknown timestamp format %q", s)
}

func namespace(s string) Namespace {
	// A prefix is a name: what stands before "=" in a URI with a query is not.
	if prefix, uri, ok := strings.Cut(s, "="); ok && !strings.ContainsAny(prefix, ":/") {
		return Namespace{prefix, uri}
	}
	return Namespace{URI: s}
}
