// Package eventbridge is Amazon EventBridge as far as the clock goes: rules with a rate or cron expression on the
// default event bus, whose targets are Lambda functions. The schedule itself is kept by [Timers], in the same
// transaction as the rule; when it is due, [Service.Due] says which functions are called with which payload.
//
// # Keys
//
//	ACCOUNT REGION rule      BUS NAME             a rule with its tags
//	ACCOUNT REGION target    BUS RULE ID          a target of a rule
//	ACCOUNT REGION bytarget  BUS ARN RULE ID      index of the targets by what they call
//	ACCOUNT REGION bustags   BUS                  tags of an event bus
//
// # Differences from AWS
//
// Rules with an event pattern, PutEvents, event buses of one's own and targets other than Lambda functions are not
// implemented and say so. There is no limit of 300 rules. A rule that was put again with the same expression and
// state goes on counting where it was.
package eventbridge

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/service"
)

// Timers keep when rules are due. Both methods act in the caller's transaction.
type Timers interface {
	Set(ctx context.Context, tx *kv.Tx, id, expression string, from time.Time) error
	Clear(ctx context.Context, tx *kv.Tx, id string) error
}

// Service is EventBridge over a room of the store.
type Service struct {
	kv     *kv.Store
	timers Timers
}

// New returns EventBridge.
func New(store *kv.Store, timers Timers) *Service { return &Service{kv: store, timers: timers} }

// Service returns the table of operations.
func (s *Service) Service() service.Service {
	return service.Service{API: apiModel(), Operations: []service.Operation{
		service.On(service.Op("PutRule", s.putRule), func(c cloud.Caller, in *PutRuleInput) []string { return ruleARNs(c, in.EventBusName, in.Name) }),
		service.On(service.Op("DescribeRule", s.describeRule), func(c cloud.Caller, in *DescribeRuleInput) []string { return ruleARNs(c, in.EventBusName, in.Name) }),
		service.On(service.Op("DeleteRule", s.deleteRule), func(c cloud.Caller, in *DeleteRuleInput) []string { return ruleARNs(c, in.EventBusName, in.Name) }),
		service.On(service.Op("EnableRule", s.enableRule), func(c cloud.Caller, in *EnableRuleInput) []string { return ruleARNs(c, in.EventBusName, in.Name) }),
		service.On(service.Op("DisableRule", s.disableRule), func(c cloud.Caller, in *DisableRuleInput) []string { return ruleARNs(c, in.EventBusName, in.Name) }),
		service.Op("ListRules", s.listRules),
		service.On(service.Op("PutTargets", s.putTargets), func(c cloud.Caller, in *PutTargetsInput) []string { return ruleARNs(c, in.EventBusName, in.Rule) }),
		service.On(service.Op("RemoveTargets", s.removeTargets), func(c cloud.Caller, in *RemoveTargetsInput) []string { return ruleARNs(c, in.EventBusName, in.Rule) }),
		service.On(service.Op("ListTargetsByRule", s.listTargetsByRule), func(c cloud.Caller, in *ListTargetsByRuleInput) []string {
			return ruleARNs(c, in.EventBusName, in.Rule)
		}),
		service.Op("ListRuleNamesByTarget", s.listRuleNamesByTarget),
		service.On(service.Op("TagResource", s.tagResource), func(_ cloud.Caller, in *TagResourceInput) []string { return []string{cloud.Val(in.ResourceARN)} }),
		service.On(service.Op("UntagResource", s.untagResource), func(_ cloud.Caller, in *UntagResourceInput) []string { return []string{cloud.Val(in.ResourceARN)} }),
		service.On(service.Op("ListTagsForResource", s.listTagsForResource), func(_ cloud.Caller, in *ListTagsForResourceInput) []string {
			return []string{cloud.Val(in.ResourceARN)}
		}),
		service.On(service.Op("DescribeEventBus", s.describeEventBus), func(c cloud.Caller, in *DescribeEventBusInput) []string { return []string{busARN(c, busName(in.Name))} }),
		service.Op("ListEventBuses", s.listEventBuses),
		service.Op("PutEvents", s.putEvents),
	}}
}

func ruleARNs(c cloud.Caller, bus, rule *string) []string {
	return []string{ruleARN(c, busName(bus), cloud.Val(rule))}
}

func invalid(format string, args ...any) error {
	return cloud.Faultf("ValidationException", format, args...)
}

func notImplemented(format string, args ...any) error {
	return cloud.Faultf("NotImplemented", format, args...).WithStatus(501)
}

// page cuts a list of names as Limit and NextToken ask, and returns the token of the next page.
func page(names []string, limit *int32, token *string) ([]string, *string, error) {
	from := 0
	if token != nil {
		after, err := base64.StdEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, invalid("Parameter NextToken is not valid.")
		}
		for from < len(names) && names[from] <= string(after) {
			from++
		}
	}
	names = names[from:]
	if n := int(cloud.Or(limit, 100)); len(names) > n {
		return names[:n], new(base64.StdEncoding.EncodeToString([]byte(names[n-1]))), nil
	}
	return names, nil, nil
}

// lastParts returns the part of each key that stands at place, and the rows' values.
func lastParts(rows []kv.KV, place int) (names []string, values map[string][]byte, err error) {
	values = map[string][]byte{}
	for _, row := range rows {
		parts, err := kv.Unkey(row.Key)
		if err != nil {
			return nil, nil, err
		}
		name := parts[place].(string)
		names = append(names, name)
		values[name] = row.Value
	}
	return names, values, nil
}

// putEvents answers PutEvents loudly: no rule could match an event yet, so taking one would lose it.
func (s *Service) putEvents(context.Context, cloud.Caller, *PutEventsInput) (*PutEventsOutput, error) {
	return nil, notImplemented("PutEvents is not implemented: rules with event patterns come later")
}

// timerID names a rule to Timers.
func timerID(account, region, rule string) string { return account + "/" + region + "/" + rule }

func splitTimerID(id string) (account, region, rule string, ok bool) {
	account, rest, ok1 := strings.Cut(id, "/")
	region, rule, ok2 := strings.Cut(rest, "/")
	return account, region, rule, ok1 && ok2
}
