package apigateway_test

import (
	"reflect"
	"testing"

	"lambent/service/apigateway"
)

// The wording of refusals is that of the replies recorded on AWS (apigateway/test_apigateway_api.json and its neighbours).

func TestRestApi(t *testing.T) {
	b := newBench(t)
	api := must[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("one"), Description: new("my api")})
	if len(*api.Id) != 10 || len(*api.RootResourceId) != 10 {
		t.Errorf("ids %s, %s", *api.Id, *api.RootResourceId)
	}
	want := &apigateway.RestApi{Id: api.Id, RootResourceId: api.RootResourceId, Name: new("one"), Description: new("my api"), CreatedDate: &b.c.Now,
		ApiKeySource: new("HEADER"), DisableExecuteApiEndpoint: new(false),
		EndpointConfiguration: &apigateway.EndpointConfiguration{Types: []string{"EDGE"}, IpAddressType: new("ipv4")}}
	if !reflect.DeepEqual(api, want) {
		t.Errorf("CreateRestApi = %+v, want %+v", api, want)
	}
	refused[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("x"), Description: new("")}, "BadRequestException: Description cannot be an empty string")
	refused[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("x"), EndpointConfiguration: &apigateway.EndpointConfiguration{Types: []string{}}},
		"BadRequestException: REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.")
	refused[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("x"), EndpointConfiguration: &apigateway.EndpointConfiguration{Types: []string{"EDGE", "REGIONAL"}}},
		"BadRequestException: Cannot create an api with multiple Endpoint Types.")
	refused[apigateway.RestApi](b, "GetRestApi", &apigateway.GetRestApiInput{RestApiId: new("none")}, "NotFoundException: Invalid API identifier specified 111111111111:none")

	patch := func(op, path string, value *string) *apigateway.UpdateRestApiInput {
		return &apigateway.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: []apigateway.PatchOperation{{Op: &op, Path: &path, Value: value}}}
	}
	got := must[apigateway.RestApi](b, "UpdateRestApi", patch("add", "/binaryMediaTypes/image~1png", nil))
	if !reflect.DeepEqual(got.BinaryMediaTypes, []string{"image/png"}) || got.Tags == nil {
		t.Errorf("UpdateRestApi = %+v", got)
	}
	for _, op := range []string{"add", "remove", "replace"} {
		refused[apigateway.RestApi](b, "UpdateRestApi", patch(op, "/binaryMediaTypes", new("x")), "BadRequestException: Invalid patch path /binaryMediaTypes")
	}
	refused[apigateway.RestApi](b, "UpdateRestApi", patch("replace", "/policy", new("{}")), "NotImplemented: A REST API's resource policy is not implemented.")
	got = must[apigateway.RestApi](b, "UpdateRestApi", patch("replace", "/endpointConfiguration/types/EDGE", new("REGIONAL")))
	if !reflect.DeepEqual(got.EndpointConfiguration.Types, []string{"REGIONAL"}) {
		t.Errorf("types = %v", got.EndpointConfiguration.Types)
	}

	// A description replaced by nothing is gone, as AWS's console and CloudFormation take it away.
	if got = must[apigateway.RestApi](b, "UpdateRestApi", patch("replace", "/description", new(""))); got.Description != nil {
		t.Errorf("description = %q", *got.Description)
	}

	for range 2 {
		must[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("more")})
	}
	first := must[apigateway.RestApis](b, "GetRestApis", &apigateway.GetRestApisInput{Limit: new(int32(2))})
	if len(first.Items) != 2 || first.Position == nil {
		t.Fatalf("GetRestApis = %+v", first)
	}
	rest := must[apigateway.RestApis](b, "GetRestApis", &apigateway.GetRestApisInput{Limit: new(int32(2)), Position: first.Position})
	if len(rest.Items) != 1 || rest.Position != nil {
		t.Errorf("GetRestApis = %+v", rest)
	}
}

