package logs

import (
	"reflect"
	"testing"

	"lambent/wire/jsonbody"
	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// plainPutLogEventsInput is the same structure without code of its own: the plan reads and writes it.
type plainPutLogEventsInput PutLogEventsInput

var _ jsontext.Direct = (*PutLogEventsInput)(nil)

// FuzzPutLogEvents holds the direct code against the plan: the same answer for the same bytes.
func FuzzPutLogEvents(f *testing.F) {
	for _, text := range []string{
		`{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1795000000000,"message":"hello"},{"message":"ü\n","timestamp":-1}]}`,
		`{"logEvents":[],"logGroupName":null,"entity":{"keyAttributes":{"b":"1","a":"2"},"attributes":{}},"unknown":[1,{"a":null}],"sequenceToken":"t"}`,
		`{"logEvents":[{"timestamp":1e3}],"logEvents":[null]}`, `{"logEvents":[{"timestamp":"x"}]}`, ` {} x`, `[]`, ``,
		`{"entity":{"keyAttributes":{"a":null}}}`, `{"logGroupName":"\ud83d\ude00\u00e4"}`, `{"logEvents":[{"timestamp":9223372036854775807}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		direct, plain := &PutLogEventsInput{}, &plainPutLogEventsInput{}
		d, p := open(t, direct), open(t, plain)
		derr, perr := jsonbody.Decode(text, d), jsonbody.Decode(text, p)
		if (derr == nil) != (perr == nil) || derr != nil && derr.Error() != perr.Error() {
			t.Fatalf("%s: direct: %v, plan: %v", text, derr, perr)
		}
		if derr == nil && !reflect.DeepEqual(direct, (*PutLogEventsInput)(plain)) {
			t.Fatalf("%s: direct: %+v, plan: %+v", text, direct, plain)
		}
		if got, want := string(jsonbody.Append(nil, d)), string(jsonbody.Append(nil, p)); got != want {
			t.Fatalf("%s: direct writes %s, plan %s", text, got, want)
		}
	})
}

func open(t *testing.T, v any) plan.Slot {
	t.Helper()
	s, err := plan.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkPutLogEvents(b *testing.B) {
	text := []byte(`{"logGroupName":"/aws/lambda/hello","logStreamName":"2026/11/23/[$LATEST]0123456789abcdef","logEvents":[`)
	for i := range 10 {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `{"timestamp":1795000000000,"message":"2026-11-23T12:00:00.000Z INFO request 15838 took 12.2 ms"}`...)
	}
	text = append(text, "]}"...)
	for name, make := range map[string]func() any{
		"direct": func() any { return &PutLogEventsInput{} },
		"plan":   func() any { return &plainPutLogEventsInput{} },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := plan.Open(make())
				if err != nil {
					b.Fatal(err)
				}
				if err := jsonbody.Decode(text, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
