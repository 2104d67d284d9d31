package cloudformation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// fail turns the operation round: back to what was, or to a standstill where the caller wanted no rollback.
func (x *execution) fail(reason string) error {
	x.op.Failed = reason
	switch {
	case x.op.OnFailure == "DO_NOTHING":
		x.op.Phase = phaseSettle
	case x.op.Kind == opUpdate:
		x.status("UPDATE_ROLLBACK_IN_PROGRESS", reason)
		x.op.Phase = phaseRevert
	case x.op.OnFailure == "DELETE":
		x.status("DELETE_IN_PROGRESS", reason)
		x.op.Phase = phaseDelete
	default:
		x.status("ROLLBACK_IN_PROGRESS", reason)
		x.op.Phase = phaseDelete
	}
	return nil
}

// settle puts back the resources whose change failed, and leaves everything else as it is now: the stack
// waits for its author, who may go on from here or roll back.
func (x *execution) settle(ctx context.Context) error {
	steps := map[string]*step{}
	for _, row := range x.own() {
		from := row.from()
		if row.Step != stepFailed || from == nil || row.Cur == nil || len(changedProperties(x.s.types[from.Type], row.Cur, from)) == 0 {
			continue
		}
		attempt := row.Cur
		steps[row.ID] = &step{begin: func(context.Context) func(context.Context) outcome {
			return x.guarded(x.wayBack(row.ID, from, attempt), x.s.types[from.Type].Update)
		}, end: func(o outcome) {
			back := *from
			if o.err != nil {
				back.Torn = attempt.Properties
			} else if o.attributes != nil {
				back.Attributes = o.attributes
			}
			row.Cur = &back
			x.dirty[row.ID] = true
		}}
	}
	if err := x.walk(ctx, steps, func() bool { return false }); err != nil {
		return err
	}
	x.status(strings.ToUpper(x.op.Kind)+"_FAILED", strings.Replace(x.op.Failed, rollbackByUser, " ", 1))
	x.suspend()
	x.finish("EXECUTE_FAILED")
	return nil
}

// suspend keeps a failed operation, so that it can be rolled back later.
func (x *execution) suspend() {
	kept := *x.op
	x.stack.Suspended = &kept
}

// timedOut tells whether a call may have done its work although it gave no answer.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// revert puts every resource back to what it was before the update. What the update made becomes garbage.
func (x *execution) revert(ctx context.Context) error {
	steps := map[string]*step{}
	for _, row := range x.touched() {
		if row.Step == stepUndone {
			continue
		}
		steps[row.ID] = &step{begin: x.beginRevert(row), end: x.endRevert(row)}
	}
	for _, st := range steps {
		st.deps = nil
	}
	for id, st := range steps {
		if old := x.rows[id].Old; old != nil {
			for _, d := range old.DependsOn {
				if steps[d] != nil {
					st.deps = append(st.deps, d)
				}
			}
		}
	}
	if err := x.walk(ctx, steps, func() bool { return false }); err != nil {
		return err
	}
	return x.afterRevert()
}

func (x *execution) beginRevert(row *resourceRow) func(context.Context) func(context.Context) outcome {
	return func(context.Context) func(context.Context) outcome {
		x.dirty[row.ID] = true
		interrupted := row.Step == stepCreating
		switch {
		case row.Old == nil || row.Cur == nil:
			if row.Cur != nil {
				x.discard(row, interrupted)
			}
			row.Step = stepUndone
			return nil
		case slices.Contains(x.op.Skip, row.ID):
			row.Cur, row.Step = row.Old, stepUndone
			x.mark(row, row.Cur, "UPDATE_COMPLETE", "")
			return nil
		case interrupted || x.replaced(row):
			x.discard(row, interrupted)
			row.Cur, row.Step = row.Old, stepUndone
			x.mark(row, row.Cur, "UPDATE_COMPLETE", "")
			return nil
		}
		t := x.s.types[row.Cur.Type]
		if len(changedProperties(t, row.Cur, row.Old)) == 0 {
			failed := row.Step == stepFailed
			row.Cur, row.Step = row.Old, stepUndone
			if failed {
				x.mark(row, row.Cur, "UPDATE_COMPLETE", "")
			}
			return nil
		}
		row.Step = stepUndoing
		x.mark(row, row.Old, "UPDATE_IN_PROGRESS", "")
		return x.guarded(x.wayBack(row.ID, row.Old, row.Cur), t.Update)
	}
}

// wayBack makes the work that sets a resource back. What its service has not can not have been set: that the
// service refuses to set it back as well is no failure.
func (x *execution) wayBack(logical string, p, from *physical) *work {
	w := x.work(logical, p, from)
	forth := w.do
	w.do = func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		out, err := forth(ctx, service, operation, in)
		if f, ok := err.(*cloud.Fault); ok && f.Status == 501 {
			return map[string]any{}, nil
		}
		return out, err
	}
	return w
}

