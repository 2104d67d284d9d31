package apigatewayv2

import (
	"context"
	"maps"
	"regexp"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

var stageName = regexp.MustCompile(`^(?:\$default|[a-zA-Z0-9_-]{1,128})$`)

func newStage(c cloud.Caller, name string) Stage {
	now := c.Now.Truncate(time.Second)
	return Stage{
		StageName: &name, AutoDeploy: new(false), CreatedDate: &now, LastUpdatedDate: &now,
		DefaultRouteSettings: &RouteSettings{DetailedMetricsEnabled: new(false)},
		RouteSettings:        map[string]RouteSettings{}, StageVariables: map[string]string{}, Tags: map[string]string{},
	}
}

// checkStage judges a stage's settings.
func checkStage(s *Stage) error {
	if !stageName.MatchString(*s.StageName) {
		return badRequest("Stage name only allows a-zA-Z0-9_- or $default")
	}
	if s.AccessLogSettings != nil {
		return cloud.NotImplemented("A stage's access log (accessLogSettings)")
	}
	if s.ClientCertificateId != nil {
		return badRequest("Client certificates are only supported for WebSocket APIs")
	}
	if s.DefaultRouteSettings != nil {
		if err := checkSettings(*s.DefaultRouteSettings); err != nil {
			return err
		}
	}
	for _, r := range s.RouteSettings {
		if err := checkSettings(r); err != nil {
			return err
		}
	}
	return nil
}

func checkSettings(r RouteSettings) error {
	if cloud.Val(r.DataTraceEnabled) || cloud.Or(r.LoggingLevel, "OFF") != "OFF" {
		return badRequest("Execution logs are not supported on protocolType HTTP")
	}
	if cloud.Val(r.DetailedMetricsEnabled) {
		return cloud.NotImplemented("Detailed metrics of a stage (detailedMetricsEnabled)")
	}
	if cloud.Val(r.ThrottlingBurstLimit) < 0 || cloud.Val(r.ThrottlingRateLimit) < 0 {
		return badRequest("Throttling limits must not be negative")
	}
	return nil
}

func (s *Service) createStage(ctx context.Context, c cloud.Caller, in *CreateStageInput) (*CreateStageOutput, error) {
	stage := newStage(c, *in.StageName)
	overlay(&stage, in)
	if err := checkStage(&stage); err != nil {
		return nil, err
	}
	out := &stage
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.ApiId); err != nil {
			return err
		}
		key := partKey(c, *in.ApiId, "stage", *in.StageName)
		have, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if have != nil {
			return conflict("Stage already exists")
		}
		out, err = s.putStage(ctx, tx, c, *in.ApiId, stage)
		return err
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(CreateStageOutput), out), nil
}

// putStage stores a stage, deploys to it if that is automatic, and returns it as it is then.
func (s *Service) putStage(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string, stage Stage) (*Stage, error) {
	if stage.DeploymentId != nil {
		if _, err := part[Deployment](ctx, s, tx, c, &api, stage.DeploymentId, "deployment", "Deployment"); err != nil {
			return nil, err
		}
	}
	if err := kv.PutRow(tx, partKey(c, api, "stage", *stage.StageName), &stage); err != nil {
		return nil, err
	}
	if !cloud.Val(stage.AutoDeploy) {
		return &stage, nil
	}
	if err := s.autoDeploy(ctx, tx, c, api); err != nil {
		return nil, err
	}
	return part[Stage](ctx, s, tx, c, &api, stage.StageName, "stage", "stage")
}

func (s *Service) getStage(ctx context.Context, c cloud.Caller, in *GetStageInput) (*GetStageOutput, error) {
	return view[GetStageOutput, Stage](ctx, s, c, in.ApiId, in.StageName, "stage", "stage")
}

func (s *Service) getStages(ctx context.Context, c cloud.Caller, in *GetStagesInput) (*GetStagesOutput, error) {
	items, next, err := parts(ctx, s, c, in.ApiId, "stage", func(s *Stage) string { return *s.StageName }, in.MaxResults, in.NextToken)
	return &GetStagesOutput{Items: items, NextToken: next}, err
}

// changeStage runs fn on a stage and stores it.
func (s *Service) changeStage(ctx context.Context, c cloud.Caller, api, name *string, fn func(stage *Stage) error) (out *Stage, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		stage, err := part[Stage](ctx, s, tx, c, api, name, "stage", "stage")
		if err != nil {
			return err
		}
		before := stage.DeploymentId
		if err := fn(stage); err != nil {
			return err
		}
		if err := checkStage(stage); err != nil {
			return err
		}
		stage.LastUpdatedDate = new(c.Now.Truncate(time.Second))
		if out, err = s.putStage(ctx, tx, c, *api, *stage); err != nil {
			return err
		}
		return s.dropAuto(ctx, tx, c, *api, before)
	})
	return out, err
}

func (s *Service) updateStage(ctx context.Context, c cloud.Caller, in *UpdateStageInput) (*UpdateStageOutput, error) {
	stage, err := s.changeStage(ctx, c, in.ApiId, in.StageName, func(stage *Stage) error {
		variables, settings := stage.StageVariables, stage.RouteSettings
		overlay(stage, in)
		if in.DeploymentId != nil && cloud.Val(stage.AutoDeploy) {
			return badRequest("DeploymentId cannot be set for a stage with AutoDeploy enabled")
		}
		stage.StageVariables = merge(variables, in.StageVariables)
		maps.DeleteFunc(stage.StageVariables, func(_, value string) bool { return value == "" }) // AWS's way to remove one
		stage.RouteSettings = merge(settings, in.RouteSettings)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(UpdateStageOutput), stage), nil
}

// merge adds the entries of an update to a map: an update names only what it changes.
func merge[T any](have, update map[string]T) map[string]T {
	if have == nil {
		have = map[string]T{}
	}
	maps.Copy(have, update)
	return have
}

func (s *Service) deleteRouteSettings(ctx context.Context, c cloud.Caller, in *DeleteRouteSettingsInput) (*DeleteRouteSettingsOutput, error) {
	_, err := s.changeStage(ctx, c, in.ApiId, in.StageName, func(stage *Stage) error {
		if _, ok := stage.RouteSettings[*in.RouteKey]; !ok {
			return notFound("Invalid Route key specified")
		}
		delete(stage.RouteSettings, *in.RouteKey)
		return nil
	})
	return &DeleteRouteSettingsOutput{}, err
}

func (s *Service) deleteStage(ctx context.Context, c cloud.Caller, in *DeleteStageInput) (*DeleteStageOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stage, err := part[Stage](ctx, s, tx, c, in.ApiId, in.StageName, "stage", "stage")
		if err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.ApiId, "stage", *stage.StageName))
		return s.dropAuto(ctx, tx, c, *in.ApiId, stage.DeploymentId)
	})
	return &DeleteStageOutput{}, err
}
