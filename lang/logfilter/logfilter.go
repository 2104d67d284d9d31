// Package logfilter is the filter pattern language of CloudWatch Logs, as far as it looks at text: terms
// that must all occur, ?terms of which one must, -terms that must not, "quoted phrases" and %expressions%.
// Patterns over JSON ({ $.x = 1 }) and over columns ([a, b]) are refused as not implemented.
package logfilter

import (
	"errors"
	"regexp"
	"strings"
)

// MaxLength bounds a pattern's bytes; AWS has the same limit.
const MaxLength = 1024

var (
	// ErrSyntax says that a pattern is not of the language.
	ErrSyntax = errors.New("invalid filter pattern")

	// ErrNotImplemented says that a pattern is one over JSON or columns.
	ErrNotImplemented = errors.New("a filter pattern over JSON or columns")
)

// A Pattern decides which messages are kept. It may be used by many goroutines.
type Pattern struct {
	all, any, none []term
}

// term is one thing to look for: text, or an expression when re is set.
type term struct {
	text string
	re   *regexp.Regexp
}

func (t term) in(message string) bool {
	if t.re != nil {
		return t.re.MatchString(message)
	}
	return strings.Contains(message, t.text)
}

// Parse reads a pattern. The empty pattern matches everything.
func Parse(s string) (*Pattern, error) {
	if len(s) > MaxLength {
		return nil, ErrSyntax
	}
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		return nil, ErrNotImplemented
	}
	p := &Pattern{}
	for s != "" {
		list := &p.all
		switch s[0] {
		case '?':
			list, s = &p.any, s[1:]
		case '-':
			list, s = &p.none, s[1:]
		}
		t, rest, err := cutTerm(s)
		if err != nil {
			return nil, err
		}
		*list = append(*list, t)
		s = strings.TrimLeft(rest, " \t")
	}
	return p, nil
}

// cutTerm takes the first term off s.
func cutTerm(s string) (t term, rest string, err error) {
	if s == "" || s[0] == ' ' {
		return t, "", ErrSyntax
	}
	switch s[0] {
	case '"':
		return cutQuoted(s[1:])
	case '%':
		end := strings.IndexByte(s[1:], '%')
		if end < 0 {
			return t, "", ErrSyntax
		}
		if t.re, err = regexp.Compile(s[1 : 1+end]); err != nil {
			return t, "", ErrSyntax
		}
		return t, s[end+2:], nil
	}
	end := strings.IndexAny(s, " \t")
	if end < 0 {
		end = len(s)
	}
	t.text = s[:end]
	if strings.ContainsAny(t.text, `"{}[]()=!<>*,;`) { // words of other characters need quotes
		return t, "", ErrSyntax
	}
	return t, s[end:], nil
}

// cutQuoted takes a phrase off s, which begins behind its opening quote.
func cutQuoted(s string) (t term, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return term{text: b.String()}, s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return t, "", ErrSyntax
}

// Matches reports whether the pattern keeps message. A pattern with ?terms and others needs the others
// only, as on AWS.
func (p *Pattern) Matches(message string) bool {
	for _, t := range p.none {
		if t.in(message) {
			return false
		}
	}
	for _, t := range p.all {
		if !t.in(message) {
			return false
		}
	}
	if len(p.all) > 0 || len(p.any) == 0 {
		return true
	}
	for _, t := range p.any {
		if t.in(message) {
			return true
		}
	}
	return false
}
