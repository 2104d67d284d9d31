package lambda

import (
	"context"
	"encoding/json"
	"slices"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// layerPolicyRow says which other accounts may use a version of a layer.
type layerPolicyRow struct {
	Revision string
	policyRow
}

func (l layerID) loadPolicy(ctx context.Context, rd kv.Reader, n int64) (*layerPolicyRow, error) {
	var row layerPolicyRow
	found, err := kv.GetRow(ctx, rd, l.policyKey(n), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

// exists refuses what is asked of a version that is not there.
func (l layerID) exists(ctx context.Context, rd kv.Reader, n int64) error {
	v, err := l.load(ctx, rd, n)
	if err == nil && v == nil {
		err = notFound("Layer version %s does not exist.", l.versionARN(n))
	}
	return err
}

func (s *Service) addLayerPermission(ctx context.Context, c cloud.Caller, in *AddLayerVersionPermissionInput) (*AddLayerVersionPermissionOutput, error) {
	l, n, err := s.ownLayerVersion(c, in.LayerName, in.VersionNumber, "lambda:AddLayerVersionPermission")
	if err != nil {
		return nil, err
	}
	who, err := parsePrincipal(*in.Principal)
	if err != nil {
		return nil, err
	}
	if in.OrganizationId != nil && *in.Principal != "*" {
		return nil, invalid("Principal must be * when OrganizationId is specified.")
	}
	add := statement{Sid: *in.StatementId, Effect: "Allow", Principal: who, Action: *in.Action, Resource: l.versionARN(n)}
	if in.OrganizationId != nil {
		add.Condition = condition{"StringEquals": {"aws:PrincipalOrgID": *in.OrganizationId}}
	}
	policy := &layerPolicyRow{}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if err := l.exists(ctx, tx, n); err != nil {
			return err
		}
		old, err := l.loadPolicy(ctx, tx, n)
		if err != nil {
			return err
		}
		if policy = old; old == nil {
			policy = &layerPolicyRow{}
		}
		if slices.ContainsFunc(policy.Statements, func(s statement) bool { return s.Sid == add.Sid }) {
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", add.Sid)
		}
		if err := checkRevision(in.RevisionId, policy.Revision, "GetLayerPolicy"); err != nil {
			return err
		}
		policy.Statements = append(policy.Statements, add)
		if text := policy.text(); len(text) > maxPolicy {
			return cloud.Faultf("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)
		}
		policy.Revision = invoke.NewRequestID()
		return kv.PutRow(tx, l.policyKey(n), policy)
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(add)
	return &AddLayerVersionPermissionOutput{Statement: new(string(text)), RevisionId: new(policy.Revision)}, err
}

// ownLayerVersion is parseLayerVersion for what an owner alone may do.
func (s *Service) ownLayerVersion(c cloud.Caller, name *string, number *int64, action string) (layerID, int64, error) {
	l, n, err := parseLayerVersion(c, name, number)
	if err == nil && l.account != c.Account {
		err = layerDenied(c, action, l.versionARN(n))
	}
	return l, n, err
}

func (s *Service) removeLayerPermission(ctx context.Context, c cloud.Caller, in *RemoveLayerVersionPermissionInput) (*RemoveLayerVersionPermissionOutput, error) {
	l, n, err := s.ownLayerVersion(c, in.LayerName, in.VersionNumber, "lambda:RemoveLayerVersionPermission")
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if err := l.exists(ctx, tx, n); err != nil {
			return err
		}
		policy, err := l.loadPolicy(ctx, tx, n)
		if err != nil || policy == nil {
			return orElse(err, notFound("No policy is associated with the given resource."))
		}
		i := slices.IndexFunc(policy.Statements, func(s statement) bool { return s.Sid == *in.StatementId })
		if i < 0 {
			return notFound("Statement %s is not found in resource policy.", *in.StatementId)
		}
		if err := checkRevision(in.RevisionId, policy.Revision, "GetLayerPolicy"); err != nil {
			return err
		}
		policy.Statements = slices.Delete(policy.Statements, i, i+1)
		if len(policy.Statements) == 0 {
			tx.Delete(l.policyKey(n))
			return nil
		}
		policy.Revision = invoke.NewRequestID()
		return kv.PutRow(tx, l.policyKey(n), policy)
	})
	if err != nil {
		return nil, err
	}
	return &RemoveLayerVersionPermissionOutput{}, nil
}

func (s *Service) getLayerPolicy(ctx context.Context, c cloud.Caller, in *GetLayerVersionPolicyInput) (out *GetLayerVersionPolicyOutput, err error) {
	l, n, err := s.ownLayerVersion(c, in.LayerName, in.VersionNumber, "lambda:GetLayerVersionPolicy")
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		if err := l.exists(ctx, rd, n); err != nil {
			return err
		}
		policy, err := l.loadPolicy(ctx, rd, n)
		if err != nil || policy == nil {
			return orElse(err, notFound("No policy is associated with the given resource."))
		}
		out = &GetLayerVersionPolicyOutput{Policy: new(policy.text()), RevisionId: new(policy.Revision)}
		return nil
	})
	return out, err
}
