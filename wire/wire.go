// Package wire says what a codec is: the part that turns the bytes of one AWS protocol into an
// operation's typed input, and its typed output or fault back into bytes.
//
// A codec knows no operation by name. It reads the operation's description (service.OperationModel)
// and drives the plan of its Go types (package plan). Which codec speaks which protocol is listed in
// package protocol. Sockets, signatures and the choice of the operation belong to the gateway.
package wire

import (
	"io"
	"net/http"
	"net/url"

	"lambent/cloud"
	"lambent/service"
)

// A Request is what a codec needs to know of an HTTP request whose operation has been found.
type Request struct {
	Method string
	Header http.Header
	Query  url.Values // the URL's query, decoded once; "?acl" is the key "acl" with the value ""

	// Labels holds the parts of the path that the operation's URI names, as they were sent: still
	// percent-encoded, with the slashes of greedy labels ({Key+}) in place. The codec decodes them.
	// URI.Match makes such a map. Nil for protocols without URI bindings.
	Labels map[string]string

	// Body is the whole body. A codec reads it to the end, unless the input has a streaming
	// member: then that member gets Body itself. It may be nil. Whoever made it bounds its length.
	Body io.Reader

	// Length is the length of Body where it is known before reading, else -1 or 0.
	Length int64
}

// A Response is what goes back to the client. Exactly one of Body, Stream and Push is used: Push when it is not
// nil, then Stream. The gateway sends it with Header and Status, adds what is common to all replies
// (Date, Server, Content-Length) and closes Stream.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Stream io.ReadCloser

	// Push writes a body that comes into being bit by bit: the events of a stream. Every Write reaches the client at
	// once. The error is a Write's, or our own failure, which the client has been told already.
	Push func(to io.Writer) error
}

// A Codec speaks one protocol. Its methods may be called from many goroutines at once.
type Codec interface {
	// Decode fills in, a pointer to a zero op.Input, from r. What the client did wrong is a *cloud.Fault
	// (SerializationException, MalformedXML and the like); any other error comes from reading r.Body.
	// Decode checks the form only: what the model says of lengths, patterns and required members is
	// checked by protocol.Validate afterwards.
	Decode(api *service.API, op *service.OperationModel, r *Request, in any) error

	// Encode makes the reply of out, a pointer to op.Output. An error is our own bug.
	Encode(api *service.API, op *service.OperationModel, requestID string, out any) (*Response, error)

	// EncodeFault makes the reply of a fault. op is nil where the fault came before the operation was known.
	// The status is f.Status, else that of the error's model, else 400.
	EncodeFault(api *service.API, op *service.OperationModel, requestID string, f *cloud.Fault) *Response
}
