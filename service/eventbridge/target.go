package eventbridge

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/jsonpath"
)

// maxTargets is how many targets a rule may have.
const maxTargets = 5

// The retry policy of a target that does not say.
const (
	defaultAttempts = 185
	defaultAge      = 24 * time.Hour
)

// putTargets answers PutTargets: each target is added, or replaces the one with its id.
func (s *Service) putTargets(ctx context.Context, c cloud.Caller, in *PutTargetsInput) (*PutTargetsOutput, error) {
	bus := busName(in.EventBusName)
	for _, t := range in.Targets {
		if err := checkTarget(t); err != nil {
			return nil, err
		}
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.rule(ctx, tx, c, bus, *in.Rule); err != nil {
			return err
		}
		old, err := targetsOf(ctx, tx, c, bus, *in.Rule)
		if err != nil {
			return err
		}
		ids := map[string]bool{}
		for _, t := range slices.Concat(old, in.Targets) {
			ids[*t.Id] = true
		}
		if len(ids) > maxTargets {
			return cloud.Faultf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
		}
		for _, t := range in.Targets {
			if i := slices.IndexFunc(old, func(o Target) bool { return *o.Id == *t.Id }); i >= 0 {
				tx.Delete(byTargetKey(c.Account, c.Region, bus, *old[i].Arn, *in.Rule, *t.Id))
			}
			tx.Set(byTargetKey(c.Account, c.Region, bus, *t.Arn, *in.Rule, *t.Id), nil)
			if err := kv.PutRow(tx, targetKey(c.Account, c.Region, bus, *in.Rule, *t.Id), t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutTargetsOutput{FailedEntryCount: new(int32(0)), FailedEntries: []PutTargetsResultEntry{}}, nil
}

// checkTarget refuses what could not be called later.
func checkTarget(t Target) error {
	given := 0
	for _, is := range []bool{t.Input != nil, t.InputPath != nil, t.InputTransformer != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		return invalid("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", *t.Id)
	}
	a, ok := cloud.ParseARN(*t.Arn)
	if !ok {
		return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", *t.Arn)
	}
	if a.Service != "lambda" || !strings.HasPrefix(a.Resource, "function:") {
		return notImplemented("targets of %s are not implemented; only Lambda functions are", a.Service)
	}
	switch {
	case t.KinesisParameters != nil, t.RunCommandParameters != nil, t.EcsParameters != nil, t.BatchParameters != nil, t.SqsParameters != nil,
		t.HttpParameters != nil, t.RedshiftDataParameters != nil, t.SageMakerPipelineParameters != nil, t.AppSyncParameters != nil:
		return invalid("Parameter(s) of target %s are not valid for a Lambda function.", *t.Id)
	case t.DeadLetterConfig != nil && t.DeadLetterConfig.Arn != nil:
		return notImplemented("dead-letter queues of targets are not implemented")
	case t.Input != nil && !json.Valid([]byte(*t.Input)):
		return invalid("JSON syntax error in input for target %s", *t.Id)
	case t.InputPath != nil:
		return checkPath(*t.Id, *t.InputPath)
	case t.InputTransformer != nil:
		return checkTransformer(*t.Id, t.InputTransformer)
	}
	return nil
}

func checkPath(target, path string) error {
	if _, err := jsonpath.Compile(path); err != nil || !strings.HasPrefix(path, "$") {
		return invalid("Invalid InputPath for target %s : [%s]", target, path)
	}
	return nil
}

// targetsOf reads a rule's targets in order of their ids.
func targetsOf(ctx context.Context, r kv.Reader, c cloud.Caller, bus, rule string) ([]Target, error) {
	rows, err := r.Scan(ctx, kv.Prefix(c.Account, c.Region, "target", bus, rule))
	if err != nil {
		return nil, err
	}
	targets := make([]Target, len(rows))
	for i, row := range rows {
		if err := kv.DecodeRow(row.Value, &targets[i]); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// removeTargets answers RemoveTargets, each id for itself.
func (s *Service) removeTargets(ctx context.Context, c cloud.Caller, in *RemoveTargetsInput) (*RemoveTargetsOutput, error) {
	bus := busName(in.EventBusName)
	failed := []RemoveTargetsResultEntry{}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		failed = failed[:0]
		if _, err := s.rule(ctx, tx, c, bus, *in.Rule); err != nil {
			return err
		}
		for _, id := range in.Ids {
			key := targetKey(c.Account, c.Region, bus, *in.Rule, id)
			var old Target
			found, err := kv.GetRow(ctx, tx, key, &old)
			if err != nil {
				return err
			}
			if !found {
				failed = append(failed, RemoveTargetsResultEntry{TargetId: &id, ErrorCode: new("ResourceNotFoundException"),
					ErrorMessage: new("Rule " + *in.Rule + " does not have a target with the Id " + id + ".")})
				continue
			}
			tx.Delete(key)
			tx.Delete(byTargetKey(c.Account, c.Region, bus, *old.Arn, *in.Rule, id))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &RemoveTargetsOutput{FailedEntryCount: new(int32(len(failed))), FailedEntries: failed}, nil
}

// listTargetsByRule answers ListTargetsByRule.
func (s *Service) listTargetsByRule(ctx context.Context, c cloud.Caller, in *ListTargetsByRuleInput) (*ListTargetsByRuleOutput, error) {
	bus := busName(in.EventBusName)
	var targets []Target
	err := s.kv.View(ctx, func(r kv.Reader) error {
		_, err := s.rule(ctx, r, c, bus, *in.Rule)
		if err != nil {
			return err
		}
		targets, err = targetsOf(ctx, r, c, bus, *in.Rule)
		return err
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = *t.Id
	}
	ids, next, err := page(ids, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListTargetsByRuleOutput{Targets: []Target{}, NextToken: next}
	for _, t := range targets {
		if slices.Contains(ids, *t.Id) {
			out.Targets = append(out.Targets, t)
		}
	}
	return out, nil
}

// listRuleNamesByTarget answers ListRuleNamesByTarget.
func (s *Service) listRuleNamesByTarget(ctx context.Context, c cloud.Caller, in *ListRuleNamesByTargetInput) (*ListRuleNamesByTargetOutput, error) {
	bus := busName(in.EventBusName)
	if err := checkBus(bus); err != nil {
		return nil, err
	}
	out := &ListRuleNamesByTargetOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		rows, err := r.Scan(ctx, kv.Prefix(c.Account, c.Region, "bytarget", bus, *in.TargetArn))
		if err != nil {
			return err
		}
		names, _, err := lastParts(rows, 5)
		if err != nil {
			return err
		}
		names, out.NextToken, err = page(slices.Compact(names), in.Limit, in.NextToken)
		out.RuleNames = append([]string{}, names...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
