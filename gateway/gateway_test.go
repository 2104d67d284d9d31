package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/gateway"
	"lambent/service"
	"lambent/service/servicetest"
	"lambent/wire/sigv4"
)

type (
	input struct {
		Name *string `len:"3:8"`
	}
	output struct {
		Name *string
	}
	objectInput struct {
		Bucket *string        `in:"uri" req:""`
		Key    *string        `in:"uri"`
		Body   service.Stream `stream:"" in:"payload"`
	}
	objectOutput struct {
		ContentLength *int64         `in:"header" wire:"Content-Length"`
		Body          service.Stream `stream:"" in:"payload"`
	}
	noSuchThing struct {
		Message *string `name:"message"`
	}
)

// echo answers every operation of the test's APIs.
func echo(_ context.Context, c cloud.Caller, in *input) (*output, error) {
	switch cloud.Val(in.Name) {
	case "panic":
		panic("a bug")
	case "absent":
		return nil, cloud.Faultf("NoSuchThing", "There is no %s.", *in.Name)
	case "broken":
		return nil, fmt.Errorf("disk: %w", io.ErrUnexpectedEOF)
	case "caller":
		text, _ := json.Marshal(c)
		return &output{Name: new(string(text))}, nil
	}
	return &output{in.Name}, nil
}

func put(_ context.Context, _ cloud.Caller, in *objectInput) (*objectOutput, error) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return &objectOutput{ContentLength: new(int64(len(body))), Body: io.NopCloser(bytes.NewReader(body))}, nil
}

