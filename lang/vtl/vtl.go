// Package vtl renders templates of the Velocity Template Language as API Gateway has it (Velocity 1.7: its white
// space, its truth, its Java methods).
//
// Directives: #set #if #elseif #else #end #foreach #break #stop #define, comments ## and #* *#. What would need
// state beyond one template (#macro, #parse, #include, #evaluate) is refused when the template is parsed.
// References: $x.y[0]["k"].method(1), ${x}, $!x, ${x}text, \$x.
//
// A template touches nothing but the values it is given: strings, numbers, booleans, *List, *Map and Objects of the
// caller. Rendering is bounded in steps, bytes and nesting, so a template from a stranger ends.
package vtl

import (
	"errors"
	"fmt"
	"strings"
)

// Limits bound one rendering. Zero fields take the defaults.
type Limits struct {
	Steps  int // nodes evaluated; default 1,000,000
	Bytes  int // bytes of strings made, the output included; default 64 MiB
	Output int // bytes of the output; default 10 MiB
	Loop   int // iterations of one #foreach; default 1000, API Gateway's quota
}

// MaxTemplate is the longest template that Parse takes, API Gateway's quota.
const MaxTemplate = 300 << 10

// Errors of a rendering that met one of its limits.
var (
	ErrSteps  = errors.New("vtl: the template takes too many steps")
	ErrBytes  = errors.New("vtl: the template makes too much text")
	ErrLoop   = errors.New("vtl: #foreach has too many iterations")
	ErrNested = errors.New("vtl: values nest too deeply")
)

// An Object is a value that the caller supplies, such as API Gateway's $input.
type Object interface {
	// Get returns a property; nil when there is none.
	Get(name string) any
	// Call calls a method; ok is false when there is no such method.
	Call(name string, args []any) (v any, ok bool, err error)
}

// A Template is a parsed template. It is safe for concurrent use.
type Template struct {
	body []node
}

// SyntaxError says where a template is wrong.
type SyntaxError struct {
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("vtl: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Render runs the template. vars holds the references that it may use, and takes what #set assigns; the caller
// must not share the map or the values in it with another rendering that runs at the same time.
//
// A reference that has no value leaves nothing, as in API Gateway; stock Velocity would leave its source text.
func (t *Template) Render(vars map[string]any, limits Limits) (string, error) {
	r := &rendering{vars: vars, limits: limits.orDefault()}
	var out strings.Builder
	err := r.render(&out, t.body)
	if err != nil && err != errStop {
		return "", err
	}
	return out.String(), nil
}

func (l Limits) orDefault() Limits {
	or := func(n, def int) int {
		if n <= 0 {
			return def
		}
		return n
	}
	return Limits{Steps: or(l.Steps, 1_000_000), Bytes: or(l.Bytes, 64<<20), Output: or(l.Output, 10<<20), Loop: or(l.Loop, 1000)}
}
