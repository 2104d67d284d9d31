package cloudformation

import (
	"context"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// changeSetRow is an update, or a creation, that was looked at and may be executed.
type changeSetRow struct {
	ID, Name, Stack, StackName string // ID is an ARN
	Type, Description          string
	Status, Reason, Execution  string
	Created                    time.Time
	Target                     target
	Changes                    []changeRow
	Nested                     bool
	OnFailure                  string
	Token                      string
}

const noChanges = "The submitted information didn't contain changes. Submit different information to create a change set."

// maxChangeSets bounds the change sets of a stack, as AWS does.
const maxChangeSets = 1000

// changeSetUUID returns the last part of a change set's ARN.
func changeSetUUID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// changeSet finds a change set by ARN, or by name within a stack.
func (s *Service) changeSet(ctx context.Context, r kv.Reader, c cloud.Caller, nameOrID string, stackName *string) (*changeSetRow, error) {
	if strings.HasPrefix(nameOrID, "arn:") {
		stack, err := r.Get(ctx, changeSetStackKey(c.Account, c.Region, changeSetUUID(nameOrID)))
		if err != nil {
			return nil, err
		}
		row := &changeSetRow{}
		found, err := getRow(ctx, r, changeSetKey(c.Account, c.Region, string(stack), changeSetUUID(nameOrID)), row)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, noChangeSet(nameOrID)
		}
		return row, nil
	}
	if stackName == nil {
		return nil, invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	stack, err := s.stack(ctx, r, c, *stackName)
	if err != nil {
		return nil, noStackToChange(err, *stackName)
	}
	sets, err := s.changeSets(ctx, r, stack)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if set.Name == nameOrID {
			return set, nil
		}
	}
	return nil, noChangeSet(nameOrID)
}

func noChangeSet(nameOrID string) error {
	return cloud.Faultf("ChangeSetNotFoundException", "ChangeSet [%s] does not exist", nameOrID)
}

func (s *Service) changeSets(ctx context.Context, r kv.Reader, stack *stackRow) ([]*changeSetRow, error) {
	rows, err := r.Scan(ctx, kv.Prefix(stack.Account, stack.Region, "changeset", stack.ID))
	if err != nil {
		return nil, err
	}
	var out []*changeSetRow
	for _, row := range rows {
		set := &changeSetRow{}
		if err := decodeRow(row.Value, set); err != nil {
			return nil, err
		}
		out = append(out, set)
	}
	slices.SortFunc(out, func(a, b *changeSetRow) int { return a.Created.Compare(b.Created) })
	return out, nil
}

func putChangeSet(tx *kv.Tx, ref stackRef, set *changeSetRow) error {
	id := changeSetUUID(set.ID)
	tx.Set(changeSetStackKey(ref.account, ref.region, id), []byte(ref.id))
	return putRow(tx, changeSetKey(ref.account, ref.region, ref.id, id), set)
}

func dropChangeSet(tx *kv.Tx, ref stackRef, set *changeSetRow) {
	id := changeSetUUID(set.ID)
	tx.Delete(changeSetStackKey(ref.account, ref.region, id))
	tx.Delete(changeSetKey(ref.account, ref.region, ref.id, id))
}

// createChangeSet answers CreateChangeSet. The changes are worked out at once: the reply says that the set
// is there, and it is.
func (s *Service) createChangeSet(ctx context.Context, c cloud.Caller, in *CreateChangeSetInput) (*CreateChangeSetOutput, error) {
	if err := unsupportedInChangeSet(in); err != nil {
		return nil, err
	}
	kind := cloud.Or(in.ChangeSetType, "UPDATE")
	stack, rows, err := s.stackForChangeSet(ctx, c, in, kind)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, c, stack, request{body: in.TemplateBody, url: in.TemplateURL, usePrevious: cloud.Val(in.UsePreviousTemplate),
		parameters: in.Parameters, capabilities: in.Capabilities, types: in.ResourceTypes, roleARN: in.RoleARN,
		rollback: in.RollbackConfiguration, topics: in.NotificationARNs, tags: in.Tags, changeSet: true, update: kind == "UPDATE"})
	if err != nil {
		return nil, err
	}
	list, err := s.changes(ctx, c, stack, rows, d)
	if err != nil {
		return nil, err
	}
	set := &changeSetRow{ID: c.ARNOf("cloudformation", "changeSet/"+*in.ChangeSetName+"/"+newUUID()), Name: *in.ChangeSetName,
		Stack: stack.ID, StackName: stack.Name, Type: kind, Description: cloud.Val(in.Description), Status: "CREATE_COMPLETE",
		Execution: "AVAILABLE", Created: now(), Target: d.target, Changes: list.Resources, Nested: cloud.Val(in.IncludeNestedStacks),
		OnFailure: cloud.Val(in.OnStackFailure), Token: cloud.Val(in.ClientToken)}
	if kind == "UPDATE" && !list.any() && !stack.paused() {
		set.Status, set.Execution, set.Reason = "FAILED", "UNAVAILABLE", noChanges
	}
	if err := s.storeChangeSet(ctx, c, stack, set, d); err != nil {
		return nil, err
	}
	return &CreateChangeSetOutput{Id: &set.ID, StackId: &set.Stack}, nil
}

