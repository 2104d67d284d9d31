package apigateway

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

var (
	stageName     = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	variableName  = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)
	variableValue = regexp.MustCompile(`^[A-Za-z0-9\-._~:/?#&=,]*$`)
)

func newStage(c cloud.Caller, name string) Stage {
	return Stage{
		StageName: &name, CacheClusterEnabled: new(false), CacheClusterStatus: new("NOT_AVAILABLE"),
		MethodSettings: map[string]MethodSetting{}, TracingEnabled: new(false),
		CreatedDate: new(c.Now.Truncate(time.Second)), LastUpdatedDate: new(c.Now.Truncate(time.Second)),
	}
}

func (s *Service) createStage(ctx context.Context, c cloud.Caller, in *CreateStageInput) (*Stage, error) {
	if in.CanarySettings != nil {
		return nil, cloud.NotImplemented("A stage's canary (canarySettings)")
	}
	if cloud.Val(in.DocumentationVersion) != "" {
		return nil, cloud.NotImplemented("Documentation of an API (documentationVersion)")
	}
	stage := newStage(c, *in.StageName)
	stage.DeploymentId, stage.Description, stage.Variables, stage.Tags = in.DeploymentId, in.Description, in.Variables, in.Tags
	stage.CacheClusterEnabled, stage.CacheClusterSize = new(cloud.Val(in.CacheClusterEnabled)), in.CacheClusterSize
	stage.TracingEnabled = new(cloud.Val(in.TracingEnabled))
	if err := checkStage(&stage); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.deployment(ctx, tx, c, in.RestApiId, in.DeploymentId); err != nil {
			return err
		}
		key := partKey(c, *in.RestApiId, "stage", *in.StageName)
		have, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if have != nil {
			return conflict("Stage already exists")
		}
		return kv.PutRow(tx, key, &stage)
	})
	if err != nil {
		return nil, err
	}
	return &stage, nil
}

// checkStage judges a stage's settings.
func checkStage(s *Stage) error {
	if !stageName.MatchString(*s.StageName) {
		return badRequest("Stage name only allows a-zA-Z0-9_-")
	}
	for name, value := range s.Variables {
		if !variableName.MatchString(name) {
			return badRequest("Stage variable name only allows a-zA-Z0-9_")
		}
		if !variableValue.MatchString(value) {
			return badRequest("Stage variable value only allows A-Za-z0-9-._~:/?#&=,")
		}
	}
	if cloud.Val(s.CacheClusterEnabled) || s.CacheClusterSize != nil {
		return cloud.NotImplemented("A stage's cache cluster")
	}
	if cloud.Val(s.TracingEnabled) {
		return cloud.NotImplemented("Tracing of a stage (tracingEnabled)")
	}
	return nil
}

func (s *Service) stage(ctx context.Context, r kv.Reader, c cloud.Caller, api, name *string) (*Stage, error) {
	if _, err := s.api(ctx, r, c, api); err != nil {
		return nil, err
	}
	var stage Stage
	found, err := kv.GetRow(ctx, r, partKey(c, *api, "stage", cloud.Val(name)), &stage)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("Invalid stage identifier specified")
	}
	return &stage, nil
}

func (s *Service) getStage(ctx context.Context, c cloud.Caller, in *GetStageInput) (out *Stage, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.stage(ctx, r, c, in.RestApiId, in.StageName)
		return err
	})
	return out, err
}

func (s *Service) getStages(ctx context.Context, c cloud.Caller, in *GetStagesInput) (*Stages, error) {
	out := &Stages{}
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		out.Item, err = scan[Stage](ctx, r, partRange(c, *in.RestApiId, "stage"))
		return err
	})
	if in.DeploymentId != nil {
		out.Item = slices.DeleteFunc(out.Item, func(s Stage) bool { return cloud.Val(s.DeploymentId) != *in.DeploymentId })
	}
	return out, err
}

func (s *Service) updateStage(ctx context.Context, c cloud.Caller, in *UpdateStageInput) (out *Stage, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		stage, err := s.stage(ctx, tx, c, in.RestApiId, in.StageName)
		if err != nil {
			return err
		}
		out = stage
		if err := patchStage(stage, in.PatchOperations); err != nil {
			return err
		}
		if err := checkStage(stage); err != nil {
			return err
		}
		if _, err := s.deployment(ctx, tx, c, in.RestApiId, stage.DeploymentId); err != nil {
			return err
		}
		stage.LastUpdatedDate = new(c.Now.Truncate(time.Second))
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "stage", *stage.StageName), stage)
	})
	return out, err
}

