package apigatewayv2

import (
	"context"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

func (s *Service) createApi(ctx context.Context, c cloud.Caller, in *CreateApiInput) (*CreateApiOutput, error) {
	if *in.ProtocolType == "WEBSOCKET" {
		return nil, cloud.NotImplemented("A WebSocket API")
	}
	id := newID(10)
	api := Api{
		ApiId: &id, ApiEndpoint: new("https://" + id + ".execute-api." + c.Region + "." + s.domain), CreatedDate: new(c.Now.Truncate(time.Second)),
		ApiKeySelectionExpression: new("$request.header.x-api-key"), RouteSelectionExpression: new("$request.method $request.path"),
		DisableExecuteApiEndpoint: new(false), IpAddressType: new("ipv4"), Tags: map[string]string{},
	}
	overlay(&api, in)
	if err := checkAPI(&api); err != nil {
		return nil, err
	}
	quick, err := s.quickCreate(c, in)
	if err != nil {
		return nil, err
	}
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		if err := kv.PutRow(tx, homeKey(id), homeRow{c.Account, c.Region}); err != nil {
			return err
		}
		if err := kv.PutRow(tx, apiKey(c, id), &api); err != nil {
			return err
		}
		return quick.store(ctx, tx, s, c, &api)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(CreateApiOutput), &api), nil
}

// quick is what CreateApi with a target makes besides the API: a route to it and a default stage.
type quick struct {
	integration Integration
	route       Route
	stage       Stage
}

// quickCreate returns what to make, nil for nothing.
func (s *Service) quickCreate(c cloud.Caller, in *CreateApiInput) (*quick, error) {
	if in.Target == nil {
		if in.RouteKey != nil {
			return nil, badRequest("RouteKey can only be specified with Target")
		}
		return nil, nil
	}
	if in.CredentialsArn != nil {
		return nil, cloud.NotImplemented("An integration with credentials of its own")
	}
	q := &quick{
		integration: newIntegration(), stage: newStage(c, "$default"),
		route: newRoute(cloud.Or(in.RouteKey, "$default")),
	}
	q.integration.IntegrationType, q.integration.PayloadFormatVersion = new("AWS_PROXY"), new("2.0")
	if strings.HasPrefix(*in.Target, "http") {
		q.integration.IntegrationType, q.integration.PayloadFormatVersion = new("HTTP_PROXY"), new("1.0")
	}
	q.integration.IntegrationUri = in.Target
	q.route.Target = new("integrations/" + *q.integration.IntegrationId)
	q.stage.AutoDeploy = new(true)
	q.integration.ApiGatewayManaged, q.route.ApiGatewayManaged, q.stage.ApiGatewayManaged = new(true), new(true), new(true)
	if err := checkIntegration(&q.integration); err != nil {
		return nil, err
	}
	return q, checkRoute(&q.route)
}

func (q *quick) store(ctx context.Context, tx *kv.Tx, s *Service, c cloud.Caller, api *Api) error {
	if q == nil {
		return nil
	}
	id := *api.ApiId
	if err := kv.PutRow(tx, partKey(c, id, "integration", *q.integration.IntegrationId), &q.integration); err != nil {
		return err
	}
	if err := kv.PutRow(tx, partKey(c, id, "route", *q.route.RouteId), &q.route); err != nil {
		return err
	}
	if err := kv.PutRow(tx, partKey(c, id, "stage", *q.stage.StageName), &q.stage); err != nil {
		return err
	}
	return s.autoDeploy(ctx, tx, c, id)
}

