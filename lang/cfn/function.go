package cfn

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
)

// functions are the names that make an object with one member a function.
var functions = map[string]bool{
	"Ref": true, "Fn::Base64": true, "Fn::GetAtt": true, "Fn::GetAZs": true, "Fn::ImportValue": true, "Fn::Join": true,
	"Fn::Select": true, "Fn::FindInMap": true, "Fn::Split": true, "Fn::If": true, "Fn::Cidr": true, "Fn::Sub": true,
	"Fn::Transform": true, "Fn::Equals": true, "Fn::Not": true, "Fn::And": true, "Fn::Or": true, "Fn::Contains": true,
	"Fn::EachMemberEquals": true, "Fn::EachMemberIn": true, "Fn::Length": true, "Fn::ToJsonString": true, "Fn::ForEach": true,
}

// The wordings by which AWS refuses a function that is written wrongly.
const (
	equalsShape = "Template error: every Fn::Equals object requires a list of 2 string parameters."
	getAttShape = "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
	refShape    = "Template error: every Ref object must have a single String value."
	joinShape   = "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
	splitShape  = "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split."
	selectShape = "Template error: Fn::Select requires a list argument with two elements: an integer index and a list"
	subShape    = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string"
	subNames    = "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"
	findShape   = "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
	base64Shape = "Template error: every Fn::Base64 object must have a String-typed value."
	ifShape     = "Template error: Fn::If requires a list argument with three elements"
	importShape = "Template error: the attribute in Fn::ImportValue must be a string or a function that returns a string"
)

// function tells whether v is a function object, and which.
func function(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for name, arg = range m {
	}
	if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
		return name, arg, true
	}
	return "", nil, false
}

func (s *Scope) eval(v any) (any, error) {
	if err := s.spend(0); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case map[string]any:
		if name, arg, ok := function(v); ok && name != "Condition" {
			return s.call(name, arg)
		}
		return s.object(v)
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			r, err := s.eval(e)
			if err != nil {
				return nil, err
			}
			if _, none := r.(noValue); !none {
				out = append(out, r)
			}
		}
		return out, nil
	case string:
		return s.dynamic(v)
	}
	return v, nil
}

func (s *Scope) object(v map[string]any) (any, error) {
	out := make(map[string]any, len(v))
	for _, k := range sortedKeys(v) {
		if k == "Fn::Transform" {
			return nil, cloud.NotImplemented("Fn::Transform")
		}
		r, err := s.eval(v[k])
		if err != nil {
			return nil, err
		}
		if _, none := r.(noValue); !none {
			out[k] = r
		}
	}
	return out, nil
}

func (s *Scope) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return nil, invalid(refShape)
		}
		return s.ref(id)
	case "Fn::GetAtt":
		return s.getAtt(arg)
	case "Fn::Sub":
		return s.sub(arg)
	case "Fn::Join":
		return s.join(arg)
	case "Fn::Split":
		return s.split(arg)
	case "Fn::Select":
		return s.selectItem(arg)
	case "Fn::If":
		v, err := s.branch(arg)
		if err != nil {
			return nil, err
		}
		return s.eval(v)
	case "Fn::FindInMap":
		return s.findInMap(arg)
	case "Fn::Base64":
		return s.base64(arg)
	case "Fn::ImportValue":
		return s.importValue(arg)
	case "Fn::GetAZs":
		return s.zones(arg)
	case "Fn::Cidr":
		return s.cidr(arg)
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or":
		return s.condition(map[string]any{name: arg})
	case "Fn::Transform":
		return nil, cloud.NotImplemented("Fn::Transform")
	case "Fn::Length", "Fn::ToJsonString":
		if s.extended {
			return s.extension(name, arg)
		}
	}
	return nil, invalid("Template validation error: Encountered unsupported function: %s Supported functions are: "+
		"[Fn::Base64, Fn::GetAtt, Fn::GetAZs, Fn::ImportValue, Fn::Join, Fn::Split, Fn::FindInMap, Fn::Select, Ref, Fn::Equals, Fn::If, Fn::Not, Condition, Fn::And, Fn::Or, Fn::Contains, Fn::EachMemberEquals, Fn::EachMemberIn, Fn::ValueOf, Fn::ValueOfAll, Fn::RefAll, Fn::Sub, Fn::Cidr]", name)
}

