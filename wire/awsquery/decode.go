package awsquery

import (
	"lambent/cloud"
	"lambent/wire/plan"
)

// maxDepth is how many structures, lists and maps a parameter's name may go through.
const maxDepth = 64

type decoder struct {
	arena plan.Arena
	depth int
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

// structure fills the members that are named. Parameters that the model does not know are ignored, as on
// AWS: Action, Version and the signature's are among them.
func (d *decoder) structure(s plan.Slot, p params) error {
	set := 0
	err := p.each(func(part string, below params) error {
		m := s.Type().OnElement(part)
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
	if !m.Flat {
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
