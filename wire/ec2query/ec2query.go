// Package ec2query speaks ec2Query, EC2's dialect of the query protocol: parameter names begin with a capital
// letter, lists are always flat, replies have no wrapper around the result, and errors a list of one around them.
package ec2query

import (
	"net/http"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/fault"
	"lambent/wire/plan"
	"lambent/wire/querybody"
	"lambent/wire/xmlbody"
)

// Codec is the protocol's codec.
type Codec struct{}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Decode implements wire.Codec. The parameters may stand in the URL, the body, or both.
func (Codec) Decode(_ *service.API, _ *service.OperationModel, r *wire.Request, in any) error {
	s, err := plan.Open(in)
	if err != nil {
		return err
	}
	return querybody.Decode(r, s, querybody.EC2Query)
}

// Encode implements wire.Codec.
func (Codec) Encode(api *service.API, op *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	w := &xmlbody.Writer{B: []byte(declaration)}
	w.Open(op.Name+"Response", plan.Namespace{URI: api.XMLNamespace})
	w.Text("requestId", requestID)
	w.Members(s)
	w.Close(op.Name + "Response")
	return &wire.Response{Status: http.StatusOK, Header: header(requestID), Body: w.B}, nil
}

// EncodeFault implements wire.Codec.
func (Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	w := &xmlbody.Writer{B: []byte(declaration)}
	w.Open("Response", plan.Namespace{})
	w.Open("Errors", plan.Namespace{})
	w.Open("Error", plan.Namespace{})
	w.Text("Code", v.Code)
	w.Text("Message", v.Message)
	w.Rest(v)
	w.Close("Error")
	w.Close("Errors")
	w.Text("RequestID", requestID)
	w.Close("Response")
	return &wire.Response{Status: v.Status, Header: header(requestID), Body: w.B}
}

func header(requestID string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "text/xml;charset=UTF-8")
	h.Set("X-Amzn-Requestid", requestID)
	return h
}
