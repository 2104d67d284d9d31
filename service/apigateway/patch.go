package apigateway

import (
	"strconv"
	"strings"

	"lambent/cloud"
)

// A patch is one checked patch operation.
type patch struct {
	op, path string
	segments []string // unescaped
	value    *string
}

// patches reads patch operations. Only add, remove and replace exist for the things here, but for what canaries copy.
func patches(ops []PatchOperation) ([]patch, error) {
	out := make([]patch, len(ops))
	for i, o := range ops {
		p := patch{op: cloud.Val(o.Op), path: cloud.Or(o.Path, "null"), value: o.Value}
		switch p.op {
		case "add", "remove", "replace":
		default:
			return nil, badRequest("Invalid patch operation specified. Must be one of: [add, remove, replace]")
		}
		for s := range strings.SplitSeq(strings.TrimPrefix(p.path, "/"), "/") {
			p.segments = append(p.segments, strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~"))
		}
		out[i] = p
	}
	return out, nil
}

// A setter applies one patch to the member it was made for.
type setter func(p patch) error

// A target maps the paths of a thing to setters: "/name", or "/map/*" for the entries of a map.
type target map[string]setter

// apply runs all operations; the first that is wrong ends it.
func (t target) apply(ops []PatchOperation) error {
	ps, err := patches(ops)
	if err != nil {
		return err
	}
	for _, p := range ps {
		set := t[p.path]
		if set == nil && len(p.segments) == 2 && p.segments[1] != "" {
			set = t["/"+p.segments[0]+"/*"]
		}
		if set == nil {
			return invalidPath(p)
		}
		if err := set(p); err != nil {
			return err
		}
	}
	return nil
}

func invalidPath(p patch) error { return badRequest("Invalid patch path %s", p.path) }

// str sets a string: remove takes it away, and so does replacing it by nothing.
func str(at **string) setter {
	return func(p patch) error {
		if p.op == "remove" || cloud.Val(p.value) == "" {
			*at = nil
			return nil
		}
		*at = new(cloud.Val(p.value))
		return nil
	}
}

// replaceStr sets a string that is always there: only replace is allowed.
func replaceStr(at **string) setter {
	return func(p patch) error {
		if p.op != "replace" {
			return invalidPath(p)
		}
		*at = new(cloud.Val(p.value))
		return nil
	}
}

func boolean(at **bool) setter {
	return func(p patch) error {
		*at = new(p.op != "remove" && strings.EqualFold(cloud.Val(p.value), "true"))
		return nil
	}
}

func integer(at **int32) setter {
	return func(p patch) error {
		if p.op == "remove" || cloud.Val(p.value) == "" {
			*at = nil
			return nil
		}
		n, err := strconv.ParseInt(cloud.Val(p.value), 10, 32)
		if err != nil {
			return badRequest("Invalid value for %s: must be an integer", p.path)
		}
		*at = new(int32(n))
		return nil
	}
}

// entries sets entries of a map of strings. missing, if given, is the refusal to replace or remove what is not there.
func entries(at *map[string]string, missing string) setter {
	return func(p patch) error {
		return setEntry(at, p, missing, cloud.Val(p.value))
	}
}

func boolEntries(at *map[string]bool, missing string) setter {
	return func(p patch) error {
		return setEntry(at, p, missing, strings.EqualFold(cloud.Val(p.value), "true"))
	}
}

func setEntry[T any](at *map[string]T, p patch, missing string, v T) error {
	key := p.segments[len(p.segments)-1]
	_, have := (*at)[key]
	if !have && p.op != "add" && missing != "" {
		return notFound("%s", missing)
	}
	if p.op == "remove" {
		delete(*at, key)
		if len(*at) == 0 {
			*at = nil
		}
		return nil
	}
	if *at == nil {
		*at = map[string]T{}
	}
	(*at)[key] = v
	return nil
}

// refused answers a path that AWS has and this does not, unless it asks for what is so anyway.
func refused(what string, harmless func(p patch) bool) setter {
	return func(p patch) error {
		if harmless != nil && harmless(p) {
			return nil
		}
		return cloud.NotImplemented(what)
	}
}

// off says whether a patch switches something off, or takes it away.
func off(p patch) bool {
	return p.op == "remove" || strings.EqualFold(cloud.Val(p.value), "false") || cloud.Val(p.value) == ""
}
