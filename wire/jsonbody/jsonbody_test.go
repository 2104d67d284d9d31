package jsonbody_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/wire/jsonbody"
	"lambent/wire/plan"
)

// attribute has the form of DynamoDB's AttributeValue: the worst case of the models.
type attribute struct {
	_    struct{} `union:""`
	S    *string
	N    *string
	B    []byte
	SS   []string
	M    map[string]attribute
	L    []attribute
	NULL *bool
	BOOL *bool
}

type putItem struct {
	TableName *string `req:"" len:"1:1024"`
	Item      map[string]attribute
	Condition *string `name:"ConditionExpression"`
	Names     map[string]string
	Limit     *int32
	Size      *int64
	Ratio     *float64
	Small     *float32
	When      *time.Time
	Date      *time.Time `ts:"iso8601"`
	Header    *string    `in:"header" wire:"X-Header"`
	Sparse    []*string
	Doc       json.RawMessage
	Next      *putItem
}

func decode(text string) (*putItem, error) {
	v := &putItem{}
	s, err := plan.Open(v)
	if err != nil {
		return nil, err
	}
	return v, jsonbody.Decode([]byte(text), s)
}

func TestDecode(t *testing.T) {
	text := `{"Item":{"id":{"S":"1"},"n":{"M":{"x":{"L":[{"BOOL":true},{"B":"aGk="}]}}}},"TableName":"t\u00e4",
		"Unknown":[{"a":[1,2,{"b":null}]}],"ConditionExpression":null,"Limit":7,"Size":1e3,"Ratio":"NaN","Small":2.5,"When":1398796238.5,"Date":"2014-04-29T18:30:38Z",
		"X-Header":"ignored","Sparse":["a",null],"Doc":{"a": [1]},"Names":{},"Next":{"TableName":"u"}}`
	got, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Ratio == *got.Ratio {
		t.Errorf("Ratio = %v", *got.Ratio)
	}
	got.Ratio = nil
	want := &putItem{
		TableName: new("tä"),
		Item: map[string]attribute{"id": {S: new("1")}, "n": {M: map[string]attribute{
			"x": {L: []attribute{{BOOL: new(true)}, {B: []byte("hi")}}}}}},
		Limit: new(int32(7)), Size: new(int64(1000)), Small: new(float32(2.5)),
		When: new(time.Unix(1398796238, 5e8).UTC()), Date: new(time.Unix(1398796238, 0).UTC()),
		Sparse: []*string{new("a"), nil}, Doc: json.RawMessage(`{"a": [1]}`), Names: map[string]string{}, Next: &putItem{TableName: new("u")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What a name says last counts, and nothing of what it said before is left.
func TestDecodeTwice(t *testing.T) {
	got, err := decode(`{"TableName":"a","Next":{"TableName":"x","Limit":1},"Sparse":["a","b"],"Next":{"TableName":"y"},"Sparse":["c"],"TableName":null}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &putItem{Next: &putItem{TableName: new("y")}, Sparse: []*string{new("c")}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeNothing(t *testing.T) {
	for _, text := range []string{"", " \n", "{}"} {
		if got, err := decode(text); err != nil || !reflect.DeepEqual(got, &putItem{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ text, message string }{
		{`{"TableName":true}`, "class java.lang.Boolean can not be converted to an String"},
		// apigateway: put-integration-response-invalid-responseTemplates-1
		{`{"TableName":5}`, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String"},
		{`{"Limit":"5"}`, "class java.lang.String can not be converted to an Integer"},
		{`{"TableName":{}}`, "Start of structure or map found where not expected."},
		{`{"Limit":[]}`, "Start of list found where not expected"},
		{`{"Item":"x"}`, "Unexpected field type"},
		{`{"Item":{"a":{"B":5}}}`, "only base-64-encoded strings are convertible to bytes"},
		{`{"Item":{"a":{"B":"x"}}}`, "Invalid Base64 text"},
		{`{"Item":{"a":{}}}`, "Exactly one member of the union attribute must be set"},
		{`{"Item":{"a":{"S":"x","N":"1"}}}`, "Exactly one member of the union attribute must be set"},
		{`{"Item":{"a":{"Q":"x"}}}`, "Unknown member of the union attribute"},
		{`{"Item":{"a":null}}`, "A map may not hold null"},
		{`{"Item":{"a":{"SS":[null]}}}`, "A list may not hold null"},
		{`{"Limit":1.5}`, "1.5 can not be converted to an Integer"},
		{`{"Limit":2147483648}`, "2147483648 can not be converted to an Integer"},
		{`{"Size":9223372036854775808}`, "9223372036854775808 can not be converted to an Long"},
		{`{"Small":1e39}`, "1e39 can not be converted to a Float"},
		{`{"When":"1398796238"}`, "class java.lang.String can not be converted to milliseconds since epoch"},
		{`{"When":1e300}`, `"1e300" can not be converted to a Timestamp`},
		{`{"Date":"noon"}`, `"noon" can not be converted to a Timestamp`},
		{`{"Date":"2014-04-29T18:30:38+02:00"}`, `"2014-04-29T18:30:38+02:00" can not be converted to a Timestamp`},
		{`{"Date":1398796238}`, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an Timestamp"},
		{`[]`, "Start of list found where not expected"},
		{`{"TableName":"x"`, "Could not parse the request body as JSON: expected , or } at offset 16"},
		{`{"TableName":"x"} {}`, "Could not parse the request body as JSON: text after the value at offset 18"},
		{strings.Repeat(`{"Next":`, 200), "Could not parse the request body as JSON: nested too deeply at offset 1024"},
	}
	for _, tt := range tests {
		_, err := decode(tt.text)
		if want := "SerializationException: " + tt.message; err == nil || err.Error() != want {
			t.Errorf("%.60s\ngot  %v\nwant %s", tt.text, err, want)
		}
		if cloud.FaultCode(err) == "" {
			t.Errorf("%.60s: not a fault", tt.text)
		}
	}
}

// Nothing that was decoded may change with the buffer that the request was read into.
func TestDecodeCopies(t *testing.T) {
	text := []byte(`{"TableName":"table","Item":{"key":{"S":"value"}},"Names":{"n":"v"},"Doc":["d"],"ConditionExpression":"` + strings.Repeat("long", 100) + `"}`)
	v := &putItem{}
	s, _ := plan.Open(v)
	if err := jsonbody.Decode(text, s); err != nil {
		t.Fatal(err)
	}
	before := string(jsonbody.Append(nil, s))
	for i := range text {
		text[i] = 'X'
	}
	if after := string(jsonbody.Append(nil, s)); after != before {
		t.Errorf("became %s", after)
	}
}

func TestAppend(t *testing.T) {
	v := &putItem{
		TableName: new("a\"b"), Item: map[string]attribute{"b": {SS: []string{}}, "a": {NULL: new(true)}}, Header: new("h"),
		Limit: new(int32(0)), Ratio: new(0.5), When: new(time.UnixMilli(1500).UTC()), Date: new(time.Unix(0, 0)),
		Sparse: []*string{nil, new("")}, Doc: json.RawMessage(`[1, 2]`), Next: &putItem{},
	}
	s, _ := plan.Open(v)
	want := `{"TableName":"a\"b","Item":{"a":{"NULL":true},"b":{"SS":[]}},"Limit":0,"Ratio":0.5,"When":1.5,"Date":"1970-01-01T00:00:00Z","Sparse":[null,""],"Doc":[1, 2],"Next":{}}`
	if got := string(jsonbody.Append(nil, s)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzDecode: whatever comes in, no panic; what passes can be written, and reads back the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Item":{"id":{"S":"1"},"n":{"M":{"x":{"L":[{"BOOL":true},{"B":"aGk="}]}}}},"Limit":7,"Ratio":"Infinity","When":1.5,"Sparse":["a",null],"Doc":{}}`))
	f.Add([]byte(`{"Next":{"Next":{"Date":"2014-04-29T18:30:38Z"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := decode(string(text))
		if err != nil {
			if cloud.FaultCode(err) == "" {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		s, _ := plan.Open(v)
		once := jsonbody.Append(nil, s)
		w, err := decode(string(once))
		if err != nil {
			t.Fatalf("%s does not read back: %v", once, err)
		}
		s, _ = plan.Open(w)
		if twice := jsonbody.Append(nil, s); string(twice) != string(once) {
			t.Fatalf("%s reads back as %s", once, twice)
		}
	})
}

// body is a PutItem of about one kilobyte.
var body = func() []byte {
	var b strings.Builder
	b.WriteString(`{"TableName":"orders-production","Item":{`)
	for i := range 18 {
		b.WriteString(`"attribute` + string(rune('a'+i)) + `":{"S":"some value of a common length ` + string(rune('a'+i)) + `"},`)
	}
	b.WriteString(`"total":{"N":"12.50"},"open":{"BOOL":true},"tags":{"SS":["red","green","blue"]}},"ConditionExpression":"attribute_not_exists(pk)"}`)
	return []byte(b.String())
}()

// plain is what most calls are like: a structure of strings and numbers.
type plain struct {
	FunctionName, Description, Role, Handler, Runtime, KMSKeyArn, Mode *string
	MemorySize, Timeout                                                *int32
	Publish                                                            *bool
	Layers                                                             []string
	Environment                                                        *struct{ Variables map[string]string }
	Tags                                                               map[string]string
}

var plainBody = []byte(`{"FunctionName":"hello-world-function","Description":"` + strings.Repeat("a function that says hello ", 8) + `","Role":"arn:aws:iam::000000000000:role/service-role/hello-world-function-role",
"Handler":"handler.hello","Runtime":"nodejs20.x","MemorySize":1024,"Timeout":6,"Publish":true,"Layers":["arn:aws:lambda:us-east-1:000000000000:layer:one:1","arn:aws:lambda:us-east-1:000000000000:layer:two:2"],
"Environment":{"Variables":{"STAGE":"dev","TABLE":"orders-production","URL":"https://example.com/a/b/c?d=e","LEVEL":"debug"}},"Tags":{"STAGE":"dev","owner":"someone@example.com","cost":"center-12345678"},"Mode":"Active"}`)

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		text []byte
		make func() any
	}{
		{"item", body, func() any { return &putItem{} }},
		{"plain", plainBody, func() any { return &plain{} }},
	} {
		b.Run(c.name+"/plan", func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				s, err := plan.Open(c.make())
				if err != nil {
					b.Fatal(err)
				}
				if err := jsonbody.Decode(c.text, s); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(c.text, c.make()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	v := &putItem{}
	s, _ := plan.Open(v)
	if err := jsonbody.Decode(body, s); err != nil {
		b.Fatal(err)
	}
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, _ := plan.Open(v)
			jsonbody.Append(make([]byte, 0, 2048), s)
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			json.Marshal(v)
		}
	})
}
