package lambda

import (
	"context"
	"encoding/binary"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// minUnreserved is what reserved concurrency must leave to all other functions of an account.
const minUnreserved = 100

// reservedSum decodes the row of the account's reserved concurrency; nil is none.
func reservedSum(row []byte) int {
	if len(row) < 8 {
		return 0
	}
	return int(binary.BigEndian.Uint64(row))
}

// changeShare moves the account's sum from a function's old share to its new one; nil is none. What is asked for stands at
// the begin of the refusal.
func changeShare(ctx context.Context, tx *kv.Tx, f functionID, old, share *int32, what string) error {
	if old == nil && share == nil {
		return nil
	}
	key := reservedKey(f.account, f.region)
	row, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	sum := reservedSum(row) - int(cloud.Val(old)) + int(cloud.Val(share))
	if cloud.Val(share) > cloud.Val(old) && invoke.DefaultConcurrency-sum < minUnreserved {
		return invalid(what+" decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved)
	}
	tx.Set(key, binary.BigEndian.AppendUint64(nil, uint64(max(sum, 0))))
	f.mark(tx)
	return nil
}

func (s *Service) reserve(ctx context.Context, c cloud.Caller, name *string, share *int32) error {
	r, err := parseLatest(c, name)
	if err != nil {
		return err
	}
	return s.KV.Update(ctx, func(tx *kv.Tx) error {
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		if total := fn.provisionedTotal(); share != nil && *share < total {
			return cloud.Faultf("InvalidParameterValueException", " ReservedConcurrentExecutions  %d should not be lower than function's total provisioned concurrency [%d].", *share, total)
		}
		before := fn.share()
		fn.Reserved = share
		if err := changeShare(ctx, tx, r.functionID, before, fn.share(), "Specified ReservedConcurrentExecutions for function"); err != nil {
			return err
		}
		return kv.PutRow(tx, r.key(), fn)
	})
}

func (s *Service) putFunctionConcurrency(ctx context.Context, c cloud.Caller, in *PutFunctionConcurrencyInput) (*Concurrency, error) {
	if err := s.reserve(ctx, c, in.FunctionName, in.ReservedConcurrentExecutions); err != nil {
		return nil, err
	}
	return &Concurrency{ReservedConcurrentExecutions: in.ReservedConcurrentExecutions}, nil
}

func (s *Service) deleteFunctionConcurrency(ctx context.Context, c cloud.Caller, in *DeleteFunctionConcurrencyInput) (*DeleteFunctionConcurrencyOutput, error) {
	if err := s.reserve(ctx, c, in.FunctionName, nil); err != nil {
		return nil, err
	}
	return &DeleteFunctionConcurrencyOutput{}, nil
}

func (s *Service) getFunctionConcurrency(ctx context.Context, c cloud.Caller, in *GetFunctionConcurrencyInput) (*GetFunctionConcurrencyOutput, error) {
	fn, _, err := s.row(ctx, c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &GetFunctionConcurrencyOutput{ReservedConcurrentExecutions: fn.Reserved}, nil
}

// row reads the row of the function that name means.
func (s *Service) row(ctx context.Context, c cloud.Caller, name *string) (fn *functionRow, r reference, err error) {
	if r, err = parseOwn(c, name, nil); err != nil {
		return nil, r, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		fn, err = r.load(ctx, rd)
		return err
	})
	return fn, r, err
}

func (s *Service) getAccountSettings(ctx context.Context, c cloud.Caller, _ *GetAccountSettingsInput) (*GetAccountSettingsOutput, error) {
	usage := &AccountUsage{FunctionCount: new(int64(0)), TotalCodeSize: new(int64(0))}
	sum := 0
	err := s.KV.View(ctx, func(rd kv.Reader) error {
		row, err := rd.Get(ctx, reservedKey(c.Account, c.Region))
		if err != nil {
			return err
		}
		sum = reservedSum(row)
		*usage.TotalCodeSize, *usage.FunctionCount, err = countStorage(ctx, rd, c.Account, c.Region)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &GetAccountSettingsOutput{AccountUsage: usage, AccountLimit: &AccountLimit{
		TotalCodeSize: new(int64(maxStorage)), CodeSizeUnzipped: new(int64(invoke.MaxCode)), CodeSizeZipped: new(int64(52_428_800)),
		ConcurrentExecutions: new(int32(invoke.DefaultConcurrency)), UnreservedConcurrentExecutions: new(int32(invoke.DefaultConcurrency - sum)),
	}}, nil
}
