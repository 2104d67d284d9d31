package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// changeList is what an update would do, as far as it can be known before.
type changeList struct {
	Resources []changeRow
	Other     bool // outputs or the stack's tags change
}

func (l *changeList) any() bool { return len(l.Resources) > 0 || l.Other }

// changeRow is one resource that an operation adds, modifies or removes.
type changeRow struct {
	Action, ID, Physical, Type, Replacement, PolicyAction string
	Scope                                                 []string
	Details                                               []detailRow
	Before, After                                         string // contexts, as JSON
}

// detailRow is one cause of a modification.
type detailRow struct {
	Attribute, Name, Recreation string
	Evaluation, Source, Entity  string
	Path, Kind, Before, After   string // shown when property values are asked for
	WithValues                  bool   // shown only then
}

// fate is what a comparison says will become of a resource.
type fate int

const (
	fateSame        fate = iota
	fateModified         // updated in place
	fateConditional      // replaced, if a value that is not known yet turns out different
	fateReplaced         // has another physical id afterwards, or its first one
)

// comparison works out the changes between a stack and a draft.
type comparison struct {
	s     *Service
	stack *stackRow
	rows  map[string]*resourceRow
	d     *draft
	old   map[string]any // Resources of the previous template, expanded
	fates map[string]fate
	list  *changeList
}

