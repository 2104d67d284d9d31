// Package jsonpath selects parts of JSON documents with JSONPath expressions as AWS has them (the dialect of
// the Java library that API Gateway and Step Functions use).
//
//	$.a.b  $['a']['b']  $.list[0]  $.list[-1]  $.list[1:3]  $.list[0,2]  $.*  $..name  $.list[?(@.price < 10)]  $.list.length()
//
// A path is definite when it can match one value only: then the answer is that value. Otherwise it is the list of
// all matches, which may be empty. Package jsonpath also holds the ordered JSON document that paths work on.
package jsonpath

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// MaxVisits is how many values one evaluation may look at.
const MaxVisits = 1 << 20

// ErrTooMuch is returned by Eval when a path looks at more than MaxVisits values.
var ErrTooMuch = errors.New("jsonpath: the path visits too many values")

// A Path is a compiled expression. It is safe for concurrent use.
type Path struct {
	segments []segment
	function string // last segment as a call: "length"
	definite bool
}

// A segment leads from one value to some of its children.
type segment struct {
	descend bool // ".." before it: also from every descendant
	all     bool // *
	names   []string
	indexes []int
	slice   *slice
	filter  expr
}

type slice struct {
	from, to       int
	hasFrom, hasTo bool
	step           int
}

// Definite says whether the path can match one value only.
func (p *Path) Definite() bool { return p.definite }

// Eval applies the path to a document made by Parse. found is false when a definite path leads nowhere.
func (p *Path) Eval(root any) (v any, found bool, err error) {
	e := &evaluation{root: root}
	matches, err := e.walk(p.segments, []any{root})
	if err != nil {
		return nil, false, err
	}
	if !p.definite {
		if matches == nil {
			matches = []any{}
		}
		v, found = matches, true
	} else if len(matches) > 0 {
		v, found = matches[0], true
	}
	if p.function != "" && found {
		v, found = apply(p.function, v)
	}
	return v, found, nil
}

type evaluation struct {
	root   any
	visits int
}

func (e *evaluation) visit(n int) error {
	if e.visits += n; e.visits > MaxVisits {
		return ErrTooMuch
	}
	return nil
}

func (e *evaluation) walk(segments []segment, at []any) ([]any, error) {
	for _, s := range segments {
		if s.descend {
			var every []any
			for _, v := range at {
				var err error
				if every, err = e.descendants(every, v); err != nil {
					return nil, err
				}
			}
			at = every
		}
		var next []any
		for _, v := range at {
			if err := e.visit(1); err != nil {
				return nil, err
			}
			var err error
			if next, err = e.step(next, s, v); err != nil {
				return nil, err
			}
		}
		at = next
	}
	return at, nil
}

// descendants appends v and all below it.
func (e *evaluation) descendants(to []any, v any) ([]any, error) {
	if err := e.visit(1); err != nil {
		return nil, err
	}
	to = append(to, v)
	var err error
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			if to, err = e.descendants(to, c); err != nil {
				return nil, err
			}
		}
	case *Object:
		for _, k := range v.keys {
			if to, err = e.descendants(to, v.vals[k]); err != nil {
				return nil, err
			}
		}
	}
	return to, nil
}

func (e *evaluation) step(to []any, s segment, v any) ([]any, error) {
	switch v := v.(type) {
	case *Object:
		for _, n := range s.names {
			if c, ok := v.vals[n]; ok {
				to = append(to, c)
			}
		}
		if s.all {
			if err := e.visit(len(v.keys)); err != nil {
				return nil, err
			}
			for _, k := range v.keys {
				to = append(to, v.vals[k])
			}
		}
		if s.filter != nil {
			return e.keep(to, s.filter, []any{v})
		}
	case []any:
		for _, i := range s.indexes {
			if i < 0 {
				i += len(v)
			}
			if i >= 0 && i < len(v) {
				to = append(to, v[i])
			}
		}
		if err := e.visit(len(v)); err != nil {
			return nil, err
		}
		if s.all {
			to = append(to, v...)
		}
		if s.slice != nil {
			to = s.slice.pick(to, v)
		}
		if s.filter != nil {
			return e.keep(to, s.filter, v)
		}
	}
	return to, nil
}

func (e *evaluation) keep(to []any, f expr, candidates []any) ([]any, error) {
	for _, c := range candidates {
		ok, err := f.test(e, c)
		if err != nil {
			return nil, err
		}
		if ok {
			to = append(to, c)
		}
	}
	return to, nil
}

func (s *slice) pick(to []any, list []any) []any {
	bound := func(i int) int {
		if i < 0 {
			i += len(list)
		}
		return min(max(i, 0), len(list))
	}
	from, end := 0, len(list)
	if s.hasFrom {
		from = bound(s.from)
	}
	if s.hasTo {
		end = bound(s.to)
	}
	for i := from; i < end; i += s.step {
		to = append(to, list[i])
	}
	return to
}

