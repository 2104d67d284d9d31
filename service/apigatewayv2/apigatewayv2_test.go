package apigatewayv2_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lambent/cloud"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/apigatewayv2"
)

// functions stands for the room that runs functions: it remembers the last call and answers as it is told.
type functions struct {
	arn, source string
	payload     []byte

	result        string
	functionError string
	err           error
	takes         time.Duration // to answer
}

func (f *functions) Invoke(ctx context.Context, _ cloud.Caller, functionARN, sourceARN string, payload []byte) ([]byte, string, error) {
	f.arn, f.source, f.payload = functionARN, sourceARN, payload
	select {
	case <-ctx.Done():
		return nil, "", ctx.Err()
	case <-time.After(f.takes):
	}
	return []byte(f.result), f.functionError, f.err
}

// event returns the last payload as JSON.
func (f *functions) event(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(f.payload, &m); err != nil {
		t.Fatalf("payload %s: %v", f.payload, err)
	}
	return m
}

// bench is a service with the operations at hand.
type bench struct {
	*testing.T
	fn  *functions
	s   *apigatewayv2.Service
	svc service.Service
	c   cloud.Caller
}

func newBench(t *testing.T) *bench {
	t.Helper()
	fn := &functions{result: `{"statusCode":200,"body":"ok"}`}
	s := apigatewayv2.New(kvtest.Mem(t).In("apigatewayv2"), "lambent.test", fn)
	return &bench{T: t, fn: fn, s: s, svc: s.Service(), c: cloud.Caller{
		Account: "111111111111", Region: "us-east-1", RequestID: "request-1", SourceIP: "203.0.113.5",
		Now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}}
}

// do runs an operation.
func do[O, I any](b *bench, operation string, in *I) (*O, error) {
	b.Helper()
	for _, op := range b.svc.Operations {
		if op.Name == operation {
			out, err := op.Handle(b.Context(), b.c, in)
			if err != nil {
				return nil, err
			}
			return out.(*O), nil
		}
	}
	b.Fatalf("no operation %s", operation)
	return nil, nil
}

// must runs an operation that has to go well.
func must[O, I any](b *bench, operation string, in *I) *O {
	b.Helper()
	out, err := do[O](b, operation, in)
	if err != nil {
		b.Fatalf("%s: %v", operation, err)
	}
	return out
}

// refused checks the refusal of an operation: "Code: message".
func refused[O, I any](b *bench, operation string, in *I, want string) {
	b.Helper()
	_, err := do[O](b, operation, in)
	var f *cloud.Fault
	if !errors.As(err, &f) || f.Code+": "+f.Message != want {
		b.Errorf("%s = %v, want %s", operation, err, want)
	}
}

// send sends a request to an API and returns the answer.
func (b *bench) send(method, api, target, body string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.s.Serve(w, r, service.Published{ID: api, Region: b.c.Region, Caller: b.c})
	return w
}

// get checks status and body of a plain GET.
func (b *bench) get(api, target string, status int, body string) {
	b.Helper()
	if w := b.send("GET", api, target, ""); w.Code != status || w.Body.String() != body {
		b.Errorf("GET %s = %d %s, want %d %s", target, w.Code, w.Body, status, body)
	}
}

const function = "arn:aws:lambda:us-east-1:111111111111:function:hello"

// api makes an API with an integration and an automatic default stage.
func (b *bench) api(change func(*apigatewayv2.CreateApiInput)) (api, integration *string) {
	b.Helper()
	in := &apigatewayv2.CreateApiInput{Name: new("test"), ProtocolType: new("HTTP")}
	if change != nil {
		change(in)
	}
	api = must[apigatewayv2.CreateApiOutput](b, "CreateApi", in).ApiId
	must[apigatewayv2.CreateStageOutput](b, "CreateStage", &apigatewayv2.CreateStageInput{ApiId: api, StageName: new("$default"), AutoDeploy: new(true)})
	i := must[apigatewayv2.CreateIntegrationOutput](b, "CreateIntegration", &apigatewayv2.CreateIntegrationInput{ApiId: api,
		IntegrationType: new("AWS_PROXY"), IntegrationUri: new(function), PayloadFormatVersion: new("2.0")})
	return api, i.IntegrationId
}

