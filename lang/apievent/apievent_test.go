package apievent_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"lambent/lang/apievent"
)

func request() *apievent.Request {
	return &apievent.Request{
		Account: "111111111111", API: "abcde12345", Deployment: "dep123", Stage: "dev",
		Domain: "abcde12345.execute-api.us-east-1.example", DomainPrefix: "abcde12345",
		Method: "POST", Protocol: "HTTP/1.1", Path: "/users/7", FullPath: "/dev/users/7",
		RawQuery: "category=electronics&category=books&plus=a+b&e=x%2By", Host: "abcde12345.execute-api.us-east-1.example",
		Header: http.Header{"Accept": {"*/*"}, "X-Multi": {"1", "2"}, "Cookie": {"a=1; b=2"}, "User-Agent": {"curl/8"},
			"Connection": {"close"}, "Content-Length": {"2"}, "X-Forwarded-For": {"10.0.0.9"}},
		Secure: true, SourceIP: "203.0.113.5",
		Resource: "/users/{id}", ResourceID: "r1b2c3", RouteKey: "POST /users/{id}",
		Params: []apievent.Param{{Name: "id", Value: "7"}}, Variables: map[string]string{"k": "v"},
		RequestID: "req-1", ExtendedID: "ext-1", Trace: "Root=1-2-3",
		Time: time.Date(2026, 11, 23, 9, 0, 0, 5e6, time.UTC),
		Body: []byte(`{}`),
	}
}