func unsupportedInChangeSet(in *CreateChangeSetInput) error {
	switch {
	case cloud.Val(in.ChangeSetType) == "IMPORT" || len(in.ResourcesToImport) > 0:
		return cloud.NotImplemented("Import of resources")
	case cloud.Val(in.ImportExistingResources):
		return cloud.NotImplemented("ImportExistingResources")
	case in.DeploymentMode != nil:
		return cloud.NotImplemented("DeploymentMode")
	case in.DeploymentConfig != nil:
		return cloud.NotImplemented("DeploymentConfig")
	case cloud.Val(in.DisableValidation):
		return cloud.NotImplemented("DisableValidation")
	}
	return nil
}

// stackForChangeSet finds the stack that a change set is for, or makes one that waits for its first.
func (s *Service) stackForChangeSet(ctx context.Context, c cloud.Caller, in *CreateChangeSetInput, kind string) (*stackRow, []*resourceRow, error) {
	stack, rows, err := s.forChange(ctx, c, *in.StackName)
	absent := cloud.FaultCode(err) == "ValidationError"
	if err != nil && !absent {
		return nil, nil, err
	}
	if kind == "UPDATE" {
		if absent {
			return nil, nil, err
		}
		if stack.Status == "REVIEW_IN_PROGRESS" {
			return nil, nil, invalid("Stack [%s] does not exist", *in.StackName)
		}
		return stack, rows, checkUpdatable(stack, true) // its execution will say whether it may be rolled back
	}
	if absent {
		if err := checkStackName(*in.StackName); err != nil {
			return nil, nil, err
		}
		return newStack(c, *in.StackName), nil, nil
	}
	if stack.Status != "REVIEW_IN_PROGRESS" {
		return nil, nil, invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", stack.Name, *in.ChangeSetName)
	}
	return stack, nil, nil
}

func (s *Service) storeChangeSet(ctx context.Context, c cloud.Caller, stack *stackRow, set *changeSetRow, d *draft) error {
	ref := stackRef{c.Account, c.Region, stack.ID}
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		var stored stackRow
		found, err := getRow(ctx, tx, stackKey(ref.account, ref.region, ref.id), &stored)
		if err != nil {
			return err
		}
		if !found {
			if err := s.review(ctx, tx, stack); err != nil {
				return err
			}
		} else if set.Type == "UPDATE" { // it may have begun to change while its changes were worked out
			if err := checkUpdatable(&stored, true); err != nil {
				return err
			}
		}
		sets, err := s.changeSets(ctx, tx, stack)
		if err != nil {
			return err
		}
		for _, other := range sets {
			if other.Name == set.Name && other.Execution == "EXECUTE_COMPLETE" {
				dropChangeSet(tx, ref, other) // a set that was executed does not keep its name
			} else if other.Name == set.Name && set.Token != "" && other.Token == set.Token {
				*set = *other
				return nil
			} else if other.Name == set.Name {
				return cloud.Faultf("AlreadyExistsException", "ChangeSet %s cannot be created due to a mismatch with existing attribute Template", set.Name)
			}
		}
		if len(sets) >= maxChangeSets {
			return cloud.Faultf("LimitExceededException", "Stack [%s] has too many change sets", stack.Name)
		}
		hash, err := putTemplate(tx, ref, d.text)
		if err != nil {
			return err
		}
		next := *set
		next.Target.Template = hash
		return putChangeSet(tx, ref, &next)
	})
}

// review makes the stack that a change set of type CREATE is for: one that waits for it to be executed.
func (s *Service) review(ctx context.Context, tx *kv.Tx, stack *stackRow) error {
	taken, err := tx.Get(ctx, nameKey(stack.Account, stack.Region, stack.Name))
	if err != nil {
		return err
	}
	if taken != nil {
		return alreadyExists(stack.Name)
	}
	if err := s.putNew(tx, stack, settingsRow{}); err != nil {
		return err
	}
	waiting := *stack
	waiting.Status, waiting.Reason = "REVIEW_IN_PROGRESS", userInitiated
	ref := stackRef{stack.Account, stack.Region, stack.ID}
	if err := putEvent(tx, ref, eventRow{Time: stack.Created, Logical: stack.Name, Physical: stack.ID, Type: stackType,
		Status: waiting.Status, Reason: userInitiated}); err != nil {
		return err
	}
	return putRow(tx, stackKey(ref.account, ref.region, ref.id), &waiting)
}

