package cloudformation

import (
	"context"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// resources reads the rows of a stack's resources, by logical id.
func (s *Service) resources(ctx context.Context, r kv.Reader, ref stackRef) ([]*resourceRow, error) {
	rows, err := r.Scan(ctx, kv.Prefix(ref.account, ref.region, "resource", ref.id))
	if err != nil {
		return nil, err
	}
	out := make([]*resourceRow, len(rows))
	for i, row := range rows {
		out[i] = &resourceRow{}
		if err := decodeRow(row.Value, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// describeStacks answers DescribeStacks.
func (s *Service) describeStacks(ctx context.Context, c cloud.Caller, in *DescribeStacksInput) (*DescribeStacksOutput, error) {
	out := &DescribeStacksOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		out.Stacks, out.NextToken = []Stack{}, nil
		if in.StackName != nil {
			stack, err := s.stack(ctx, r, c, *in.StackName)
			if err != nil {
				return err
			}
			return s.showStack(ctx, r, stack, out)
		}
		stacks, next, err := s.page(ctx, r, c, in.NextToken, func(row *stackRow) bool { return row.Status != "DELETE_COMPLETE" })
		if err != nil {
			return err
		}
		out.NextToken = next
		for _, stack := range stacks {
			if err := s.showStack(ctx, r, stack, out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// page reads the stacks of one reply, in the order of their ids.
func (s *Service) page(ctx context.Context, r kv.Reader, c cloud.Caller, token *string, keep func(*stackRow) bool) ([]*stackRow, *string, error) {
	rng := kv.Prefix(c.Account, c.Region, "stack")
	after, err := pageAfter(token)
	if err != nil {
		return nil, nil, err
	}
	if after != "" {
		rng.Begin = append(stackKey(c.Account, c.Region, after), 0)
	}
	var out []*stackRow
	rng.Limit = pageSize
	for {
		rows, err := r.Scan(ctx, rng)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			stack := &stackRow{}
			if err := decodeRow(row.Value, stack); err != nil {
				return nil, nil, err
			}
			if !keep(stack) {
				continue
			}
			if len(out) == pageSize {
				return out, nextPage(out[len(out)-1].ID), nil
			}
			out = append(out, stack)
		}
		if len(rows) < pageSize {
			return out, nil, nil
		}
		rng.Begin = append(slices.Clone(rows[len(rows)-1].Key), 0)
	}
}

func (s *Service) showStack(ctx context.Context, r kv.Reader, row *stackRow, out *DescribeStacksOutput) error {
	set, err := settings(ctx, r, row)
	if err != nil {
		return err
	}
	st := Stack{StackId: &row.ID, StackName: &row.Name, StackStatus: &row.Status, StackStatusReason: optional(strings.TrimSpace(row.Reason)),
		Description: optional(row.Current.Description), CreationTime: &row.Created, LastUpdatedTime: row.Updated, DeletionTime: row.Deleted,
		ChangeSetId: optional(row.ChangeSet), DisableRollback: &row.DisableRollback, RoleARN: optional(row.Current.RoleARN),
		Parameters: showParameters(row.Current), Tags: showTags(row.Current.Tags), Capabilities: row.Current.Capabilities,
		NotificationARNs: []string{}, RollbackConfiguration: showRollback(row.Current.Rollback),
		DriftInformation: &StackDriftInformation{StackDriftStatus: new("NOT_CHECKED")}}
	if row.Timeout > 0 {
		st.TimeoutInMinutes = &row.Timeout
	}
	if row.Deleted == nil {
		st.EnableTerminationProtection = &set.Protected
	}
	if row.RetainExceptOnCreate {
		st.RetainExceptOnCreate = new(true)
	}
	for _, o := range row.Outputs {
		st.Outputs = append(st.Outputs, Output{OutputKey: &o.Key, OutputValue: &o.Value, Description: optional(o.Description), ExportName: optional(o.Export)})
	}
	out.Stacks = append(out.Stacks, st)
	return nil
}

func showRollback(r *RollbackConfiguration) *RollbackConfiguration {
	if r == nil {
		return &RollbackConfiguration{}
	}
	return r
}

func showParameters(t target) []Parameter {
	var out []Parameter
	for _, name := range sortedKeys(t.Parameters) {
		p := Parameter{ParameterKey: &name, ParameterValue: new(t.Parameters[name])}
		if slices.Contains(t.Masked, name) {
			p.ParameterValue = new(cfn.Masked)
		} else if v, ok := t.Resolved[name]; ok {
			p.ResolvedValue = &v
		}
		out = append(out, p)
	}
	return out
}

func showTags(tags map[string]string) []Tag {
	out := []Tag{}
	for _, k := range sortedKeys(tags) {
		out = append(out, Tag{Key: &k, Value: new(tags[k])})
	}
	return out
}

// listStacks answers ListStacks.
func (s *Service) listStacks(ctx context.Context, c cloud.Caller, in *ListStacksInput) (*ListStacksOutput, error) {
	out := &ListStacksOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		stacks, next, err := s.page(ctx, r, c, in.NextToken, func(row *stackRow) bool {
			return len(in.StackStatusFilter) == 0 || slices.Contains(in.StackStatusFilter, row.Status)
		})
		out.StackSummaries, out.NextToken = []StackSummary{}, next
		for _, row := range stacks {
			out.StackSummaries = append(out.StackSummaries, StackSummary{StackId: &row.ID, StackName: &row.Name,
				TemplateDescription: optional(row.Current.Description), CreationTime: &row.Created, LastUpdatedTime: row.Updated,
				DeletionTime: row.Deleted, StackStatus: &row.Status, StackStatusReason: optional(strings.TrimSpace(row.Reason)),
				DriftInformation: &StackDriftInformationSummary{StackDriftStatus: new("NOT_CHECKED")}})
		}
		return err
	})
	return out, err
}

// shown lists the rows that have something to show: those of resources that were begun.
func (s *Service) shown(ctx context.Context, r kv.Reader, stack *stackRow) ([]*resourceRow, error) {
	rows, err := s.resources(ctx, r, stackRef{stack.Account, stack.Region, stack.ID})
	return slices.DeleteFunc(rows, func(row *resourceRow) bool { return row.Status == "" }), err
}

// physicalID is the id of what stands for the row, or did.
func (r *resourceRow) physicalID() *string {
	for _, p := range r.all() {
		if p.ID != "" {
			return &p.ID
		}
	}
	return nil
}

// describeStackResource answers DescribeStackResource.
func (s *Service) describeStackResource(ctx context.Context, c cloud.Caller, in *DescribeStackResourceInput) (*DescribeStackResourceOutput, error) {
	var out *DescribeStackResourceOutput
	err := s.kv.View(ctx, func(r kv.Reader) error {
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		rows, err := s.shown(ctx, r, stack)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(row *resourceRow) bool { return row.ID == *in.LogicalResourceId })
		if i < 0 {
			return invalid("Resource %s does not exist for stack %s", *in.LogicalResourceId, *in.StackName)
		}
		row := rows[i]
		detail := &StackResourceDetail{StackName: &stack.Name, StackId: &stack.ID, LogicalResourceId: &row.ID, PhysicalResourceId: row.physicalID(),
			ResourceType: &row.Type, LastUpdatedTimestamp: &row.Updated, ResourceStatus: &row.Status, ResourceStatusReason: optional(row.Reason),
			Description: optional(row.Description), Metadata: new("{}"),
			DriftInformation: &StackResourceDriftInformation{StackResourceDriftStatus: new("NOT_CHECKED")}}
		if row.Cur != nil && row.Cur.Metadata != nil {
			text, err := cfn.Encode(row.Cur.Metadata)
			if err != nil {
				return err
			}
			detail.Metadata = &text
		}
		out = &DescribeStackResourceOutput{StackResourceDetail: detail}
		return nil
	})
	return out, err
}

// describeStackResources answers DescribeStackResources: of a stack, or of the stack that has a physical id.
func (s *Service) describeStackResources(ctx context.Context, c cloud.Caller, in *DescribeStackResourcesInput) (*DescribeStackResourcesOutput, error) {
	if (in.StackName == nil) == (in.PhysicalResourceId == nil) {
		return nil, invalid("You must specify either StackName or PhysicalResourceId, but not both.")
	}
	out := &DescribeStackResourcesOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		out.StackResources = []StackResource{}
		stack, rows, err := s.stackOf(ctx, r, c, in)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if in.LogicalResourceId != nil && *in.LogicalResourceId != row.ID {
				continue
			}
			out.StackResources = append(out.StackResources, StackResource{StackName: &stack.Name, StackId: &stack.ID, LogicalResourceId: &row.ID,
				PhysicalResourceId: row.physicalID(), ResourceType: &row.Type, Timestamp: &row.Updated, ResourceStatus: &row.Status,
				ResourceStatusReason: optional(row.Reason), Description: optional(row.Description),
				DriftInformation: &StackResourceDriftInformation{StackResourceDriftStatus: new("NOT_CHECKED")}})
		}
		if in.LogicalResourceId != nil && len(out.StackResources) == 0 {
			return invalid("Resource %s does not exist for stack %s", *in.LogicalResourceId, stack.Name)
		}
		if len(out.StackResources) > pageSize {
			out.StackResources = out.StackResources[:pageSize] // AWS returns at most a hundred; ListStackResources pages
		}
		return nil
	})
	return out, err
}