func TestResources(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	const unknown = "NotFoundException: Invalid Resource identifier specified"
	refused[apigateway.Resource](b, "CreateResource", &apigateway.CreateResourceInput{RestApiId: api, ParentId: new("none"), PathPart: new("x")}, unknown)
	a := b.resource(api, root, "a")
	refused[apigateway.Resource](b, "CreateResource", &apigateway.CreateResourceInput{RestApiId: api, ParentId: root, PathPart: new("a")},
		"ConflictException: Another resource with the same parent already has this name: a")
	v := b.resource(api, a, "{id}")
	refused[apigateway.Resource](b, "CreateResource", &apigateway.CreateResourceInput{RestApiId: api, ParentId: a, PathPart: new("{other}")},
		"BadRequestException: A sibling ({id}) of this resource already has a variable path part -- only one is allowed")
	b.proxy(api, v, "GET")
	list := must[apigateway.Resources](b, "GetResources", &apigateway.GetResourcesInput{RestApiId: api})
	if len(list.Items) != 3 {
		t.Errorf("GetResources = %+v", list)
	}
	for _, r := range list.Items {
		if *r.Id == *v && (*r.Path != "/a/{id}" || !reflect.DeepEqual(r.ResourceMethods, map[string]apigateway.Method{"GET": {}})) {
			t.Errorf("resource = %+v", r)
		}
	}
	moved := must[apigateway.Resource](b, "UpdateResource", &apigateway.UpdateResourceInput{RestApiId: api, ResourceId: a,
		PatchOperations: []apigateway.PatchOperation{{Op: new("replace"), Path: new("/pathPart"), Value: new("b")}}})
	child := must[apigateway.Resource](b, "GetResource", &apigateway.GetResourceInput{RestApiId: api, ResourceId: v, Embed: []string{"methods"}})
	if *moved.Path != "/b" || *child.Path != "/b/{id}" || *child.ResourceMethods["GET"].MethodIntegration.Type != "AWS_PROXY" {
		t.Errorf("moved %+v, child %+v", moved, child)
	}
	for path, want := range map[string]string{"/pathPart": "Root resource cannot update its pathPart.", "/parentId": "Root resource cannot update its parentId."} {
		refused[apigateway.Resource](b, "UpdateResource", &apigateway.UpdateResourceInput{RestApiId: api, ResourceId: root,
			PatchOperations: []apigateway.PatchOperation{{Op: new("replace"), Path: &path, Value: a}}}, "BadRequestException: "+want)
	}
	must[apigateway.DeleteResourceOutput](b, "DeleteResource", &apigateway.DeleteResourceInput{RestApiId: api, ResourceId: a})
	refused[apigateway.DeleteResourceOutput](b, "DeleteResource", &apigateway.DeleteResourceInput{RestApiId: api, ResourceId: v}, unknown)
}

