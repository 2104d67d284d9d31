package apigateway_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lambent/cloud"
	"lambent/service/apigateway"
)

func TestRouting(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	users := b.resource(api, root, "users")
	user := b.resource(api, users, "{id}")
	me := b.resource(api, users, "me")
	greedy := b.resource(api, root, "{proxy+}")
	b.proxy(api, root, "GET")
	b.proxy(api, users, "GET")
	b.proxy(api, user, "ANY")
	b.proxy(api, me, "GET")
	b.proxy(api, greedy, "ANY")
	b.deploy(api, "dev")
	for _, tt := range []struct {
		method, target       string
		resource, path, full string
		params               any
	}{
		{"GET", "/dev", "/", "/", "/dev", nil},
		{"GET", "/dev/", "/", "/", "/dev/", nil},
		{"GET", "/dev/users", "/users", "/users", "/dev/users", nil},
		{"GET", "/dev/users/", "/users", "/users/", "/dev/users/", nil},
		{"GET", "/dev/users/me", "/users/me", "/users/me", "/dev/users/me", nil},
		{"POST", "/dev/users/me", "/users/{id}", "/users/me", "/dev/users/me", map[string]any{"id": "me"}},
		{"GET", "/dev/users/a%2Fb", "/users/{id}", "/users/a%2Fb", "/dev/users/a%2Fb", map[string]any{"id": "a%2Fb"}},
		{"POST", "/dev/users", "/{proxy+}", "/users", "/dev/users", map[string]any{"proxy": "users"}},
		{"GET", "/dev/a//b/", "/{proxy+}", "/a//b/", "/dev/a//b/", map[string]any{"proxy": "a//b"}},
		{"GET", "/dev//users", "/users", "/users", "/dev//users", nil},
		{"GET", "//dev/users", "/users", "/users", "/dev/users", nil},
	} {
		b.fn.payload = nil
		r, body := b.send(tt.method, *api, "http://x"+tt.target, "")
		if r.StatusCode != 200 {
			t.Errorf("%s %s = %d %s", tt.method, tt.target, r.StatusCode, body)
			continue
		}
		ev := b.fn.event(t)
		ctx := ev["requestContext"].(map[string]any)
		got := []any{ev["resource"], ev["path"], ctx["path"], ev["pathParameters"]}
		if want := []any{tt.resource, tt.path, tt.full, tt.params}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s: got %v, want %v", tt.method, tt.target, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "GET")
	b.deploy(api, "dev")
	b.get(*api, "/dev/gone", 403, `{"message":"Missing Authentication Token"}`)
	b.get(*api, "/gone/", 403, `{"message":"Forbidden"}`)
	b.get(*api, "/", 403, `{"message":"Forbidden"}`)
	b.get("nosuchapi0", "/dev", 403, `{"message":"Forbidden"}`)
	if r, body := b.send("POST", *api, "/dev", ""); r.StatusCode != 403 || body != `{"message":"Missing Authentication Token"}` || errorType(r) != "MissingAuthenticationTokenException" {
		t.Errorf("POST = %d %s %v", r.StatusCode, body, r.Header)
	}
	b.fn.result = `{"statusCode":"bad"}`
	b.get(*api, "/dev", 502, `{"message": "Internal server error"}`)
	b.fn.result, b.fn.functionError = `{"errorMessage":"boom"}`, "Unhandled"
	b.get(*api, "/dev", 502, `{"message": "Internal server error"}`)
	b.fn.functionError, b.fn.err = "", cloud.Faultf("AccessDeniedException", "no permission")
	b.get(*api, "/dev", 500, `{"message": "Internal server error"}`)
	b.fn.err = errors.New("disk")
	b.get(*api, "/dev", 500, `{"message": "Internal server error"}`)
	b.fn.err = nil
	b.get(*api, "/dev", 502, `{"message": "Internal server error"}`)
}

func TestRequestLimit(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "ANY")
	b.deploy(api, "dev")
	if r, body := b.send("POST", *api, "/dev", strings.Repeat("x", 10<<20+1)); r.StatusCode != 413 {
		t.Errorf("POST = %d %s", r.StatusCode, body)
	}
	if r, body := b.send("POST", *api, "/dev", strings.Repeat("x", 10<<20)); r.StatusCode != 200 {
		t.Errorf("POST = %d %s", r.StatusCode, body)
	}
}

