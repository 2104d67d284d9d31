package cbor

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendInt appends an integer in its shortest form.
func AppendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, majorNegative, uint64(-1-v))
	}
	return appendHead(b, majorUint, uint64(v))
}

// AppendText appends a text string.
func AppendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// AppendBytes appends a byte string.
func AppendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

// AppendArray appends the head of an array with n elements, which are to follow.
func AppendArray(b []byte, n int) []byte { return appendHead(b, majorArray, uint64(n)) }

// AppendMap appends the head of a map with n entries, keys and values in turn, which are to follow.
func AppendMap(b []byte, n int) []byte { return appendHead(b, majorMap, uint64(n)) }

// AppendOpenMap appends the head of a map that AppendBreak ends.
func AppendOpenMap(b []byte) []byte { return append(b, majorMap<<5|infoIndefinite) }

// AppendBreak ends what was opened without a length.
func AppendBreak(b []byte) []byte { return append(b, breakByte) }

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, majorSimple<<5|21)
	}
	return append(b, majorSimple<<5|20)
}

// AppendNull appends null.
func AppendNull(b []byte) []byte { return append(b, majorSimple<<5|22) }

// AppendFloat appends a float of 32 or 64 bits.
func AppendFloat(b []byte, v float64, bits int) []byte {
	if bits == 32 {
		return binary.BigEndian.AppendUint32(append(b, majorSimple<<5|26), math.Float32bits(float32(v)))
	}
	return binary.BigEndian.AppendUint64(append(b, majorSimple<<5|27), math.Float64bits(v))
}

// AppendTime appends seconds since 1970 under tag 1: an integer, or a float where there are milliseconds.
func AppendTime(b []byte, t time.Time) []byte {
	b = append(b, majorTag<<5|tagTime)
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return AppendInt(b, ms/1000)
	}
	return AppendFloat(b, float64(ms)/1000, 64)
}

func appendHead(b []byte, major byte, v uint64) []byte {
	major <<= 5
	switch {
	case v < 24:
		return append(b, major|byte(v))
	case v <= math.MaxUint8:
		return append(b, major|24, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), v)
}