func (s *Scope) ref(id string) (any, error) {
	if id == "AWS::NoValue" {
		return noValue{}, nil
	}
	if v, ok := s.Values[id]; ok {
		return v, nil
	}
	if s.Ref == nil || s.Template.Resources[id] == nil {
		return nil, unresolved([]string{id}, "Resources")
	}
	return s.Ref(id)
}

func (s *Scope) getAtt(arg any) (any, error) {
	id, attribute, err := getAttTarget(arg)
	if err != nil {
		return nil, err
	}
	name, err := s.eval(attribute) // the attribute, unlike the resource, may be a Ref
	if err != nil {
		return nil, err
	}
	a, ok := name.(string)
	if !ok || a == "" {
		return nil, invalid(getAttShape)
	}
	if s.GetAtt == nil || s.Template.Resources[id] == nil {
		return nil, undefinedGetAtt(id)
	}
	return s.GetAtt(id, a)
}

func undefinedGetAtt(id string) error {
	return invalid("Template error: instance of Fn::GetAtt references undefined resource %s", id)
}

// getAttTarget splits the argument of Fn::GetAtt, a list of two or "resource.attribute".
func getAttTarget(arg any) (id string, attribute any, err error) {
	if text, ok := arg.(string); ok {
		id, name, _ := strings.Cut(text, ".")
		arg = []any{id, name}
	}
	list, ok := arg.([]any)
	if !ok || len(list) < 2 {
		return "", nil, invalid(getAttShape)
	}
	if len(list) > 2 { // ["Stack", "Outputs", "Name"] means Outputs.Name
		parts := make([]string, 0, len(list)-1)
		for _, e := range list[1:] {
			p, _ := e.(string)
			parts = append(parts, p)
		}
		list = []any{list[0], strings.Join(parts, ".")}
	}
	if id, ok = list[0].(string); !ok || id == "" || list[1] == "" {
		return "", nil, invalid(getAttShape)
	}
	return id, list[1], nil
}

// A piece of a Fn::Sub text: literal text, or the name of a variable.
type piece struct {
	text     string
	variable bool
}

// pieces splits the text of Fn::Sub. ${!x} is the literal ${x}.
func pieces(text string) ([]piece, error) {
	var out []piece
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return append(out, piece{text: text}), nil
		}
		out = append(out, piece{text: text[:i]})
		rest := text[i+2:]
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return append(out, piece{text: text[i:]}), nil
		}
		name := rest[:end]
		switch {
		case strings.HasPrefix(name, "!"):
			out = append(out, piece{text: "${" + name[1:] + "}"})
		case !subVariable(strings.TrimSpace(name)):
			return nil, invalid(subNames)
		default:
			out = append(out, piece{text: strings.TrimSpace(name), variable: true})
		}
		text = rest[end+1:]
	}
}

func subVariable(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '_' && c != '.' && c != ':' && !alphanumeric(name[i:i+1]) {
			return false
		}
	}
	return name != ""
}

// subArguments splits the argument of Fn::Sub.
func subArguments(arg any) (text string, variables map[string]any, err error) {
	if text, ok := arg.(string); ok {
		return text, nil, nil
	}
	list, _ := arg.([]any)
	if len(list) == 0 || len(list) > 2 {
		return "", nil, invalid(subShape)
	}
	text, ok := list[0].(string)
	if !ok {
		return "", nil, invalid(subShape)
	}
	if len(list) == 2 {
		if variables, ok = list[1].(map[string]any); !ok {
			return "", nil, invalid(subShape)
		}
	}
	return text, variables, nil
}

