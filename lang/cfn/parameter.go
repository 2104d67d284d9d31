package cfn

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
)

// A Parameter is one member of the Parameters section.
type Parameter struct {
	Name        string
	Type        string
	Default     *string // nil when the caller must give a value
	Description string
	NoEcho      bool
	Constraint  string // ConstraintDescription
	Allowed     []string
	pattern     string
	minLength   *int
	maxLength   *int
	minValue    *float64
	maxValue    *float64
}

// Masked is what stands for the value of a NoEcho parameter wherever it is shown.
const Masked = "****"

const ssmValue = "AWS::SSM::Parameter::Value<"

// FromStore tells whether the value names a parameter of the SSM parameter store, whose value is meant.
func (p *Parameter) FromStore() bool { return strings.HasPrefix(p.Type, ssmValue) }

// IsList tells whether Ref of the parameter gives a list.
func (p *Parameter) IsList() bool {
	t := strings.TrimSuffix(strings.TrimPrefix(p.Type, ssmValue), ">")
	return t == "CommaDelimitedList" || strings.HasPrefix(t, "List<")
}

var parameterMembers = []string{"Type", "Default", "Description", "NoEcho", "AllowedValues", "AllowedPattern",
	"MinLength", "MaxLength", "MinValue", "MaxValue", "ConstraintDescription"}

var parameterType = regexp.MustCompile(`^(String|Number|CommaDelimitedList|List<(Number|String|AWS::[A-Za-z0-9:]+)>|` +
	`AWS::(EC2|Route53|SSM)::[A-Za-z0-9:]+|AWS::SSM::Parameter::Value<(String|CommaDelimitedList|List<String>|AWS::[A-Za-z0-9:]+|List<AWS::[A-Za-z0-9:]+>)>)$`)

// Parameters reads the Parameters section.
func (b Body) Parameters() (map[string]*Parameter, error) {
	section, err := b.section("Parameters")
	if err != nil {
		return nil, err
	}
	if len(section) > maxParameters {
		return nil, tooMany("parameters", len(section), maxParameters)
	}
	out := map[string]*Parameter{}
	for _, name := range sortedKeys(section) {
		p, err := parameter(name, section[name])
		if err != nil {
			return nil, err
		}
		out[name] = p
	}
	return out, nil
}

func parameter(name string, v any) (*Parameter, error) {
	if !alphanumeric(name) || len(name) > 255 {
		return nil, invalid("Template format error: Parameter name %s is non alphanumeric.", name)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: Any Parameters member must be an object.")
	}
	for _, member := range sortedKeys(m) {
		if !slices.Contains(parameterMembers, member) {
			return nil, invalid("Invalid template parameter property '%s'", member)
		}
	}
	p := &Parameter{Name: name}
	if p.Type, ok = m["Type"].(string); !ok {
		return nil, invalid("Template format error: Every Parameters object must contain a Type member.")
	}
	if !parameterType.MatchString(p.Type) {
		return nil, invalid("Template format error: Unrecognized parameter type: %s", p.Type)
	}
	return p, p.members(m)
}

func (p *Parameter) members(m map[string]any) error {
	if d, ok := m["Default"]; ok {
		s, ok := Text(d)
		if !ok {
			return invalid("Template format error: Every Default member must be a string.")
		}
		p.Default = &s
	}
	for member, to := range map[string]*string{"Description": &p.Description, "AllowedPattern": &p.pattern, "ConstraintDescription": &p.Constraint} {
		if v, ok := m[member]; ok {
			if *to, ok = Text(v); !ok {
				return invalid("Template format error: Every %s member must be a string.", member)
			}
		}
	}
	if v, ok := m["NoEcho"]; ok {
		s, _ := Text(v)
		p.NoEcho = strings.EqualFold(s, "true")
	}
	if v, ok := m["AllowedValues"]; ok {
		list, ok := v.([]any)
		if !ok {
			return invalid("Template format error: Parameter %s AllowedValues must be a list.", p.Name)
		}
		p.Allowed = []string{}
		for _, e := range list {
			s, ok := Text(e)
			if !ok {
				return invalid("Template format error: Parameter %s AllowedValues must be a list of strings.", p.Name)
			}
			p.Allowed = append(p.Allowed, s)
		}
	}
	return p.bounds(m)
}

