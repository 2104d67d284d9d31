package lambda

import (
	"context"
	"maps"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

func (f functionID) aliasConfiguration(a *aliasRow) *AliasConfiguration {
	out := &AliasConfiguration{AliasArn: new(f.qualified(a.Name)), Name: new(a.Name), FunctionVersion: new(a.Version),
		Description: new(a.Desc), RevisionId: new(a.Revision)}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &AliasRoutingConfiguration{AdditionalVersionWeights: a.Weights}
	}
	return out
}

func aliasNotFound(f functionID, alias string) error {
	return notFound("Cannot find alias arn: %s", f.qualified(alias))
}

func (f functionID) aliases(ctx context.Context, rd kv.Reader) ([]aliasRow, error) {
	found, err := rd.Scan(ctx, kv.Prefix(f.account, f.region, "alias", f.name))
	if err != nil {
		return nil, err
	}
	all := make([]aliasRow, len(found))
	for i, row := range found {
		if err := kv.DecodeRow(row.Value, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *Service) createAlias(ctx context.Context, c cloud.Caller, in *CreateAliasInput) (*AliasConfiguration, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	a := &aliasRow{Name: *in.Name, Version: *in.FunctionVersion, Desc: cloud.Val(in.Description), Revision: invoke.NewRequestID()}
	if in.RoutingConfig != nil {
		a.Weights = maps.Clone(in.RoutingConfig.AdditionalVersionWeights)
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, err := r.load(ctx, tx); err != nil {
			return err
		}
		old, err := r.loadAlias(ctx, tx, a.Name)
		if err != nil {
			return err
		}
		if old != nil {
			return conflict("Alias already exists: %s", r.qualified(a.Name))
		}
		return r.saveAlias(ctx, tx, a)
	})
	if err != nil {
		return nil, err
	}
	return r.aliasConfiguration(a), nil
}

// saveAlias checks where the alias leads, and writes it.
func (f functionID) saveAlias(ctx context.Context, tx *kv.Tx, a *aliasRow) error {
	for version := range a.Weights {
		switch {
		case version == a.Version:
			return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", version, version)
		case a.Version == latest:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		}
	}
	if len(a.Weights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	versions := []string{a.Version}
	for version := range a.Weights {
		versions = append(versions, version)
	}
	for _, version := range versions {
		if _, _, err := (reference{f, version}).find(ctx, tx); err != nil {
			return err
		}
	}
	f.mark(tx)
	tx.Notify(provisionedTopic) // it may have some, which moves with it
	return kv.PutRow(tx, f.aliasKey(a.Name), a)
}

func (s *Service) getAlias(ctx context.Context, c cloud.Caller, in *GetAliasInput) (out *AliasConfiguration, err error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		a, err := r.loadAlias(ctx, rd, *in.Name)
		if err != nil {
			return err
		}
		if a == nil {
			return aliasNotFound(r.functionID, *in.Name)
		}
		out = r.aliasConfiguration(a)
		return nil
	})
	return out, err
}

func (s *Service) updateAlias(ctx context.Context, c cloud.Caller, in *UpdateAliasInput) (out *AliasConfiguration, err error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		a, err := r.loadAlias(ctx, tx, *in.Name)
		if err != nil {
			return err
		}
		if a == nil {
			return aliasNotFound(r.functionID, *in.Name)
		}
		if err := checkRevision(in.RevisionId, a.Revision, "GetFunction/GetAlias"); err != nil {
			return err
		}
		set(&a.Version, in.FunctionVersion)
		set(&a.Desc, in.Description)
		if in.RoutingConfig != nil {
			a.Weights = maps.Clone(in.RoutingConfig.AdditionalVersionWeights)
		}
		a.Revision = invoke.NewRequestID()
		out = r.aliasConfiguration(a)
		return r.saveAlias(ctx, tx, a)
	})
	return out, err
}

func (s *Service) deleteAlias(ctx context.Context, c cloud.Caller, in *DeleteAliasInput) (*DeleteAliasOutput, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, err := r.load(ctx, tx); err != nil {
			return err
		}
		if err := s.dropProvisioned(ctx, tx, reference{r.functionID, *in.Name}); err != nil {
			return err
		}
		tx.Delete(r.aliasKey(*in.Name))
		tx.Delete(r.policyKey(*in.Name))
		tx.Delete(r.eventConfigKey(*in.Name))
		r.mark(tx)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteAliasOutput{}, nil
}

func (s *Service) listAliases(ctx context.Context, c cloud.Caller, in *ListAliasesInput) (*ListAliasesOutput, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &ListAliasesOutput{Aliases: []AliasConfiguration{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.Aliases = out.Aliases[:0]
		if _, err := r.load(ctx, rd); err != nil {
			return err
		}
		rows := kv.Prefix(r.account, r.region, "alias", r.name)
		next, err := page(ctx, rd, rows, in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			var a aliasRow
			if err := kv.DecodeRow(row.Value, &a); err != nil {
				return err
			}
			if in.FunctionVersion == nil || *in.FunctionVersion == a.Version {
				out.Aliases = append(out.Aliases, *r.aliasConfiguration(&a))
			}
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
