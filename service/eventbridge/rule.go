package eventbridge

import (
	"context"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/schedule"
)

// rule is the row of a rule.
type rule struct {
	Name        string
	Schedule    string
	State       string
	Description string `json:",omitempty"`
	RoleARN     string `json:",omitempty"`
	CreatedBy   string // account
	Tags        []Tag  `json:",omitempty"`
}

const (
	enabled  = "ENABLED"
	disabled = "DISABLED"
)

// ruleARN names a rule; those on the default bus do not name the bus.
func ruleARN(c cloud.Caller, bus, name string) string {
	if bus == defaultBus {
		return c.ARNOf("events", "rule/"+name)
	}
	return c.ARNOf("events", "rule/"+bus+"/"+name)
}

func noSuchRule(bus, name string) error {
	return cloud.Faultf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", name, bus)
}

// rule reads a rule.
func (s *Service) rule(ctx context.Context, r kv.Reader, c cloud.Caller, bus, name string) (rule, error) {
	var v rule
	if err := checkBus(bus); err != nil {
		return v, err
	}
	found, err := kv.GetRow(ctx, r, ruleKey(c.Account, c.Region, bus, name), &v)
	if err == nil && !found {
		err = noSuchRule(bus, name)
	}
	return v, err
}

// putRule answers PutRule: it makes the rule or replaces what can be said of it, tags aside.
func (s *Service) putRule(ctx context.Context, c cloud.Caller, in *PutRuleInput) (*PutRuleOutput, error) {
	bus := busName(in.EventBusName)
	if err := checkPutRule(c, bus, in); err != nil {
		return nil, err
	}
	v := rule{
		Name: *in.Name, Schedule: *in.ScheduleExpression, State: cloud.Or(in.State, enabled), Description: cloud.Val(in.Description),
		RoleARN: cloud.Val(in.RoleArn), CreatedBy: c.Account, Tags: in.Tags,
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		var old rule
		found, err := kv.GetRow(ctx, tx, ruleKey(c.Account, c.Region, bus, v.Name), &old)
		if err != nil {
			return err
		}
		if found {
			v.Tags = old.Tags // they are changed by TagResource only
		}
		return s.save(ctx, tx, c, bus, old, v)
	})
	if err != nil {
		return nil, err
	}
	return &PutRuleOutput{RuleArn: new(ruleARN(c, bus, v.Name))}, nil
}

func checkPutRule(c cloud.Caller, bus string, in *PutRuleInput) error {
	switch {
	case cloud.Val(in.ScheduleExpression) == "" && cloud.Val(in.EventPattern) == "":
		return invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case in.EventPattern != nil:
		return notImplemented("rules with an EventPattern are not implemented")
	case bus != defaultBus:
		return invalid("ScheduleExpression is supported only on the default event bus.")
	case in.State != nil && *in.State != enabled && *in.State != disabled:
		return notImplemented("the rule state %s is not implemented", *in.State)
	}
	if s, err := schedule.Parse(*in.ScheduleExpression); err != nil || s.Kind() == schedule.At {
		return invalid("Parameter ScheduleExpression is not valid.")
	}
	return checkTags(c, in.Tags)
}

// save writes v in place of old, and starts or stops its timer when that changes something.
func (s *Service) save(ctx context.Context, tx *kv.Tx, c cloud.Caller, bus string, old, v rule) error {
	id := timerID(c.Account, c.Region, v.Name)
	switch {
	case v.State == disabled:
		if err := s.timers.Clear(ctx, tx, id); err != nil {
			return err
		}
	case old.State != v.State || old.Schedule != v.Schedule:
		if err := s.timers.Set(ctx, tx, id, v.Schedule, c.Now); err != nil {
			return err
		}
	}
	return kv.PutRow(tx, ruleKey(c.Account, c.Region, bus, v.Name), v)
}

