package cloudformation

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

var stackNamePattern = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]*$`)

// checkStackName refuses names that AWS refuses; the model has no pattern for these inputs.
func checkStackName(name string) error {
	if !stackNamePattern.MatchString(name) {
		return invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*", name)
	}
	if len(name) > 128 {
		return invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must have length less than or equal to 128", name)
	}
	return nil
}

// stack finds a stack by name or id.
func (s *Service) stack(ctx context.Context, r kv.Reader, c cloud.Caller, nameOrID string) (*stackRow, error) {
	id := nameOrID
	if !strings.HasPrefix(nameOrID, "arn:") {
		b, err := r.Get(ctx, nameKey(c.Account, c.Region, nameOrID))
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, noStack(nameOrID)
		}
		id = string(b)
	}
	row := &stackRow{}
	found, err := getRow(ctx, r, stackKey(c.Account, c.Region, id), row)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, noStack(nameOrID)
	}
	return row, nil
}

func noStack(nameOrID string) error { return invalid("Stack with id %s does not exist", nameOrID) }

// noStackToChange is how UpdateStack and its kin say noStack.
func noStackToChange(err error, nameOrID string) error {
	if cloud.FaultCode(err) == "ValidationError" {
		return invalid("Stack [%s] does not exist", nameOrID)
	}
	return err
}

// stackName returns the name in a stack's id.
func stackName(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) == 3 {
		return parts[1]
	}
	return id
}

func newStack(c cloud.Caller, name string) *stackRow {
	return &stackRow{Account: c.Account, Region: c.Region, Name: name, Created: now(),
		ID: c.ARNOf("cloudformation", "stack/"+name+"/"+newUUID())}
}

// createStack answers CreateStack.
func (s *Service) createStack(ctx context.Context, c cloud.Caller, in *CreateStackInput) (*CreateStackOutput, error) {
	if err := checkStackName(*in.StackName); err != nil {
		return nil, err
	}
	if in.DisableRollback != nil && in.OnFailure != nil {
		return nil, invalid("You cannot specify both DisableRollback and OnFailure")
	}
	if in.DeploymentConfig != nil {
		return nil, cloud.NotImplemented("DeploymentConfig")
	}
	if cloud.Val(in.DisableValidation) {
		return nil, cloud.NotImplemented("DisableValidation")
	}
	if existing, err := s.existing(ctx, c, *in.StackName, in.ClientRequestToken); err != nil || existing != nil {
		if err != nil {
			return nil, err
		}
		return &CreateStackOutput{StackId: &existing.ID}, nil
	}
	policy, err := s.policyText(ctx, c, in.StackPolicyBody, in.StackPolicyURL, "StackPolicyURL and StackPolicyBody", "StackPolicyURL")
	if err != nil {
		return nil, err
	}
	stack := newStack(c, *in.StackName)
	stack.DoNothing = cloud.Val(in.OnFailure) == "DO_NOTHING"
	stack.DisableRollback = cloud.Val(in.DisableRollback) || stack.DoNothing
	stack.RetainExceptOnCreate = cloud.Val(in.RetainExceptOnCreate)
	stack.Timeout = cloud.Val(in.TimeoutInMinutes)
	d, err := s.draft(ctx, c, stack, request{body: in.TemplateBody, url: in.TemplateURL, parameters: in.Parameters,
		capabilities: in.Capabilities, types: in.ResourceTypes, roleARN: in.RoleARN, rollback: in.RollbackConfiguration,
		topics: in.NotificationARNs, tags: in.Tags})
	if err != nil {
		return nil, err
	}
	op := newOperation(opCreate, phaseForward, c, d.target, in.ClientRequestToken)
	op.OnFailure = cloud.Or(in.OnFailure, "ROLLBACK")
	if stack.DisableRollback {
		op.OnFailure = "DO_NOTHING"
	}
	op.DropRetained = stack.RetainExceptOnCreate
	set := settingsRow{Protected: cloud.Val(in.EnableTerminationProtection), Policy: policy}
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		taken, err := tx.Get(ctx, nameKey(c.Account, c.Region, stack.Name))
		if err != nil {
			return err
		}
		if taken != nil {
			return alreadyExists(stack.Name)
		}
		if err := s.putNew(tx, stack, set); err != nil {
			return err
		}
		return s.beginTarget(tx, stack, op, d)
	})
	if err != nil {
		return nil, err
	}
	return &CreateStackOutput{StackId: &stack.ID}, nil
}

func alreadyExists(name string) error {
	return cloud.Faultf("AlreadyExistsException", "Stack [%s] already exists", name)
}

// existing returns the stack that an earlier call with the same token has made; a stack of the name that
// another call has made is an error.
func (s *Service) existing(ctx context.Context, c cloud.Caller, name string, token *string) (*stackRow, error) {
	var found *stackRow
	err := s.kv.View(ctx, func(r kv.Reader) error {
		found = nil
		row, err := s.stack(ctx, r, c, name)
		if cloud.FaultCode(err) == "ValidationError" {
			return nil
		}
		if err != nil {
			return err
		}
		if token == nil || !slices.Contains(row.Tokens, *token) {
			return alreadyExists(name)
		}
		found = row
		return nil
	})
	return found, err
}

func (s *Service) putNew(tx *kv.Tx, stack *stackRow, set settingsRow) error {
	tx.Set(nameKey(stack.Account, stack.Region, stack.Name), []byte(stack.ID))
	return putRow(tx, settingsKey(stack.Account, stack.Region, stack.ID), set)
}

// beginTarget stores the draft's template and starts the operation that brings the stack there.
func (s *Service) beginTarget(tx *kv.Tx, stack *stackRow, op *operation, d *draft) error {
	hash, err := putTemplate(tx, stackRef{stack.Account, stack.Region, stack.ID}, d.text)
	if err != nil {
		return err
	}
	op.Target.Template = hash
	if op.Kind == opCreate {
		stack.Current = op.Target
	} else {
		stack.Updated = new(op.Started)
	}
	return s.begin(tx, stack, op, strings.ToUpper(op.Kind)+"_IN_PROGRESS", userInitiated)
}

// updatable are the statuses in which a stack may be updated.
var updatable = []string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

// checkUpdatable refuses an update in a status that does not allow it. From a failure that was not rolled
// back an update may go on, as long as it will not be rolled back either.
func checkUpdatable(stack *stackRow, disableRollback bool) error {
	switch {
	case slices.Contains(updatable, stack.Status):
		return nil
	case !stack.paused():
		return invalid("Stack:%s is in %s state and can not be updated.", stack.ID, stack.Status)
	case stack.DoNothing && stack.Status == "CREATE_FAILED":
		return invalid("This stack cannot be updated from [CREATE_FAILED] state because it contains [on-failure: DO_NOTHING]. Please use disable-rollback option instead during stack creation.")
	case !disableRollback:
		return invalid("This stack is currently in a non-terminal [%s] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API", stack.Status)
	}
	return nil
}

// paused tells whether the stack's last operation failed and was not rolled back.
func (s *stackRow) paused() bool {
	return s.Suspended != nil && (s.Status == "CREATE_FAILED" || s.Status == "UPDATE_FAILED")
}

// latest is what the stack was last told to be: what an update that says "as before" means.
func (s *stackRow) latest() target {
	if s.paused() {
		return s.Suspended.Target
	}
	return s.Current
}

// goOn makes op one that goes on from the stack's suspended operation, if there is one.
func (s *stackRow) goOn(op *operation) {
	if !s.paused() {
		return
	}
	op.After = append(slices.Clone(s.Suspended.After), s.Suspended.ID)
	op.Unborn = s.Suspended.Unborn || s.Suspended.Kind == opCreate
}

// updateStack answers UpdateStack.
func (s *Service) updateStack(ctx context.Context, c cloud.Caller, in *UpdateStackInput) (*UpdateStackOutput, error) {
	if in.DeploymentConfig != nil {
		return nil, cloud.NotImplemented("DeploymentConfig")
	}
	if cloud.Val(in.DisableValidation) {
		return nil, cloud.NotImplemented("DisableValidation")
	}
	policy, err := s.policyText(ctx, c, in.StackPolicyBody, in.StackPolicyURL, "StackPolicyURL and StackPolicyBody", "StackPolicyURL")
	if err != nil {
		return nil, err
	}
	during, err := s.policyText(ctx, c, in.StackPolicyDuringUpdateBody, in.StackPolicyDuringUpdateURL,
		"StackPolicyDuringUpdateURL and StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL")
	if err != nil {
		return nil, err
	}
	stack, rows, err := s.forChange(ctx, c, *in.StackName)
	if err != nil {
		return nil, err
	}
	if in.ClientRequestToken != nil && slices.Contains(stack.Tokens, *in.ClientRequestToken) {
		return &UpdateStackOutput{StackId: &stack.ID}, nil
	}
	if err := checkUpdatable(stack, cloud.Val(in.DisableRollback)); err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, c, stack, request{body: in.TemplateBody, url: in.TemplateURL, usePrevious: cloud.Val(in.UsePreviousTemplate),
		parameters: in.Parameters, capabilities: in.Capabilities, types: in.ResourceTypes, roleARN: in.RoleARN,
		rollback: in.RollbackConfiguration, topics: in.NotificationARNs, tags: in.Tags, update: true})
	if err != nil {
		return nil, err
	}
	changes, err := s.changes(ctx, c, stack, rows, d)
	if err != nil {
		return nil, err
	}
	if !changes.any() && policy == "" && !stack.paused() {
		return nil, invalid("No updates are to be performed.")
	}
	op := newOperation(opUpdate, phaseForward, c, d.target, in.ClientRequestToken)
	op.Policy = during
	op.DropRetained = cloud.Val(in.RetainExceptOnCreate)
	if cloud.Val(in.DisableRollback) {
		op.OnFailure = "DO_NOTHING"
	}
	stack, err = s.startUpdate(ctx, c, stack.ID, op, d, policy)
	if err != nil {
		return nil, err
	}
	return &UpdateStackOutput{StackId: &stack.ID}, nil
}

// forChange reads a stack and its resources for an operation that changes them.
func (s *Service) forChange(ctx context.Context, c cloud.Caller, name string) (stack *stackRow, rows []*resourceRow, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		if stack, err = s.stack(ctx, r, c, name); err != nil {
			return noStackToChange(err, name)
		}
		rows, err = s.resources(ctx, r, stackRef{c.Account, c.Region, stack.ID})
		return err
	})
	return stack, rows, err
}

func (s *Service) startUpdate(ctx context.Context, c cloud.Caller, id string, op *operation, d *draft, policy string) (*stackRow, error) {
	var stack *stackRow
	err := s.kv.Update(ctx, func(tx *kv.Tx) (err error) {
		if stack, err = s.stack(ctx, tx, c, id); err != nil {
			return err
		}
		if err := checkUpdatable(stack, op.OnFailure == "DO_NOTHING"); err != nil {
			return err
		}
		if policy != "" {
			if err := changeSettings(ctx, tx, stack, func(r *settingsRow) { r.Policy = policy }); err != nil {
				return err
			}
		}
		set, err := settings(ctx, tx, stack)
		if err != nil {
			return err
		}
		next := *op
		if next.Policy == "" {
			next.Policy = set.Policy
		}
		stack.goOn(&next)
		if err := s.outdate(ctx, tx, stack); err != nil {
			return err
		}
		stack.DisableRollback = op.OnFailure == "DO_NOTHING"
		return s.beginTarget(tx, stack, &next, d)
	})
	return stack, err
}

// deleteStack answers DeleteStack. Deleting a stack that does not exist is success, as on AWS.
func (s *Service) deleteStack(ctx context.Context, c cloud.Caller, in *DeleteStackInput) (*DeleteStackOutput, error) {
	if in.DeploymentConfig != nil {
		return nil, cloud.NotImplemented("DeploymentConfig")
	}
	if err := s.checkRole(ctx, c, in.RoleARN); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if cloud.FaultCode(err) == "ValidationError" {
			return nil
		}
		if err != nil {
			return err
		}
		return s.startDelete(ctx, tx, c, stack, in)
	})
	return &DeleteStackOutput{}, err
}

func (s *Service) startDelete(ctx context.Context, tx *kv.Tx, c cloud.Caller, stack *stackRow, in *DeleteStackInput) error {
	if stack.Status == "DELETE_COMPLETE" || stack.Status == "DELETE_IN_PROGRESS" {
		return nil
	}
	set, err := settings(ctx, tx, stack)
	if err != nil {
		return err
	}
	if set.Protected {
		return invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", stack.Name)
	}
	if len(in.RetainResources) > 0 && stack.Status != "DELETE_FAILED" {
		return invalid("Invalid operation on stack [%s]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.", stack.ID)
	}
	if err := s.exportsInUse(ctx, tx, stack); err != nil {
		return err
	}
	t := stack.Current
	if in.RoleARN != nil {
		t.RoleARN = *in.RoleARN
	}
	op := newOperation(opDelete, phaseDelete, c, t, in.ClientRequestToken)
	op.Retain = in.RetainResources
	op.Force = cloud.Val(in.DeletionMode) == "FORCE_DELETE_STACK"
	switch {
	case stack.Op == nil:
		return s.begin(tx, stack, op, "DELETE_IN_PROGRESS", userInitiated)
	case stack.Status == "CREATE_IN_PROGRESS" || stack.Status == "ROLLBACK_IN_PROGRESS":
		return putRow(tx, signalKey(stack.Account, stack.Region, stack.ID), signalRow{Delete: op})
	}
	return invalid("Stack [%s] cannot be deleted while in status %s", stack.ID, stack.Status)
}

func (s *Service) exportsInUse(ctx context.Context, tx *kv.Tx, stack *stackRow) error {
	for _, o := range stack.Outputs {
		if o.Export == "" {
			continue
		}
		rows, err := tx.Scan(ctx, kv.Prefix(stack.Account, stack.Region, "import", o.Export))
		if err != nil {
			return err
		}
		var users []string
		for _, row := range rows {
			var i importRow
			if err := decodeRow(row.Value, &i); err != nil {
				return err
			}
			if i.StackName != stack.Name {
				users = append(users, i.StackName)
			}
		}
		if len(users) > 0 {
			return invalid("%s", inUse(o.Export, false, users))
		}
	}
	return nil
}

// cancelUpdateStack answers CancelUpdateStack.
func (s *Service) cancelUpdateStack(ctx context.Context, c cloud.Caller, in *CancelUpdateStackInput) (*CancelUpdateStackOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		if stack.Status != "UPDATE_IN_PROGRESS" {
			return invalid("CancelUpdateStack cannot be called from current stack status")
		}
		return putRow(tx, signalKey(c.Account, c.Region, stack.ID), signalRow{Cancel: true})
	})
	return &CancelUpdateStackOutput{}, err
}

// continueUpdateRollback answers ContinueUpdateRollback.
func (s *Service) continueUpdateRollback(ctx context.Context, c cloud.Caller, in *ContinueUpdateRollbackInput) (*ContinueUpdateRollbackOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		if stack.Status != "UPDATE_ROLLBACK_FAILED" || stack.Suspended == nil {
			return invalid("Stack:%s is in %s state and can not continue rollback.", stack.ID, stack.Status)
		}
		if err := s.checkSkipped(ctx, tx, stack, in.ResourcesToSkip); err != nil {
			return err
		}
		return s.goBack(tx, c, stack, in.ResourcesToSkip, in.RoleARN, in.ClientRequestToken, false)
	})
	return &ContinueUpdateRollbackOutput{}, err
}

// checkSkipped makes sure that a rollback is told to skip only what it could not roll back before.
func (s *Service) checkSkipped(ctx context.Context, r kv.Reader, stack *stackRow, skip []string) error {
	rows, err := s.resources(ctx, r, stackRef{stack.Account, stack.Region, stack.ID})
	if err != nil {
		return err
	}
	for _, id := range skip {
		if !slices.ContainsFunc(rows, func(row *resourceRow) bool { return row.ID == id && row.Status == "UPDATE_FAILED" }) {
			return invalid("Resource [%s] can not be skipped: only resources in UPDATE_FAILED state can be specified in ResourcesToSkip", id)
		}
	}
	return nil
}

// rollbackStack answers RollbackStack: back to the last good state after a failure without rollback.
func (s *Service) rollbackStack(ctx context.Context, c cloud.Caller, in *RollbackStackInput) (*RollbackStackOutput, error) {
	if in.DeploymentConfig != nil {
		return nil, cloud.NotImplemented("DeploymentConfig")
	}
	out := &RollbackStackOutput{}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		if stack.Status != "CREATE_FAILED" && stack.Status != "UPDATE_FAILED" || stack.Suspended == nil {
			return invalid("Stack:%s is in %s state and can not be rolled back.", stack.ID, stack.Status)
		}
		out.StackId = &stack.ID
		return s.goBack(tx, c, stack, nil, in.RoleARN, in.ClientRequestToken, cloud.Val(in.RetainExceptOnCreate))
	})
	return out, err
}

// goBack takes a suspended operation up again, on its way back.
func (s *Service) goBack(tx *kv.Tx, c cloud.Caller, stack *stackRow, skip []string, role, token *string, dropRetained bool) error {
	op := *stack.Suspended
	op.Identity = newOperation(op.Kind, "", c, target{RoleARN: cloud.Or(role, op.Target.RoleARN)}, nil).Identity
	op.Skip, op.Token, op.OnFailure = skip, cloud.Val(token), "ROLLBACK"
	op.DropRetained = op.DropRetained || dropRetained
	op.Phase = phaseRevert
	status := "UPDATE_ROLLBACK_IN_PROGRESS"
	if op.Kind == opCreate || op.Unborn { // it never was anything to go back to
		op.Kind, op.Phase, status = opCreate, phaseDelete, "ROLLBACK_IN_PROGRESS"
	}
	stack.Suspended = nil
	return s.begin(tx, stack, &op, status, userInitiated)
}

// updateTerminationProtection answers UpdateTerminationProtection.
func (s *Service) updateTerminationProtection(ctx context.Context, c cloud.Caller, in *UpdateTerminationProtectionInput) (*UpdateTerminationProtectionOutput, error) {
	out := &UpdateTerminationProtectionOutput{}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		if strings.HasPrefix(stack.Status, "DELETE_") && stack.Status != "DELETE_FAILED" {
			return invalid("Stack [%s] is in %s state and termination protection can not be changed", stack.Name, stack.Status)
		}
		out.StackId = &stack.ID
		return changeSettings(ctx, tx, stack, func(r *settingsRow) { r.Protected = *in.EnableTerminationProtection })
	})
	return out, err
}
