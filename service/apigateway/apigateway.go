// Package apigateway is Amazon API Gateway's REST APIs: the control plane that builds an API of resources, methods
// and integrations, snapshots it into deployments and puts those on stages, and the endpoint that serves a stage.
//
// # What is stored
//
// See keys.go. Rows hold the model's own types. A deployment is an immutable copy of the API's resources, methods
// and settings; a stage names one. The endpoint keeps a compiled router for each stage's deployment in memory and
// reads one row per request, the stage's: as long as its bytes are the same, the router is current.
//
// # What is served
//
// Integrations: AWS_PROXY and AWS with Lambda functions, and MOCK, with mapping templates (lang/vtl), parameter
// mappings, request validators, models and gateway responses. What an API may be configured with but is not served
// is refused when it is configured (NotImplemented), never stored: HTTP integrations, other AWS services, VPC links,
// authorizers and IAM authorization, API keys and usage plans, resource policies, caching, canaries, client
// certificates, access logs, tracing, custom domains.
//
// # Where it differs from AWS
//
// A change of a stage is visible to the next request, not after seconds. Header names reach functions in their
// canonical case (Go's HTTP server does not keep the client's), and CloudFront's headers are not there. Patterns are
// RE2: lookaround is refused. The limits of a mapping template are those of package vtl.
package apigateway

import (
	"context"
	"net/http"
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

// Others serves the APIs under the same host label that are not REST APIs: HTTP APIs.
type Others interface {
	Has(ctx context.Context, id string) (bool, error)
	Serve(w http.ResponseWriter, r *http.Request, at service.Published)
}

// Service answers the operations of API Gateway's REST APIs and serves what they publish.
type Service struct {
	kv      *kv.Store
	domain  string
	invoker Invoker
	others  Others
	cache   routers
}

// New returns the service with its rows in store. domain is what the cloud calls itself; others may be nil.
func New(store *kv.Store, domain string, invoker Invoker, others Others) *Service {
	return &Service{kv: store, domain: domain, invoker: invoker, others: others}
}

// Service lists the operations and the endpoint.
func (s *Service) Service() service.Service {
	api := apiModel()
	return service.Service{
		API: api,
		Operations: permissions(api, []service.Operation{
			service.Op("CreateRestApi", s.createRestApi),
			service.Op("GetRestApi", s.getRestApi),
			service.Op("GetRestApis", s.getRestApis),
			service.Op("UpdateRestApi", s.updateRestApi),
			service.Op("DeleteRestApi", s.deleteRestApi),
			service.Op("CreateResource", s.createResource),
			service.Op("GetResource", s.getResource),
			service.Op("GetResources", s.getResources),
			service.Op("UpdateResource", s.updateResource),
			service.Op("DeleteResource", s.deleteResource),
			service.Op("PutMethod", s.putMethod),
			service.Op("GetMethod", s.getMethod),
			service.Op("UpdateMethod", s.updateMethod),
			service.Op("DeleteMethod", s.deleteMethod),
			service.Op("PutMethodResponse", s.putMethodResponse),
			service.Op("GetMethodResponse", s.getMethodResponse),
			service.Op("UpdateMethodResponse", s.updateMethodResponse),
			service.Op("DeleteMethodResponse", s.deleteMethodResponse),
			service.Op("PutIntegration", s.putIntegration),
			service.Op("GetIntegration", s.getIntegration),
			service.Op("UpdateIntegration", s.updateIntegration),
			service.Op("DeleteIntegration", s.deleteIntegration),
			service.Op("PutIntegrationResponse", s.putIntegrationResponse),
			service.Op("GetIntegrationResponse", s.getIntegrationResponse),
			service.Op("UpdateIntegrationResponse", s.updateIntegrationResponse),
			service.Op("DeleteIntegrationResponse", s.deleteIntegrationResponse),
			service.Op("CreateDeployment", s.createDeployment),
			service.Op("GetDeployment", s.getDeployment),
			service.Op("GetDeployments", s.getDeployments),
			service.Op("UpdateDeployment", s.updateDeployment),
			service.Op("DeleteDeployment", s.deleteDeployment),
			service.Op("CreateStage", s.createStage),
			service.Op("GetStage", s.getStage),
			service.Op("GetStages", s.getStages),
			service.Op("UpdateStage", s.updateStage),
			service.Op("DeleteStage", s.deleteStage),
			service.Op("PutGatewayResponse", s.putGatewayResponse),
			service.Op("GetGatewayResponse", s.getGatewayResponse),
			service.Op("GetGatewayResponses", s.getGatewayResponses),
			service.Op("UpdateGatewayResponse", s.updateGatewayResponse),
			service.Op("DeleteGatewayResponse", s.deleteGatewayResponse),
			service.Op("CreateRequestValidator", s.createRequestValidator),
			service.Op("GetRequestValidator", s.getRequestValidator),
			service.Op("GetRequestValidators", s.getRequestValidators),
			service.Op("UpdateRequestValidator", s.updateRequestValidator),
			service.Op("DeleteRequestValidator", s.deleteRequestValidator),
			service.Op("CreateModel", s.createModel),
			service.Op("GetModel", s.getModel),
			service.Op("GetModels", s.getModels),
			service.Op("UpdateModel", s.updateModel),
			service.Op("DeleteModel", s.deleteModel),
			service.Op("GetAccount", s.getAccount),
			service.Op("UpdateAccount", s.updateAccount),
			service.Op("TagResource", s.tagResource),
			service.Op("UntagResource", s.untagResource),
			service.Op("GetTags", s.getTags),
		}),
		Endpoints: []service.Endpoint{{Label: "execute-api", Path: pathForm, Serve: s.Serve}},
	}
}

// permissions gives each operation the action and resource that API Gateway's permissions have: the HTTP method and
// the path of the call (apigateway:POST on arn:aws:apigateway:REGION::/restapis).
func permissions(api *service.API, ops []service.Operation) []service.Operation {
	models := map[string]*service.OperationModel{}
	for i := range api.Operations {
		models[api.Operations[i].Name] = &api.Operations[i]
	}
	for i := range ops {
		m := models[ops[i].Name]
		ops[i].Access.Action = "apigateway:" + m.Method
		ops[i].Access.Resources = func(c cloud.Caller, in any) []string {
			path, _, _ := strings.Cut(m.URI, "?")
			return []string{"arn:" + cloud.Partition + ":apigateway:" + c.Region + "::" + fill(path, reflect.ValueOf(in).Elem())}
		}
	}
	return ops
}

// fill puts the members bound to the URI into its template.
func fill(uri string, in reflect.Value) string {
	for i := range in.NumField() {
		f := in.Type().Field(i)
		p, ok := in.Field(i).Interface().(*string)
		if !ok || p == nil || f.Tag.Get("in") != "uri" {
			continue
		}
		name := f.Tag.Get("wire")
		if name == "" {
			name = f.Tag.Get("name")
		}
		uri = strings.ReplaceAll(uri, "{"+name+"}", *p)
	}
	return uri
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

// invalidAPI is the refusal of an API's identifier.
func invalidAPI(c cloud.Caller, id string) error {
	return notFound("Invalid API identifier specified %s", c.Account+":"+id)
}