// describeRule answers DescribeRule.
func (s *Service) describeRule(ctx context.Context, c cloud.Caller, in *DescribeRuleInput) (*DescribeRuleOutput, error) {
	bus := busName(in.EventBusName)
	var v rule
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		v, err = s.rule(ctx, r, c, bus, *in.Name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &DescribeRuleOutput{
		Name: &v.Name, Arn: new(ruleARN(c, bus, v.Name)), ScheduleExpression: &v.Schedule, State: &v.State, Description: nonEmpty(v.Description),
		RoleArn: nonEmpty(v.RoleARN), EventBusName: &bus, CreatedBy: &v.CreatedBy,
	}, nil
}

// deleteRule answers DeleteRule. A rule that is not there is deleted all the same, as on AWS.
func (s *Service) deleteRule(ctx context.Context, c cloud.Caller, in *DeleteRuleInput) (*DeleteRuleOutput, error) {
	bus := busName(in.EventBusName)
	if err := checkBus(bus); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		targets := kv.Prefix(c.Account, c.Region, "target", bus, *in.Name)
		targets.Limit = 1
		rows, err := tx.Scan(ctx, targets)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return invalid("Rule can't be deleted since it has targets.")
		}
		tx.Delete(ruleKey(c.Account, c.Region, bus, *in.Name))
		return s.timers.Clear(ctx, tx, timerID(c.Account, c.Region, *in.Name))
	})
	if err != nil {
		return nil, err
	}
	return &DeleteRuleOutput{}, nil
}

// setState changes the state of a rule.
func (s *Service) setState(ctx context.Context, c cloud.Caller, busOrARN, name *string, state string) error {
	bus := busName(busOrARN)
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		old, err := s.rule(ctx, tx, c, bus, *name)
		if err != nil {
			return err
		}
		v := old
		v.State = state
		return s.save(ctx, tx, c, bus, old, v)
	})
}

// enableRule answers EnableRule: the rule counts from now.
func (s *Service) enableRule(ctx context.Context, c cloud.Caller, in *EnableRuleInput) (*EnableRuleOutput, error) {
	if err := s.setState(ctx, c, in.EventBusName, in.Name, enabled); err != nil {
		return nil, err
	}
	return &EnableRuleOutput{}, nil
}

// disableRule answers DisableRule.
func (s *Service) disableRule(ctx context.Context, c cloud.Caller, in *DisableRuleInput) (*DisableRuleOutput, error) {
	if err := s.setState(ctx, c, in.EventBusName, in.Name, disabled); err != nil {
		return nil, err
	}
	return &DisableRuleOutput{}, nil
}

// listRules answers ListRules, in order of their names.
func (s *Service) listRules(ctx context.Context, c cloud.Caller, in *ListRulesInput) (*ListRulesOutput, error) {
	bus := busName(in.EventBusName)
	if err := checkBus(bus); err != nil {
		return nil, err
	}
	out := &ListRulesOutput{Rules: []Rule{}}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		rows, err := r.Scan(ctx, kv.Prefix(c.Account, c.Region, "rule", bus))
		if err != nil {
			return err
		}
		all, values, err := lastParts(rows, 4)
		if err != nil {
			return err
		}
		var names []string
		for _, n := range all {
			if strings.HasPrefix(n, cloud.Val(in.NamePrefix)) {
				names = append(names, n)
			}
		}
		if names, out.NextToken, err = page(names, in.Limit, in.NextToken); err != nil {
			return err
		}
		out.Rules = out.Rules[:0]
		for _, n := range names {
			var v rule
			if err := kv.DecodeRow(values[n], &v); err != nil {
				return err
			}
			out.Rules = append(out.Rules, Rule{
				Name: &v.Name, Arn: new(ruleARN(c, bus, v.Name)), ScheduleExpression: &v.Schedule, State: &v.State,
				Description: nonEmpty(v.Description), RoleArn: nonEmpty(v.RoleARN), EventBusName: &bus,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
