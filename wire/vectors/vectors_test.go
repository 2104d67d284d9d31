package vectors_test

import (
	"encoding/base64"
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

	Events eventCase `json:"-"` // the case again, of an event stream
	ignore []string  // members that are not compared

	Case struct {
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

// leastPassed is the share of the vectors for servers that must pass.
const leastPassed = 0.97

// TestVectors runs the vectors in reverse: where a client makes a request of parameters we read
// parameters from the request, and where it reads a response we make it.
func TestVectors(t *testing.T) {
	skips := readSkips(t)
	client, skipped, ran, passed, partly := 0, 0, 0, map[string]int{}, 0
	used := map[string]bool{}
	for _, c := range readCases(t) {
		id := c.Kind + "/" + c.Case.ID
		used[id] = true
		skip, ok := skips[id]
		switch {
		case ok && skip.why == "":
			t.Errorf("%s is skipped without a reason", id)
		case c.Case.AppliesTo == "client":
			client++
		case ok && len(skip.members) == 0:
			skipped++
		default:
			if c.ignore = skip.members; ok {
				partly++
			}
			ran++
			if t.Run(id, c.run) {
				passed[string(apis[c.Service].Protocols[0])+" "+c.Kind]++
			}
		}
	}
	for id := range skips {
		if !used[id] {
			t.Errorf("testdata/skips.txt names %s, which is no vector", id)
		}
	}
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(passed)) {
		total += passed[kind]
		t.Logf("%4d %s", passed[kind], kind)
	}
	share := float64(total) / float64(ran+skipped)
	t.Logf("%d of %d vectors for servers pass (%.1f %%), %d of them with a member left out; %d are skipped, %d are for clients only",
		total, ran+skipped, 100*share, partly, skipped, client)
	if share < leastPassed {
		t.Errorf("less than %v of the vectors pass", leastPassed)
	}
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

// UnmarshalJSON reads a case in the form of its kind.
func (c *testCase) UnmarshalJSON(b []byte) error {
	type plain testCase
	if c.Kind = kindOf(b); c.Kind != "events" {
		return json.Unmarshal(b, (*plain)(c))
	}
	var e struct {
		Service, Operation string
		Case               struct {
			ID, AppliesTo string
			eventCase
		}
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	c.Service, c.Operation, c.Events = e.Service, e.Operation, e.Case.eventCase
	c.Case.ID, c.Case.AppliesTo = e.Case.ID, e.Case.AppliesTo
	return nil
}

func kindOf(b []byte) string {
	var k struct{ Kind string }
	_ = json.Unmarshal(b, &k) // what is wrong with it shows when it is read whole
	return k.Kind
}

// A skip is a vector that is not run, or not wholly.
type skip struct {
	why     string
	members []string // that are not compared; none: the vector is not run
}

// readSkips reads the list of vectors that do not apply: a line with the reason, and below it, indented, the
// kind and id of each vector. Members behind the id are left out of the comparison, and the vector runs.
func readSkips(t *testing.T) map[string]skip {
	t.Helper()
	text, err := os.ReadFile("testdata/skips.txt")
	if err != nil {
		t.Fatal(err)
	}
	skips, why := map[string]skip{}, ""
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimRight(line, "\n"); {
		case line == "" || line[0] == '#':
		case line[0] == '\t':
			words := strings.Fields(line)
			skips[words[0]] = skip{why, words[1:]}
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
	case c.Kind == "events":
		c.runEvents(t, api, codec)
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
	body := c.body(t, api)
	if c.isCompressed() {
		body = packed(t, api, op, want)
	}
	uri := c.Case.URI
	if bucket, _, ok := strings.Cut(c.Case.ResolvedHost, ".s3"); ok && bucket != "" {
		uri = "/" + bucket + strings.TrimSuffix(uri, "/") // the gateway's work
	}
	r := request(t, op, c.Case.Method, uri, c.Case.QueryParams, c.Case.Headers, body)
	unpack(t, r)
	got := reflect.New(op.Input)
	if err := codec.Decode(api, op, r, got.Interface()); err != nil {
		t.Fatalf("Decode: %v\nof %s", err, body)
	}
	for _, name := range c.ignore {
		got.Elem().FieldByName(name).SetZero()
		want.Elem().FieldByName(name).SetZero()
	}
	if diff := difference("", got.Elem(), want.Elem()); diff != "" {
		t.Errorf("%s\nof %s", diff, body)
	}
}

// body returns the vector's body, "" where it has none. CBOR is written as base64.
func (c *testCase) body(t *testing.T, api *service.API) string {
	t.Helper()
	switch {
	case c.Case.Body == nil:
		return ""
	case api.Protocols[0] != service.RPCv2CBOR:
		return *c.Case.Body
	}
	raw, err := base64.StdEncoding.DecodeString(*c.Case.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
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
	if c.Case.Body != nil {
		if m := messageForm.FindStringSubmatch(*c.Case.Body); m != nil {
			f.Message = m[1] // every fault has one; the models do not always have a member for it
		}
	}
	c.compareResponse(t, api, codec.EncodeFault(api, nil, c.requestID(), f))
}

var (
	requestIDForm = regexp.MustCompile(`(?i)<RequestId>(.*)</RequestId>`)
	messageForm   = regexp.MustCompile(`<Message>(.*)</Message>`)
)

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
	case service.AWSQuery, service.EC2Query, service.RestXML:
		return "application/xml"
	case service.RPCv2CBOR:
		return "application/cbor"
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
		f := asFault(err)
		if f == nil {
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

// asFault returns err as a fault, or nil.
func asFault(err error) *cloud.Fault {
	f, _ := errors.AsType[*cloud.Fault](err)
	return f
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
