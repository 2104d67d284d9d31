package lambda_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lambent/service"
	"lambent/service/lambda"
)

// endpoint is what the service publishes under a label.
func (b *bench) endpoint(label string) service.Endpoint {
	for _, e := range b.s.Service().Endpoints {
		if e.Label == label {
			return e
		}
	}
	b.t.Fatalf("no endpoint %s", label)
	panic("unreachable")
}

func (b *bench) fetch(id, method, target, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c := b.c
	c.SourceIP = "127.0.0.1"
	b.endpoint("lambda-url").Serve(w, r, service.Published{ID: id, Region: "us-east-1", Caller: c})
	return w.Result()
}

// publishURL makes a function with a URL that everyone may call, and returns the URL's id.
func (b *bench) publishURL(name, handler, answer string, cors *lambda.Cors) string {
	b.t.Helper()
	b.create(name, func(in *lambda.CreateFunctionInput) {
		in.Handler = new(handler)
		in.Environment = &lambda.Environment{Variables: map[string]string{"ANSWER": answer}}
	})
	u := must[lambda.CreateFunctionUrlConfigOutput](b, &lambda.CreateFunctionUrlConfigInput{FunctionName: new(name), AuthType: new("NONE"), Cors: cors})
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new(name), StatementId: new("url"), Action: new("lambda:InvokeFunctionUrl"),
		Principal: new("*"), FunctionUrlAuthType: new("NONE")})
	id, rest, _ := strings.Cut(strings.TrimPrefix(*u.FunctionUrl, "http://"), ".")
	if rest != "lambda-url.us-east-1.localhost:4566/" || len(id) != 32 {
		b.t.Errorf("URL = %s", *u.FunctionUrl)
	}
	return id
}

// TestURLAnswers follows aws-replies: test_lambda.py::TestLambdaURL::test_lambda_url_invocation.
func TestURLAnswers(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name, payload string
		status        int
		kind, body    string
	}{
		{"boolean", `true`, 200, "application/json", "true"},
		{"object", `{"hello":"world"}`, 200, "application/json", `{"hello":"world"}`},
		{"float", `3.1`, 200, "application/json", "3.1"},
		{"list", `["hello",3,true]`, 200, "application/json", `["hello",3,true]`},
		{"string", `"hello"`, 200, "application/json", "hello"},
		{"response", `{"statusCode":200,"body":"body123"}`, 200, "application/json", "body123"},
		{"full", `{"statusCode":201,"headers":{"content-type":"text/html","x-n":5},"body":"PGI+","isBase64Encoded":true,"cookies":["a=b"]}`, 201, "text/html", "<b>"},
		{"object body", `{"statusCode":"200","body":{"hello":"world"}}`, 200, "application/json", `{"hello":"world"}`},
		{"bad status", `{"statusCode":"x"}`, 502, "application/json", `{"Message":"Internal Server Error"}`},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := b.publishURL("f"+string(rune('a'+i)), "index.http", tt.payload, nil)
			resp := b.fetch(id, "GET", "http://x/", "")
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind || string(body) != tt.body {
				t.Errorf("got %d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
		})
	}
}

func TestURLEvent(t *testing.T) {
	b := newBench(t)
	id := b.publishURL("f", "index.echo", "", nil)
	resp := b.fetch(id, "POST", "http://"+id+".lambda-url.us-east-1.localhost:4566/a%20b/c?x=1&x=2&y", "{}", "Content-Type", "application/json", "Cookie", "a=1; b=2", "X-Two", "1", "X-Two", "2")
	body, _ := io.ReadAll(resp.Body)
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	ctx := got["requestContext"].(map[string]any)
	for what, pair := range map[string][2]any{
		"version":   {got["version"], "2.0"},
		"rawPath":   {got["rawPath"], "/a%20b/c"},
		"query":     {got["rawQueryString"], "x=1&x=2&y"},
		"params":    {got["queryStringParameters"].(map[string]any)["x"], "1,2"},
		"cookie":    {got["cookies"].([]any)[1], "b=2"},
		"header":    {got["headers"].(map[string]any)["x-two"], "1,2"},
		"body":      {got["body"], "{}"},
		"base64":    {got["isBase64Encoded"], false},
		"method":    {ctx["http"].(map[string]any)["method"], "POST"},
		"path":      {ctx["http"].(map[string]any)["path"], "/a b/c"},
		"time":      {ctx["time"], "02/Jan/2024:03:04:05 +0000"},
		"timeEpoch": {ctx["timeEpoch"], 1704164645000.0},
		"prefix":    {ctx["domainPrefix"], id},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %v, want %v", what, pair[0], pair[1])
		}
	}
	binary := b.fetch(id, "POST", "http://x/", "\xff\x00", "Content-Type", "image/png")
	body, _ = io.ReadAll(binary.Body)
	if !strings.Contains(string(body), `"body":"/wA="`) || !strings.Contains(string(body), `"isBase64Encoded":true`) {
		t.Errorf("binary event = %s", body)
	}
}

