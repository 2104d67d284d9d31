// Package rpcv2cbor speaks Smithy's rpcv2Cbor: the operation stands in the path, /service/X/operation/Y, and
// input, output and faults are CBOR bodies.
package rpcv2cbor

import (
	"net/http"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/cbor"
	"lambent/wire/eventbody"
	"lambent/wire/fault"
	"lambent/wire/httpbind"
	"lambent/wire/plan"
)

// Codec is the protocol's codec.
type Codec struct{}

const contentType = "application/cbor"

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
	return decode(body, s)
}

// events is the form of payloads. Members beside the stream have no place but in a first message.
var events = eventbody.Format{
	ContentType: contentType, Initial: true,
	Decode: decode, DecodeMember: decodeMember, Append: appendStructure, AppendMember: appendMember,
}

// Encode implements wire.Codec. An operation without an output has a reply without a body.
func (Codec) Encode(_ *service.API, _ *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	resp := &wire.Response{Status: http.StatusOK, Header: header(requestID)}
	if s.Type().Nothing {
		return resp, nil
	}
	if events.Output(s, resp) {
		return resp, nil
	}
	resp.Header.Set("Content-Type", contentType)
	resp.Body = appendStructure(nil, s)
	return resp, nil
}

// EncodeFault implements wire.Codec.
func (Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	h := header(requestID)
	h.Set("Content-Type", contentType)
	if api != nil && api.QueryErrors {
		h.Set("X-Amzn-Query-Error", v.QueryError())
	}
	b := cbor.AppendOpenMap(nil)
	b = cbor.AppendText(cbor.AppendText(b, "__type"), v.Name)
	return &wire.Response{Status: v.Status, Header: h, Body: cbor.AppendBreak(appendFault(b, v))}
}

func header(requestID string) http.Header {
	h := http.Header{}
	h.Set("Smithy-Protocol", "rpc-v2-cbor")
	h.Set("X-Amzn-Requestid", requestID)
	return h
}
