package cfn

import (
	"slices"
	"strings"
)

func unresolved(ids []string, section string) error {
	return invalid("Template format error: Unresolved resource dependencies [%s] in the %s block of the template",
		strings.Join(ids, ", "), section)
}

func circular(ids []string) error {
	return invalid("Circular dependency between resources: [%s]", strings.Join(ids, ", "))
}

var pseudo = []string{"AWS::AccountId", "AWS::NotificationARNs", "AWS::NoValue", "AWS::Partition", "AWS::Region",
	"AWS::StackId", "AWS::StackName", "AWS::URLSuffix"}

// A Reference is one mention of a parameter, pseudo parameter or resource in an expression.
type Reference struct {
	Name      string
	Attribute string // of Fn::GetAtt, "" for Ref
	GetAtt    bool
}

// References lists what the expression v mentions, in every branch of its conditions when scope is nil, and
// in the branches that are taken otherwise.
func References(v any, scope *Scope) ([]Reference, error) {
	w := &referenceWalk{scope: scope}
	err := w.walk(v)
	return w.found, err
}

type referenceWalk struct {
	scope      *Scope
	found      []Reference
	conditions []string
}

func (w *referenceWalk) walk(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := w.walk(e); err != nil {
				return err
			}
		}
	case map[string]any:
		if name, arg, ok := function(v); ok && name != "Condition" {
			return w.function(name, arg)
		}
		for _, k := range sortedKeys(v) {
			if err := w.walk(v[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *referenceWalk) function(name string, arg any) error {
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return invalid(refShape)
		}
		w.found = append(w.found, Reference{Name: id})
		return nil
	case "Fn::GetAtt":
		id, attribute, err := getAttTarget(arg)
		if err != nil {
			return err
		}
		text, _ := attribute.(string)
		w.found = append(w.found, Reference{Name: id, Attribute: text, GetAtt: true})
		return w.walk(attribute)
	case "Fn::Sub":
		return w.sub(arg)
	case "Fn::If":
		return w.branches(arg)
	case "Fn::Equals":
		if list, ok := arg.([]any); !ok || len(list) != 2 {
			return invalid(equalsShape)
		}
	case "Fn::Split":
		if list, ok := arg.([]any); !ok || len(list) != 2 {
			return invalid(splitShape)
		}
	case "Fn::Join":
		if list, ok := arg.([]any); !ok || len(list) != 2 {
			return invalid(joinShape)
		}
	}
	if !functions[name] {
		return invalid("Template validation error: Encountered unsupported function: %s", name)
	}
	return w.walk(arg)
}

func (w *referenceWalk) sub(arg any) error {
	text, variables, err := subArguments(arg)
	if err != nil {
		return err
	}
	parts, err := pieces(text)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, local := variables[p.text]; !p.variable || local {
			continue
		}
		id, attribute, getAtt := strings.Cut(p.text, ".")
		w.found = append(w.found, Reference{id, attribute, getAtt})
	}
	return w.walk(map[string]any(variables))
}

func (w *referenceWalk) branches(arg any) error {
	list, ok := arg.([]any)
	if !ok || len(list) != 3 {
		return invalid(ifShape)
	}
	if name, ok := list[0].(string); ok {
		w.conditions = append(w.conditions, name)
	}
	if w.scope != nil {
		taken, err := w.scope.branch(list)
		if err != nil {
			return err
		}
		return w.walk(taken)
	}
	if err := w.walk(list[1]); err != nil {
		return err
	}
	return w.walk(list[2])
}

// check looks at every reference of the template: what it names must exist.
func (t *Template) check() error {
	if err := t.checkConditions(); err != nil {
		return err
	}
	var missing []string
	for _, id := range sortedKeys(t.Resources) {
		r := t.Resources[id]
		if _, ok := t.Conditions[r.Condition]; r.Condition != "" && !ok {
			return invalid("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.Condition)
		}
		for _, d := range r.DependsOn {
			if t.Resources[d] == nil {
				missing = append(missing, d)
			}
		}
		m, err := t.missing(map[string]any(r.Properties))
		if err != nil {
			return err
		}
		missing = append(missing, m...)
	}
	if missing != nil {
		slices.Sort(missing)
		return unresolved(slices.Compact(missing), "Resources")
	}
	if err := t.checkOutputs(); err != nil {
		return err
	}
	return t.checkCycles()
}

// missing lists the names that v refers to and that are neither parameters nor resources.
func (t *Template) missing(v any) ([]string, error) {
	w := &referenceWalk{}
	if err := w.walk(v); err != nil {
		return nil, err
	}
	for _, c := range w.conditions {
		if _, ok := t.Conditions[c]; !ok {
			return nil, invalid("Template error: unresolved condition dependency %s in Fn::If", c)
		}
	}
	var out []string
	for _, ref := range w.found {
		switch {
		case t.Resources[ref.Name] != nil:
		case ref.GetAtt:
			return nil, undefinedGetAtt(ref.Name)
		case t.Parameters[ref.Name] == nil && !slices.Contains(pseudo, ref.Name):
			out = append(out, ref.Name)
		}
	}
	return out, nil
}

func (t *Template) checkOutputs() error {
	var missing []string
	for _, name := range sortedKeys(t.Outputs) {
		o := t.Outputs[name]
		if _, ok := t.Conditions[o.Condition]; o.Condition != "" && !ok {
			return invalid("Template format error: Unresolved condition dependency %s in the Outputs block of the template", o.Condition)
		}
		m, err := t.missing([]any{o.Value, o.Export})
		if err != nil {
			return err
		}
		missing = append(missing, m...)
	}
	if missing != nil {
		slices.Sort(missing)
		return unresolved(slices.Compact(missing), "Outputs")
	}
	return nil
}

// checkConditions refuses conditions that name unknown or each other's conditions, or resources.
func (t *Template) checkConditions() error {
	edges := map[string][]string{}
	for _, name := range sortedKeys(t.Conditions) {
		refs, err := References(t.Conditions[name], nil)
		if err != nil {
			return err
		}
		if mentions(t.Conditions[name], "Fn::ImportValue") {
			return invalid("Template error: Cannot use Fn::ImportValue in Conditions.")
		}
		for _, r := range refs {
			if r.GetAtt || t.Parameters[r.Name] == nil && !slices.Contains(pseudo, r.Name) {
				return invalid("Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", r.Name)
			}
		}
		for _, c := range conditionNames(t.Conditions[name]) {
			if _, ok := t.Conditions[c]; !ok {
				return invalid("Template format error: Unresolved condition dependency %s in Condition block", c)
			}
			edges[name] = append(edges[name], c)
		}
	}
	if ring := cycle(edges); ring != nil {
		return invalid("Template error: Found circular condition dependency between conditions [%s]", strings.Join(ring, ", "))
	}
	return nil
}

// mentions tells whether a function is called anywhere in an expression.
func mentions(v any, name string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return mentions(e, name) })
	case map[string]any:
		if f, arg, ok := function(v); ok {
			return f == name || mentions(arg, name)
		}
		for _, e := range v {
			if mentions(e, name) {
				return true
			}
		}
	}
	return false
}

