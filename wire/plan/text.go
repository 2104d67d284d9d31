package plan

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// SetText sets a scalar from plain text, as it stands in headers, queries, paths and XML. Timestamps that
// name no format have format f, or any other that is known. ok is false when the text does not fit.
// The slot keeps text: it must not alias bytes that may change.
func (s Slot) SetText(text string, f TimeFormat) (ok bool) {
	k := s.m.Type.Kind
	if k == String {
		s.SetString(text)
		return true
	}
	text = strings.TrimSpace(text)
	switch {
	case k == Bool:
		s.SetBool(text == "true")
		return text == "true" || text == "false"
	case k.Integer():
		v, err := strconv.ParseInt(text, 10, 64)
		return err == nil && s.SetInt(v)
	case k == Float32 || k == Float64:
		v, ok := parseFloat(text)
		return ok && s.SetFloat(v)
	case k == Time:
		t, err := ParseTime(text, s.m.Time.Or(f))
		s.SetTime(t)
		return err == nil
	case k == Blob:
		v, err := base64.StdEncoding.DecodeString(text)
		s.SetBytes(v)
		return err == nil
	case k == Document:
		s.SetBytes([]byte(text))
		return true
	}
	return false
}

func parseFloat(s string) (v float64, ok bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" { // strconv also knows hexadecimal and other names
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// AppendText appends a scalar as plain text.
func (s Slot) AppendText(b []byte, f TimeFormat) []byte {
	switch k := s.m.Type.Kind; {
	case k == String:
		return append(b, s.String()...)
	case k == Bool:
		return strconv.AppendBool(b, s.Bool())
	case k.Integer():
		return strconv.AppendInt(b, s.Int(), 10)
	case k == Float32 || k == Float64:
		return AppendFloat(b, s.Float(), s.FloatBits())
	case k == Time:
		return AppendTime(b, s.Time(), s.m.Time.Or(f))
	case k == Blob:
		return base64.StdEncoding.AppendEncode(b, s.Bytes())
	case k == Document:
		return append(b, s.Bytes()...)
	}
	return b
}

// AppendFloat appends v in its shortest form, as headers, queries and XML have it.
func AppendFloat(b []byte, v float64, bits int) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "Infinity"...)
	case math.IsInf(v, -1):
		return append(b, "-Infinity"...)
	case v != 0 && (math.Abs(v) < 1e-6 || math.Abs(v) >= 1e21):
		return strconv.AppendFloat(b, v, 'E', -1, bits)
	}
	return strconv.AppendFloat(b, v, 'f', -1, bits)
}

// Scalar tells whether values of this kind can be written as plain text.
func (k Kind) Scalar() bool { return k < Stream }
