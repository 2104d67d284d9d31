// Package restjson speaks restJson1: members stand in path, query and headers, and the rest in a JSON body.
package restjson

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

// Codec is the protocol's codec.
type Codec struct{}

const contentType = "application/json"

// Decode implements wire.Codec.
func (Codec) Decode(_ *service.API, _ *service.OperationModel, r *wire.Request, in any) error {
	s, err := plan.Open(in)
	if err != nil {
		return err
	}
	if err := httpbind.Decode(r, s, httpbind.Options{ExactTimes: true}); err != nil {
		return err
	}
	if done, err := httpbind.DecodePayload(r, s); done || err != nil {
		return err
	}
	if done, err := events.Input(r, s); done {
		return err
	}
	body, err := httpbind.ReadBody(r)
	if err != nil {
		return err
	}
	if m := s.Type().Payload; m != nil {
		return jsonbody.DecodeMember(body, s, m)
	}
	if !s.Type().HasBody {
		return nil
	}
	return jsonbody.Decode(body, s)
}

// events is the form of payloads.
var events = eventbody.Format{
	ContentType: contentType,
	Decode:      jsonbody.Decode, DecodeMember: jsonbody.DecodeMember, Append: jsonbody.Append, AppendMember: jsonbody.AppendMember,
}

// Encode implements wire.Codec.
func (Codec) Encode(_ *service.API, op *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	resp := &wire.Response{Status: op.Status, Header: header(requestID)}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	httpbind.Encode(s, resp)
	if httpbind.EncodePayload(s, resp) || events.Output(s, resp) {
		return resp, nil
	}
	if m := s.Type().Payload; m != nil {
		if v, ok := s.Get(m); ok {
			resp.Body = jsonbody.AppendValue(nil, v)
		}
	} else if !s.Type().Nothing && resp.Status != http.StatusNoContent {
		resp.Body = jsonbody.Append(nil, s)
	}
	if len(resp.Body) > 0 && resp.Header.Get("Content-Type") == "" {
		resp.Header.Set("Content-Type", contentType)
	}
	return resp, nil
}

// EncodeFault implements wire.Codec.
func (Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	resp := &wire.Response{Status: v.Status, Header: header(requestID)}
	resp.Header.Set("Content-Type", contentType)
	resp.Header.Set("X-Amzn-Errortype", v.Name)
	if v.HasMore {
		status := resp.Status
		httpbind.Encode(v.Detail, resp)
		resp.Status = status
	}
	resp.Body = jsontext.AppendEnd(jsonbody.AppendFault([]byte{'{'}, v), '}')
	return resp
}

func header(requestID string) http.Header {
	h := http.Header{}
	h.Set("X-Amzn-Requestid", requestID)
	return h
}
