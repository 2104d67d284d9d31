// Package restxml speaks restXml: members stand in path, query and headers, and the rest in an XML body.
// S3 is its main user and departs from the others in what s3.go says.
package restxml

import (
	"bytes"
	"errors"
	"net/http"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/fault"
	"lambent/wire/httpbind"
	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

// Codec is the protocol's codec.
type Codec struct{}

const (
	contentType = "application/xml"
	declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

// Decode implements wire.Codec.
func (Codec) Decode(api *service.API, op *service.OperationModel, r *wire.Request, in any) error {
	s, err := plan.Open(in)
	if err != nil {
		return err
	}
	if err := httpbind.Decode(r, s, httpbind.Options{}); err != nil {
		return err
	}
	if isS3(api) {
		if err := checkDigests(op, r, s); err != nil {
			return err
		}
	}
	if done, err := httpbind.DecodePayload(r, s); done || err != nil {
		return err
	}
	if done, err := events.Input(r, s); done {
		return err
	}
	m := s.Type().Payload
	if m == nil && !s.Type().HasBody {
		return nil
	}
	body, err := httpbind.ReadBody(r)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	o := xmlbody.Options{Strict: isS3(api)}
	if m != nil {
		if o.Strict {
			o.Root = payloadRoot(m)
		}
		err = xmlbody.Decode(body, s.Make(m, nil), o)
	} else {
		err = xmlbody.Decode(body, s, o)
	}
	return malformed(api, err)
}

// payloadRoot is the name of the element that a payload member is.
func payloadRoot(m *plan.Member) string {
	switch {
	case m.Named:
		return m.Wire
	case m.Type.Root != "":
		return m.Type.Root
	case m.Type.Kind == plan.Struct:
		return m.Type.Shape
	}
	return m.Wire
}

func malformed(api *service.API, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*cloud.Fault](err); ok {
		return f
	}
	if isS3(api) {
		return &cloud.Fault{Code: "MalformedXML", Cause: err,
			Message: "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	return &cloud.Fault{Code: "SerializationException", Message: "Could not parse the request body as XML: " + err.Error()}
}

// Encode implements wire.Codec.
func (Codec) Encode(api *service.API, op *service.OperationModel, requestID string, out any) (*wire.Response, error) {
	s, err := plan.Open(out)
	if err != nil {
		return nil, err
	}
	resp := &wire.Response{Status: op.Status, Header: header(api, requestID)}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	httpbind.Encode(s, resp)
	if resp.Status == http.StatusOK && resp.Header.Get("Content-Range") != "" {
		resp.Status = http.StatusPartialContent // S3's GetObject of a range; the model does not say it
	}
	if httpbind.EncodePayload(s, resp) || events.Output(s, resp) {
		return resp, nil
	}
	w := &xmlbody.Writer{Milli: isS3(api)}
	ns := plan.Namespace{URI: namespace(api)}
	switch m := s.Type().Payload; {
	case m != nil:
		if v, ok := s.Get(m); ok {
			w.Element(payloadRoot(m), or(m.NS, m.Type.NS, ns), v)
		}
	case unwrapped(api, op) != "":
		writeUnwrapped(w, unwrapped(api, op), ns, s)
	case s.Type().HasReply:
		w.Element(root(api, s.Type()), or(s.Type().NS, ns), s)
	}
	if len(w.B) > 0 {
		resp.Body = append([]byte(declaration), w.B...)
	}
	if (len(w.B) > 0 || !isS3(api)) && resp.Header.Get("Content-Type") == "" {
		resp.Header.Set("Content-Type", contentType) // also of nothing, but for S3
	}
	return resp, nil
}

func or(list ...plan.Namespace) plan.Namespace {
	for _, ns := range list {
		if ns.URI != "" {
			return ns
		}
	}
	return plan.Namespace{}
}

func root(api *service.API, t *plan.Type) string {
	if t.Root != "" {
		return t.Root
	}
	if isS3(api) && s3Roots[t.Shape] != "" {
		return s3Roots[t.Shape]
	}
	return t.Shape
}

// EncodeFault implements wire.Codec.
func (Codec) EncodeFault(api *service.API, _ *service.OperationModel, requestID string, f *cloud.Fault) *wire.Response {
	v := fault.Of(api, f)
	resp := &wire.Response{Status: v.Status, Header: header(api, requestID)}
	resp.Header.Set("Content-Type", contentType)
	if v.HasMore {
		httpbind.Encode(v.Detail, resp)
		resp.Status = v.Status
	}
	w := &xmlbody.Writer{B: []byte(declaration), Milli: isS3(api)}
	if isS3(api) {
		w.Open("Error", plan.Namespace{})
		w.Text("Code", v.Code)
		w.Text("Message", v.Message)
		w.Rest(v)
		w.Text("RequestId", requestID)
		w.Text("HostId", hostID(requestID))
		w.Close("Error")
	} else {
		w.ErrorResponse(namespace(api), requestID, v)
	}
	resp.Body = w.B
	return resp
}

func header(api *service.API, requestID string) http.Header {
	h := http.Header{}
	if isS3(api) {
		h.Set("X-Amz-Request-Id", requestID)
		h.Set("X-Amz-Id-2", hostID(requestID))
	} else {
		h.Set("X-Amzn-Requestid", requestID)
	}
	return h
}
