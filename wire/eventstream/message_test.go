package eventstream_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/wire/eventstream"
)

// The first two are the examples of the specification (smithy.io, "Amazon Event Stream"), byte for byte.
var known = []struct {
	name, hex string
	message   eventstream.Message
}{
	{"empty", "000000100000000005c248eb7d98c8ff", eventstream.Message{}},
	{"int32 header and JSON", "0000002d0000001041c424b80a6576656e742d747970650400 00a00c7b27666f6f273a27626172277d36f480a0",
		eventstream.Message{Headers: []eventstream.Header{{Name: "event-type", Value: int32(40972)}}, Payload: []byte("{'foo':'bar'}")}},
}

func TestKnown(t *testing.T) {
	for _, tt := range known {
		b, err := hex.DecodeString(strings.ReplaceAll(tt.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		m, err := eventstream.Read(bytes.NewReader(b))
		if err != nil || len(m.Headers) != len(tt.message.Headers) || !bytes.Equal(m.Payload, tt.message.Payload) {
			t.Errorf("%s: %v, %v", tt.name, m, err)
			continue
		}
		if got, err := eventstream.Append(nil, &tt.message); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: wrote %x, %v; want %x", tt.name, got, err, b)
		}
	}
}

func everyType() *eventstream.Message {
	return &eventstream.Message{Headers: []eventstream.Header{
		{Name: "true", Value: true}, {Name: "false", Value: false}, {Name: "byte", Value: int8(-1)}, {Name: "short", Value: int16(-2)},
		{Name: "int", Value: int32(-3)}, {Name: "long", Value: int64(-4)}, {Name: "bytes", Value: []byte{1, 2}}, {Name: "text", Value: "ü"},
		{Name: "time", Value: time.UnixMilli(1_363_896_240_500).UTC()}, {Name: "uuid", Value: eventstream.UUID{1, 2, 3}},
	}, Payload: []byte("payload")}
}

func TestEveryType(t *testing.T) {
	want := everyType()
	b, err := eventstream.Append([]byte("before"), want)
	if err != nil {
		t.Fatal(err)
	}
	b, err = eventstream.Append(b, &eventstream.Message{Payload: []byte("second")})
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(b[len("before"):])
	got, err := eventstream.Read(r)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got, err = eventstream.Read(r); err != nil || string(got.Payload) != "second" {
		t.Errorf("second: %v, %v", got, err)
	}
	if _, err = eventstream.Read(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestRefuse(t *testing.T) {
	good, err := eventstream.Append(nil, everyType())
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if m, err := eventstream.Read(bytes.NewReader(bad)); !errors.Is(err, eventstream.ErrMalformed) {
			t.Errorf("a flipped bit in byte %d: %v, %v", i, m, err)
		}
		if m, err := eventstream.Read(bytes.NewReader(good[:i])); i > 0 && !errors.Is(err, eventstream.ErrMalformed) {
			t.Errorf("cut off at %d: %v, %v", i, m, err)
		}
	}
	for _, m := range []*eventstream.Message{
		{Headers: []eventstream.Header{{Name: "", Value: true}}},
		{Headers: []eventstream.Header{{Name: strings.Repeat("n", 256), Value: true}}},
		{Headers: []eventstream.Header{{Name: "n", Value: strings.Repeat("v", 1<<15)}}},
		{Headers: []eventstream.Header{{Name: "n", Value: 5}}},
		{Payload: make([]byte, eventstream.MaxPayload+1)},
	} {
		if _, err := eventstream.Append(nil, m); err == nil {
			t.Errorf("%.100v was written", m)
		}
	}
}

// FuzzRead checks that no bytes break the reader, and that what it reads is written as the same bytes.
func FuzzRead(f *testing.F) {
	for _, tt := range known {
		b, _ := hex.DecodeString(strings.ReplaceAll(tt.hex, " ", ""))
		f.Add(b)
	}
	good, _ := eventstream.Append(nil, everyType())
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := eventstream.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		back, err := eventstream.Append(nil, m)
		if err != nil || !bytes.HasPrefix(b, back) {
			t.Fatalf("%x became %x, %v", b, back, err)
		}
	})
}
