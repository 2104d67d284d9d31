package cloudformation

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// The reasons that AWS gives for what the engine does on its own.
const (
	replacing      = "Requested update requires the creation of a new physical resource; hence creating one."
	initiated      = "Resource creation Initiated"
	userInitiated  = "User Initiated"
	rollbackByUser = " Rollback requested by user."
)

// forward makes the stack what the target says: it creates and updates resources, each after those that
// it refers to. What is to be deleted waits for the cleanup.
func (x *execution) forward(ctx context.Context) error {
	if err := x.prepareTarget(ctx); err != nil {
		if f, ok := err.(*cloud.Fault); ok {
			return x.fail(f.Message + rollbackByUser)
		}
		return err
	}
	if reason := x.refusal(); reason != "" {
		return x.fail(reason)
	}
	if err := x.recover(ctx); err != nil {
		return err
	}
	if stuck, err := x.clearUnmade(ctx); err != nil || stuck != nil {
		if err != nil {
			return err
		}
		return x.fail("The following resource(s) failed to delete: [" + strings.Join(stuck, ", ") + "]. ")
	}
	steps := map[string]*step{}
	for id, r := range x.active {
		steps[id] = &step{deps: x.edges[id], begin: x.beginForward(id, r), end: x.endForward(id)}
	}
	if err := x.walk(ctx, steps, x.halted); err != nil {
		return err
	}
	return x.afterForward(ctx)
}

// prepareTarget compiles the target's template and works out the order of its resources.
func (x *execution) prepareTarget(ctx context.Context) error {
	var err error
	if x.scope, err = x.s.scopeOf(ctx, x.stack, x.op.Target, x.op.Identity); err != nil {
		return err
	}
	x.uses = map[string]bool{}
	x.scope.Ref, x.scope.GetAtt = x.refTo, x.getAtt
	x.scope.Import = func(name string) (any, error) { return x.importValue(ctx, name) }
	if x.active, err = x.scope.Active(); err != nil {
		return err
	}
	x.edges, err = x.scope.Dependencies(x.active)
	return err
}

// refusal says what makes the whole operation fail before anything is done, "" when nothing does.
func (x *execution) refusal() string {
	if reason := x.badOutputs(); reason != "" {
		return reason
	}
	if x.op.Kind != opUpdate {
		return ""
	}
	policy := parsePolicy(x.op.Policy)
	for _, id := range sortedKeys(x.rows) {
		row := x.rows[id]
		if x.active[id] == nil && row.Cur != nil {
			if reason := policy.denies("Update:Delete", id, row.Cur.Type); reason != "" {
				return reason
			}
		}
	}
	return ""
}

// badOutputs looks for outputs that ask for attributes which their resources do not have.
func (x *execution) badOutputs() string {
	var bad []string
	for _, name := range sortedKeys(x.scope.Template.Outputs) {
		o := x.scope.Template.Outputs[name]
		if holds, err := x.scope.Holds(o.Condition); err != nil || !holds {
			continue
		}
		refs, err := cfn.References(o.Value, x.scope)
		if err != nil {
			continue
		}
		for _, ref := range refs {
			r := x.active[ref.Name]
			if r != nil && ref.GetAtt && ref.Attribute != "" && !x.s.types[r.Type].hasAttribute(ref.Attribute) {
				bad = append(bad, "[Error] /Outputs/"+name+"/Value/Fn::GetAtt: Resource type "+r.Type+" does not support attribute {"+ref.Attribute+"}.")
			}
		}
	}
	if bad == nil {
		return ""
	}
	return strings.Join(bad, " ") + rollbackByUser
}

// halted tells whether nothing new may begin: something failed, or somebody asked to stop, or time is up.
func (x *execution) halted() bool {
	if x.cancel || x.drop != nil && x.op.Kind == opCreate {
		return true
	}
	if m := x.stack.Timeout; m > 0 && x.op.Kind == opCreate && time.Since(x.op.Started) > time.Duration(m)*time.Minute {
		return true
	}
	if x.op.OnFailure == "DO_NOTHING" {
		return false // a failure stops what depends on it, and nothing else
	}
	return slices.ContainsFunc(x.own(), func(r *resourceRow) bool { return r.Step == stepFailed })
}

