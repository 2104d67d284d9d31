package document_test

import (
	"encoding/json"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/wire/document"
)

type function struct {
	Name   *string `name:"functionName" wire:"FunctionName" in:"uri"`
	Memory *int32  `name:"memorySize"`
	Size   *int64
	Ratio  *float64
	On     *bool
	When   *time.Time
	Code   []byte
	Body   io.ReadCloser
	Layers []string
	Sparse []*string
	Env    map[string]string
	Tags   []tag
	Policy json.RawMessage `name:"policy"`
	Choice *choice
	Deep   *function
}

type tag struct{ Key, Value *string }

type choice struct {
	_    struct{} `union:""`
	A, B *string
}

func TestRoundTrip(t *testing.T) {
	in := map[string]any{
		"functionName": "f", "memorySize": float64(128), "Size": json.Number("9007199254740993"), "Ratio": 0.5, "On": true,
		"When": json.Number("1.5"), "Code": "aGk=", "Layers": []any{"a", "b"}, "Sparse": []any{"x", nil}, "Env": map[string]any{"K": "V"},
		"Tags": []any{map[string]any{"Key": "k"}}, "policy": map[string]any{"a": []any{1.0, nil}}, "Choice": map[string]any{"B": "b", "A": nil},
		"Deep": map[string]any{"On": false}, "Body": nil,
	}
	got := &function{}
	if err := document.Decode(in, got, document.Options{}); err != nil {
		t.Fatal(err)
	}
	want := &function{
		Name: new("f"), Memory: new(int32(128)), Size: new(int64(9007199254740993)), Ratio: new(0.5), On: new(true),
		When: new(time.UnixMilli(1500).UTC()), Code: []byte("hi"), Layers: []string{"a", "b"}, Sparse: []*string{new("x"), nil},
		Env: map[string]string{"K": "V"}, Tags: []tag{{Key: new("k")}}, Policy: json.RawMessage(`{"a":[1,null]}`), Choice: &choice{B: new("b")},
		Deep: &function{On: new(false)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	back, err := document.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	delete(in, "Body")
	in["Choice"] = map[string]any{"B": "b"}
	in["memorySize"] = json.Number("128")
	if !reflect.DeepEqual(back, in) {
		t.Errorf("back %v\nwant %v", back, in)
	}
}

func TestCoerce(t *testing.T) {
	in := map[string]any{
		"functionName": float64(5), "memorySize": "128", "On": "true", "Ratio": "0.5", "Layers": "one",
		"Env": map[string]any{"N": json.Number("1.50"), "B": false, "Big": 1e6, "F": 0.25},
	}
	got := &function{}
	if err := document.Decode(in, got, document.Options{Coerce: true}); err != nil {
		t.Fatal(err)
	}
	want := &function{
		Name: new("5"), Memory: new(int32(128)), On: new(true), Ratio: new(0.5), Layers: []string{"one"},
		Env: map[string]string{"N": "1.50", "B": "false", "Big": "1000000", "F": "0.25"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for name, v := range in {
		if name == "Env" {
			continue
		}
		if err := document.Decode(map[string]any{name: v}, &function{}, document.Options{}); err == nil {
			t.Errorf("%s: %v passes without Coerce", name, v)
		}
	}
}

func TestStream(t *testing.T) {
	for _, v := range []any{"aGk=", []byte("hi"), strings.NewReader("hi"), io.NopCloser(strings.NewReader("hi"))} {
		got := &function{}
		if err := document.Decode(map[string]any{"Body": v}, got, document.Options{}); err != nil {
			t.Fatal(err)
		}
		out, err := document.Encode(got)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(out["Body"].(io.Reader)); string(b) != "hi" {
			t.Errorf("%T holds %q", v, b)
		}
	}
}

func TestRefuses(t *testing.T) {
	var deep any = "x"
	for range 200 {
		deep = map[string]any{"Deep": deep}
	}
	for _, tt := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{"FunctionName": "wire name", "Z": 1.0, "Tags": []any{map[string]any{"Key": "k", "Color": 1.0}}},
			"Unknown parameter in input: FunctionName, Tags[0].Color, Z"},
		{map[string]any{"memorySize": "x"}, `Invalid type for parameter memorySize: "x" can not be a Integer`},
		{map[string]any{"memorySize": 1e10}, "Invalid type for parameter memorySize: 1e+10 can not be a Integer"},
		{map[string]any{"memorySize": 1.5}, "Invalid type for parameter memorySize: 1.5 can not be a Integer"},
		{map[string]any{"Tags": map[string]any{}}, "Invalid type for parameter Tags[0].Key"},
		{map[string]any{"Env": []any{}}, "Invalid type for parameter Env: a list can not be a Map"},
		{map[string]any{"Env": map[string]any{"A": nil}}, "Env.A must not be null"},
		{map[string]any{"Layers": []any{nil}}, "Layers[0] must not be null"},
		{map[string]any{"Code": "*"}, `Invalid type for parameter Code: "*" can not be a Blob`},
		{map[string]any{"Choice": map[string]any{}}, "Exactly one member of Choice must be set"},
		{map[string]any{"Ratio": math.NaN(), "functionName": map[string]any{}}, "Invalid type for parameter functionName: a map can not be a String"},
		{map[string]any{"policy": func() {}}, "Invalid type for parameter policy"},
		{map[string]any{"functionName": make(chan int)}, "Invalid type for parameter functionName"},
		{map[string]any{"Deep": deep}, "is nested too deeply"},
	} {
		if tt.in["Tags"] != nil && reflect.TypeOf(tt.in["Tags"]).Kind() == reflect.Map {
			tt.want = "Invalid type for parameter Tags: a map can not be a List"
		}
		err := document.Decode(tt.in, &function{}, document.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || cloud.FaultCode(err) != "ValidationException" {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// FuzzDecode: whatever comes in, no panic; what passes can be written, and reads back the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"functionName":"f","memorySize":128,"Size":1e3,"Ratio":"NaN","On":"true","When":1.5,"Code":"aGk=","Layers":"x","Env":{"a":1},"Tags":[{"Key":"k"}],"policy":[1],"Choice":{"A":"a"},"Deep":{}}`), true)
	f.Fuzz(func(t *testing.T, text []byte, coerce bool) {
		var in map[string]any
		if json.Unmarshal(text, &in) != nil {
			return
		}
		v := &function{}
		if err := document.Decode(in, v, document.Options{Coerce: coerce}); err != nil {
			if cloud.FaultCode(err) == "" {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		v.Body = nil
		once, err := document.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		w := &function{}
		if err := document.Decode(once, w, document.Options{}); err != nil {
			t.Fatalf("%v does not read back: %v", once, err)
		}
		twice, _ := document.Encode(w)
		if f, ok := twice["Ratio"].(float64); ok && math.IsNaN(f) {
			return
		}
		if !reflect.DeepEqual(twice, once) {
			t.Fatalf("%v reads back as %v", once, twice)
		}
	})
}