func TestMethods(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	put := func(change func(*apigateway.PutMethodInput)) *apigateway.PutMethodInput {
		in := &apigateway.PutMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"), AuthorizationType: new("NONE")}
		change(in)
		return in
	}
	for want, in := range map[string]*apigateway.PutMethodInput{
		"NotFoundException: Invalid Resource identifier specified":                                                        put(func(in *apigateway.PutMethodInput) { in.ResourceId = new("none") }),
		"BadRequestException: Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY": put(func(in *apigateway.PutMethodInput) { in.HttpMethod = new("WRONG") }),
		"BadRequestException: Invalid model identifier specified: petModel": put(func(in *apigateway.PutMethodInput) {
			in.RequestModels = map[string]string{"application/json": "petModel"}
		}),
		"BadRequestException: Invalid Request Validator identifier specified": put(func(in *apigateway.PutMethodInput) { in.RequestValidatorId = new("none") }),
		"BadRequestException: Parameter names must be unique across querystring, header and path": put(func(in *apigateway.PutMethodInput) {
			in.RequestParameters = map[string]bool{"method.request.header.p": true, "method.request.querystring.p": true}
		}),
		"NotImplemented: Authorization of a method by IAM (authorizationType AWS_IAM) is not implemented.":                                                  put(func(in *apigateway.PutMethodInput) { in.AuthorizationType = new("AWS_IAM") }),
		"NotImplemented: A method that requires an API key (apiKeyRequired) is not implemented.":                                                            put(func(in *apigateway.PutMethodInput) { in.ApiKeyRequired = new(true) }),
		"BadRequestException: Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.": put(func(in *apigateway.PutMethodInput) { in.AuthorizationType = new("CUSTOM") }),
	} {
		refused[apigateway.Method](b, "PutMethod", in, want)
	}
	m := must[apigateway.Method](b, "PutMethod", put(func(*apigateway.PutMethodInput) {}))
	if want := (&apigateway.Method{HttpMethod: new("ANY"), AuthorizationType: new("NONE"), ApiKeyRequired: new(false)}); !reflect.DeepEqual(m, want) {
		t.Errorf("PutMethod = %+v", m)
	}
	refused[apigateway.Integration](b, "GetIntegration", &apigateway.GetIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY")}, "NotFoundException: Invalid Integration identifier specified")
	refused[apigateway.Integration](b, "GetIntegration", &apigateway.GetIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET")}, "NotFoundException: Invalid Method identifier specified")
	must[apigateway.MethodResponse](b, "PutMethodResponse", &apigateway.PutMethodResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"), StatusCode: new("200")})
	patch := func(status, op, path string) *apigateway.UpdateMethodResponseInput {
		return &apigateway.UpdateMethodResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"), StatusCode: &status,
			PatchOperations: []apigateway.PatchOperation{{Op: &op, Path: &path, Value: new("true")}}}
	}
	refused[apigateway.MethodResponse](b, "UpdateMethodResponse", patch("400", "add", "/responseParameters/method.response.header.x"), "NotFoundException: Invalid Response status code specified")
	refused[apigateway.MethodResponse](b, "UpdateMethodResponse", patch("200", "replace", "/responseParameters/method.response.header.x"), "NotFoundException: Invalid parameter name specified")
	refused[apigateway.MethodResponse](b, "UpdateMethodResponse", patch("200", "remove", "/responseModels/application~1json"), "NotFoundException: Content-Type specified was not found")
	refused[apigateway.MethodResponse](b, "UpdateMethodResponse", patch("200", "add", "/wrong/method.response.header.my-header"), "BadRequestException: Invalid patch path /wrong/method.response.header.my-header")
	r := must[apigateway.MethodResponse](b, "UpdateMethodResponse", patch("200", "add", "/responseParameters/method.response.header.x"))
	if !reflect.DeepEqual(r.ResponseParameters, map[string]bool{"method.response.header.x": true}) {
		t.Errorf("UpdateMethodResponse = %+v", r)
	}
	must[apigateway.DeleteMethodOutput](b, "DeleteMethod", &apigateway.DeleteMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY")})
	refused[apigateway.DeleteMethodOutput](b, "DeleteMethod", &apigateway.DeleteMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY")}, "NotFoundException: Invalid Method identifier specified")
}

func TestIntegrations(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	b.method(api, root, "GET")
	put := func(kind, verb, uri string) *apigateway.PutIntegrationInput {
		in := &apigateway.PutIntegrationInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET"), Type: &kind}
		if verb != "" {
			in.IntegrationHttpMethod = &verb
		}
		if uri != "" {
			in.Uri = &uri
		}
		return in
	}
	for _, tt := range []struct {
		in   *apigateway.PutIntegrationInput
		want string
	}{
		{put("HTTP", "", "http://example.com"), "BadRequestException: Enumeration value for HttpMethod must be non-empty"},
		{put("AWS", "", functionURI), "BadRequestException: Enumeration value for HttpMethod must be non-empty"},
		{put("HTTP", "POST", "non-valid-http"), "BadRequestException: Invalid HTTP endpoint specified for URI"},
		{put("HTTP_PROXY", "POST", "http://example.com"), "NotImplemented: An integration of type HTTP_PROXY is not implemented."},
		{put("AWS", "POST", "http://example.com"), "BadRequestException: Invalid ARN specified in the request"},
		{put("AWS", "POST", "arn:aws:iam::0000000000:role/service-role/asdf"), "BadRequestException: AWS ARN for integration must contain path or action"},
		{put("AWS_PROXY", "POST", "arn:aws:lambda:us-east-1:111111111111:function:f"), "BadRequestException: AWS ARN for integration must contain path or action"},
		{put("AWS_PROXY", "POST", "arn:aws:apigateway:us-east-1:s3:path/b/k"), "BadRequestException: Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations."},
		{put("AWS", "POST", "arn:aws:apigateway:us-east-1:sqs:path/111111111111/q"), "NotImplemented: An integration with sqs is not implemented."},
	} {
		refused[apigateway.Integration](b, "PutIntegration", tt.in, tt.want)
	}
	got := must[apigateway.Integration](b, "PutIntegration", put("MOCK", "", ""))
	want := &apigateway.Integration{Type: new("MOCK"), PassthroughBehavior: new("WHEN_NO_MATCH"), TimeoutInMillis: new(int32(29000)), CacheNamespace: root, CacheKeyParameters: []string{}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("PutIntegration = %+v, want %+v", got, want)
	}
	in := &apigateway.PutIntegrationResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET"), StatusCode: new("200"), ResponseTemplates: map[string]string{"123": ""}}
	refused[apigateway.IntegrationResponse](b, "PutIntegrationResponse", in, "BadRequestException: Validation Result: warnings : [], errors : [Invalid content type specified: 123]")
	in.ResponseTemplates, in.ResponseParameters = nil, map[string]string{"method.response.header.x": "'1'"}
	refused[apigateway.IntegrationResponse](b, "PutIntegrationResponse", in,
		"BadRequestException: Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: method.response.header.x]")
	refused[apigateway.IntegrationResponse](b, "GetIntegrationResponse", &apigateway.GetIntegrationResponseInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET"), StatusCode: new("200")},
		"NotFoundException: Invalid Response status code specified")
}

func TestDeploymentsAndStages(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	refused[apigateway.Deployment](b, "CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api}, "BadRequestException: The REST API doesn't contain any methods")
	b.method(api, root, "GET")
	refused[apigateway.Deployment](b, "CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api}, "BadRequestException: No integration defined for method")
	must[apigateway.DeleteMethodOutput](b, "DeleteMethod", &apigateway.DeleteMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("GET")})
	b.proxy(api, root, "GET")
	d := must[apigateway.Deployment](b, "CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api})
	refused[apigateway.Stage](b, "CreateStage", &apigateway.CreateStageInput{RestApiId: api, StageName: new("s1"), DeploymentId: new("none")}, "NotFoundException: Invalid Deployment identifier specified")
	stage := must[apigateway.Stage](b, "CreateStage", &apigateway.CreateStageInput{RestApiId: api, StageName: new("s1"), DeploymentId: d.Id, Description: new("my stage")})
	want := &apigateway.Stage{StageName: new("s1"), DeploymentId: d.Id, Description: new("my stage"), CacheClusterEnabled: new(false), CacheClusterStatus: new("NOT_AVAILABLE"),
		MethodSettings: map[string]apigateway.MethodSetting{}, TracingEnabled: new(false), CreatedDate: &b.c.Now, LastUpdatedDate: &b.c.Now}
	if !reflect.DeepEqual(stage, want) {
		t.Errorf("CreateStage = %+v, want %+v", stage, want)
	}
	refused[apigateway.Stage](b, "CreateStage", &apigateway.CreateStageInput{RestApiId: api, StageName: new("s1"), DeploymentId: d.Id}, "ConflictException: Stage already exists")
	refused[apigateway.DeleteDeploymentOutput](b, "DeleteDeployment", &apigateway.DeleteDeploymentInput{RestApiId: api, DeploymentId: d.Id},
		"BadRequestException: Active stages pointing to this deployment must be moved or deleted")
	update := func(op, path, value string) *apigateway.UpdateStageInput {
		return &apigateway.UpdateStageInput{RestApiId: api, StageName: new("s1"), PatchOperations: []apigateway.PatchOperation{{Op: &op, Path: &path, Value: &value}}}
	}
	for _, tt := range [][4]string{
		{"replace", "/tracingEnabled", "true", "NotImplemented: Tracing of a stage (tracingEnabled) is not implemented."},
		{"replace", "/cacheClusterEnabled", "true", "NotImplemented: A stage's cache cluster is not implemented."},
		{"replace", "/*/*/logging/loglevel", "INFO", "NotImplemented: Execution logs of a stage (loggingLevel) is not implemented."},
		{"replace", "/*/*/caching/enabled", "true", "NotImplemented: Caching of a stage (cachingEnabled) is not implemented."},
		{"replace", "/canarySettings/percentTraffic", "50", "NotImplemented: A stage's canary (canarySettings) is not implemented."},
		{"remove", "/test/GET", "", "BadRequestException: Cannot remove method setting test/GET because there is no method setting for this method "},
	} {
		refused[apigateway.Stage](b, "UpdateStage", update(tt[0], tt[1], tt[2]), tt[3])
	}
	if _, err := do[apigateway.Stage](b, "UpdateStage", update("replace", "/tags/tag1", "v")); err == nil || len(err.Error()) < 1000 {
		t.Errorf("UpdateStage /tags/tag1 = %v", err)
	}
	stage = must[apigateway.Stage](b, "UpdateStage", update("replace", "/~1test/GET/throttling/burstLimit", "124"))
	if s := stage.MethodSettings["test/GET"]; *s.ThrottlingBurstLimit != 124 || *s.ThrottlingRateLimit != 10000 {
		t.Errorf("MethodSettings = %+v", stage.MethodSettings)
	}
	must[apigateway.Stage](b, "UpdateStage", update("remove", "/~1test/GET", ""))
	stage = must[apigateway.Stage](b, "UpdateStage", update("replace", "/variables/v1", "x"))
	if !reflect.DeepEqual(stage.Variables, map[string]string{"v1": "x"}) || len(stage.MethodSettings) != 0 {
		t.Errorf("stage = %+v", stage)
	}
	must[apigateway.TagResourceOutput](b, "TagResource", &apigateway.TagResourceInput{ResourceArn: new("arn:aws:apigateway:us-east-1::/restapis/" + *api + "/stages/s1"), Tags: map[string]string{"k": "v"}})
	tags := must[apigateway.Tags](b, "GetTags", &apigateway.GetTagsInput{ResourceArn: new("arn:aws:apigateway:us-east-1::/restapis/" + *api + "/stages/s1")})
	if !reflect.DeepEqual(tags.Tags, map[string]string{"k": "v"}) {
		t.Errorf("GetTags = %+v", tags)
	}
	must[apigateway.DeleteStageOutput](b, "DeleteStage", &apigateway.DeleteStageInput{RestApiId: api, StageName: new("s1")})
	must[apigateway.DeleteDeploymentOutput](b, "DeleteDeployment", &apigateway.DeleteDeploymentInput{RestApiId: api, DeploymentId: d.Id})
	refused[apigateway.Stage](b, "GetStage", &apigateway.GetStageInput{RestApiId: api, StageName: new("s1")}, "NotFoundException: Invalid stage identifier specified")
}

func TestModelsAndValidators(t *testing.T) {
	b := newBench(t)
	api, root := b.api()
	create := func(api, name, schema string) *apigateway.CreateModelInput {
		return &apigateway.CreateModelInput{RestApiId: &api, Name: &name, ContentType: new("application/json"), Schema: &schema}
	}
	refused[apigateway.Model](b, "CreateModel", create("abcde0", "m", "{}"), "NotFoundException: Invalid API identifier specified 111111111111:abcde0")
	refused[apigateway.Model](b, "CreateModel", create(*api, "", "{}"), "BadRequestException: Model name must be non-empty")
	refused[apigateway.Model](b, "CreateModel", create(*api, "m", ""), "BadRequestException: Model schema must have at least 1 property or array items defined")
	must[apigateway.Model](b, "CreateModel", create(*api, "m", `{"title":"m","type":"object"}`))
	refused[apigateway.Model](b, "CreateModel", create(*api, "m", `{"title":"m","type":"object"}`), "ConflictException: Model name already exists for this REST API")
	must[apigateway.Method](b, "PutMethod", &apigateway.PutMethodInput{RestApiId: api, ResourceId: root, HttpMethod: new("ANY"), AuthorizationType: new("NONE"), RequestModels: map[string]string{"application/json": "m"}})
	refused[apigateway.DeleteModelOutput](b, "DeleteModel", &apigateway.DeleteModelInput{RestApiId: api, ModelName: new("m")}, "ConflictException: Cannot delete model 'm', is referenced in method request: //ANY")
	for _, tt := range [][3]string{
		{"add", "/wrong-path", "BadRequestException: Invalid patch path  '/wrong-path' specified for op 'add'. Please choose supported operations"},
		{"replace", "/name", "BadRequestException: Invalid patch path  '/name' specified for op 'replace'. Must be one of: [/description, /schema]"},
	} {
		refused[apigateway.Model](b, "UpdateModel", &apigateway.UpdateModelInput{RestApiId: api, ModelName: new("m"),
			PatchOperations: []apigateway.PatchOperation{{Op: &tt[0], Path: &tt[1], Value: new("x")}}}, tt[2])
	}
	refused[apigateway.RequestValidator](b, "CreateRequestValidator", &apigateway.CreateRequestValidatorInput{RestApiId: new("api_id")}, "BadRequestException: Invalid REST API identifier specified")
	refused[apigateway.RequestValidators](b, "GetRequestValidators", &apigateway.GetRequestValidatorsInput{RestApiId: new("api_id")}, "NotFoundException: Invalid API identifier specified 111111111111:api_id")
	refused[apigateway.DeleteRequestValidatorOutput](b, "DeleteRequestValidator", &apigateway.DeleteRequestValidatorInput{RestApiId: api, RequestValidatorId: new("x")}, "NotFoundException: Invalid Request Validator identifier specified")
}

func TestGatewayResponseControl(t *testing.T) {
	b := newBench(t)
	api, _ := b.api()
	got := must[apigateway.GatewayResponse](b, "GetGatewayResponse", &apigateway.GetGatewayResponseInput{RestApiId: api, ResponseType: new("UNAUTHORIZED")})
	want := &apigateway.GatewayResponse{ResponseType: new("UNAUTHORIZED"), StatusCode: new("401"), DefaultResponse: new(true), ResponseParameters: map[string]string{},
		ResponseTemplates: map[string]string{"application/json": `{"message":$context.error.messageString}`}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("GetGatewayResponse = %+v, want %+v", got, want)
	}
	if all := must[apigateway.GatewayResponses](b, "GetGatewayResponses", &apigateway.GetGatewayResponsesInput{RestApiId: api}); len(all.Items) != 21 {
		t.Errorf("GetGatewayResponses = %d items", len(all.Items))
	}
	patch := func(op, path string, value *string) *apigateway.UpdateGatewayResponseInput {
		in := &apigateway.UpdateGatewayResponseInput{RestApiId: api, ResponseType: new("DEFAULT_4XX"), PatchOperations: []apigateway.PatchOperation{{Op: &op, Value: value}}}
		if path != "" {
			in.PatchOperations[0].Path = &path
		}
		return in
	}
	refused[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("add", "/statusCode", new("444")), "BadRequestException: Invalid patch path /statusCode")
	refused[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("replace", "", new("444")), "BadRequestException: Invalid patch path null")
	refused[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("replace", "/wrongPath", new("x")), "BadRequestException: Invalid patch path /wrongPath")
	refused[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("replace", "/responseParameters/gatewayresponse.header.X", new("'x'")), "NotFoundException: Invalid parameter name specified")
	refused[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("add", "/responseTemplates/application~1json", nil), "BadRequestException: Invalid null or empty value in responseTemplates")
	if got := must[apigateway.GatewayResponse](b, "UpdateGatewayResponse", patch("replace", "/statusCode", new("444"))); *got.StatusCode != "444" || *got.DefaultResponse {
		t.Errorf("UpdateGatewayResponse = %+v", got)
	}
}

func TestAccount(t *testing.T) {
	b := newBench(t)
	role := "arn:aws:iam::111111111111:role/logs"
	must[apigateway.Account](b, "UpdateAccount", &apigateway.UpdateAccountInput{PatchOperations: []apigateway.PatchOperation{{Op: new("replace"), Path: new("/cloudwatchRoleArn"), Value: &role}}})
	if got := must[apigateway.Account](b, "GetAccount", &apigateway.GetAccountInput{}); *got.CloudwatchRoleArn != role {
		t.Errorf("GetAccount = %+v", got)
	}
}