func (b *bench) route(api, integration *string, key string) *string {
	b.Helper()
	return must[apigatewayv2.CreateRouteOutput](b, "CreateRoute", &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: &key, Target: new("integrations/" + *integration)}).RouteId
}

func TestQuickCreate(t *testing.T) {
	b := newBench(t)
	api := must[apigatewayv2.CreateApiOutput](b, "CreateApi", &apigatewayv2.CreateApiInput{Name: new("quick"), ProtocolType: new("HTTP"), Target: new(function)})
	want := &apigatewayv2.CreateApiOutput{ApiId: api.ApiId, ApiEndpoint: new("https://" + *api.ApiId + ".execute-api.us-east-1.lambent.test"), Name: new("quick"), ProtocolType: new("HTTP"),
		ApiKeySelectionExpression: new("$request.header.x-api-key"), RouteSelectionExpression: new("$request.method $request.path"),
		CreatedDate: &b.c.Now, DisableExecuteApiEndpoint: new(false), IpAddressType: new("ipv4"), Tags: map[string]string{}}
	if !reflect.DeepEqual(api, want) {
		t.Errorf("CreateApi = %+v, want %+v", api, want)
	}
	b.get(*api.ApiId, "/anything", 200, "ok")
	if ev := b.fn.event(t); b.fn.arn != function || ev["version"] != "2.0" || ev["routeKey"] != "$default" || ev["rawPath"] != "/anything" {
		t.Errorf("function %s, event %v", b.fn.arn, ev)
	}
	if want := "arn:aws:execute-api:us-east-1:111111111111:" + *api.ApiId + "/$default/$default"; b.fn.source != want {
		t.Errorf("source %s, want %s", b.fn.source, want)
	}
}

func TestRouting(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	for _, key := range []string{"GET /users", "ANY /users/{id}", "GET /users/me", "GET /files/{path+}", "GET /"} {
		b.route(api, i, key)
	}
	b.get(*api, "/nowhere", 404, `{"message":"Not Found"}`)
	b.route(api, i, "$default")
	for _, tt := range []struct {
		method, path, key string
		params            any
	}{
		{"GET", "/", "GET /", nil},
		{"GET", "/users", "GET /users", nil},
		{"GET", "/users/me", "GET /users/me", nil},
		{"POST", "/users/me", "ANY /users/{id}", map[string]any{"id": "me"}},
		{"GET", "/users/a%20b", "ANY /users/{id}", map[string]any{"id": "a b"}},
		{"GET", "/files/a/b", "GET /files/{path+}", map[string]any{"path": "a/b"}},
		{"POST", "/users", "$default", nil},
	} {
		if w := b.send(tt.method, *api, tt.path, ""); w.Code != 200 {
			t.Errorf("%s %s = %d %s", tt.method, tt.path, w.Code, w.Body)
		}
		if ev := b.fn.event(t); ev["routeKey"] != tt.key || !reflect.DeepEqual(ev["pathParameters"], tt.params) {
			t.Errorf("%s %s = %v %v", tt.method, tt.path, ev["routeKey"], ev["pathParameters"])
		}
	}
}

