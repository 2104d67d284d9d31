// Package cbor reads and writes CBOR (RFC 8949), as far as the protocol rpcv2Cbor needs it: maps with text
// keys, lists, integers, floats of three widths, strings, times; definite and indefinite lengths. Tags other
// than that of a time are read past.
package cbor

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// MaxDepth is how deep arrays, maps and tags may nest.
const MaxDepth = 128

// A SyntaxError says where and why bytes are not CBOR, or not of the kind that is wanted.
type SyntaxError struct {
	Offset int
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at offset %d", e.Reason, e.Offset) }

// A Kind is the kind of the next value.
type Kind uint8

// The kinds. End stands for the end of the bytes, and for a break where a value is expected.
const (
	End Kind = iota
	Int
	Bytes
	Text
	Array
	Map
	Bool
	Null
	Float
	Other // a simple value without meaning here
)

var kindNames = [...]string{"nothing", "an integer", "a byte string", "a text string", "an array", "a map", "a boolean", "null", "a float", "a simple value"}

// String returns the kind's name with its article.
func (k Kind) String() string { return kindNames[k] }

// The major types, and the additional information that means something.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple

	infoIndefinite = 31

	breakByte = 0xff
	tagTime   = 1
)

// A Reader reads CBOR. The first error sticks: after it every method returns a zero value and loops end,
// so that callers look at Err once, at the end.
type Reader struct {
	buf   []byte
	pos   int
	depth int
	err   error
}

// NewReader returns a reader of b, which must not change while it is read.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Fail makes err the reader's error, unless it has one, and ends the reading.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.buf)
}

func (r *Reader) bad(reason string) { r.Fail(&SyntaxError{r.pos, reason}) }

// Peek tells what comes next, tags before it left out.
func (r *Reader) Peek() Kind {
	pos := r.pos
	for range MaxDepth {
		if pos >= len(r.buf) {
			return End
		}
		b := r.buf[pos]
		if b>>5 != majorTag {
			return kindOf(b)
		}
		_, n := argument(r.buf[pos:])
		if n == 0 {
			return End
		}
		pos += n
	}
	return End
}

func kindOf(b byte) Kind {
	switch b >> 5 {
	case majorUint, majorNegative:
		return Int
	case majorBytes:
		return Bytes
	case majorText:
		return Text
	case majorArray:
		return Array
	case majorMap:
		return Map
	}
	switch b & 31 {
	case 20, 21:
		return Bool
	case 22, 23: // undefined is as good as null
		return Null
	case 25, 26, 27:
		return Float
	case infoIndefinite:
		return End
	}
	return Other
}

// argument reads the head of a value: its argument and how many bytes the head has, 0 where it is cut off
// or not well-formed. An indefinite length has the argument 0.
func argument(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	info := b[0] & 31
	switch {
	case info < 24:
		return uint64(info), 1
	case info == infoIndefinite:
		return 0, 1
	case info > 27:
		return 0, 0
	}
	n = 1 << (info - 24)
	if len(b) < 1+n {
		return 0, 0
	}
	for _, c := range b[1 : 1+n] {
		v = v<<8 | uint64(c)
	}
	return v, 1 + n
}

// head reads the head of the next value, which must be of the major type; tags before it are read past.
func (r *Reader) head(major byte) (v uint64, indefinite, ok bool) {
	for range MaxDepth {
		if r.pos >= len(r.buf) {
			r.bad("unexpected end")
			return 0, false, false
		}
		b := r.buf[r.pos]
		v, n := argument(r.buf[r.pos:])
		switch {
		case n == 0:
			r.bad("malformed head")
			return 0, false, false
		case b>>5 == majorTag && b&31 != infoIndefinite:
			r.pos += n
			continue
		case b>>5 != major:
			r.bad("expected " + majorNames[major] + ", found " + kindOf(b).String())
			return 0, false, false
		}
		r.pos += n
		return v, b&31 == infoIndefinite, true
	}
	r.bad("too many tags")
	return 0, false, false
}

var majorNames = [...]string{"an integer", "an integer", "a byte string", "a text string", "an array", "a map", "a tag", "a simple value"}

// Int reads an integer. ok is false, without an error, when it is one that int64 does not hold.
func (r *Reader) Int() (v int64, ok bool) {
	major := byte(majorUint)
	if r.untagged()>>5 == majorNegative {
		major = majorNegative
	}
	u, indefinite, ok := r.head(major)
	if !ok {
		return 0, false
	}
	if indefinite {
		r.bad("an integer of indefinite length")
		return 0, false
	}
	if u > math.MaxInt64 {
		return 0, false
	}
	if major == majorNegative {
		return -1 - int64(u), true
	}
	return int64(u), true
}

// untagged returns the first byte of the next value behind its tags, or a break at the end.
func (r *Reader) untagged() byte {
	for pos := r.pos; pos < len(r.buf); {
		b := r.buf[pos]
		if b>>5 != majorTag {
			return b
		}
		_, n := argument(r.buf[pos:])
		if n == 0 {
			break
		}
		pos += n
	}
	return breakByte
}

// Float reads a float of any width, or an integer.
func (r *Reader) Float() float64 {
	if r.Peek() == Int {
		negative := r.untagged()>>5 == majorNegative
		v, ok := r.Int()
		if !ok && r.err == nil { // beyond int64, which a float holds roughly
			if negative {
				return -math.MaxInt64
			}
			return math.MaxInt64
		}
		return float64(v)
	}
	width := r.untagged()
	bits, _, ok := r.head(majorSimple)
	if !ok {
		return 0
	}
	switch width & 31 {
	case 25:
		return half(uint16(bits))
	case 26:
		return float64(math.Float32frombits(uint32(bits)))
	case 27:
		return math.Float64frombits(bits)
	}
	r.bad("expected a float")
	return 0
}

