package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/eventbridge"
	"lambent/source/schedule"
)

const function = "arn:aws:lambda:us-east-1:000000000000:function:tick"

// timers are the real ones, with a note of what was set and cleared.
type timers struct {
	*schedule.Timers
	log []string
}

func (t *timers) Set(ctx context.Context, tx *kv.Tx, id, expression string, from time.Time) error {
	t.note("set " + id + " " + expression)
	return t.Timers.Set(ctx, tx, id, expression, from)
}

func (t *timers) Clear(ctx context.Context, tx *kv.Tx, id string) error {
	t.note("clear " + id)
	return t.Timers.Clear(ctx, tx, id)
}

// note writes down what differs from the last: a transaction may run several times.
func (t *timers) note(what string) {
	if len(t.log) == 0 || t.log[len(t.log)-1] != what {
		t.log = append(t.log, what)
	}
}

type rig struct {
	*testing.T
	events *eventbridge.Service
	ops    map[string]service.Operation
	timers *timers
	caller cloud.Caller
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store := kvtest.Mem(t)
	tm := &timers{Timers: schedule.NewTimers(store.In("schedule"))}
	r := &rig{T: t, events: eventbridge.New(store.In("eventbridge"), tm), timers: tm, ops: map[string]service.Operation{}, caller: cloud.Caller{
		Account: cloud.DefaultAccount, Region: "us-east-1", Root: true, Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}}
	for _, op := range r.events.Service().Operations {
		r.ops[op.Name] = op
	}
	return r
}

func do[O any](r *rig, op string, in any) *O {
	r.Helper()
	out, err := r.ops[op].Handle(context.Background(), r.caller, in)
	if err != nil {
		r.Fatalf("%s: %v", op, err)
	}
	return out.(*O)
}

func refused(r *rig, code, message, op string, in any) {
	r.Helper()
	_, err := r.ops[op].Handle(context.Background(), r.caller, in)
	var f *cloud.Fault
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, message) {
		r.Errorf("%s: got %v, want %s: %s", op, err, code, message)
	}
}

func (r *rig) rule(name, expression string) {
	r.Helper()
	do[eventbridge.PutRuleOutput](r, "PutRule", &eventbridge.PutRuleInput{Name: &name, ScheduleExpression: &expression})
}

func (r *rig) target(rule string, t eventbridge.Target) {
	r.Helper()
	if t.Arn == nil {
		t.Arn = new(function)
	}
	do[eventbridge.PutTargetsOutput](r, "PutTargets", &eventbridge.PutTargetsInput{Rule: &rule, Targets: []eventbridge.Target{t}})
}

// due fires the rule and returns "function payload attempts age" of each call.
func (r *rig) due(rule string) (calls []string) {
	r.Helper()
	at := time.Date(2026, 3, 1, 12, 5, 0, 0, time.UTC)
	err := r.events.Due(context.Background(), "000000000000/us-east-1/"+rule, at, func(account, region, fn, source string, payload []byte, attempts int, age time.Duration) {
		if account != cloud.DefaultAccount || region != "us-east-1" || source != "arn:aws:events:us-east-1:000000000000:rule/"+rule {
			r.Errorf("called for %s %s %s", account, region, source)
		}
		calls = append(calls, fmt.Sprint(fn, " ", string(payload), " ", attempts, " ", age))
	})
	if err != nil {
		r.Fatal(err)
	}
	return calls
}

