package jsontext_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"lambent/wire/jsontext"
)

func TestValue(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, ` false `, `0`, `-0`, `12.5e-3`, `1E+2`, `""`, `"a\n\t\"\\\/\b\f\r\u00e4"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`,
		`"ä😀"`, `[]`, `[1,[2],{}]`, `{}`, `{"a":{"b":[null]},"a\n":1}`, "\t{\r\n}\n",
	} {
		r := jsontext.NewReader([]byte(text))
		got := r.Value()
		r.End()
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if r.Err() != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, %v, want %#v", text, got, r.Err(), want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` `, `nul`, `nulL`, `tru`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `0x10`, `NaN`, `"`, `"\`, `"\u12`, `"\u12g4"`, `"\x41"`, "\"\n\"", "\"\x00\"", "\"\xff\"", "\"\\n\xff\"",
		`[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{1:1}`, `[}`, `{]`, `1 2`, `{}x`, "1\x00",
		strings.Repeat("[", jsontext.MaxDepth+1) + strings.Repeat("]", jsontext.MaxDepth+1),
	} {
		r := jsontext.NewReader([]byte(text))
		r.Value()
		r.End()
		if r.Err() == nil {
			t.Errorf("%q passed", text)
		}
	}
}

func TestRaw(t *testing.T) {
	r := jsontext.NewReader([]byte(` {"a": [1, "]}"] , "b":2}`))
	r.Open('{')
	r.More('}')
	r.Key()
	if got := string(r.Raw()); got != `[1, "]}"]` {
		t.Errorf("Raw = %s", got)
	}
}

func TestAhead(t *testing.T) {
	for text, want := range map[string]int{
		`{}`: 0, `{"a":1}`: 1, `{"a":[1,2,3],"b,c\\\"{":{"x":1,"y":2},"d":"}"} , 5`: 3, ` {"a":1`: 1, `{"a`: 1, ``: 0, `{"\`: 1,
	} {
		if got := jsontext.NewReader([]byte(text)).Ahead(); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "ä😀\u2028", "a\xffb\xc3", "<&>"} {
		got := jsontext.AppendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q is written as %s (%v)", s, got, err)
		}
	}
	for v, want := range map[float64]string{
		0: "0", 1: "1", -2.5: "-2.5", 1e21: "1e+21", 1e20: "100000000000000000000", 1e-7: "1e-07", math.Inf(1): `"Infinity"`, math.Inf(-1): `"-Infinity"`,
	} {
		if got := string(jsontext.AppendFloat(nil, v, 64)); got != want {
			t.Errorf("%v is written as %s, want %s", v, got, want)
		}
	}
	if got := string(jsontext.AppendFloat(nil, float64(float32(0.1)), 32)); got != "0.1" {
		t.Errorf("float32 0.1 is written as %s", got)
	}
}

// FuzzValue compares with encoding/json: what one takes the other takes, with the same meaning, but for depth
// and UTF-8, where we are stricter.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e4\ud83d\ude00",null,true]}`, `"\ud800"`, `[[[[]]]]`, `{"a":1,"a":2}`, `1e999`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		original := bytes.Clone(text)
		r := jsontext.NewReader(text)
		r.Ahead()
		got := r.Value()
		r.End()
		if !bytes.Equal(text, original) {
			t.Fatal("the text was changed")
		}
		var want any
		err := json.Unmarshal(text, &want)
		switch {
		case r.Err() == nil && err != nil:
			t.Fatalf("%q passed, but %v", text, err)
		case r.Err() == nil && !reflect.DeepEqual(got, want):
			t.Fatalf("%q: got %#v, want %#v", text, got, want)
		case r.Err() != nil && err == nil && utf8.Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) < jsontext.MaxDepth:
			t.Fatalf("%q refused: %v", text, r.Err())
		}
	})
}
