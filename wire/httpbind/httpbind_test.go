package httpbind_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/httpbind"
	"lambent/wire/plan"
)

type message struct {
	Name    *string             `in:"uri"`
	Version *int32              `in:"uri"`
	Max     *int32              `in:"query" wire:"max-items"`
	Flag    *bool               `in:"query"`
	Since   *time.Time          `in:"query"`
	Types   []string            `in:"query" wire:"type"`
	All     map[string][]string `in:"query"`
	Words   []string            `in:"header" wire:"X-Words"`
	Dates   []time.Time         `in:"header" wire:"X-Dates"`
	Numbers []int32             `in:"header" wire:"X-Numbers"`
	Context *string             `in:"header" wire:"X-Context" jsonvalue:""`
	Meta    map[string]string   `in:"headers" wire:"X-Meta-"`
	Code    *int32              `in:"status"`
}

func decode(r *wire.Request) (*message, error) {
	v := &message{}
	s, err := plan.Open(v)
	if err != nil {
		return nil, err
	}
	return v, httpbind.Decode(r, s, httpbind.Options{})
}

func TestDecode(t *testing.T) {
	day := time.Date(2014, 4, 29, 18, 30, 38, 0, time.UTC)
	got, err := decode(&wire.Request{
		Labels: map[string]string{"Name": "a%2Fb+c", "Version": "3"},
		Query:  url.Values{"max-items": {"5"}, "Flag": {""}, "Since": {"2014-04-29T18:30:38Z"}, "type": {"x", "y"}},
		Header: http.Header{
			"X-Words": {`a, "b,\"c\\"`, ` d `}, "X-Dates": {"Tue, 29 Apr 2014 18:30:38 GMT, Tue, 29 Apr 2014 18:30:38 GMT"}, "X-Numbers": {"1,2, 3"},
			"X-Context": {"eyJhIjoxfQ=="}, "X-Meta-One": {"1"}, "X-Meta-": {"empty"}, "X-Metal": {"no"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &message{
		Name: new("a/b+c"), Version: new(int32(3)), Max: new(int32(5)), Since: &day, Types: []string{"x", "y"},
		All:   map[string][]string{"max-items": {"5"}, "Flag": {""}, "Since": {"2014-04-29T18:30:38Z"}, "type": {"x", "y"}},
		Words: []string{"a", `b,"c\`, "d"}, Dates: []time.Time{day, day}, Numbers: []int32{1, 2, 3}, Context: new(`{"a":1}`),
		Meta: map[string]string{"one": "1", "": "empty"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, r := range []*wire.Request{
		{Labels: map[string]string{"Name": "%zz"}},
		{Labels: map[string]string{"Version": "x"}},
		{Query: url.Values{"max-items": {"x"}}},
		{Query: url.Values{"Flag": {"yes"}}},
		{Header: http.Header{"X-Words": {`"a`}}},
		{Header: http.Header{"X-Words": {`"a" b`}}},
		{Header: http.Header{"X-Numbers": {"1,x"}}},
		{Header: http.Header{"X-Dates": {"x, y"}}},
		{Header: http.Header{"X-Context": {"*"}}},
	} {
		if _, err := decode(r); cloud.FaultCode(err) != "SerializationException" {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestEncode(t *testing.T) {
	day := time.Date(2014, 4, 29, 18, 30, 38, 0, time.UTC)
	s, err := plan.Open(&message{
		Name: new("not in replies"), Words: []string{"a", `b,"c\`, ""}, Dates: []time.Time{day}, Numbers: []int32{}, Context: new(`{}`),
		Meta: map[string]string{"One": "1"}, Code: new(int32(201)),
	})
	if err != nil {
		t.Fatal(err)
	}
	resp := &wire.Response{Status: 200, Header: http.Header{}}
	httpbind.Encode(s, resp)
	want := http.Header{
		"X-Words": {`a, "b,\"c\\", `}, "X-Dates": {"Tue, 29 Apr 2014 18:30:38 GMT"}, "X-Context": {"e30="}, "X-Meta-One": {"1"},
	}
	if resp.Status != 201 || !reflect.DeepEqual(resp.Header, want) {
		t.Errorf("%d %v", resp.Status, resp.Header)
	}
}

// A body that cannot be read is not the client's fault in the protocol's sense: the gateway knows why.
func TestReadBodyError(t *testing.T) {
	r := &wire.Request{Body: iotest.ErrReader(http.ErrHandlerTimeout)}
	if _, err := httpbind.ReadBody(r); err != http.ErrHandlerTimeout {
		t.Error(err)
	}
	r = &wire.Request{Body: strings.NewReader("abc"), Length: 1 << 60} // a lie
	if b, err := httpbind.ReadBody(r); string(b) != "abc" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// FuzzHeaderList: lists in headers part as they were joined.
func FuzzHeaderList(f *testing.F) {
	f.Add(`a, "b,c" , d`)
	f.Add(`"\"`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := decode(&wire.Request{Header: http.Header{"X-Words": {text}}})
		if err != nil || len(v.Words) == 0 {
			return
		}
		for _, w := range v.Words {
			if w != strings.TrimSpace(w) {
				return // white space at the ends does not survive
			}
		}
		s, _ := plan.Open(v)
		resp := &wire.Response{Header: http.Header{}}
		httpbind.Encode(s, resp)
		again, err := decode(&wire.Request{Header: resp.Header})
		if err != nil {
			t.Fatalf("%q does not read back: %v", resp.Header, err)
		}
		if strings.Join(v.Words, "") != "" && !reflect.DeepEqual(again.Words, v.Words) {
			t.Fatalf("%q reads back as %q", v.Words, again.Words)
		}
	})
}
