package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/eventstream"
	"lambent/wire/protocol"
)

type (
	conversation struct {
		Room *string `in:"header" wire:"X-Room"`
		Talk service.Events[talk]
	}
	// plainConversation is of protocols that have no headers to bind to.
	plainConversation struct {
		Room *string
		Talk service.Events[talk]
	}
	talk struct {
		_        struct{} `union:""`
		Said     *said
		Sound    *sound
		Drawn    *drawn
		Left     *left
		TooLoud  *tooLoud `exception:""`
		TooQuiet *tooLoud `exception:""`
	}
	said struct {
		Who  *string `in:"eventheader" len:":8"`
		At   *time.Time
		What *string
	}
	sound struct {
		Data []byte `in:"eventpayload"`
	}
	drawn struct {
		Picture *picture `in:"eventpayload"`
	}
	picture struct{ Lines []string }
	left    struct{}
	tooLoud struct {
		_       struct{} `shape:"TooLoudException"`
		Message *string  `name:"message"`
	}
)

var talkEvents = []*talk{
	{Said: &said{Who: new("me"), At: new(time.Unix(1398796238, 0).UTC()), What: new("hello")}},
	{Sound: &sound{Data: []byte{0, 1, 2}}},
	{Drawn: &drawn{Picture: &picture{Lines: []string{"a", "b"}}}},
	{Left: &left{}},
}

