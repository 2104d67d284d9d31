package apigatewayv2

import (
	"context"
	"regexp"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

var routeKey = regexp.MustCompile(`^(?:ANY|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /\S*$`)

func newRoute(key string) Route {
	return Route{RouteId: new(newID(7)), RouteKey: &key, ApiKeyRequired: new(false), AuthorizationType: new("NONE")}
}

// checkRoute judges a route.
func checkRoute(r *Route) error {
	key := *r.RouteKey
	if key != "$default" && !routeKey.MatchString(key) {
		return badRequest(`The provided route key is not formatted properly for HTTP protocol. Format should be "<HTTP METHOD> /<RESOURCE PATH>" or "$default"`)
	}
	if i := strings.Index(key, "+}"); i >= 0 && i+2 < len(key) {
		return badRequest("Greedy path parameters can only be at the end of a route: %s", key)
	}
	switch {
	case cloud.Val(r.AuthorizationType) != "NONE":
		return cloud.NotImplemented("Authorization of a route (authorizationType " + cloud.Val(r.AuthorizationType) + ")")
	case r.AuthorizerId != nil || len(r.AuthorizationScopes) > 0:
		return cloud.NotImplemented("An authorizer of a route")
	case cloud.Val(r.ApiKeyRequired):
		return badRequest("API Key authorization is not supported for HTTP APIs")
	case r.ModelSelectionExpression != nil || len(r.RequestModels) > 0 || r.RouteResponseSelectionExpression != nil || len(r.RequestParameters) > 0:
		return badRequest("Models, request parameters and route responses are only supported for WebSocket APIs")
	}
	if t := cloud.Val(r.Target); r.Target != nil && !strings.HasPrefix(t, "integrations/") {
		return badRequest("Invalid target specified: %s", t)
	}
	return nil
}

// checkReferences judges a route against the rest of its API.
func (s *Service) checkReferences(ctx context.Context, r kv.Reader, c cloud.Caller, api string, route *Route) error {
	if target, ok := strings.CutPrefix(cloud.Val(route.Target), "integrations/"); ok {
		v, err := r.Get(ctx, partKey(c, api, "integration", target))
		if err != nil {
			return err
		}
		if v == nil {
			return notFound("Invalid Integration identifier specified")
		}
	}
	routes, err := scan[Route](ctx, r, partRange(c, api, "route"))
	if err != nil {
		return err
	}
	for _, o := range routes {
		if *o.RouteKey == *route.RouteKey && *o.RouteId != *route.RouteId {
			return conflict("Route with key %s already exists for this API", *route.RouteKey)
		}
	}
	return nil
}

func (s *Service) createRoute(ctx context.Context, c cloud.Caller, in *CreateRouteInput) (*CreateRouteOutput, error) {
	route := newRoute(*in.RouteKey)
	overlay(&route, in)
	if err := checkRoute(&route); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.ApiId); err != nil {
			return err
		}
		return s.putRoute(ctx, tx, c, *in.ApiId, &route)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(CreateRouteOutput), &route), nil
}

func (s *Service) putRoute(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string, route *Route) error {
	if err := s.checkReferences(ctx, tx, c, api, route); err != nil {
		return err
	}
	if err := kv.PutRow(tx, partKey(c, api, "route", *route.RouteId), route); err != nil {
		return err
	}
	return s.autoDeploy(ctx, tx, c, api)
}

func (s *Service) getRoute(ctx context.Context, c cloud.Caller, in *GetRouteInput) (*GetRouteOutput, error) {
	return view[GetRouteOutput, Route](ctx, s, c, in.ApiId, in.RouteId, "route", "Route")
}

func (s *Service) getRoutes(ctx context.Context, c cloud.Caller, in *GetRoutesInput) (*GetRoutesOutput, error) {
	items, next, err := parts(ctx, s, c, in.ApiId, "route", func(r *Route) string { return *r.RouteId }, in.MaxResults, in.NextToken)
	return &GetRoutesOutput{Items: items, NextToken: next}, err
}

func (s *Service) updateRoute(ctx context.Context, c cloud.Caller, in *UpdateRouteInput) (*UpdateRouteOutput, error) {
	var out *Route
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		route, err := part[Route](ctx, s, tx, c, in.ApiId, in.RouteId, "route", "Route")
		if err != nil {
			return err
		}
		out = overlay(route, in)
		if cloud.Val(route.Target) == "" {
			route.Target = nil
		}
		if err := checkRoute(route); err != nil {
			return err
		}
		return s.putRoute(ctx, tx, c, *in.ApiId, route)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(UpdateRouteOutput), out), nil
}

func (s *Service) deleteRoute(ctx context.Context, c cloud.Caller, in *DeleteRouteInput) (*DeleteRouteOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := part[Route](ctx, s, tx, c, in.ApiId, in.RouteId, "route", "Route"); err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.ApiId, "route", *in.RouteId))
		return s.autoDeploy(ctx, tx, c, *in.ApiId)
	})
	return &DeleteRouteOutput{}, err
}
