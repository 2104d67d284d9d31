package lambda

import (
	"context"
	"encoding/json"
	"slices"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// maxPolicy is how long a resource policy may be.
const maxPolicy = 20 << 10

// policyRevision reads the revision of what a policy belongs to, and returns how to move it: a policy has none of
// its own, it shares that of its function, version or alias.
func (r reference) policyRevision(ctx context.Context, tx *kv.Tx) (revision, api string, move func() error, err error) {
	if isAlias(r.qualifier) {
		a, err := r.loadAlias(ctx, tx, r.qualifier)
		if err != nil {
			return "", "", nil, err
		}
		if a == nil {
			return "", "", nil, aliasNotFound(r.functionID, r.qualifier)
		}
		return a.Revision, "GetPolicy", func() error {
			a.Revision = invoke.NewRequestID()
			r.mark(tx)
			return kv.PutRow(tx, r.aliasKey(a.Name), a)
		}, nil
	}
	v, _, err := r.find(ctx, tx)
	if err != nil {
		return "", "", nil, err
	}
	return v.Revision, "GetFunction/GetAlias", func() error {
		v.touch()
		return r.save(tx, v)
	}, nil
}

func (f functionID) loadPolicy(ctx context.Context, rd kv.Reader, qualifier string) (*policyRow, error) {
	var row policyRow
	found, err := kv.GetRow(ctx, rd, f.policyKey(qualifier), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

func (s *Service) addPermission(ctx context.Context, c cloud.Caller, in *AddPermissionInput) (*AddPermissionOutput, error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.qualifier == latest {
		return nil, invalid("We currently do not support adding policies for $LATEST.")
	}
	add, err := newStatement(in, r.qualified(r.qualifier))
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, err := r.load(ctx, tx); err != nil {
			return err
		}
		revision, api, move, err := r.policyRevision(ctx, tx)
		if err != nil {
			return err
		}
		policy, err := r.loadPolicy(ctx, tx, r.qualifier)
		if err != nil {
			return err
		}
		if policy == nil {
			policy = &policyRow{}
		}
		if slices.ContainsFunc(policy.Statements, func(s statement) bool { return s.Sid == add.Sid }) {
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", add.Sid)
		}
		if err := checkRevision(in.RevisionId, revision, api); err != nil {
			return err
		}
		policy.Statements = append(policy.Statements, add)
		if text := policy.text(); len(text) > maxPolicy {
			return cloud.Faultf("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)
		}
		if err := move(); err != nil {
			return err
		}
		return kv.PutRow(tx, r.policyKey(r.qualifier), policy)
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(add)
	return &AddPermissionOutput{Statement: new(string(text))}, err
}

func (p *policyRow) text() string {
	b, _ := json.Marshal(struct {
		Version   string      `json:"Version"`
		ID        string      `json:"Id"`
		Statement []statement `json:"Statement"`
	}{"2012-10-17", "default", p.Statements})
	return string(b)
}

func (s *Service) removePermission(ctx context.Context, c cloud.Caller, in *RemovePermissionInput) (*RemovePermissionOutput, error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.qualifier == latest {
		r.qualifier = ""
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if row, err := tx.Get(ctx, r.key()); err != nil || row == nil {
			return orElse(err, notFound("No policy found for: %s", r.arn()))
		}
		revision, api, move, err := r.policyRevision(ctx, tx)
		if err != nil {
			return err
		}
		policy, err := r.loadPolicy(ctx, tx, r.qualifier)
		if err != nil {
			return err
		}
		if policy == nil {
			return notFound("No policy is associated with the given resource.")
		}
		i := slices.IndexFunc(policy.Statements, func(s statement) bool { return s.Sid == *in.StatementId })
		if i < 0 {
			return notFound("Statement %s is not found in resource policy.", *in.StatementId)
		}
		if err := checkRevision(in.RevisionId, revision, api); err != nil {
			return err
		}
		policy.Statements = slices.Delete(policy.Statements, i, i+1)
		if err := move(); err != nil {
			return err
		}
		if len(policy.Statements) == 0 {
			tx.Delete(r.policyKey(r.qualifier))
			return nil
		}
		return kv.PutRow(tx, r.policyKey(r.qualifier), policy)
	})
	if err != nil {
		return nil, err
	}
	return &RemovePermissionOutput{}, nil
}

func (s *Service) getPolicy(ctx context.Context, c cloud.Caller, in *GetPolicyInput) (out *GetPolicyOutput, err error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if r.qualifier == latest {
		r.qualifier = ""
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		policy, err := r.loadPolicy(ctx, rd, r.qualifier)
		if err != nil || policy == nil {
			return orElse(err, notFound("The resource you requested does not exist."))
		}
		v, alias, err := r.find(ctx, rd)
		if err != nil {
			return err
		}
		out = &GetPolicyOutput{Policy: new(policy.text()), RevisionId: new(v.Revision)}
		if alias != nil {
			out.RevisionId = new(alias.Revision)
		}
		return nil
	})
	return out, err
}