// discard turns what an operation made for the row into garbage.
func (x *execution) discard(row *resourceRow, interrupted bool) {
	p := *row.Cur
	p.Uncertain = p.Uncertain || interrupted
	if p.ID != "" || p.Uncertain {
		row.Garbage = append(row.Garbage, p)
	}
	row.Cur = nil
}

func (x *execution) endRevert(row *resourceRow) func(outcome) {
	return func(o outcome) {
		t := x.s.types[row.Old.Type]
		if o.err != nil {
			x.mark(row, row.Old, "UPDATE_FAILED", x.reason(t, o.err))
			return
		}
		old := *row.Old
		if o.attributes != nil {
			old.Attributes = o.attributes
		}
		row.Cur, row.Step = &old, stepUndone
		x.mark(row, row.Cur, "UPDATE_COMPLETE", "")
	}
}

func (x *execution) afterRevert() error {
	var stuck []string
	for _, row := range x.touched() {
		if row.Step != stepUndone {
			stuck = append(stuck, row.ID)
		}
	}
	if stuck != nil {
		x.status("UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: ["+strings.Join(stuck, ", ")+"]. ")
		x.suspend()
		x.finish("EXECUTE_FAILED")
		return nil
	}
	for _, row := range x.touched() {
		row.Old, row.Was = nil, nil
		x.dirty[row.ID] = true
	}
	x.status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
	x.op.Phase, x.op.Back = phaseCleanup, true
	return nil
}

// cleanup deletes what is no longer needed after an update, or after its rollback. What cannot be deleted
// does not fail the stack; it stays on the list and is tried again by the next operation.
func (x *execution) cleanup(ctx context.Context) error {
	left, err := x.deletions(ctx, func(row *resourceRow) []*physical {
		var out []*physical
		for i := range row.Garbage {
			out = append(out, &row.Garbage[i])
		}
		return out
	})
	if err != nil {
		return err
	}
	x.sweep()
	if x.op.Back {
		x.status("UPDATE_ROLLBACK_COMPLETE", "")
		x.finish("EXECUTE_FAILED")
		return nil
	}
	reason := ""
	if left != nil {
		reason = "Update successful. One or more resources could not be deleted."
	}
	x.status("UPDATE_COMPLETE", reason)
	x.finish("EXECUTE_COMPLETE")
	return nil
}

// sweep forgets garbage that is gone, and rows that stand for nothing any more.
func (x *execution) sweep() {
	for _, id := range sortedKeys(x.rows) {
		row := x.rows[id]
		n := len(row.Garbage)
		row.Garbage = slices.DeleteFunc(row.Garbage, func(p physical) bool { return p.Gone })
		if len(row.Garbage) != n {
			x.dirty[id] = true
		}
		if row.Cur == nil && row.Old == nil && len(row.Garbage) == 0 {
			delete(x.rows, id)
			x.dirty[id] = true
		}
	}
}

// deleteAll deletes everything that the stack has: on request, or because its creation failed.
func (x *execution) deleteAll(ctx context.Context) error {
	failed, err := x.deletions(ctx, x.things)
	if err != nil {
		return err
	}
	rollback := x.op.Kind == opCreate && x.op.OnFailure != "DELETE"
	reason := "The following resource(s) failed to delete: [" + strings.Join(failed, ", ") + "]. "
	switch {
	case failed != nil && rollback:
		x.status("ROLLBACK_FAILED", reason)
	case failed != nil:
		x.status("DELETE_FAILED", reason)
	case rollback:
		x.status("ROLLBACK_COMPLETE", "")
	default:
		x.status("DELETE_COMPLETE", "")
		x.bury()
	}
	for id, row := range x.rows {
		row.Garbage = slices.DeleteFunc(row.Garbage, func(p physical) bool { return p.Gone })
		if row.Old != nil && (row.Old.Gone || row.Cur != nil && row.Cur.Gone && !x.replaced(row)) {
			row.Old, row.Was = nil, nil
		}
		x.dirty[id] = true
	}
	x.finish("EXECUTE_FAILED")
	return nil
}

// things lists what there is to delete of a row: what stood for it before only where that is another thing.
func (x *execution) things(row *resourceRow) []*physical {
	return slices.DeleteFunc(row.all(), func(p *physical) bool { return p == row.Old && row.Cur != nil && !x.replaced(row) })
}

// bury frees the name of a deleted stack and takes back its exports.
func (x *execution) bury() {
	now := time.Now().UTC().Truncate(time.Millisecond)
	x.stack.Deleted = &now
	was, imported := x.stack.Outputs, x.stack.Imports
	x.stack.Outputs, x.stack.Imports, x.stack.Suspended = nil, nil, nil
	x.final = func(ctx context.Context, tx *kv.Tx) error {
		if err := x.putExports(ctx, tx, was, imported); err != nil {
			return err
		}
		tx.Delete(nameKey(x.ref.account, x.ref.region, x.stack.Name))
		tx.Set(deletedKey(now, x.ref), []byte{})
		return nil
	}
}

