package lambda_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"lambent/blob/blobtest"
	"lambent/gateway"
	"lambent/invoke/invoketest"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/lambda"
	"lambent/service/servicetest"
)

// newClient is a client of a gateway with the Lambda service behind it.
func newClient(t *testing.T) *servicetest.Client {
	t.Helper()
	store := kvtest.Mem(t)
	blobs := blobtest.Mem(t, store.In("blob"))
	fake := invoketest.Start(t, blobs, map[string]invoketest.Program{
		"index.handler": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string { return string(e.Payload) }),
	})
	s, err := lambda.New(lambda.Config{KV: store.In("lambda"), Blobs: blobs, Key: make([]byte, 32), Invoker: fake.Invoker, Domain: "localhost:4566"})
	if err != nil {
		t.Fatal(err)
	}
	return servicetest.NewWith(t, gateway.Config{Services: []service.Service{s.Service()}, Domain: "localhost:4566"})
}

// TestBytes sends what the AWS CLI sends and looks at the bytes that come back.
func TestBytes(t *testing.T) {
	client := newClient(t)
	zip := base64.StdEncoding.EncodeToString(invoketest.Zip(t, "index.js", "x"))
	create := `{"FunctionName":"hello","Runtime":"nodejs20.x","Role":"arn:aws:iam::000000000000:role/r","Handler":"index.handler","Code":{"ZipFile":"` + zip + `"}}`
	expect := func(r *servicetest.Reply, status int, in ...string) *servicetest.Reply {
		t.Helper()
		if r.Status != status {
			t.Fatalf("status %d %s, want %d", r.Status, r.Body, status)
		}
		for _, s := range in {
			if !strings.Contains(string(r.Body), s) {
				t.Errorf("body %s\nhas no %s", r.Body, s)
			}
		}
		return r
	}
	expect(client.REST("lambda", "POST", "/2015-03-31/functions", create), 201, `"State":"Pending"`, `"LastModified":"20`, `"FunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:hello"`)
	again := expect(client.REST("lambda", "POST", "/2015-03-31/functions", create), 409, `"Type":"User"`, `"message":"Function already exist: hello"`)
	if got := again.Header.Get("X-Amzn-Errortype"); !strings.HasPrefix(got, "ResourceConflictException") {
		t.Errorf("error type %q", got)
	}
	expect(client.REST("lambda", "GET", "/2015-03-31/functions/nope", ""), 404, `"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nope"`)
	invoked := expect(client.REST("lambda", "POST", "/2015-03-31/functions/hello/invocations", `{"raw": 1}`, "X-Amz-Log-Type: Tail"), 200)
	if string(invoked.Body) != `{"raw": 1}` || invoked.Header.Get("X-Amz-Executed-Version") != "$LATEST" || invoked.Header.Get("X-Amz-Log-Result") == "" {
		t.Errorf("invoke = %s %v", invoked.Body, invoked.Header)
	}
	event := expect(client.REST("lambda", "POST", "/2015-03-31/functions/hello/invocations", `{}`, "X-Amz-Invocation-Type: Event"), 202)
	if len(event.Body) != 0 {
		t.Errorf("event = %s", event.Body)
	}
	expect(client.REST("lambda", "POST", "/2015-03-31/functions/hello/invocations", `{}`, "X-Amz-Invocation-Type: DryRun"), 204)
	expect(client.REST("lambda", "PUT", "/2017-10-31/functions/hello/concurrency", `{"ReservedConcurrentExecutions":0}`), 200)
	throttled := expect(client.REST("lambda", "POST", "/2015-03-31/functions/hello/invocations", `{}`), 429,
		`"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"`, `"Type":"User"`, `"message":"Rate Exceeded."`)
	if !strings.HasPrefix(throttled.Header.Get("X-Amzn-Errortype"), "TooManyRequestsException") {
		t.Errorf("headers = %v", throttled.Header)
	}
	expect(client.REST("lambda", "DELETE", "/2017-10-31/functions/hello/concurrency", ""), 204)
	encoded := "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Ahello"
	expect(client.REST("lambda", "POST", encoded, `{"Tags":{"a":"b"}}`), 204)
	expect(client.REST("lambda", "GET", encoded, ""), 200, `{"Tags":{"a":"b"}}`)
	expect(client.REST("lambda", "POST", "/2015-03-31/functions", strings.Replace(create, "Handler", "Handlers", 1)), 400, "Runtime and Handler are mandatory")
	expect(client.REST("lambda", "GET", "/2018-10-31/layers", ""), 200, `{"Layers":[]}`)

	var got struct{ Code struct{ Location string } }
	reply := expect(client.REST("lambda", "GET", "/2015-03-31/functions/hello", ""), 200, `"RepositoryType":"S3"`, `"State":"Active"`, `"LastUpdateStatus":"Successful"`)
	if err := json.Unmarshal(reply.Body, &got); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", got.Code.Location, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(client.Prepared(r), 200, "index.js")

	var u struct{ FunctionUrl string }
	reply = expect(client.REST("lambda", "POST", "/2021-10-31/functions/hello/url", `{"AuthType":"NONE"}`), 201)
	if err := json.Unmarshal(reply.Body, &u); err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("GET", u.FunctionUrl+"path?q=1", nil)
	expect(client.Prepared(r), 403, "Forbidden. For troubleshooting")
	expect(client.REST("lambda", "POST", "/2015-03-31/functions/hello/policy", `{"StatementId":"u","Action":"lambda:InvokeFunctionUrl","Principal":"*","FunctionUrlAuthType":"NONE"}`), 201, `"Statement":"{\"Sid\":\"u\"`)
	r, _ = http.NewRequest("GET", u.FunctionUrl+"path?q=1", nil)
	expect(client.Prepared(r), 200, `"rawPath":"/path"`, `"rawQueryString":"q=1"`)
	id, _, _ := strings.Cut(strings.TrimPrefix(u.FunctionUrl, "http://"), ".")
	r, _ = http.NewRequest("GET", "http://localhost:4566/_lambda-url/"+id+"/path", nil)
	expect(client.Prepared(r), 200, `"rawPath":"/path"`)

	expect(client.REST("lambda", "DELETE", "/2015-03-31/functions/hello", ""), 204)
	expect(client.REST("lambda", "DELETE", "/2015-03-31/functions/hello", ""), 404)
}
