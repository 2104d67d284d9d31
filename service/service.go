// Package service says what a service is: a name, what its API model says of protocol and operations,
// and the typed functions that answer those operations. Each folder below this one is a service; the
// gateway serves any number of them without knowing one from another.
package service

import (
	"context"
	"io"
	"iter"
	"net/http"
	"reflect"

	"lambent/cloud"
)

// A Protocol is an AWS wire protocol, by the name that the API models give it.
type Protocol string

// The protocols that a service can speak.
const (
	AWSJSON10 Protocol = "awsJson1_0"
	AWSJSON11 Protocol = "awsJson1_1"
	AWSQuery  Protocol = "awsQuery"
	EC2Query  Protocol = "ec2Query"
	RestXML   Protocol = "restXml"
	RestJSON  Protocol = "restJson1"
	RPCv2CBOR Protocol = "rpcv2Cbor"
)

// API is what a service's model says, generated into its api_gen.go. Nothing in it is written by hand.
type API struct {
	Name         string // folder name: "lambda"
	ServiceID    string // the model's serviceId: "Lambda"
	Version      string // apiVersion: "2015-03-31"
	Endpoint     string // host label: "lambda" of lambda.us-east-1.amazonaws.com
	SigningName  string // service in the credential scope: "lambda"
	Protocols    []Protocol
	TargetPrefix string // X-Amz-Target is TargetPrefix.Operation, for awsJson
	XMLNamespace string // for awsQuery and restXml
	Global       bool   // one endpoint for all regions (iam, sts)
	QueryErrors  bool   // awsQueryCompatible: replies carry x-amzn-query-error
	Operations   []OperationModel
	Errors       []ErrorModel
}

// OperationModel is what the model says of one operation. Struct types hold the members; see package plan for the tags.
type OperationModel struct {
	Name        string
	Method, URI string // HTTP binding; URI as in the model: "/2015-03-31/functions/{FunctionName}/code"
	Status      int    // HTTP status of success; 0 means 200
	Input       reflect.Type
	Output      reflect.Type
	Wrapper     string // awsQuery: element around the result, "GetUserResult"
	InputRoot   string // restXml: root element of the request body, where the model names one
	InputNS     string // restXml: namespace of that element
	NoAuth      bool   // authtype none: an unsigned call is allowed
	Checksum    string // "required", or the member that names the algorithm (httpChecksum); "" when none
}

// ErrorModel is what the model says of one error shape.
type ErrorModel struct {
	Name   string // shape name: what services put into cloud.Fault.Code
	Code   string // name on the wire where it differs (error.code), else ""
	Status int    // HTTP status, 0 where the model has none
	Sender bool   // whose fault it is in awsQuery's <Type>
	Type   reflect.Type
}

// A Service is an API together with the operations that are answered here. Operations of the API
// that are not listed answer UnknownOperationException and stand as missing in the coverage table.
type Service struct {
	API        *API
	Operations []Operation
	Endpoints  []Endpoint // what users publish through this service, reached without an API signature
}

// Operation answers one operation of an API.
type Operation struct {
	Name   string
	Handle func(ctx context.Context, c cloud.Caller, in any) (any, error) // in and out point to the model's Input and Output
	Access Access
}

// Access tells the policy hook what an operation is about.
type Access struct {
	Action    string                                // IAM action; "" means signing name + ":" + operation
	Resources func(c cloud.Caller, in any) []string // ARNs, nil means "*"
	Public    bool                                  // no permission is asked for (sts:GetCallerIdentity)
}

// Op makes an Operation of a typed method. I and O must be the model's input and output structs.
func Op[I, O any](name string, fn func(context.Context, cloud.Caller, *I) (*O, error)) Operation {
	return Operation{Name: name, Handle: func(ctx context.Context, c cloud.Caller, in any) (any, error) {
		out, err := fn(ctx, c, in.(*I))
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// On says which resources the operation touches; I must be the operation's input struct.
func On[I any](op Operation, arns func(c cloud.Caller, in *I) []string) Operation {
	op.Access.Resources = func(c cloud.Caller, in any) []string { return arns(c, in.(*I)) }
	return op
}

// As gives the operation an IAM action that is named differently from it.
func (op Operation) As(action string) Operation {
	op.Access.Action = action
	return op
}

// Public marks an operation that needs no permission.
func (op Operation) Public() Operation {
	op.Access.Public = true
	return op
}

// A Stream is a member whose bytes follow the request or reply head: an object's content, a payload.
// Inputs hold the request's body; whoever reads it need not close it. In an output the gateway copies
// it to the client and closes it.
type Stream = io.ReadCloser

// Events is a member that is a stream of events, one after the other while the operation goes on. E is the union
// of the events, of which each has one member set; in an output it may be one of the model's exceptions, which
// ends the stream.
//
//	for event, err := range in.Events { … }              // an input: until the client is done
//	return &Output{Events: func(yield …) { … }}, nil     // an output: called once the head of the reply is sent
//
// The sequence of an input can be ranged over once. An error of it is what the client sent as such, a message
// that is none, or a broken connection; it is the last. The sequence of an output runs in the request's goroutine,
// with the operation's ctx still good; it must end when yield returns false (the client is gone) and when ctx is
// done. An error that it yields is told to the client as a fault and ends the stream. An output may be made while
// the input is still read, so that both go on together.
type Events[E any] iter.Seq2[*E, error]

// EventType returns the type of the events, for codecs.
func (*Events[E]) EventType() reflect.Type { return reflect.TypeFor[E]() }

// Each calls yield with a pointer to each event, for codecs.
func (e *Events[E]) Each(yield func(event any, err error) bool) {
	(*e)(func(event *E, err error) bool { return yield(event, err) })
}

// Fill makes the stream one of the events that each yields, for codecs.
func (e *Events[E]) Fill(each func(yield func(event any, err error) bool)) {
	*e = func(yield func(*E, error) bool) {
		each(func(event any, err error) bool {
			e, _ := event.(*E)
			return yield(e, err)
		})
	}
}

// Document is a member that may hold any JSON value, kept as its bytes.
type Document []byte

// A Caller reaches any operation of any service as a client would: by name, with permission asked for
// the given identity. Values are those of the API's JSON form under member names (not wire names):
// string, bool, float64 or json.Number, []any, map[string]any, nil; blobs as base64 strings, timestamps
// as epoch seconds. Errors are *cloud.Fault as a client would see them.
type Caller interface {
	Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error)
}

// An Endpoint serves what users published under one label of the cloud's domain: {id}.{label}.{region}.{domain}.
type Endpoint struct {
	Label string // "execute-api", "lambda-url"

	// Path recognises the path form, for clients that cannot use the host form; nil when there is none.
	Path func(path string) (id, rest string, ok bool)

	// Serve answers. The request's URL.Path is what follows the API's own prefix.
	Serve func(w http.ResponseWriter, r *http.Request, at Published)
}

// Published says which published thing a request is for, and what is known of the request.
type Published struct {
	ID       string
	Region   string // "" in the path form: the id alone finds it
	PathForm bool   // reached by path, so links must be relative to Prefix
	Prefix   string // what was cut from the path, "" in the host form
	Caller   cloud.Caller
	Signed   string // service that the request was signed for, "" when no signature holds
}
