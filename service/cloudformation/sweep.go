package cloudformation

import (
	"context"
	"time"

	"lambent/kv"
)

// How long history is kept: AWS shows deleted stacks and events for ninety days.
const (
	historyTime = 90 * 24 * time.Hour
	sweepEvery  = time.Hour
	sweepLimit  = 500 // stacks, or events of a stack, at a time
)

// deletedKey lists deleted stacks by the time of their deletion.
func deletedKey(at time.Time, ref stackRef) []byte {
	return kv.Key("deleted", at, ref.account, ref.region, ref.id)
}

// sweep forgets the stacks that were deleted before the time given.
func (s *Service) sweep(ctx context.Context, before time.Time) error {
	for {
		var old []stackRef
		err := s.kv.View(ctx, func(r kv.Reader) error {
			old = nil
			rng := kv.Prefix("deleted")
			rng.End, rng.Limit = kv.Key("deleted", before), sweepLimit
			rows, err := r.Scan(ctx, rng)
			for _, row := range rows {
				parts, err := kv.Unkey(row.Key)
				if err != nil {
					return err
				}
				old = append(old, stackRef{parts[2].(string), parts[3].(string), parts[4].(string)})
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, ref := range old {
			if err := s.forget(ctx, ref); err != nil {
				return err
			}
		}
		if len(old) < sweepLimit {
			return nil
		}
	}
}

// forget removes every row of a deleted stack.
func (s *Service) forget(ctx context.Context, ref stackRef) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		var stack stackRow
		if _, err := getRow(ctx, tx, stackKey(ref.account, ref.region, ref.id), &stack); err != nil {
			return err
		}
		sets, err := tx.Scan(ctx, kv.Prefix(ref.account, ref.region, "changeset", ref.id))
		if err != nil {
			return err
		}
		for _, row := range sets {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			tx.Delete(changeSetStackKey(ref.account, ref.region, parts[4].(string)))
		}
		for _, noun := range []string{"changeset", "resource", "event", "template"} {
			rng := kv.Prefix(ref.account, ref.region, noun, ref.id)
			tx.DeleteRange(rng.Begin, rng.End)
		}
		tx.Delete(settingsKey(ref.account, ref.region, ref.id))
		tx.Delete(stackKey(ref.account, ref.region, ref.id))
		if stack.Deleted != nil {
			tx.Delete(deletedKey(*stack.Deleted, ref))
		}
		return nil
	})
}

// trimEvents removes the oldest events of a stack that lives on, where they are past their time, and the
// templates that nothing refers to any more.
func (x *execution) trimEvents(ctx context.Context, tx *kv.Tx, before time.Time) error {
	a, r, id := x.ref.account, x.ref.region, x.ref.id
	rng := kv.Prefix(a, r, "event", id)
	rng.Limit = sweepLimit
	rows, err := tx.Snapshot().Scan(ctx, rng)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var e eventRow
		if err := decodeRow(row.Value, &e); err != nil {
			return err
		}
		if !e.Time.Before(before) {
			break
		}
		tx.Delete(row.Key)
	}
	return x.trimTemplates(ctx, tx)
}

func (x *execution) trimTemplates(ctx context.Context, tx *kv.Tx) error {
	a, r, id := x.ref.account, x.ref.region, x.ref.id
	used := map[string]bool{x.stack.Current.Template: true}
	if x.stack.Suspended != nil {
		used[x.stack.Suspended.Target.Template] = true
	}
	sets, err := x.s.changeSets(ctx, tx, x.stack)
	if err != nil {
		return err
	}
	for _, set := range sets {
		used[set.Target.Template] = true
	}
	rows, err := tx.Scan(ctx, kv.Prefix(a, r, "template", id))
	if err != nil {
		return err
	}
	for _, row := range rows {
		parts, err := kv.Unkey(row.Key)
		if err != nil {
			return err
		}
		if hash, _ := parts[4].(string); !used[hash] {
			tx.Delete(row.Key)
		}
	}
	return nil
}
