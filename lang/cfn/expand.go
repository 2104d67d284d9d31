package cfn

import (
	"maps"
	"strings"
)

const forEachPrefix = "Fn::ForEach::"

// Expand writes out what AWS::LanguageExtensions allows where a template must be literal: Fn::ForEach,
// functions in Ref, Fn::GetAtt and the deletion policies. values holds parameters and pseudo parameters.
// A template without the transform is returned as it is.
func (b Body) Expand(values map[string]any) (Body, error) {
	if !b.extended() {
		return b, nil
	}
	mappings, _ := b["Mappings"].(map[string]any)
	conditions, _ := b["Conditions"].(map[string]any)
	t := &Template{Body: b, Mappings: mappings, Conditions: conditions, Transforms: []string{LanguageExtensions}}
	e := &expansion{scope: NewScope(t, values)}
	out := Body{}
	for _, name := range sortedKeys(b) {
		switch name {
		case "Resources", "Outputs", "Conditions":
			v, err := e.value(b[name], nil, 0)
			if err != nil {
				return nil, err
			}
			out[name] = v
		case "Transform":
			out[name] = b[name]
		default:
			out[name] = b[name]
		}
	}
	if err := e.policies(out); err != nil {
		return nil, err
	}
	return out, nil
}

// An expansion carries the scope, which also bounds how much is made.
type expansion struct{ scope *Scope }

// value expands v with the loop identifiers in vars.
func (e *expansion) value(v any, vars map[string]string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, tooDeep()
	}
	if err := e.scope.spend(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		return e.text(v, vars)
	case []any:
		out := make([]any, len(v))
		for i, m := range v {
			r, err := e.value(m, vars, depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	case map[string]any:
		if name, arg, ok := function(v); ok {
			if r, done, err := e.reference(name, arg, vars, depth); done || err != nil {
				return r, err
			}
		}
		return e.object(v, vars, depth)
	}
	return v, nil
}

// text puts loop identifiers into ${x} and &{x}; the latter keeps only letters and digits.
func (e *expansion) text(s string, vars map[string]string) (string, error) {
	if !strings.ContainsAny(s, "$&") {
		return s, nil
	}
	for name, value := range vars {
		s = strings.ReplaceAll(s, "${"+name+"}", value)
		s = strings.ReplaceAll(s, "&{"+name+"}", onlyAlphanumeric(value))
	}
	return s, e.scope.spend(len(s))
}

func onlyAlphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && alphanumeric(string(r)) {
			return r
		}
		return -1
	}, s)
}

// reference expands Ref and Fn::GetAtt, whose names may be expressions; done is false when v is neither.
func (e *expansion) reference(name string, arg any, vars map[string]string, depth int) (v any, done bool, err error) {
	switch name {
	case "Ref":
		if id, ok := arg.(string); ok {
			if value, ok := vars[id]; ok {
				return value, true, nil
			}
		}
	case "Fn::GetAtt":
	default:
		return nil, false, nil
	}
	expanded, err := e.value(arg, vars, depth+1)
	if err != nil {
		return nil, true, err
	}
	if list, ok := expanded.([]any); ok && len(list) > 0 {
		if list[0], err = e.scope.Value(list[0]); err != nil {
			return nil, true, err
		}
	} else if _, ok := expanded.(map[string]any); ok {
		if expanded, err = e.scope.Value(expanded); err != nil {
			return nil, true, err
		}
	}
	return map[string]any{name: expanded}, true, nil
}

func (e *expansion) object(v map[string]any, vars map[string]string, depth int) (any, error) {
	out := map[string]any{}
	for _, k := range sortedKeys(v) {
		if strings.HasPrefix(k, forEachPrefix) {
			if err := e.loop(k, v[k], vars, depth, out); err != nil {
				return nil, err
			}
			continue
		}
		key, err := e.text(k, vars)
		if err != nil {
			return nil, err
		}
		r, err := e.value(v[k], vars, depth+1)
		if err != nil {
			return nil, err
		}
		if err := put(out, key, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func put(out map[string]any, key string, v any) error {
	if _, dup := out[key]; dup {
		return invalid("Template error: Fn::ForEach makes the key %s more than once", key)
	}
	out[key] = v
	return nil
}

// loop unrolls {"Fn::ForEach::Name": [identifier, collection, {key: value}]} into out.
func (e *expansion) loop(key string, arg any, vars map[string]string, depth int, out map[string]any) error {
	args, ok := arg.([]any)
	if !ok || len(args) != 3 {
		return invalid("Template error: %s layout is incorrect", key)
	}
	identifier, ok := args[0].(string)
	fragment, isMap := args[2].(map[string]any)
	if !ok || !isMap || identifier == "" {
		return invalid("Template error: %s layout is incorrect", key)
	}
	if _, taken := vars[identifier]; taken {
		return invalid("Template error: %s uses the identifier %s of the loop around it", key, identifier)
	}
	collection, err := e.collection(key, args[1], vars, depth)
	if err != nil {
		return err
	}
	for _, item := range collection {
		inner := maps.Clone(vars)
		if inner == nil {
			inner = map[string]string{}
		}
		inner[identifier] = item
		made, err := e.object(fragment, inner, depth+1)
		if err != nil {
			return err
		}
		m, _ := made.(map[string]any)
		for _, k := range sortedKeys(m) {
			if err := put(out, k, m[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *expansion) collection(key string, v any, vars map[string]string, depth int) ([]string, error) {
	expanded, err := e.value(v, vars, depth+1)
	if err != nil {
		return nil, err
	}
	list, err := e.scope.list(expanded)
	if err != nil {
		return nil, invalid("Template error: %s: the collection must be a list of strings", key)
	}
	out := []string{}
	for _, m := range list {
		if inner, ok := m.([]any); ok { // a parameter of type list inside a literal list
			for _, x := range inner {
				if t, ok := Text(x); ok {
					out = append(out, t)
				}
			}
			continue
		}
		t, ok := Text(m)
		if !ok {
			return nil, invalid("Template error: %s: the collection must be a list of strings", key)
		}
		out = append(out, t)
	}
	return out, nil
}

// policies evaluates DeletionPolicy and UpdateReplacePolicy, which may refer to parameters.
func (e *expansion) policies(b Body) error {
	resources, _ := b["Resources"].(map[string]any)
	for _, id := range sortedKeys(resources) {
		r, _ := resources[id].(map[string]any)
		for _, member := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if v, ok := r[member].(map[string]any); ok {
				s, err := e.scope.Value(v)
				if err != nil {
					return err
				}
				r[member] = s
			}
		}
	}
	return nil
}
