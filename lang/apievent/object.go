package apievent

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// An object is the members of a JSON object in the order in which they stand; of those with one name the last counts,
// at the place of the first. Answers of functions are read by this since it takes a fifth of the time of a map of
// encoding/json, and every warm call over HTTP waits for it.
type object []entry

type entry struct {
	name  string
	value json.RawMessage // null included
}

// get returns a member's value, nil when there is none.
func (o object) get(name string) json.RawMessage {
	for i := range o {
		if o[i].name == name {
			return o[i].value
		}
	}
	return nil
}

// parseObject reads a whole JSON text.
func parseObject(text []byte) (object, error) {
	if !json.Valid(text) {
		return nil, malformed("not a JSON object")
	}
	return members(bytes.TrimSpace(text))
}

// members reads an object that is a part of valid JSON, without space around it.
func members(text json.RawMessage) (object, error) {
	if text[0] != '{' {
		return nil, malformed("not a JSON object")
	}
	var o object
	for at := space(text, 1); text[at] != '}'; at = space(text, at) {
		if text[at] == ',' {
			at = space(text, at+1)
		}
		end := skip(text, at)
		name, _ := scalar(text[at:end])
		begin := space(text, space(text, end)+1) // after the colon
		end = skip(text, begin)
		value := text[begin:end:end]
		if i := slices.IndexFunc(o, func(m entry) bool { return m.name == name }); i >= 0 {
			o[i].value = value
		} else {
			o = append(o, entry{name, value})
		}
		at = end
	}
	return o, nil
}

// space returns where the next byte is that is no white space.
func space(text []byte, at int) int {
	for text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r' {
		at++
	}
	return at
}

// skip returns the end of the value that begins at.
func skip(text []byte, at int) int {
	depth := 0
	for ; at < len(text); at++ {
		switch text[at] {
		case '"':
			for at++; text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
			if depth == 0 {
				return at + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at // of the object around a number or word
			}
			if depth--; depth == 0 {
				return at + 1
			}
		case ',', ' ', '\t', '\n', '\r', ':':
			if depth == 0 {
				return at
			}
		}
	}
	return at
}

// scalar returns the text of a string, number or boolean.
func scalar(v json.RawMessage) (string, bool) {
	if len(v) == 0 {
		return "", false
	}
	switch v[0] {
	case '"':
		if text := v[1 : len(v)-1]; bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
			return string(text), true
		}
		var s string
		err := json.Unmarshal(v, &s)
		return s, err == nil
	case '{', '[':
		return "", false
	}
	return string(v), string(v) != "null"
}
