package vectors_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/protocol"
)

// testCase is one vector; see tool/vectors.
type testCase struct {
	Service, Operation, Error, Kind string
	Case                            struct {
		ID        string
		AppliesTo string

		// Of requests.
		Method, URI   string
		ResolvedHost  string
		QueryParams   []string
		Headers       map[string]string
		Body          *string
		BodyMediaType string
		Params        map[string]any

		// Of responses.
		Code           int
		RequireHeaders []string
		ForbidHeaders  []string

		// Of malformed requests.
		Request        malformedRequest
		Response       malformedResponse
		TestParameters map[string][]string
	}
}

// TestVectors runs the vectors in reverse: where a client makes a request of parameters we read
// parameters from the request, and where it reads a response we make it.
func TestVectors(t *testing.T) {
	skips := readSkips(t)
	count, used := map[string]int{}, map[string]bool{}
	for _, c := range readCases(t) {
		id := c.Kind + "/" + c.Case.ID
		why, skipped := skips[id]
		switch {
		case c.Case.AppliesTo == "client":
			count["client only"]++
		case skipped:
			count["skipped"]++
			if why == "" {
				t.Errorf("%s is skipped without a reason", id)
			}
		default:
			count["run"]++
			t.Run(id, func(t *testing.T) { c.run(t) })
		}
		used[id] = true
	}
	for id := range skips {
		if !used[id] {
			t.Errorf("testdata/skips.txt names %s, which is no vector", id)
		}
	}
	t.Logf("vectors: %v", count)
}

func readCases(t *testing.T) (cases []*testCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// readSkips reads the list of vectors that do not apply: a line with the reason, and below it, indented, the
// kind and id of each vector.
func readSkips(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/skips.txt")
	if err != nil {
		t.Fatal(err)
	}
	skips, why := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimRight(line, "\n"); {
		case line == "" || line[0] == '#':
		case line[0] == '\t':
			skips[strings.TrimSpace(line)] = why
		default:
			why = line
		}
	}
	return skips
}

func (c *testCase) run(t *testing.T) {
	api := apis[c.Service]
	codec, ok := protocol.For(api.Protocols[0])
	if !ok {
		t.Fatalf("no codec for %s", api.Protocols[0])
	}
	switch {
	case c.Kind == "malformed":
		c.runMalformed(t, api, codec)
	case c.Kind == "request":
		c.runRequest(t, api, codec)
	case c.Error != "":
		c.runError(t, api, codec)
	default:
		c.runResponse(t, api, codec)
	}
}

func (c *testCase) operation(t *testing.T, api *service.API) *service.OperationModel {
	t.Helper()
	for i := range api.Operations {
		if api.Operations[i].Name == c.Operation {
			return &api.Operations[i]
		}
	}
	t.Fatalf("no operation %s", c.Operation)
	return nil
}

func (c *testCase) runRequest(t *testing.T, api *service.API, codec wire.Codec) {
	op := c.operation(t, api)
	want := reflect.New(op.Input)
	fill(t, want.Elem(), c.Case.Params)
	body := ""
	if c.Case.Body != nil {
		body = *c.Case.Body
	}
	uri := c.Case.URI
	if bucket, _, ok := strings.Cut(c.Case.ResolvedHost, ".s3"); ok && bucket != "" {
		uri = "/" + bucket + strings.TrimSuffix(uri, "/") // the gateway's work
	}
	r := request(t, op, c.Case.Method, uri, c.Case.QueryParams, c.Case.Headers, body)
	got := reflect.New(op.Input)
	if err := codec.Decode(api, op, r, got.Interface()); err != nil {
		t.Fatalf("Decode: %v\nof %s", err, body)
	}
	if diff := difference("", got.Elem(), want.Elem()); diff != "" {
		t.Errorf("%s\nof %s", diff, body)
	}
}

// request makes what the gateway would hand to the codec.
func request(t *testing.T, op *service.OperationModel, method, uri string, query []string, headers map[string]string, body string) *wire.Request {
	t.Helper()
	path, inURI, _ := strings.Cut(uri, "?")
	if inURI != "" {
		query = append([]string{inURI}, query...)
	}
	values, err := url.ParseQuery(strings.Join(query, "&"))
	if err != nil {
		t.Fatal(err)
	}
	r := &wire.Request{Method: method, Header: http.Header{}, Query: values, Body: strings.NewReader(body), Length: int64(len(body))}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	if op.URI == "" {
		return r
	}
	pattern, err := wire.ParseURI(op.URI)
	if err != nil {
		t.Fatal(err)
	}
	labels, ok := pattern.Match(path)
	if !ok {
		t.Fatalf("%s does not match %s", path, op.URI)
	}
	r.Labels = labels
	return r
}

func (c *testCase) runResponse(t *testing.T, api *service.API, codec wire.Codec) {
	op := c.operation(t, api)
	out := reflect.New(op.Output)
	fill(t, out.Elem(), c.Case.Params)
	resp, err := codec.Encode(api, op, c.requestID(), out.Interface())
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	c.compareResponse(t, api, resp)
}

func (c *testCase) runError(t *testing.T, api *service.API, codec wire.Codec) {
	i := slices.IndexFunc(api.Errors, func(e service.ErrorModel) bool { return e.Name == c.Error })
	if i < 0 {
		t.Fatalf("no error %s", c.Error)
	}
	detail := reflect.New(api.Errors[i].Type)
	fill(t, detail.Elem(), c.Case.Params)
	f := &cloud.Fault{Code: c.Error, Detail: detail.Interface()}
	c.compareResponse(t, api, codec.EncodeFault(api, nil, c.requestID(), f))
}