// apply calls one of the functions that may end a path.
func apply(function string, v any) (any, bool) {
	switch function {
	case "length", "size":
		switch v := v.(type) {
		case []any:
			return json.Number(strconv.Itoa(len(v))), true
		case *Object:
			return json.Number(strconv.Itoa(v.Len())), true
		case string:
			return json.Number(strconv.Itoa(len([]rune(v)))), true
		}
		return nil, false
	case "keys":
		o, ok := v.(*Object)
		if !ok {
			return nil, false
		}
		keys := make([]any, len(o.keys))
		for i, k := range o.keys {
			keys[i] = k
		}
		return keys, true
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	return fold(function, list)
}

func fold(function string, list []any) (any, bool) {
	var sum, low, high float64
	n := 0
	for _, e := range list {
		f, ok := number(e)
		if !ok {
			continue
		}
		if n == 0 {
			low, high = f, f
		}
		n++
		sum, low, high = sum+f, min(low, f), max(high, f)
	}
	if n == 0 {
		return nil, false
	}
	switch function {
	case "min":
		return low, true
	case "max":
		return high, true
	case "avg":
		return sum / float64(n), true
	}
	return sum, true
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	}
	return 0, false
}

// An expr is a filter's condition.
type expr interface {
	test(e *evaluation, at any) (bool, error)
}

type (
	orExpr  struct{ l, r expr }
	andExpr struct{ l, r expr }
	notExpr struct{ x expr }
	exists  struct{ x operand }
	compare struct {
		op   string
		l, r operand
	}
	matches struct {
		x  operand
		re *regexp.Regexp
	}
)

// An operand is a literal, or a path from the candidate (@) or the root ($).
type operand struct {
	literal  any
	path     *Path
	fromRoot bool
}

func (o operand) value(e *evaluation, at any) (any, bool, error) {
	if o.path == nil {
		return o.literal, true, nil
	}
	if o.fromRoot {
		at = e.root
	}
	found, err := e.walk(o.path.segments, []any{at})
	if err != nil {
		return nil, false, err
	}
	var v any = found
	if o.path.definite {
		if len(found) == 0 {
			return nil, false, nil
		}
		v = found[0]
	}
	if o.path.function != "" {
		v, ok := apply(o.path.function, v)
		return v, ok, nil
	}
	return v, true, nil
}

func (x orExpr) test(e *evaluation, at any) (bool, error) {
	ok, err := x.l.test(e, at)
	if ok || err != nil {
		return ok, err
	}
	return x.r.test(e, at)
}

func (x andExpr) test(e *evaluation, at any) (bool, error) {
	ok, err := x.l.test(e, at)
	if !ok || err != nil {
		return false, err
	}
	return x.r.test(e, at)
}

func (x notExpr) test(e *evaluation, at any) (bool, error) {
	ok, err := x.x.test(e, at)
	return !ok, err
}

func (x exists) test(e *evaluation, at any) (bool, error) {
	v, ok, err := x.x.value(e, at)
	if x.x.path == nil {
		ok = v == true
	}
	return ok, err
}

func (x matches) test(e *evaluation, at any) (bool, error) {
	v, ok, err := x.x.value(e, at)
	if err != nil || !ok {
		return false, err
	}
	s, isString := v.(string)
	return isString && x.re.MatchString(s), nil
}

func (x compare) test(e *evaluation, at any) (bool, error) {
	l, lok, err := x.l.value(e, at)
	if err != nil {
		return false, err
	}
	r, rok, err := x.r.value(e, at)
	if err != nil {
		return false, err
	}
	switch x.op {
	case "==":
		return lok && rok && equal(l, r), nil
	case "!=":
		return !(lok && rok && equal(l, r)), nil
	case "in":
		return lok && rok && contains(r, l), nil
	case "nin":
		return !(lok && rok && contains(r, l)), nil
	}
	if !lok || !rok {
		return false, nil
	}
	c, ok := order(l, r)
	if !ok {
		return false, nil
	}
	switch x.op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

func contains(list, v any) bool {
	l, _ := list.([]any)
	for _, e := range l {
		if equal(e, v) {
			return true
		}
	}
	return false
}

func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil, bool, string:
		return a == b
	}
	switch b.(type) {
	case []any, *Object:
		return string(Append(nil, a)) == string(Append(nil, b))
	}
	return false
}

func order(a, b any) (int, bool) {
	if x, ok := number(a); ok {
		y, ok := number(b)
		if !ok || x != x || y != y {
			return 0, false
		}
		return cmp(x, y), true
	}
	x, xok := a.(string)
	y, yok := b.(string)
	return cmp(x, y), xok && yok
}

func cmp[T string | float64](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// SyntaxError says where an expression is wrong.
type SyntaxError struct {
	Path    string
	Offset  int
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("jsonpath: %s at %d in %q", e.Message, e.Offset, e.Path)
}
