package cfn

import (
	"slices"
	"strings"

	"lambent/cloud"
)

// A Template is a checked template, ready to be evaluated in a [Scope].
type Template struct {
	Body        Body
	Description string
	Metadata    any
	Parameters  map[string]*Parameter
	Mappings    map[string]any
	Conditions  map[string]any
	Rules       map[string]any
	Transforms  []string
	Resources   map[string]*Resource
	Outputs     map[string]*Output
}

// A Resource is one member of the Resources section. Properties, Metadata and Condition are as written.
type Resource struct {
	ID                  string
	Type                string
	Condition           string // "" when it has none
	DependsOn           []string
	DeletionPolicy      string // "" when not given
	UpdateReplacePolicy string
	Description         string
	Properties          map[string]any
	Metadata            any
}

// An Output is one member of the Outputs section, as written.
type Output struct {
	Name        string
	Description string
	Condition   string
	Value       any
	Export      any // expression of the export's name; nil when it is not exported
}

// LanguageExtensions is the transform whose functions this package knows.
const LanguageExtensions = "AWS::LanguageExtensions"

var sections = []string{"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings",
	"Conditions", "Transform", "Resources", "Outputs", "Hooks"}

// resourceMembers are what a resource may say besides its properties. The last three belong to resources
// that this cloud does not have; they are refused by name.
var resourceMembers = []string{"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy",
	"Metadata", "Description", "CreationPolicy", "UpdatePolicy", "Fn::Transform"}

// Transforms returns the names of the macros that the template declares.
func (b Body) Transforms() ([]string, error) {
	var names []string
	list, ok := b["Transform"].([]any)
	if !ok && b["Transform"] != nil {
		list = []any{b["Transform"]}
	}
	for _, t := range list {
		if m, ok := t.(map[string]any); ok {
			t = m["Name"]
			if _, ok := t.(string); !ok {
				return nil, invalid("Key Name of transform definition must be a string.")
			}
		}
		name, ok := t.(string)
		if !ok {
			return nil, invalid("Template format error: Every Transform member must be a string.")
		}
		names = append(names, name)
	}
	return names, nil
}

func (b Body) extended() bool {
	names, _ := b.Transforms()
	return slices.Contains(names, LanguageExtensions)
}

// Compile checks every section and every reference between them.
func (b Body) Compile() (*Template, error) {
	if err := b.checkSections(); err != nil {
		return nil, err
	}
	t := &Template{Body: b, Metadata: b["Metadata"]}
	t.Description, _ = b["Description"].(string)
	var err error
	if t.Transforms, err = b.Transforms(); err != nil {
		return nil, err
	}
	for _, name := range t.Transforms {
		if name != LanguageExtensions {
			return nil, cloud.NotImplemented("Transform " + name)
		}
	}
	if t.Parameters, err = b.Parameters(); err != nil {
		return nil, err
	}
	if t.Mappings, err = b.mappings(); err != nil {
		return nil, err
	}
	if t.Conditions, err = b.section("Conditions"); err != nil {
		return nil, err
	}
	if t.Rules, err = b.section("Rules"); err != nil {
		return nil, err
	}
	if t.Resources, err = b.resources(); err != nil {
		return nil, err
	}
	if t.Outputs, err = b.outputs(); err != nil {
		return nil, err
	}
	return t, t.check()
}

func (b Body) checkSections() error {
	var strange []string
	for _, name := range sortedKeys(b) {
		if !slices.Contains(sections, name) {
			strange = append(strange, name)
		}
	}
	if strange != nil {
		return invalid("Invalid template property or properties [%s]", strings.Join(strange, ", "))
	}
	if v, ok := b["AWSTemplateFormatVersion"]; ok && v != "2010-09-09" {
		return invalid("Template format error: unsupported value for AWSTemplateFormatVersion.")
	}
	if v, ok := b["Description"]; ok {
		s, isText := v.(string)
		if !isText {
			return invalid("Template format error: Description is not a string")
		}
		if len(s) > 1024 {
			return invalid("Template format error: 'Description' length is greater than 1024.")
		}
	}
	if b["Hooks"] != nil {
		return cloud.NotImplemented("Template section Hooks")
	}
	for _, name := range sections {
		if name == "Metadata" {
			continue
		}
		if path := findNull(b[name], "/"+name); path != "" && b[name] != nil {
			return invalid("[%s] 'null' values are not allowed in templates", path)
		}
	}
	return nil
}

// findNull returns the path of the first null below v, or "". Metadata is a user's own.
func findNull(v any, path string) string {
	switch v := v.(type) {
	case nil:
		return path
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if k == "Metadata" {
				continue
			}
			if p := findNull(v[k], path+"/"+k); p != "" {
				return p
			}
		}
	case []any:
		for _, e := range v {
			if p := findNull(e, path); p != "" {
				return p
			}
		}
	}
	return ""
}

func (b Body) section(name string) (map[string]any, error) {
	v, ok := b[name]
	if !ok || v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: %s must be an object.", name)
	}
	return m, nil
}

func (b Body) mappings() (map[string]any, error) {
	section, err := b.section("Mappings")
	if err != nil {
		return nil, err
	}
	if len(section) > maxMappings {
		return nil, tooMany("mappings", len(section), maxMappings)
	}
	for _, name := range sortedKeys(section) {
		first, ok := section[name].(map[string]any)
		if !ok {
			return nil, invalid("Template format error: Every Mappings member %s must be a map", name)
		}
		for _, key := range sortedKeys(first) {
			second, ok := first[key].(map[string]any)
			if !ok {
				return nil, invalid("Template format error: Every Mappings member %s must be a map", name)
			}
			for _, attribute := range sortedKeys(second) {
				if !mappingValue(second[attribute]) {
					return nil, invalid("Template format error: Every Mappings attribute must be a String or a List.")
				}
			}
		}
	}
	return section, nil
}

