package boto_test

import (
	"encoding/json"
	"reflect"
	"syscall"
	"testing"
	"time"

	"lambent/wire/jsonbody"
	"lambent/wire/plan"
)

// The same structures without code of their own: the plan reads and writes them.
type (
	plainPutItemInput  DynamodbPutItemInput
	plainGetItemOutput DynamodbGetItemOutput
)

// item is a PutItem of 1 KB.
const item = `{"TableName":"orders","Item":{"pk":{"S":"customer#0123456789"},"sk":{"S":"order#2026-11-23T12:00:00.000Z"},"total":{"N":"129.95"},` +
	`"paid":{"BOOL":true},"note":{"NULL":true},"tags":{"SS":["express","gift","fragile"]},"raw":{"B":"AAECAwQFBgcICQoLDA0ODw=="},` +
	`"address":{"M":{"street":{"S":"Unter den Linden 1"},"city":{"S":"Berlin"},"zip":{"S":"10117"},"country":{"S":"DE"}}},` +
	`"lines":{"L":[{"M":{"sku":{"S":"A-1001"},"n":{"N":"2"},"price":{"N":"19.99"}}},{"M":{"sku":{"S":"B-2002"},"n":{"N":"1"},"price":{"N":"89.97"}}}]},` +
	`"comment":{"S":"Please ring twice. Leave it with the neighbour on the second floor if nobody is there, and send a message."},` +
	`"created":{"N":"1795000000000"},"updated":{"N":"1795000000001"},"version":{"N":"7"}},` +
	`"ConditionExpression":"attribute_not_exists(pk) OR #v < :v","ExpressionAttributeNames":{"#v":"version"},"ExpressionAttributeValues":{":v":{"N":"7"}},` +
	`"ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"TOTAL"}`

// FuzzDirect holds the direct code of DynamoDB's item calls against the plan.
func FuzzDirect(f *testing.F) {
	for _, text := range []string{
		item, `{"Item":{"a":{"S":"x","N":"1"}}}`, `{"Item":{"a":{"Q":1}}}`, `{"Item":{"a":null}}`, `{"Item":{"a":{}},"Item":{"b":{"L":[null]}}}`,
		`{"Item":{"a":{"B":"aGk"}}}`, `{"Item":{"a":{"BS":["aGk=","\u0061Gk="]}}}`, `{"ConsumedCapacity":{"CapacityUnits":1.5e0,"Table":{"ReadCapacityUnits":"NaN"}}}`,
		`{"ConsumedCapacity":{"LocalSecondaryIndexes":{"i":{"CapacityUnits":-0.5}},"CapacityUnits":1e400}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		same(t, text, &DynamodbPutItemInput{}, &plainPutItemInput{})
		same(t, text, &DynamodbGetItemOutput{}, &plainGetItemOutput{})
	})
}

func same(t *testing.T, text []byte, direct, plain any) {
	t.Helper()
	d, p := slot(t, direct), slot(t, plain)
	if !d.Type().Direct || p.Type().Direct {
		t.Fatalf("%T or %T: which has code of its own?", direct, plain)
	}
	derr, perr := jsonbody.Decode(text, d), jsonbody.Decode(text, p)
	if (derr == nil) != (perr == nil) || derr != nil && derr.Error() != perr.Error() {
		t.Fatalf("%s: direct: %v, plan: %v", text, derr, perr)
	}
	converted := reflect.ValueOf(plain).Convert(reflect.TypeOf(direct)).Interface()
	got, want := string(jsonbody.Append(nil, d)), string(jsonbody.Append(nil, p))
	if derr == nil && !reflect.DeepEqual(direct, converted) && got != want { // NaN is not equal to itself
		t.Fatalf("%s: direct: %s, plan: %s", text, got, want)
	}
	if got != want {
		t.Fatalf("%s: direct writes %s, plan %s", text, got, want)
	}
}

func slot(t testing.TB, v any) plan.Slot {
	t.Helper()
	s, err := plan.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkPutItem(b *testing.B) {
	for _, way := range []struct {
		name   string
		decode func([]byte) error
	}{
		{"by-hand", func(text []byte) error { return jsonbody.Decode(text, slot(b, &handPutItemInput{})) }},
		{"direct", func(text []byte) error { return jsonbody.Decode(text, slot(b, &DynamodbPutItemInput{})) }},
		{"plan", func(text []byte) error { return jsonbody.Decode(text, slot(b, &plainPutItemInput{})) }},
		{"encoding-json", func(text []byte) error { return json.Unmarshal(text, &plainPutItemInput{}) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if err := way.decode([]byte(item)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
		})
	}
}

// processorTime is what all threads have taken so far: a busy machine does not spoil that.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
