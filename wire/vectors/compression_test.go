package vectors_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"lambent/service"
	"lambent/wire"
	"lambent/wire/jsonbody"
	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

// Vectors of compression say that the body is gzip, and hold none: the test makes it of the parameters.

func (c *testCase) isCompressed() bool {
	return c.Case.Body == nil && strings.HasSuffix(c.Case.Headers["Content-Encoding"], "gzip")
}

// packed writes an input as a client would, compressed.
func packed(t *testing.T, api *service.API, op *service.OperationModel, in reflect.Value) string {
	t.Helper()
	s, err := plan.Open(in.Interface())
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	switch api.Protocols[0] {
	case service.RestXML:
		w := &xmlbody.Writer{}
		w.Element(op.Name+"Request", plan.Namespace{}, s)
		body = w.B
	case service.AWSQuery, service.EC2Query:
		form := url.Values{"Action": {op.Name}, "Version": {api.Version}}
		for _, m := range s.Type().Members {
			if v, ok := s.Get(m); ok {
				form.Set(strings.ToUpper(m.Wire[:1])+m.Wire[1:], v.String())
				form.Set(m.Wire, v.String())
			}
		}
		body = []byte(form.Encode())
	default:
		body = jsonbody.Append(nil, s)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// unpack does to a request what the gateway does before the codec sees it.
func unpack(t *testing.T, r *wire.Request) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, r.Header, err = wire.Decompress(r.Header, body, 1<<20); err != nil {
		t.Fatal(err)
	}
	r.Body, r.Length = bytes.NewReader(body), int64(len(body))
}
