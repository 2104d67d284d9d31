package jsontext

import (
	"encoding/base64"
	"errors"
	"strconv"
	"time"
)

// A Direct is a structure that reads and writes itself as JSON, with code that was generated for an operation that is
// called very often. It means the same as its plan, and it only reads what is as it should be: on anything else it
// ends the reading with an error, and the text is read again by the plan, which knows every case and what to say.
//
// A named slice that is a Direct is written by hand, for a shape whose generated form would be slow. It has no plan to
// leave anything to, and takes the place of a map or list in a structure.
type Direct interface {
	DecodeJSON(r *Reader)
	AppendJSON(b []byte) []byte
}

// ErrUnusual is the error of direct code for what it does not know.
var ErrUnusual = errors.New("unexpected kind of value")

// Unusual ends the reading of direct code.
func (r *Reader) Unusual() { r.Fail(ErrUnusual) }

// begins tells whether the next token begins with c, and ends the reading otherwise.
func (r *Reader) begins(c byte) bool {
	if r.Peek() == c {
		return true
	}
	r.Unusual()
	return false
}

// Text reads a string into memory of its own.
func (r *Reader) Text() string {
	if !r.begins('"') {
		return ""
	}
	return r.arena.String(r.String())
}

// TextMember reads a string or null.
func (r *Reader) TextMember() *string {
	if r.Null() || !r.begins('"') {
		return nil
	}
	p := r.arena.NewString()
	*p = r.arena.String(r.String())
	return p
}

// NameOf reads the key of a map's entry into memory of its own.
func (r *Reader) NameOf() string { return r.arena.String(r.Key()) }

// BoolMember reads a boolean or null.
func (r *Reader) BoolMember() *bool {
	if r.Null() {
		return nil
	}
	if c := r.Peek(); c != 't' && c != 'f' {
		r.Unusual()
		return nil
	}
	return new(r.Bool())
}

// Int64 reads a whole number of plain digits.
func (r *Reader) Int64() int64 {
	if c := r.Peek(); c != '-' && (c < '0' || c > '9') {
		r.Unusual()
		return 0
	}
	v, err := parseInt(r.Number())
	if err {
		r.Unusual()
	}
	return v
}

// parseInt reads up to 18 digits, which no int64 is too small for.
func parseInt(n []byte) (v int64, failed bool) {
	digits := n
	if len(n) > 0 && n[0] == '-' {
		digits = n[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, true
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, true
		}
		v = v*10 + int64(c-'0')
	}
	if len(digits) < len(n) {
		v = -v
	}
	return v, false
}

// Int64Member reads a whole number or null.
func (r *Reader) Int64Member() *int64 {
	if r.Null() {
		return nil
	}
	if len(r.ints) == 0 {
		r.ints = make([]int64, 16)
	}
	p := &r.ints[0]
	r.ints = r.ints[1:]
	*p = r.Int64()
	return p
}

// Int32Member reads a whole number or null.
func (r *Reader) Int32Member() *int32 {
	if r.Null() {
		return nil
	}
	v := r.Int64()
	if v != int64(int32(v)) {
		r.Unusual()
	}
	return new(int32(v))
}

// Float64Member reads a number or null.
func (r *Reader) Float64Member() *float64 {
	if r.Null() {
		return nil
	}
	if c := r.Peek(); c != '-' && (c < '0' || c > '9') {
		r.Unusual()
		return nil
	}
	v, err := strconv.ParseFloat(string(r.Number()), 64)
	if err != nil {
		r.Unusual()
	}
	return &v
}

// TimeMember reads whole seconds since 1970, or null.
func (r *Reader) TimeMember() *time.Time {
	if r.Null() {
		return nil
	}
	const most = 253402300799 // the year 9999
	v := r.Int64()
	if v < 0 || v > most {
		r.Unusual()
	}
	return new(time.Unix(v, 0).UTC())
}

// BlobMember reads base64 or null.
func (r *Reader) BlobMember() []byte {
	if r.Null() {
		return nil
	}
	return r.Blob()
}

// Blob reads base64.
func (r *Reader) Blob() []byte {
	if !r.begins('"') {
		return nil
	}
	text := r.String()
	v := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(v, text)
	if err != nil {
		r.Unusual()
		return nil
	}
	for _, c := range text {
		if c == '\n' || c == '\r' {
			r.Unusual()
		}
	}
	return v[:n]
}
