package lambda

import (
	"context"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func (s *Service) publishVersion(ctx context.Context, c cloud.Caller, in *PublishVersionInput) (out *FunctionConfiguration, err error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PublishTo != nil {
		return nil, cloud.NotImplemented("PublishTo")
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		v, err := r.latestOf(ctx, tx, in.RevisionId)
		if err != nil {
			return err
		}
		if sum := codeSHA256(v.Code); in.CodeSha256 != nil && *in.CodeSha256 != "" && *in.CodeSha256 != sum {
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", *in.CodeSha256, sum)
		}
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		numbered, err := s.publish(ctx, tx, r.functionID, fn, v, in.Description, c)
		if err != nil {
			return err
		}
		out = s.configuration(r.functionID, numbered, r.qualified(numbered.version()))
		if err := r.save(tx, v); err != nil {
			return err
		}
		return kv.PutRow(tx, r.key(), fn)
	})
	return out, err
}

// publish makes a numbered version of $LATEST, or returns the last one if nothing has changed since. The caller
// writes both rows that it is given.
func (s *Service) publish(ctx context.Context, tx *kv.Tx, f functionID, fn *functionRow, v *versionRow, desc *string, c cloud.Caller) (*versionRow, error) {
	if fn.Published == v.Build {
		last, err := f.loadVersion(ctx, tx, fn.LastVersion)
		if err != nil || last != nil {
			return last, err
		}
	}
	fn.LastVersion++
	fn.Published = v.Build
	numbered := *v
	numbered.Number = fn.LastVersion
	set(&numbered.Desc, desc)
	numbered.changed(c.Now)
	v.touch()
	if err := charge(ctx, tx, f.account, f.region, v.Code.Size); err != nil {
		return nil, err
	}
	s.link(tx, f, &numbered)
	return &numbered, f.save(tx, &numbered)
}

func (s *Service) deleteVersion(ctx context.Context, r reference) error {
	var gone *versionRow
	err := s.KV.Update(ctx, func(tx *kv.Tx) error {
		v, _, err := r.find(ctx, tx)
		if err != nil {
			return err
		}
		aliases, err := r.aliases(ctx, tx)
		if err != nil {
			return err
		}
		var users []string
		for _, a := range aliases {
			if _, weighted := a.Weights[r.qualifier]; weighted || a.Version == r.qualifier {
				users = append(users, a.Name)
			}
		}
		if len(users) > 0 {
			return conflict("Unable to delete version %s because the following aliases reference it: [%s]", r.qualifier, strings.Join(users, ", "))
		}
		if err := charge(ctx, tx, r.account, r.region, -v.Code.Size); err != nil {
			return err
		}
		if err := s.dropProvisioned(ctx, tx, r); err != nil {
			return err
		}
		s.unlink(tx, r.functionID, v)
		tx.Delete(r.versionKey(v.Number))
		tx.Delete(r.policyKey(r.qualifier))
		tx.Delete(r.eventConfigKey(r.qualifier))
		r.mark(tx)
		gone = v
		return nil
	})
	if err == nil {
		s.Invoker.Forget(r.runnable(gone, nil, 0))
	}
	return err
}

func (s *Service) listVersionsByFunction(ctx context.Context, c cloud.Caller, in *ListVersionsByFunctionInput) (*ListVersionsByFunctionOutput, error) {
	r, err := parseOwn(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	out := &ListVersionsByFunctionOutput{Versions: []FunctionConfiguration{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.Versions = out.Versions[:0]
		if _, err := r.load(ctx, rd); err != nil {
			return err
		}
		rows := kv.Prefix(r.account, r.region, "version", r.name)
		next, err := page(ctx, rd, rows, in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			var v versionRow
			if err := kv.DecodeRow(row.Value, &v); err != nil {
				return err
			}
			out.Versions = append(out.Versions, *s.listed(r.functionID, &v, r.qualified(v.version())))
			return nil
		})
		out.NextMarker = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) listFunctions(ctx context.Context, c cloud.Caller, in *ListFunctionsInput) (*ListFunctionsOutput, error) {
	if in.MasterRegion != nil && *in.MasterRegion != "ALL" && *in.MasterRegion != c.Region {
		return &ListFunctionsOutput{Functions: []FunctionConfiguration{}}, nil // no function is replicated from elsewhere
	}
	out := &ListFunctionsOutput{Functions: []FunctionConfiguration{}}
	err := s.KV.View(ctx, func(rd kv.Reader) (err error) {
		out.Functions = out.Functions[:0]
		if cloud.Val(in.FunctionVersion) == "ALL" {
			out.NextMarker, err = page(ctx, rd, kv.Prefix(c.Account, c.Region, "version"), in.Marker, in.MaxItems, 50, func(row kv.KV) error {
				return s.addListed(out, c, row, true)
			})
			return err
		}
		out.NextMarker, err = page(ctx, rd, kv.Prefix(c.Account, c.Region, "function"), in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			f := functionID{c.Account, c.Region, parts[3].(string)}
			value, err := rd.Get(ctx, f.versionKey(0))
			if err != nil {
				return err
			}
			return s.addListed(out, c, kv.KV{Key: f.versionKey(0), Value: value}, false)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) addListed(out *ListFunctionsOutput, c cloud.Caller, row kv.KV, qualified bool) error {
	parts, err := kv.Unkey(row.Key)
	if err != nil {
		return err
	}
	f := functionID{c.Account, c.Region, parts[3].(string)}
	var v versionRow
	if err := kv.DecodeRow(row.Value, &v); err != nil {
		return err
	}
	arn := f.arn()
	if qualified {
		arn = f.qualified(v.version())
	}
	out.Functions = append(out.Functions, *s.listed(f, &v, arn))
	return nil
}

// page walks over the rows that follow marker and hands at most max of them on. It returns the next page's marker,
// nil at the end. A marker is the last key that was handed on.
func page(ctx context.Context, rd kv.Reader, rows kv.Range, marker *string, maxItems *int32, def int, each func(kv.KV) error) (*string, error) {
	if m := cloud.Val(marker); m != "" {
		var err error
		if rows, err = after(rows, m); err != nil {
			return nil, err
		}
	}
	most := min(int(cloud.Or(maxItems, int32(def))), def)
	rows.Limit = most + 1
	found, err := rd.Scan(ctx, rows)
	if err != nil {
		return nil, err
	}
	var next *string
	if len(found) > most {
		found = found[:most]
		next = new(encodeMarker(found[most-1].Key))
	}
	for _, row := range found {
		if err := each(row); err != nil {
			return nil, err
		}
	}
	return next, nil
}