// half widens a float of 16 bits (RFC 8949, appendix D).
func half(b uint16) float64 {
	exponent, mantissa := int(b>>10&0x1f), float64(b&0x3ff)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(mantissa, -24)
	case 31:
		if v = math.Inf(1); mantissa != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(mantissa+1024, exponent-25)
	}
	if b&0x8000 != 0 {
		return -v
	}
	return v
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	v, _, ok := r.head(majorSimple)
	if ok && v != 20 && v != 21 {
		r.bad("expected a boolean")
	}
	return v == 21
}

// Null reads null or undefined if that comes next, and tells whether it did.
func (r *Reader) Null() bool {
	if r.Peek() != Null {
		return false
	}
	r.head(majorSimple)
	return r.err == nil
}

// Text reads a text string. The bytes may alias the reader's.
func (r *Reader) Text() []byte {
	b := r.bytes(majorText)
	if !utf8.Valid(b) {
		r.bad("invalid UTF-8")
		return nil
	}
	return b
}

// Bytes reads a byte string. The bytes may alias the reader's.
func (r *Reader) Bytes() []byte { return r.bytes(majorBytes) }

func (r *Reader) bytes(major byte) []byte {
	n, indefinite, ok := r.head(major)
	if !ok {
		return nil
	}
	if !indefinite {
		return r.take(n)
	}
	var all []byte
	for r.err == nil && !r.atBreak() {
		if r.pos < len(r.buf) && (r.buf[r.pos]>>5 != major || r.buf[r.pos]&31 == infoIndefinite) {
			r.bad("a part of a string is no string of known length")
			return nil
		}
		n, _, _ := r.head(major)
		all = append(all, r.take(n)...)
	}
	if all == nil {
		all = []byte{}
	}
	return all
}

func (r *Reader) take(n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(len(r.buf)-r.pos) {
		r.bad("a string longer than what is left")
		return nil
	}
	b := r.buf[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// atBreak reads the break that ends an indefinite length, and tells whether it was there.
func (r *Reader) atBreak() bool {
	if r.pos < len(r.buf) && r.buf[r.pos] == breakByte {
		r.pos++
		return true
	}
	return false
}

// A Count is how many elements of an array, or entries of a map, are still to come; below zero until a break.
type Count int64

// OpenArray reads the head of an array.
func (r *Reader) OpenArray() Count { return r.open(majorArray, 1) }

// OpenMap reads the head of a map.
func (r *Reader) OpenMap() Count { return r.open(majorMap, 2) }

func (r *Reader) open(major byte, least uint64) Count {
	n, indefinite, ok := r.head(major)
	if !ok {
		return 0
	}
	if r.depth++; r.depth > MaxDepth {
		r.bad("nested too deeply")
		return 0
	}
	switch {
	case indefinite:
		return -1
	case n > uint64(len(r.buf)-r.pos)/least: // each takes a byte at least
		r.bad("more elements than what is left can hold")
		return 0
	}
	return Count(n)
}

// More tells whether another element or entry comes.
func (r *Reader) More(n *Count) bool {
	if r.err != nil {
		return false
	}
	switch {
	case *n > 0:
		*n--
		return true
	case *n == 0 || r.atBreak():
		r.depth--
		return false
	case r.pos >= len(r.buf):
		r.bad("unexpected end")
		return false
	}
	return true
}

// Time reads seconds since 1970, an integer or float, under tag 1. The tag may be left out.
func (r *Reader) Time() time.Time {
	for r.pos < len(r.buf) && r.buf[r.pos]>>5 == majorTag {
		tag, n := argument(r.buf[r.pos:])
		if n == 0 || tag != tagTime {
			r.bad("a time under a tag other than 1")
			return time.Time{}
		}
		r.pos += n
	}
	const least, most = -62135596800, 253402300799 // the years 1 to 9999
	if r.Peek() == Int {
		v, ok := r.Int()
		if r.err == nil && (!ok || v < least || v > most) {
			r.bad("time out of range")
			return time.Time{}
		}
		return time.Unix(v, 0).UTC()
	}
	v := r.Float()
	if r.err != nil {
		return time.Time{}
	}
	if !(v >= least && v <= most) {
		r.bad("time out of range")
		return time.Time{}
	}
	sec, frac := math.Modf(v)
	return time.Unix(int64(sec), int64(math.Round(frac*1e6))*1e3).UTC() // a double has no more than microseconds
}

// Skip reads the next value, whatever it is, and drops it.
func (r *Reader) Skip() {
	switch r.Peek() {
	case Int:
		r.Int()
	case Bytes:
		r.Bytes()
	case Text:
		r.Text()
	case Array:
		for n := r.OpenArray(); r.More(&n); {
			r.Skip()
		}
	case Map:
		for n := r.OpenMap(); r.More(&n); {
			r.Skip()
			r.Skip()
		}
	case End:
		r.bad("unexpected end")
	default:
		r.head(majorSimple)
	}
}

// End demands that nothing is left.
func (r *Reader) End() {
	if r.err == nil && r.pos < len(r.buf) {
		r.bad("bytes after the value")
	}
}
