package logs

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// groupRow is a log group as it is stored.
type groupRow struct {
	Name          string            `json:"name"`
	CreatedMs     int64             `json:"createdMs"`
	RetentionDays int32             `json:"retentionDays,omitempty"` // 0 keeps for ever
	Class         string            `json:"class"`
	Protected     bool              `json:"protected,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
}

// groupName is the form that AWS allows; the model's pattern is the same, and inner callers pass by here too.
var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// retentions are the days that PutRetentionPolicy takes.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func groupARN(c cloud.Caller, name string) string { return c.ARNOf("logs", "log-group:"+name) }

// nameOf takes the name out of an identifier that may be an ARN.
func nameOf(identifier string) string {
	if a, ok := cloud.ParseARN(identifier); ok {
		return strings.TrimSuffix(strings.TrimPrefix(a.Resource, "log-group:"), ":*")
	}
	return identifier
}

func noGroup() error {
	return cloud.Faultf("ResourceNotFoundException", "The specified log group does not exist.")
}

func invalid(format string, args ...any) error {
	return cloud.Faultf("InvalidParameterException", format, args...)
}

// readGroup returns the group's row, or the fault that there is none.
func readGroup(ctx context.Context, r kv.Reader, c cloud.Caller, name string) (g groupRow, err error) {
	found, err := kv.GetRow(ctx, r, groupKey(c, name), &g)
	if err == nil && !found {
		err = noGroup()
	}
	return g, err
}

// changeGroup runs change on the group's row and stores it.
func (s *Service) changeGroup(ctx context.Context, c cloud.Caller, name string, change func(*groupRow) error) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		g, err := readGroup(ctx, tx, c, name)
		if err != nil {
			return err
		}
		if err := change(&g); err != nil {
			return err
		}
		return kv.PutRow(tx, groupKey(c, name), g)
	})
}

func (s *Service) createLogGroup(ctx context.Context, c cloud.Caller, in *CreateLogGroupInput) (*CreateLogGroupOutput, error) {
	name := cloud.Val(in.LogGroupName)
	if !groupName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+", name)
	}
	if in.KmsKeyId != nil {
		return nil, cloud.NotImplemented("Encryption of a log group with a KMS key")
	}
	return &CreateLogGroupOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		found, err := kv.GetRow(ctx, tx, groupKey(c, name), &groupRow{})
		if err != nil {
			return err
		}
		if found {
			return cloud.Faultf("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		return kv.PutRow(tx, groupKey(c, name), groupRow{
			Name: name, CreatedMs: c.Now.UnixMilli(), Class: cloud.Or(in.LogGroupClass, "STANDARD"),
			Protected: cloud.Val(in.DeletionProtectionEnabled), Tags: in.Tags,
		})
	})
}

func (s *Service) deleteLogGroup(ctx context.Context, c cloud.Caller, in *DeleteLogGroupInput) (*DeleteLogGroupOutput, error) {
	name := cloud.Val(in.LogGroupName)
	return &DeleteLogGroupOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		g, err := readGroup(ctx, tx, c, name)
		if err != nil {
			return err
		}
		if g.Protected {
			return cloud.Faultf("OperationAbortedException", "The log group is protected from deletion.")
		}
		streams, err := tx.Scan(ctx, streamRange(c, name))
		if err != nil {
			return err
		}
		for _, row := range streams {
			var st streamRow
			if err := kv.DecodeRow(row.Value, &st); err != nil {
				return err
			}
			deleteStream(tx, row.Key, st)
		}
		tx.Delete(groupKey(c, name))
		return nil
	})
}

func (s *Service) describeLogGroups(ctx context.Context, c cloud.Caller, in *DescribeLogGroupsInput) (*DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	keep := func(g groupRow) bool {
		return strings.HasPrefix(g.Name, cloud.Val(in.LogGroupNamePrefix)) &&
			strings.Contains(strings.ToLower(g.Name), strings.ToLower(cloud.Val(in.LogGroupNamePattern))) &&
			(in.LogGroupClass == nil || g.Class == *in.LogGroupClass) &&
			(in.LogGroupIdentifiers == nil || slices.ContainsFunc(in.LogGroupIdentifiers, func(id string) bool { return nameOf(id) == g.Name }))
	}
	out := &DescribeLogGroupsOutput{LogGroups: []LogGroup{}}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		groups, next, err := pageGroups(ctx, r, c, cloud.Val(in.NextToken), int(cloud.Or(in.Limit, 50)), keep)
		if err != nil {
			return err
		}
		out.NextToken = next
		out.LogGroups = out.LogGroups[:0]
		for _, g := range groups {
			bytes, err := storedBytes(ctx, r, c, g.Name)
			if err != nil {
				return err
			}
			out.LogGroups = append(out.LogGroups, describeGroup(c, g, bytes))
		}
		return nil
	})
	return out, err
}

func describeGroup(c cloud.Caller, g groupRow, bytes int64) LogGroup {
	d := LogGroup{
		LogGroupName: &g.Name, CreationTime: &g.CreatedMs, LogGroupClass: &g.Class,
		Arn: new(groupARN(c, g.Name) + ":*"), LogGroupArn: new(groupARN(c, g.Name)),
		MetricFilterCount: new(int32(0)), StoredBytes: &bytes, DeletionProtectionEnabled: &g.Protected,
	}
	if g.RetentionDays != 0 {
		d.RetentionInDays = &g.RetentionDays
	}
	return d
}

func (s *Service) listLogGroups(ctx context.Context, c cloud.Caller, in *ListLogGroupsInput) (*ListLogGroupsOutput, error) {
	if in.DataSources != nil || in.FieldIndexNames != nil || in.LogGroupTags != nil {
		return nil, cloud.NotImplemented("ListLogGroups by data source, field index or tag")
	}
	pattern, err := regexp.Compile(cloud.Val(in.LogGroupNamePattern))
	if err != nil {
		return nil, invalid("The log group name pattern is not a valid regular expression.")
	}
	keep := func(g groupRow) bool {
		return pattern.MatchString(g.Name) && (in.LogGroupClass == nil || g.Class == *in.LogGroupClass)
	}
	out := &ListLogGroupsOutput{LogGroups: []LogGroupSummary{}}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		groups, next, err := pageGroups(ctx, r, c, cloud.Val(in.NextToken), int(cloud.Or(in.Limit, 50)), keep)
		out.NextToken = next
		out.LogGroups = out.LogGroups[:0]
		for _, g := range groups {
			out.LogGroups = append(out.LogGroups, LogGroupSummary{&g.Name, new(groupARN(c, g.Name)), &g.Class})
		}
		return err
	})
	return out, err
}

// pageGroups returns up to limit groups that keep wants, beginning after the group named by token.
func pageGroups(ctx context.Context, r kv.Reader, c cloud.Caller, token string, limit int, keep func(groupRow) bool) (page []groupRow, next *string, err error) {
	rng := kv.Prefix("group", c.Account, c.Region)
	if token != "" {
		rng.Begin = append(groupKey(c, token), 0)
	}
	for rng.Limit = limit + 1; ; {
		rows, err := r.Scan(ctx, rng)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			var g groupRow
			if err := kv.DecodeRow(row.Value, &g); err != nil {
				return nil, nil, err
			}
			if !keep(g) {
				continue
			}
			if len(page) == limit {
				return page, &page[limit-1].Name, nil
			}
			page = append(page, g)
		}
		if len(rows) < rng.Limit {
			return page, nil, nil
		}
		rng.Begin = append(rows[len(rows)-1].Key, 0)
	}
}

func (s *Service) putRetentionPolicy(ctx context.Context, c cloud.Caller, in *PutRetentionPolicyInput) (*PutRetentionPolicyOutput, error) {
	days := cloud.Val(in.RetentionInDays)
	if !slices.Contains(retentions, days) {
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [%s]", days, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(retentions)), ", "), "[]"))
	}
	return &PutRetentionPolicyOutput{}, s.changeGroup(ctx, c, cloud.Val(in.LogGroupName), func(g *groupRow) error {
		g.RetentionDays = days
		return nil
	})
}

func (s *Service) deleteRetentionPolicy(ctx context.Context, c cloud.Caller, in *DeleteRetentionPolicyInput) (*DeleteRetentionPolicyOutput, error) {
	return &DeleteRetentionPolicyOutput{}, s.changeGroup(ctx, c, cloud.Val(in.LogGroupName), func(g *groupRow) error {
		g.RetentionDays = 0
		return nil
	})
}

func (s *Service) putLogGroupDeletionProtection(ctx context.Context, c cloud.Caller, in *PutLogGroupDeletionProtectionInput) (*PutLogGroupDeletionProtectionOutput, error) {
	return &PutLogGroupDeletionProtectionOutput{}, s.changeGroup(ctx, c, nameOf(cloud.Val(in.LogGroupIdentifier)), func(g *groupRow) error {
		g.Protected = cloud.Val(in.DeletionProtectionEnabled)
		return nil
	})
}

// maxTags is how many tags a group may have.
const maxTags = 50

func (s *Service) setTags(ctx context.Context, c cloud.Caller, group string, tags map[string]string) error {
	return s.changeGroup(ctx, c, group, func(g *groupRow) error {
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, tags)
		own := maps.Clone(g.Tags)
		maps.DeleteFunc(own, func(k, _ string) bool { return strings.HasPrefix(k, "aws:") }) // CloudFormation's do not count
		if len(own) > maxTags {
			return cloud.Faultf("TooManyTagsException", "The resource has more than %d tags.", maxTags)
		}
		return nil
	})
}

func (s *Service) removeTags(ctx context.Context, c cloud.Caller, group string, keys []string) error {
	return s.changeGroup(ctx, c, group, func(g *groupRow) error {
		for _, k := range keys {
			delete(g.Tags, k)
		}
		return nil
	})
}

func (s *Service) tags(ctx context.Context, c cloud.Caller, group string) (tags map[string]string, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		g, err := readGroup(ctx, r, c, group)
		tags = map[string]string{}
		maps.Copy(tags, g.Tags)
		return err
	})
	return tags, err
}

func (s *Service) tagLogGroup(ctx context.Context, c cloud.Caller, in *TagLogGroupInput) (*TagLogGroupOutput, error) {
	return &TagLogGroupOutput{}, s.setTags(ctx, c, cloud.Val(in.LogGroupName), in.Tags)
}

func (s *Service) untagLogGroup(ctx context.Context, c cloud.Caller, in *UntagLogGroupInput) (*UntagLogGroupOutput, error) {
	return &UntagLogGroupOutput{}, s.removeTags(ctx, c, cloud.Val(in.LogGroupName), in.Tags)
}

func (s *Service) listTagsLogGroup(ctx context.Context, c cloud.Caller, in *ListTagsLogGroupInput) (*ListTagsLogGroupOutput, error) {
	tags, err := s.tags(ctx, c, cloud.Val(in.LogGroupName))
	return &ListTagsLogGroupOutput{Tags: tags}, err
}

func (s *Service) tagResource(ctx context.Context, c cloud.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	return &TagResourceOutput{}, s.setTags(ctx, c, nameOf(cloud.Val(in.ResourceArn)), in.Tags)
}

func (s *Service) untagResource(ctx context.Context, c cloud.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	return &UntagResourceOutput{}, s.removeTags(ctx, c, nameOf(cloud.Val(in.ResourceArn)), in.TagKeys)
}

func (s *Service) listTagsForResource(ctx context.Context, c cloud.Caller, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	tags, err := s.tags(ctx, c, nameOf(cloud.Val(in.ResourceArn)))
	return &ListTagsForResourceOutput{Tags: tags}, err
}

// describeSubscriptionFilters is honest: none can be made, so a group that exists has none.
func (s *Service) describeSubscriptionFilters(ctx context.Context, c cloud.Caller, in *DescribeSubscriptionFiltersInput) (*DescribeSubscriptionFiltersOutput, error) {
	return &DescribeSubscriptionFiltersOutput{SubscriptionFilters: []SubscriptionFilter{}}, s.kv.View(ctx, func(r kv.Reader) error {
		_, err := readGroup(ctx, r, c, cloud.Val(in.LogGroupName))
		return err
	})
}
