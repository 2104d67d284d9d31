package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lambent/wire"
)

// A node is a place in the trie of a service's request URIs, one step for each path segment. Literal
// segments are tried before labels, and labels before those that swallow slashes.
type node struct {
	literals map[string]*node
	label    *node
	greedy   *node
	routes   []*route // operations whose URI ends here

	// selectors are the bare query literals ("acl", "uploads") of all routes that end here, whatever their method.
	selectors []string
}

// A route is one operation's binding.
type route struct {
	op       *operation
	labels   []string   // names of the labels on the way, in order
	literals url.Values // query literals of the URI
	query    []string   // required members in the query string
	header   []string   // required members in headers
}

func (n *node) add(u wire.URI, op *operation) {
	r := &route{op: op, literals: u.Query}
	r.query, r.header = requiredIn(op.model.Input)
	segments := u.Segments
	if len(segments) > 1 && segments[len(segments)-1] == (wire.Segment{}) {
		segments = segments[:len(segments)-1] // a slash at the end means nothing
	}
	for _, s := range segments {
		switch {
		case s.Greedy:
			if n.greedy == nil {
				n.greedy = &node{}
			}
			n = n.greedy
		case s.Label != "":
			if n.label == nil {
				n.label = &node{}
			}
			n = n.label
		default:
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			if n.literals[s.Literal] == nil {
				n.literals[s.Literal] = &node{}
			}
			n = n.literals[s.Literal]
		}
		if s.Label != "" {
			r.labels = append(r.labels, s.Label)
		}
	}
	n.routes = append(n.routes, r)
	for name, values := range u.Query {
		if values[0] == "" && !slices.Contains(n.selectors, name) {
			n.selectors = append(n.selectors, name)
		}
	}
}

// A miss says why no operation was found.
type miss int

const (
	hit          miss = iota
	noPath            // no URI of the service is like this
	noMethod          // the URI exists, not with this method
	maxPathParts = 1024
)

// find returns the operation for a request whose escaped path is given, and the escaped values of its labels.
func (n *node) find(path, method string, query url.Values, header http.Header) (*operation, map[string]string, miss) {
	trimmed := strings.TrimPrefix(path, "/")
	parts := strings.SplitN(trimmed, "/", maxPathParts)
	m := matcher{method: method, query: query, header: header, miss: noPath}
	if m.walk(n, parts, make([]string, 0, 4)) {
		labels := make(map[string]string, len(m.values))
		for i, name := range m.route.labels {
			labels[name] = m.values[i]
		}
		return m.route.op, labels, hit
	}
	return nil, nil, m.miss
}

// A matcher walks a trie for one request.
type matcher struct {
	method string
	query  url.Values
	header http.Header
	route  *route
	values []string // of the labels on the way to route
	miss   miss
}

func (m *matcher) walk(n *node, parts, values []string) bool {
	if len(parts) == 0 || len(parts) == 1 && parts[0] == "" {
		if m.choose(n) {
			m.values = values
			return true
		}
		if len(parts) == 0 {
			return false
		}
	}
	head := parts[0]
	if next := n.literals[head]; next != nil && m.walk(next, parts[1:], values) {
		return true
	}
	if n.literals != nil && strings.Contains(head, "%") {
		if plain, err := url.PathUnescape(head); err == nil {
			if next := n.literals[plain]; next != nil && m.walk(next, parts[1:], values) {
				return true
			}
		}
	}
	if n.label != nil && head != "" && m.walk(n.label, parts[1:], append(values, head)) {
		return true
	}
	if n.greedy == nil {
		return false
	}
	for end := len(parts); end >= 1; end-- {
		value := strings.Join(parts[:end], "/")
		if value != "" && m.walk(n.greedy, parts[end:], append(values, value)) {
			return true
		}
		if len(n.greedy.literals) == 0 {
			break // nothing can follow: the whole rest or nothing
		}
	}
	return false
}

// choose picks among the routes that end at n the one that asks the most of the query string and is
// satisfied. Literals of the URI decide first; members that the model requires tell apart operations
// that share them all (UploadPart and PutObject).
func (m *matcher) choose(n *node) bool {
	if len(n.routes) == 0 {
		return false
	}
	m.miss = noMethod
	var best *route
	bestScore := -1
	for _, r := range n.routes {
		if r.op.model.Method != m.method || !r.literalsIn(m.query) {
			continue
		}
		score := len(r.literals)*1000 + r.membersIn(m.query, m.header)
		if score > bestScore || score == bestScore && best.op.impl == nil && r.op.impl != nil {
			best, bestScore = r, score
		}
	}
	if best == nil || m.selectsOther(n, best) {
		return false
	}
	m.route = best
	return true
}

func (r *route) literalsIn(q url.Values) bool {
	for name, want := range r.literals {
		got, ok := q[name]
		if !ok || want[0] != "" && got[0] != want[0] {
			return false
		}
	}
	return true
}

// membersIn scores how well the required members fit: one for each that is there when all are, and
// less than an operation that requires nothing when any is missing.
func (r *route) membersIn(q url.Values, h http.Header) int {
	const neutral = 100
	missing := 0
	for _, name := range r.query {
		if !q.Has(name) {
			missing++
		}
	}
	for _, name := range r.header {
		if h.Get(name) == "" {
			missing++
		}
	}
	if missing > 0 {
		return neutral - missing
	}
	return neutral + len(r.query) + len(r.header)
}

// selectsOther tells whether the query string names a part of the resource that best is not about, so
// that "DELETE /bucket?versioning" never deletes the bucket.
func (m *matcher) selectsOther(n *node, best *route) bool {
	for _, name := range n.selectors {
		values, ok := m.query[name]
		if !ok || values[0] != "" {
			continue
		}
		if _, mine := best.literals[name]; !mine && len(best.literals) == 0 {
			return true
		}
	}
	return false
}
