package plan

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// check is what the model demands of one value.
type check struct {
	min, max bound
	pattern  *Pattern
	enum     []string
	unique   bool
}

// bound is one end of a range of lengths or of numbers; text is how the model writes it.
type bound struct {
	text  string
	value float64
}

func newCheck(tag reflect.StructTag, prefix string, kind Kind) (*check, error) {
	c := &check{min: bound{value: math.Inf(-1)}, max: bound{value: math.Inf(1)}}
	found := false
	for _, key := range []string{"len", "range"} {
		v, ok := tag.Lookup(prefix + key)
		if !ok {
			continue
		}
		found = true
		lo, hi, ok := strings.Cut(v, ":")
		if !ok || c.min.parse(lo) != nil || c.max.parse(hi) != nil {
			return nil, fmt.Errorf("bad tag %s%s:%q", prefix, key, v)
		}
	}
	if v, ok := tag.Lookup(prefix + "pat"); ok {
		found = true
		c.pattern = &Pattern{Source: v}
	}
	if v, ok := tag.Lookup(prefix + "enum"); ok {
		found = true
		c.enum = strings.Split(v, ",")
	}
	if _, ok := tag.Lookup(prefix + "uniq"); ok {
		found, c.unique = true, true
	}
	if !found || kind >= Document && kind <= Custom {
		return nil, nil
	}
	return c, nil
}

func (b *bound) parse(s string) (err error) {
	if s == "" {
		return nil
	}
	b.text = s
	b.value, err = strconv.ParseFloat(s, 64)
	return err
}

// broken returns the constraints that s breaks, in AWS's words.
func (c *check) broken(s Slot) (rules []string) {
	size, what := measure(s)
	if s.Type().Kind == String {
		v := s.String()
		if c.enum != nil && !contains(c.enum, v) {
			rules = append(rules, enumRule(c.enum))
		}
		if c.pattern != nil && !c.pattern.Match(v) {
			rules = append(rules, patternRule(c.pattern))
		}
	}
	if c.unique && s.Type().Kind == List && repeats(s) {
		rules = append(rules, "Member must have unique values")
	}
	if size > c.max.value {
		rules = append(rules, atMost(what, c.max))
	}
	if size < c.min.value {
		rules = append(rules, atLeast(what, c.min))
	}
	return rules
}

// all returns every constraint, in the order in which AWS lists those of a list's elements.
func (c *check) all(kind Kind) (rules []string) {
	what := "length"
	if kind.Integer() || kind == Float32 || kind == Float64 {
		what = "value"
	}
	if c.enum != nil {
		rules = append(rules, enumRule(c.enum))
	}
	if c.max.text != "" {
		rules = append(rules, atMost(what, c.max))
	}
	if c.min.text != "" {
		rules = append(rules, atLeast(what, c.min))
	}
	if c.pattern != nil {
		rules = append(rules, patternRule(c.pattern))
	}
	if c.enum == nil {
		rules = append(rules, notNull)
	}
	return rules
}

const notNull = "Member must not be null"

func enumRule(enum []string) string {
	return "Member must satisfy enum value set: [" + strings.Join(asListed(enum), ", ") + "]"
}

// asListed puts the values of an enumeration into the order in which AWS lists them. Every recorded list with more
// than three values, up to Lambda's 47 runtimes, is that of a hash table with 32 chains over Java's String.hashCode,
// each of them with the value that the model names last at its head.
func asListed(enum []string) []string {
	const chains = 32
	var table [chains][]string
	for _, v := range enum {
		i := javaHash(v) % chains
		table[i] = append([]string{v}, table[i]...)
	}
	list := make([]string, 0, len(enum))
	for _, chain := range table {
		list = append(list, chain...)
	}
	return list
}

// javaHash is Java's String.hashCode, as an unsigned number.
func javaHash(s string) (h uint32) {
	for _, c := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(c)
	}
	return h
}

func patternRule(p *Pattern) string {
	return "Member must satisfy regular expression pattern: " + p.Source
}

func atMost(what string, b bound) string {
	return "Member must have " + what + " less than or equal to " + b.text
}

func atLeast(what string, b bound) string {
	return "Member must have " + what + " greater than or equal to " + b.text
}

// measure returns what a value's bounds are about.
func measure(s Slot) (size float64, what string) {
	switch k := s.Type().Kind; {
	case k.Integer():
		return float64(s.Int()), "value"
	case k == Float32 || k == Float64:
		return s.Float(), "value"
	case k == String:
		return float64(utf8.RuneCountInString(s.String())), "length"
	case k == Blob:
		return float64(len(s.Bytes())), "length"
	case k == List:
		return float64(s.Len()), "length"
	case k == Map:
		return float64(s.MapLen()), "length"
	}
	return 0, ""
}

func contains(list []string, v string) bool {
	for _, e := range list {
		if e == v {
			return true
		}
	}
	return false
}

// markChecked notes which members have something to check, at or below them, so that the rest of an
// input is passed over. Structures may hold themselves: it goes round until nothing changes.
func markChecked(types map[reflect.Type]*Type) {
	for changed := true; changed; {
		changed = false
		for _, t := range types {
			for _, m := range t.Members {
				m.mark()
				if (m.checked || m.Required) && !t.checked {
					t.checked, changed = true, true
				}
			}
		}
	}
}

func (m *Member) mark() bool {
	below := m.Elem != nil && m.Elem.mark()
	below = m.Key != nil && m.Key.mark() || below
	m.checked = m.check != nil || m.Type.checked || below
	return m.checked
}

// Unenforced lists the patterns at and below a structure that are not enforced as the model has them, with the reason.
func Unenforced(t *Type) (list []string) {
	seen := map[*Type]bool{}
	var member func(m *Member, path string)
	visit := func(t *Type, path string) {
		if seen[t] {
			return
		}
		seen[t] = true
		for _, m := range t.Members {
			member(m, path+"."+m.Name)
		}
	}
	member = func(m *Member, path string) {
		if m.check != nil && m.check.pattern != nil {
			if err := m.check.pattern.Err(); err != nil {
				list = append(list, fmt.Sprintf("%s: %s: %v", path, m.check.pattern.Source, err))
			}
		}
		if m.Elem != nil {
			member(m.Elem, path+"[]")
		}
		if m.Key != nil {
			member(m.Key, path+"[key]")
		}
		if m.Type.Kind == Struct {
			visit(m.Type, m.Type.Shape)
		}
	}
	visit(t, t.Shape)
	return list
}
