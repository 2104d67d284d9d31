package cloudformation

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/lang/cfn"
)

// A schema says which properties a resource type has. It is written as a line of fields:
//
//	Name@name Code!:{S3Bucket S3Key} MemorySize:int Layers:[string] Variables:map Tags:[{Key! Value!}]
//
// A field is a name, "!" when it is required, "@new" when a change of it needs a new resource, "@name" when
// it also is the name that the author gives the resource, and a type after a colon: string (which is also
// meant by none), int, num, bool, json (anything), map (of strings), map(T), [T] or {fields}. The type absent
// stands for what AWS has and this cloud has not: such a property is refused by name.
type schema struct {
	kind   string // "string", "int", "num", "bool", "json", "map", "list", "object", "absent"
	elem   *schema
	fields map[string]*field
}

type field struct {
	*schema
	required bool
	fresh    bool // a change needs a new resource
	name     bool
}

// parseSchema reads the notation; a mistake in it is a mistake in this program.
func parseSchema(text string) *schema {
	p := &schemaParser{rest: text}
	s := p.fields()
	if p.skip(); p.rest != "" {
		panic("cloudformation: schema ends early before " + p.rest)
	}
	return s
}

type schemaParser struct{ rest string }

func (p *schemaParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\n") }

func (p *schemaParser) take(token string) bool {
	if !strings.HasPrefix(p.rest, token) {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

var word = regexp.MustCompile(`^[A-Za-z0-9_]+`)

func (p *schemaParser) word() string {
	w := word.FindString(p.rest)
	if w == "" {
		panic("cloudformation: schema lacks a name before " + p.rest)
	}
	p.rest = p.rest[len(w):]
	return w
}

func (p *schemaParser) fields() *schema {
	s := &schema{kind: "object", fields: map[string]*field{}}
	for p.skip(); p.rest != "" && p.rest[0] != '}'; p.skip() {
		name := p.word()
		f := &field{}
		f.required = p.take("!")
		f.name = p.take("@name")
		f.fresh = f.name || p.take("@new")
		if p.take(":") {
			f.schema = p.kind()
		} else {
			f.schema = &schema{kind: "string"}
		}
		s.fields[name] = f
	}
	return s
}

func (p *schemaParser) kind() *schema {
	switch {
	case p.take("{"):
		s := p.fields()
		if !p.take("}") {
			panic("cloudformation: schema lacks } before " + p.rest)
		}
		return s
	case p.take("["):
		s := &schema{kind: "list", elem: p.kind()}
		if !p.take("]") {
			panic("cloudformation: schema lacks ] before " + p.rest)
		}
		return s
	case p.take("map("):
		s := &schema{kind: "map", elem: p.kind()}
		if !p.take(")") {
			panic("cloudformation: schema lacks ) before " + p.rest)
		}
		return s
	}
	w := p.word()
	if w == "map" {
		return &schema{kind: "map", elem: &schema{kind: "string"}}
	}
	return &schema{kind: w}
}

// problems collects what is wrong with a resource's properties, in the words of AWS's schema validator.
type problems struct {
	wrong  []string
	absent string // the first property that is not implemented
}

// coerce returns props with every value in the type that the schema asks for: CloudFormation takes "true",
// "3" and 3 where the service wants a bool, a number or a string.
func (s *schema) coerce(logicalID string, props map[string]any) (map[string]any, error) {
	var p problems
	v := s.value(props, "", &p)
	switch {
	case p.wrong != nil:
		return nil, invalid("Properties validation failed for resource %s with message: %s", logicalID, strings.Join(p.wrong, "\n"))
	case p.absent != "":
		return nil, cloud.NotImplemented("Property " + p.absent + " of resource " + logicalID)
	}
	return v.(map[string]any), nil
}

func (s *schema) value(v any, path string, p *problems) any {
	if _, unknown := v.(cfn.Unknown); unknown {
		return v
	}
	switch s.kind {
	case "json":
		return v
	case "absent":
		p.absent = cmp.Or(p.absent, path)
		return v
	case "object":
		return s.object(v, path, p)
	case "list":
		list, ok := v.([]any)
		if !ok {
			return p.mismatch(path, "JSONArray", v)
		}
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = s.elem.value(e, path+"/"+strconv.Itoa(i), p)
		}
		return out
	case "map":
		m, ok := v.(map[string]any)
		if !ok {
			return p.mismatch(path, "JSONObject", v)
		}
		out := map[string]any{}
		for k, e := range m {
			out[k] = s.elem.value(e, path+"/"+k, p)
		}
		return out
	}
	return s.scalar(v, path, p)
}

func (s *schema) object(v any, path string, p *problems) any {
	m, ok := v.(map[string]any)
	if !ok {
		return p.mismatch(path, "JSONObject", v)
	}
	out := map[string]any{}
	for _, k := range sortedKeys(m) {
		f := s.fields[k]
		if f == nil {
			p.say(path, "extraneous key ["+k+"] is not permitted")
			continue
		}
		out[k] = f.value(m[k], path+"/"+k, p)
	}
	for _, k := range sortedKeys(s.fields) {
		if _, given := m[k]; s.fields[k].required && !given {
			p.say(path, "required key ["+k+"] not found")
		}
	}
	return out
}

func (s *schema) scalar(v any, path string, p *problems) any {
	text, ok := cfn.Text(v)
	switch s.kind {
	case "string":
		if !ok {
			return p.mismatch(path, "String", v)
		}
		return text
	case "bool":
		if strings.EqualFold(text, "true") || strings.EqualFold(text, "false") {
			return strings.EqualFold(text, "true")
		}
		return p.mismatch(path, "Boolean", v)
	case "int":
		n, err := strconv.ParseInt(text, 10, 64)
		if f, ferr := strconv.ParseFloat(text, 64); err != nil && ferr == nil && f == float64(int64(f)) {
			n, err = int64(f), nil // 5.0, as some tools write 5
		}
		if err != nil {
			return p.mismatch(path, "Integer", v)
		}
		return json.Number(strconv.FormatInt(n, 10))
	case "num":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return p.mismatch(path, "Number", v)
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
	}
	panic("cloudformation: schema has no type " + s.kind)
}

func (p *problems) say(path, problem string) { p.wrong = append(p.wrong, "#"+path+": "+problem) }

func (p *problems) mismatch(path, kind string, v any) any {
	found := "String"
	switch v.(type) {
	case []any:
		found = "JSONArray"
	case map[string]any:
		found = "JSONObject"
	case bool:
		found = "Boolean"
	case json.Number:
		found = "Number"
	case nil:
		found = "Null"
	}
	p.say(path, "expected type: "+kind+", found: "+found)
	return nil
}

// api returns v as the other service's API has it: member names begin in lower case where lower is set. The
// keys of maps are the user's own and stay.
func (s *schema) api(v any, lower bool) any {
	switch s.kind {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return v
		}
		out := map[string]any{}
		for k, e := range m {
			if f := s.fields[k]; f != nil {
				out[memberName(k, lower)] = f.api(e, lower)
			}
		}
		return out
	case "list":
		list, ok := v.([]any)
		if !ok {
			return v
		}
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = s.elem.api(e, lower)
		}
		return out
	}
	return v
}

func memberName(name string, lower bool) string {
	if lower && name != "" {
		return strings.ToLower(name[:1]) + name[1:]
	}
	return name
}

// nameField returns the property by which an author names the resource, "" when there is none.
func (s *schema) nameField() string {
	for _, k := range sortedKeys(s.fields) {
		if s.fields[k].name {
			return k
		}
	}
	return ""
}

// changed lists the properties that differ, sorted.
func changed(a, b map[string]any) []string {
	var out []string
	for k, v := range a {
		if w, ok := b[k]; !ok || !cfn.Equal(v, w) {
			out = append(out, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