func TestTimeout(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "GET")
	b.deploy(api, "dev")
	b.get(*api, "/dev", 200, "ok") // compiled before time is the bubble's
	b.fn.takes = time.Minute
	synctest.Test(t, func(t *testing.T) {
		inner := *b
		inner.T = t
		inner.get(*api, "/dev", 504, `{"message": "Endpoint request timed out"}`)
	})
}

func TestProxyCall(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	id := b.resource(api, root, "{id}")
	b.proxy(api, id, "POST")
	b.deploy(api, "dev")
	b.fn.result = `{"statusCode":201,"headers":{"X-One":"1","Connection":"close"},"multiValueHeaders":{"Set-Cookie":["a=1","b=2"]},"body":"made"}`
	r, body := b.send("POST", *api, "/dev/7?a=1&a=2", `{"x":1}`, "Content-Type", "application/json", "X-Amzn-Trace-Id", "Root=1-2-3")
	if r.StatusCode != 201 || body != "made" {
		t.Errorf("answer = %d %s", r.StatusCode, body)
	}
	if !reflect.DeepEqual(r.Header["Set-Cookie"], []string{"a=1", "b=2"}) || r.Header.Get("X-One") != "1" || r.Header.Get("Content-Type") != "application/json" ||
		r.Header.Get("X-Amzn-Trace-Id") != "Root=1-2-3" || r.Header.Get("X-Amzn-Requestid") != "request-1" || r.Header.Get("X-Amz-Apigw-Id") == "" || r.Header.Get("Connection") != "" {
		t.Errorf("headers = %v", r.Header)
	}
	if want := "arn:aws:lambda:us-east-1:111111111111:function:hello"; b.fn.arn != want {
		t.Errorf("function %s, want %s", b.fn.arn, want)
	}
	if want := "arn:aws:execute-api:us-east-1:111111111111:" + *api + "/dev/POST/*"; b.fn.source != want {
		t.Errorf("source %s, want %s", b.fn.source, want)
	}
	if b.fn.caller.Via != "apigateway.amazonaws.com" || b.fn.caller.Account != "111111111111" {
		t.Errorf("caller %+v", b.fn.caller)
	}
	if ev := b.fn.event(t); ev["body"] != `{"x":1}` || ev["isBase64Encoded"] != false {
		t.Errorf("event %v", ev)
	}
}

func TestBinary(t *testing.T) {
	b := newBench(t)
	api := must[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("bin"), BinaryMediaTypes: []string{"image/*"}})
	b.proxy(api.Id, api.RootResourceId, "ANY")
	b.deploy(api.Id, "dev")
	b.fn.result = `{"isBase64Encoded":true,"body":"/wA="}`
	if _, body := b.send("POST", *api.Id, "/dev", "\xff\x00", "Content-Type", "image/png", "Accept", "image/png, */*"); body != "\xff\x00" {
		t.Errorf("body = %q", body)
	}
	if ev := b.fn.event(t); ev["body"] != "/wA=" || ev["isBase64Encoded"] != true {
		t.Errorf("event = %v", ev)
	}
	if _, body := b.send("GET", *api.Id, "/dev", ""); body != "/wA=" {
		t.Errorf("body = %q", body)
	}
}