func TestStages(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	route := b.route(api, i, "GET /x")
	must[apigatewayv2.CreateStageOutput](b, "CreateStage", &apigatewayv2.CreateStageInput{ApiId: api, StageName: new("dev"), StageVariables: map[string]string{"k": "v"}})
	b.get(*api, "/dev/x", 404, `{"message":"Not Found"}`) // nothing deployed
	d := must[apigatewayv2.CreateDeploymentOutput](b, "CreateDeployment", &apigatewayv2.CreateDeploymentInput{ApiId: api, StageName: new("dev")})
	b.get(*api, "/dev/x", 200, "ok")
	ev := b.fn.event(t)
	if ev["rawPath"] != "/dev/x" || !reflect.DeepEqual(ev["stageVariables"], map[string]any{"k": "v"}) || ev["requestContext"].(map[string]any)["stage"] != "dev" {
		t.Errorf("event = %v", ev)
	}
	// An automatic stage follows the API, the other keeps its deployment.
	must[apigatewayv2.UpdateRouteOutput](b, "UpdateRoute", &apigatewayv2.UpdateRouteInput{ApiId: api, RouteId: route, RouteKey: new("GET /y")})
	b.get(*api, "/x", 404, `{"message":"Not Found"}`)
	b.get(*api, "/y", 200, "ok")
	b.get(*api, "/dev/x", 200, "ok")
	list := must[apigatewayv2.GetDeploymentsOutput](b, "GetDeployments", &apigatewayv2.GetDeploymentsInput{ApiId: api})
	if len(list.Items) != 2 {
		t.Errorf("GetDeployments = %+v", list.Items)
	}
	refused[apigatewayv2.DeleteDeploymentOutput](b, "DeleteDeployment", &apigatewayv2.DeleteDeploymentInput{ApiId: api, DeploymentId: d.DeploymentId},
		"BadRequestException: Active stages pointing to this deployment must be moved or deleted")
	// An automatic deployment that its stage no longer shows goes.
	must[apigatewayv2.UpdateStageOutput](b, "UpdateStage", &apigatewayv2.UpdateStageInput{ApiId: api, StageName: new("$default"), AutoDeploy: new(false), DeploymentId: d.DeploymentId})
	b.get(*api, "/x", 200, "ok")
	if list := must[apigatewayv2.GetDeploymentsOutput](b, "GetDeployments", &apigatewayv2.GetDeploymentsInput{ApiId: api}); len(list.Items) != 1 {
		t.Errorf("GetDeployments = %+v", list.Items)
	}
	must[apigatewayv2.UpdateStageOutput](b, "UpdateStage", &apigatewayv2.UpdateStageInput{ApiId: api, StageName: new("$default"), AutoDeploy: new(true)})
	must[apigatewayv2.DeleteStageOutput](b, "DeleteStage", &apigatewayv2.DeleteStageInput{ApiId: api, StageName: new("dev")})
	must[apigatewayv2.DeleteDeploymentOutput](b, "DeleteDeployment", &apigatewayv2.DeleteDeploymentInput{ApiId: api, DeploymentId: d.DeploymentId})
	if got := must[apigatewayv2.UpdateRouteOutput](b, "UpdateRoute", &apigatewayv2.UpdateRouteInput{ApiId: api, RouteId: route, Target: new("")}); got.Target != nil {
		t.Errorf("a target taken away: %q", *got.Target)
	}
	must[apigatewayv2.DeleteApiOutput](b, "DeleteApi", &apigatewayv2.DeleteApiInput{ApiId: api})
	b.get(*api, "/y", 404, `{"message":"Not Found"}`)
}

func TestPathForm(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	b.route(api, i, "GET /x")
	w := httptest.NewRecorder()
	b.s.Serve(w, httptest.NewRequest("GET", "/$default/x", nil), service.Published{ID: *api, PathForm: true, Caller: b.c})
	ev := b.fn.event(t)
	if domain := ev["requestContext"].(map[string]any)["domainName"]; w.Code != 200 || ev["rawPath"] != "/x" || domain != *api+".execute-api.us-east-1.lambent.test" {
		t.Errorf("%d %s, event %v", w.Code, w.Body, ev)
	}
}