// changes compares a stack with a draft.
func (s *Service) changes(ctx context.Context, c cloud.Caller, stack *stackRow, rows []*resourceRow, d *draft) (*changeList, error) {
	x := &comparison{s: s, stack: stack, rows: map[string]*resourceRow{}, d: d, fates: map[string]fate{}, list: &changeList{}}
	for _, row := range rows {
		if row.Cur != nil && !row.unmade() {
			x.rows[row.ID] = row
		}
	}
	if len(x.rows) > 0 {
		x.loadOld(ctx, c)
	}
	x.d.scope.Ref, x.d.scope.GetAtt = x.ref, x.getAtt
	x.d.scope.Import = func(name string) (any, error) {
		row, found, err := s.export(ctx, stack.Account, stack.Region, name)
		if err == nil && found {
			return row.Value, nil
		}
		return cfn.Unknown{}, err
	}
	if err := x.sameTypes(); err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, id := range sortedKeys(d.active) {
		if err := x.visit(id, done); err != nil {
			return nil, err
		}
	}
	for _, id := range sortedKeys(x.rows) {
		if d.active[id] == nil {
			x.remove(x.rows[id])
		}
	}
	slices.SortFunc(x.list.Resources, func(a, b changeRow) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return x.list, x.others()
}

// loadOld reads the previous template, to tell a changed expression from a changed value. Without it
// every difference counts as a changed expression.
func (x *comparison) loadOld(ctx context.Context, c cloud.Caller) {
	var text []byte
	err := x.s.kv.View(ctx, func(r kv.Reader) (err error) {
		text, err = getTemplate(ctx, r, stackRef{x.stack.Account, x.stack.Region, x.stack.ID}, x.stack.latest().Template)
		return err
	})
	if err != nil {
		return
	}
	compiled, err := x.s.compile(ctx, text, x.stack, x.stack.latest(), identityOf(c))
	if err != nil {
		return
	}
	x.old, _ = compiled.body["Resources"].(map[string]any)
}

func (x *comparison) sameTypes() error {
	var bad []string
	for _, id := range sortedKeys(x.d.active) {
		if row := x.rows[id]; row != nil && row.Cur.Type != x.d.active[id].Type {
			bad = append(bad, id)
		}
	}
	if bad != nil {
		return invalid("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", strings.Join(bad, ", "))
	}
	return nil
}

// visit compares a resource after those that it refers to.
func (x *comparison) visit(id string, done map[string]bool) error {
	if done[id] {
		return nil
	}
	done[id] = true
	for _, d := range x.d.edges[id] {
		if err := x.visit(d, done); err != nil {
			return err
		}
	}
	return x.compare(id, x.d.active[id])
}

func (x *comparison) ref(id string) (any, error) {
	if x.rows[id] == nil || x.fates[id] == fateReplaced {
		return cfn.Unknown{}, nil
	}
	return x.rows[id].Cur.ID, nil
}

func (x *comparison) getAtt(id, attribute string) (any, error) {
	row := x.rows[id]
	if row == nil || x.fates[id] == fateReplaced {
		return cfn.Unknown{}, nil
	}
	return row.Cur.attribute(x.s.types[row.Cur.Type], attribute)
}

func (x *comparison) compare(id string, r *cfn.Resource) error {
	t := x.s.types[r.Type]
	props, err := x.d.scope.Properties(r)
	if err != nil {
		return err
	}
	if coerced, err := t.schema.coerce(id, props); err == nil {
		props = coerced // what is wrong with it will be said when it is deployed
	}
	row := x.rows[id]
	if row == nil {
		x.fates[id] = fateReplaced
		x.list.Resources = append(x.list.Resources, changeRow{Action: "Add", ID: id, Type: r.Type, After: x.context(props)})
		return nil
	}
	metadata, err := x.d.scope.Value(r.Metadata)
	if err != nil {
		return err
	}
	ch := changeRow{Action: "Modify", ID: id, Physical: row.Cur.ID, Type: r.Type, Before: x.context(row.Cur.Properties), After: x.context(props)}
	x.properties(&ch, t, r, row.Cur, props)
	x.attributes(&ch, t, r, row.Cur, metadata)
	if len(ch.Details) == 0 {
		return nil
	}
	x.settle(&ch, r)
	x.list.Resources = append(x.list.Resources, ch)
	return nil
}

// properties adds the details of every property that changes, or may.
func (x *comparison) properties(ch *changeRow, t *resourceType, r *cfn.Resource, cur *physical, props map[string]any) {
	differ := changed(cur.Properties, props)
	names := maps.Clone(cur.Properties)
	if names == nil {
		names = map[string]any{}
	}
	maps.Copy(names, props)
	for _, name := range sortedKeys(names) {
		causes := x.causes(r.Properties[name])
		if !slices.Contains(differ, name) {
			// The value as it is now is the same; an attribute of something that changes may differ then.
			causes = slices.DeleteFunc(causes, func(d detailRow) bool { return d.Source == "ParameterReference" })
			if len(causes) == 0 {
				continue
			}
		} else {
			causes = append(causes, x.direct(r, name, causes)...)
		}
		for _, d := range causes {
			d.Attribute, d.Name, d.Recreation = "Properties", name, "Never"
			if t.replaces([]string{name}) {
				d.Recreation = "Always"
			}
			d.Path = "/Properties/" + name
			d.Kind = "Modify"
			before, was := cur.Properties[name]
			after, is := props[name]
			if d.Before = shownValue(x.mask(before, x.stack.latest())); !was {
				d.Kind = "Add"
			}
			if d.After = shownValue(x.mask(after, x.d.target)); !is {
				d.Kind = "Remove"
			}
			ch.Details = append(ch.Details, d)
		}
	}
	if len(ch.Details) > 0 {
		ch.Scope = append(ch.Scope, "Properties")
	}
}

// causes lists what an expression refers to that changes.
func (x *comparison) causes(expr any) []detailRow {
	refs, err := cfn.References(expr, x.d.scope)
	if err != nil {
		return nil
	}
	var out []detailRow
	for _, ref := range refs {
		d := detailRow{Entity: ref.Name, Evaluation: "Static"}
		if _, isParameter := x.d.target.Parameters[ref.Name]; isParameter && !ref.GetAtt {
			was, had := x.stack.latest().Parameters[ref.Name]
			if had && was == x.d.target.Parameters[ref.Name] && x.stack.latest().Resolved[ref.Name] == x.d.target.Resolved[ref.Name] {
				continue
			}
			d.Source = "ParameterReference"
		} else {
			f := x.fates[ref.Name]
			if x.rows[ref.Name] == nil || f == fateSame || !ref.GetAtt && f == fateModified {
				continue
			}
			d.Source = "ResourceReference"
			if ref.GetAtt {
				d.Source, d.Entity = "ResourceAttribute", ref.Name+"."+ref.Attribute
			}
			if f != fateReplaced {
				d.Evaluation = "Dynamic"
			}
		}
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// direct says whether the property's own expression was modified, besides the causes found in it.
func (x *comparison) direct(r *cfn.Resource, name string, causes []detailRow) []detailRow {
	d := detailRow{Source: "DirectModification", Evaluation: "Static"}
	if len(causes) == 0 {
		return []detailRow{d}
	}
	d.Evaluation = "Dynamic"
	previous := at(x.old, r.ID, "Properties", name)
	same := previous != nil && cfn.Equal(previous, r.Properties[name])
	parameters := slices.ContainsFunc(causes, func(c detailRow) bool { return c.Source == "ParameterReference" })
	d.WithValues = same && !parameters
	return []detailRow{d}
}

// attributes adds what changes besides the properties: tags of the stack, metadata and policies.
func (x *comparison) attributes(ch *changeRow, t *resourceType, r *cfn.Resource, cur *physical, metadata any) {
	add := func(attribute string) {
		ch.Scope = append(ch.Scope, attribute)
		ch.Details = append(ch.Details, detailRow{Attribute: attribute, Recreation: "Never", Evaluation: "Static", Source: "DirectModification"})
	}
	if t.tagsMember() != "" && !maps.Equal(cur.Tags, x.d.target.Tags) && len(cur.Tags)+len(x.d.target.Tags) > 0 {
		add("Tags")
	}
	if !cfn.Equal(cur.Metadata, metadata) {
		add("Metadata")
	}
	if cur.Deletion != r.DeletionPolicy {
		add("DeletionPolicy")
	}
	if cur.Replacement != r.UpdateReplacePolicy {
		add("UpdateReplacePolicy")
	}
}

// settle decides from the details whether the resource is replaced.
func (x *comparison) settle(ch *changeRow, r *cfn.Resource) {
	ch.Replacement = "False"
	x.fates[ch.ID] = fateModified
	for _, d := range ch.Details {
		if d.Recreation != "Always" || d.WithValues {
			continue
		}
		certain := d.Evaluation == "Static" || d.Source == "DirectModification" && d.Before != d.After
		if certain {
			ch.Replacement = "True"
			x.fates[ch.ID] = fateReplaced
			break
		}
		ch.Replacement = "Conditional"
		x.fates[ch.ID] = fateConditional
	}
	if ch.Replacement != "False" {
		ch.PolicyAction = "ReplaceAndDelete"
		if r.UpdateReplacePolicy == "Retain" {
			ch.PolicyAction = "ReplaceAndRetain"
		}
	}
}

func (x *comparison) remove(row *resourceRow) {
	ch := changeRow{Action: "Remove", ID: row.ID, Physical: row.Cur.ID, Type: row.Cur.Type, PolicyAction: "Delete", Before: x.context(row.Cur.Properties)}
	if row.Cur.Deletion == "Retain" || row.Cur.Deletion == "RetainExceptOnCreate" {
		ch.PolicyAction = "Retain"
	}
	x.list.Resources = append(x.list.Resources, ch)
}

// others compares what belongs to no resource: outputs and the stack's tags.
func (x *comparison) others() error {
	var outputs []outputRow
	sc := x.d.scope
	for _, name := range sortedKeys(sc.Template.Outputs) {
		holds, err := sc.Holds(sc.Template.Outputs[name].Condition)
		if err != nil {
			return err
		}
		if !holds {
			continue
		}
		row, err := outputOf(sc, sc.Template.Outputs[name])
		if err != nil {
			return err
		}
		outputs = append(outputs, row)
	}
	x.list.Other = !slices.Equal(outputs, x.stack.Outputs) || !maps.Equal(x.stack.latest().Tags, x.d.target.Tags)
	return nil
}

func (x *comparison) mask(v any, t target) any { return maskValues(shown(v), t) }

// context is the JSON that a change set shows of a resource's properties.
func (x *comparison) context(props map[string]any) string {
	text, err := cfn.Encode(map[string]any{"Properties": x.mask(props, x.d.target)})
	if err != nil {
		return ""
	}
	return text
}

// shown writes out what is unknown.
func shown(v any) any {
	switch v := v.(type) {
	case cfn.Unknown:
		return cfn.UnknownText
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = shown(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = shown(e)
		}
		return out
	}
	return v
}

func shownValue(v any) string {
	if v == nil {
		return ""
	}
	if s, ok := cfn.Text(v); ok {
		return s
	}
	s, err := cfn.Encode(v)
	if err != nil {
		return ""
	}
	return s
}