// What a deployment holds stays as it was until a stage names another.
func TestDeploymentIsSnapshot(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "GET")
	first := b.deploy(api, "dev")
	b.proxy(api, b.resource(api, root, "new"), "GET")
	b.get(*api, "/dev/new", 403, `{"message":"Missing Authentication Token"}`)
	b.deploy(api, "dev")
	b.get(*api, "/dev/new", 200, "ok")
	must[apigateway.Stage](b, "UpdateStage", &apigateway.UpdateStageInput{RestApiId: api, StageName: new("dev"),
		PatchOperations: []apigateway.PatchOperation{{Op: new("replace"), Path: new("/deploymentId"), Value: first}}})
	b.get(*api, "/dev/new", 403, `{"message":"Missing Authentication Token"}`)
	must[apigateway.DeleteRestApiOutput](b, "DeleteRestApi", &apigateway.DeleteRestApiInput{RestApiId: api})
	b.get(*api, "/dev", 403, `{"message":"Forbidden"}`)
}

func TestStageVariables(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.method(api, root, "GET")
	uri := strings.Replace(functionURI, "hello", "hello:${stageVariables.alias}", 1)
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET"),
		Type: new("AWS_PROXY"), IntegrationHttpMethod: new("POST"), Uri: &uri})
	must[apigateway.Deployment](b, "CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api, StageName: new("dev"), Variables: map[string]string{"alias": "live"}})
	b.get(*api, "/dev", 200, "ok")
	if !strings.HasSuffix(b.fn.arn, ":function:hello:live") {
		t.Errorf("function = %s", b.fn.arn)
	}
	if ev := b.fn.event(t); !reflect.DeepEqual(ev["stageVariables"], map[string]any{"alias": "live"}) {
		t.Errorf("stageVariables = %v", ev["stageVariables"])
	}
}

// The preflight method that Serverless Framework generates for cors: true with origins.
func TestServerlessCORS(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.method(api, root, "OPTIONS")
	declared := map[string]bool{"method.response.header.Access-Control-Allow-Origin": true, "method.response.header.Access-Control-Allow-Methods": true}
	must[apigateway.MethodResponse](b, "PutMethodResponse", &apigateway.PutMethodResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("OPTIONS"), StatusCode: new("200"), ResponseParameters: declared})
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("OPTIONS"), Type: new("MOCK"),
		ContentHandling: new("CONVERT_TO_TEXT"), RequestTemplates: map[string]string{"application/json": "{statusCode:200}"}})
	must[apigateway.IntegrationResponse](b, "PutIntegrationResponse", &apigateway.PutIntegrationResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("OPTIONS"), StatusCode: new("200"),
		ResponseParameters: map[string]string{"method.response.header.Access-Control-Allow-Origin": "'https://one.example'", "method.response.header.Access-Control-Allow-Methods": "'OPTIONS,GET'"},
		ResponseTemplates: map[string]string{"application/json": "#set($origin = $input.params(\"Origin\"))\n#if($origin == \"\") #set($origin = $input.params(\"origin\")) #end\n" +
			"#if($origin.matches(\"https://.*\")) #set($context.responseOverride.header.Access-Control-Allow-Origin = $origin) #end"}})
	b.deploy(api, "dev")
	for origin, want := range map[string]string{"https://two.example": "https://two.example", "http://evil.example": "https://one.example"} {
		r, body := b.send("OPTIONS", *api, "/dev", "", "Origin", origin)
		got := http.Header{}
		for k, v := range r.Header {
			got[http.CanonicalHeaderKey(k)] = v
		}
		if r.StatusCode != 200 || strings.TrimSpace(body) != "" || got.Get("Access-Control-Allow-Origin") != want || got.Get("Access-Control-Allow-Methods") != "OPTIONS,GET" {
			t.Errorf("Origin %s: %d %q %v", origin, r.StatusCode, body, r.Header)
		}
	}
}