func TestRuleLife(t *testing.T) {
	r := newRig(t)
	name := new("tick")
	refused(r, "ResourceNotFoundException", "Rule tick does not exist on EventBus default.", "DescribeRule", &eventbridge.DescribeRuleInput{Name: name})
	put := &eventbridge.PutRuleInput{Name: name, ScheduleExpression: new("rate(1 minute)"), Description: new("d"), Tags: []eventbridge.Tag{{Key: new("k"), Value: new("v")}}}
	arn := *do[eventbridge.PutRuleOutput](r, "PutRule", put).RuleArn
	if arn != "arn:aws:events:us-east-1:000000000000:rule/tick" {
		t.Errorf("got %s", arn)
	}
	put.Tags = nil
	do[eventbridge.PutRuleOutput](r, "PutRule", put) // the same again: the timer goes on
	put.ScheduleExpression = new("rate(2 minutes)")
	do[eventbridge.PutRuleOutput](r, "PutRule", put)
	do[eventbridge.DisableRuleOutput](r, "DisableRule", &eventbridge.DisableRuleInput{Name: name})
	d := do[eventbridge.DescribeRuleOutput](r, "DescribeRule", &eventbridge.DescribeRuleInput{Name: name, EventBusName: new("arn:aws:events:us-east-1:000000000000:event-bus/default")})
	if *d.State != "DISABLED" || *d.ScheduleExpression != "rate(2 minutes)" || *d.EventBusName != "default" || *d.CreatedBy != cloud.DefaultAccount || *d.Arn != arn || *d.Description != "d" {
		t.Errorf("got %+v", d)
	}
	if tags := do[eventbridge.ListTagsForResourceOutput](r, "ListTagsForResource", &eventbridge.ListTagsForResourceInput{ResourceARN: &arn}).Tags; len(tags) != 1 {
		t.Errorf("got tags %v", tags)
	}
	do[eventbridge.EnableRuleOutput](r, "EnableRule", &eventbridge.EnableRuleInput{Name: name})
	r.target("tick", eventbridge.Target{Id: new("1")})
	refused(r, "ValidationException", "Rule can't be deleted since it has targets.", "DeleteRule", &eventbridge.DeleteRuleInput{Name: name})
	do[eventbridge.RemoveTargetsOutput](r, "RemoveTargets", &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"1"}})
	do[eventbridge.DeleteRuleOutput](r, "DeleteRule", &eventbridge.DeleteRuleInput{Name: name})
	do[eventbridge.DeleteRuleOutput](r, "DeleteRule", &eventbridge.DeleteRuleInput{Name: name})
	refused(r, "ResourceNotFoundException", "", "EnableRule", &eventbridge.EnableRuleInput{Name: name})
	const id = "000000000000/us-east-1/tick"
	want := []string{"set " + id + " rate(1 minute)", "set " + id + " rate(2 minutes)", "clear " + id, "set " + id + " rate(2 minutes)"}
	if got := r.timers.log[:4]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("timers: got %q, want %q", got, want)
	}
}

