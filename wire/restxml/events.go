package restxml

import (
	"lambent/wire/eventbody"
	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

// events is the form of payloads: a document for each, with the root element that a body would have.
var events = eventbody.Format{
	ContentType: "text/xml",
	Decode: func(body []byte, s plan.Slot) error {
		return malformed(nil, xmlbody.Decode(body, s, xmlbody.Options{}))
	},
	DecodeMember: func(body []byte, s plan.Slot, m *plan.Member) error {
		return malformed(nil, xmlbody.Decode(body, s.Make(m, nil), xmlbody.Options{}))
	},
	Append: func(b []byte, s plan.Slot) []byte {
		w := &xmlbody.Writer{B: b}
		w.Element(root(nil, s.Type()), s.Type().NS, s)
		return w.B
	},
	AppendMember: func(b []byte, s plan.Slot, m *plan.Member) []byte {
		v, _ := s.Get(m)
		w := &xmlbody.Writer{B: b}
		w.Element(payloadRoot(m), or(m.NS, m.Type.NS), v)
		return w.B
	},
}