// own lists the rows that this operation has touched, by logical id.
func (x *execution) own() []*resourceRow {
	return slices.DeleteFunc(x.touched(), func(r *resourceRow) bool { return r.Op != x.op.ID })
}

// touched lists the rows that this operation or those that it goes on from have touched, by logical id.
func (x *execution) touched() []*resourceRow {
	var out []*resourceRow
	for _, id := range sortedKeys(x.rows) {
		if x.rows[id].Op == x.op.ID || x.continued(x.rows[id]) {
			out = append(out, x.rows[id])
		}
	}
	return out
}

// continued tells whether the row was last touched by an operation that this one goes on from.
func (x *execution) continued(row *resourceRow) bool { return slices.Contains(x.op.After, row.Op) }

// clearUnmade deletes what is left of creations that failed in the operations before, and returns the
// logical ids of those that can not be deleted.
func (x *execution) clearUnmade(ctx context.Context) ([]string, error) {
	left := func(row *resourceRow) bool { return x.continued(row) && row.unmade() }
	stuck, err := x.deletions(ctx, func(row *resourceRow) []*physical {
		if !left(row) {
			return nil
		}
		return []*physical{row.Cur}
	})
	if err != nil || stuck != nil {
		return stuck, err
	}
	for id, row := range x.rows {
		if left(row) {
			row.Cur, row.Step = nil, stepDone
			x.dirty[id] = true
		}
	}
	x.sweep()
	return nil, nil
}

// beginForward decides what a resource needs and writes that into its row.
func (x *execution) beginForward(id string, r *cfn.Resource) func(ctx context.Context) func(context.Context) outcome {
	return func(ctx context.Context) func(context.Context) outcome {
		row := x.rows[id]
		if row == nil {
			row = &resourceRow{ID: id, Type: r.Type}
			x.rows[id] = row
		}
		if row.Op == x.op.ID && row.Step != "" {
			return x.resume(row)
		}
		next, err := x.desired(id, r)
		row.Description = r.Description
		x.claimRow(row)
		if err != nil {
			return x.refuse(row, next, err)
		}
		if row.from() == nil {
			row.Cur, row.Type = next, r.Type
			x.mark(row, row.Cur, "CREATE_IN_PROGRESS", "")
			return x.beginCreate(ctx, row)
		}
		return x.beginChange(ctx, row, next)
	}
}

// claimRow makes the row one that this operation has touched. What stood for it when the stack was last whole
// stays noted.
func (x *execution) claimRow(row *resourceRow) {
	if x.continued(row) {
		row.Was = row.Cur
	} else {
		row.Old, row.Was = row.Cur, nil
	}
	row.Op = x.op.ID
}

// resume goes on with a resource that was begun before the engine was last stopped.
func (x *execution) resume(row *resourceRow) func(context.Context) outcome {
	t := x.s.types[row.Cur.Type]
	switch row.Step {
	case stepCreating:
		row.Cur.Uncertain = !x.anothers(row)
		return x.guarded(x.work(row.ID, row.Cur, nil), t.Create)
	case stepUpdating:
		w := x.work(row.ID, row.Cur, row.from())
		w.touched = true // by the attempt that was cut off
		return x.guarded(w, t.Update)
	}
	return nil
}

// anothers tells whether what has the name of a resource whose creation was cut off is another resource's of
// the stack, made by it or by a creation of its own that was cut off as well: two with one name can not both be.
func (x *execution) anothers(row *resourceRow) bool {
	return row.Cur.Expected != "" && x.anyOther(row, func(other *resourceRow, p *physical) bool {
		cutOff := p == other.Cur && other.Step == stepCreating && p.Expected == row.Cur.Expected && other.ID < row.ID
		return p.ID == row.Cur.Expected || cutOff
	})
}

// taken tells whether what a creation came to is another resource's of the stack: two versions of one function
// that has not changed in between are one.
func (x *execution) taken(row *resourceRow, id string) bool {
	return x.anyOther(row, func(_ *resourceRow, p *physical) bool { return p.ID == id })
}

