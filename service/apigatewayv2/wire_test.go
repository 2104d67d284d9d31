package apigatewayv2_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/apigatewayv2"
	"lambent/service/servicetest"
)

// An API is built and called with the bytes that clients send, through the real gateway.
func TestThroughGateway(t *testing.T) {
	fn := &functions{result: `{"statusCode":200,"body":"ok"}`}
	s := apigatewayv2.New(kvtest.Mem(t).In("apigatewayv2"), "localhost:4566", fn)
	svc := s.Service()
	svc.Endpoints = []service.Endpoint{{Label: "execute-api", Serve: s.Serve}} // REST APIs own the label in a cloud
	client := servicetest.New(t, svc)
	call := func(method, target, body string, status int) map[string]any {
		t.Helper()
		reply := client.REST("apigateway", method, target, body, "Content-Type: application/json")
		if reply.Status != status {
			t.Fatalf("%s %s = %d %s, want %d", method, target, reply.Status, reply.Body, status)
		}
		var m map[string]any
		if len(reply.Body) > 0 {
			if err := json.Unmarshal(reply.Body, &m); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	api := call("POST", "/v2/apis", `{"name":"wire","protocolType":"HTTP"}`, 201)
	id := api["apiId"].(string)
	if want := "https://" + id + ".execute-api.us-east-1.localhost:4566"; api["apiEndpoint"] != want {
		t.Errorf("api = %v", api)
	}
	integration := call("POST", "/v2/apis/"+id+"/integrations", `{"integrationType":"AWS_PROXY","integrationUri":"`+function+`","payloadFormatVersion":"2.0"}`, 201)["integrationId"].(string)
	call("POST", "/v2/apis/"+id+"/stages", `{"stageName":"$default","autoDeploy":true}`, 201)
	call("POST", "/v2/apis/"+id+"/routes", `{"routeKey":"GET /users/{id}","target":"integrations/`+integration+`"}`, 201)
	if items := call("GET", "/v2/apis/"+id+"/routes", "", 200)["items"].([]any); len(items) != 1 {
		t.Errorf("routes = %v", items)
	}
	if got := call("GET", "/v2/apis/none", "", 404); got["message"] != "Invalid API identifier specified 000000000000:none" {
		t.Errorf("refusal = %v", got)
	}
	req, err := http.NewRequest("GET", "http://"+id+".execute-api.us-east-1.localhost:4566/users/a%20b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	reply := client.Prepared(req)
	if ev := fn.event(t); reply.Status != 200 || string(reply.Body) != "ok" || ev["rawPath"] != "/users/a%20b" {
		t.Errorf("reply = %d %s, event %v", reply.Status, reply.Body, ev)
	}
	call("DELETE", "/v2/apis/"+id, "", 204)
}
