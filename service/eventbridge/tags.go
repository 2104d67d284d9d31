package eventbridge

import (
	"context"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

// checkTags checks tags that c wants to set. Those that start with aws: are CloudFormation's, and do not count.
func checkTags(c cloud.Caller, tags []Tag) error {
	for _, t := range tags {
		if strings.HasPrefix(*t.Key, "aws:") && c.Via != "cloudformation.amazonaws.com" {
			return invalid("Tag keys that start with aws: are reserved.")
		}
	}
	return countTags(tags)
}

func countTags(tags []Tag) error {
	tags = slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return strings.HasPrefix(*t.Key, "aws:") })
	seen := map[string]bool{}
	for _, t := range tags {
		if seen[*t.Key] {
			return invalid("Duplicate tag keys: %s", *t.Key)
		}
		seen[*t.Key] = true
	}
	if len(tags) > maxTags {
		return cloud.Faultf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	return nil
}

// retag changes the tags of the rule or event bus that arn names, in one transaction.
func (s *Service) retag(ctx context.Context, c cloud.Caller, arn string, change func([]Tag) ([]Tag, error)) error {
	kind, bus, name, err := splitARN(arn)
	if err != nil {
		return err
	}
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		if kind == "event-bus" {
			var tags []Tag
			if _, err := kv.GetRow(ctx, tx, busTagsKey(c.Account, c.Region, bus), &tags); err != nil {
				return err
			}
			if tags, err = change(tags); err != nil {
				return err
			}
			return kv.PutRow(tx, busTagsKey(c.Account, c.Region, bus), tags)
		}
		v, err := s.rule(ctx, tx, c, bus, name)
		if err != nil {
			return err
		}
		if v.Tags, err = change(v.Tags); err != nil {
			return err
		}
		return kv.PutRow(tx, ruleKey(c.Account, c.Region, bus, name), v)
	})
}

// splitARN reads the ARN of a rule or an event bus.
func splitARN(arn string) (kind, bus, name string, err error) {
	a, ok := cloud.ParseARN(arn)
	kind, rest, _ := strings.Cut(a.Resource, "/")
	if !ok || a.Service != "events" || rest == "" {
		return "", "", "", invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", arn)
	}
	switch kind {
	case "event-bus":
		return kind, rest, "", checkBus(rest)
	case "rule":
		if i := strings.LastIndexByte(rest, '/'); i >= 0 {
			return kind, rest[:i], rest[i+1:], nil
		}
		return kind, defaultBus, rest, nil
	}
	return "", "", "", notImplemented("tags of a %s are not implemented", kind)
}

// tagResource answers TagResource.
func (s *Service) tagResource(ctx context.Context, c cloud.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	if err := checkTags(c, in.Tags); err != nil {
		return nil, err
	}
	err := s.retag(ctx, c, *in.ResourceARN, func(tags []Tag) ([]Tag, error) {
		for _, t := range in.Tags {
			i := slices.IndexFunc(tags, func(o Tag) bool { return *o.Key == *t.Key })
			if i < 0 {
				tags = append(tags, t)
			} else {
				tags[i] = t
			}
		}
		return tags, countTags(tags)
	})
	if err != nil {
		return nil, err
	}
	return &TagResourceOutput{}, nil
}

// untagResource answers UntagResource; tags that are not there are no error.
func (s *Service) untagResource(ctx context.Context, c cloud.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	err := s.retag(ctx, c, *in.ResourceARN, func(tags []Tag) ([]Tag, error) {
		return slices.DeleteFunc(tags, func(t Tag) bool { return slices.Contains(in.TagKeys, *t.Key) }), nil
	})
	if err != nil {
		return nil, err
	}
	return &UntagResourceOutput{}, nil
}

// listTagsForResource answers ListTagsForResource.
func (s *Service) listTagsForResource(ctx context.Context, c cloud.Caller, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	kind, bus, name, err := splitARN(*in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &ListTagsForResourceOutput{}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		if kind == "event-bus" {
			_, err := kv.GetRow(ctx, r, busTagsKey(c.Account, c.Region, bus), &out.Tags)
			return err
		}
		v, err := s.rule(ctx, r, c, bus, name)
		out.Tags = v.Tags
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Tags = append([]Tag{}, out.Tags...)
	return out, nil
}
