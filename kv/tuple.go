package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"time"
)

// Type bytes of the elements of a key. They are below 0xff, so that a key followed by 0xff ends the range
// of the keys that begin with its elements. Stored: never change them.
const (
	tagBytes  = 0x02
	tagString = 0x03
	tagZero   = 0x14 // integers: tagZero ± number of bytes of the magnitude
	tagFalse  = 0x26
	tagTrue   = 0x27
	tagTime   = 0x30
	tagStamp  = 0x33
)

// Key encodes parts so that keys sort as their parts do, one after the other, and no key's encoding begins
// another's by accident. Parts are strings, byte slices, integers, bools, times (to the nanosecond, the
// zone is lost) and Stamps, and types based on them; Key panics on others. Integers of all types sort together by value.
func Key(parts ...any) []byte {
	b := make([]byte, 0, 64)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return b
}

func appendPart(b []byte, part any) []byte {
	switch p := part.(type) {
	case string:
		return appendString(b, p)
	case []byte:
		return appendEscaped(append(b, tagBytes), p)
	case int:
		return appendInt(b, int64(p))
	case int64:
		return appendInt(b, p)
	case uint64:
		return appendUint(b, p)
	case time.Time:
		b = binary.BigEndian.AppendUint64(append(b, tagTime), uint64(p.Unix())^1<<63)
		return binary.BigEndian.AppendUint32(b, uint32(p.Nanosecond()))
	case Stamp:
		return append(append(b, tagStamp), p[:]...)
	case bool:
		if p {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	}
	return appendReflected(b, part)
}

// appendReflected encodes the rarer types: small integers and types based on the plain ones.
func appendReflected(b []byte, part any) []byte {
	v := reflect.ValueOf(part)
	switch {
	case v.Kind() == reflect.String:
		return appendString(b, v.String())
	case v.CanInt():
		return appendInt(b, v.Int())
	case v.CanUint():
		return appendUint(b, v.Uint())
	case v.Kind() == reflect.Bool:
		return appendPart(b, v.Bool())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return appendPart(b, v.Bytes())
	}
	panic(fmt.Sprintf("kv: a %T cannot be part of a key", part))
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return appendEscaped(append(b, tagString), s)
}

// appendEscaped writes s with each zero byte as 00 ff, and the end as 00.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		if b = append(b, s[i]); s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0)
}

func appendInt(b []byte, n int64) []byte {
	if n >= 0 {
		return appendUint(b, uint64(n))
	}
	size := magnitude(uint64(-n)) // -n of the least int64 is 1<<63 as unsigned, which is right
	b = append(b, byte(tagZero-size))
	return appendLow(b, uint64(n), size)
}

func appendUint(b []byte, n uint64) []byte {
	size := magnitude(n)
	return appendLow(append(b, byte(tagZero+size)), n, size)
}

// magnitude is the number of bytes that n needs.
func magnitude(n uint64) int { return (bits.Len64(n) + 7) / 8 }

// appendLow writes the lowest size bytes of n.
func appendLow(b []byte, n uint64, size int) []byte {
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], n)
	return append(b, full[8-size:]...)
}

// ErrBadKey says that bytes are not what Key makes.
var ErrBadKey = errors.New("kv: malformed key")

// Unkey returns the parts of an encoded key: string, []byte, int64 (uint64 for what does not fit), bool,
// time.Time in UTC, Stamp. Bytes that Key could not have made give ErrBadKey.
func Unkey(key []byte) ([]any, error) {
	var parts []any
	for rest := key; len(rest) > 0; {
		p, n := part(rest)
		if n == 0 {
			return nil, fmt.Errorf("%w: %x at byte %d", ErrBadKey, key, len(key)-len(rest))
		}
		parts, rest = append(parts, p), rest[n:]
	}
	return parts, nil
}

// part decodes the first element of b and returns its length, 0 when it is malformed.
func part(b []byte) (any, int) {
	tag, body := b[0], b[1:]
	switch {
	case tag == tagString, tag == tagBytes:
		s, n := unescape(body)
		if n == 0 {
			return nil, 0
		}
		if tag == tagString {
			return string(s), 1 + n
		}
		return s, 1 + n
	case tag >= tagZero-8 && tag <= tagZero+8:
		return integer(int(tag)-tagZero, body)
	case tag == tagFalse, tag == tagTrue:
		return tag == tagTrue, 1
	case tag == tagTime && len(body) >= 12:
		sec := int64(binary.BigEndian.Uint64(body) ^ 1<<63)
		nsec := binary.BigEndian.Uint32(body[8:])
		if nsec >= 1e9 {
			return nil, 0
		}
		return time.Unix(sec, int64(nsec)).UTC(), 13
	case tag == tagStamp && len(body) >= len(Stamp{}):
		return Stamp(body[:len(Stamp{})]), 1 + len(Stamp{})
	}
	return nil, 0
}

// unescape reads up to the end mark and returns the bytes and the length of their encoding, 0 without a mark.
func unescape(b []byte) ([]byte, int) {
	out := []byte{}
	for i := 0; i < len(b); i++ {
		if b[i] != 0 {
			out = append(out, b[i])
			continue
		}
		if i+1 == len(b) || b[i+1] != 0xff {
			return out, i + 1
		}
		out = append(out, 0)
		i++
	}
	return nil, 0
}

// integer decodes size bytes; a negative size is that of a negative number. Only the shortest form counts.
func integer(size int, b []byte) (any, int) {
	n := max(size, -size)
	if len(b) < n {
		return nil, 0
	}
	var full [8]byte
	if size < 0 {
		copy(full[:], bytes.Repeat([]byte{0xff}, 8))
	}
	copy(full[8-n:], b[:n])
	u := binary.BigEndian.Uint64(full[:])
	switch {
	case size >= 0 && magnitude(u) != n:
		return nil, 0
	case size >= 0 && u > 1<<63-1:
		return u, 1 + n
	case size >= 0:
		return int64(u), 1 + n
	}
	i := int64(u)
	if i >= 0 || magnitude(uint64(-i)) != n {
		return nil, 0
	}
	return i, 1 + n
}

// Prefix returns the range of all keys that begin with these parts, the key of just these parts included.
func Prefix(parts ...any) Range {
	b := Key(parts...)
	return Range{Begin: b, End: append(bytes.Clone(b), 0xff)}
}
