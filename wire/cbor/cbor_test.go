package cbor_test

import (
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/wire/cbor"
)

// value reads any value into Go's own types.
func value(r *cbor.Reader) any {
	switch r.Peek() {
	case cbor.Int:
		v, _ := r.Int()
		return v
	case cbor.Bytes:
		return r.Bytes()
	case cbor.Text:
		return string(r.Text())
	case cbor.Array:
		list := []any{}
		for n := r.OpenArray(); r.More(&n); {
			list = append(list, value(r))
		}
		return list
	case cbor.Map:
		m := map[string]any{}
		for n := r.OpenMap(); r.More(&n); {
			k := string(r.Text())
			m[k] = value(r)
		}
		return m
	case cbor.Bool:
		return r.Bool()
	case cbor.Null:
		r.Null()
		return nil
	case cbor.Float:
		return r.Float()
	}
	r.Skip()
	return nil
}

// The examples are of RFC 8949, appendix A.
func TestRead(t *testing.T) {
	for _, tt := range []struct {
		hex  string
		want any
	}{
		{"00", int64(0)}, {"17", int64(23)}, {"1818", int64(24)}, {"1903e8", int64(1000)}, {"1a000f4240", int64(1000000)},
		{"1b000000e8d4a51000", int64(1000000000000)}, {"20", int64(-1)}, {"3903e7", int64(-1000)},
		{"f90000", 0.0}, {"f93c00", 1.0}, {"f97bff", 65504.0}, {"f90001", 5.960464477539063e-8}, {"f90400", 0.00006103515625},
		{"f9c400", -4.0}, {"fa47c35000", 100000.0}, {"fb3ff199999999999a", 1.1}, {"f97c00", math.Inf(1)}, {"f9fc00", math.Inf(-1)},
		{"f4", false}, {"f5", true}, {"f6", nil}, {"f7", nil},
		{"4401020304", []byte{1, 2, 3, 4}}, {"6161", "a"}, {"62c3bc", "ü"}, {"80", []any{}},
		{"83010203", []any{int64(1), int64(2), int64(3)}}, {"a26161016162820203", map[string]any{"a": int64(1), "b": []any{int64(2), int64(3)}}},
		{"5f42010243030405ff", []byte{1, 2, 3, 4, 5}}, {"7f657374726561646d696e67ff", "streaming"}, {"5fff", []byte{}},
		{"9f018202039f0405ffff", []any{int64(1), []any{int64(2), int64(3)}, []any{int64(4), int64(5)}}},
		{"bf6346756ef563416d7421ff", map[string]any{"Fun": true, "Amt": int64(-2)}},
		{"d74401020304", []byte{1, 2, 3, 4}}, // a tag that means nothing here
	} {
		b, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := cbor.NewReader(b)
		got := value(r)
		r.End()
		if r.Err() != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, %v; want %#v", tt.hex, got, r.Err(), tt.want)
		}
		s := cbor.NewReader(b)
		s.Skip()
		if s.End(); s.Err() != nil {
			t.Errorf("%s: skip: %v", tt.hex, s.Err())
		}
	}
}

func TestRefuse(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                 "",
		"head cut off":            "19",
		"reserved information":    "1c",
		"string cut off":          "4401",
		"string of 2^64 bytes":    "5bffffffffffffffff",
		"array of 2^32 elements":  "9affffffff",
		"map of 2^32 entries":     "baffffffff",
		"array without a break":   "9f01",
		"break alone":             "ff",
		"text that is no UTF-8":   "61ff",
		"part of another type":    "5f6161ff",
		"part of unknown length":  "5f5fffff",
		"bytes after the value":   "0000",
		"nested too deeply":       strings.Repeat("81", 200) + "00",
		"tags nested too deeply":  strings.Repeat("c1", 200) + "00",
		"integer without a width": "1f",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r := cbor.NewReader(b)
		got := value(r)
		r.End()
		if r.Err() == nil {
			t.Errorf("%s: got %#v", name, got)
		}
	}
}

func TestTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"c11a514b67b0":         time.Unix(1363896240, 0),
		"c1fb41d452d9ec200000": time.UnixMilli(1363896240500),
		"1a514b67b0":           time.Unix(1363896240, 0),
		"c1f93c00":             time.Unix(1, 0),
		"c120":                 time.Unix(-1, 0),
	} {
		b, _ := hex.DecodeString(text)
		r := cbor.NewReader(b)
		got := r.Time()
		if r.End(); r.Err() != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, r.Err(), want)
		}
		back := cbor.NewReader(cbor.AppendTime(nil, want))
		if got := back.Time(); back.Err() != nil || !got.Equal(want) {
			t.Errorf("%v came back as %v, %v", want, got, back.Err())
		}
	}
	for _, text := range []string{"c1fb7ff0000000000000", "c11b7fffffffffffffff", "c26161", "c16161", "c1fb7ff8000000000000"} {
		b, _ := hex.DecodeString(text)
		r := cbor.NewReader(b)
		if got := r.Time(); r.Err() == nil {
			t.Errorf("%s is %v", text, got)
		}
	}
}

// write is the inverse of value.
func write(b []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return cbor.AppendInt(b, v)
	case []byte:
		return cbor.AppendBytes(b, v)
	case string:
		return cbor.AppendText(b, v)
	case []any:
		b = cbor.AppendArray(b, len(v))
		for _, e := range v {
			b = write(b, e)
		}
		return b
	case map[string]any:
		b = cbor.AppendOpenMap(b)
		for k, e := range v {
			b = write(cbor.AppendText(b, k), e)
		}
		return cbor.AppendBreak(b)
	case bool:
		return cbor.AppendBool(b, v)
	case float64:
		return cbor.AppendFloat(b, v, 64)
	}
	return cbor.AppendNull(b)
}

// FuzzReader checks that no bytes break the reader, and that what it reads comes back when it is written.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"bf6346756ef563416d7421ff", "9f018202039f0405ffff", "c1fb41d452d9ec200000", "5f42010243030405ff", "f97e00"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := cbor.NewReader(b)
		s.Time()
		r := cbor.NewReader(b)
		v := value(r)
		if r.End(); r.Err() != nil {
			return
		}
		back := cbor.NewReader(write(nil, v))
		got := value(back)
		if back.End(); back.Err() != nil || !same(got, v) {
			t.Fatalf("%x: %#v came back as %#v, %v", b, v, got, back.Err())
		}
	})
}

// same is DeepEqual for which NaN is NaN.
func same(a, b any) bool {
	x, ok := a.(float64)
	y, _ := b.(float64)
	if ok && math.IsNaN(x) && math.IsNaN(y) {
		return true
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if !same(a[k], b[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
