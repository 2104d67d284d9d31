// Package jsontext reads and writes JSON token by token, without knowing what it means. It is strict
// (RFC 8259, valid UTF-8), bounded in depth, and makes no garbage.
package jsontext

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"lambent/wire/arena"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 128

// A SyntaxError says where and why the text is not JSON.
type SyntaxError struct {
	Offset int
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at offset %d", e.Reason, e.Offset) }

// A Reader reads one JSON text. The first error sticks: after it every method returns a zero value and
// loops end, so that callers look at Err once, at the end.
type Reader struct {
	buf     []byte
	pos     int
	depth   int
	first   bool // nothing stands yet in the array or object that was opened last
	err     error
	scratch []byte // strings with escapes

	// Of direct code: what is left of the memory for the values of one input.
	arena arena.Arena
	ints  []int64
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

// Peek returns the first byte of the next token: one of {}[]",:tfn, a digit or minus for a number,
// something else where there is no token, and 0 at the end.
func (r *Reader) Peek() byte {
	for r.pos < len(r.buf) {
		switch c := r.buf[r.pos]; c {
		case ' ', '\n', '\r', '\t':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// Open reads the '{' or '[' that begins an object or array.
func (r *Reader) Open(c byte) {
	if r.Peek() != c {
		r.bad("expected " + string(c))
		return
	}
	if r.depth++; r.depth > MaxDepth {
		r.bad("nested too deeply")
		return
	}
	r.pos++
	r.first = true
}

// More tells whether the object or array that ends with end goes on, and reads the comma or the end.
func (r *Reader) More(end byte) bool {
	c := r.Peek()
	first := r.first
	r.first = false
	switch {
	case r.err != nil:
		return false
	case c == end:
		r.pos++
		r.depth--
		return false
	case first:
		return true
	case c != ',':
		r.bad("expected , or " + string(end))
		return false
	}
	r.pos++
	return true
}

// Ahead guesses how many values the array or object holds that comes next, by a look at the text that
// follows, which it does not check. For long texts the guess is low.
func (r *Reader) Ahead() int {
	const farthest = 2048
	r.Peek()
	n, depth := 0, 0
	b := r.buf[r.pos:min(len(r.buf), r.pos+farthest)]
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 1 && n == 0 {
				n = 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return n
			}
		case ',':
			if depth == 1 {
				n++
			}
		}
	}
	return n
}

// Key reads a name and its colon. The bytes are valid until the next string is read.
func (r *Reader) Key() []byte {
	k := r.String()
	if r.Peek() != ':' {
		r.bad("expected :")
		return nil
	}
	r.pos++
	return k
}

// String reads a string. The bytes are valid until the next string is read.
func (r *Reader) String() []byte {
	if r.Peek() != '"' {
		r.bad("expected a string")
		return nil
	}
	b := r.buf
	start := r.pos + 1
	var all byte
	for i := start; i < len(b); i++ {
		c := b[i]
		if plain[c] {
			all |= c
			continue
		}
		switch c {
		case '"':
			r.pos = i + 1
			return r.text(b[start:i:i], all)
		case '\\':
			return r.escaped(start, i, all)
		}
		r.pos = i
		r.bad("control character in a string")
		return nil
	}
	r.bad("unfinished string")
	return nil
}

// plain holds the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text checks what was read; all holds the bits that were set in any byte.
func (r *Reader) text(s []byte, all byte) []byte {
	if all >= utf8.RuneSelf && !utf8.Valid(s) {
		r.bad("invalid UTF-8")
		return nil
	}
	return s
}

// escaped reads a string from its first backslash, at i, on.
func (r *Reader) escaped(start, i int, all byte) []byte {
	b := r.buf
	out := append(r.scratch[:0], b[start:i]...)
	for i < len(b) {
		c := b[i]
		switch {
		case plain[c]:
			all |= c
			out = append(out, c)
			i++
		case c == '"':
			r.pos, r.scratch = i+1, out
			return r.text(out, all)
		case c == '\\':
			r.pos = i
			if out, i = r.escape(out, i+1); i < 0 {
				return nil
			}
		default:
			r.pos = i
			r.bad("control character in a string")
			return nil
		}
	}
	r.bad("unfinished string")
	return nil
}

// escape appends what the escape behind the backslash stands for, and returns the position after it, or -1.
func (r *Reader) escape(out []byte, i int) ([]byte, int) {
	if i == len(r.buf) {
		r.bad("unfinished string")
		return out, -1
	}
	switch c := r.buf[i]; c {
	case '"', '\\', '/':
		return append(out, c), i + 1
	case 'n':
		return append(out, '\n'), i + 1
	case 't':
		return append(out, '\t'), i + 1
	case 'r':
		return append(out, '\r'), i + 1
	case 'b':
		return append(out, '\b'), i + 1
	case 'f':
		return append(out, '\f'), i + 1
	case 'u':
		return r.unicode(out, i+1)
	}
	r.bad("unknown escape")
	return out, -1
}

func (r *Reader) unicode(out []byte, i int) ([]byte, int) {
	c, ok := hex4(r.buf, i)
	if !ok {
		r.bad("bad \\u escape")
		return out, -1
	}
	i += 4
	if utf16.IsSurrogate(c) {
		low := rune(utf8.RuneError)
		if i+1 < len(r.buf) && r.buf[i] == '\\' && r.buf[i+1] == 'u' {
			low, _ = hex4(r.buf, i+2)
		}
		if c = utf16.DecodeRune(c, low); c != utf8.RuneError {
			i += 6
		} // else half a character, which becomes U+FFFD as in encoding/json
	}
	return utf8.AppendRune(out, c), i
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var v rune
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}

// Number reads a number and returns its text.
func (r *Reader) Number() []byte {
	r.Peek()
	start := r.pos
	i := start
	digits := func() bool {
		from := i
		for i < len(r.buf) && r.buf[i] >= '0' && r.buf[i] <= '9' {
			i++
		}
		return i > from
	}
	at := func(c byte) bool { return i < len(r.buf) && r.buf[i] == c }
	if at('-') {
		i++
	}
	ok := at('0')
	if ok {
		i++
	} else {
		ok = digits()
	}
	if ok && at('.') {
		i++
		ok = digits()
	}
	if ok && (at('e') || at('E')) {
		i++
		if at('+') || at('-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		r.bad("expected a value")
		return nil
	}
	r.pos = i
	return r.buf[start:i]
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	if r.Peek() == 't' {
		return r.literal("true")
	}
	r.literal("false")
	return false
}

// Null reads null if that comes next, and tells whether it did.
func (r *Reader) Null() bool { return r.Peek() == 'n' && r.literal("null") }

func (r *Reader) literal(s string) bool {
	r.Peek()
	if len(r.buf)-r.pos < len(s) || string(r.buf[r.pos:r.pos+len(s)]) != s {
		r.bad("expected a value")
		return false
	}
	r.pos += len(s)
	return true
}

// Skip reads the next value, whatever it is, and drops it.
func (r *Reader) Skip() {
	switch r.Peek() {
	case '{':
		for r.Open('{'); r.More('}'); {
			r.Key()
			r.Skip()
		}
	case '[':
		for r.Open('['); r.More(']'); {
			r.Skip()
		}
	case '"':
		r.String()
	case 't', 'f':
		r.Bool()
	case 'n':
		r.Null()
	default:
		r.Number()
	}
}

// Raw reads the next value and returns its text, which aliases the reader's bytes.
func (r *Reader) Raw() []byte {
	r.Peek()
	start := r.pos
	r.Skip()
	if r.err != nil {
		return nil
	}
	return r.buf[start:r.pos:r.pos]
}

// Value reads the next value into Go's own types: nil, bool, float64, string, []any, map[string]any.
func (r *Reader) Value() any {
	switch r.Peek() {
	case '{':
		m := map[string]any{}
		for r.Open('{'); r.More('}'); {
			k := string(r.Key())
			m[k] = r.Value()
		}
		return m
	case '[':
		l := []any{}
		for r.Open('['); r.More(']'); {
			l = append(l, r.Value())
		}
		return l
	case '"':
		return string(r.String())
	case 't', 'f':
		return r.Bool()
	case 'n':
		r.Null()
		return nil
	}
	f, err := strconv.ParseFloat(string(r.Number()), 64)
	if err != nil {
		r.bad("number out of range")
	}
	return f
}

// End demands that nothing but white space is left.
func (r *Reader) End() {
	if r.err == nil && r.Peek() != 0 || r.err == nil && r.pos < len(r.buf) {
		r.bad("text after the value")
	}
}