func TestEvents(t *testing.T) {
	bare := &apievent.Request{Method: "GET", Path: "/", Resource: "/", Header: http.Header{}, Time: time.Unix(0, 0), RouteKey: "$default"}
	binary := request()
	binary.Body, binary.Base64 = []byte{0xff, 0}, true
	identity := `{"accessKey":null,"accountId":null,"caller":null,"cognitoAuthenticationProvider":null,"cognitoAuthenticationType":null,
		"cognitoIdentityId":null,"cognitoIdentityPoolId":null,"principalOrgId":null,"sourceIp":"203.0.113.5","user":null,"userAgent":"curl/8","userArn":null`
	v1Common := `"path":"/users/7","httpMethod":"POST",
		"headers":{"Accept":"*/*","Cookie":"a=1; b=2","Host":"abcde12345.execute-api.us-east-1.example","User-Agent":"curl/8","X-Amzn-Trace-Id":"Root=1-2-3",
			"X-Forwarded-For":"10.0.0.9, 203.0.113.5","X-Forwarded-Port":"443","X-Forwarded-Proto":"https","X-Multi":"2"},
		"multiValueHeaders":{"Accept":["*/*"],"Cookie":["a=1; b=2"],"Host":["abcde12345.execute-api.us-east-1.example"],"User-Agent":["curl/8"],"X-Amzn-Trace-Id":["Root=1-2-3"],
			"X-Forwarded-For":["10.0.0.9, 203.0.113.5"],"X-Forwarded-Port":["443"],"X-Forwarded-Proto":["https"],"X-Multi":["1","2"]},
		"queryStringParameters":{"category":"books","plus":"a b","e":"x+y"},
		"multiValueQueryStringParameters":{"category":["electronics","books"],"plus":["a b"],"e":["x+y"]},
		"pathParameters":{"id":"7"},"stageVariables":{"k":"v"},"resource":"/users/{id}",`
	contextCommon := `"accountId":"111111111111","apiId":"abcde12345","domainName":"abcde12345.execute-api.us-east-1.example","domainPrefix":"abcde12345",
		"extendedRequestId":"ext-1","httpMethod":"POST","path":"/dev/users/7","protocol":"HTTP/1.1","requestId":"req-1",
		"requestTime":"23/Nov/2026:09:00:00 +0000","requestTimeEpoch":1795424400005,"resourcePath":"/users/{id}","stage":"dev",`
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"v1", request().V1(nil), `{` + v1Common + `"requestContext":{` + contextCommon + `"resourceId":"r1b2c3","deploymentId":"dep123","identity":` + identity + `}},
			"body":"{}","isBase64Encoded":false}`},
		{"http v1", request().HTTPV1(nil), `{"version":"1.0",` + v1Common + `"requestContext":{` + contextCommon + `"resourceId":"POST /users/{id}","identity":` + identity + `,"cognitoAmr":null}},
			"body":"{}","isBase64Encoded":false}`},
		{"v2", binary.V2(nil), `{"version":"2.0","routeKey":"POST /users/{id}","rawPath":"/users/7","rawQueryString":"category=electronics&category=books&plus=a+b&e=x%2By",
			"cookies":["a=1","b=2"],
			"headers":{"accept":"*/*","content-length":"2","host":"abcde12345.execute-api.us-east-1.example","user-agent":"curl/8","x-amzn-trace-id":"Root=1-2-3",
				"x-forwarded-for":"10.0.0.9, 203.0.113.5","x-forwarded-port":"443","x-forwarded-proto":"https","x-multi":"1,2"},
			"queryStringParameters":{"category":"electronics,books","plus":"a b","e":"x+y"},
			"requestContext":{"accountId":"111111111111","apiId":"abcde12345","domainName":"abcde12345.execute-api.us-east-1.example","domainPrefix":"abcde12345",
				"http":{"method":"POST","path":"/dev/users/7","protocol":"HTTP/1.1","sourceIp":"203.0.113.5","userAgent":"curl/8"},
				"requestId":"req-1","routeKey":"POST /users/{id}","stage":"dev","time":"23/Nov/2026:09:00:00 +0000","timeEpoch":1795424400005},
			"pathParameters":{"id":"7"},"stageVariables":{"k":"v"},"body":"/wA=","isBase64Encoded":true}`},
		{"v2 bare", bare.V2(nil), `{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"",
			"headers":{"host":"","x-amzn-trace-id":"","x-forwarded-for":"","x-forwarded-port":"80","x-forwarded-proto":"http"},
			"requestContext":{"accountId":"","apiId":"","domainName":"","domainPrefix":"","http":{"method":"GET","path":"","protocol":"","sourceIp":"","userAgent":""},
				"requestId":"","routeKey":"$default","stage":"","time":"01/Jan/1970:00:00:00 +0000","timeEpoch":0},"isBase64Encoded":false}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got, want any
			if err := json.Unmarshal(tt.got, &got); err != nil {
				t.Fatalf("event is not JSON: %v\n%s", err, tt.got)
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				w, _ := json.Marshal(want)
				g, _ := json.Marshal(got)
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

// The cases are those of the replies recorded on AWS (test_aws_proxy_response_payload_format_validation).
func TestParseV1(t *testing.T) {
	type header = apievent.Header
	for _, tt := range []struct {
		payload string
		want    *apievent.Response // nil: malformed
	}{
		{`{}`, &apievent.Response{Status: 200}},
		{`{"statusCode":"201","body":"x"}`, &apievent.Response{Status: 201, Body: []byte("x")}},
		{`{"headers":{"test-header":"value","header-bool":true,"gone":null}}`, &apievent.Response{Status: 200, Header: []header{{"test-header", "value"}, {"header-bool", "true"}}}},
		{`{"headers":null,"multiValueHeaders":null,"body":null}`, &apievent.Response{Status: 200}},
		{`{"headers":{"test-multi":"value-solo"},"multiValueHeaders":{"tesT-Multi":["value-multi"]}}`,
			&apievent.Response{Status: 200, Header: []header{{"tesT-Multi", "value-multi"}, {"test-multi", "value-solo"}}}},
		{`{"headers":{"a":"1"},"multiValueHeaders":{"A":["1","2"]}}`, &apievent.Response{Status: 200, Header: []header{{"A", "1"}, {"A", "2"}}}},
		{`{"headers":{"split":"a\r\nX: y","bad name":"x"}}`, &apievent.Response{Status: 200}},
		{`{"isBase64Encoded":true,"body":"eA=="}`, &apievent.Response{Status: 200, Body: []byte("eA=="), Base64: true}},
		{`{"multiValueHeaders":{"a":"x"}}`, nil},
		{`{"statusCode":"wrong"}`, nil},
		{`{"statusCode":99}`, nil},
		{`{"wrong":"format"}`, nil},
		{`{"body":{"a":1}}`, nil},
		{`"just a string"`, nil},
		{`null`, nil},
		{``, nil},
	} {
		got, err := apievent.ParseV1([]byte(tt.payload))
		if tt.want == nil {
			if !errors.Is(err, apievent.ErrMalformed) {
				t.Errorf("ParseV1(%s) = %+v, %v, want ErrMalformed", tt.payload, got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseV1(%s) = %+v, %v, want %+v", tt.payload, got, err, tt.want)
		}
	}
}

func TestParseV2(t *testing.T) {
	type header = apievent.Header
	asJSON := []header{{"Content-Type", "application/json"}}
	for _, tt := range []struct {
		payload string
		want    *apievent.Response
	}{
		{`{"message":"hi"}`, &apievent.Response{Status: 200, Header: asJSON, Body: []byte(`{"message":"hi"}`)}},
		{`"Hello from Lambda!"`, &apievent.Response{Status: 200, Header: asJSON, Body: []byte(`Hello from Lambda!`)}},
		{`null`, &apievent.Response{Status: 200, Header: asJSON, Body: []byte(`null`)}},
		{`{"statusCode":201,"body":"x","cookies":["a=1","b=2"],"headers":{"X":"y"},"other":1}`,
			&apievent.Response{Status: 201, Body: []byte("x"), Header: []header{{"X", "y"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}}}},
		{`{"statusCode":200,"cookies":"a"}`, nil},
		{`{"statusCode":"x"}`, nil},
	} {
		got, err := apievent.ParseV2([]byte(tt.payload))
		if tt.want == nil {
			if !errors.Is(err, apievent.ErrMalformed) {
				t.Errorf("ParseV2(%s) = %+v, %v, want ErrMalformed", tt.payload, got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseV2(%s) = %+v, %v, want %+v", tt.payload, got, err, tt.want)
		}
	}
}

func TestWrite(t *testing.T) {
	r := &apievent.Response{Status: 201, Body: []byte("x"), Header: []apievent.Header{
		{"test-multi", "a"}, {"Test-Multi", "b"}, {"date", "then"}, {"Connection", "close"}, {"content-type", "text/plain"}}}
	w := httptest.NewRecorder()
	r.Write(w, apievent.RemapREST)
	want := http.Header{"test-multi": {"a", "b"}, "x-amzn-Remapped-date": {"then"}, "x-amzn-Remapped-Connection": {"close"},
		"Content-Type": {"text/plain"}, "Content-Length": {"1"}}
	if w.Code != 201 || w.Body.String() != "x" || !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("REST: %d %q %v, want %v", w.Code, w.Body, w.Header(), want)
	}
	w = httptest.NewRecorder()
	r.Write(w, apievent.DropHop)
	want = http.Header{"test-multi": {"a", "b"}, "Content-Type": {"text/plain"}, "Content-Length": {"1"}}
	if !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("HTTP: %v, want %v", w.Header(), want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"statusCode":"200","headers":{"a":true},"multiValueHeaders":{"b":["c"]},"body":"eA","isBase64Encoded":"true"}`,
		`"x"`, `{"statusCode":200,"cookies":["a"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, parse := range []func([]byte) (*apievent.Response, error){apievent.ParseV1, apievent.ParseV2} {
			r, err := parse(payload)
			if err != nil {
				continue
			}
			if r.Status < 200 || r.Status > 599 {
				t.Errorf("status %d", r.Status)
			}
			if r.Decode() == nil {
				r.Write(httptest.NewRecorder(), apievent.RemapREST)
			}
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add("/a//b", "a=1&a=2&%zz", "a=1; b", "Accept", []byte("x\xff"))
	f.Fuzz(func(t *testing.T, path, rawQuery, cookie, header string, body []byte) {
		r := request()
		r.Path, r.RawQuery, r.Body = path, rawQuery, body
		r.Header = http.Header{"Cookie": {cookie}, header: {path}}
		for _, event := range [][]byte{r.V1(nil), r.HTTPV1(nil), r.V2(nil)} {
			if !json.Valid(event) {
				t.Errorf("not JSON: %s", event)
			}
		}
	})
}

func BenchmarkV1(b *testing.B) {
	r := request()
	buf := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.V1(buf[:0])
	}
}

func TestPort(t *testing.T) {
	for _, tt := range []struct {
		host   string
		secure bool
		want   string
	}{{"a.example", true, "443"}, {"a.example", false, "80"}, {"a.example:4566", true, "4566"}, {"[::1]:8080", false, "8080"}, {"[::1]", false, "80"}} {
		if got := apievent.Port(tt.host, tt.secure); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.host, got, tt.want)
		}
	}
}
