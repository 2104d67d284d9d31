package apigateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/apigateway"
)

// functions stands for the room that runs functions: it remembers the last call and answers as it is told.
type functions struct {
	arn, source string
	caller      cloud.Caller
	payload     []byte

	result        string
	functionError string
	err           error
	takes         time.Duration // to answer
}

func (f *functions) Invoke(ctx context.Context, c cloud.Caller, functionARN, sourceARN string, payload []byte) ([]byte, string, error) {
	f.arn, f.source, f.caller, f.payload = functionARN, sourceARN, c, payload
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
	s   *apigateway.Service
	svc service.Service
	c   cloud.Caller
}

func newBench(t *testing.T) *bench {
	t.Helper()
	fn := &functions{result: `{"statusCode":200,"body":"ok"}`}
	s := apigateway.New(kvtest.Mem(t).In("apigateway"), "lambent.test", fn, nil)
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

// send sends a request to the endpoint of an API in path form and returns the answer with its body.
func (b *bench) send(method, api, target string, body string, headers ...string) (*http.Response, string) {
	b.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.svc.Endpoints[0].Serve(w, r, service.Published{ID: api, Region: b.c.Region, Caller: b.c})
	got, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.Fatal(err)
	}
	return w.Result(), string(got)
}

// get checks status and body of a plain GET.
func (b *bench) get(api, target string, status int, body string) {
	b.Helper()
	r, got := b.send("GET", api, target, "")
	if r.StatusCode != status || got != body {
		b.Errorf("GET %s = %d %s, want %d %s", target, r.StatusCode, got, status, body)
	}
}

const functionURI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:111111111111:function:hello/invocations"

// api makes an API with a root.
func (b *bench) api() (id, root *string) {
	b.Helper()
	api := must[apigateway.RestApi](b, "CreateRestApi", &apigateway.CreateRestApiInput{Name: new("test")})
	return api.Id, api.RootResourceId
}

func (b *bench) resource(api, parent *string, part string) *string {
	b.Helper()
	return must[apigateway.Resource](b, "CreateResource", &apigateway.CreateResourceInput{RestApiId: api, ParentId: parent, PathPart: &part}).Id
}

func (b *bench) method(api, resource *string, verb string) {
	b.Helper()
	must[apigateway.Method](b, "PutMethod", &apigateway.PutMethodInput{RestApiId: api, ResourceId: resource, HttpMethod: &verb, AuthorizationType: new("NONE")})
}

// proxy puts a method with an AWS_PROXY integration.
func (b *bench) proxy(api, resource *string, verb string) {
	b.Helper()
	b.method(api, resource, verb)
	must[apigateway.Integration](b, "PutIntegration", &apigateway.PutIntegrationInput{
		RestApiId: api, ResourceId: resource, HttpMethod: &verb, Type: new("AWS_PROXY"), IntegrationHttpMethod: new("POST"), Uri: new(functionURI)})
}

func (b *bench) deploy(api *string, stage string) *string {
	b.Helper()
	return must[apigateway.Deployment](b, "CreateDeployment", &apigateway.CreateDeploymentInput{RestApiId: api, StageName: &stage}).Id
}
