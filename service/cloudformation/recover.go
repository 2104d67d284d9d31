package cloudformation

import (
	"context"
	"fmt"
	"slices"
)

// recover finds out which things were made by calls whose answers are lost, for types whose ids the service
// makes. It goes one by one, so that no two resources take the same thing for theirs, and begins with
// those that know the most other things: twins (resources that look alike) were made one after the other,
// what the earlier may take includes what the later may take, and so the pickier choose first.
func (x *execution) recover(ctx context.Context) error {
	type loss struct {
		row *resourceRow
		p   *physical
	}
	var lost []loss
	for _, id := range sortedKeys(x.rows) {
		row := x.rows[id]
		for _, p := range row.all() {
			cut := p == row.Cur && row.Step == stepCreating && row.Op != ""
			if (p.Uncertain || cut) && p.ID == "" && !p.Gone && x.s.types[p.Type].Find != nil {
				lost = append(lost, loss{row, p})
			}
		}
	}
	slices.SortStableFunc(lost, func(a, b loss) int { return len(items(b.p.Notes, "known")) - len(items(a.p.Notes, "known")) })
	for _, l := range lost {
		t := x.s.types[l.p.Type]
		found := x.guarded(x.work(l.row.ID, l.p, nil), t.Find)(ctx)
		if found.err != nil {
			return fmt.Errorf("find what was made for %s: %w", l.row.ID, found.err)
		}
		if l.p.ID = found.id; found.id != "" {
			x.dirty[l.row.ID] = true
		}
	}
	return nil
}
