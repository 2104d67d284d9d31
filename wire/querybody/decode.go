// Package querybody reads structures from forms of dotted parameter names, over their plans: the requests of
// awsQuery and ec2Query.
package querybody

import (
	"maps"
	"mime"
	"net/url"
	"unicode/utf8"

	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/httpbind"
	"lambent/wire/plan"
)

// maxDepth is how many structures, lists and maps a parameter's name may go through.
const maxDepth = 64

// A Dialect is how parameters are named.
type Dialect int

// The dialects.
const (
	AWSQuery Dialect = iota // members by their wire names, lists as Name.member.N unless they are flattened
	EC2Query                // names begin with a capital letter, lists are always Name.N
)

// Decode fills a structure from the parameters of a request. Those that the model does not know are ignored,
// as on AWS: Action, Version and the signature's are among them. What the client did wrong is a *cloud.Fault;
// any other error comes from reading the body.
func Decode(r *wire.Request, s plan.Slot, dialect Dialect) error {
	values, err := form(r)
	if err != nil {
		return err
	}
	d := decoder{dialect: dialect}
	return d.structure(s, sortParams(values))
}

// form gathers the parameters. Those of the body count where both have one.
func form(r *wire.Request) (url.Values, error) {
	body, err := httpbind.ReadBody(r)
	if err != nil || len(body) == 0 {
		return r.Query, err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "" && kind != "application/x-www-form-urlencoded" {
		return r.Query, nil
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &cloud.Fault{Code: "MalformedQueryString", Message: "The query string contains a syntax error", Cause: err}
	}
	if len(r.Query) == 0 {
		return values, nil
	}
	all := maps.Clone(r.Query)
	maps.Copy(all, values)
	return all, nil
}

type decoder struct {
	arena   plan.Arena
	depth   int
	dialect Dialect
}

// member finds a member by the part of a parameter's name that it has.
func (d *decoder) member(t *plan.Type, part string) *plan.Member {
	if d.dialect == AWSQuery {
		return t.OnElement(part)
	}
	for _, m := range t.Members {
		if m.QueryName != "" && m.QueryName == part || m.QueryName == "" && isCapitalised(part, m.Wire) {
			return m
		}
	}
	return nil
}

// isCapitalised tells whether part is name with a capital letter at its beginning.
func isCapitalised(part, name string) bool {
	if len(part) != len(name) || part == "" || part[1:] != name[1:] {
		return false
	}
	c := name[0]
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	return part[0] == c && c < utf8.RuneSelf
}

func malformed(format string, args ...any) error {
	return cloud.Faultf("MalformedInput", format, args...)
}

// value fills a slot from the parameters at and below its name.
func (d *decoder) value(s plan.Slot, p params) error {
	if d.depth++; d.depth > maxDepth {
		return malformed("Parameter names are nested too deeply")
	}
	defer func() { d.depth-- }()
	switch s.Type().Kind {
	case plan.Struct:
		return d.structure(s, p)
	case plan.List:
		return d.list(s, p)
	case plan.Map:
		return d.entries(s, p)
	}
	text, _ := p.value()
	if !s.SetText(d.arena.String([]byte(text)), plan.ISO8601) {
		return malformed("'%s' at '%s' can not be converted to %s", text, s.Member().Name, s.Type().Kind)
	}
	return nil
}

// structure fills the members that are named.
func (d *decoder) structure(s plan.Slot, p params) error {
	set := 0
	err := p.each(func(part string, below params) error {
		m := d.member(s.Type(), part)
		if m == nil {
			return nil
		}
		text, plain := below.value()
		if !plain && m.Type.Kind.Scalar() || plain && text == "" && m.Type.Kind.Scalar() && m.Type.Kind != plan.String && m.Type.Kind != plan.Blob {
			return nil // nothing but deeper names, or an empty number
		}
		set++
		return d.value(s.Make(m, &d.arena), below)
	})
	if err == nil && s.Type().Union && set != 1 {
		err = malformed("Exactly one member of the union %s must be set", s.Type().Shape)
	}
	return err
}

// list reads Name.member.N, or Name.N of a flattened list; "Name=" is an empty list.
func (d *decoder) list(s plan.Slot, p params) error {
	s.MakeList()
	m := s.Member()
	items := p.numbered()
	if !m.Flat && d.dialect == AWSQuery {
		items = append(p.below(m.Elem.Wire).numbered(), items...)
	}
	for _, item := range items {
		if err := d.value(s.Append(&d.arena), item); err != nil {
			return err
		}
	}
	return nil
}

// entries reads Name.entry.N.key and Name.entry.N.value, or Name.N.key of a flattened map.
func (d *decoder) entries(s plan.Slot, p params) error {
	w := s.MakeMap(0)
	m := s.Member()
	items := p.numbered()
	if !m.Flat {
		items = append(p.below("entry").numbered(), items...)
	}
	for _, item := range items {
		key, ok := item.below(m.Key.Wire).value()
		if !ok {
			return malformed("An entry of '%s' has no %s", m.Name, m.Key.Wire)
		}
		v := w.Value(&d.arena)
		below := item.below(m.Elem.Wire)
		if len(below.list) == 0 && m.Elem.Type.Kind != plan.String {
			return malformed("An entry of '%s' has no %s", m.Name, m.Elem.Wire)
		}
		if err := d.value(v, below); err != nil {
			return err
		}
		w.Put(d.arena.String([]byte(key)))
	}
	return nil
}
