package apigateway

import (
	"context"
	"maps"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// tagged is what a tag operation's ARN names: an API, or one of its stages.
func tagged(arn *string) (api, stage string, err error) {
	a, ok := cloud.ParseARN(cloud.Val(arn))
	if ok && a.Service == "apigateway" {
		switch p := strings.Split(strings.TrimPrefix(a.Resource, "/"), "/"); {
		case len(p) == 2 && p[0] == "restapis":
			return p[1], "", nil
		case len(p) == 4 && p[0] == "restapis" && p[2] == "stages":
			return p[1], p[3], nil
		}
	}
	return "", "", badRequest("Invalid ARN specified in the request")
}

// updateTags runs fn on the tags of a thing and stores it.
func (s *Service) updateTags(ctx context.Context, c cloud.Caller, arn *string, fn func(tags map[string]string)) error {
	id, name, err := tagged(arn)
	if err != nil {
		return err
	}
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, &id)
		if err != nil {
			return err
		}
		if name == "" {
			fn(withTags(api).Tags)
			return kv.PutRow(tx, apiKey(c, id), api)
		}
		stage, err := s.stage(ctx, tx, c, &id, &name)
		if err != nil {
			return err
		}
		if stage.Tags == nil {
			stage.Tags = map[string]string{}
		}
		fn(stage.Tags)
		return kv.PutRow(tx, partKey(c, id, "stage", name), stage)
	})
}

func (s *Service) tagResource(ctx context.Context, c cloud.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	return &TagResourceOutput{}, s.updateTags(ctx, c, in.ResourceArn, func(tags map[string]string) {
		maps.Copy(tags, in.Tags)
	})
}

func (s *Service) untagResource(ctx context.Context, c cloud.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	return &UntagResourceOutput{}, s.updateTags(ctx, c, in.ResourceArn, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	})
}

func (s *Service) getTags(ctx context.Context, c cloud.Caller, in *GetTagsInput) (out *Tags, err error) {
	id, name, err := tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out = &Tags{}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		api, err := s.api(ctx, r, c, &id)
		if err != nil {
			return err
		}
		out.Tags = withTags(api).Tags
		if name == "" {
			return nil
		}
		stage, err := s.stage(ctx, r, c, &id, &name)
		if err == nil {
			out.Tags = stage.Tags
		}
		return err
	})
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out, err
}
