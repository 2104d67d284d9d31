// Package xmlbody reads and writes structures as XML, over their plans: the bodies of restXml and the
// replies of awsQuery.
package xmlbody

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"lambent/wire/plan"
)

// MaxDepth is how deep elements may nest.
const MaxDepth = 100

// Options say how strictly a document is read.
type Options struct {
	Root   string // name that the root element must have; "" takes any
	Strict bool   // elements that the model does not know are an error
}

// Decode fills a structure from an XML document. Namespaces are not compared, only local names.
func Decode(text []byte, s plan.Slot, o Options) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	d := decoder{Decoder: xml.NewDecoder(bytes.NewReader(text)), strict: o.Strict}
	root, err := d.start()
	if err != nil {
		return err
	}
	if o.Root != "" && root.Name.Local != o.Root {
		return fmt.Errorf("root element is %s, not %s", root.Name.Local, o.Root)
	}
	if err := d.value(s, root); err != nil {
		return err
	}
	_, err = d.start()
	if err == io.EOF {
		return nil
	}
	if err == nil {
		err = errors.New("a second root element")
	}
	return err
}

type decoder struct {
	*xml.Decoder
	arena  plan.Arena
	depth  int
	strict bool
}

// start returns the next start element, passing over what stands outside the root.
func (d *decoder) start() (xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t, nil
		case xml.Directive:
			return xml.StartElement{}, errors.New("document type declarations are not allowed")
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return xml.StartElement{}, errors.New("text outside the root element")
			}
		}
	}
}

// children calls fn for each element in the one that was just begun, to its end. fn reads its element whole.
func (d *decoder) children(fn func(xml.StartElement) error) error {
	if d.depth++; d.depth > MaxDepth {
		return errors.New("nested too deeply")
	}
	for {
		t, err := d.Token()
		if err != nil {
			return unfinished(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := fn(t); err != nil {
				return err
			}
		case xml.EndElement:
			d.depth--
			return nil
		case xml.CharData:
			if d.strict && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text between elements")
			}
		}
	}
}

func unfinished(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) value(s plan.Slot, e xml.StartElement) error {
	switch s.Type().Kind {
	case plan.Struct:
		return d.structure(s, e)
	case plan.List:
		return d.list(s)
	case plan.Map:
		return d.entries(s)
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	if !s.SetText(text, plan.ISO8601) {
		return fmt.Errorf("%q in element %s is not a %s", text, e.Name.Local, s.Type().Kind)
	}
	return nil
}

// text reads the character data of the element that was just begun, to its end.
func (d *decoder) text() (string, error) {
	var b []byte
	for {
		t, err := d.Token()
		if err != nil {
			return "", unfinished(err)
		}
		switch t := t.(type) {
		case xml.CharData:
			b = append(b, t...)
		case xml.EndElement:
			return d.arena.String(b), nil
		case xml.StartElement:
			return "", fmt.Errorf("element %s where text is expected", t.Name.Local)
		}
	}
}

func (d *decoder) structure(s plan.Slot, e xml.StartElement) error {
	t := s.Type()
	if err := d.attributes(s, e); err != nil {
		return err
	}
	set := 0
	flat := map[*plan.Member]*flattened{}
	err := d.children(func(c xml.StartElement) error {
		m := t.OnElement(c.Name.Local)
		switch {
		case (m == nil || m.Attr) && d.strict:
			return fmt.Errorf("unknown element %s", c.Name.Local)
		case m == nil || m.Attr:
			return d.skip()
		}
		set++
		if m.Flat && (m.Type.Kind == plan.List || m.Type.Kind == plan.Map) {
			if flat[m] == nil {
				flat[m] = newFlattened(s, m, &d.arena)
			}
			return flat[m].add(d, c)
		}
		s.Clear(m)
		return d.value(s.Make(m, &d.arena), c)
	})
	if err == nil && t.Union && set != 1 {
		err = fmt.Errorf("exactly one member of the union %s must be set", t.Shape)
	}
	return err
}

func localPart(name string) string {
	_, local, ok := strings.Cut(name, ":")
	if !ok {
		return name
	}
	return local
}

func (d *decoder) attributes(s plan.Slot, e xml.StartElement) error {
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		for _, m := range s.Type().Members {
			if !m.Attr || localPart(m.Wire) != a.Name.Local {
				continue
			}
			if !s.Make(m, &d.arena).SetText(d.arena.String([]byte(a.Value)), plan.ISO8601) {
				return fmt.Errorf("%q in attribute %s is not a %s", a.Value, a.Name.Local, m.Type.Kind)
			}
		}
	}
	return nil
}

func (d *decoder) list(s plan.Slot) error {
	s.MakeList()
	name := s.Member().Elem.Wire
	return d.children(func(c xml.StartElement) error {
		if d.strict && c.Name.Local != name {
			return fmt.Errorf("unknown element %s", c.Name.Local)
		}
		return d.value(s.Append(&d.arena), c)
	})
}

func (d *decoder) entries(s plan.Slot) error {
	w := s.MakeMap(0)
	return d.children(func(xml.StartElement) error { return d.entry(s.Member(), w) })
}

// entry reads a key and a value, in either order.
func (d *decoder) entry(m *plan.Member, w *plan.MapWriter) error {
	key, found := "", false
	w.Value(&d.arena) // an entry without a value holds an empty one
	err := d.children(func(c xml.StartElement) (err error) {
		switch c.Name.Local {
		case m.Key.Wire:
			found = true
			key, err = d.text()
			return err
		case m.Elem.Wire:
			return d.value(w.Value(&d.arena), c)
		}
		return d.skip()
	})
	if err == nil && !found {
		err = errors.New("map entry without a key")
	}
	if err == nil {
		w.Put(key)
	}
	return err
}

// skip reads to the end of the element that was just begun.
func (d *decoder) skip() error {
	return d.children(func(xml.StartElement) error { return d.skip() })
}

// flattened gathers a list or map whose elements stand directly in the structure, perhaps between others.
type flattened struct {
	slot plan.Slot
	w    *plan.MapWriter
}

func newFlattened(s plan.Slot, m *plan.Member, a *plan.Arena) *flattened {
	s.Clear(m)
	f := &flattened{slot: s.Make(m, a)}
	if m.Type.Kind == plan.Map {
		f.w = f.slot.MakeMap(0)
	} else {
		f.slot.MakeList()
	}
	return f
}

func (f *flattened) add(d *decoder, e xml.StartElement) error {
	if f.w != nil {
		return d.entry(f.slot.Member(), f.w)
	}
	return d.value(f.slot.Append(&d.arena), e)
}