// describeChangeSet answers DescribeChangeSet.
func (s *Service) describeChangeSet(ctx context.Context, c cloud.Caller, in *DescribeChangeSetInput) (*DescribeChangeSetOutput, error) {
	var set *changeSetRow
	after, err := pageAfter(in.NextToken)
	if err != nil {
		return nil, err
	}
	err = s.kv.View(ctx, func(r kv.Reader) (err error) {
		set, err = s.changeSet(ctx, r, c, *in.ChangeSetName, in.StackName)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &DescribeChangeSetOutput{ChangeSetName: &set.Name, ChangeSetId: &set.ID, StackId: &set.Stack, StackName: &set.StackName,
		Description: optional(set.Description), Parameters: showParameters(set.Target), CreationTime: &set.Created,
		ExecutionStatus: &set.Execution, Status: &set.Status, StatusReason: optional(set.Reason), NotificationARNs: []string{},
		RollbackConfiguration: showRollback(set.Target.Rollback), Capabilities: list(set.Target.Capabilities),
		Changes: []Change{}, IncludeNestedStacks: &set.Nested, OnStackFailure: optional(set.OnFailure)}
	if len(set.Target.Tags) > 0 {
		out.Tags = showTags(set.Target.Tags)
	}
	for _, ch := range set.Changes { // by logical id
		if ch.ID <= after {
			continue
		}
		if n := len(out.Changes); n == pageSize {
			out.NextToken = nextPage(*out.Changes[n-1].ResourceChange.LogicalResourceId)
			break
		}
		out.Changes = append(out.Changes, Change{Type: new("Resource"), ResourceChange: ch.show(cloud.Val(in.IncludePropertyValues))})
	}
	return out, nil
}

// list is l as a list that is shown even when it is empty.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

func (ch changeRow) show(values bool) *ResourceChange {
	out := &ResourceChange{Action: &ch.Action, LogicalResourceId: &ch.ID, PhysicalResourceId: optional(ch.Physical), ResourceType: &ch.Type,
		Replacement: optional(ch.Replacement), PolicyAction: optional(ch.PolicyAction), Scope: list(ch.Scope), Details: []ResourceChangeDetail{}}
	if values {
		out.BeforeContext, out.AfterContext = optional(ch.Before), optional(ch.After)
	}
	for _, d := range ch.Details {
		if d.WithValues && !values {
			continue
		}
		t := &ResourceTargetDefinition{Attribute: &d.Attribute, Name: optional(d.Name), RequiresRecreation: &d.Recreation}
		if values && d.Path != "" {
			t.Path, t.AttributeChangeType = &d.Path, &d.Kind
			t.BeforeValue, t.AfterValue = optional(d.Before), optional(d.After)
		}
		out.Details = append(out.Details, ResourceChangeDetail{Target: t, Evaluation: &d.Evaluation, ChangeSource: &d.Source, CausingEntity: optional(d.Entity)})
	}
	return out
}

// listChangeSets answers ListChangeSets.
func (s *Service) listChangeSets(ctx context.Context, c cloud.Caller, in *ListChangeSetsInput) (*ListChangeSetsOutput, error) {
	out := &ListChangeSetsOutput{}
	after, err := pageAfter(in.NextToken)
	if err != nil {
		return nil, err
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out.Summaries, out.NextToken = []ChangeSetSummary{}, nil
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		sets, err := s.changeSets(ctx, r, stack)
		if err != nil {
			return err
		}
		begin := 1 + slices.IndexFunc(sets, func(set *changeSetRow) bool { return set.ID == after })
		for i, set := range sets[begin:] {
			if i == pageSize {
				out.NextToken = nextPage(sets[begin+i-1].ID)
				break
			}
			out.Summaries = append(out.Summaries, ChangeSetSummary{StackId: &set.Stack, StackName: &set.StackName, ChangeSetId: &set.ID,
				ChangeSetName: &set.Name, ExecutionStatus: &set.Execution, Status: &set.Status, StatusReason: optional(set.Reason),
				CreationTime: &set.Created, Description: optional(set.Description), IncludeNestedStacks: &set.Nested})
		}
		return nil
	})
	return out, err
}

// deleteChangeSet answers DeleteChangeSet. Deleting one that does not exist is success.
func (s *Service) deleteChangeSet(ctx context.Context, c cloud.Caller, in *DeleteChangeSetInput) (*DeleteChangeSetOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		set, err := s.changeSet(ctx, tx, c, *in.ChangeSetName, in.StackName)
		if cloud.FaultCode(err) == "ChangeSetNotFoundException" {
			return nil
		}
		if err != nil {
			return err
		}
		if set.Execution == "EXECUTE_IN_PROGRESS" {
			return cloud.Faultf("InvalidChangeSetStatusException", "The change set [%s] is in %s status and cannot be deleted", set.ID, set.Execution)
		}
		dropChangeSet(tx, stackRef{c.Account, c.Region, set.Stack}, set)
		return nil
	})
	return &DeleteChangeSetOutput{}, err
}