func patchStage(s *Stage, ops []PatchOperation) error {
	t := target{
		"/deploymentId":         replaceStr(&s.DeploymentId),
		"/description":          str(&s.Description),
		"/tracingEnabled":       boolean(&s.TracingEnabled),
		"/cacheClusterEnabled":  boolean(&s.CacheClusterEnabled),
		"/cacheClusterSize":     str(&s.CacheClusterSize),
		"/variables/*":          entries(&s.Variables, ""),
		"/clientCertificateId":  refused("A stage's client certificate", off),
		"/documentationVersion": refused("Documentation of an API (documentationVersion)", off),
		"/canarySettings":       refused("A stage's canary (canarySettings)", off),
		"/canarySettings/*":     refused("A stage's canary (canarySettings)", nil),
		"/accessLogSettings":    refused("A stage's access log (accessLogSettings)", off),
		"/accessLogSettings/*":  refused("A stage's access log (accessLogSettings)", off),
	}
	for _, op := range ops {
		if op.Op != nil && *op.Op == "copy" {
			return cloud.NotImplemented("The patch operation copy, which serves canaries")
		}
		p, err := patches([]PatchOperation{op})
		if err != nil {
			return err
		}
		if _, known := t[p[0].path]; known || (len(p[0].segments) == 2 && t["/"+p[0].segments[0]+"/*"] != nil) {
			err = t.apply([]PatchOperation{op})
		} else {
			err = patchMethodSetting(s, p[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// patchMethodSetting applies a path such as /~1users/GET/throttling/rateLimit or /*/*/logging/loglevel.
func patchMethodSetting(s *Stage, p patch) error {
	if len(p.segments) < 2 {
		return invalidSetting(p)
	}
	key := strings.TrimPrefix(p.segments[0], "/") + "/" + p.segments[1]
	setting, have := s.MethodSettings[key]
	if p.op == "remove" && len(p.segments) == 2 {
		if !have {
			return badRequest("Cannot remove method setting %s because there is no method setting for this method ", key)
		}
		delete(s.MethodSettings, key)
		return nil
	}
	if len(p.segments) != 4 || !slices.Contains(verbs, strings.Replace(p.segments[1], "*", "ANY", 1)) {
		return invalidSetting(p)
	}
	if !have {
		setting = defaultSetting()
	}
	if err := setSetting(&setting, p); err != nil {
		return err
	}
	if s.MethodSettings == nil {
		s.MethodSettings = map[string]MethodSetting{}
	}
	s.MethodSettings[key] = setting
	return nil
}

func defaultSetting() MethodSetting {
	return MethodSetting{
		MetricsEnabled: new(false), DataTraceEnabled: new(false), CachingEnabled: new(false), CacheDataEncrypted: new(false),
		CacheTtlInSeconds: new(int32(300)), RequireAuthorizationForCacheControl: new(true),
		UnauthorizedCacheControlHeaderStrategy: new("SUCCEED_WITH_RESPONSE_HEADER"),
		ThrottlingBurstLimit:                   new(int32(5000)), ThrottlingRateLimit: new(10000.0),
	}
}

func setSetting(m *MethodSetting, p patch) error {
	value := cloud.Val(p.value)
	switch p.segments[2] + "/" + p.segments[3] {
	case "throttling/burstLimit":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 0 {
			return badRequest("Invalid burst limit specified: %s", value)
		}
		m.ThrottlingBurstLimit = new(int32(n))
	case "throttling/rateLimit":
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= 0) {
			return badRequest("Invalid rate limit specified: %s", value)
		}
		m.ThrottlingRateLimit = &f
	case "logging/loglevel":
		if value != "OFF" {
			return cloud.NotImplemented("Execution logs of a stage (loggingLevel)")
		}
		m.LoggingLevel = new("OFF")
	case "logging/dataTrace":
		return refused("Execution logs of a stage (dataTraceEnabled)", off)(p)
	case "metrics/enabled":
		return refused("Detailed metrics of a stage (metricsEnabled)", off)(p)
	case "caching/enabled":
		return refused("Caching of a stage (cachingEnabled)", off)(p)
	case "caching/ttlInSeconds", "caching/dataEncrypted", "caching/requireAuthorizationForCacheControl", "caching/unauthorizedCacheControlHeaderStrategy":
		return cloud.NotImplemented("Caching of a stage")
	default:
		return invalidSetting(p)
	}
	return nil
}

// settingPaths is AWS's own list, its missing commas included.
const settingPaths = "/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, " +
	"/accessLogSettings/destinationArn, /accessLogSettings/format, /{resourcePath}/{httpMethod}/metrics/enabled, " +
	"/{resourcePath}/{httpMethod}/logging/dataTrace, /{resourcePath}/{httpMethod}/logging/loglevel, " +
	"/{resourcePath}/{httpMethod}/throttling/burstLimit/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, " +
	"/{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, " +
	"/{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, " +
	"/*/*/metrics/enabled, /*/*/logging/dataTrace, /*/*/logging/loglevel, /*/*/throttling/burstLimit /*/*/throttling/rateLimit /*/*/caching/ttlInSeconds, " +
	"/*/*/caching/enabled, /*/*/caching/dataEncrypted, /*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy, " +
	"/variables/{variable_name}, /tracingEnabled"

func invalidSetting(p patch) error {
	return badRequest("Invalid method setting path: %s. Must be one of: [%s]", p.path, settingPaths)
}

func (s *Service) deleteStage(ctx context.Context, c cloud.Caller, in *DeleteStageInput) (*DeleteStageOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		stage, err := s.stage(ctx, tx, c, in.RestApiId, in.StageName)
		if err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.RestApiId, "stage", *stage.StageName))
		return nil
	})
	return &DeleteStageOutput{}, err
}
