package plan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"lambent/cloud"
)

// Rules say how a service words its refusals. The zero Rules are those of most services.
type Rules struct {
	Code     string // "" means ValidationException
	BodyRoot string // what stands before the paths of members in the body, or ""
	Brief    bool   // neither values nor the values of enumerations are repeated
}

// mostFailures bounds the message: what a caller cannot read in one sitting is not written.
const mostFailures = 50

// Validate checks an input, a pointer to a struct, against its tags. The error is a *cloud.Fault in AWS's words
// that names every member that failed.
func Validate(in any, r Rules) error {
	s, err := Open(in)
	if err != nil {
		return err
	}
	if !s.Type().checked {
		return nil
	}
	v := validator{rules: r}
	v.structure(s)
	switch n := len(v.failures); n {
	case 0:
		return nil
	case 1:
		return v.fault("1 validation error detected: ")
	default:
		return v.fault(strconv.Itoa(n) + " validation errors detected: ")
	}
}

type validator struct {
	rules    Rules
	failures []string
	way      []step // from the input to the value at hand
}

func (v *validator) fault(head string) *cloud.Fault {
	code := v.rules.Code
	if code == "" {
		code = "ValidationException"
	}
	return &cloud.Fault{Code: code, Message: head + strings.Join(v.failures, "; ")}
}

// A step leads from a value to one inside it. Steps become text only when something is wrong there.
type step struct {
	member *Member // of a structure; nil for the others
	key    string  // of a map
	index  int     // of a list, from 1
}

// path writes the way to the value at hand as AWS's messages do: "tableInput.tags.2.member.key".
func (v *validator) path() string {
	var b strings.Builder
	for i, s := range v.way {
		if i > 0 {
			b.WriteByte('.')
		}
		switch {
		case s.member != nil && i == 0 && s.member.In == Body && v.rules.BodyRoot != "":
			b.WriteString(v.rules.BodyRoot + "." + lowerFirst(s.member.Name))
		case s.member != nil:
			b.WriteString(lowerFirst(s.member.Name))
		case s.index > 0:
			b.WriteString(strconv.Itoa(s.index) + ".member")
		default:
			b.WriteString(s.key + ".member")
		}
	}
	return b.String()
}

// enter goes a step further, and leave back.
func (v *validator) enter(s step) { v.way = append(v.way, s) }
func (v *validator) leave()       { v.way = v.way[:len(v.way)-1] }

func (v *validator) fail(value, rule string) {
	if len(v.failures) == mostFailures {
		return
	}
	if v.rules.Brief {
		if enum, _, ok := strings.Cut(rule, " enum value set"); ok {
			rule = enum + " enum value set"
		}
	}
	v.failures = append(v.failures, fmt.Sprintf("Value%s at '%s' failed to satisfy constraint: %s", value, v.path(), rule))
}

func (v *validator) structure(s Slot) {
	for _, m := range s.Type().Members {
		if !m.Required && !m.checked {
			continue
		}
		e, ok := s.Get(m)
		if !ok && !m.Required {
			continue
		}
		v.enter(step{member: m})
		if ok {
			v.value(e)
		} else {
			v.fail(" null", notNull)
		}
		v.leave()
	}
}

func (v *validator) value(s Slot) {
	m := s.m
	if !m.checked {
		return
	}
	if m.check != nil {
		for _, rule := range m.check.broken(s) {
			v.fail(v.show(s), rule)
		}
	}
	switch m.Type.Kind {
	case Struct:
		v.structure(s)
	case List:
		v.list(s)
	case Map:
		v.entries(s)
	}
}

// list checks elements. A plain element that fails is told as a failure of its list, with all
// that is demanded of elements; a structure has a path of its own.
func (v *validator) list(s Slot) {
	e := s.m.Elem
	if !e.checked {
		return
	}
	for i := range s.Len() {
		el, ok := s.Index(i)
		if !ok {
			continue
		}
		if e.Type.Kind >= List {
			v.enter(step{index: i + 1})
			v.value(el)
			v.leave()
			continue
		}
		if len(e.check.broken(el)) > 0 {
			v.fail(v.show(s), "Member must satisfy constraint: ["+strings.Join(e.check.all(e.Type.Kind), ", ")+"]")
			return
		}
	}
}

func (v *validator) entries(s Slot) {
	key, e := s.m.Key, s.m.Elem
	badKey, badValue := false, false
	s.Entries(func(k string, el Slot, ok bool) bool {
		if key.check != nil && !badKey && len(key.check.broken(slotOfString(key, &k))) > 0 {
			badKey = true
			v.fail(v.show(s), "Map keys must satisfy constraint: ["+strings.Join(key.check.all(String), ", ")+"]")
		}
		switch {
		case !ok || !e.checked:
		case e.Type.Kind >= List:
			v.enter(step{key: k})
			v.value(el)
			v.leave()
		case !badValue && len(e.check.broken(el)) > 0:
			badValue = true
			v.fail(v.show(s), "Map value must satisfy constraint: ["+strings.Join(e.check.all(e.Type.Kind), ", ")+"]")
		}
		return true
	})
}

// show writes a value as it stands in a message, with a space before it; a secret one is left out.
func (v *validator) show(s Slot) string {
	if v.rules.Brief || s.m.Sensitive || s.m.Elem != nil && s.m.Elem.Sensitive {
		return ""
	}
	var b strings.Builder
	b.WriteString(" '")
	showValue(&b, s)
	b.WriteByte('\'')
	return b.String()
}

// showValue writes values as Java prints them, because AWS's messages do.
func showValue(b *strings.Builder, s Slot) {
	switch k := s.Type().Kind; {
	case k == Bool:
		b.WriteString(strconv.FormatBool(s.Bool()))
	case k.Integer():
		b.WriteString(strconv.FormatInt(s.Int(), 10))
	case k == Float32 || k == Float64:
		b.WriteString(strconv.FormatFloat(s.Float(), 'f', -1, s.FloatBits()))
	case k == String:
		b.WriteString(s.String())
	case k == Time:
		b.WriteString(s.Time().UTC().Format("Mon Jan 02 15:04:05 MST 2006"))
	case k == Blob:
		n := len(s.Bytes())
		fmt.Fprintf(b, "java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]", n, n)
	case k == Custom:
		b.Write(s.Direct().AppendJSON(nil))
	case k == List:
		showList(b, s)
	case k == Map:
		showMap(b, s)
	case k == Struct:
		showStruct(b, s)
	}
}

func showList(b *strings.Builder, s Slot) {
	b.WriteByte('[')
	for i := range s.Len() {
		if i > 0 {
			b.WriteString(", ")
		}
		if e, ok := s.Index(i); ok {
			showValue(b, e)
		} else {
			b.WriteString("null")
		}
	}
	b.WriteByte(']')
}

func showMap(b *strings.Builder, s Slot) {
	b.WriteByte('{')
	first := true
	s.Entries(func(k string, e Slot, ok bool) bool {
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(k + "=")
		if ok {
			showValue(b, e)
		} else {
			b.WriteString("null")
		}
		return true
	})
	b.WriteByte('}')
}

func showStruct(b *strings.Builder, s Slot) {
	b.WriteString(s.Type().Shape + "(")
	first := true
	for _, m := range s.Type().Members {
		e, ok := s.Get(m)
		if !ok {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(lowerFirst(m.Name) + "=")
		if m.Sensitive {
			b.WriteString("***")
		} else {
			showValue(b, e)
		}
	}
	b.WriteByte(')')
}

// lowerFirst writes a member's name as AWS's messages do: TableName is tableName.
func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