func TestMock(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.method(api, root, "ANY")
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"), Type: new("MOCK"),
		PassthroughBehavior: new("NEVER"),
		RequestTemplates:    map[string]string{"application/json": `#if($input.params('fail') == 'yes'){"statusCode": 500}#else{"statusCode": 200}#set($context.responseOverride.header.X-Early = "1")#end`}})
	for status, r := range map[string]apigateway.IntegrationResponse{
		"200": {ResponseTemplates: map[string]string{"application/json": `{"echo":"$input.params('echo')","body":$input.json('$'),"stage":"$context.stage","none":"$context.authorizer.principalId"}`}},
		"500": {SelectionPattern: new("5\\d{2}"), ResponseTemplates: map[string]string{"application/json": `#set($context.responseOverride.status = 444){"failed":true}`}},
	} {
		must[apigateway.IntegrationResponse](b, "PutIntegrationResponse", &apigateway.PutIntegrationResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"),
			StatusCode: &status, SelectionPattern: r.SelectionPattern, ResponseTemplates: r.ResponseTemplates})
	}
	b.deploy(api, "dev")
	r, body := b.send("GET", *api, "/dev?echo=foobar", "")
	if r.StatusCode != 200 || body != `{"echo":"foobar","body":{},"stage":"dev","none":""}` || r.Header["X-Early"] == nil || r.Header.Get("X-Amzn-Trace-Id") != "" {
		t.Errorf("GET = %d %s %v", r.StatusCode, body, r.Header)
	}
	b.get(*api, "/dev?fail=yes", 444, `{"failed":true}`)
	if r, body := b.send("POST", *api, "/dev", "x", "Content-Type", "text/plain"); r.StatusCode != 415 || body != `{"message":"Unsupported Media Type"}` {
		t.Errorf("POST text = %d %s", r.StatusCode, body)
	}
}

func TestLambdaCustom(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.method(api, root, "POST")
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("POST"), Type: new("AWS"),
		IntegrationHttpMethod: new("POST"), Uri: new(functionURI),
		RequestTemplates: map[string]string{"application/json": `{"name": "$util.escapeJavaScript($input.path('$.name'))", "tags": $input.json('$.tags'), "q": "$input.params().querystring.get('q')"}`}})
	for status, pattern := range map[string]string{"200": "", "400": `.*\[400\].*`} {
		must[apigateway.IntegrationResponse](b, "PutIntegrationResponse", &apigateway.PutIntegrationResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("POST"),
			StatusCode: &status, SelectionPattern: &pattern})
	}
	b.deploy(api, "dev")
	b.fn.result = `"Pass"`
	if r, body := b.send("POST", *api, "/dev?q=1", `{"name":"a\"b","tags":["x", 1]}`); r.StatusCode != 200 || body != `"Pass"` {
		t.Errorf("POST = %d %s", r.StatusCode, body)
	}
	if want := `{"name": "a\"b", "tags": ["x",1], "q": "1"}`; string(b.fn.payload) != want {
		t.Errorf("payload %s, want %s", b.fn.payload, want)
	}
	b.fn.result, b.fn.functionError = `{"errorMessage":"[400] no","errorType":"Error"}`, "Unhandled"
	if r, body := b.send("POST", *api, "/dev", `{"name":"a"}`); r.StatusCode != 400 || body != b.fn.result {
		t.Errorf("POST = %d %s", r.StatusCode, body)
	}
}

