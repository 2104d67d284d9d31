// Package apigatewayv2 is Amazon API Gateway's HTTP APIs: the control plane that builds an API of routes and
// integrations, deploys it and puts deployments on stages, and the serving of a stage.
//
// # What is stored
//
// See keys.go. Rows hold the model's own types. A deployment is an immutable snapshot of the API's routes,
// integrations and CORS settings in one row; a stage names one. With autoDeploy every change of the API makes, in
// its own transaction, a deployment for the stage. What serves a stage reads one row per request, the stage's: as long as
// its bytes are the same, the compiled router is current.
//
// # What is served
//
// AWS_PROXY integrations with Lambda functions, payload formats 1.0 and 2.0, CORS, route throttling. What an API may
// be configured with but is not served is refused when it is configured (NotImplemented), never stored: WebSocket APIs,
// HTTP_PROXY and other AWS services, parameter mapping, VPC links, authorizers, access logs, detailed metrics, custom
// domains, import and export.
//
// # Where it differs from AWS
//
// A change is visible to the next request. Of the deployments that autoDeploy makes for a stage only the current one is
// kept. Header names reach functions of payload format 1.0 in their canonical case.
package apigatewayv2

import (
	"context"
	"reflect"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/service"
)

// An Invoker calls a function as API Gateway does: c.Via is apigateway.amazonaws.com and the function's resource
// policy is asked for sourceARN. A refusal or a missing function is an error; what the function itself threw is
// functionError ("Unhandled") with the error document as result. When ctx ends first, Invoke returns its error while the
// function goes on.
type Invoker interface {
	Invoke(ctx context.Context, c cloud.Caller, functionARN, sourceARN string, payload []byte) (result []byte, functionError string, err error)
}

// Service answers the operations of HTTP APIs. Has and Serve are for whoever owns the host label that HTTP APIs share
// with REST APIs.
type Service struct {
	kv      *kv.Store
	domain  string
	invoker Invoker
	cache   routers
}

// New returns the service with its rows in store. domain is what the cloud calls itself.
func New(store *kv.Store, domain string, invoker Invoker) *Service {
	return &Service{kv: store, domain: domain, invoker: invoker}
}

// Service lists the operations. It has no endpoint of its own: see Has and Serve.
func (s *Service) Service() service.Service {
	api := apiModel()
	return service.Service{
		API: api,
		Operations: permissions(api, []service.Operation{
			service.Op("CreateApi", s.createApi),
			service.Op("GetApi", s.getApi),
			service.Op("GetApis", s.getApis),
			service.Op("UpdateApi", s.updateApi),
			service.Op("DeleteApi", s.deleteApi),
			service.Op("DeleteCorsConfiguration", s.deleteCorsConfiguration),
			service.Op("CreateRoute", s.createRoute),
			service.Op("GetRoute", s.getRoute),
			service.Op("GetRoutes", s.getRoutes),
			service.Op("UpdateRoute", s.updateRoute),
			service.Op("DeleteRoute", s.deleteRoute),
			service.Op("CreateIntegration", s.createIntegration),
			service.Op("GetIntegration", s.getIntegration),
			service.Op("GetIntegrations", s.getIntegrations),
			service.Op("UpdateIntegration", s.updateIntegration),
			service.Op("DeleteIntegration", s.deleteIntegration),
			service.Op("CreateStage", s.createStage),
			service.Op("GetStage", s.getStage),
			service.Op("GetStages", s.getStages),
			service.Op("UpdateStage", s.updateStage),
			service.Op("DeleteStage", s.deleteStage),
			service.Op("DeleteRouteSettings", s.deleteRouteSettings),
			service.Op("CreateDeployment", s.createDeployment),
			service.Op("GetDeployment", s.getDeployment),
			service.Op("GetDeployments", s.getDeployments),
			service.Op("UpdateDeployment", s.updateDeployment),
			service.Op("DeleteDeployment", s.deleteDeployment),
			service.Op("TagResource", s.tagResource),
			service.Op("UntagResource", s.untagResource),
			service.Op("GetTags", s.getTags),
		}),
	}
}

// permissions gives each operation the action and resource that API Gateway's permissions have: the HTTP method and
// the path of the call without its version (apigateway:POST on arn:aws:apigateway:REGION::/apis).
func permissions(api *service.API, ops []service.Operation) []service.Operation {
	models := map[string]*service.OperationModel{}
	for i := range api.Operations {
		models[api.Operations[i].Name] = &api.Operations[i]
	}
	for i := range ops {
		m := models[ops[i].Name]
		ops[i].Access.Action = "apigateway:" + m.Method
		ops[i].Access.Resources = func(c cloud.Caller, in any) []string {
			path := fill(strings.TrimPrefix(m.URI, "/v2"), reflect.ValueOf(in).Elem())
			return []string{"arn:" + cloud.Partition + ":apigateway:" + c.Region + "::" + path}
		}
	}
	return ops
}

// fill puts the members bound to the URI into its template.
func fill(uri string, in reflect.Value) string {
	for i := range in.NumField() {
		f := in.Type().Field(i)
		if f.Tag.Get("in") != "uri" {
			continue
		}
		if p, ok := in.Field(i).Interface().(*string); ok && p != nil {
			uri = strings.ReplaceAll(uri, "{"+f.Tag.Get("wire")+"}", *p)
		}
	}
	return uri
}

// overlay copies the members of from that are given into those of the same name and type in to, and returns to. Both
// point to structs of the model, whose inputs, rows and outputs have most members in common.
func overlay[T any](to *T, from any) *T {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range src.NumField() {
		name := src.Type().Field(i).Name
		v := src.Field(i)
		if name == "_" || v.IsZero() {
			continue
		}
		if f := dst.FieldByName(name); f.IsValid() && f.Type() == v.Type() {
			f.Set(v)
		}
	}
	return to
}

func badRequest(format string, args ...any) error {
	return cloud.Faultf("BadRequestException", format, args...)
}

func notFound(format string, args ...any) error {
	return cloud.Faultf("NotFoundException", format, args...)
}

func conflict(format string, args ...any) error {
	return cloud.Faultf("ConflictException", format, args...)
}
