package eventbody

import (
	"errors"
	"io"
	"reflect"
	"time"

	"lambent/cloud"
	"lambent/wire/eventstream"
	"lambent/wire/plan"
)

// A reader is the sequence of an input's events.
type reader struct {
	format Format
	body   io.Reader
	union  *plan.Type
	first  *eventstream.Message // read already, and not the initial one
	done   bool
}

func (r *reader) next() (*eventstream.Message, error) {
	if m := r.first; m != nil {
		r.first = nil
		return m, nil
	}
	if r.body == nil {
		return nil, io.EOF
	}
	m, err := eventstream.Read(r.body)
	if errors.Is(err, eventstream.ErrMalformed) {
		return nil, &cloud.Fault{Code: "SerializationException", Message: "Could not parse the event stream: " + err.Error(), Cause: err}
	}
	return m, err
}

// initial fills s from the first message if it is the initial one. Some clients leave it out where it would be empty.
func (r *reader) initial(s plan.Slot) error {
	m, err := r.next()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	if name, _ := m.Text(eventType); name != initialRequest {
		r.first = m
		return nil
	}
	return r.format.Decode(m.Payload, s)
}

// each calls yield with each event, to the end of the body or the first error.
func (r *reader) each(yield func(event any, err error) bool) {
	for !r.done {
		m, err := r.next()
		if err == io.EOF {
			r.done = true
			return
		}
		var v any
		if err == nil {
			v, err = r.event(m)
		}
		r.done = err != nil
		if !yield(v, err) {
			return
		}
	}
}

// event returns a pointer to the union that m is, or what is wrong with it.
func (r *reader) event(m *eventstream.Message) (any, error) {
	kind, ok := m.Text(messageType)
	if !ok {
		return nil, serialization("A message has no %s", messageType)
	}
	switch kind {
	case event:
		name, ok := m.Text(eventType)
		if !ok {
			return nil, serialization("A message has no %s", eventType)
		}
		return r.member(m, name)
	case exception:
		name, _ := m.Text(exceptionType)
		return nil, r.exception(m, name)
	case failure:
		code, _ := m.Text(errorCode)
		text, _ := m.Text(errorMessage)
		return nil, &cloud.Fault{Code: code, Message: text}
	}
	return nil, serialization("A message has the unknown %s %q", messageType, kind)
}

// member returns a new union with the member of that name.
func (r *reader) member(m *eventstream.Message, name string) (any, error) {
	member := r.union.Member(name)
	if member == nil {
		return nil, serialization("Unknown event %q of %s", name, r.union.Shape)
	}
	v := reflect.New(r.union.Go).Interface()
	s, err := plan.Open(v)
	if err != nil {
		return nil, err
	}
	if err := r.content(m, s.Make(member, nil)); err != nil {
		return nil, err
	}
	return v, nil
}

// exception is the error that the client ends its stream with.
func (r *reader) exception(m *eventstream.Message, name string) error {
	v, err := r.member(m, name)
	if err != nil {
		return err
	}
	s, err := plan.Open(v)
	if err != nil {
		return err
	}
	e, _ := s.Get(r.union.Member(name))
	return &cloud.Fault{Code: e.Type().Shape, Detail: e.Interface()}
}

// content fills an event from its message.
func (r *reader) content(m *eventstream.Message, s plan.Slot) error {
	if s.Type().Kind != plan.Struct {
		return serialization("%s has an event that is no structure", r.union.Shape)
	}
	for _, member := range s.Type().Members {
		if member.In != plan.EventHeader {
			continue
		}
		if v := m.Get(member.Wire); v != nil && !setHeader(s.Make(member, nil), v) {
			return serialization("The header %q can not be converted to %s", member.Wire, member.Type.Kind)
		}
	}
	p := s.Type().Payload
	switch {
	case p == nil && s.Type().HasBody:
		return r.format.Decode(m.Payload, s)
	case p == nil:
	case p.Type.Kind == plan.Blob:
		s.Make(p, nil).SetBytes(m.Payload)
	case p.Type.Kind == plan.String:
		s.Make(p, nil).SetString(string(m.Payload))
	default:
		return r.format.DecodeMember(m.Payload, s, p)
	}
	return nil
}

// setHeader sets a scalar from a header's value; ok is false when it does not fit.
func setHeader(s plan.Slot, v any) (ok bool) {
	kind := s.Type().Kind
	switch v := v.(type) {
	case bool:
		if kind == plan.Bool {
			s.SetBool(v)
		}
		return kind == plan.Bool
	case int8:
		return kind.Integer() && s.SetInt(int64(v))
	case int16:
		return kind.Integer() && s.SetInt(int64(v))
	case int32:
		return kind.Integer() && s.SetInt(int64(v))
	case int64:
		return kind.Integer() && s.SetInt(v)
	case []byte:
		if kind == plan.Blob {
			s.SetBytes(v)
		}
		return kind == plan.Blob
	case string:
		if kind == plan.String {
			s.SetString(v)
		}
		return kind == plan.String
	case time.Time:
		if kind == plan.Time {
			s.SetTime(v)
		}
		return kind == plan.Time
	}
	return false
}
