// Package plan compiles a Go type that was generated from an API model into a plan: which members it
// has, what each is called on the wire, where it stands in an HTTP request, what the model demands of
// it. Every protocol is a driver over plans. A type is compiled once, when it is first met.
//
// # Types
//
// A structure is a Go struct whose fields are its members: pointers to string, bool, int8, int16,
// int32, int64, float32, float64, time.Time and to structs; []byte for blobs; slices for lists; maps
// with string keys; io.ReadCloser for streaming blobs; a named byte slice called Document (or
// json.RawMessage) for documents, which hold raw JSON; service.Events for streams of events; a named slice that is a
// jsontext.Direct for a value with JSON code of its own, whatever its shape. A nil field is a member that was not given.
// Elements of lists and maps are held by value; where they are pointers the list or map is sparse and
// may hold nulls.
//
// # Tags
//
//	name:"functionName"  the member's name, where it is not the field's
//	wire:"Name"          locationName, where it is not the member's name
//	query:"Name"         ec2Query: name in a request, where it is not the wire name with a capital letter
//	in:"uri"             HTTP binding: uri, query, header, headers, status, payload; of an event: eventheader, eventpayload
//	exception:""         of a stream's events: one that is an error and ends the stream
//	req:""               required
//	len:"1:64"           bounds of a length: characters, bytes or elements
//	range:"0:10"         bounds of a number
//	pat:"regex"          pattern, in Java's syntax
//	enum:"a,b"           values of an enumeration
//	uniq:""              no element of a list twice
//	ts:"iso8601"         timestamp format: iso8601, rfc822, unixTimestamp
//	flat:""              flattened list or map (XML, query)
//	attr:""              XML attribute
//	ns:"uri"             XML namespace, or ns:"prefix=uri"
//	stream:""            streaming blob
//	jsonvalue:""         a header that holds base64 of JSON
//	token:"", hostlabel:"", sensitive:""
//
// Elements of lists and values of maps have the same keys behind "e.", keys of maps behind "k.", and
// this nests: "e.e.len". A blank field "_ struct{}" carries what is said of the structure itself:
// shape:"Name", union:"", wire:"Root", ns:"uri", payload:"Member".
package plan

import (
	"reflect"
)

// A Kind says how a value is held and written.
type Kind uint8

// The kinds of values.
const (
	Bool Kind = iota + 1
	Int8
	Int16
	Int32
	Int64
	Float32
	Float64
	String
	Time
	Blob
	Document
	Stream
	Events
	Custom
	List
	Map
	Struct
)

var kindNames = [...]string{"?", "Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double", "String",
	"Timestamp", "Blob", "Document", "Stream", "EventStream", "Custom", "List", "Map", "Structure"}

// String returns the kind's name in the words of the API models.
func (k Kind) String() string { return kindNames[k] }

// Integer tells whether values of this kind are whole numbers.
func (k Kind) Integer() bool { return k >= Int8 && k <= Int64 }

// A Type is a compiled Go type. Types are shared and never change.
type Type struct {
	Kind Kind
	Go   reflect.Type

	// Of structures.
	Shape    string    // name of the shape in the model
	Root     string    // XML root element that the shape names, or ""
	NS       Namespace // XML namespace of that element
	Union    bool      // exactly one member is set
	Members  []*Member // in the model's order
	Payload  *Member   // the member that is the whole body or an event's payload, or nil
	Events   *Member   // the member that is a stream of events, or nil; it is never in the body
	Bound    bool      // some member stands outside the body: in the path, query, headers or status
	HasBody  bool      // some member stands in the body
	HasReply bool      // some member stands in the body of a reply
	Nothing  bool      // the model has no shape at all here: a Go struct without fields

	Direct bool // a structure with JSON code of its own: a pointer to it is a jsontext.Direct

	Event *Type // of a stream of events: the union that each event is

	byName, byWire, byElement map[string]*Member
	payload                   string // name of the payload member
	checked                   bool   // see markChecked
}

// Member returns the member with the model's name, or nil.
func (t *Type) Member(name string) *Member { return t.byName[name] }

// OnWire returns the member that is called so in a body, or nil.
func (t *Type) OnWire(name []byte) *Member { return t.byWire[string(name)] }

// OnElement returns the member of a body whose element or query parameter is called so, or nil. A flattened
// list goes by the name of its elements, and by its own; prefixes of XML names do not count.
func (t *Type) OnElement(name string) *Member {
	if m := t.byWire[name]; m != nil {
		return m
	}
	return t.byElement[name]
}

// A Location says where in an HTTP message a member stands.
type Location uint8

// The locations. Body is that of members with no HTTP binding.
const (
	Body Location = iota
	URI
	Query
	Header
	PrefixHeaders
	Status
	Payload
	EventHeader
	EventPayload
)

// A TimeFormat is how a timestamp is written; DefaultTime leaves it to the protocol.
type TimeFormat uint8

// The formats of timestamps.
const (
	DefaultTime TimeFormat = iota
	Epoch                  // seconds since 1970, with fractions
	ISO8601                // 2006-01-02T15:04:05.999Z
	HTTPDate               // Mon, 02 Jan 2006 15:04:05 GMT
)

// A Namespace is an XML namespace declaration.
type Namespace struct {
	Prefix, URI string
}

// A Member is a field of a structure, an element of a list, or a key or value of a map.
type Member struct {
	Name string // the model's name; "member", "key" or "value" outside structures
	Wire string // name in bodies, of a header, of a query parameter
	Type *Type

	Named     bool // the model gives a wire name of its own
	QueryName string
	In        Location
	Required  bool
	Flat      bool
	Attr      bool
	Stream    bool
	JSONValue bool
	HostLabel bool
	Sensitive bool
	Exception bool
	Time      TimeFormat
	NS        Namespace

	Elem *Member // of a list or map: its elements or values, as this member holds them
	Key  *Member // of a map

	JSONKey []byte // `"wire":`, ready to be written

	check   *check
	checked bool // check or something below it has something to check
	pointer bool
	index   int // place in Type.Members
	offset  uintptr
}

// Element is the name of the elements of a flattened list, and of its parameters in a query: its own where the
// model gives it one, else the one that the model gives the list's elements. For other members it is Wire.
func (m *Member) Element() string {
	if m.Flat && !m.Named && m.Type.Kind == List && m.Elem.Named {
		return m.Elem.Wire
	}
	return m.Wire
}

// InReplyBody tells whether the member stands in the body of a reply: what is bound to a request's path or
// query has no other place there.
func (m *Member) InReplyBody() bool { return m.In == Body || m.In == URI || m.In == Query }

// Index returns the member's place in its structure's Members.
func (m *Member) Index() int { return m.index }
