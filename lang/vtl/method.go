package vtl

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// call calls one of the Java methods that templates use. What Velocity could not find is nothing.
func (r *rendering) call(v any, name string, args []any) (any, error) {
	for i := range args {
		args[i] = normal(args[i])
	}
	if o, ok := v.(Object); ok {
		result, found, err := o.Call(name, args)
		if !found || err != nil {
			return nil, err
		}
		if s, ok := result.(string); ok {
			return result, r.spend(len(s))
		}
		return result, nil
	}
	switch name {
	case "toString":
		if len(args) == 0 {
			return r.display(v)
		}
	case "equals":
		if len(args) == 1 {
			return r.equalsMethod(v, args[0])
		}
	}
	switch v := v.(type) {
	case string:
		return r.stringMethod(v, name, args)
	case *List:
		return r.listMethod(v, name, args)
	case *Map:
		return r.mapMethod(v, name, args)
	case entry:
		switch name {
		case "getKey":
			return v.key, nil
		case "getValue":
			return v.value, nil
		}
	case int64, float64:
		return numberMethod(v, name, args), nil
	case bool:
		if s, ok := arg[string](args, 0); ok && name == "parseBoolean" {
			return strings.EqualFold(s, "true"), nil
		}
	}
	return nil, nil
}

// equalsMethod is Java's equals, which unlike == wants the same kind.
func (r *rendering) equalsMethod(a, b any) (any, error) {
	if fmt.Sprintf("%T", a) != fmt.Sprintf("%T", b) {
		return false, nil
	}
	return r.equal(a, b, 0)
}

func arg[T any](args []any, i int) (T, bool) {
	if i >= len(args) {
		var zero T
		return zero, false
	}
	v, ok := args[i].(T)
	return v, ok
}

func numberMethod(v any, name string, args []any) any {
	f, _ := asFloat(v)
	switch name {
	case "intValue", "longValue":
		return int64(f)
	case "doubleValue", "floatValue":
		return f
	case "compareTo":
		if o, ok := asFloat(at(args, 0)); ok {
			switch {
			case f < o:
				return int64(-1)
			case f > o:
				return int64(1)
			}
			return int64(0)
		}
	case "parseInt", "parseLong", "valueOf": // $Integer.parseInt with #set($Integer = 0)
		if s, ok := arg[string](args, 0); ok {
			if i, err := strconv.ParseInt(s, 10, 64); err == nil {
				return i
			}
		}
	case "parseDouble", "parseFloat":
		if s, ok := arg[string](args, 0); ok {
			if d, err := strconv.ParseFloat(s, 64); err == nil {
				return d
			}
		}
	}
	return nil
}

func at(args []any, i int) any {
	if i < len(args) {
		return args[i]
	}
	return nil
}

// stringMethod has the methods of java.lang.String.
func (r *rendering) stringMethod(s, name string, args []any) (any, error) {
	if err := r.work(len(s) / 64); err != nil {
		return nil, err
	}
	switch name {
	case "length":
		return int64(utf16Len(s)), nil
	case "isEmpty":
		return s == "", nil
	case "trim":
		return strings.TrimFunc(s, func(c rune) bool { return c <= ' ' }), nil
	case "toLowerCase":
		return strings.ToLower(s), r.spend(len(s))
	case "toUpperCase":
		return strings.ToUpper(s), r.spend(len(s))
	case "substring", "subSequence":
		return substring(s, args), r.spend(len(s))
	case "charAt":
		if i, ok := arg[int64](args, 0); ok {
			return substring(s, []any{i, i + 1}), nil
		}
		return nil, nil
	case "hashCode":
		var h int32
		for _, u := range utf16.Encode([]rune(s)) {
			h = 31*h + int32(u)
		}
		return int64(h), nil
	}
	if len(args) == 0 {
		return nil, nil
	}
	a, ok := args[0].(string)
	if !ok {
		if args[0] == nil {
			return nil, nil
		}
		var err error
		if a, err = r.display(args[0]); err != nil {
			return nil, err
		}
	}
	return r.stringWith(s, name, a, args)
}