var requestIDForm = regexp.MustCompile(`<RequestId>(.*)</RequestId>`)

// requestID returns the id that the vector's response shows.
func (c *testCase) requestID() string {
	if id := c.Case.Headers["X-Amzn-Requestid"]; id != "" {
		return id
	}
	if c.Case.Body != nil {
		if m := requestIDForm.FindStringSubmatch(*c.Case.Body); m != nil {
			return m[1]
		}
	}
	return "foo-id"
}

func (c *testCase) compareResponse(t *testing.T, api *service.API, resp *wire.Response) {
	t.Helper()
	if resp.Stream != nil {
		b, err := io.ReadAll(resp.Stream)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body = b
	}
	if resp.Status != c.Case.Code {
		t.Errorf("status %d, want %d", resp.Status, c.Case.Code)
	}
	for k, want := range c.Case.Headers {
		if k == "Content-Length" {
			continue // the gateway's
		}
		if got := strings.Join(header(resp, k), ", "); !sameHeader(k, got, want) {
			t.Errorf("header %s is %q, want %q", k, got, want)
		}
	}
	for _, k := range c.Case.ForbidHeaders {
		if header(resp, k) != nil {
			t.Errorf("header %s stands", k)
		}
	}
	for _, k := range c.Case.RequireHeaders {
		if header(resp, k) == nil && k != "Content-Length" {
			t.Errorf("header %s is missing", k)
		}
	}
	if c.Case.Body == nil {
		return
	}
	if diff := compareBodies(c.mediaType(api), string(resp.Body), *c.Case.Body); diff != "" {
		t.Errorf("%s\ngot  %s\nwant %s", diff, resp.Body, *c.Case.Body)
	}
}

// mediaType is how bodies are compared where the vector does not say.
func (c *testCase) mediaType(api *service.API) string {
	if c.Case.BodyMediaType != "" || c.Case.Body == nil || *c.Case.Body == "" {
		return c.Case.BodyMediaType
	}
	switch api.Protocols[0] {
	case service.AWSQuery, service.RestXML:
		return "application/xml"
	case service.AWSJSON10, service.AWSJSON11:
		return "application/json"
	}
	return ""
}

// sameHeader compares lists without regard to the white space after their commas.
// header finds a header whatever the case of its name, as a client does.
func header(resp *wire.Response, name string) []string {
	for k, v := range resp.Header {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

func sameHeader(name, got, want string) bool {
	if strings.EqualFold(name, "Content-Type") {
		g, _, _ := mime.ParseMediaType(got)
		w, _, _ := mime.ParseMediaType(want)
		return g == w
	}
	return strings.ReplaceAll(got, ", ", ",") == strings.ReplaceAll(want, ", ", ",")
}

// malformedRequest may hold $name:L (a literal) and $name:S (a JSON string) of the test's parameters.
type malformedRequest struct {
	Method, URI string
	QueryParams []string
	Headers     map[string]string
	Body        string
}

type malformedResponse struct {
	Code    int
	Headers map[string]string
}

func (c *testCase) runMalformed(t *testing.T, api *service.API, codec wire.Codec) {
	op := c.operation(t, api)
	for i := range c.variants() {
		q := c.Case.Request
		sub := c.substitution(i)
		query := slices.Clone(q.QueryParams)
		for j := range query {
			query[j] = strings.Replace(query[j], "=", "\x00", 1)
			k, v, _ := strings.Cut(sub(query[j]), "\x00")
			query[j] = k + "=" + url.QueryEscape(v)
		}
		headers := maps.Clone(q.Headers)
		for k, v := range headers {
			headers[k] = sub(v)
		}
		body := sub(q.Body)
		r := request(t, op, q.Method, strings.ReplaceAll(sub(q.URI), " ", "%20"), query, headers, body)
		in := reflect.New(op.Input).Interface()
		err := codec.Decode(api, op, r, in)
		if err == nil {
			err = protocol.Validate(api, api.Protocols[0], in)
		}
		f, ok := errors.AsType[*cloud.Fault](err)
		if !ok {
			t.Errorf("%s %s %s: err = %v, want a fault", q.URI, query, body, err)
			continue
		}
		resp := codec.EncodeFault(api, op, c.requestID(), f)
		if resp.Status != c.Case.Response.Code {
			t.Errorf("status %d, want %d", resp.Status, c.Case.Response.Code)
		}
		want := c.Case.Response.Headers["x-amzn-errortype"]
		if got := resp.Header.Get("X-Amzn-Errortype"); got != want {
			t.Errorf("error type %s (%s), want %s", got, f.Message, want)
		}
	}
}

// variants is how many values each test parameter has.
func (c *testCase) variants() int {
	for _, values := range c.Case.TestParameters {
		return len(values)
	}
	return 1
}

func (c *testCase) substitution(i int) func(string) string {
	var pairs []string
	for name, values := range c.Case.TestParameters {
		quoted, _ := json.Marshal(values[i])
		pairs = append(pairs, "$"+name+":L", values[i], "$"+name+":S", string(quoted))
	}
	return strings.NewReplacer(pairs...).Replace
}