func eventsOf(list []*talk, err error) service.Events[talk] {
	return func(yield func(*talk, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// sent encodes an output and returns its body.
func sent(t *testing.T, p service.Protocol, out any) (*wire.Response, []byte, error) {
	t.Helper()
	codec, _ := protocol.For(p)
	resp, err := codec.Encode(api, &service.OperationModel{Name: "Talk"}, "ID", out)
	if err != nil || resp.Push == nil {
		t.Fatalf("%s: %+v, %v", p, resp, err)
	}
	var b bytes.Buffer
	err = resp.Push(&b)
	return resp, b.Bytes(), err
}

// asRequest makes of a reply's body what a client would send: its first message is a request's.
func asRequest(t *testing.T, body []byte) []byte {
	t.Helper()
	var out []byte
	for r := bytes.NewReader(body); ; {
		m, err := eventstream.Read(r)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range m.Headers {
			if h.Value == "initial-response" {
				m.Headers[i].Value = "initial-request"
			}
		}
		if out, err = eventstream.Append(out, m); err != nil {
			t.Fatal(err)
		}
	}
}

// Events come back as they were sent, in every protocol that has them, with the members beside them.
func TestEvents(t *testing.T) {
	for _, p := range []service.Protocol{service.AWSJSON11, service.RPCv2CBOR, service.RestJSON, service.RestXML} {
		var out, in any = &plainConversation{Room: new("kitchen"), Talk: eventsOf(talkEvents, nil)}, &plainConversation{}
		rest := p == service.RestJSON || p == service.RestXML
		if rest {
			out, in = &conversation{Room: new("kitchen"), Talk: eventsOf(talkEvents, nil)}, &conversation{}
		}
		resp, body, err := sent(t, p, out)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/vnd.amazon.eventstream" {
			t.Errorf("%s: content type %s", p, got)
		}
		codec, _ := protocol.For(p)
		r := &wire.Request{Method: "POST", Header: resp.Header, Body: bytes.NewReader(asRequest(t, body))}
		if err := codec.Decode(api, &service.OperationModel{Name: "Talk"}, r, in); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		room, events := reflect.ValueOf(in).Elem().Field(0).Elem().String(), reflect.ValueOf(in).Elem().Field(1).Interface().(service.Events[talk])
		if room != "kitchen" {
			t.Errorf("%s: the room is %q", p, room)
		}
		var got []*talk
		for e, err := range events {
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			got = append(got, e)
		}
		if !reflect.DeepEqual(got, talkEvents) {
			t.Errorf("%s: got %+v", p, got)
		}
	}
}

// Events that the model forbids end the stream with a fault, those before them have come.
func TestEventsChecked(t *testing.T) {
	tooLong := &talk{Said: &said{Who: new("somebody else")}}
	in := &plainConversation{Talk: eventsOf([]*talk{talkEvents[0], tooLong, talkEvents[3]}, nil)}
	if err := protocol.Validate(api, service.AWSJSON11, in); err != nil {
		t.Fatal(err)
	}
	n := 0
	var last error
	for e, err := range in.Talk {
		if last = err; err == nil && e != nil {
			n++
		}
	}
	if n != 1 || cloud.FaultCode(last) != "ValidationException" || !strings.Contains(last.Error(), "'said.who'") {
		t.Errorf("%d events, then %v", n, last)
	}
}

// How a stream ends before its time: an exception of the model, any other fault, a failure of our own.
func TestEventsEnd(t *testing.T) {
	broken := errors.New("disk is full")
	for _, tt := range []struct {
		name    string
		last    *talk
		err     error
		headers string
		payload string
		failed  error
	}{
		{"an exception as an event", &talk{TooQuiet: &tooLoud{Message: new("louder")}}, nil,
			":message-type=exception :exception-type=TooQuiet :content-type=application/json", `{"message":"louder"}`, nil},
		{"a fault of the model", nil, cloud.Faultf("TooLoudException", "hush"),
			":message-type=exception :exception-type=TooLoud :content-type=application/json", `{"message":"hush"}`, nil},
		{"another fault", nil, cloud.Faultf("Throttling", "slowly"), ":message-type=error :error-code=Throttling :error-message=slowly", "", nil},
		{"our own failure", nil, broken, ":message-type=error :error-code=InternalServerError " +
			":error-message=The request processing has failed because of an unknown error, exception or failure.", "", broken},
	} {
		list := talkEvents[3:]
		if tt.last != nil {
			list = append(list, tt.last, talkEvents[0]) // nothing follows an exception
		}
		_, body, err := sent(t, service.RestJSON, &conversation{Talk: eventsOf(list, tt.err)})
		if !errors.Is(err, tt.failed) {
			t.Errorf("%s: push: %v, want %v", tt.name, err, tt.failed)
		}
		r := bytes.NewReader(body)
		if _, err := eventstream.Read(r); err != nil { // Left
			t.Fatal(err)
		}
		m, err := eventstream.Read(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var headers []string
		for _, h := range m.Headers {
			headers = append(headers, h.Name+"="+h.Value.(string))
		}
		if got := strings.Join(headers, " "); got != tt.headers || string(m.Payload) != tt.payload {
			t.Errorf("%s: got %s %s\nwant %s %s", tt.name, got, m.Payload, tt.headers, tt.payload)
		}
		if _, err := eventstream.Read(r); err != io.EOF {
			t.Errorf("%s: something follows: %v", tt.name, err)
		}
	}
}

// Whatever a client sends as events is taken or refused with a fault, and the sequence ends.
func FuzzEvents(f *testing.F) {
	var b []byte
	for _, e := range []eventstream.Message{
		{Headers: []eventstream.Header{{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: "Said"}, {Name: "Who", Value: "me"}}, Payload: []byte(`{"What":"x"}`)},
		{Headers: []eventstream.Header{{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: "Drawn"}}, Payload: []byte(`{"Lines":["x"]}`)},
		{Headers: []eventstream.Header{{Name: ":message-type", Value: "exception"}, {Name: ":exception-type", Value: "TooLoud"}}, Payload: []byte(`{}`)},
	} {
		b, _ = eventstream.Append(b, &e)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range []service.Protocol{service.AWSJSON11, service.RPCv2CBOR, service.RestJSON, service.RestXML} {
			codec, _ := protocol.For(p)
			in := &plainConversation{}
			r := &wire.Request{Method: "POST", Header: http.Header{}, Body: bytes.NewReader(body)}
			if err := codec.Decode(api, &service.OperationModel{Name: "Talk"}, r, in); err != nil {
				if cloud.FaultCode(err) == "" {
					t.Fatalf("%s: not a fault: %v", p, err)
				}
				continue
			}
			for _, err := range in.Talk {
				if f := (*cloud.Fault)(nil); err != nil && !errors.As(err, &f) {
					t.Fatalf("%s: not a fault: %v", p, err)
				}
			}
		}
	})
}