// conditionNames lists the conditions that a condition expression is made of.
func conditionNames(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, conditionNames(e)...)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if c, ok := v[k].(string); ok && k == "Condition" && len(v) == 1 {
				out = append(out, c)
				continue
			}
			if list, ok := v[k].([]any); ok && k == "Fn::If" && len(list) > 0 {
				if c, ok := list[0].(string); ok {
					out = append(out, c)
				}
			}
			out = append(out, conditionNames(v[k])...)
		}
	}
	return out
}

func (t *Template) checkCycles() error {
	edges := map[string][]string{}
	for _, id := range sortedKeys(t.Resources) {
		deps, err := t.dependencies(t.Resources[id], nil)
		if err != nil {
			return err
		}
		edges[id] = deps
	}
	if ring := cycle(edges); ring != nil {
		return circular(ring)
	}
	return nil
}

func (t *Template) dependencies(r *Resource, scope *Scope) ([]string, error) {
	refs, err := References(map[string]any(r.Properties), scope)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(r.DependsOn)
	for _, ref := range refs {
		if t.Resources[ref.Name] != nil {
			out = append(out, ref.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Dependencies returns, for each active resource, the active resources that must exist before it. A
// reference to a resource whose condition does not hold is an error; DependsOn of one is not.
func (s *Scope) Dependencies(active map[string]*Resource) (map[string][]string, error) {
	edges := map[string][]string{}
	var missing []string
	for _, id := range sortedKeys(active) {
		deps, err := s.Template.dependencies(active[id], s)
		if err != nil {
			return nil, err
		}
		for _, d := range deps {
			if active[d] != nil {
				edges[id] = append(edges[id], d)
			} else if !slices.Contains(active[id].DependsOn, d) {
				missing = append(missing, d)
			}
		}
	}
	if missing != nil {
		slices.Sort(missing)
		return nil, unresolved(slices.Compact(missing), "Resources")
	}
	return edges, s.checkActiveOutputs(active)
}

func (s *Scope) checkActiveOutputs(active map[string]*Resource) error {
	for _, name := range sortedKeys(s.Template.Outputs) {
		o := s.Template.Outputs[name]
		holds, err := s.Holds(o.Condition)
		if err != nil {
			return err
		}
		if !holds {
			continue
		}
		refs, err := References([]any{o.Value, o.Export}, s)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if s.Template.Resources[ref.Name] != nil && active[ref.Name] == nil {
				return unresolved([]string{ref.Name}, "Outputs")
			}
		}
	}
	return nil
}

// cycle returns the members of all cycles among edges, sorted; nil when there is none.
func cycle(edges map[string][]string) []string {
	c := &components{edges: edges, index: map[string]int{}, low: map[string]int{}, on: map[string]bool{}}
	for _, v := range sortedKeys(edges) {
		if c.index[v] == 0 {
			c.visit(v)
		}
	}
	slices.Sort(c.rings)
	return c.rings
}

// components is Tarjan's search for strongly connected components.
type components struct {
	edges      map[string][]string
	index, low map[string]int // from 1
	on         map[string]bool
	stack      []string
	rings      []string
}

func (c *components) visit(v string) {
	c.index[v] = len(c.index) + 1
	c.low[v] = c.index[v]
	c.stack = append(c.stack, v)
	c.on[v] = true
	for _, w := range c.edges[v] {
		if c.index[w] == 0 {
			c.visit(w)
			c.low[v] = min(c.low[v], c.low[w])
		} else if c.on[w] {
			c.low[v] = min(c.low[v], c.index[w])
		}
	}
	if c.low[v] != c.index[v] {
		return
	}
	at := slices.Index(c.stack, v)
	ring := c.stack[at:]
	if len(ring) > 1 || slices.Contains(c.edges[v], v) {
		c.rings = append(c.rings, ring...)
	}
	for _, w := range ring {
		c.on[w] = false
	}
	c.stack = c.stack[:at]
}
