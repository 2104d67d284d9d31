// Package protocol lists the codecs of Lambent: which one speaks which AWS protocol.
package protocol

import (
	"reflect"
	"unicode"

	"lambent/service"
	"lambent/wire"
	"lambent/wire/awsjson"
	"lambent/wire/awsquery"
	"lambent/wire/ec2query"
	"lambent/wire/plan"
	"lambent/wire/restjson"
	"lambent/wire/restxml"
	"lambent/wire/rpcv2cbor"
)

// For returns the codec of a protocol; ok is false where there is none, which the gateway answers with a
// NotImplemented fault.
func For(p service.Protocol) (c wire.Codec, ok bool) {
	switch p {
	case service.AWSJSON10:
		return awsjson.V10, true
	case service.AWSJSON11:
		return awsjson.V11, true
	case service.AWSQuery:
		return awsquery.Codec{}, true
	case service.RestJSON:
		return restjson.Codec{}, true
	case service.EC2Query:
		return ec2query.Codec{}, true
	case service.RestXML:
		return restxml.Codec{}, true
	case service.RPCv2CBOR:
		return rpcv2cbor.Codec{}, true
	}
	return nil, false
}

// Validate checks a decoded input against what the API model says of its members: required, length,
// range, pattern, enum. The error is a *cloud.Fault with AWS's code and wording for the service and protocol,
// naming every member that failed; nil when all is well. Events of a stream are checked as they come: one that fails
// is the stream's error, and its last. S3 checks nothing here, as on AWS: it has an error of its own for each rule.
func Validate(api *service.API, p service.Protocol, in any) error {
	if api.ServiceID == "S3" {
		return nil
	}
	r := rules(api, p, in)
	if err := plan.Validate(in, r); err != nil {
		return err
	}
	s, err := plan.Open(in)
	if err != nil || s.Type().Events == nil {
		return err
	}
	if v, ok := s.Get(s.Type().Events); ok {
		checkEvents(v.Events(), r)
	}
	return nil
}

// checkEvents puts a check before each event of a stream.
func checkEvents(stream plan.EventStream, r plan.Rules) {
	unchecked := reflect.New(reflect.TypeOf(stream).Elem())
	unchecked.Elem().Set(reflect.ValueOf(stream).Elem())
	stream.Fill(func(yield func(event any, err error) bool) {
		unchecked.Interface().(plan.EventStream).Each(func(event any, err error) bool {
			if err == nil {
				err = plan.Validate(event, r)
			}
			if err != nil {
				yield(nil, err)
				return false
			}
			return yield(event, nil)
		})
	})
}

// rules is how the services differ, as recorded on AWS.
func rules(api *service.API, p service.Protocol, in any) plan.Rules {
	r := plan.Rules{Code: "ValidationException"}
	if p == service.AWSQuery || p == service.EC2Query {
		r.Code = "ValidationError"
	}
	switch api.ServiceID {
	case "IAM":
		r.Brief = true
	case "API Gateway":
		r.BodyRoot = firstLower(reflect.TypeOf(in).Elem().Name())
	case "ApiGatewayV2":
		r.Code = "BadRequestException"
	case "CloudWatch Logs", "ECR":
		r.Code = "InvalidParameterException"
	}
	return r
}

func firstLower(s string) string {
	b := []rune(s)
	b[0] = unicode.ToLower(b[0])
	return string(b)
}