func mappingValue(v any) bool {
	if list, ok := v.([]any); ok {
		return !slices.ContainsFunc(list, func(e any) bool { _, ok := Text(e); return !ok })
	}
	_, ok := Text(v)
	return ok
}

func tooMany(what string, n, most int) error {
	return invalid("Template format error: Number of %s, %d, is greater than maximum allowed, %d", what, n, most)
}

func (b Body) resources() (map[string]*Resource, error) {
	v, ok := b["Resources"]
	section, isMap := v.(map[string]any)
	if ok && v != nil && !isMap {
		return nil, invalid("Template format error: Resources must be an object.")
	}
	if len(section) == 0 {
		return nil, invalid("Template format error: At least one Resources member must be defined.")
	}
	if len(section) > maxResources {
		return nil, tooMany("resources", len(section), maxResources)
	}
	out := map[string]*Resource{}
	for _, id := range sortedKeys(section) {
		r, err := resource(id, section[id], b.extended())
		if err != nil {
			return nil, err
		}
		out[id] = r
	}
	return out, nil
}

func resource(id string, v any, extended bool) (*Resource, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: Any Resources member must be an object.")
	}
	if strings.HasPrefix(id, forEachPrefix) {
		return nil, invalid("Template error: Fn::ForEach requires the transform %s", LanguageExtensions)
	}
	if !alphanumeric(id) || len(id) > 255 {
		return nil, invalid("Template format error: Resource name %s is non alphanumeric.", id)
	}
	for _, member := range sortedKeys(m) {
		if !slices.Contains(resourceMembers, member) {
			return nil, invalid("Invalid template resource property '%s'", member)
		}
	}
	for _, member := range []string{"CreationPolicy", "UpdatePolicy", "Fn::Transform"} {
		if m[member] != nil {
			return nil, cloud.NotImplemented("Resource attribute " + member)
		}
	}
	r := &Resource{ID: id, Metadata: m["Metadata"]}
	if r.Type, ok = m["Type"].(string); !ok || r.Type == "" {
		return nil, invalid("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", id)
	}
	if err := r.members(m); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Resource) members(m map[string]any) error {
	var err error
	if r.Condition, err = stringMember(m, "Condition", "/Resources/"+r.ID); err != nil {
		return err
	}
	r.Description, _ = m["Description"].(string)
	if p, ok := m["Properties"]; ok {
		if r.Properties, ok = p.(map[string]any); !ok {
			return invalid("Template format error: [/Resources/%s/Properties] 'Properties' must be an object", r.ID)
		}
	}
	if r.DependsOn, err = dependsOn(r.ID, m["DependsOn"]); err != nil {
		return err
	}
	allowed := []string{"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}
	if r.DeletionPolicy, err = policyMember(m, "DeletionPolicy", r.ID, allowed); err != nil {
		return err
	}
	r.UpdateReplacePolicy, err = policyMember(m, "UpdateReplacePolicy", r.ID, []string{"Delete", "Retain", "Snapshot"})
	return err
}

func stringMember(m map[string]any, member, path string) (string, error) {
	v, ok := m[member]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", invalid("Template format error: Every %s member must be a string. (%s)", member, path)
	}
	return s, nil
}

func policyMember(m map[string]any, member, id string, allowed []string) (string, error) {
	v, ok := m[member]
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", invalid("Template format error: Every %s member must be a string.", member)
	}
	if !slices.Contains(allowed, s) {
		return "", invalid("Template format error: Unrecognized %s %s for resource %s", member, s, id)
	}
	if s == "Snapshot" {
		// Only volumes, clusters and databases have snapshots, and none of those types exists here.
		return "", cloud.NotImplemented(member + " Snapshot")
	}
	return s, nil
}

func dependsOn(id string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	var out []string
	for _, d := range list {
		s, ok := d.(string)
		if !ok {
			return nil, invalid("Template format error: DependsOn must be a string or list of strings.")
		}
		if s == id {
			return nil, circular([]string{id})
		}
		out = append(out, s)
	}
	return out, nil
}

func (b Body) outputs() (map[string]*Output, error) {
	section, err := b.section("Outputs")
	if err != nil {
		return nil, err
	}
	if len(section) > maxOutputs {
		return nil, tooMany("outputs", len(section), maxOutputs)
	}
	out := map[string]*Output{}
	for _, name := range sortedKeys(section) {
		o, err := output(name, section[name])
		if err != nil {
			return nil, err
		}
		out[name] = o
	}
	return out, nil
}

func output(name string, v any) (*Output, error) {
	if !alphanumeric(name) {
		return nil, invalid("Template format error: Output name %s is non alphanumeric.", name)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: Any Outputs member must be an object.")
	}
	for _, member := range sortedKeys(m) {
		if !slices.Contains([]string{"Value", "Description", "Export", "Condition"}, member) {
			return nil, invalid("Invalid template output property '%s'", member)
		}
	}
	o := &Output{Name: name}
	var err error
	if o.Condition, err = stringMember(m, "Condition", "/Outputs/"+name); err != nil {
		return nil, err
	}
	if o.Description, err = stringMember(m, "Description", "/Outputs/"+name); err != nil {
		return nil, err
	}
	if o.Value, ok = m["Value"]; !ok {
		return nil, invalid("Template format error: [/Outputs/%s] Every Outputs object must contain a Value member.", name)
	}
	if e, ok := m["Export"]; ok {
		export, ok := e.(map[string]any)
		if !ok || export["Name"] == nil || len(export) != 1 {
			return nil, invalid("Template format error: Output %s is malformed. Every Export member must contain a Name object.", name)
		}
		o.Export = export["Name"]
	}
	return o, nil
}
