package cfn

import (
	"slices"
	"strings"
)

// Unknown is a value that only the deployment will tell: the id of a resource not made yet. Whatever is
// built from it is unknown as well. Its text is the one that AWS shows in change sets.
type Unknown struct{}

// UnknownText stands for an Unknown in what is shown to people.
const UnknownText = "{{changeSet:KNOWN_AFTER_APPLY}}"

// noValue is what AWS::NoValue gives; the member that has it is left out.
type noValue struct{}

// A Scope evaluates the expressions of a template. The functions may be nil: then expressions that need
// them are errors (or, for Resolve, are left as they are).
type Scope struct {
	Template *Template

	// Values holds parameters (as [Parameter.Value] gives them) and pseudo parameters.
	Values map[string]any

	Ref     func(id string) (any, error)
	GetAtt  func(id, attribute string) (any, error)
	Import  func(name string) (any, error)
	Zones   func(region string) []string
	Resolve func(Dynamic) (any, error)

	conditions map[string]bool
	extended   bool
	steps      int
	bytes      int
}

// NewScope returns a scope for t with the given values; conditions are evaluated on first use.
func NewScope(t *Template, values map[string]any) *Scope {
	return &Scope{Template: t, Values: values, conditions: map[string]bool{}, extended: slices.Contains(t.Transforms, LanguageExtensions)}
}

// Value evaluates an expression. Members whose value is AWS::NoValue are gone from the result.
func (s *Scope) Value(v any) (any, error) {
	out, err := s.eval(v)
	if err != nil {
		return nil, err
	}
	if _, none := out.(noValue); none {
		return nil, nil
	}
	return out, nil
}

// Properties evaluates the properties of a resource.
func (s *Scope) Properties(r *Resource) (map[string]any, error) {
	v, err := s.Value(map[string]any(r.Properties))
	if err != nil || v == nil {
		return map[string]any{}, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: [/Resources/%s/Properties] 'Properties' must be an object", r.ID)
	}
	return m, nil
}

// Active returns the resources whose condition holds, by logical id.
func (s *Scope) Active() (map[string]*Resource, error) {
	out := map[string]*Resource{}
	for _, id := range sortedKeys(s.Template.Resources) {
		r := s.Template.Resources[id]
		ok, err := s.Holds(r.Condition)
		if err != nil {
			return nil, err
		}
		if ok {
			out[id] = r
		}
	}
	return out, nil
}

// Holds evaluates the named condition; "" holds always.
func (s *Scope) Holds(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	if b, ok := s.conditions[name]; ok {
		return b, nil
	}
	expr, ok := s.Template.Conditions[name]
	if !ok {
		return false, invalid("Template format error: Unresolved condition dependency %s", name)
	}
	b, err := s.condition(expr)
	if err != nil {
		return false, err
	}
	s.conditions[name] = b
	return b, nil
}

// Conditions evaluates all conditions.
func (s *Scope) Conditions() (map[string]bool, error) {
	out := map[string]bool{}
	for _, name := range sortedKeys(s.Template.Conditions) {
		b, err := s.Holds(name)
		if err != nil {
			return nil, err
		}
		out[name] = b
	}
	return out, nil
}

// condition evaluates a condition expression. References among conditions were checked to be free of
// cycles when the template was compiled.
func (s *Scope) condition(v any) (bool, error) {
	if err := s.spend(0); err != nil {
		return false, err
	}
	name, arg, ok := function(v)
	if !ok {
		return s.truth(v)
	}
	switch name {
	case "Condition":
		c, ok := arg.(string)
		if !ok {
			return false, invalid("Template error: every Condition object must have a single String value.")
		}
		return s.Holds(c)
	case "Fn::Equals":
		return s.equals(arg)
	case "Fn::Not":
		list, ok := arg.([]any)
		if !ok || len(list) != 1 {
			return false, invalid("Template error: every Fn::Not object requires one boolean parameter.")
		}
		b, err := s.condition(list[0])
		return !b, err
	case "Fn::And", "Fn::Or":
		return s.junction(name, arg)
	case "Fn::If":
		v, err := s.branch(arg)
		if err != nil {
			return false, err
		}
		return s.condition(v)
	case "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn":
		return s.membership(name, arg)
	}
	return s.truth(v)
}

func (s *Scope) truth(v any) (bool, error) {
	out, err := s.eval(v)
	if err != nil {
		return false, err
	}
	switch t, _ := Text(out); {
	case strings.EqualFold(t, "true"):
		return true, nil
	case strings.EqualFold(t, "false"):
		return false, nil
	}
	return false, invalid("Template format error: Conditions can only be boolean operations on parameters and other conditions")
}

func (s *Scope) equals(arg any) (bool, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 {
		return false, invalid("%s", equalsShape)
	}
	a, err := s.eval(list[0])
	if err != nil {
		return false, err
	}
	b, err := s.eval(list[1])
	if err != nil {
		return false, err
	}
	return Equal(a, b), nil
}

func (s *Scope) junction(name string, arg any) (bool, error) {
	list, ok := arg.([]any)
	if !ok || len(list) < 2 || len(list) > 10 {
		return false, invalid("Template error: every %s object requires a list of at least 2 and at most 10 boolean parameters.", name)
	}
	result := name == "Fn::And"
	for _, e := range list {
		b, err := s.condition(e)
		if err != nil {
			return false, err
		}
		if name == "Fn::And" {
			result = result && b
		} else {
			result = result || b
		}
	}
	return result, nil
}

// membership evaluates the functions that only the Rules section has.
func (s *Scope) membership(name string, arg any) (bool, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 {
		return false, invalid("Template error: every %s object requires a list of 2 parameters.", name)
	}
	values, err := s.list(list[0])
	if err != nil {
		return false, err
	}
	second, err := s.eval(list[1])
	if err != nil {
		return false, err
	}
	among, isList := second.([]any)
	if !isList {
		among = []any{second}
	}
	in := func(v any, among []any) bool {
		return slices.ContainsFunc(among, func(e any) bool { return Equal(e, v) })
	}
	if name == "Fn::Contains" {
		return in(second, values), nil
	}
	return !slices.ContainsFunc(values, func(v any) bool { return !in(v, among) }), nil
}

// CheckRules evaluates the Rules section: the first assertion that does not hold is the error.
func (s *Scope) CheckRules() error {
	for _, name := range sortedKeys(s.Template.Rules) {
		rule, ok := s.Template.Rules[name].(map[string]any)
		if !ok {
			return invalid("Template format error: Any Rules member must be an object.")
		}
		if c, ok := rule["RuleCondition"]; ok {
			holds, err := s.condition(c)
			if err != nil {
				return err
			}
			if !holds {
				continue
			}
		}
		assertions, _ := rule["Assertions"].([]any)
		for _, a := range assertions {
			if err := s.assert(name, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Scope) assert(rule string, a any) error {
	m, _ := a.(map[string]any)
	holds, err := s.condition(m["Assert"])
	if err != nil {
		return err
	}
	if !holds {
		text, _ := m["AssertDescription"].(string)
		return invalid("Template validation error: Rule %s failed: %s", rule, text)
	}
	return nil
}

// spend counts one evaluation and n bytes of output against the scope's bounds.
func (s *Scope) spend(n int) error {
	s.steps++
	s.bytes += n
	if s.steps > maxSteps || s.bytes > maxOutput {
		return invalid("Template error: the template evaluates to too many or too large values")
	}
	return nil
}
