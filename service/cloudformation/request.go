package cloudformation

import (
	"context"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// A request is what CreateStack, UpdateStack and CreateChangeSet have in common.
type request struct {
	body, url    *string
	usePrevious  bool
	parameters   []Parameter
	capabilities []string
	types        []string // ResourceTypes: what the template may hold
	roleARN      *string
	rollback     *RollbackConfiguration
	topics       []string
	tags         []Tag
	changeSet    bool
	update       bool
}

// A draft is a checked request: the target, its text, and what it evaluates to as far as that is known.
type draft struct {
	target target
	text   []byte
	*compiled
	active map[string]*cfn.Resource
	edges  map[string][]string
}

// draft checks a request against the stack, which may be new.
func (s *Service) draft(ctx context.Context, c cloud.Caller, stack *stackRow, in request) (*draft, error) {
	if err := in.unsupported(); err != nil {
		return nil, err
	}
	text, err := s.text(ctx, c, in.body, in.url)
	if err != nil {
		return nil, err
	}
	if in.usePrevious && text != nil {
		return nil, invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
	}
	if in.usePrevious {
		if text, err = s.previousText(ctx, stack); err != nil {
			return nil, err
		}
	}
	if text == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	d := &draft{text: text}
	if err := s.bind(ctx, c, stack, in, d); err != nil {
		return nil, err
	}
	if d.compiled, err = s.compile(ctx, text, stack, d.target, identityOf(c)); err != nil {
		return nil, err
	}
	d.target.Description = d.scope.Template.Description
	return d, s.check(d, in)
}

func (s *Service) previousText(ctx context.Context, stack *stackRow) (text []byte, err error) {
	if stack.latest().Template == "" {
		return nil, invalid("No previous template is available for stack %s", stack.Name)
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		text, err = getTemplate(ctx, r, stackRef{stack.Account, stack.Region, stack.ID}, stack.latest().Template)
		return err
	})
	return text, err
}

// unsupported refuses by name what this service would otherwise have to ignore.
func (in request) unsupported() error {
	if len(in.topics) > 0 {
		return cloud.NotImplemented("NotificationARNs")
	}
	if in.rollback != nil && len(in.rollback.RollbackTriggers) > 0 {
		return cloud.NotImplemented("RollbackConfiguration.RollbackTriggers")
	}
	if in.rollback != nil && cloud.Val(in.rollback.MonitoringTimeInMinutes) > 0 {
		return cloud.NotImplemented("RollbackConfiguration.MonitoringTimeInMinutes")
	}
	return nil
}

