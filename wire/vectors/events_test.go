package vectors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lambent/service"
	"lambent/wire"
	"lambent/wire/eventstream"
	"lambent/wire/plan"
	"lambent/wire/protocol"
)

// eventCase is what a vector says of an event stream: what goes before the events, the events, and whether all of
// it is to be refused.
type eventCase struct {
	InitialRequestParams  map[string]any
	InitialResponseParams map[string]any
	InitialRequest        *malformedRequest
	InitialResponse       *struct {
		Code    int
		Headers map[string]string
	}
	Events      []eventVector
	Expectation struct{ Failure *struct{ ErrorID string } }
}

type eventVector struct {
	Type          string // request, response
	Params        map[string]any
	Headers       map[string]map[string]any
	Body          string
	BodyMediaType string
	Bytes         []byte
}

func (c *testCase) runEvents(t *testing.T, api *service.API, codec wire.Codec) {
	op := c.operation(t, api)
	output := c.Events.InitialResponse != nil || len(c.Events.Events) > 0 && c.Events.Events[0].Type == "response"
	switch {
	case output:
		c.sendEvents(t, api, op, codec)
	case c.Events.Expectation.Failure != nil:
		c.refuseEvents(t, api, op, codec)
	default:
		c.receiveEvents(t, api, op, codec)
	}
}

// receive decodes a request and gathers its events.
func (c *testCase) receive(t *testing.T, api *service.API, op *service.OperationModel, codec wire.Codec) (in reflect.Value, events []any, err error) {
	t.Helper()
	var body bytes.Buffer
	for _, e := range c.Events.Events {
		body.Write(e.Bytes)
	}
	method, uri, headers := op.Method, op.URI, map[string]string{"Content-Type": "application/vnd.amazon.eventstream"}
	if q := c.Events.InitialRequest; q != nil {
		method, uri = q.Method, q.URI
		maps.Copy(headers, q.Headers)
	}
	r := request(t, op, method, uri, nil, headers, body.String())
	in = reflect.New(op.Input)
	if err := codec.Decode(api, op, r, in.Interface()); err != nil {
		return in, nil, err
	}
	if err := protocol.Validate(api, api.Protocols[0], in.Interface()); err != nil {
		return in, nil, err
	}
	stream := eventsOf(t, in)
	stream.Each(func(event any, e error) bool {
		if err = e; err == nil {
			events = append(events, event)
		}
		return true
	})
	return in, events, err
}

// eventsOf returns the stream of a structure that must have one.
func eventsOf(t *testing.T, v reflect.Value) plan.EventStream {
	t.Helper()
	for i := range v.Elem().NumField() {
		if !v.Elem().Type().Field(i).IsExported() {
			continue
		}
		if e, ok := v.Elem().Field(i).Addr().Interface().(plan.EventStream); ok {
			return e
		}
	}
	t.Fatalf("%v has no stream of events", v.Type())
	return nil
}

func (c *testCase) receiveEvents(t *testing.T, api *service.API, op *service.OperationModel, codec wire.Codec) {
	in, events, err := c.receive(t, api, op, codec)
	if err != nil {
		t.Fatal(err)
	}
	want := reflect.New(op.Input)
	fill(t, want.Elem(), c.Events.InitialRequestParams)
	reflect.ValueOf(eventsOf(t, in)).Elem().SetZero()
	if diff := difference("", in.Elem(), want.Elem()); diff != "" {
		t.Error(diff)
	}
	if len(events) != len(c.Events.Events) {
		t.Fatalf("%d events, want %d", len(events), len(c.Events.Events))
	}
	for i, e := range c.Events.Events {
		want := reflect.New(reflect.TypeOf(events[i]).Elem())
		fill(t, want.Elem(), e.Params)
		if diff := difference("", reflect.ValueOf(events[i]).Elem(), want.Elem()); diff != "" {
			t.Errorf("event %d: %s", i, diff)
		}
	}
}

func (c *testCase) refuseEvents(t *testing.T, api *service.API, op *service.OperationModel, codec wire.Codec) {
	_, events, err := c.receive(t, api, op, codec)
	if err == nil {
		t.Fatalf("%v were received", events)
	}
	if _, want, _ := strings.Cut(c.Events.Expectation.Failure.ErrorID, "#"); want != "" {
		if f := asFault(err); f == nil || f.Code != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func (c *testCase) sendEvents(t *testing.T, api *service.API, op *service.OperationModel, codec wire.Codec) {
	out := reflect.New(op.Output)
	fill(t, out.Elem(), c.Events.InitialResponseParams)
	stream := eventsOf(t, out)
	stream.Fill(func(yield func(any, error) bool) {
		for _, e := range c.Events.Events {
			event := reflect.New(stream.EventType())
			fill(t, event.Elem(), e.Params)
			if !yield(event.Interface(), nil) {
				return
			}
		}
	})
	resp, err := codec.Encode(api, op, "id", out.Interface())
	if err != nil || resp.Push == nil {
		t.Fatalf("Encode: %+v, %v", resp, err)
	}
	if r := c.Events.InitialResponse; r != nil {
		if resp.Status != r.Code {
			t.Errorf("status %d, want %d", resp.Status, r.Code)
		}
		for k, v := range r.Headers {
			if got := resp.Header.Get(k); got != v {
				t.Errorf("header %s is %q, want %q", k, got, v)
			}
		}
	}
	var sent bytes.Buffer
	if err := resp.Push(&sent); err != nil {
		t.Fatal(err)
	}
	for i, e := range c.Events.Events {
		got, err := eventstream.Read(&sent)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		want, err := eventstream.Read(bytes.NewReader(e.Bytes))
		if err != nil {
			t.Fatal(err)
		}
		if g, w := headersOf(got), headersOf(want); g != w {
			t.Errorf("event %d: headers %s, want %s", i, g, w)
		}
		if diff := compareBodies(e.BodyMediaType, string(got.Payload), string(want.Payload)); diff != "" {
			t.Errorf("event %d: %s\ngot  %q\nwant %q", i, diff, got.Payload, want.Payload)
		}
	}
	if m, err := eventstream.Read(&sent); err != io.EOF {
		t.Errorf("after the events: %v, %v", m, err)
	}
}

// headersOf writes the headers without regard to their order.
func headersOf(m *eventstream.Message) string {
	var list []string
	for _, h := range m.Headers {
		v, _ := json.Marshal(h.Value)
		list = append(list, fmt.Sprintf("%s=%T %s", h.Name, h.Value, v))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
