package wire

import (
	"fmt"
	"net/url"
	"strings"
)

// A URI is the URI pattern of an operation, such as "/{Bucket}/{Key+}?uploads".
type URI struct {
	Segments []Segment
	Query    url.Values // literal query parameters that must be present; "" means present with any or no value
}

// A Segment is one part of a path between slashes: literal text, a label, or a greedy label that
// also takes the slashes and is followed by literal segments at most.
type Segment struct {
	Literal string // "" for a label
	Label   string
	Greedy  bool
}

// ParseURI reads a pattern of an API model.
func ParseURI(pattern string) (URI, error) {
	path, query, _ := strings.Cut(pattern, "?")
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return URI{}, fmt.Errorf("uri %q: does not begin with a slash", pattern)
	}
	var u URI
	for s := range strings.SplitSeq(rest, "/") {
		if !strings.HasPrefix(s, "{") {
			u.Segments = append(u.Segments, Segment{Literal: s})
			continue
		}
		name, ok := strings.CutSuffix(s[1:], "}")
		name, greedy := strings.CutSuffix(name, "+")
		if !ok || name == "" {
			return URI{}, fmt.Errorf("uri %q: bad label %q", pattern, s)
		}
		u.Segments = append(u.Segments, Segment{Label: name, Greedy: greedy})
	}
	if query == "" {
		return u, nil
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return URI{}, fmt.Errorf("uri %q: %w", pattern, err)
	}
	u.Query = q
	return u, nil
}

// Match compares an escaped path, as the client sent it, with the pattern's path. Labels come back still
// escaped. An empty label does not match, and the query is not looked at.
func (u URI) Match(escapedPath string) (labels map[string]string, ok bool) {
	rest, ok := strings.CutPrefix(escapedPath, "/")
	if !ok {
		return nil, false
	}
	parts := strings.Split(rest, "/")
	labels = map[string]string{}
	for i, s := range u.Segments {
		if len(parts) == 0 {
			return nil, false
		}
		n := 1
		if s.Greedy {
			n = len(parts) - (len(u.Segments) - i - 1)
		}
		if n < 1 {
			return nil, false
		}
		got := strings.Join(parts[:n], "/")
		parts = parts[n:]
		if s.Label == "" {
			if !sameLiteral(s.Literal, got) {
				return nil, false
			}
			continue
		}
		if got == "" {
			return nil, false
		}
		labels[s.Label] = got
	}
	return labels, len(parts) == 0
}

// sameLiteral compares a literal segment with a sent one, which may escape what it need not.
func sameLiteral(literal, sent string) bool {
	if literal == sent {
		return true
	}
	s, err := url.PathUnescape(sent)
	return err == nil && s == literal
}