// stringWith has the methods whose first argument is a string.
func (r *rendering) stringWith(s, name, a string, args []any) (any, error) {
	switch name {
	case "contains":
		return strings.Contains(s, a), nil
	case "startsWith":
		return strings.HasPrefix(s, a), nil
	case "endsWith":
		return strings.HasSuffix(s, a), nil
	case "indexOf":
		return javaIndex(s, strings.Index(s, a)), nil
	case "lastIndexOf":
		return javaIndex(s, strings.LastIndex(s, a)), nil
	case "equalsIgnoreCase":
		return strings.EqualFold(s, a), nil
	case "compareTo":
		return int64(strings.Compare(s, a)), nil
	case "concat":
		return s + a, r.spend(len(s) + len(a))
	case "matches":
		re, err := compile("^(?:" + a + ")$")
		if err != nil {
			return nil, err
		}
		return re.MatchString(s), nil
	case "split":
		return r.split(s, a, args)
	}
	b, ok := arg[string](args, 1)
	if !ok {
		return nil, nil
	}
	switch name {
	case "replace":
		if n := strings.Count(s, a); n > 0 && n*(len(b)-len(a)) > r.limits.Bytes-r.bytes-len(s) {
			return nil, ErrBytes
		}
		out := strings.ReplaceAll(s, a, b)
		return out, r.spend(len(out))
	case "replaceAll", "replaceFirst":
		return r.replaceRegexp(s, a, b, name == "replaceAll")
	}
	return nil, nil
}

func compile(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("vtl: regular expression %q: %w", pattern, err)
	}
	return re, nil
}

// replaceRegexp is Java's replaceAll and replaceFirst: $1 is a group, a backslash takes the next character as it is.
func (r *rendering) replaceRegexp(s, pattern, with string, all bool) (any, error) {
	re, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	n := -1
	if !all {
		n = 1
	}
	var b strings.Builder
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, n) {
		b.WriteString(s[end:m[0]])
		expand(&b, with, s, m)
		end = m[1]
		if b.Len() > r.limits.Bytes-r.bytes {
			return nil, ErrBytes
		}
	}
	b.WriteString(s[end:])
	return b.String(), r.spend(b.Len())
}

func expand(b *strings.Builder, with, s string, match []int) {
	for i := 0; i < len(with); i++ {
		switch c := with[i]; {
		case c == '\\' && i+1 < len(with):
			i++
			b.WriteByte(with[i])
		case c == '$' && i+1 < len(with) && isDigit(with[i+1]):
			i++
			if g := 2 * int(with[i]-'0'); g+1 < len(match) && match[g] >= 0 {
				b.WriteString(s[match[g]:match[g+1]])
			}
		default:
			b.WriteByte(c)
		}
	}
}

