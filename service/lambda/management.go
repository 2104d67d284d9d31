package lambda

import (
	"context"

	"lambent/cloud"
	"lambent/kv"
)

func (s *Service) getRuntimeManagementConfig(ctx context.Context, c cloud.Caller, in *GetRuntimeManagementConfigInput) (*GetRuntimeManagementConfigOutput, error) {
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &GetRuntimeManagementConfigOutput{FunctionArn: new(r.qualified(r.qualifier)), UpdateRuntimeOn: new("Auto")}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		fn, err := r.load(ctx, rd)
		if err != nil {
			return err
		}
		if _, _, err := r.find(ctx, rd); err != nil {
			return err
		}
		if mode := fn.RuntimeUpdate[r.qualifier]; mode != "" {
			out.UpdateRuntimeOn = new(mode)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// putRuntimeManagementConfig keeps Auto and FunctionUpdate. There is one build of each runtime, the host's, so no
// function can stay on another.
func (s *Service) putRuntimeManagementConfig(ctx context.Context, c cloud.Caller, in *PutRuntimeManagementConfigInput) (*PutRuntimeManagementConfigOutput, error) {
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if *in.UpdateRuntimeOn == "Manual" {
		return nil, cloud.NotImplemented("UpdateRuntimeOn Manual")
	}
	if in.RuntimeVersionArn != nil {
		return nil, invalid("RuntimeVersionArn is not supported when UpdateRuntimeOn is %s.", *in.UpdateRuntimeOn)
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		if _, _, err := r.find(ctx, tx); err != nil {
			return err
		}
		if fn.RuntimeUpdate == nil {
			fn.RuntimeUpdate = map[string]string{}
		}
		fn.RuntimeUpdate[r.qualifier] = *in.UpdateRuntimeOn
		return kv.PutRow(tx, r.key(), fn)
	})
	if err != nil {
		return nil, err
	}
	return &PutRuntimeManagementConfigOutput{FunctionArn: new(r.qualified(r.qualifier)), UpdateRuntimeOn: in.UpdateRuntimeOn}, nil
}

func (s *Service) getRecursionConfig(ctx context.Context, c cloud.Caller, in *GetFunctionRecursionConfigInput) (*GetFunctionRecursionConfigOutput, error) {
	fn, _, err := s.row(ctx, c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &GetFunctionRecursionConfigOutput{RecursiveLoop: new(or(fn.RecursiveLoop, "Terminate"))}, nil
}

func (s *Service) putRecursionConfig(ctx context.Context, c cloud.Caller, in *PutFunctionRecursionConfigInput) (*PutFunctionRecursionConfigOutput, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		fn.RecursiveLoop = *in.RecursiveLoop
		return kv.PutRow(tx, r.key(), fn)
	})
	if err != nil {
		return nil, err
	}
	return &PutFunctionRecursionConfigOutput{RecursiveLoop: in.RecursiveLoop}, nil
}