// anyOther tells whether is holds for a thing of the stack, other than what now stands for the row, that could
// be the same: of the same type and, unless the service makes the ids, in the same place (two rules of one
// name are two when their buses are). It is false for types of which that can not be told.
func (x *execution) anyOther(row *resourceRow, is func(other *resourceRow, p *physical) bool) bool {
	t := x.s.types[row.Cur.Type]
	if t.Before == nil {
		return false
	}
	for _, other := range x.rows {
		for _, p := range other.all() {
			if p == row.Cur || p.Type != row.Cur.Type || p.Gone || !is(other, p) {
				continue
			}
			if t.Find != nil || t.samePlace(p.Properties, row.Cur.Properties) {
				return true
			}
		}
	}
	return false
}

// samePlace compares the properties that make a resource another one, besides its name.
func (t *resourceType) samePlace(a, b map[string]any) bool {
	for k, f := range t.schema.fields {
		if f.fresh && !f.name && !cfn.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

// expected is the physical id that the resource will have, "" when only its creation tells.
func (t *resourceType) expected(w *work) string {
	if t.ID != nil {
		return t.ID(w)
	}
	return w.Name
}

// desired evaluates a resource to what should stand for it.
func (x *execution) desired(id string, r *cfn.Resource) (*physical, error) {
	next := &physical{Type: r.Type, Deletion: r.DeletionPolicy, Replacement: r.UpdateReplacePolicy, DependsOn: x.edges[id]}
	t := x.s.types[r.Type]
	props, err := x.scope.Properties(r)
	if err != nil {
		return next, err
	}
	next.Properties = props
	if next.Metadata, err = x.scope.Value(r.Metadata); err != nil {
		return next, err
	}
	if t.tagsMember() != "" && len(x.op.Target.Tags) > 0 {
		next.Tags = x.op.Target.Tags
	}
	coerced, err := t.schema.coerce(id, props)
	if err != nil {
		return next, err
	}
	next.Properties = coerced
	return next, nil
}

// refuse fails a resource whose properties cannot be used, before anything was called.
func (x *execution) refuse(row *resourceRow, next *physical, err error) func(context.Context) outcome {
	verb := "CREATE"
	if row.Cur != nil {
		verb = "UPDATE"
	}
	row.Step = stepFailed
	shown := next
	if row.Cur != nil {
		shown = &physical{Type: next.Type, ID: row.Cur.ID, Properties: next.Properties}
	}
	x.mark(row, shown, verb+"_IN_PROGRESS", "")
	x.mark(row, shown, verb+"_FAILED", x.reason(x.s.types[next.Type], err))
	return func(context.Context) outcome { return outcome{err: errRefused{}} }
}

// errRefused ends the step of a resource whose failure has been written already.
type errRefused struct{}

func (errRefused) Error() string { return "refused" }

// beginCreate reserves a name, looks around and begins to make the resource.
func (x *execution) beginCreate(ctx context.Context, row *resourceRow) func(context.Context) outcome {
	p := row.Cur
	t := x.s.types[p.Type]
	p.Name = x.nameFor(t, row.ID, p.Properties)
	w := x.work(row.ID, p, nil)
	p.Expected = t.expected(w)
	if t.Before != nil {
		looked := x.guarded(w, t.Before)(ctx)
		if looked.err != nil {
			row.Step = stepFailed
			x.mark(row, p, x.verb(row)+"_FAILED", x.reason(t, looked.err))
			return func(context.Context) outcome { return outcome{err: errRefused{}} }
		}
		p.Notes = w.Notes
	}
	row.Step = stepCreating
	if p.Expected != "" && row.from() == nil {
		x.mark(row, p, "CREATE_IN_PROGRESS", initiated)
	}
	x.dirty[row.ID] = true
	return x.guarded(w, t.Create)
}

// nameFor returns the name that the author gave, or makes one.
func (x *execution) nameFor(t *resourceType, logical string, props map[string]any) string {
	if n := t.schema.nameField(); n != "" {
		if name, ok := cfn.Text(props[n]); ok {
			return name
		}
	}
	if t.NameLength == 0 {
		return ""
	}
	return physicalName(x.stack.Name, logical, t.NameLength, t.NameLower)
}

// verb is the word for what happens to the row's resource in events.
func (x *execution) verb(row *resourceRow) string {
	if row.from() == nil {
		return "CREATE"
	}
	return "UPDATE"
}

// beginChange compares a resource with what it should be: nothing to do, an update, or a replacement.
func (x *execution) beginChange(ctx context.Context, row *resourceRow, next *physical) func(context.Context) outcome {
	t, from := x.s.types[next.Type], row.from()
	properties := changedProperties(t, from, next)
	if len(properties) == 0 {
		same := *from
		same.Deletion, same.Replacement, same.DependsOn, same.Metadata = next.Deletion, next.Replacement, next.DependsOn, next.Metadata
		row.Cur, row.Step = &same, stepSame
		x.dirty[row.ID] = true
		return nil
	}
	replace := t.replaces(properties)
	if reason := x.noChange(row, next, replace); reason != "" {
		return x.refuse(row, next, invalid("%s", reason))
	}
	if replace {
		row.Cur = next
		x.mark(row, from, "UPDATE_IN_PROGRESS", replacing)
		return x.beginCreate(ctx, row)
	}
	next.ID, next.Name, next.Notes = from.ID, from.Name, from.Notes
	next.Attributes = from.Attributes
	row.Cur, row.Step = next, stepUpdating
	x.mark(row, row.Cur, "UPDATE_IN_PROGRESS", "")
	return x.guarded(x.work(row.ID, row.Cur, from), t.Update)
}

// noChange says why a resource may not be updated, or replaced; "" when it may.
func (x *execution) noChange(row *resourceRow, next *physical, replace bool) string {
	t, action := x.s.types[next.Type], "Update:Modify"
	if replace {
		action = "Update:Replace"
	}
	if reason := parsePolicy(x.op.Policy).denies(action, row.ID, next.Type); reason != "" {
		return reason
	}
	switch {
	case !replace:
		return ""
	case x.op.OnFailure == "DO_NOTHING":
		return "Replacement type updates not supported on stack with disable-rollback."
	case t.named(next.Properties) && str(next.Properties, t.schema.nameField()) == row.from().Name:
		return "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename " + row.from().Name + " and update the stack again."
	}
	return ""
}

// changedProperties lists the properties that differ; the stack's tags count as a change of Tags.
func changedProperties(t *resourceType, old, next *physical) []string {
	return changed(withTags(t, old.seen(next.Properties), old.Tags), withTags(t, next.Properties, next.Tags))
}

// replaces tells whether a change of these properties needs a new resource.
func (t *resourceType) replaces(properties []string) bool {
	return t.Update == nil || slices.ContainsFunc(properties, func(k string) bool {
		f := t.schema.fields[k]
		return f != nil && f.fresh
	})
}

// replaced tells whether what stands for the row is another thing than what stood for it before. Their ids
// do not tell: two stages of one name, each of another API, have the same.
func (x *execution) replaced(row *resourceRow) bool {
	if row.Old == nil || row.Cur == nil {
		return false
	}
	t := x.s.types[row.Cur.Type]
	properties := changedProperties(t, row.Old, row.Cur)
	return len(properties) > 0 && t.replaces(properties)
}

// endForward takes in what came of a creation or an update.
func (x *execution) endForward(id string) func(outcome) {
	return func(o outcome) {
		row := x.rows[id]
		if _, refused := o.err.(errRefused); refused {
			return
		}
		p := row.Cur
		creating := row.Step == stepCreating
		if creating && o.id != "" && x.taken(row, o.id) {
			o = outcome{err: &cloud.Fault{Code: "AlreadyExistsException", Status: 409, Message: o.id + " already exists in stack " + x.stack.ID}}
		}
		if o.id != "" {
			p.ID = o.id
		}
		if o.attributes != nil {
			p.Attributes = maps.Clone(o.attributes)
		}
		p.Uncertain = false
		if o.err != nil {
			updating := row.Step == stepUpdating
			row.Step = stepFailed
			// The call answered with an error, so nothing was made, unless it never answered at all.
			p.Uncertain = creating && o.id == "" && timedOut(o.err)
			x.mark(row, p, x.verb(row)+"_FAILED", x.reason(x.s.types[p.Type], o.err))
			if updating && !o.touched { // refused at the first call: it is what it was
				same := *row.from()
				row.Cur = &same
			}
			return
		}
		row.Step = stepDone
		if creating && p.Expected == "" && row.from() == nil {
			x.mark(row, p, "CREATE_IN_PROGRESS", initiated)
		}
		x.mark(row, p, x.verb(row)+"_COMPLETE", "")
	}
}

// afterForward goes on to the end of the operation, or back.
func (x *execution) afterForward(ctx context.Context) error {
	if x.drop != nil && x.op.Kind == opCreate {
		return nil // execute turns the operation round
	}
	if x.cancel {
		return x.fail(userInitiated)
	}
	if reason := x.failures(); reason != "" {
		return x.fail(reason)
	}
	if x.halted() {
		return x.fail("Stack creation time exceeded the specified timeout." + rollbackByUser)
	}
	outputs, err := x.outputs()
	if err != nil {
		return x.failWith(err)
	}
	x.op.Outputs, x.op.Imports = outputs, sortedKeys(x.uses)
	if reason, err := x.exportConflict(ctx); err != nil || reason != "" {
		if err != nil {
			return err
		}
		return x.fail(reason)
	}
	return x.succeed()
}

// failures names the resources that failed.
func (x *execution) failures() string {
	var created, updated []string
	for _, row := range x.own() {
		if row.Step != stepFailed {
			continue
		}
		if row.from() == nil {
			created = append(created, row.ID)
		} else {
			updated = append(updated, row.ID)
		}
	}
	var parts []string
	if created != nil {
		parts = append(parts, "The following resource(s) failed to create: ["+strings.Join(created, ", ")+"].")
	}
	if updated != nil {
		parts = append(parts, "The following resource(s) failed to update: ["+strings.Join(updated, ", ")+"].")
	}
	if parts == nil {
		return ""
	}
	if x.op.Kind == opCreate && x.op.OnFailure == "ROLLBACK" {
		return strings.Join(parts, " ") + rollbackByUser
	}
	return strings.Join(parts, " ") + " "
}

func (x *execution) failWith(err error) error {
	if f, ok := err.(*cloud.Fault); ok {
		return x.fail(f.Message + rollbackByUser)
	}
	return err
}

// succeed ends a creation, or lets an update clean up.
func (x *execution) succeed() error {
	x.commitTarget()
	if x.op.Kind == opCreate {
		x.status("CREATE_COMPLETE", "")
		x.finish("EXECUTE_COMPLETE")
		return nil
	}
	x.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
	x.op.Phase, x.op.Back = phaseCleanup, false
	x.discardOld()
	return nil
}

// commitTarget makes the target what the stack is: its outputs and exports with the same commit.
func (x *execution) commitTarget() {
	was := x.stack.Outputs
	x.stack.Current, x.stack.Outputs = x.op.Target, x.op.Outputs
	imported := x.stack.Imports
	x.stack.Imports = x.op.Imports
	x.stack.Suspended = nil
	x.final = func(ctx context.Context, tx *kv.Tx) error {
		return x.putExports(ctx, tx, was, imported)
	}
}

// discardOld turns what was replaced, and what the target no longer has, into garbage.
func (x *execution) discardOld() {
	for _, id := range sortedKeys(x.rows) {
		row := x.rows[id]
		switch {
		case x.active[id] == nil && row.Cur != nil:
			row.Garbage = append(row.Garbage, *row.Cur)
			row.Cur = nil
		case row.Op == x.op.ID && x.replaced(row):
			old := *row.Old
			old.Deletion = old.Replacement
			row.Garbage = append(row.Garbage, old)
		default:
			if row.from() == nil {
				continue
			}
		}
		row.Old, row.Was = nil, nil
		x.dirty[id] = true
	}
}

// finish ends the operation; outcome is what becomes of the change set that started it.
func (x *execution) finish(outcome string) {
	x.over = true
	x.stack.Op = nil
	set := x.op.ChangeSet
	if set == "" {
		return
	}
	before := x.final
	x.final = func(ctx context.Context, tx *kv.Tx) error {
		if before != nil {
			if err := before(ctx, tx); err != nil {
				return err
			}
		}
		return x.s.settleChangeSet(ctx, tx, x.ref, set, outcome)
	}
}