func (p *Parameter) bounds(m map[string]any) error {
	for member, to := range map[string]**int{"MinLength": &p.minLength, "MaxLength": &p.maxLength} {
		if v, ok := m[member]; ok {
			s, _ := Text(v)
			n, err := strconv.Atoi(s)
			if err != nil {
				return invalid("Template format error: Parameter %s %s must be a number.", p.Name, member)
			}
			*to = &n
		}
	}
	for member, to := range map[string]**float64{"MinValue": &p.minValue, "MaxValue": &p.maxValue} {
		if v, ok := m[member]; ok {
			s, _ := Text(v)
			n, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return invalid("Template format error: Parameter %s %s must be a number.", p.Name, member)
			}
			*to = &n
		}
	}
	return nil
}

// Given is what a caller says of one parameter.
type Given struct {
	Value       string
	UsePrevious bool
}

// Bind gives each declared parameter its value: what was given, the previous one where the caller asks for
// it, or the default. The result holds texts; [Parameter.Value] makes the value that Ref gives of it.
func Bind(declared map[string]*Parameter, given map[string]Given, previous map[string]string) (map[string]string, error) {
	var unknown, missing []string
	for _, name := range sortedKeys(given) {
		if declared[name] == nil {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	out := map[string]string{}
	for _, name := range sortedKeys(declared) {
		p := declared[name]
		g, ok := given[name]
		if ok && g.UsePrevious {
			g.Value, ok = previous[name]
			if !ok && p.Default == nil {
				return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", name)
			}
		}
		if !ok && p.Default != nil {
			g.Value, ok = *p.Default, true
		}
		if !ok {
			missing = append(missing, name)
			continue
		}
		out[name] = g.Value
	}
	if len(missing) == 1 && declared[missing[0]].FromStore() {
		return nil, invalid("Parameter %s should either have input value or default value", missing[0])
	}
	if missing != nil {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	for _, name := range sortedKeys(declared) {
		if err := declared[name].check(out[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// check tells whether value keeps the parameter's constraints.
func (p *Parameter) check(value string) error {
	if p.Type == "Number" {
		if _, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil {
			return invalid("Parameter '%s' must be a number.", p.Name)
		}
	}
	values := []string{value}
	if p.IsList() && !p.FromStore() {
		values = splitList(value)
	}
	for _, v := range values {
		if p.Type == "List<Number>" {
			if _, err := strconv.ParseFloat(v, 64); err != nil {
				return invalid("Parameter '%s' must be a list of numbers.", p.Name)
			}
		}
		reason, err := p.broken(v)
		if err != nil {
			return err
		}
		if reason != "" && p.Constraint != "" {
			return invalid("Parameter %s failed to satisfy constraint: %s", p.Name, p.Constraint)
		}
		if reason != "" {
			return invalid("Parameter '%s' %s", p.Name, reason)
		}
	}
	return nil
}

// broken says which constraint v breaks, "" when none.
func (p *Parameter) broken(v string) (reason string, err error) {
	if p.Allowed != nil && !slices.Contains(p.Allowed, v) {
		return "must be one of AllowedValues", nil
	}
	if p.pattern != "" {
		re, err := regexp.Compile("^(?:" + p.pattern + ")$")
		if err != nil {
			return "", cloud.NotImplemented("AllowedPattern of parameter " + p.Name + " (" + p.pattern + ")")
		}
		if !re.MatchString(v) {
			return "must match pattern " + p.pattern, nil
		}
	}
	length := len([]rune(v))
	switch {
	case p.minLength != nil && length < *p.minLength:
		return "must contain at least " + strconv.Itoa(*p.minLength) + " characters", nil
	case p.maxLength != nil && length > *p.maxLength:
		return "must contain at most " + strconv.Itoa(*p.maxLength) + " characters", nil
	}
	if p.minValue == nil && p.maxValue == nil {
		return "", nil
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
	switch {
	case p.minValue != nil && n < *p.minValue:
		return "must be a number not less than " + strconv.FormatFloat(*p.minValue, 'f', -1, 64), nil
	case p.maxValue != nil && n > *p.maxValue:
		return "must be a number not greater than " + strconv.FormatFloat(*p.maxValue, 'f', -1, 64), nil
	}
	return "", nil
}

// Value is what Ref of the parameter gives when its text (for a store parameter: the stored text) is s.
func (p *Parameter) Value(s string) any {
	if !p.IsList() {
		if p.Type == "Number" && jsonNumber.MatchString(s) {
			return json.Number(s)
		}
		return s
	}
	list := []any{}
	for _, e := range splitList(s) {
		list = append(list, e)
	}
	return list
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
