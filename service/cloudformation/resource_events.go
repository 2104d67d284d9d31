package cloudformation

import (
	"maps"
	"slices"

	"lambent/lang/cfn"
)

func eventsTypes() []*resourceType { return []*resourceType{eventsRule()} }

func eventsRule() *resourceType {
	bus := func(w *work, in map[string]any) map[string]any {
		maps.Copy(in, w.in("EventBusName"))
		return in
	}
	put := func(w *work) error {
		in := bus(w, w.in("ScheduleExpression", "State", "Description", "RoleArn"))
		in["Name"] = w.Name
		if p := w.Props["EventPattern"]; p != nil {
			text, ok := p.(string)
			if !ok {
				var err error
				if text, err = cfn.Encode(p); err != nil {
					return err
				}
			}
			in["EventPattern"] = text
		}
		if tags := tagList(w.Props["Tags"]); len(tags) > 0 && w.Old == nil {
			in["Tags"] = tags
		}
		out, err := w.call("PutRule", in)
		if err != nil {
			return err
		}
		w.ID = w.Name
		w.Attributes["Arn"], w.Attributes["RuleName"] = str(out, "RuleArn"), w.ID
		return w.ruleTargets(bus)
	}
	return &resourceType{
		Name: "AWS::Events::Rule", Service: "eventbridge", Stamped: true, NameLength: 64,
		Schema: `Name@name EventBusName@new ScheduleExpression EventPattern:json State Description RoleArn Tags:[{Key! Value!}]
			Targets:[{Id! Arn! RoleArn Input InputPath InputTransformer:{InputTemplate! InputPathsMap:map} DeadLetterConfig:{Arn}
				RetryPolicy:{MaximumEventAgeInSeconds:int MaximumRetryAttempts:int} KinesisParameters:{PartitionKeyPath!}
				SqsParameters:{MessageGroupId!} HttpParameters:{HeaderParameters:map PathParameterValues:[string] QueryStringParameters:map}
				EcsParameters:json BatchParameters:json RunCommandParameters:json RedshiftDataParameters:json
				SageMakerPipelineParameters:json AppSyncParameters:json}]`,
		Attributes: []string{"Arn", "RuleName"},
		Before: absent(func(w *work) error {
			_, err := w.call("DescribeRule", bus(w, map[string]any{"Name": w.Name}))
			return err
		}),
		Create: put,
		Update: func(w *work) error {
			if err := put(w); err != nil {
				return err
			}
			set, remove := w.tagChanges()
			if len(set) > 0 {
				if _, err := w.call("TagResource", map[string]any{"ResourceARN": w.Attributes["Arn"], "Tags": tagList(set)}); err != nil {
					return err
				}
			}
			if len(remove) > 0 {
				_, err := w.call("UntagResource", map[string]any{"ResourceARN": w.Attributes["Arn"], "TagKeys": remove})
				return err
			}
			return nil
		},
		Delete: func(w *work) error {
			w.Old, w.Props = w.Props, w.inOf(w.Props, "EventBusName")
			if err := gone(w.ruleTargets(bus)); err != nil {
				return err
			}
			_, err := w.call("DeleteRule", bus(w, map[string]any{"Name": w.ID}))
			return err
		},
	}
}

// ruleTargets puts the rule's targets and removes those that it had.
func (w *work) ruleTargets(bus func(*work, map[string]any) map[string]any) error {
	targets := items(w.in("Targets"), "Targets")
	kept := []string{}
	for _, t := range targets {
		kept = append(kept, str(t, "Id"))
	}
	var ids []any
	for _, t := range items(w.Old, "Targets") {
		if !slices.Contains(kept, str(t, "Id")) {
			ids = append(ids, str(t, "Id"))
		}
	}
	if len(ids) > 0 {
		if _, err := w.call("RemoveTargets", bus(w, map[string]any{"Rule": w.ID, "Ids": ids})); gone(err) != nil {
			return err
		}
	}
	if len(targets) == 0 || !w.changed("Targets") {
		return nil
	}
	out, err := w.call("PutTargets", bus(w, map[string]any{"Rule": w.ID, "Targets": targets}))
	if err != nil {
		return err
	}
	if failed := items(out, "FailedEntries"); len(failed) > 0 {
		return invalid("Target %s: %s", str(failed[0], "TargetId"), str(failed[0], "ErrorMessage"))
	}
	return nil
}
