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
	if isOther(c, *arn) {
		return s.changeOtherTags(ctx, c, *arn, change)
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

// isOther tells whether an ARN is of something with tags that is no function.
func isOther(c cloud.Caller, arn string) bool {
	return codeSigningID(c, arn) != "" || mappingID(c, arn) != ""
}

// loadOther reads what has tags and is no function: its key, its row and where in that its tags are.
func loadOther(ctx context.Context, rd kv.Reader, c cloud.Caller, arn string) (key []byte, row any, tags *map[string]string, err error) {
	if id := mappingID(c, arn); id != "" {
		m, err := loadMapping(ctx, rd, c, id)
		if err != nil {
			return nil, nil, nil, err
		}
		return mappingKey(c.Account, c.Region, id), m, &m.Tags, nil
	}
	g, err := loadCodeSigning(ctx, rd, c, arn)
	if err != nil {
		return nil, nil, nil, err
	}
	return codeSigningKey(c.Account, c.Region, g.ID), g, &g.Tags, nil
}

func (s *Service) changeOtherTags(ctx context.Context, c cloud.Caller, arn string, change func(map[string]string)) error {
	return s.KV.Update(ctx, func(tx *kv.Tx) error {
		key, row, tags, err := loadOther(ctx, tx, c, arn)
		if err != nil {
			return err
		}
		if *tags == nil {
			*tags = map[string]string{}
		}
		change(*tags)
		if err := checkTags(*tags); err != nil {
			return err
		}
		return kv.PutRow(tx, key, row)
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
	if isOther(c, *in.Resource) {
		err := s.KV.View(ctx, func(rd kv.Reader) error {
			_, _, tags, err := loadOther(ctx, rd, c, *in.Resource)
			if err == nil && *tags != nil {
				out.Tags = *tags
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return out, nil
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
