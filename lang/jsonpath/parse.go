package jsonpath

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPath   = 8 << 10 // bytes of an expression
	maxNested = 32      // depth of parentheses and filters in filters
)

// functions that may end a path.
var functions = []string{"length", "size", "keys", "min", "max", "avg", "sum"}

// Compile parses an expression. A path that begins without "$" is taken as "$.path", as AWS does.
func Compile(path string) (*Path, error) {
	p := &parser{src: path}
	if len(path) > maxPath {
		return nil, p.fail("expression is too long")
	}
	p.space()
	if !p.eat("$") && p.at < len(p.src) && p.src[p.at] != '[' {
		p.src, p.at = "."+p.src[p.at:], 0
	}
	out, err := p.path()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.src) {
		return nil, p.fail("unexpected character")
	}
	return out, nil
}

type parser struct {
	src    string
	at     int
	nested int
}

func (p *parser) fail(message string) error {
	return &SyntaxError{Path: p.src, Offset: p.at, Message: message}
}

func (p *parser) space() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) eat(s string) bool {
	if strings.HasPrefix(p.src[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// path reads segments up to something that cannot be one.
func (p *parser) path() (*Path, error) {
	out := &Path{definite: true}
	for p.at < len(p.src) && out.function == "" {
		s, function, ok, err := p.segment()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if function != "" {
			out.function = function
			break
		}
		if s.descend || s.all || s.slice != nil || s.filter != nil || len(s.names)+len(s.indexes) > 1 {
			out.definite = false
		}
		out.segments = append(out.segments, s)
	}
	return out, nil
}

func (p *parser) segment() (s segment, function string, ok bool, err error) {
	switch {
	case p.eat(".."):
		s.descend = true
		if p.eat("*") {
			s.all = true
			return s, "", true, nil
		}
		if p.at < len(p.src) && p.src[p.at] == '[' {
			err = p.bracket(&s)
			return s, "", true, err
		}
	case p.eat("."):
		if p.eat("*") {
			s.all = true
			return s, "", true, nil
		}
		if p.at < len(p.src) && p.src[p.at] == '[' {
			err = p.bracket(&s)
			return s, "", true, err
		}
	case p.at < len(p.src) && p.src[p.at] == '[':
		err = p.bracket(&s)
		return s, "", true, err
	default:
		return s, "", false, nil
	}
	name := p.name()
	if name == "" {
		return s, "", false, p.fail("a name must follow")
	}
	if p.eat("()") {
		if s.descend || !slices.Contains(functions, name) {
			return s, "", false, p.fail("unknown function " + name)
		}
		return s, name, true, nil
	}
	s.names = []string{name}
	return s, "", true, nil
}

// name reads a member's name in dot notation.
func (p *parser) name() string {
	start := p.at
	for p.at < len(p.src) && strings.IndexByte(".[]()=!<>&|, \t\r\n", p.src[p.at]) < 0 {
		p.at++
	}
	return p.src[start:p.at]
}

// bracket reads [*], ['a','b'], [0,1], [a:b:c] and [?(…)].
func (p *parser) bracket(s *segment) error {
	p.at++
	p.space()
	var err error
	switch {
	case p.eat("*"):
		s.all = true
	case p.eat("?"):
		err = p.filter(s)
	case p.at < len(p.src) && (p.src[p.at] == '\'' || p.src[p.at] == '"'):
		err = p.names(s)
	default:
		err = p.indexes(s)
	}
	if err != nil {
		return err
	}
	p.space()
	if !p.eat("]") {
		return p.fail("] must follow")
	}
	return nil
}

func (p *parser) filter(s *segment) error {
	p.space()
	if !p.eat("(") {
		return p.fail("( must follow ?")
	}
	x, err := p.or()
	if err != nil {
		return err
	}
	p.space()
	if !p.eat(")") {
		return p.fail(") must follow")
	}
	s.filter = x
	return nil
}

func (p *parser) names(s *segment) error {
	for {
		p.space()
		n, err := p.quoted()
		if err != nil {
			return err
		}
		s.names = append(s.names, n)
		p.space()
		if !p.eat(",") {
			return nil
		}
	}
}

func (p *parser) quoted() (string, error) {
	if p.at >= len(p.src) || (p.src[p.at] != '\'' && p.src[p.at] != '"') {
		return "", p.fail("a quoted name must follow")
	}
	quote := p.src[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.src) {
		c := p.src[p.at]
		p.at++
		switch {
		case c == quote:
			return b.String(), nil
		case c == '\\' && p.at < len(p.src):
			b.WriteByte(p.src[p.at])
			p.at++
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail("string does not end")
}

func (p *parser) indexes(s *segment) error {
	from, hasFrom, err := p.integer()
	if err != nil {
		return err
	}
	p.space()
	if p.eat(":") {
		return p.sliceRest(s, from, hasFrom)
	}
	if !hasFrom {
		return p.fail("an index must follow")
	}
	s.indexes = append(s.indexes, from)
	for p.eat(",") {
		p.space()
		i, ok, err := p.integer()
		if err != nil {
			return err
		}
		if !ok {
			return p.fail("an index must follow")
		}
		s.indexes = append(s.indexes, i)
		p.space()
	}
	return nil
}

func (p *parser) sliceRest(s *segment, from int, hasFrom bool) error {
	p.space()
	to, hasTo, err := p.integer()
	if err != nil {
		return err
	}
	s.slice = &slice{from: from, hasFrom: hasFrom, to: to, hasTo: hasTo, step: 1}
	p.space()
	if !p.eat(":") {
		return nil
	}
	p.space()
	step, ok, err := p.integer()
	if err != nil {
		return err
	}
	if ok {
		if step <= 0 {
			return p.fail("a slice's step must be positive")
		}
		s.slice.step = step
	}
	return nil
}

func (p *parser) integer() (n int, ok bool, err error) {
	start := p.at
	p.eat("-")
	for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	if p.at == start {
		return 0, false, nil
	}
	i, err := strconv.ParseInt(p.src[start:p.at], 10, 32)
	if err != nil {
		return 0, false, p.fail("bad number")
	}
	return int(i), true, nil
}

func (p *parser) or() (expr, error) {
	if p.nested++; p.nested > maxNested {
		return nil, p.fail("filter nests too deeply")
	}
	defer func() { p.nested-- }()
	l, err := p.and()
	for err == nil {
		p.space()
		if !p.eat("||") {
			return l, nil
		}
		var r expr
		if r, err = p.and(); err == nil {
			l = orExpr{l, r}
		}
	}
	return nil, err
}

func (p *parser) and() (expr, error) {
	l, err := p.not()
	for err == nil {
		p.space()
		if !p.eat("&&") {
			return l, nil
		}
		var r expr
		if r, err = p.not(); err == nil {
			l = andExpr{l, r}
		}
	}
	return nil, err
}

func (p *parser) not() (expr, error) {
	p.space()
	negated := false
	for p.eat("!") {
		negated = !negated
		p.space()
	}
	x, err := p.condition()
	if err == nil && negated {
		x = notExpr{x}
	}
	return x, err
}

var operators = []string{"==", "!=", "<=", ">=", "<", ">", "=~", "in ", "nin "}

func (p *parser) condition() (expr, error) {
	if p.eat("(") {
		x, err := p.or()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.eat(")") {
			return nil, p.fail(") must follow")
		}
		return x, nil
	}
	l, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	for _, op := range operators {
		if !p.eat(op) {
			continue
		}
		p.space()
		if op == "=~" {
			re, err := p.regexp()
			return matches{l, re}, err
		}
		r, err := p.operand()
		return compare{strings.TrimSpace(op), l, r}, err
	}
	return exists{l}, nil
}

func (p *parser) regexp() (*regexp.Regexp, error) {
	if !p.eat("/") {
		return nil, p.fail("/ must follow =~")
	}
	start := p.at
	for p.at < len(p.src) && p.src[p.at] != '/' {
		if p.src[p.at] == '\\' {
			p.at++
		}
		p.at++
	}
	if p.at >= len(p.src) {
		return nil, p.fail("regular expression does not end")
	}
	pattern := p.src[start:p.at]
	p.at++
	if p.eat("i") {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, p.fail("bad regular expression")
	}
	return re, nil
}

func (p *parser) operand() (operand, error) {
	p.space()
	if p.at >= len(p.src) {
		return operand{}, p.fail("a value must follow")
	}
	switch c := p.src[p.at]; {
	case c == '@' || c == '$':
		p.at++
		if p.nested++; p.nested > maxNested {
			return operand{}, p.fail("filter nests too deeply")
		}
		defer func() { p.nested-- }()
		path, err := p.path()
		return operand{path: path, fromRoot: c == '$'}, err
	case c == '\'' || c == '"':
		s, err := p.quoted()
		return operand{literal: s}, err
	case c == '[':
		return p.listLiteral()
	}
	for word, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if p.eat(word) {
			return operand{literal: v}, nil
		}
	}
	start := p.at
	for p.at < len(p.src) && strings.IndexByte("+-.eE0123456789", p.src[p.at]) >= 0 {
		p.at++
	}
	if _, err := strconv.ParseFloat(p.src[start:p.at], 64); err != nil {
		return operand{}, p.fail("a value must follow")
	}
	return operand{literal: json.Number(p.src[start:p.at])}, nil
}

func (p *parser) listLiteral() (operand, error) {
	p.at++
	list := []any{}
	for {
		p.space()
		if p.eat("]") {
			return operand{literal: list}, nil
		}
		if len(list) > 0 {
			if !p.eat(",") {
				return operand{}, p.fail(", or ] must follow")
			}
			p.space()
		}
		if p.at < len(p.src) && strings.IndexByte("[@$", p.src[p.at]) >= 0 {
			return operand{}, p.fail("a list holds plain values only")
		}
		o, err := p.operand()
		if err != nil {
			return operand{}, err
		}
		list = append(list, o.literal)
	}
}
