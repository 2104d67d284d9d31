// Package arena makes the small values of one decoded input in few allocations.
package arena

import "unsafe"

// An Arena makes the small values of one decoded input in few allocations. What it hands out may be
// kept: it holds copies, never the request's bytes, and one kept value keeps at most a chunk alive.
// The zero Arena is ready for use; it is not safe for concurrent use.
type Arena struct {
	text    []byte   // what is left of the current chunk
	strings []string // likewise
}

const (
	textChunk   = 512
	stringChunk = 16
	longText    = 128 // longer strings get an allocation of their own
)

// String returns a copy of b.
func (a *Arena) String(b []byte) string {
	switch {
	case len(b) == 0:
		return ""
	case a == nil || len(b) > longText:
		return string(b)
	case len(b) > len(a.text):
		a.text = make([]byte, textChunk)
	}
	n := copy(a.text, b)
	s := unsafe.String(&a.text[0], n) // nobody writes to these bytes again
	a.text = a.text[n:]
	return s
}

// NewString returns a pointer to a new empty string.
func (a *Arena) NewString() *string {
	if a == nil {
		return new(string)
	}
	if len(a.strings) == 0 {
		a.strings = make([]string, stringChunk)
	}
	p := &a.strings[0]
	a.strings = a.strings[1:]
	return p
}