func TestPutRuleRefusals(t *testing.T) {
	r := newRig(t)
	put := func(expr, pattern, bus *string) *eventbridge.PutRuleInput {
		return &eventbridge.PutRuleInput{Name: new("r"), ScheduleExpression: expr, EventPattern: pattern, EventBusName: bus}
	}
	refused(r, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.", "PutRule", put(nil, nil, nil))
	for _, expr := range []string{"rate(10 seconds)", "cron(0 1 * * * *)", "at(2026-03-01T12:00:00)", " rate(1 minute)"} {
		refused(r, "ValidationException", "Parameter ScheduleExpression is not valid.", "PutRule", put(&expr, nil, nil))
	}
	refused(r, "ValidationException", "ScheduleExpression is supported only on the default event bus.", "PutRule", put(new("rate(1 minute)"), nil, new("own")))
	refused(r, "NotImplemented", "EventPattern", "PutRule", put(nil, new(`{"source":["x"]}`), nil))
	refused(r, "NotImplemented", "PutEvents", "PutEvents", &eventbridge.PutEventsInput{})
	refused(r, "ResourceNotFoundException", "Event bus own does not exist.", "ListRules", &eventbridge.ListRulesInput{EventBusName: new("own")})
}

func TestTargets(t *testing.T) {
	r := newRig(t)
	r.rule("one", "rate(1 minute)")
	r.rule("two", "rate(1 minute)")
	put := func(t ...eventbridge.Target) *eventbridge.PutTargetsInput {
		return &eventbridge.PutTargetsInput{Rule: new("one"), Targets: t}
	}
	lambda := func(id string) eventbridge.Target { return eventbridge.Target{Id: &id, Arn: new(function)} }
	both := lambda("x")
	both.Input, both.InputPath = new("{}"), new("$.detail")
	refused(r, "ValidationException", "Only one of Input, InputPath, or InputTransformer must be provided for target x.", "PutTargets", put(both))
	refused(r, "NotImplemented", "sqs", "PutTargets", put(eventbridge.Target{Id: new("q"), Arn: new("arn:aws:sqs:us-east-1:000000000000:q")}))
	refused(r, "ValidationException", "Provided Arn is not in correct format.", "PutTargets", put(eventbridge.Target{Id: new("q"), Arn: new("nothing")}))
	bad := lambda("x")
	bad.Input = new("{")
	refused(r, "ValidationException", "JSON syntax error in input for target x", "PutTargets", put(bad))
	bad = lambda("x")
	bad.InputTransformer = &eventbridge.InputTransformer{InputPathsMap: map[string]string{"a": "$.detail"}, InputTemplate: new("<a> bare text")}
	refused(r, "ValidationException", "Invalid InputTemplate for target x", "PutTargets", put(bad))
	refused(r, "LimitExceededException", "The requested resource exceeds the maximum number allowed.", "PutTargets",
		put(lambda("1"), lambda("2"), lambda("3"), lambda("4"), lambda("5"), lambda("6")))
	refused(r, "ResourceNotFoundException", "Rule none does not exist on EventBus default.", "PutTargets", &eventbridge.PutTargetsInput{Rule: new("none"), Targets: []eventbridge.Target{lambda("1")}})

	out := do[eventbridge.PutTargetsOutput](r, "PutTargets", put(lambda("a"), lambda("b"), lambda("c")))
	if *out.FailedEntryCount != 0 || out.FailedEntries == nil {
		t.Errorf("got %+v", out)
	}
	r.target("two", lambda("z"))
	names := do[eventbridge.ListRuleNamesByTargetOutput](r, "ListRuleNamesByTarget", &eventbridge.ListRuleNamesByTargetInput{TargetArn: new(function)}).RuleNames
	if fmt.Sprint(names) != "[one two]" {
		t.Errorf("got rules %v", names)
	}
	page := do[eventbridge.ListTargetsByRuleOutput](r, "ListTargetsByRule", &eventbridge.ListTargetsByRuleInput{Rule: new("one"), Limit: new(int32(2))})
	if len(page.Targets) != 2 || *page.Targets[0].Id != "a" {
		t.Errorf("got %+v", page)
	}
	page = do[eventbridge.ListTargetsByRuleOutput](r, "ListTargetsByRule", &eventbridge.ListTargetsByRuleInput{Rule: new("one"), NextToken: page.NextToken})
	if len(page.Targets) != 1 || *page.Targets[0].Id != "c" || page.NextToken != nil {
		t.Errorf("got %+v", page)
	}
	moved := lambda("z")
	moved.Arn = new(function + ":live")
	r.target("two", moved)
	removed := do[eventbridge.RemoveTargetsOutput](r, "RemoveTargets", &eventbridge.RemoveTargetsInput{Rule: new("one"), Ids: []string{"a", "b", "c", "none"}})
	if *removed.FailedEntryCount != 1 || *removed.FailedEntries[0].TargetId != "none" {
		t.Errorf("got %+v", removed)
	}
	names = do[eventbridge.ListRuleNamesByTargetOutput](r, "ListRuleNamesByTarget", &eventbridge.ListRuleNamesByTargetInput{TargetArn: new(function)}).RuleNames
	if len(names) != 0 {
		t.Errorf("got rules %v", names)
	}
}

func TestListRules(t *testing.T) {
	r := newRig(t)
	for _, n := range []string{"b-2", "a-1", "b-1", "b-3"} {
		r.rule(n, "rate(1 minute)")
	}
	first := do[eventbridge.ListRulesOutput](r, "ListRules", &eventbridge.ListRulesInput{NamePrefix: new("b"), Limit: new(int32(2))})
	second := do[eventbridge.ListRulesOutput](r, "ListRules", &eventbridge.ListRulesInput{NamePrefix: new("b"), NextToken: first.NextToken})
	var names []string
	for _, rule := range append(first.Rules, second.Rules...) {
		names = append(names, *rule.Name)
	}
	if fmt.Sprint(names) != "[b-1 b-2 b-3]" || second.NextToken != nil {
		t.Errorf("got %v", names)
	}
}

// What a function gets, member by member as AWS sends it (test_events_schedule, recorded there).
func TestDue(t *testing.T) {
	r := newRig(t)
	r.rule("tick", "rate(5 minutes)")
	r.target("tick", eventbridge.Target{Id: new("1")})
	calls := r.due("tick")
	want := `^` + regexp.QuoteMeta(function) + ` \{"version":"0","id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}","detail-type":"Scheduled Event","source":"aws\.events",` +
		`"account":"000000000000","time":"2026-03-01T12:05:00Z","region":"us-east-1","resources":\["arn:aws:events:us-east-1:000000000000:rule/tick"\],"detail":\{\}\} 185 24h0m0s$`
	if len(calls) != 1 || !regexp.MustCompile(want).MatchString(calls[0]) {
		t.Errorf("got %q", calls)
	}
	r.target("tick", eventbridge.Target{Id: new("1"), Input: new(`{"key": 1}`), RetryPolicy: &eventbridge.RetryPolicy{MaximumRetryAttempts: new(int32(0)), MaximumEventAgeInSeconds: new(int32(60))}})
	if calls := r.due("tick"); fmt.Sprint(calls) != `[`+function+` {"key": 1} 0 1m0s]` {
		t.Errorf("got %q", calls)
	}
	r.target("tick", eventbridge.Target{Id: new("1"), InputPath: new("$.detail-type")})
	if calls := r.due("tick"); !strings.Contains(calls[0], ` "Scheduled Event" `) {
		t.Errorf("got %q", calls)
	}
	do[eventbridge.DisableRuleOutput](r, "DisableRule", &eventbridge.DisableRuleInput{Name: new("tick")})
	if calls := r.due("tick"); len(calls) != 0 {
		t.Errorf("a disabled rule called %q", calls)
	}
	if calls := r.due("none"); len(calls) != 0 {
		t.Errorf("no rule called %q", calls)
	}
}

// The forms are those of test_events_inputs, recorded on AWS.
func TestInputTransformer(t *testing.T) {
	r := newRig(t)
	r.rule("tick", "rate(5 minutes)")
	paths := map[string]string{"type": "$.detail-type", "list": "$.resources", "none": "$.detail.nothing", "detail": "$.detail"}
	for template, want := range map[string]string{
		`"<type> and <type>"`:                   `"Scheduled Event and Scheduled Event"`,
		`{"id" : "<type>"}`:                     `{"id" : "Scheduled Event"}`,
		`{"id" : <type>, "path": "a/<type>/b"}`: `{"id" : "Scheduled Event", "path": "a/Scheduled Event/b"}`,
		`{"list": <list>, "d": <detail>}`:       `{"list": ["arn:aws:events:us-east-1:000000000000:rule/tick"], "d": {}}`,
		`"<list> list"`:                         `"[arn:aws:events:us-east-1:000000000000:rule/tick] list"`,
		`{"none": "<none>", "value": <none>}`:   `{"none": "", "value": null}`,
		`"<aws.events.rule-arn> <aws.events.rule-name> <aws.events.event.ingestion-time>"`: `"arn:aws:events:us-east-1:000000000000:rule/tick tick 2026-03-01T12:05:00Z"`,
		`"<unknown> \"<type>\""`: `"<unknown> \"Scheduled Event\""`,
	} {
		r.target("tick", eventbridge.Target{Id: new("1"), InputTransformer: &eventbridge.InputTransformer{InputPathsMap: paths, InputTemplate: &template}})
		if calls := r.due("tick"); calls[0] != function+" "+want+" 185 24h0m0s" {
			t.Errorf("%s: got %s, want %s", template, calls[0], want)
		}
	}
	r.target("tick", eventbridge.Target{Id: new("1"), InputTransformer: &eventbridge.InputTransformer{InputTemplate: new(`{"event": <aws.events.event>, "json": <aws.events.event.json>}`)}})
	payload := strings.TrimSuffix(strings.TrimPrefix(r.due("tick")[0], function+" "), " 185 24h0m0s")
	var got struct{ Event, JSON map[string]any }
	if err := json.Unmarshal([]byte(payload), &got); err != nil || got.Event["detailType"] != "Scheduled Event" || got.Event["detail"] != nil || got.JSON["detail-type"] != "Scheduled Event" || got.JSON["detail"] == nil {
		t.Errorf("got %s, %v", payload, err)
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	r.rule("tick", "rate(1 minute)")
	for _, arn := range []string{"arn:aws:events:us-east-1:000000000000:rule/tick", "arn:aws:events:us-east-1:000000000000:event-bus/default"} {
		tags := func() (out []string) {
			t.Helper()
			for _, tag := range do[eventbridge.ListTagsForResourceOutput](r, "ListTagsForResource", &eventbridge.ListTagsForResourceInput{ResourceARN: &arn}).Tags {
				out = append(out, *tag.Key+"="+*tag.Value)
			}
			return out
		}
		tag := func(kv ...string) {
			t.Helper()
			in := &eventbridge.TagResourceInput{ResourceARN: &arn}
			for i := 0; i < len(kv); i += 2 {
				in.Tags = append(in.Tags, eventbridge.Tag{Key: &kv[i], Value: &kv[i+1]})
			}
			do[eventbridge.TagResourceOutput](r, "TagResource", in)
		}
		tag("tag1", "1", "tag2", "2")
		tag("tag1", "one")
		do[eventbridge.UntagResourceOutput](r, "UntagResource", &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"tag2", "none"}})
		if got := fmt.Sprint(tags()); got != "[tag1=one]" {
			t.Errorf("%s: got %s", arn, got)
		}
	}
	refused(r, "ResourceNotFoundException", "Rule none does not exist on EventBus default.", "ListTagsForResource",
		&eventbridge.ListTagsForResourceInput{ResourceARN: new("arn:aws:events:us-east-1:000000000000:rule/none")})
	refused(r, "ResourceNotFoundException", "Event bus none does not exist.", "TagResource",
		&eventbridge.TagResourceInput{ResourceARN: new("arn:aws:events:us-east-1:000000000000:event-bus/none")})
}

func TestEventBuses(t *testing.T) {
	r := newRig(t)
	d := do[eventbridge.DescribeEventBusOutput](r, "DescribeEventBus", &eventbridge.DescribeEventBusInput{})
	if *d.Arn != "arn:aws:events:us-east-1:000000000000:event-bus/default" {
		t.Errorf("got %s", *d.Arn)
	}
	refused(r, "ResourceNotFoundException", "Event bus own does not exist.", "DescribeEventBus", &eventbridge.DescribeEventBusInput{Name: new("own")})
	if got := do[eventbridge.ListEventBusesOutput](r, "ListEventBuses", &eventbridge.ListEventBusesInput{NamePrefix: new("x")}).EventBuses; len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