func (s *Scope) sub(arg any) (any, error) {
	text, variables, err := subArguments(arg)
	if err != nil {
		return nil, err
	}
	parts, err := pieces(text)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, p := range parts {
		if !p.variable {
			b.WriteString(p.text)
			continue
		}
		v, err := s.variable(p.text, variables)
		if err != nil {
			return nil, err
		}
		if v == (Unknown{}) {
			return v, nil
		}
		t, ok := scalarText(v)
		if !ok {
			return nil, invalid("Template error: Fn::Sub expression does not resolve to a string for variable %s", p.text)
		}
		b.WriteString(t)
		if err := s.spend(len(t)); err != nil {
			return nil, err
		}
	}
	if err := s.spend(b.Len()); err != nil {
		return nil, err
	}
	return s.dynamic(b.String())
}

// scalarText is Text that also takes lists, which CloudFormation joins with commas, and no value at all.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			t, ok := Text(e)
			if !ok {
				return "", false
			}
			parts[i] = t
		}
		return strings.Join(parts, ","), true
	case noValue:
		return "", true
	}
	return Text(v)
}

func (s *Scope) variable(name string, variables map[string]any) (any, error) {
	if v, ok := variables[name]; ok {
		return s.eval(v)
	}
	if id, attribute, ok := strings.Cut(name, "."); ok {
		return s.getAtt([]any{id, attribute})
	}
	return s.ref(name)
}

// list evaluates v, which must give a list.
func (s *Scope) list(v any) ([]any, error) {
	out, err := s.eval(v)
	if err != nil {
		return nil, err
	}
	list, ok := out.([]any)
	if !ok {
		return nil, invalid("Template error: a list was expected")
	}
	return list, nil
}

func (s *Scope) join(arg any) (any, error) {
	args, ok := arg.([]any)
	if !ok || len(args) != 2 {
		return nil, invalid(joinShape)
	}
	delimiter, ok := args[0].(string)
	if !ok {
		return nil, invalid(joinShape)
	}
	v, err := s.eval(args[1])
	if err != nil {
		return nil, err
	}
	if v == any(Unknown{}) {
		return v, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, invalid(joinShape)
	}
	parts := make([]string, len(list))
	for i, e := range list {
		if e == any(Unknown{}) {
			return e, nil
		}
		if parts[i], ok = scalarText(e); !ok {
			return nil, invalid(joinShape)
		}
	}
	out := strings.Join(parts, delimiter)
	if err := s.spend(len(out)); err != nil {
		return nil, err
	}
	return s.dynamic(out)
}

func (s *Scope) split(arg any) (any, error) {
	args, ok := arg.([]any)
	if !ok || len(args) != 2 {
		return nil, invalid(splitShape)
	}
	delimiter, ok := args[0].(string)
	if !ok || delimiter == "" {
		return nil, invalid(splitShape)
	}
	v, err := s.eval(args[1])
	if err != nil {
		return nil, err
	}
	if v == any(Unknown{}) {
		return v, nil
	}
	text, ok := Text(v)
	if !ok {
		return nil, invalid(splitShape)
	}
	if err := s.spend(len(text)); err != nil {
		return nil, err
	}
	out := []any{}
	for _, p := range strings.Split(text, delimiter) {
		out = append(out, p)
	}
	return out, nil
}

func (s *Scope) selectItem(arg any) (any, error) {
	args, ok := arg.([]any)
	if !ok || len(args) != 2 {
		return nil, invalid(selectShape)
	}
	at, err := s.eval(args[0])
	if err != nil {
		return nil, err
	}
	v, err := s.eval(args[1])
	if err != nil {
		return nil, err
	}
	if at == any(Unknown{}) || v == any(Unknown{}) {
		return Unknown{}, nil
	}
	text, _ := Text(at)
	i, err := strconv.Atoi(text)
	list, ok := v.([]any)
	if err != nil || !ok {
		return nil, invalid(selectShape)
	}
	if i < 0 || i >= len(list) {
		return nil, invalid("Template error: Fn::Select cannot select nonexistent value at index %d", i)
	}
	return list[i], nil
}