// split is Java's: the separator is a regular expression, and empty strings at the end go.
func (r *rendering) split(s, pattern string, args []any) (any, error) {
	re, err := compile(pattern)
	if err != nil {
		return nil, err
	}
	limit, limited := arg[int64](args, 1)
	n := -1
	if limited && limit > 0 {
		n = int(min(limit, 1<<20))
	}
	var parts []string
	if s == "" {
		parts = []string{""}
	} else {
		parts = re.Split(s, n)
	}
	if !limited || limit == 0 {
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	l := &List{Items: make([]any, len(parts))}
	for i, p := range parts {
		l.Items[i] = p
	}
	return l, r.work(len(parts))
}

func utf16Len(s string) int {
	n := 0
	for _, c := range s {
		n += utf16.RuneLen(max(c, 0))
	}
	return n
}

// javaIndex turns a byte index into an index of UTF-16 units.
func javaIndex(s string, i int) int64 {
	if i < 0 {
		return -1
	}
	return int64(utf16Len(s[:i]))
}

// substring is Java's; an index out of range gives nothing, where Java throws.
func substring(s string, args []any) any {
	from, ok := arg[int64](args, 0)
	if !ok {
		return nil
	}
	units := utf16.Encode([]rune(s))
	to := int64(len(units))
	if len(args) > 1 {
		if to, ok = args[1].(int64); !ok {
			return nil
		}
	}
	if from < 0 || to > int64(len(units)) || from > to {
		return nil
	}
	return string(utf16.Decode(units[from:to]))
}

// listMethod has the methods of java.util.List.
func (r *rendering) listMethod(l *List, name string, args []any) (any, error) {
	switch name {
	case "size":
		return int64(len(l.Items)), nil
	case "isEmpty":
		return len(l.Items) == 0, nil
	case "clear":
		l.Items = nil
		return nil, nil
	}
	if len(args) == 0 {
		return nil, nil
	}
	i, isIndex := args[0].(int64)
	inside := isIndex && i >= 0 && i < int64(len(l.Items))
	switch name {
	case "get":
		if inside {
			return l.Items[i], nil
		}
	case "set":
		if inside && len(args) > 1 {
			old := l.Items[i]
			l.Items[i] = args[1]
			return old, nil
		}
	case "add":
		return r.listAdd(l, args)
	case "addAll":
		if o, ok := args[0].(*List); ok {
			if err := r.work(len(o.Items)); err != nil {
				return nil, err
			}
			l.Items = append(l.Items, o.Items...)
			return len(o.Items) > 0, nil
		}
	case "remove":
		if inside {
			old := l.Items[i]
			l.Items = slices.Delete(slices.Clone(l.Items), int(i), int(i)+1)
			return old, r.work(len(l.Items))
		}
		at, err := r.indexOf(l, args[0])
		if err != nil || at < 0 || isIndex {
			return false, err
		}
		l.Items = slices.Delete(slices.Clone(l.Items), int(at), int(at)+1)
		return true, r.work(len(l.Items))
	case "contains":
		at, err := r.indexOf(l, args[0])
		return at >= 0, err
	case "indexOf":
		return r.indexOf(l, args[0])
	case "subList":
		if to, ok := arg[int64](args, 1); ok && isIndex && i >= 0 && i <= to && to <= int64(len(l.Items)) {
			return &List{Items: slices.Clone(l.Items[i:to]), JSON: l.JSON}, r.work(int(to - i))
		}
	}
	return nil, nil
}

func (r *rendering) listAdd(l *List, args []any) (any, error) {
	if len(args) == 1 {
		l.Items = append(l.Items, args[0])
		return true, nil
	}
	i, ok := args[0].(int64)
	if !ok || i < 0 || i > int64(len(l.Items)) {
		return nil, nil
	}
	l.Items = slices.Insert(slices.Clone(l.Items), int(i), args[1])
	return nil, r.work(len(l.Items))
}

func (r *rendering) indexOf(l *List, v any) (int64, error) {
	for i, e := range l.Items {
		ok, err := r.equal(e, v, 0)
		if err != nil {
			return -1, err
		}
		if ok {
			return int64(i), nil
		}
	}
	return -1, nil
}

// mapMethod has the methods of java.util.Map.
func (r *rendering) mapMethod(m *Map, name string, args []any) (any, error) {
	switch name {
	case "size":
		return int64(m.Len()), nil
	case "isEmpty":
		return m.Len() == 0, nil
	case "keySet", "values", "entrySet":
		l := &List{Items: make([]any, m.Len())}
		for i, k := range m.keys {
			switch name {
			case "keySet":
				l.Items[i] = k
			case "values":
				l.Items[i] = m.vals[k]
			default:
				l.Items[i] = entry{k, m.vals[k]}
			}
		}
		return l, r.work(m.Len())
	}
	if len(args) == 0 {
		return nil, nil
	}
	if name == "containsValue" {
		at, err := r.indexOf(&List{Items: m.all()}, args[0])
		return at >= 0, err
	}
	if o, ok := args[0].(*Map); ok && name == "putAll" {
		for _, k := range slices.Clone(o.keys) {
			m.Put(k, o.vals[k])
		}
		return nil, r.work(o.Len())
	}
	key, err := r.display(args[0])
	if err != nil {
		return nil, err
	}
	switch name {
	case "get":
		return m.Get(key), nil
	case "getOrDefault":
		if m.Has(key) {
			return m.Get(key), nil
		}
		return at(args, 1), nil
	case "containsKey":
		return m.Has(key), nil
	case "put", "putIfAbsent":
		old := m.Get(key)
		if len(args) > 1 && (name == "put" || old == nil) {
			m.Put(key, args[1])
		}
		return old, nil
	case "remove":
		old := m.Get(key)
		m.Remove(key)
		return old, r.work(m.Len())
	}
	return nil, nil
}

func (m *Map) all() []any {
	vs := make([]any, len(m.keys))
	for i, k := range m.keys {
		vs[i] = m.vals[k]
	}
	return vs
}
