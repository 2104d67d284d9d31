// Package apiroute finds the route for a request among path templates as API Gateway writes them: /users/{id},
// /{proxy+}. Plain segments win over {name}, which wins over {name+}; a route for the request's own method wins over one
// for ANY; a place that has neither for the method is as if it were not there.
package apiroute

import (
	"net/url"
	"slices"
	"strings"
)

// A Tree holds routes of type R. Once built it may be used by many goroutines.
type Tree[R any] struct {
	root place[R]
}

// A Param is the part of a path that a template's {name} stood for, escaped as it was sent.
type Param struct{ Name, Value string }

// place is a node of the tree: what one more segment leads to.
type place[R any] struct {
	fixed    map[string]*place[R]
	variable *place[R]
	routes   map[string]leaf[R] // by method, for paths that end here
	greedy   map[string]leaf[R] // of {name+} below this place
}

type leaf[R any] struct {
	route R
	names []string // of the parameters on the way
}

// Add puts a route at a path template, for one method or "ANY". A later one for the same takes its place.
func (t *Tree[R]) Add(template, method string, route R) {
	p, names := &t.root, []string(nil)
	for _, segment := range split(strings.TrimPrefix(template, "/")) {
		name, variable := strings.CutPrefix(segment, "{")
		name, variable = cutSuffix(name, "}", variable)
		name, greedy := strings.CutSuffix(name, "+")
		switch {
		case variable && greedy:
			put(&p.greedy, method, leaf[R]{route, append(names, name)})
			return
		case variable:
			names = append(names, name)
			if p.variable == nil {
				p.variable = &place[R]{}
			}
			p = p.variable
		default:
			if p.fixed == nil {
				p.fixed = map[string]*place[R]{}
			}
			if p.fixed[segment] == nil {
				p.fixed[segment] = &place[R]{}
			}
			p = p.fixed[segment]
		}
	}
	put(&p.routes, method, leaf[R]{route, names})
}

func cutSuffix(s, suffix string, begun bool) (string, bool) {
	rest, ok := strings.CutSuffix(s, suffix)
	return rest, ok && begun
}

func put[R any](to *map[string]leaf[R], method string, l leaf[R]) {
	if *to == nil {
		*to = map[string]leaf[R]{}
	}
	(*to)[method] = l
}

// split cuts a path without its leading slash into segments; the empty path has none.
func split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// Find returns the route for a path, which is escaped as it was sent and begins with a slash.
func (t *Tree[R]) Find(path, method string) (route R, params []Param, ok bool) {
	l, values, ok := t.root.find(split(strings.TrimPrefix(path, "/")), method, nil)
	if !ok {
		return route, nil, false
	}
	for i, name := range l.names {
		params = append(params, Param{name, values[i]})
	}
	return l.route, params, true
}

func (p *place[R]) find(segments []string, method string, values []string) (leaf[R], []string, bool) {
	if len(segments) == 0 {
		l, ok := choose(p.routes, method)
		return l, values, ok
	}
	segment := segments[0]
	if next := p.fixed[Unescape(segment)]; next != nil {
		if l, vs, ok := next.find(segments[1:], method, values); ok {
			return l, vs, true
		}
	}
	if p.variable != nil && segment != "" {
		if l, vs, ok := p.variable.find(segments[1:], method, append(slices.Clip(values), segment)); ok {
			return l, vs, true
		}
	}
	if l, ok := choose(p.greedy, method); ok {
		return l, append(slices.Clip(values), strings.Join(segments, "/")), true
	}
	return leaf[R]{}, nil, false
}

func choose[R any](routes map[string]leaf[R], method string) (leaf[R], bool) {
	if l, ok := routes[method]; ok {
		return l, true
	}
	l, ok := routes["ANY"]
	return l, ok
}

// Unescape decodes a part of a path; one that is escaped wrongly stays as it is.
func Unescape(part string) string {
	if !strings.Contains(part, "%") {
		return part
	}
	if u, err := url.PathUnescape(part); err == nil {
		return u
	}
	return part
}
