// Package awsjson speaks the protocols awsJson 1.0 and 1.1: the operation is named in a header, and input,
// output and faults are JSON bodies.
package awsjson

import (
	"net/http"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/eventbody"
	"lambent/wire/fault"
	"lambent/wire/httpbind"
	"lambent/wire/jsonbody"
	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// Codec speaks one of the two versions, which differ in their content type only.
type Codec struct {
	contentType string
}

// The two versions.
var (
	V10 wire.Codec = Codec{"application/x-amz-json-1.0"}
	V11 wire.Codec = Codec{"application/x-amz-json-1.1"}
)

// Decode implements wire.Codec.
func (Codec) Decode(_ *service.API, _ *service.OperationModel, r *wire.Request, in any) error {
	s, err := plan.Open(in)
	if err != nil {
		return err
	}
	if done, err := events.Input(r, s); done {
		return err
	}
	body, err := httpbind.ReadBody(r)
	if err != nil {
		return err
	}
	return jsonbody.Decode(body, s)
}

// events is the form of payloads. Members beside the stream have no place but in a first message.
var events = eventbody.Format{
	ContentType: "application/json", Initial: true,
	Decode: jsonbody.Decode, DecodeMember: jsonbody.DecodeMember, Append: jsonbody.Append, AppendMember: jsonbody.AppendMember,
}

// Encode implements wire.Codec.
func (c Codec) Encode(_ *service.API, op *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	resp := &wire.Response{Status: status(op), Header: c.header(requestID)}
	if s.Type().Events != nil {
		resp.Header.Set("Content-Type", eventbody.ContentType)
		events.Output(s, resp)
		return resp, nil
	}
	if !s.Type().Nothing {
		resp.Body = jsonbody.Append(nil, s)
	}
	return resp, nil
}

func status(op *service.OperationModel) int {
	if op.Status == 0 {
		return http.StatusOK
	}
	return op.Status
}

// EncodeFault implements wire.Codec.
func (c Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	h := c.header(requestID)
	if api != nil && api.QueryErrors {
		h.Set("X-Amzn-Query-Error", v.QueryError())
	}
	b := append([]byte(`{"__type":`), jsontext.AppendString(nil, v.Name)...)
	b = jsonbody.AppendFault(append(b, ','), v)
	return &wire.Response{Status: v.Status, Header: h, Body: jsontext.AppendEnd(b, '}')}
}

func (c Codec) header(requestID string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", c.contentType)
	h.Set("X-Amzn-Requestid", requestID)
	return h
}
