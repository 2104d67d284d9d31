package vectors_test

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strings"

	"lambent/wire/cbor"
)

// compareCBOR returns how two bodies differ in meaning, or "". The vector's is base64.
func compareCBOR(got, want string) string {
	raw, err := base64.StdEncoding.DecodeString(want)
	if err != nil {
		return "vector is not base64: " + err.Error()
	}
	if got == "" && len(raw) == 0 {
		return ""
	}
	g, err := cborValue([]byte(got))
	if err != nil {
		return fmt.Sprintf("not CBOR: %v in %x", err, got)
	}
	w, err := cborValue(raw)
	if err != nil {
		return fmt.Sprintf("vector is not CBOR: %v in %x", err, raw)
	}
	if !sameCBOR(g, w) {
		return fmt.Sprintf("CBOR differs: %v, want %v", g, w)
	}
	return ""
}

func cborValue(b []byte) (any, error) {
	r := cbor.NewReader(b)
	v := readCBOR(r)
	r.End()
	return v, r.Err()
}

// readCBOR reads a value into Go's own types; tags are read past.
func readCBOR(r *cbor.Reader) any {
	switch r.Peek() {
	case cbor.Int:
		v, _ := r.Int()
		return float64(v)
	case cbor.Float:
		return r.Float()
	case cbor.Bytes:
		return string(r.Bytes()) + " (bytes)"
	case cbor.Text:
		return string(r.Text())
	case cbor.Bool:
		return r.Bool()
	case cbor.Array:
		list := []any{}
		for n := r.OpenArray(); r.More(&n); {
			list = append(list, readCBOR(r))
		}
		return list
	case cbor.Map:
		m := map[string]any{}
		for n := r.OpenMap(); r.More(&n); {
			k := string(r.Text())
			v := readCBOR(r)
			if s, ok := v.(string); ok && k == "__type" { // the API models do not have the namespace
				v = s[strings.IndexByte(s, '#')+1:]
			}
			m[k] = v
		}
		return m
	}
	r.Skip()
	return nil
}

// sameCBOR is DeepEqual for which NaN is NaN, and a float32 as good as the float64 that is nearest to it.
func sameCBOR(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || math.IsNaN(a) && math.IsNaN(b) || float32(a) == float32(b))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameCBOR(a[i], b[i]) {
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
			if !sameCBOR(a[k], b[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