func TestAnswers(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	b.route(api, i, "$default")
	w := b.send("POST", *api, "/x", "\xff", "Content-Type", "image/png", "Cookie", "a=1")
	if ev := b.fn.event(t); ev["body"] != "/w==" || ev["isBase64Encoded"] != true || !reflect.DeepEqual(ev["cookies"], []any{"a=1"}) {
		t.Errorf("event = %v", ev)
	}
	if w.Header().Get("Content-Type") != "text/plain;charset=UTF-8" || w.Header().Get("Apigw-Requestid") == "" {
		t.Errorf("headers = %v", w.Header())
	}
	b.fn.result = `{"hello":"world"}`
	if w = b.send("GET", *api, "/", ""); w.Body.String() != b.fn.result || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("answer = %s %v", w.Body, w.Header())
	}
	b.fn.result = `{"statusCode":201,"cookies":["a=1","b=2"],"isBase64Encoded":true,"body":"/w=="}`
	if w = b.send("GET", *api, "/", ""); w.Code != 201 || w.Body.String() != "\xff" || !reflect.DeepEqual(w.Header()["Set-Cookie"], []string{"a=1", "b=2"}) {
		t.Errorf("answer = %d %q %v", w.Code, w.Body, w.Header())
	}
	const internal = `{"message":"Internal Server Error"}`
	b.fn.result = `{"statusCode":"x"}`
	b.get(*api, "/", 500, internal)
	b.fn.functionError = "Unhandled"
	b.get(*api, "/", 500, internal)
	b.fn.functionError, b.fn.err = "", cloud.Faultf("AccessDeniedException", "no permission")
	b.get(*api, "/", 500, internal)
	b.fn.err = nil
	if w := b.send("POST", *api, "/", strings.Repeat("x", 10<<20+1)); w.Code != 413 || w.Body.String() != `{"message":"Request Entity Too Large"}` {
		t.Errorf("POST = %d %s", w.Code, w.Body)
	}
	b.get("nosuchapi0", "/", 404, `{"message":"Not Found"}`)
	b.fn.takes = time.Minute
	synctest.Test(t, func(t *testing.T) {
		inner := *b
		inner.T = t
		inner.get(*api, "/", 503, `{"message":"Service Unavailable"}`)
	})
}

func TestPayloadV1(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	b.route(api, i, "GET /users/{id}")
	must[apigatewayv2.UpdateIntegrationOutput](b, "UpdateIntegration", &apigatewayv2.UpdateIntegrationInput{ApiId: api, IntegrationId: i, PayloadFormatVersion: new("1.0")})
	b.get(*api, "/users/7?a=1", 200, "ok")
	if ev := b.fn.event(t); ev["version"] != "1.0" || ev["resource"] != "/users/{id}" || ev["path"] != "/users/7" {
		t.Errorf("event = %v", ev)
	}
	b.fn.result = `{"hello":"world"}`
	b.get(*api, "/users/7", 500, `{"message":"Internal Server Error"}`)
}

func TestCORS(t *testing.T) {
	b := newBench(t)
	api, i := b.api(func(in *apigatewayv2.CreateApiInput) {
		in.CorsConfiguration = &apigatewayv2.Cors{AllowOrigins: []string{"https://a.example", "http://*"}, AllowMethods: []string{"GET", "POST"},
			AllowHeaders: []string{"content-type"}, ExposeHeaders: []string{"x-one"}, AllowCredentials: new(true), MaxAge: new(int32(600))}
	})
	b.route(api, i, "GET /x")
	preflight := b.send("OPTIONS", *api, "/x", "", "Origin", "https://a.example", "Access-Control-Request-Method", "GET")
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Methods": "GET,POST", "Access-Control-Allow-Headers": "content-type",
		"Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "x-one", "Vary": "Origin"} {
		if got := preflight.Header().Get(name); preflight.Code != 204 || got != want {
			t.Errorf("preflight: %d, %s = %q, want %q", preflight.Code, name, got, want)
		}
	}
	if w := b.send("OPTIONS", *api, "/x", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET"); w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight from elsewhere: %d %v", w.Code, w.Header())
	}
	b.fn.result = `{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"*"}}`
	for origin, want := range map[string]string{"http://any.example": "http://any.example", "https://evil.example": ""} {
		if w := b.send("GET", *api, "/x", "", "Origin", origin); w.Header().Get("Access-Control-Allow-Origin") != want {
			t.Errorf("GET from %s: %v", origin, w.Header())
		}
	}
	if w := b.send("GET", *api, "/gone", "", "Origin", "https://a.example"); w.Code != 404 || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("GET /gone: %d %v", w.Code, w.Header())
	}
	must[apigatewayv2.DeleteCorsConfigurationOutput](b, "DeleteCorsConfiguration", &apigatewayv2.DeleteCorsConfigurationInput{ApiId: api})
	if w := b.send("GET", *api, "/x", "", "Origin", "https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("GET without CORS: %v", http.Header(w.Header()))
	}
}

