package apigateway

import (
	"context"

	"lambent/cloud"
	"lambent/kv"
)

// account reads the account's settings in this region. Throttle settings and features are left out: there are no
// usage plans, and no limit of the account is enforced.
func (s *Service) account(ctx context.Context, r kv.Reader, c cloud.Caller) (*Account, error) {
	a := Account{}
	if _, err := kv.GetRow(ctx, r, accountKey(c), &a); err != nil {
		return nil, err
	}
	a.ApiKeyVersion = new("4")
	return &a, nil
}

func (s *Service) getAccount(ctx context.Context, c cloud.Caller, _ *GetAccountInput) (out *Account, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.account(ctx, r, c)
		return err
	})
	return out, err
}

func (s *Service) updateAccount(ctx context.Context, c cloud.Caller, in *UpdateAccountInput) (out *Account, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		a, err := s.account(ctx, tx, c)
		if err != nil {
			return err
		}
		out = a
		t := target{"/cloudwatchRoleArn": str(&a.CloudwatchRoleArn)}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		if arn := cloud.Val(a.CloudwatchRoleArn); arn != "" {
			if role, ok := cloud.ParseARN(arn); !ok || role.Service != "iam" {
				return badRequest("The role ARN is not well formed")
			}
		}
		return kv.PutRow(tx, accountKey(c), &Account{CloudwatchRoleArn: a.CloudwatchRoleArn})
	})
	return out, err
}