func TestURLAccess(t *testing.T) {
	b := newBench(t)
	id := b.publishURL("f", "index.http", `"ok"`, &lambda.Cors{AllowOrigins: []string{"https://*.example.com"}, AllowMethods: []string{"GET"}, MaxAge: new(int32(60))})
	if resp := b.fetch(id, "OPTIONS", "http://x/", "", "Origin", "https://a.example.com", "Access-Control-Request-Method", "GET"); resp.Header.Get("Access-Control-Allow-Origin") != "https://a.example.com" ||
		resp.Header.Get("Access-Control-Allow-Methods") != "GET" || resp.Header.Get("Access-Control-Max-Age") != "60" {
		t.Errorf("preflight = %v", resp.Header)
	}
	if resp := b.fetch(id, "GET", "http://x/", "", "Origin", "https://evil.com"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a stranger's page may read the answer")
	}
	must[lambda.RemovePermissionOutput](b, &lambda.RemovePermissionInput{FunctionName: new("f"), StatementId: new("url")})
	for _, id := range []string{id, "nosuchurl"} {
		resp := b.fetch(id, "GET", "http://x/", "")
		body, _ := io.ReadAll(resp.Body)
		want := `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`
		if resp.StatusCode != 403 || string(body) != want || resp.Header.Get("x-amzn-ErrorType") != "AccessDeniedException" {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
	}
	b.fails(&lambda.CreateFunctionUrlConfigInput{FunctionName: new("f"), AuthType: new("NONE")}, "ResourceConflictException", "FunctionUrlConfig exists for this Lambda function")
	b.fails(&lambda.ListFunctionUrlConfigsInput{FunctionName: new("none")}, "ResourceNotFoundException", "Function does not exist")
	if l := must[lambda.ListFunctionUrlConfigsOutput](b, &lambda.ListFunctionUrlConfigsInput{FunctionName: new("f")}); len(l.FunctionUrlConfigs) != 1 {
		t.Errorf("list = %+v", l)
	}
}

func TestCodeLocation(t *testing.T) {
	b := newBench(t)
	b.create("f")
	location := *must[lambda.GetFunctionOutput](b, &lambda.GetFunctionInput{FunctionName: new("f")}).Code.Location
	fetch := func(url string) (int, string) {
		r := httptest.NewRequest("GET", url, nil)
		id, _, ok := b.endpoint("lambda-code").Path(r.URL.Path)
		if !ok {
			t.Fatalf("%s is not ours", url)
		}
		w := httptest.NewRecorder()
		b.endpoint("lambda-code").Serve(w, r, service.Published{ID: id, Caller: b.c})
		return w.Code, w.Body.String()
	}
	if status, body := fetch(location); status != 200 || body != string(b.zip) {
		t.Errorf("%s: %d, %d bytes", location, status, len(body))
	}
	if status, _ := fetch(strings.Replace(location, "Signature=", "Signature=0", 1)); status != 403 {
		t.Errorf("a wrong signature: %d", status)
	}
	b.c.Now = b.c.Now.Add(11 * 60e9)
	if status, _ := fetch(location); status != 403 {
		t.Errorf("an old link: %d", status)
	}
}