// bind gives the template's parameters their values.
func (s *Service) bind(ctx context.Context, c cloud.Caller, stack *stackRow, in request, d *draft) error {
	body, err := cfn.Decode(d.text)
	if err != nil {
		return err
	}
	declared, err := body.Parameters()
	if err != nil {
		return err
	}
	given := map[string]cfn.Given{}
	for _, p := range in.parameters {
		if cloud.Val(p.UsePreviousValue) && p.ParameterValue != nil {
			return invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", cloud.Val(p.ParameterKey))
		}
		given[cloud.Val(p.ParameterKey)] = cfn.Given{Value: cloud.Val(p.ParameterValue), UsePrevious: cloud.Val(p.UsePreviousValue)}
	}
	t := target{Capabilities: in.capabilities, RoleARN: cloud.Or(in.roleARN, stack.latest().RoleARN), Tags: map[string]string{}, Rollback: in.rollback}
	if t.Parameters, err = cfn.Bind(declared, given, stack.latest().Parameters); err != nil {
		return err
	}
	if t.Resolved, err = s.storeParameters(ctx, declared, t.Parameters, identityOf(c)); err != nil {
		return err
	}
	for _, name := range sortedKeys(declared) {
		if declared[name].NoEcho {
			t.Masked = append(t.Masked, name)
		}
	}
	for _, tag := range in.tags {
		if strings.HasPrefix(cloud.Val(tag.Key), "aws:") {
			return invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		if _, dup := t.Tags[cloud.Val(tag.Key)]; dup {
			return invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		t.Tags[cloud.Val(tag.Key)] = cloud.Val(tag.Value)
	}
	if in.update && in.tags == nil {
		t.Tags = stack.latest().Tags // an update that says nothing of tags keeps them
	}
	d.target = t
	return s.checkRole(ctx, c, in.roleARN)
}

// checkRole makes sure that a role which the engine is to act as exists.
func (s *Service) checkRole(ctx context.Context, c cloud.Caller, arn *string) error {
	if arn == nil {
		return nil
	}
	a, ok := cloud.ParseARN(*arn)
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	if !ok || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return invalid("Role %s is invalid or cannot be assumed", *arn)
	}
	c.Via = principal
	if _, err := s.call.Call(ctx, c, "iam", "GetRole", map[string]any{"RoleName": name}); err != nil {
		return invalid("Role %s is invalid or cannot be assumed", *arn)
	}
	return nil
}

// check looks at everything that can be known of the target before it is deployed.
func (s *Service) check(d *draft, in request) error {
	t := d.scope.Template
	if err := s.checkTypes(t); err != nil {
		return err
	}
	if err := allowedTypes(t, in.types); err != nil {
		return err
	}
	if err := s.acknowledge(t, in.capabilities, in.changeSet); err != nil {
		return err
	}
	if err := d.scope.CheckRules(); err != nil {
		return err
	}
	if _, err := d.scope.Conditions(); err != nil {
		return err
	}
	var err error
	if d.active, err = d.scope.Active(); err != nil {
		return err
	}
	if d.edges, err = d.scope.Dependencies(d.active); err != nil {
		return err
	}
	return d.tryAll()
}

// tryAll evaluates every property with what is not known yet unknown: an error found now is better than
// one found half way.
func (d *draft) tryAll() error {
	unknown := func() (any, error) { return cfn.Unknown{}, nil }
	sc := d.scope
	sc.Ref = func(string) (any, error) { return unknown() }
	sc.GetAtt = func(string, string) (any, error) { return unknown() }
	sc.Import = func(string) (any, error) { return unknown() }
	for _, id := range sortedKeys(d.active) {
		if _, err := sc.Properties(d.active[id]); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(sc.Template.Outputs) {
		o := sc.Template.Outputs[name]
		if holds, err := sc.Holds(o.Condition); err != nil {
			return err
		} else if !holds {
			continue
		}
		if _, err := sc.Value(o.Value); err != nil {
			return err
		}
	}
	return nil
}

// allowedTypes enforces ResourceTypes: AWS::*, AWS::S3::*, AWS::S3::Bucket, Custom::*.
func allowedTypes(t *cfn.Template, allowed []string) error {
	if len(allowed) == 0 {
		return nil
	}
	for _, id := range sortedKeys(t.Resources) {
		name := t.Resources[id].Type
		ok := slices.ContainsFunc(allowed, func(a string) bool {
			prefix, any := strings.CutSuffix(a, "::*")
			return a == name || any && strings.HasPrefix(name, prefix+"::")
		})
		if !ok {
			return invalid("Resource type %s is not allowed by parameter ResourceTypes [%s]", name, strings.Join(allowed, ", "))
		}
	}
	return nil
}

// begin starts an operation in the transaction that stored the stack's intention.
func (s *Service) begin(tx *kv.Tx, stack *stackRow, op *operation, status, reason string) error {
	stack.Op, stack.Status, stack.Reason = op, status, reason
	if op.Token != "" {
		stack.Tokens = append(stack.Tokens, op.Token)
		stack.Tokens = stack.Tokens[max(0, len(stack.Tokens)-maxTokens):]
	}
	ref := stackRef{stack.Account, stack.Region, stack.ID}
	if err := putEvent(tx, ref, eventRow{Time: op.Started, Logical: stack.Name, Physical: stack.ID, Type: stackType,
		Status: status, Reason: reason, Token: op.Token, Operation: op.ID}); err != nil {
		return err
	}
	if err := putRow(tx, runningKey(ref.account, ref.region, ref.id), runningRow{}); err != nil {
		return err
	}
	tx.Notify(topicRunning)
	return putRow(tx, stackKey(ref.account, ref.region, ref.id), stack)
}

// maxTokens bounds how many client request tokens a stack remembers.
const maxTokens = 20

// newOperation makes an operation that begins now.
func newOperation(kind, phase string, c cloud.Caller, t target, token *string) *operation {
	op := &operation{ID: newUUID(), Kind: kind, Phase: phase, Target: t, Identity: identityOf(c), Token: cloud.Val(token),
		Started: now(), OnFailure: "ROLLBACK"}
	if t.RoleARN != "" {
		op.Identity = roleIdentity(c, t.RoleARN)
	}
	return op
}

// roleIdentity is the identity of a stack that was given a role: not its caller's.
func roleIdentity(c cloud.Caller, role string) identity {
	a, _ := cloud.ParseARN(role)
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	return identity{Account: c.Account, Region: c.Region, RoleARN: role,
		ARN: "arn:" + cloud.Partition + ":sts::" + c.Account + ":assumed-role/" + name + "/AWSCloudFormation", UserID: name + ":AWSCloudFormation"}
}

// now is the one time of a request, as precise as it is shown.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