func TestValidation(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	must[apigateway.Model](b, "CreateModel", &apigateway.CreateModelInput{RestApiId: api, Name: new("pair"), ContentType: new("application/json"),
		Schema: new(`{"type":"object","required":["a","b"],"properties":{"a":{"type":"number"},"b":{"type":"number"}}}`)})
	must[apigateway.Model](b, "CreateModel", &apigateway.CreateModelInput{RestApiId: api, Name: new("pairs"), ContentType: new("application/json"),
		Schema: new(`{"type":"array","items":{"$ref":"https://apigateway.amazonaws.com/restapis/` + *api + `/models/pair"}}`)})
	v := must[apigateway.RequestValidator](b, "CreateRequestValidator", &apigateway.CreateRequestValidatorInput{RestApiId: api, Name: new("all"), ValidateRequestBody: new(true), ValidateRequestParameters: new(true)})
	must[apigateway.Method](b, "PutMethod", &apigateway.PutMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("POST"), AuthorizationType: new("NONE"),
		RequestValidatorId: v.Id, RequestModels: map[string]string{"application/json": "pairs"},
		RequestParameters: map[string]bool{"method.request.header.x-header-param": true, "method.request.path.issuer": true, "method.request.querystring.qs1": true, "method.request.querystring.free": false}})
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("POST"), Type: new("AWS_PROXY"), IntegrationHttpMethod: new("POST"), Uri: new(functionURI)})
	b.deploy(api, "dev")
	if r, body := b.send("POST", *api, "/dev", `[]`); r.StatusCode != 400 || body != `{"message": "Missing required request parameters: [x-header-param, issuer, qs1]"}` {
		t.Errorf("POST = %d %s", r.StatusCode, body)
	}
	must[apigateway.Method](b, "UpdateMethod", &apigateway.UpdateMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("POST"),
		PatchOperations: []apigateway.PatchOperation{{Op: new("remove"), Path: new("/requestParameters/method.request.path.issuer")}}})
	b.deploy(api, "dev")
	for body, want := range map[string]int{`[{"a":1,"b":2}]`: 200, `[{"a":1}]`: 400, `{`: 400, ``: 400} {
		if r, got := b.send("POST", *api, "/dev?qs1=1", body, "X-Header-Param", "1"); r.StatusCode != want {
			t.Errorf("POST %s = %d %s, want %d", body, r.StatusCode, got, want)
		}
	}
}

func TestGatewayResponses(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "GET")
	must[apigateway.GatewayResponse](b, "PutGatewayResponse", &apigateway.PutGatewayResponseInput{RestApiId: api, ResponseType: new("DEFAULT_4XX"), StatusCode: new("404"),
		ResponseParameters: map[string]string{"gatewayresponse.header.Access-Control-Allow-Origin": "'*'", "gatewayresponse.header.X-Accept": "method.request.header.Accept"},
		ResponseTemplates:  map[string]string{"application/json": `{"m":$context.error.messageString,"t":"$context.error.responseType","r":"$context.requestId"}`}})
	b.deploy(api, "dev")
	r, body := b.send("GET", *api, "/dev/gone", "", "Accept", "text/html")
	if r.StatusCode != 404 || body != `{"m":"Missing Authentication Token","t":"MISSING_AUTHENTICATION_TOKEN","r":"request-1"}` ||
		r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("X-Accept") != "text/html" {
		t.Errorf("GET = %d %s %v", r.StatusCode, body, r.Header)
	}
}

func TestThrottle(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.proxy(api, root, "GET")
	b.deploy(api, "dev")
	must[apigateway.Stage](b, "UpdateStage", &apigateway.UpdateStageInput{RestApiId: api, StageName: new("dev"), PatchOperations: []apigateway.PatchOperation{
		{Op: new("replace"), Path: new("/*/*/throttling/burstLimit"), Value: new("2")}, {Op: new("replace"), Path: new("/*/*/throttling/rateLimit"), Value: new("1")}}})
	b.get(*api, "/dev", 200, "ok")
	b.get(*api, "/dev", 200, "ok")
	b.get(*api, "/dev", 429, `{"message":"Too Many Requests"}`)
	b.c.Now = b.c.Now.Add(1e9)
	b.get(*api, "/dev", 200, "ok")
	b.get(*api, "/dev", 429, `{"message":"Too Many Requests"}`)
}

// errorType reads a header that is sent as AWS spells it.
func errorType(r *http.Response) string {
	for name, values := range r.Header {
		if strings.EqualFold(name, "X-Amzn-Errortype") {
			return values[0]
		}
	}
	return ""
}
