package apigatewayv2

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
		case len(p) == 2 && p[0] == "apis":
			return p[1], "", nil
		case len(p) == 4 && p[0] == "apis" && p[2] == "stages":
			return p[1], p[3], nil
		}
	}
	return "", "", badRequest("Invalid ARN specified in the request")
}

// tags reads the tags of a thing, and returns how to store it.
func (s *Service) tags(ctx context.Context, r kv.Reader, c cloud.Caller, arn *string) (tags *map[string]string, put func(tx *kv.Tx) error, err error) {
	id, name, err := tagged(arn)
	if err != nil {
		return nil, nil, err
	}
	if name == "" {
		api, err := s.api(ctx, r, c, &id)
		if err != nil {
			return nil, nil, err
		}
		return &api.Tags, func(tx *kv.Tx) error { return kv.PutRow(tx, apiKey(c, id), api) }, nil
	}
	stage, err := part[Stage](ctx, s, r, c, &id, &name, "stage", "stage")
	if err != nil {
		return nil, nil, err
	}
	return &stage.Tags, func(tx *kv.Tx) error { return kv.PutRow(tx, partKey(c, id, "stage", name), stage) }, nil
}

// changeTags runs fn on the tags of a thing and stores it.
func (s *Service) changeTags(ctx context.Context, c cloud.Caller, arn *string, fn func(tags map[string]string)) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		tags, put, err := s.tags(ctx, tx, c, arn)
		if err != nil {
			return err
		}
		if *tags == nil {
			*tags = map[string]string{}
		}
		fn(*tags)
		return put(tx)
	})
}

func (s *Service) tagResource(ctx context.Context, c cloud.Caller, in *TagResourceInput) (*TagResourceOutput, error) {
	return &TagResourceOutput{}, s.changeTags(ctx, c, in.ResourceArn, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (s *Service) untagResource(ctx context.Context, c cloud.Caller, in *UntagResourceInput) (*UntagResourceOutput, error) {
	return &UntagResourceOutput{}, s.changeTags(ctx, c, in.ResourceArn, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	})
}

func (s *Service) getTags(ctx context.Context, c cloud.Caller, in *GetTagsInput) (*GetTagsOutput, error) {
	out := &GetTagsOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		tags, _, err := s.tags(ctx, r, c, in.ResourceArn)
		if err == nil {
			out.Tags = *tags
		}
		return err
	})
	return out, err
}
