package apigateway_test

import (
	"net/http/httptest"
	"testing"

	"lambent/cloud"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/apigateway"
)

// BenchmarkServe is the gateway's own share of a warm AWS_PROXY call.
func BenchmarkServe(b *testing.B) {
	fn := &functions{result: `{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"message\":\"hello\"}"}`}
	s := apigateway.New(kvtest.Mem(b).In("apigateway"), "lambent.test", fn, nil)
	ops := map[string]service.Operation{}
	for _, op := range s.Service().Operations {
		ops[op.Name] = op
	}
	c := cloud.Caller{Account: "111111111111", Region: "us-east-1", RequestID: "request-1"}
	run := func(name string, in any) any {
		out, err := ops[name].Handle(b.Context(), c, in)
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	api := run("CreateRestApi", &apigateway.CreateRestApiInput{Name: new("bench")}).(*apigateway.RestApi)
	run("PutMethod", &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: new("GET"), AuthorizationType: new("NONE")})
	run("PutIntegration", &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: new("GET"), Type: new("AWS_PROXY"), IntegrationHttpMethod: new("POST"), Uri: new(functionURI)})
	run("CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: new("dev")})
	r := httptest.NewRequest("GET", "/dev", nil)
	r.Header.Set("User-Agent", "bench")
	r.Header.Set("Accept", "*/*")
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.Serve(w, r, service.Published{ID: *api.Id, Region: c.Region, Caller: c})
		if w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}
