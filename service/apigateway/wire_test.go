package apigateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"lambent/kv/kvtest"
	"lambent/service/apigateway"
	"lambent/service/servicetest"
)

// An API is built and called with the bytes that clients send, through the real gateway.
func TestThroughGateway(t *testing.T) {
	fn := &functions{result: `{"statusCode":200,"body":"ok"}`}
	client := servicetest.New(t, apigateway.New(kvtest.Mem(t).In("apigateway"), "localhost:4566", fn, nil).Service())
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
	api := call("POST", "/restapis", `{"name":"wire","policy":""}`, 201)
	id, root := api["id"].(string), api["rootResourceId"].(string)
	if _, ok := api["createdDate"].(float64); !ok || api["policy"] != nil {
		t.Errorf("api = %v", api)
	}
	base := "/restapis/" + id + "/resources/"
	resource := call("POST", base+root, `{"pathPart":"{id}"}`, 201)["id"].(string)
	call("PUT", base+resource+"/methods/GET", `{"authorizationType":"NONE","requestParameters":{"method.request.path.id":true}}`, 201)
	call("PUT", base+resource+"/methods/GET/integration", `{"type":"AWS_PROXY","httpMethod":"POST","uri":"`+functionURI+`"}`, 201)
	call("POST", "/restapis/"+id+"/deployments", `{"stageName":"dev"}`, 201)
	if items := call("GET", "/restapis/"+id+"/resources?embed=methods", "", 200)["item"].([]any); len(items) != 2 {
		t.Errorf("resources = %v", items)
	}
	if got := call("GET", "/restapis/none", "", 404); got["message"] != "Invalid API identifier specified 000000000000:none" {
		t.Errorf("refusal = %v", got)
	}
	if got := call("PUT", base+resource+"/methods/POST", `{"authorizationType":"AWS_IAM"}`, 501); !strings.Contains(got["message"].(string), "not implemented") {
		t.Errorf("refusal = %v", got)
	}

	for _, r := range []struct{ host, target string }{
		{"localhost:4566", "/restapis/" + id + "/dev/_user_request_/a%20b?q=1"},
		{id + ".execute-api.us-east-1.localhost:4566", "/dev/a%20b?q=1"},
		{id + ".execute-api.us-east-1.amazonaws.com", "/dev/a%20b?q=1"},
	} {
		req, err := http.NewRequest("GET", "http://"+r.host+r.target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		reply := client.Prepared(req)
		if ev := fn.event(t); reply.Status != 200 || string(reply.Body) != "ok" || ev["path"] != "/a%20b" {
			t.Errorf("%s%s = %d %s, event %v", r.host, r.target, reply.Status, reply.Body, ev)
		}
	}
	call("DELETE", "/restapis/"+id, "", 202)
}