// branch picks the expression of Fn::If whose condition holds, not yet evaluated.
func (s *Scope) branch(arg any) (any, error) {
	args, ok := arg.([]any)
	if !ok || len(args) != 3 {
		return nil, invalid(ifShape)
	}
	name, ok := args[0].(string)
	if !ok {
		return nil, invalid("Template error: Fn::If requires a list argument with the first element being a condition")
	}
	if _, ok := s.Template.Conditions[name]; !ok {
		return nil, invalid("Template error: unresolved condition dependency %s in Fn::If", name)
	}
	holds, err := s.Holds(name)
	if err != nil {
		return nil, err
	}
	if holds {
		return args[1], nil
	}
	return args[2], nil
}

func (s *Scope) findInMap(arg any) (any, error) {
	args, ok := arg.([]any)
	if !ok || len(args) < 3 || len(args) > 4 {
		return nil, invalid(findShape)
	}
	names := make([]string, 3)
	for i, a := range args[:3] {
		v, err := s.eval(a)
		if err != nil {
			return nil, err
		}
		if names[i], ok = Text(v); !ok {
			return nil, invalid(findShape)
		}
	}
	first, _ := s.Template.Mappings[names[0]].(map[string]any)
	second, _ := first[names[1]].(map[string]any)
	if v, ok := second[names[2]]; ok {
		return s.eval(v)
	}
	if len(args) == 4 {
		options, _ := args[3].(map[string]any)
		fallback, ok := options["DefaultValue"]
		if !s.extended || !ok {
			return nil, invalid(findShape)
		}
		return s.eval(fallback)
	}
	if first == nil {
		return nil, invalid("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", names[0])
	}
	return nil, invalid("Template error: Unable to get mapping for %s", strings.Join(names, "::"))
}

func (s *Scope) base64(arg any) (any, error) {
	v, err := s.eval(arg)
	if err != nil {
		return nil, err
	}
	if v == any(Unknown{}) {
		return v, nil
	}
	text, ok := Text(v)
	if !ok {
		return nil, invalid(base64Shape)
	}
	out := base64.StdEncoding.EncodeToString([]byte(text))
	return out, s.spend(len(out))
}

func (s *Scope) importValue(arg any) (any, error) {
	v, err := s.eval(arg)
	if err != nil {
		return nil, err
	}
	name, ok := Text(v)
	if !ok {
		return nil, invalid(importShape)
	}
	if s.Import == nil {
		return nil, invalid("Template error: Fn::ImportValue is not allowed here")
	}
	return s.Import(name)
}

func (s *Scope) zones(arg any) (any, error) {
	v, err := s.eval(arg)
	if err != nil {
		return nil, err
	}
	region, ok := Text(v)
	if !ok {
		return nil, invalid("Template error: every Fn::GetAZs object must have a String-typed value.")
	}
	if region == "" {
		region, _ = Text(s.Values["AWS::Region"])
	}
	out := []any{}
	if s.Zones != nil {
		for _, z := range s.Zones(region) {
			out = append(out, z)
		}
	}
	return out, nil
}

// extension evaluates the two functions that AWS::LanguageExtensions adds.
func (s *Scope) extension(name string, arg any) (any, error) {
	v, err := s.eval(arg)
	if err != nil {
		return nil, err
	}
	if hasUnknown(v) {
		return Unknown{}, nil
	}
	if name == "Fn::Length" {
		list, ok := v.([]any)
		if !ok {
			return nil, invalid("Template error: Fn::Length expects a list")
		}
		return json.Number(strconv.Itoa(len(list))), nil
	}
	switch v.(type) {
	case []any, map[string]any:
	default:
		return nil, invalid("Template error: Fn::ToJsonString expects an object or a list")
	}
	out, err := Encode(v)
	if err != nil {
		return nil, err
	}
	return out, s.spend(len(out))
}

func hasUnknown(v any) bool {
	switch v := v.(type) {
	case Unknown:
		return true
	case []any:
		return slices.ContainsFunc(v, hasUnknown)
	case map[string]any:
		for _, e := range v {
			if hasUnknown(e) {
				return true
			}
		}
	}
	return false
}

// HasUnknown tells whether v is, or holds, a value that only the deployment will tell.
func HasUnknown(v any) bool { return hasUnknown(v) }