// deletions deletes the things that which picks of each row, dependents first, and returns the logical ids
// of those that could not be deleted.
func (x *execution) deletions(ctx context.Context, which func(*resourceRow) []*physical) (failed []string, err error) {
	if err := x.recover(ctx); err != nil {
		return nil, err
	}
	stuck := map[string]bool{}
	type item struct {
		row *resourceRow
		p   *physical
	}
	all := map[string]item{}
	for _, id := range sortedKeys(x.rows) {
		for i, p := range which(x.rows[id]) {
			if !p.Gone {
				all[id+"#"+string(rune('a'+i))] = item{x.rows[id], p}
			}
		}
	}
	for _, ordered := range []bool{true, false} {
		// Things of several generations may wait for each other in a ring: what the ordered walk could not
		// reach although nothing failed is deleted in any order.
		steps := map[string]*step{}
		for name, it := range all {
			if it.p.Gone {
				continue
			}
			st := &step{begin: x.beginDelete(it.row, it.p), end: x.endDelete(it.row, it.p, stuck)}
			for other, o := range all {
				if ordered && other != name && o.row != it.row && slices.Contains(o.p.DependsOn, it.row.ID) {
					st.deps = append(st.deps, other)
				}
			}
			steps[name] = st
		}
		if err := x.walk(ctx, steps, func() bool { return false }); err != nil {
			return nil, err
		}
		if len(stuck) > 0 {
			break
		}
	}
	return sortedKeys(stuck), nil
}

// retained tells whether the thing is to be left alone, by its policy or by the caller's wish.
func (x *execution) retained(row *resourceRow, p *physical) bool {
	if x.op.Kind == opDelete && slices.Contains(x.op.Retain, row.ID) {
		return true
	}
	// What this very operation made and now takes back is new: RetainExceptOnCreate lets it go.
	undone := row.Op == x.op.ID && (x.op.Back || x.op.Kind == opCreate)
	switch p.Deletion {
	case "Retain":
		return p.ID != "" && (!undone || !x.op.DropRetained)
	case "RetainExceptOnCreate":
		return p.ID != "" && !undone
	}
	return false
}

func (x *execution) beginDelete(row *resourceRow, p *physical) func(context.Context) func(context.Context) outcome {
	return func(context.Context) func(context.Context) outcome {
		if row.Step == stepCreating && p == row.Cur {
			p.Uncertain = true
		}
		switch {
		case x.retained(row, p):
			p.Gone = true
			x.told(row, p, "DELETE_SKIPPED", "")
			return nil
		case p.ID == "" && !p.Uncertain:
			p.Gone = true
			if p == row.Cur {
				x.told(row, p, "DELETE_COMPLETE", "")
			}
			x.dirty[row.ID] = true
			return nil
		}
		x.told(row, p, "DELETE_IN_PROGRESS", "")
		t := x.s.types[p.Type]
		return x.guarded(x.work(row.ID, p, nil), func(w *work) error {
			if w.ID == "" {
				w.ID = p.Expected // an id of ours: whatever has it was made by the call that was cut off
			}
			if w.ID == "" {
				return nil
			}
			return gone(t.Delete(w))
		})
	}
}

func (x *execution) endDelete(row *resourceRow, p *physical, stuck map[string]bool) func(outcome) {
	return func(o outcome) {
		switch {
		case o.err != nil && x.op.Force:
			p.Gone = true
			x.told(row, p, "DELETE_SKIPPED", x.reason(x.s.types[p.Type], o.err))
		case o.err != nil:
			stuck[row.ID] = true
			x.told(row, p, "DELETE_FAILED", x.reason(x.s.types[p.Type], o.err))
		default:
			p.Gone = true
			x.told(row, p, "DELETE_COMPLETE", "")
		}
	}
}

// told writes an event of a thing that goes; the row's own status follows only when nothing else stands
// for the logical id.
func (x *execution) told(row *resourceRow, p *physical, status, reason string) {
	was, wasReason := row.Status, row.Reason
	x.mark(row, p, status, reason)
	if row.Cur != nil && p != row.Cur {
		row.Status, row.Reason = was, wasReason
	}
}

// turnToDelete makes the deletion that was asked for during a creation the operation.
func (x *execution) turnToDelete() {
	x.op, x.drop = x.drop, nil
	x.stack.Op = x.op
	x.status("DELETE_IN_PROGRESS", userInitiated)
	x.final = func(_ context.Context, tx *kv.Tx) error {
		tx.Delete(signalKey(x.ref.account, x.ref.region, x.ref.id)) // it has been heard
		return nil
	}
}