// testServices speak one protocol each. Say is theirs all; Missing is in the model only.
func testServices() []service.Service {
	in, out := reflect.TypeFor[input](), reflect.TypeFor[output]()
	faults := []service.ErrorModel{{Name: "NoSuchThing", Status: 404, Sender: true, Type: reflect.TypeFor[noSuchThing]()}}
	say := func(uri string) []service.OperationModel {
		return []service.OperationModel{
			{Name: "Say", Method: "POST", URI: uri, Input: in, Output: out, Wrapper: "SayResult"},
			{Name: "Missing", Method: "PUT", URI: uri, Input: in, Output: out, Wrapper: "MissingResult"},
			{Name: "Open", Method: "PATCH", URI: uri, Input: in, Output: out, Wrapper: "OpenResult", NoAuth: true},
		}
	}
	answers := []service.Operation{service.Op("Say", echo), service.Op("Open", echo)}
	published := service.Endpoint{
		Label: "execute-api",
		Path: func(path string) (id, rest string, ok bool) {
			rest, ok = strings.CutPrefix(path, "/restapis/")
			id, rest, cut := strings.Cut(rest, "/_user_request_")
			return id, rest, ok && cut
		},
		Serve: func(w http.ResponseWriter, r *http.Request, at service.Published) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s id=%s region=%s prefix=%s path=%s raw=%s root=%v body=%s", r.Method, at.ID, at.Region, at.Prefix, r.URL.Path, r.URL.EscapedPath(), at.Caller.Root, body)
		},
	}
	return []service.Service{
		{API: &service.API{Name: "table", ServiceID: "Table", Version: "1", Endpoint: "table", SigningName: "table", TargetPrefix: "Table_1",
			Protocols: []service.Protocol{service.AWSJSON10}, Operations: say("/"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "func", ServiceID: "Func", Version: "2", Endpoint: "func", SigningName: "func",
			Protocols: []service.Protocol{service.RestJSON}, Operations: say("/2015-03-31/say"), Errors: faults}, Operations: answers,
			Endpoints: []service.Endpoint{published}},
		{API: &service.API{Name: "asks", ServiceID: "Asks", Version: "3", Endpoint: "asks", SigningName: "asks", XMLNamespace: "urn:asks",
			Protocols: []service.Protocol{service.AWSQuery}, Operations: say("/"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "meters", ServiceID: "Meters", Version: "5", Endpoint: "meters", SigningName: "meters", TargetPrefix: "Meters_1", QueryErrors: true,
			Protocols: []service.Protocol{service.RPCv2CBOR, service.AWSJSON10, service.AWSQuery}, Operations: say("/"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "machines", ServiceID: "Machines", Version: "6", Endpoint: "machines", SigningName: "machines", XMLNamespace: "urn:machines",
			Protocols: []service.Protocol{service.EC2Query}, Operations: say("/"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "mail", ServiceID: "Mail", Version: "7", Endpoint: "mail", SigningName: "mail",
			Protocols: []service.Protocol{service.AWSQuery}, Operations: say("/"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "mail2", ServiceID: "Mail2", Version: "8", Endpoint: "mail", SigningName: "mail",
			Protocols: []service.Protocol{service.RestJSON}, Operations: say("/v2/say"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "zones", ServiceID: "Zones", Version: "9", Endpoint: "zones", SigningName: "zones",
			Protocols: []service.Protocol{service.RestXML}, Operations: say("/2013-04-01/say"), Errors: faults}, Operations: answers},
		{API: &service.API{Name: "s3", ServiceID: "S3", Version: "4", Endpoint: "s3", SigningName: "s3",
			Protocols: []service.Protocol{service.RestXML}, Errors: faults, Operations: []service.OperationModel{
				{Name: "PutObject", Method: "PUT", URI: "/{Bucket}/{Key+}", Input: reflect.TypeFor[objectInput](), Output: reflect.TypeFor[objectOutput]()},
				{Name: "HeadObject", Method: "HEAD", URI: "/{Bucket}/{Key+}", Input: reflect.TypeFor[objectInput](), Output: reflect.TypeFor[objectOutput]()},
			}}, Operations: []service.Operation{service.Op("PutObject", put), service.Op("HeadObject", put)}},
	}
}

// say sends the operation Say in the protocol of a service, changed by change after it was signed.
func say(c *servicetest.Client, to, name string, at time.Time, change func(*http.Request)) *servicetest.Reply {
	return c.Prepared(request(c, to, name, at, change))
}

func request(c *servicetest.Client, to, name string, at time.Time, change func(*http.Request)) *http.Request {
	var r *http.Request
	body, _ := json.Marshal(map[string]string{"Name": name})
	switch to {
	case "table":
		r, _ = http.NewRequest("POST", "http://localhost/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", "Table_1.Say")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	case "func":
		r, _ = http.NewRequest("POST", "http://localhost/2015-03-31/say", bytes.NewReader(body))
	case "asks":
		r, _ = http.NewRequest("POST", "http://localhost/", strings.NewReader(url.Values{"Action": {"Say"}, "Version": {"3"}, "Name": {name}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "s3":
		r, _ = http.NewRequest("PUT", "http://localhost/bucket/key", strings.NewReader(name))
	}
	if c.Credentials.AccessKeyID != "" {
		if err := sigv4.Sign(r, c.Credentials, "eu-west-1", to, at); err != nil {
			panic(err)
		}
	}
	if change != nil {
		change(r)
	}
	return r
}

// code finds the error's code in a reply of any protocol.
func code(r *servicetest.Reply) string {
	if t := r.Header.Get("X-Amzn-Errortype"); t != "" {
		return t
	}
	if _, rest, ok := strings.Cut(string(r.Body), "<Code>"); ok {
		name, _, _ := strings.Cut(rest, "</Code>")
		return name
	}
	var v struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(r.Body, &v)
	return v.Type
}

// TestRefusals goes through what keeps a caller out, in each family's words.
func TestRefusals(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	now := time.Now()
	stranger, wrong, stale, nobody := *c, *c, *c, *c
	stranger.Credentials.AccessKeyID = "AKIANOBODY"
	wrong.Credentials.SecretAccessKey += "x"
	stale.Credentials.SessionToken = "token"
	nobody.Credentials = sigv4.Credentials{}
	cut := func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK") }
	other := func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }
	tests := []struct {
		name   string
		client *servicetest.Client
		at     time.Time
		change func(*http.Request)
		want   map[string]string // by service: status and code
	}{
		{"good", c, now, nil, map[string]string{"table": "200 ", "func": "200 ", "asks": "200 ", "s3": "200 "}},
		{"no signature", &nobody, now, nil, map[string]string{"table": "400 MissingAuthenticationTokenException", "func": "403 MissingAuthenticationTokenException",
			"asks": "403 MissingAuthenticationToken", "s3": "403 AccessDenied"}},
		{"unknown key", &stranger, now, nil, map[string]string{"table": "400 UnrecognizedClientException", "func": "403 UnrecognizedClientException",
			"asks": "403 InvalidClientTokenId", "s3": "403 InvalidAccessKeyId"}},
		{"wrong secret", &wrong, now, nil, map[string]string{"table": "400 InvalidSignatureException", "func": "403 InvalidSignatureException",
			"asks": "403 SignatureDoesNotMatch", "s3": "403 SignatureDoesNotMatch"}},
		{"wrong token", &stale, now, nil, map[string]string{"table": "400 UnrecognizedClientException", "func": "403 UnrecognizedClientException",
			"asks": "403 InvalidClientTokenId", "s3": "400 InvalidToken"}},
		{"too old", c, now.Add(-16 * time.Minute), nil, map[string]string{"table": "400 InvalidSignatureException", "func": "403 InvalidSignatureException",
			"asks": "403 SignatureDoesNotMatch", "s3": "403 RequestTimeTooSkewed"}},
		{"from the future", c, now.Add(16 * time.Minute), nil, map[string]string{"table": "400 InvalidSignatureException", "func": "403 InvalidSignatureException",
			"asks": "403 SignatureDoesNotMatch", "s3": "403 RequestTimeTooSkewed"}},
		{"incomplete", c, now, cut, map[string]string{"table": "400 IncompleteSignatureException", "func": "403 IncompleteSignatureException",
			"asks": "400 IncompleteSignature", "s3": "400 AuthorizationHeaderMalformed"}},
		{"another scheme", c, now, other, map[string]string{"table": "400 IncompleteSignatureException", "func": "403 IncompleteSignatureException",
			"asks": "400 IncompleteSignature", "s3": "400 InvalidRequest"}},
		{"changed body", c, now, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("Action=Say&Version=3&Name=changed")) },
			map[string]string{"table": "400 InvalidSignatureException", "func": "403 InvalidSignatureException",
				"asks": "403 SignatureDoesNotMatch", "s3": "400 XAmzContentSHA256Mismatch"}},
	}
	for _, tt := range tests {
		for to, want := range tt.want {
			t.Run(tt.name+" "+to, func(t *testing.T) {
				r := say(tt.client, to, "hello", tt.at, func(r *http.Request) {
					if tt.change != nil {
						r.ContentLength = -1
						tt.change(r)
					}
				})
				if got := fmt.Sprint(r.Status, " ", code(r)); got != want {
					t.Errorf("got %s, want %s\n%s", got, want, r.Body)
				}
			})
		}
	}
}

func TestSentences(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	wrong := *c
	wrong.Credentials.SecretAccessKey += "x"
	for to, want := range map[string]string{
		"table": "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		"asks":  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		"s3":    "<Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message>",
	} {
		if r := say(&wrong, to, "hello", time.Now(), nil); !strings.Contains(string(r.Body), want) {
			t.Errorf("%s: %s\nwant %s", to, r.Body, want)
		}
	}
	if r := say(&wrong, "s3", "hello", time.Now(), nil); !strings.Contains(string(r.Body), "<StringToSign>AWS4-HMAC-SHA256") || !strings.Contains(string(r.Body), "<AWSAccessKeyId>"+wrong.Credentials.AccessKeyID) {
		t.Errorf("S3 does not show the string to sign: %s", r.Body)
	}
}

// TestScope signs for another service than the one that the request is for.
func TestScope(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	r, _ := http.NewRequest("POST", "http://localhost/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "Table_1.Say")
	reply := c.Do("func", r)
	if reply.Status != 400 || code(reply) != "InvalidSignatureException" {
		t.Errorf("%d %s", reply.Status, reply.Body)
	}
}

func TestOperations(t *testing.T) {
	var log bytes.Buffer
	c := servicetest.NewWith(t, gateway.Config{Services: testServices(), Log: slog.New(slog.NewJSONHandler(&log, nil))})
	tests := []struct{ name, table, fun, asks string }{
		{"hello", `200  {"Name":"hello"}`, `200  {"Name":"hello"}`, `200  <SayResponse xmlns="urn:asks"><SayResult><Name>hello</Name></SayResult>`},
		{"absent", `404 NoSuchThing`, `404 NoSuchThing`, `404 NoSuchThing`},
		{"no", `400 ValidationException`, `400 ValidationException`, `400 ValidationError`},
		{"broken", `500 InternalServerError`, `500 ServiceException`, `500 InternalFailure`},
		{"panic", `500  Internal error. Request id: `, `500  Internal error. Request id: `, `500  Internal error. Request id: `},
	}
	for _, tt := range tests {
		for to, want := range map[string]string{"table": tt.table, "func": tt.fun, "asks": tt.asks} {
			log.Reset()
			r := say(c, to, tt.name, time.Now(), nil)
			got := fmt.Sprintf("%d %s", r.Status, code(r))
			if code(r) == "" {
				got += " " + string(r.Body)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: got %s, want %s", to, tt.name, got, want)
			}
			if strings.Contains(string(r.Body), "disk") || strings.Contains(string(r.Body), "a bug") {
				t.Errorf("%s %s tells a stranger our own error: %s", to, tt.name, r.Body)
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("not one log line: %v\n%s", err, &log)
			}
			if line["service"] != to || line["operation"] != "Say" || line["account"] != "000000000000" || line["status"] != float64(r.Status) || line["id"] == "" {
				t.Errorf("log line %s", &log)
			}
			if r.Status == 500 && line["level"] != "ERROR" {
				t.Errorf("an error of our own is not logged as one: %s", &log)
			}
		}
	}
	if r := say(c, "table", "hello", time.Now(), nil); r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("reply's version is not the request's: %v", r.Header)
	}
	if r := c.JSON("Table_1.Missing", "{}", "table"); r.Status != 501 || code(r) != "NotImplemented" || !strings.Contains(string(r.Body), "lambent does not implement table:Missing yet.") {
		t.Errorf("an operation of the model that nobody answers: %d %s", r.Status, r.Body)
	}
}

// TestUnsignedOperation reaches an operation that the model opens to everyone.
func TestUnsignedOperation(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	c.Credentials = sigv4.Credentials{}
	if r := c.REST("func", "PATCH", "/2015-03-31/say", `{"Name":"hello"}`); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := c.Query("asks", url.Values{"Action": {"Open"}, "Version": {"3"}, "Name": {"hello"}}); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

type judge func(c cloud.Caller, action string, resources []string) error

func (j judge) Authorize(_ context.Context, c cloud.Caller, action string, resources []string) error {
	return j(c, action, resources)
}

func TestPermission(t *testing.T) {
	user := cloud.Caller{Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/u"}
	c := servicetest.New(t, testServices()...)
	const sentence = "User: arn:aws:iam::111122223333:user/u is not authorized to perform: table:Say on resource: * because no identity-based policy allows the table:Say action"
	r := say(c.As(user), "table", "hello", time.Now(), nil)
	if r.Status != 400 || code(r) != "AccessDeniedException" || !strings.Contains(string(r.Body), sentence) {
		t.Errorf("without an authorizer: %d %s", r.Status, r.Body)
	}

	var asked string
	c = servicetest.NewWith(t, gateway.Config{Services: testServices(), Authorizer: judge(func(c cloud.Caller, action string, resources []string) error {
		asked = fmt.Sprint(c.ARN, " ", action, " ", resources)
		switch action {
		case "table:Say":
			return nil
		case "asks:Say":
			return cloud.Faultf("AccessDenied", "You may not.")
		}
		return errors.New("policy store is away")
	})})
	for to, want := range map[string]string{"table": "200 ", "asks": "403 AccessDenied", "func": "500 ServiceException"} {
		r := say(c.As(user), to, "hello", time.Now(), nil)
		if got := fmt.Sprint(r.Status, " ", code(r)); got != want {
			t.Errorf("%s: got %s, want %s", to, got, want)
		}
		if asked != user.ARN+" "+to+":Say [*]" {
			t.Errorf("%s: asked %q", to, asked)
		}
	}
	asked = ""
	if r := say(c, "func", "hello", time.Now(), nil); r.Status != 200 || asked != "" {
		t.Errorf("root was refused or asked about: %d %s %q", r.Status, r.Body, asked)
	}
}

func TestCaller(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	r := say(c, "func", "caller", time.Now(), nil)
	var out struct{ Name string }
	var got cloud.Caller
	if err := errors.Join(json.Unmarshal(r.Body, &out), json.Unmarshal([]byte(out.Name), &got)); err != nil {
		t.Fatal(err, string(r.Body))
	}
	want := cloud.Caller{Account: "000000000000", Region: "eu-west-1", ARN: "arn:aws:iam::000000000000:root", UserID: "000000000000",
		AccessKeyID: c.Credentials.AccessKeyID, Root: true, RequestID: r.Header.Get("X-Amzn-Requestid"), SourceIP: "127.0.0.1", Host: "localhost", Now: got.Now}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestObjects(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	r := c.REST("s3", "PUT", "/bucket/key", "content")
	if r.Status != 200 || string(r.Body) != "content" || len(r.Header.Get("X-Amz-Request-Id")) != 16 || r.Header.Get("X-Amz-Id-2") == "" {
		t.Errorf("%d %q %v", r.Status, r.Body, r.Header)
	}
	if r := c.REST("s3", "HEAD", "/bucket/key", ""); r.Status != 200 || len(r.Body) != 0 {
		t.Errorf("HEAD: %d %q", r.Status, r.Body)
	}
	if r := c.REST("s3", "DELETE", "/bucket/key", ""); r.Status != 405 || code(r) != "MethodNotAllowed" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	r = say(c, "s3", "content", time.Now(), func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") })
	if r.Status != 403 || !strings.Contains(string(r.Body), "<HeadersNotSigned>x-amz-acl</HeadersNotSigned>") {
		t.Errorf("a header added to a signed request: %d %s", r.Status, r.Body)
	}
}

func TestPublished(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	for _, tt := range []struct{ host, target, want string }{
		{"abc.execute-api.eu-west-1.localhost:4566", "/dev/a%2Fb", "POST id=abc region=eu-west-1 prefix= path=/dev/a/b raw=/dev/a%2Fb root=false body=x"},
		{"abc.execute-api.eu-west-1.localhost:4566", "/health", "POST id=abc region=eu-west-1 prefix= path=/health raw=/health root=false body=x"},
		{"localhost:4566", "/restapis/abc/_user_request_/a", "POST id=abc region= prefix=/restapis/abc/_user_request_ path=/a raw=/a root=false body=x"},
	} {
		r := httptest.NewRequest("POST", tt.target, strings.NewReader("x"))
		r.Host = tt.host
		if got := c.Prepared(r); string(got.Body) != tt.want {
			t.Errorf("%s%s\n got %s\nwant %s", tt.host, tt.target, got.Body, tt.want)
		}
	}
	r, _ := http.NewRequest("POST", "http://abc.execute-api.eu-west-1.localhost/", strings.NewReader("x"))
	if got := c.Do("execute-api", r); !strings.Contains(string(got.Body), "root=true body=x") {
		t.Errorf("a signed call is not recognised: %s", got.Body)
	}
	wrong := *c
	wrong.Credentials.SecretAccessKey += "x"
	r, _ = http.NewRequest("POST", "http://abc.execute-api.eu-west-1.localhost/", strings.NewReader("x"))
	if got := wrong.Do("execute-api", r); !strings.Contains(string(got.Body), "root=false body=x") {
		t.Errorf("a wrongly signed call: %s", got.Body)
	}
}

func TestOwnPaths(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	c.Credentials = sigv4.Credentials{}
	if r := c.REST("", "GET", "/health", ""); r.Status != 200 || string(r.Body) != `{"status":"ok"}`+"\n" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	say(c, "table", "hello", time.Now(), nil)
	r := c.REST("", "GET", "/metrics", "")
	if !strings.Contains(string(r.Body), `lambent_request_seconds_count{operation="Say",service="table",status="4xx"} 1`) || !strings.Contains(string(r.Body), "lambent_requests_in_flight 1") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	far := httptest.NewRequest("GET", "/metrics", nil)
	far.RemoteAddr = "192.0.2.1:99"
	rec := httptest.NewRecorder()
	c.Gateway.ServeHTTP(rec, far)
	if rec.Code != 403 {
		t.Errorf("metrics to a stranger: %d", rec.Code)
	}
}

func TestCall(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	root := cloud.Caller{Account: "000000000000", Root: true}
	out, err := c.Gateway.Call(t.Context(), root, "asks", "Say", map[string]any{"Name": "hello"})
	if err != nil || out["Name"] != "hello" {
		t.Errorf("%v, %v", out, err)
	}
	for _, tt := range []struct {
		service, operation string
		in                 map[string]any
		c                  cloud.Caller
		want               string
	}{
		{"asks", "Say", map[string]any{"Name": "no"}, root, "400 ValidationError"},
		{"asks", "Say", map[string]any{"Nam": "no"}, root, "400 ValidationException"},
		{"asks", "Say", map[string]any{"Name": "absent"}, root, "404 NoSuchThing"},
		{"asks", "Say", map[string]any{"Name": "broken"}, root, "500 InternalFailure"},
		{"asks", "Say", map[string]any{"Name": "panic"}, root, "500 InternalFailure"},
		{"asks", "Say", map[string]any{"Name": "hello"}, cloud.Caller{}, "403 AccessDenied"},
		{"asks", "Missing", nil, root, "501 NotImplemented"},
		{"asks", "Dance", nil, root, "400 InvalidAction"},
		{"dances", "Dance", nil, root, "501 NotImplemented"},
	} {
		_, err := c.Gateway.Call(t.Context(), tt.c, tt.service, tt.operation, tt.in)
		f, ok := errors.AsType[*cloud.Fault](err)
		if !ok || fmt.Sprint(f.Status, " ", f.Code) != tt.want {
			t.Errorf("%s:%s(%v): %v, want %s", tt.service, tt.operation, tt.in, err, tt.want)
		}
	}
}

func TestBodyLimits(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	big := strings.Repeat("x", 16<<20+1)
	if r := say(c, "table", big, time.Now(), nil); r.Status != 413 {
		t.Errorf("a body over the limit: %d %.200s", r.Status, r.Body)
	}
	c.Credentials = sigv4.Credentials{}
	if r := c.REST("func", "PATCH", "/2015-03-31/say", big[:2<<20]); r.Status != 413 {
		t.Errorf("an unsigned body over the limit: %d %.200s", r.Status, r.Body)
	}
}

func TestAdmin(t *testing.T) {
	admin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write([]byte(r.URL.Path + " " + string(body)))
	})
	c := servicetest.NewWith(t, gateway.Config{Services: testServices(), Admin: admin})
	ask := func(c *servicetest.Client, signing string) *servicetest.Reply {
		r, _ := http.NewRequest("POST", "http://localhost:4566/_lambent/x", strings.NewReader("body"))
		return c.Do(signing, r)
	}
	if r := ask(c, "lambent"); r.Status != 200 || string(r.Body) != "/_lambent/x body" {
		t.Errorf("root: %d %s", r.Status, r.Body)
	}
	unsigned := *c
	unsigned.Credentials = sigv4.Credentials{}
	wrong := *c
	wrong.Credentials.SecretAccessKey += "x"
	for name, r := range map[string]*servicetest.Reply{
		"unsigned": ask(&unsigned, "lambent"), "wrong secret": ask(&wrong, "lambent"), "another service": ask(c, "s3"),
		"not root": ask(c.As(cloud.Caller{Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/u"}), "lambent"),
	} {
		if r.Status != 403 || strings.Contains(string(r.Body), "/_lambent/x") {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
}
