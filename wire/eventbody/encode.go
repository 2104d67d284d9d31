package eventbody

import (
	"fmt"
	"io"

	"lambent/cloud"
	"lambent/wire/eventstream"
	"lambent/wire/fault"
	"lambent/wire/plan"
)

// A writer sends an output's events.
type writer struct {
	format Format
	union  *plan.Type
	first  *eventstream.Message
	events plan.EventStream
	buf    []byte
}

// push is a wire.Response's Push.
func (w *writer) push(to io.Writer) error {
	if w.first != nil {
		if err := w.send(to, w.first); err != nil {
			return err
		}
	}
	if w.events == nil {
		return nil
	}
	var failed error // why the stream ended before its time
	w.events.Each(func(event any, err error) bool {
		var m *eventstream.Message
		last := err != nil
		if err != nil {
			m, failed = w.fault(err)
		} else if m, last, err = w.message(event); err != nil {
			m, failed = w.fault(err)
			last = true
		}
		if err := w.send(to, m); err != nil {
			failed = err
			return false
		}
		return !last
	})
	return failed
}

func (w *writer) send(to io.Writer, m *eventstream.Message) error {
	b, err := eventstream.Append(w.buf[:0], m)
	if err != nil {
		return err
	}
	w.buf = b
	_, err = to.Write(b)
	return err
}

// message makes the message of an event. last tells that it is an exception.
func (w *writer) message(event any) (m *eventstream.Message, last bool, err error) {
	s, err := plan.Open(event)
	if err != nil {
		return nil, false, err
	}
	for _, member := range s.Type().Members {
		v, ok := s.Get(member)
		if !ok {
			continue
		}
		m := w.start(member)
		return m, member.Exception, w.fill(m, v)
	}
	return nil, false, fmt.Errorf("no member of the event %s is set", s.Type().Shape)
}

func (w *writer) start(member *plan.Member) *eventstream.Message {
	kind, name := event, eventType
	if member.Exception {
		kind, name = exception, exceptionType
	}
	return &eventstream.Message{Headers: []eventstream.Header{{Name: messageType, Value: kind}, {Name: name, Value: member.Name}}}
}

// fill writes an event into its message. The content type stands before the event's own headers.
func (w *writer) fill(m *eventstream.Message, s plan.Slot) error {
	w.payload(m, s)
	for _, member := range s.Type().Members {
		if member.In != plan.EventHeader {
			continue
		}
		v, ok := s.Get(member)
		if !ok {
			continue
		}
		value, ok := headerValue(v)
		if !ok {
			return fmt.Errorf("member %s of %s can not be a header", member.Name, s.Type().Shape)
		}
		m.Headers = append(m.Headers, eventstream.Header{Name: member.Wire, Value: value})
	}
	return nil
}

func (w *writer) payload(m *eventstream.Message, s plan.Slot) {
	p := s.Type().Payload
	if p == nil {
		if s.Type().HasBody {
			m.Headers = append(m.Headers, eventstream.Header{Name: contentType, Value: w.format.ContentType})
			m.Payload = w.format.Append(nil, s)
		}
		return
	}
	kind := w.format.ContentType
	v, ok := s.Get(p)
	switch p.Type.Kind {
	case plan.Blob:
		kind = "application/octet-stream"
		if ok {
			m.Payload = v.Bytes()
		}
	case plan.String:
		kind = "text/plain"
		if ok {
			m.Payload = []byte(v.String())
		}
	default:
		if ok {
			m.Payload = w.format.AppendMember(nil, s, p)
		}
	}
	m.Headers = append(m.Headers, eventstream.Header{Name: contentType, Value: kind})
}

func headerValue(s plan.Slot) (v any, ok bool) {
	switch s.Type().Kind {
	case plan.Bool:
		return s.Bool(), true
	case plan.Int8:
		return int8(s.Int()), true
	case plan.Int16:
		return int16(s.Int()), true
	case plan.Int32:
		return int32(s.Int()), true
	case plan.Int64:
		return s.Int(), true
	case plan.Blob:
		return s.Bytes(), true
	case plan.String:
		return s.String(), true
	case plan.Time:
		return s.Time(), true
	}
	return nil, false
}

// fault makes the message of an error that ends the stream: one of the union's exceptions where the model has it
// there, else an error with a code. What is our own is not told; it comes back in failed.
func (w *writer) fault(err error) (m *eventstream.Message, failed error) {
	f, ok := err.(*cloud.Fault)
	if !ok {
		failed = err
		f = &cloud.Fault{Code: "InternalServerError", Message: "The request processing has failed because of an unknown error, exception or failure."}
	}
	for _, member := range w.union.Members {
		if member.Exception && member.Type.Shape == f.Code {
			if m, err := w.exception(member, f); err == nil {
				return m, failed
			}
		}
	}
	return &eventstream.Message{Headers: []eventstream.Header{
		{Name: messageType, Value: failure}, {Name: errorCode, Value: f.Code}, {Name: errorMessage, Value: truncated(f.Message)},
	}}, failed
}

// truncated keeps a text within what a header holds.
func truncated(text string) string {
	const most = 4 << 10
	if len(text) > most {
		return text[:most]
	}
	return text
}

// exception makes the message of a fault that is a member of the union.
func (w *writer) exception(member *plan.Member, f *cloud.Fault) (*eventstream.Message, error) {
	detail, err := fault.Detail(member.Type, f)
	if err != nil {
		return nil, err
	}
	m := w.start(member)
	return m, w.fill(m, detail)
}
