// Package eventbody moves the events of a service.Events between their Go types and an event stream's messages,
// over their plans. Each protocol brings the form of what is structured in a payload.
//
// An event's message says in :event-type which member of the union it is (:exception-type for one of the
// model's errors); members of the event that are bound to headers are headers; one that is bound to the payload
// is the payload, and if there is none the members that are bound to nothing are it, as one document.
package eventbody

import (
	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/eventstream"
	"lambent/wire/plan"
)

// ContentType is that of a body that is an event stream.
const ContentType = "application/vnd.amazon.eventstream"

// A Format is a protocol's form of structures in payloads.
type Format struct {
	ContentType string

	// Initial says that members beside the stream travel in a first message, initial-request or initial-response,
	// for want of another place.
	Initial bool

	// Decode fills the members of a structure that stand in a body; DecodeMember fills one that is the payload.
	Decode       func(body []byte, s plan.Slot) error
	DecodeMember func(body []byte, s plan.Slot, m *plan.Member) error

	// Append appends the members of a structure that stand in a body; AppendMember appends one that is the payload.
	Append       func(b []byte, s plan.Slot) []byte
	AppendMember func(b []byte, s plan.Slot, m *plan.Member) []byte
}

// The headers that say what a message is, and their values.
const (
	messageType   = ":message-type"
	eventType     = ":event-type"
	exceptionType = ":exception-type"
	errorCode     = ":error-code"
	errorMessage  = ":error-message"
	contentType   = ":content-type"

	event     = "event"
	exception = "exception"
	failure   = "error"

	initialRequest  = "initial-request"
	initialResponse = "initial-response"
)

func serialization(format string, args ...any) *cloud.Fault {
	return cloud.Faultf("SerializationException", format, args...)
}

// Input fills the member that is a stream of events with one that reads r.Body, and where the format wants it
// the other members from the first message. done is false for a structure without such a member.
func (f Format) Input(r *wire.Request, s plan.Slot) (done bool, err error) {
	m := s.Type().Events
	if m == nil {
		return false, nil
	}
	in := &reader{format: f, body: r.Body, union: m.Type.Event}
	if f.Initial {
		if err := in.initial(s); err != nil {
			return true, err
		}
	}
	s.Make(m, nil).Events().Fill(in.each)
	return true, nil
}

// Output makes the reply's body of the member that is a stream of events. done is false for a structure without
// such a member, and for one where it is not set.
func (f Format) Output(s plan.Slot, resp *wire.Response) (done bool) {
	m := s.Type().Events
	if m == nil {
		return false
	}
	v, ok := s.Get(m)
	if !ok && !f.Initial {
		return false
	}
	if resp.Header.Get("Content-Type") == "" {
		resp.Header.Set("Content-Type", ContentType)
	}
	out := &writer{format: f, union: m.Type.Event}
	if f.Initial {
		out.first = &eventstream.Message{
			Headers: []eventstream.Header{{Name: messageType, Value: event}, {Name: eventType, Value: initialResponse}, {Name: contentType, Value: f.ContentType}},
			Payload: f.Append(nil, s),
		}
	}
	if ok {
		out.events = v.Events()
	}
	resp.Push = out.push
	return true
}
