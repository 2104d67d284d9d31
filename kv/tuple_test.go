package kv_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lambent/kv"
)

// TestKeyBytes pins the encoding, which is on people's disks.
func TestKeyBytes(t *testing.T) {
	type name string
	for _, tt := range []struct {
		parts []any
		want  string
	}{
		{nil, ""},
		{[]any{""}, "0300"},
		{[]any{"ab", "c"}, "03616200036300"},
		{[]any{name("ab")}, "03616200"},
		{[]any{"a\x00b"}, "036100ff6200"},
		{[]any{[]byte{0, 255}}, "0200ffff00"},
		{[]any{0, uint64(0)}, "1414"},
		{[]any{1, 255, uint16(256)}, "150115ff160100"},
		{[]any{-1, -256, int8(-128)}, "13ff12ff001380"},
		{[]any{int64(math.MinInt64)}, "0c8000000000000000"},
		{[]any{uint64(math.MaxUint64)}, "1cffffffffffffffff"},
		{[]any{false, true}, "2627"},
		{[]any{time.Unix(1, 2)}, "30800000000000000100000002"},
		{[]any{time.Time{}}, "307ffffff1886e090000000000"},
		{[]any{kv.Stamp{1, 11: 2}}, "33010000000000000000000002"},
	} {
		if got := hex.EncodeToString(kv.Key(tt.parts...)); got != tt.want {
			t.Errorf("Key(%v): got %s, want %s", tt.parts, got, tt.want)
		}
	}
}

func TestKeyPanics(t *testing.T) {
	for _, part := range []any{nil, 1.5, struct{}{}, []string{"a"}, &struct{}{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Key(%T) did not panic", part)
				}
			}()
			kv.Key(part)
		}()
	}
}

// parts draws elements of keys as Unkey returns them.
var parts = rapid.SliceOfN(rapid.OneOf(
	rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00\x01\x02\x03ÿ")), 0, 3, -1).AsAny(),
	rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 3, 0x14, 0xfe, 0xff}), 0, 3).AsAny(),
	rapid.Int64().AsAny(),
	rapid.Int64Range(-300, 300).AsAny(),
	rapid.Uint64Min(math.MaxInt64+1).AsAny(),
	rapid.Bool().AsAny(),
	rapid.Custom(func(t *rapid.T) any {
		return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	}),
	rapid.Custom(func(t *rapid.T) any {
		return kv.Stamp(rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "stamp"))
	}),
), 0, 4)

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := parts.Draw(t, "parts")
		got, err := kv.Unkey(kv.Key(want...))
		if err != nil {
			t.Fatal(err)
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
	})
}

func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		if n := rapid.IntRange(0, len(a)).Draw(t, "shared"); n > 0 {
			b = append(append([]any(nil), a[:n]...), b...)
		}
		got := bytes.Compare(kv.Key(a...), kv.Key(b...))
		if want := compareParts(a, b); got != want {
			t.Fatalf("keys of %#v and %#v compare as %d, their parts as %d", a, b, got, want)
		}
	})
}

func TestPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix, other := parts.Draw(t, "prefix"), parts.Draw(t, "other")
		r := kv.Prefix(prefix...)
		in := func(k []byte) bool { return bytes.Compare(r.Begin, k) <= 0 && bytes.Compare(k, r.End) < 0 }
		longer := append(append([]any(nil), prefix...), other...)
		if !in(kv.Key(longer...)) {
			t.Fatalf("key of %#v is outside of the prefix %#v", longer, prefix)
		}
		begins := len(other) >= len(prefix) && compareParts(prefix, other[:len(prefix)]) == 0
		if in(kv.Key(other...)) != begins {
			t.Fatalf("key of %#v: inside of the prefix %#v is %v", other, prefix, !begins)
		}
	})
}

// compareParts says in which order two lists of parts should sort.
func compareParts(a, b []any) int {
	for i := range min(len(a), len(b)) {
		if c := comparePart(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func comparePart(a, b any) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case string:
		return cmp.Compare(a, b.(string))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case time.Time:
		return a.Compare(b.(time.Time))
	case kv.Stamp:
		s := b.(kv.Stamp)
		return bytes.Compare(a[:], s[:])
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
		return -1 // what does not fit is larger
	case uint64:
		if b, ok := b.(uint64); ok {
			return cmp.Compare(a, b)
		}
		return 1
	}
	panic("unknown part")
}

// rank orders the types.
func rank(part any) int {
	switch part.(type) {
	case []byte:
		return 1
	case string:
		return 2
	case int64, uint64:
		return 3
	case bool:
		return 4
	case time.Time:
		return 5
	}
	return 6
}

// FuzzUnkey: Unkey accepts exactly what Key makes.
func FuzzUnkey(f *testing.F) {
	f.Add(kv.Key("a\x00", []byte{0}, 1, -1, uint64(math.MaxUint64), true, time.Unix(1, 2), kv.Stamp{1}))
	for _, s := range []string{"03", "0361", "036100ff", "1500", "0cffffffffffffffff", "0c7fffffffffffffff", "13", "1300", "30", "33", "ff", "30800000000000000140000000"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := kv.Unkey(b)
		if err != nil {
			if !errors.Is(err, kv.ErrBadKey) {
				t.Errorf("%x: %v is not ErrBadKey", b, err)
			}
			return
		}
		if again := kv.Key(parts...); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %#v, whose key is %x", b, parts, again)
		}
	})
}
