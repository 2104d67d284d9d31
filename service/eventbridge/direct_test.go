package eventbridge

import (
	"reflect"
	"testing"

	"lambent/wire/jsonbody"
	"lambent/wire/plan"
)

// The same structures without code of their own: the plan reads and writes them.
type (
	plainPutEventsInput  PutEventsInput
	plainPutEventsOutput PutEventsOutput
)

// FuzzPutEvents holds the direct code against the plan: the same answer for the same bytes.
func FuzzPutEvents(f *testing.F) {
	for _, text := range []string{
		`{"Entries":[{"Time":1795000000,"Source":"my.app","Resources":["arn:a","arn:b"],"DetailType":"t","Detail":"{\"a\":1}","EventBusName":"default"}]}`,
		`{"Entries":[{"Time":1795000000.25},{"Time":"2026-11-23T00:00:00Z"}]}`, `{"Entries":[{"Time":-1,"Resources":[]}],"EndpointId":null}`,
		`{"FailedEntryCount":1,"Entries":[{"EventId":"e"},{"ErrorCode":"c","ErrorMessage":"m"}]}`, `{"Entries":[null]}`, `{"FailedEntryCount":2147483648}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, plainIn := &PutEventsInput{}, &plainPutEventsInput{}
		hold(t, text, in, plainIn)
		out, plainOut := &PutEventsOutput{}, &plainPutEventsOutput{}
		hold(t, text, out, plainOut)
	})
}

func hold(t *testing.T, text []byte, direct, plain any) {
	t.Helper()
	d, p := open(t, direct), open(t, plain)
	if !d.Type().Direct || p.Type().Direct {
		t.Fatalf("%T or %T: which has code of its own?", direct, plain)
	}
	derr, perr := jsonbody.Decode(text, d), jsonbody.Decode(text, p)
	if (derr == nil) != (perr == nil) || derr != nil && derr.Error() != perr.Error() {
		t.Fatalf("%s: direct: %v, plan: %v", text, derr, perr)
	}
	if converted := reflect.ValueOf(plain).Convert(reflect.TypeOf(direct)).Interface(); derr == nil && !reflect.DeepEqual(direct, converted) {
		t.Fatalf("%s: direct: %+v, plan: %+v", text, direct, converted)
	}
	if got, want := string(jsonbody.Append(nil, d)), string(jsonbody.Append(nil, p)); got != want {
		t.Fatalf("%s: direct writes %s, plan %s", text, got, want)
	}
}

func open(t *testing.T, v any) plan.Slot {
	t.Helper()
	s, err := plan.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
