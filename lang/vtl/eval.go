package vtl

import (
	"errors"
	"math"
	"strings"
)

// Control flow that leaves a body early.
var (
	errStop  = errors.New("vtl: #stop")
	errBreak = errors.New("vtl: #break")
)

// A rendering is one run of a template.
type rendering struct {
	vars   map[string]any
	limits Limits
	steps  int
	bytes  int
	depth  int // blocks within blocks
}

func (r *rendering) tick() error {
	if r.steps++; r.steps > r.limits.Steps {
		return ErrSteps
	}
	return nil
}

// spend counts bytes of a string that was made.
func (r *rendering) spend(n int) error {
	if r.bytes += n; r.bytes > r.limits.Bytes {
		return ErrBytes
	}
	return nil
}

// work counts n elements looked at.
func (r *rendering) work(n int) error {
	if r.steps += n; r.steps > r.limits.Steps {
		return ErrSteps
	}
	return nil
}

func (r *rendering) render(out *strings.Builder, body []node) error {
	if r.depth++; r.depth > maxValueDepth+maxNesting {
		return ErrNested
	}
	defer func() { r.depth-- }()
	for _, n := range body {
		if err := r.tick(); err != nil {
			return err
		}
		if err := r.node(out, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *rendering) node(out *strings.Builder, n node) error {
	switch n := n.(type) {
	case text:
		return r.emit(out, string(n))
	case *reference:
		return r.printReference(out, n)
	case setNode:
		return r.set(n)
	case ifNode:
		for _, b := range n.branches {
			ok := b.condition == nil
			if !ok {
				v, err := r.eval(b.condition)
				if err != nil {
					return err
				}
				ok = truth(v)
			}
			if ok {
				return r.render(out, b.body)
			}
		}
	case foreachNode:
		return r.foreach(out, n)
	case defineNode:
		r.vars[n.name] = &block{n.body}
	case breakNode:
		return errBreak
	case stopNode:
		return errStop
	}
	return nil
}

func (r *rendering) emit(out *strings.Builder, s string) error {
	if out.Len()+len(s) > r.limits.Output {
		return ErrBytes
	}
	out.WriteString(s)
	return r.spend(len(s))
}

func (r *rendering) printReference(out *strings.Builder, ref *reference) error {
	if ref.escapes > 0 {
		if err := r.emit(out, strings.Repeat(`\`, ref.escapes/2)); err != nil {
			return err
		}
		if ref.escapes%2 == 1 {
			return r.emit(out, ref.source)
		}
	}
	v, err := r.resolve(ref)
	if err != nil || v == nil {
		return err
	}
	if b, ok := v.(*block); ok {
		return r.render(out, b.body)
	}
	s, err := r.display(v)
	if err != nil {
		return err
	}
	return r.emit(out, s)
}

// set assigns; as in Velocity 1.7 a value that is nothing leaves the target as it was.
func (r *rendering) set(n setNode) error {
	v, err := r.eval(n.value)
	if err != nil || v == nil {
		return err
	}
	if len(n.target.steps) == 0 {
		r.vars[n.target.name] = v
		return nil
	}
	last := len(n.target.steps) - 1
	holder, err := r.follow(normal(r.vars[n.target.name]), n.target.steps[:last])
	if err != nil {
		return err
	}
	s := n.target.steps[last]
	if s.call {
		return nil
	}
	if s.index == nil {
		if m, ok := holder.(*Map); ok {
			m.Put(s.name, v)
		}
		return nil
	}
	at, err := r.eval(s.index)
	if err != nil {
		return err
	}
	switch h := holder.(type) {
	case *Map:
		k, err := r.display(at)
		if err != nil {
			return err
		}
		h.Put(k, v)
	case *List:
		if i, ok := at.(int64); ok && i >= 0 && i < int64(len(h.Items)) {
			h.Items[i] = v
		}
	}
	return nil
}

func (r *rendering) foreach(out *strings.Builder, n foreachNode) error {
	v, err := r.eval(n.list)
	if err != nil {
		return err
	}
	items, err := r.elements(v)
	if err != nil {
		return err
	}
	if len(items) > r.limits.Loop {
		return ErrLoop
	}
	outer, hadOuter := r.vars["foreach"]
	before, hadBefore := r.vars[n.name]
	defer func() {
		restore(r.vars, "foreach", outer, hadOuter)
		restore(r.vars, n.name, before, hadBefore)
	}()
	for i, item := range items {
		r.vars[n.name] = item
		state := MapOf("index", int64(i), "count", int64(i+1), "hasNext", i+1 < len(items),
			"first", i == 0, "last", i+1 == len(items))
		if hadOuter {
			state.Put("parent", outer)
		}
		r.vars["foreach"] = state
		r.vars["velocityCount"] = int64(i + 1)
		r.vars["velocityHasNext"] = i+1 < len(items)
		err := r.render(out, n.body)
		if err == errBreak {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func restore(vars map[string]any, name string, v any, had bool) {
	if had {
		vars[name] = v
		return
	}
	delete(vars, name)
}

// elements lists what #foreach goes through: a list, or a map's values.
func (r *rendering) elements(v any) ([]any, error) {
	switch v := v.(type) {
	case *List:
		return append([]any(nil), v.Items...), r.work(len(v.Items))
	case *Map:
		items := make([]any, len(v.keys))
		for i, k := range v.keys {
			items[i] = v.vals[k]
		}
		return items, r.work(len(items))
	}
	return nil, nil
}

func (r *rendering) eval(x expr) (any, error) {
	if err := r.tick(); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case literal:
		return x.value, nil
	case *reference:
		return r.resolve(x)
	case interpolated:
		var b strings.Builder
		if err := r.render(&b, x.body); err != nil {
			return nil, err
		}
		return b.String(), nil
	case notExpr:
		v, err := r.eval(x.x)
		return !truth(v), err
	case listLiteral:
		items, err := r.evalAll(x.items)
		return &List{Items: items}, err
	case mapLiteral:
		return r.evalMap(x)
	case rangeExpr:
		return r.evalRange(x)
	case binary:
		return r.binary(x)
	}
	return nil, nil
}

func (r *rendering) evalAll(xs []expr) ([]any, error) {
	vs := make([]any, len(xs))
	for i, x := range xs {
		v, err := r.eval(x)
		if err != nil {
			return nil, err
		}
		vs[i] = v
	}
	return vs, nil
}

func (r *rendering) evalMap(x mapLiteral) (any, error) {
	m := NewMap()
	for i := range x.keys {
		k, err := r.eval(x.keys[i])
		if err != nil {
			return nil, err
		}
		name, err := r.display(k)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(x.values[i])
		if err != nil {
			return nil, err
		}
		m.Put(name, v)
	}
	return m, nil
}

func (r *rendering) evalRange(x rangeExpr) (any, error) {
	from, err := r.eval(x.from)
	if err != nil {
		return nil, err
	}
	to, err := r.eval(x.to)
	if err != nil {
		return nil, err
	}
	a, aok := from.(int64)
	b, bok := to.(int64)
	if !aok || !bok {
		return nil, nil
	}
	step := int64(1)
	if b < a {
		step = -1
	}
	distance := uint64(b-a) * uint64(step)
	if distance > uint64(r.limits.Steps) {
		return nil, ErrSteps
	}
	if err := r.work(int(distance)); err != nil {
		return nil, err
	}
	l := &List{Items: make([]any, 0, distance+1)}
	for i := a; ; i += step {
		l.Items = append(l.Items, i)
		if i == b {
			return l, nil
		}
	}
}

func (r *rendering) binary(x binary) (any, error) {
	l, err := r.eval(x.l)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "&&", "||":
		if truth(l) == (x.op == "||") {
			return x.op == "||", nil
		}
		v, err := r.eval(x.r)
		return truth(v), err
	}
	rv, err := r.eval(x.r)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "==", "!=":
		ok, err := r.equal(l, rv, 0)
		return ok == (x.op == "=="), err
	case "<", "<=", ">", ">=":
		return less(x.op, l, rv), nil
	}
	return r.arithmetic(x.op, l, rv)
}

func less(op string, l, r any) bool {
	a, aok := asFloat(l)
	b, bok := asFloat(r)
	if !aok || !bok {
		return false
	}
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// arithmetic computes; what cannot be computed is nothing, as in Velocity.
func (r *rendering) arithmetic(op string, l, rv any) (any, error) {
	_, lIsString := l.(string)
	_, rIsString := rv.(string)
	if op == "+" && (lIsString || rIsString) {
		return r.concat(l, rv)
	}
	a, aInt := l.(int64)
	b, bInt := rv.(int64)
	if aInt && bInt {
		switch op {
		case "+":
			return a + b, nil
		case "-":
			return a - b, nil
		case "*":
			return a * b, nil
		}
		if b == 0 || (a == math.MinInt64 && b == -1) {
			return nil, nil
		}
		if op == "/" {
			return a / b, nil
		}
		return a % b, nil
	}
	x, xok := asFloat(l)
	y, yok := asFloat(rv)
	if !xok || !yok {
		return nil, nil
	}
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	}
	if y == 0 {
		return nil, nil
	}
	if op == "/" {
		return x / y, nil
	}
	return math.Mod(x, y), nil
}

func (r *rendering) concat(l, rv any) (any, error) {
	a, err := r.display(l)
	if err != nil {
		return nil, err
	}
	b, err := r.display(rv)
	if err != nil {
		return nil, err
	}
	return a + b, r.spend(len(a) + len(b))
}

func (r *rendering) resolve(ref *reference) (any, error) {
	v := normal(r.vars[ref.name])
	if len(ref.steps) == 0 {
		return v, nil
	}
	return r.follow(v, ref.steps)
}

// follow walks from v along the steps. Nothing stays nothing.
func (r *rendering) follow(v any, steps []step) (any, error) {
	for i := range steps {
		if v == nil {
			return nil, nil
		}
		if err := r.tick(); err != nil {
			return nil, err
		}
		var err error
		if v, err = r.step(v, &steps[i]); err != nil {
			return nil, err
		}
		v = normal(v)
	}
	return v, nil
}

func (r *rendering) step(v any, s *step) (any, error) {
	if s.index != nil {
		at, err := r.eval(s.index)
		if err != nil {
			return nil, err
		}
		return r.call(v, "get", []any{at})
	}
	if s.call {
		args, err := r.evalAll(s.args)
		if err != nil {
			return nil, err
		}
		return r.call(v, s.name, args)
	}
	return r.property(v, s.name)
}

// property reads v.name: a map's key, an object's property, else Java's getter of that name.
func (r *rendering) property(v any, name string) (any, error) {
	switch v := v.(type) {
	case *Map:
		if v.Has(name) {
			return v.Get(name), nil
		}
	case Object:
		return v.Get(name), nil
	case entry:
		switch name {
		case "key":
			return v.key, nil
		case "value":
			return v.value, nil
		}
		return nil, nil
	}
	if name == "empty" {
		return r.call(v, "isEmpty", nil)
	}
	return nil, nil
}