// executeChangeSet answers ExecuteChangeSet.
func (s *Service) executeChangeSet(ctx context.Context, c cloud.Caller, in *ExecuteChangeSetInput) (*ExecuteChangeSetOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		set, err := s.changeSet(ctx, tx, c, *in.ChangeSetName, in.StackName)
		if err != nil {
			return err
		}
		stack, err := s.stack(ctx, tx, c, set.Stack)
		if err != nil {
			return err
		}
		if in.ClientRequestToken != nil && set.Execution != "AVAILABLE" && slices.Contains(stack.Tokens, *in.ClientRequestToken) {
			return nil
		}
		if set.Execution != "AVAILABLE" {
			return cloud.Faultf("InvalidChangeSetStatusException", "ChangeSet [%s] cannot be executed in its current status of [%s]", set.ID, executionState(set))
		}
		return s.startChangeSet(ctx, tx, c, stack, set, in)
	})
	return &ExecuteChangeSetOutput{}, err
}

func executionState(set *changeSetRow) string {
	if set.Status != "CREATE_COMPLETE" {
		return set.Status
	}
	return set.Execution
}

// startChangeSet starts the operation that a change set describes. The stack's other change sets were made
// against a state that is about to end, so they go.
func (s *Service) startChangeSet(ctx context.Context, tx *kv.Tx, c cloud.Caller, stack *stackRow, set *changeSetRow, in *ExecuteChangeSetInput) error {
	kind := opUpdate
	if set.Type == "CREATE" {
		kind = opCreate
	}
	op := newOperation(kind, phaseForward, c, set.Target, in.ClientRequestToken)
	op.ChangeSet = set.ID
	op.DropRetained = cloud.Val(in.RetainExceptOnCreate)
	if set.OnFailure != "" && kind == opCreate {
		op.OnFailure = set.OnFailure
	}
	if cloud.Val(in.DisableRollback) || set.OnFailure == "DO_NOTHING" {
		op.OnFailure = "DO_NOTHING"
	}
	if kind == opUpdate {
		if err := checkUpdatable(stack, op.OnFailure == "DO_NOTHING"); err != nil {
			return err
		}
		stack.goOn(op)
		settings, err := settings(ctx, tx, stack)
		if err != nil {
			return err
		}
		op.Policy = settings.Policy
	} else if stack.Status != "REVIEW_IN_PROGRESS" {
		return invalid("Stack:%s is in %s state and can not be created.", stack.ID, stack.Status)
	} else {
		stack.Current = set.Target
	}
	ref := stackRef{stack.Account, stack.Region, stack.ID}
	others, err := s.changeSets(ctx, tx, stack)
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.ID != set.ID {
			dropChangeSet(tx, ref, other)
		}
	}
	set.Execution = "EXECUTE_IN_PROGRESS"
	if err := putChangeSet(tx, ref, set); err != nil {
		return err
	}
	stack.DisableRollback = op.OnFailure == "DO_NOTHING"
	stack.ChangeSet = set.ID
	stack.Updated = new(op.Started)
	return s.begin(tx, stack, op, strings.ToUpper(kind)+"_IN_PROGRESS", userInitiated)
}

// outdate makes the stack's change sets ones that cannot be executed any more: they were made against a
// state that is about to end.
func (s *Service) outdate(ctx context.Context, tx *kv.Tx, stack *stackRow) error {
	sets, err := s.changeSets(ctx, tx, stack)
	if err != nil {
		return err
	}
	for _, set := range sets {
		if set.Execution != "AVAILABLE" {
			continue
		}
		set.Execution = "OBSOLETE"
		if err := putChangeSet(tx, stackRef{stack.Account, stack.Region, stack.ID}, set); err != nil {
			return err
		}
	}
	return nil
}

// settleChangeSet notes what came of an execution.
func (s *Service) settleChangeSet(ctx context.Context, tx *kv.Tx, ref stackRef, arn, outcome string) error {
	key := changeSetKey(ref.account, ref.region, ref.id, changeSetUUID(arn))
	set := &changeSetRow{}
	found, err := getRow(ctx, tx, key, set)
	if err != nil || !found {
		return err
	}
	set.Execution = outcome
	return putRow(tx, key, set)
}