// checkAPI judges an API's settings.
func checkAPI(api *Api) error {
	if cloud.Val(api.Name) == "" {
		return badRequest("API name must be non-empty")
	}
	if cloud.Val(api.DisableSchemaValidation) {
		return badRequest("DisableSchemaValidation is only supported for WebSocket APIs")
	}
	if e := *api.RouteSelectionExpression; e != "$request.method $request.path" && e != "${request.method} ${request.path}" {
		return badRequest("Invalid RouteSelectionExpression. Must be '$request.method $request.path' for HTTP protocol")
	}
	if e := *api.ApiKeySelectionExpression; e != "$request.header.x-api-key" {
		return cloud.NotImplemented("The API key selection expression " + e)
	}
	cors := api.CorsConfiguration
	if cors == nil {
		return nil
	}
	if cloud.Val(cors.AllowCredentials) && slices.ContainsFunc(slices.Concat(cors.AllowOrigins, cors.AllowHeaders, cors.AllowMethods, cors.ExposeHeaders), func(v string) bool { return v == "*" }) {
		return badRequest("Wildcard ('*') values are not allowed in CORS when AllowCredentials is true")
	}
	for _, o := range cors.AllowOrigins {
		if o != "*" && !strings.HasPrefix(o, "http://") && !strings.HasPrefix(o, "https://") {
			return badRequest("Invalid origin specified in CORS configuration: %s", o)
		}
	}
	return nil
}

func (s *Service) api(ctx context.Context, r kv.Reader, c cloud.Caller, id *string) (*Api, error) {
	var api Api
	found, err := kv.GetRow(ctx, r, apiKey(c, cloud.Val(id)), &api)
	if err == nil && !found {
		err = notFound("Invalid API identifier specified %s:%s", c.Account, cloud.Val(id))
	}
	if err != nil {
		return nil, err
	}
	return &api, nil
}

func (s *Service) getApi(ctx context.Context, c cloud.Caller, in *GetApiInput) (*GetApiOutput, error) {
	var api *Api
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		api, err = s.api(ctx, r, c, in.ApiId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(GetApiOutput), api), nil
}

func (s *Service) getApis(ctx context.Context, c cloud.Caller, in *GetApisInput) (*GetApisOutput, error) {
	var apis []Api
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		apis, err = scan[Api](ctx, r, apiRange(c))
		return err
	})
	if err != nil {
		return nil, err
	}
	apis, next, err := page(apis, func(a *Api) string { return *a.ApiId }, in.MaxResults, in.NextToken)
	return &GetApisOutput{Items: apis, NextToken: next}, err
}

// changeAPI runs fn on an API, stores it, and deploys it where that is automatic.
func (s *Service) changeAPI(ctx context.Context, c cloud.Caller, id *string, fn func(api *Api) error) (out *Api, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, id)
		if err != nil {
			return err
		}
		out = api
		if err := fn(api); err != nil {
			return err
		}
		if err := checkAPI(api); err != nil {
			return err
		}
		if err := kv.PutRow(tx, apiKey(c, *id), api); err != nil {
			return err
		}
		return s.autoDeploy(ctx, tx, c, *id)
	})
	return out, err
}

func (s *Service) updateApi(ctx context.Context, c cloud.Caller, in *UpdateApiInput) (*UpdateApiOutput, error) {
	if in.Target != nil || in.RouteKey != nil || in.CredentialsArn != nil {
		return nil, cloud.NotImplemented("A change of a quick create's target")
	}
	api, err := s.changeAPI(ctx, c, in.ApiId, func(api *Api) error {
		overlay(api, in)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(UpdateApiOutput), api), nil
}

func (s *Service) deleteCorsConfiguration(ctx context.Context, c cloud.Caller, in *DeleteCorsConfigurationInput) (*DeleteCorsConfigurationOutput, error) {
	_, err := s.changeAPI(ctx, c, in.ApiId, func(api *Api) error {
		api.CorsConfiguration = nil
		return nil
	})
	return &DeleteCorsConfigurationOutput{}, err
}

func (s *Service) deleteApi(ctx context.Context, c cloud.Caller, in *DeleteApiInput) (*DeleteApiOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, in.ApiId)
		if err != nil {
			return err
		}
		all := kv.Prefix(c.Account, c.Region, "part", *api.ApiId)
		tx.DeleteRange(all.Begin, all.End)
		tx.Delete(apiKey(c, *api.ApiId))
		tx.Delete(homeKey(*api.ApiId))
		return nil
	})
	return &DeleteApiOutput{}, err
}
