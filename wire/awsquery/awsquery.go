// Package awsquery speaks awsQuery: input is a form of dotted parameter names, output and faults are XML.
package awsquery

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

// Decode implements wire.Codec. The parameters may stand in the URL, the body, or both.
func (Codec) Decode(_ *service.API, _ *service.OperationModel, r *wire.Request, in any) error {
	s, err := plan.Open(in)
	if err != nil {
		return err
	}
	return querybody.Decode(r, s, querybody.AWSQuery)
}

// Encode implements wire.Codec.
func (Codec) Encode(api *service.API, op *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	w := &xmlbody.Writer{}
	w.Open(op.Name+"Response", plan.Namespace{URI: api.XMLNamespace})
	if op.Wrapper != "" {
		w.Element(op.Wrapper, plan.Namespace{}, s)
	} else {
		w.Members(s)
	}
	w.Open("ResponseMetadata", plan.Namespace{})
	w.Text("RequestId", requestID)
	w.Close("ResponseMetadata")
	w.Close(op.Name + "Response")
	return &wire.Response{Status: http.StatusOK, Header: header(requestID), Body: w.B}, nil
}

// EncodeFault implements wire.Codec.
func (Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	namespace := ""
	if api != nil {
		namespace = api.XMLNamespace
	}
	w := &xmlbody.Writer{}
	w.ErrorResponse(namespace, requestID, v)
	return &wire.Response{Status: v.Status, Header: header(requestID), Body: w.B}
}

func header(requestID string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "text/xml")
	h.Set("X-Amzn-Requestid", requestID)
	return h
}