func (s *Service) stackOf(ctx context.Context, r kv.Reader, c cloud.Caller, in *DescribeStackResourcesInput) (*stackRow, []*resourceRow, error) {
	if in.StackName != nil {
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return nil, nil, err
		}
		rows, err := s.shown(ctx, r, stack)
		return stack, rows, err
	}
	var token *string
	for {
		stacks, next, err := s.page(ctx, r, c, token, func(row *stackRow) bool { return row.Status != "DELETE_COMPLETE" })
		if err != nil {
			return nil, nil, err
		}
		for _, stack := range stacks {
			rows, err := s.shown(ctx, r, stack)
			if err != nil {
				return nil, nil, err
			}
			if slices.ContainsFunc(rows, func(row *resourceRow) bool { return cloud.Val(row.physicalID()) == *in.PhysicalResourceId }) {
				return stack, rows, nil
			}
		}
		if token = next; token == nil {
			return nil, nil, invalid("Stack for %s does not exist", *in.PhysicalResourceId)
		}
	}
}

// listStackResources answers ListStackResources.
func (s *Service) listStackResources(ctx context.Context, c cloud.Caller, in *ListStackResourcesInput) (*ListStackResourcesOutput, error) {
	out := &ListStackResourcesOutput{}
	after, err := pageAfter(in.NextToken)
	if err != nil {
		return nil, err
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out.StackResourceSummaries, out.NextToken = []StackResourceSummary{}, nil
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return err
		}
		rows, err := s.shown(ctx, r, stack)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.ID <= after {
				continue
			}
			if n := len(out.StackResourceSummaries); n == pageSize {
				out.NextToken = nextPage(*out.StackResourceSummaries[n-1].LogicalResourceId)
				break
			}
			out.StackResourceSummaries = append(out.StackResourceSummaries, StackResourceSummary{LogicalResourceId: &row.ID,
				PhysicalResourceId: row.physicalID(), ResourceType: &row.Type, LastUpdatedTimestamp: &row.Updated, ResourceStatus: &row.Status,
				ResourceStatusReason: optional(row.Reason),
				DriftInformation:     &StackResourceDriftInformationSummary{StackResourceDriftStatus: new("NOT_CHECKED")}})
		}
		return nil
	})
	return out, err
}