func TestThrottle(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	b.route(api, i, "GET /x")
	must[apigatewayv2.UpdateStageOutput](b, "UpdateStage", &apigatewayv2.UpdateStageInput{ApiId: api, StageName: new("$default"),
		DefaultRouteSettings: &apigatewayv2.RouteSettings{ThrottlingBurstLimit: new(int32(1)), ThrottlingRateLimit: new(1.0)}})
	b.get(*api, "/x", 200, "ok")
	b.get(*api, "/x", 429, `{"message":"Too Many Requests"}`)
	b.c.Now = b.c.Now.Add(time.Second)
	b.get(*api, "/x", 200, "ok")
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	api, i := b.api(nil)
	b.route(api, i, "GET /x")
	refused[apigatewayv2.CreateApiOutput](b, "CreateApi", &apigatewayv2.CreateApiInput{Name: new("ws"), ProtocolType: new("WEBSOCKET")}, "NotImplemented: A WebSocket API is not implemented.")
	refused[apigatewayv2.GetApiOutput](b, "GetApi", &apigatewayv2.GetApiInput{ApiId: new("none")}, "NotFoundException: Invalid API identifier specified 111111111111:none")
	refused[apigatewayv2.CreateRouteOutput](b, "CreateRoute", &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: new("GET x")},
		`BadRequestException: The provided route key is not formatted properly for HTTP protocol. Format should be "<HTTP METHOD> /<RESOURCE PATH>" or "$default"`)
	refused[apigatewayv2.CreateRouteOutput](b, "CreateRoute", &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: new("GET /x")}, "ConflictException: Route with key GET /x already exists for this API")
	refused[apigatewayv2.CreateRouteOutput](b, "CreateRoute", &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: new("GET /y"), AuthorizationType: new("JWT")},
		"NotImplemented: Authorization of a route (authorizationType JWT) is not implemented.")
	refused[apigatewayv2.CreateRouteOutput](b, "CreateRoute", &apigatewayv2.CreateRouteInput{ApiId: api, RouteKey: new("GET /y"), Target: new("integrations/none")}, "NotFoundException: Invalid Integration identifier specified")
	refused[apigatewayv2.CreateIntegrationOutput](b, "CreateIntegration", &apigatewayv2.CreateIntegrationInput{ApiId: api, IntegrationType: new("HTTP_PROXY"), IntegrationUri: new("http://x")},
		"NotImplemented: An integration of type HTTP_PROXY is not implemented.")
	refused[apigatewayv2.DeleteIntegrationOutput](b, "DeleteIntegration", &apigatewayv2.DeleteIntegrationInput{ApiId: api, IntegrationId: i},
		"ConflictException: Cannot delete Integration '"+*i+"'. Integration is referenced by Route 'GET /x'.")
	refused[apigatewayv2.CreateStageOutput](b, "CreateStage", &apigatewayv2.CreateStageInput{ApiId: api, StageName: new("$default")}, "ConflictException: Stage already exists")
	refused[apigatewayv2.UpdateStageOutput](b, "UpdateStage", &apigatewayv2.UpdateStageInput{ApiId: api, StageName: new("$default"), AccessLogSettings: &apigatewayv2.AccessLogSettings{DestinationArn: new("arn")}},
		"NotImplemented: A stage's access log (accessLogSettings) is not implemented.")
	empty := must[apigatewayv2.CreateApiOutput](b, "CreateApi", &apigatewayv2.CreateApiInput{Name: new("empty"), ProtocolType: new("HTTP")})
	refused[apigatewayv2.CreateDeploymentOutput](b, "CreateDeployment", &apigatewayv2.CreateDeploymentInput{ApiId: empty.ApiId}, "BadRequestException: Unable to deploy API because no routes exist in this API")
}

func TestTags(t *testing.T) {
	b := newBench(t)
	api, _ := b.api(func(in *apigatewayv2.CreateApiInput) { in.Tags = map[string]string{"a": "1"} })
	arn := "arn:aws:apigateway:us-east-1::/apis/" + *api
	must[apigatewayv2.TagResourceOutput](b, "TagResource", &apigatewayv2.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"b": "2"}})
	must[apigatewayv2.UntagResourceOutput](b, "UntagResource", &apigatewayv2.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a"}})
	if got := must[apigatewayv2.GetTagsOutput](b, "GetTags", &apigatewayv2.GetTagsInput{ResourceArn: &arn}).Tags; !reflect.DeepEqual(got, map[string]string{"b": "2"}) {
		t.Errorf("tags = %v", got)
	}
}
