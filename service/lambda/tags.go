package lambda

import (
	"context"
	"maps"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// checkTags holds tags against the limit, which does not count those of AWS's own services.
func checkTags(tags map[string]string) error {
	n := 0
	for k := range tags {
		if !strings.HasPrefix(k, "aws:") {
			n++
		}
	}
	if n > maxTags {
		return invalid("Number of tags exceeds resource tag limit.")
	}
	return nil
}

// parseTagged is the function that an ARN names; versions and aliases have no tags.
func parseTagged(c cloud.Caller, arn *string) (reference, error) {
	a, _ := cloud.ParseARN(cloud.Val(arn))
	if a.Resource != "" && len(a.Resource) > 9 && a.Resource[:9] != "function:" {
		return reference{}, cloud.NotImplemented("Tags of " + a.Resource)
	}
	r, err := parseOwn(c, arn, nil)
	if err == nil && r.qualifier != "" {
		err = invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
	}
	return r, err
}

func (s *Service) changeTags(ctx context.Context, c cloud.Caller, arn *string, change func(map[string]string)) error {
	if codeSigningID(c, *arn) != "" {
		return s.changeCodeSigningTags(ctx, c, *arn, change)
	}
	r, err := parseTagged(c, arn)
	if err != nil {
		return err
	}
	return s.KV.Update(ctx, func(tx *kv.Tx) error {
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		if fn.Tags == nil {
			fn.Tags = map[string]string{}
		}
		change(fn.Tags)
		if err := checkTags(fn.Tags); err != nil {
			return err
		}
		v, err := r.latestOf(ctx, tx, nil)
		if err != nil {
			return err
		}
		v.touch() // AWS moves the revision with the tags
		if err := r.save(tx, v); err != nil {
			return err
		}
		return kv.PutRow(tx, r.key(), fn)
	})
}

func (s *Service) changeCodeSigningTags(ctx context.Context, c cloud.Caller, arn string, change func(map[string]string)) error {
	return s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := loadCodeSigning(ctx, tx, c, arn)
		if err != nil {
			return err
		}
		if row.Tags == nil {
			row.Tags = map[string]string{}
		}
		change(row.Tags)
		if err := checkTags(row.Tags); err != nil {
			return err
		}
		return kv.PutRow(tx, codeSigningKey(c.Account, c.Region, row.ID), row)
	})
}

func (s *Service) tagResource(ctx context.Context, c cloud.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err := s.changeTags(ctx, c, in.Resource, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &TagResourceOutput{}, nil
}

func (s *Service) untagResource(ctx context.Context, c cloud.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	err := s.changeTags(ctx, c, in.Resource, func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
	if err != nil {
		return nil, err
	}
	return &UntagResourceOutput{}, nil
}

func (s *Service) listTags(ctx context.Context, c cloud.Caller, in *ListTagsInput) (*ListTagsOutput, error) {
	out := &ListTagsOutput{Tags: map[string]string{}}
	if codeSigningID(c, *in.Resource) != "" {
		err := s.KV.View(ctx, func(rd kv.Reader) error {
			row, err := loadCodeSigning(ctx, rd, c, *in.Resource)
			if err == nil && row.Tags != nil {
				out.Tags = row.Tags
			}
			return err
		})
		return out, err
	}
	r, err := parseTagged(c, in.Resource)
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		fn, err := r.load(ctx, rd)
		if err == nil && fn.Tags != nil {
			out.Tags = fn.Tags
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
