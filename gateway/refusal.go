package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/wire/sigv4"
)

// A refusal is why somebody is not let in, before it is put into a service's words.
type refusal int

const (
	missingToken refusal = iota
	unknownKey
	wrongToken
	expiredToken
)

// refusalWords gives code, message and status of each refusal in each family. The sentences are AWS's.
var refusalWords = map[refusal]map[family]cloud.Fault{
	missingToken: {
		familyJSON:     {Code: "MissingAuthenticationTokenException", Message: "Request is missing Authentication Token", Status: 400},
		familyRestJSON: {Code: "MissingAuthenticationTokenException", Message: "Request is missing Authentication Token", Status: 403},
		familyQuery:    {Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: 403},
		familyS3:       {Code: "AccessDenied", Message: "Access Denied", Status: 403},
	},
	unknownKey: {
		familyJSON:     {Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 400},
		familyRestJSON: {Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 403},
		familyQuery:    {Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403},
		familyS3:       {Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records.", Status: 403},
	},
	wrongToken: {
		familyJSON:     {Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 400},
		familyRestJSON: {Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid.", Status: 403},
		familyQuery:    {Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403},
		familyS3:       {Code: "InvalidToken", Message: "The provided token is malformed or otherwise invalid.", Status: 400},
	},
	expiredToken: {
		familyJSON:     {Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Status: 400},
		familyRestJSON: {Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Status: 403},
		familyQuery:    {Code: "ExpiredToken", Message: "The security token included in the request is expired", Status: 403},
		familyS3:       {Code: "ExpiredToken", Message: "The provided token has expired.", Status: 400},
	},
}

func (f family) refuse(why refusal) *cloud.Fault {
	fault := refusalWords[why][f]
	return &fault
}

// signatureFault words what sigv4 found wrong.
func (f family) signatureFault(e *sigv4.Error, now time.Time) *cloud.Fault {
	if e.Reason == sigv4.Missing {
		return f.refuse(missingToken)
	}
	if f == familyS3 {
		return s3SignatureFault(e, now)
	}
	code, status := "InvalidSignature", 403
	switch e.Reason {
	case sigv4.Unsupported, sigv4.Incomplete, sigv4.Malformed:
		code, status = "IncompleteSignature", 400
	case sigv4.Expired:
		if f == familyQuery {
			return &cloud.Fault{Code: "RequestExpired", Message: "Request has expired.", Status: 400, Cause: e}
		}
	}
	if f == familyQuery {
		if code == "InvalidSignature" {
			code = "SignatureDoesNotMatch"
		}
		return &cloud.Fault{Code: code, Message: e.Message, Status: status, Cause: e}
	}
	if f == familyJSON {
		status = 400
	}
	if f == familyRestJSON {
		status = 403
	}
	return &cloud.Fault{Code: code + "Exception", Message: e.Message, Status: status, Cause: e}
}

// Details of S3's refusals: elements beside Code and Message.
type (
	signatureDetail struct {
		AWSAccessKeyId        *string
		StringToSign          *string
		SignatureProvided     *string
		StringToSignBytes     *string
		CanonicalRequest      *string
		CanonicalRequestBytes *string
	}
	headersDetail struct{ HeadersNotSigned *string }
	skewDetail    struct{ RequestTime, ServerTime, MaxAllowedSkewMilliseconds *string }
	smallDetail   struct{ ProposedSize, MinSizeAllowed *string }
	largeDetail   struct{ ProposedSize, MaxSizeAllowed *string }
	hashDetail    struct{ ClientComputedContentSHA256, S3ComputedContentSHA256 *string }
)

func s3SignatureFault(e *sigv4.Error, now time.Time) *cloud.Fault {
	fault := func(code, message string, status int) *cloud.Fault {
		return &cloud.Fault{Code: code, Message: message, Status: status, Cause: e}
	}
	switch e.Reason {
	case sigv4.Unsupported:
		return fault("InvalidRequest", e.Message, 400)
	case sigv4.Incomplete, sigv4.Malformed, sigv4.ScopeDate:
		if e.Query {
			return fault("AuthorizationQueryParametersError", e.Message, 400)
		}
		return fault("AuthorizationHeaderMalformed", "The authorization header is malformed; "+e.Message, 400)
	case sigv4.UnsignedHeaders:
		f := fault("AccessDenied", e.Message, 403)
		f.Detail = &headersDetail{new(strings.Join(e.Headers, ", "))}
		return f
	case sigv4.Skewed, sigv4.NotYet:
		if e.Query {
			return fault("AccessDenied", "Request is not valid yet", 403)
		}
		f := fault("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", 403)
		f.Detail = &skewDetail{ServerTime: new(now.UTC().Format(time.RFC3339)), MaxAllowedSkewMilliseconds: new(fmt.Sprint(sigv4.MaxSkew.Milliseconds()))}
		return f
	case sigv4.Expired:
		return fault("AccessDenied", "Request has expired", 403)
	case sigv4.Mismatch, sigv4.ChunkMismatch:
		f := fault("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.", 403)
		f.Detail = &signatureDetail{
			AWSAccessKeyId: &e.AccessKeyID, SignatureProvided: &e.Provided,
			StringToSign: &e.StringToSign, StringToSignBytes: new(fmt.Sprintf("% x", e.StringToSign)),
			CanonicalRequest: &e.CanonicalRequest, CanonicalRequestBytes: new(fmt.Sprintf("% x", e.CanonicalRequest)),
		}
		return f
	case sigv4.PayloadAbsent:
		return fault("InvalidRequest", e.Message, 400)
	case sigv4.PayloadInvalid:
		return fault("InvalidArgument", e.Message, 400)
	case sigv4.PayloadMismatch:
		f := fault("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", 400)
		f.Detail = &hashDetail{&e.Given, &e.Computed}
		return f
	case sigv4.ChunkMalformed, sigv4.LengthMismatch:
		return fault("IncompleteBody", e.Message, 400)
	case sigv4.LengthAbsent:
		return fault("MissingContentLength", e.Message, 411)
	case sigv4.TrailerMalformed:
		return fault("MalformedTrailerError", e.Message, 400)
	case sigv4.ChecksumInvalid:
		return fault("InvalidRequest", e.Message, 400)
	case sigv4.ChecksumMismatch:
		return fault("BadDigest", e.Message, 400)
	case sigv4.FieldAbsent:
		f := fault("InvalidArgument", e.Message, 400)
		f.Detail = &argumentDetail{&e.Field, new("")}
		return f
	case sigv4.PolicyInvalid:
		return fault("InvalidPolicyDocument", e.Message, 400)
	case sigv4.PolicyTooSmall:
		f := fault("EntityTooSmall", e.Message, 400)
		f.Detail = &smallDetail{&e.Given, &e.Computed}
		return f
	case sigv4.PolicyTooLarge:
		f := fault("EntityTooLarge", e.Message, 400)
		f.Detail = &largeDetail{&e.Given, &e.Computed}
		return f
	default:
		return fault("AccessDenied", e.Message, 403)
	}
}

// denied puts an Authorizer's refusal into the family's code.
func (f family) denied(message string) *cloud.Fault {
	switch f {
	case familyJSON:
		return &cloud.Fault{Code: "AccessDeniedException", Message: message, Status: 400}
	case familyRestJSON:
		return &cloud.Fault{Code: "AccessDeniedException", Message: message, Status: 403}
	default:
		return &cloud.Fault{Code: "AccessDenied", Message: message, Status: 403}
	}
}

// unknownOperation says that AWS has no such operation either.
func (f family) unknownOperation(name, version string) *cloud.Fault {
	switch f {
	case familyQuery:
		return &cloud.Fault{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", name, version), Status: 400}
	case familyJSON:
		return &cloud.Fault{Code: "UnknownOperationException", Message: "The requested operation is not recognized by the service.", Status: 400}
	default:
		return &cloud.Fault{Code: "UnknownOperationException", Message: "The requested operation is not recognized by the service.", Status: 404}
	}
}

// missed says that no request URI of a REST service fits.
func (f family) missed(why miss, method string) *cloud.Fault {
	switch {
	case f == familyS3 && why == noMethod:
		return &cloud.Fault{Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.", Status: http.StatusMethodNotAllowed}
	case f == familyS3:
		return &cloud.Fault{Code: "InvalidURI", Message: "Couldn't parse the specified URI.", Status: 400}
	case why == noMethod:
		return &cloud.Fault{Code: "UnsupportedOperationException", Message: "The method " + method + " is not allowed on this resource.", Status: http.StatusMethodNotAllowed}
	default:
		return f.unknownOperation(method, "")
	}
}

// tooLarge says that a body is over the limit of its operation.
func (f family) tooLarge(op *operation, limit int64) *cloud.Fault {
	switch f {
	case familyS3:
		return &cloud.Fault{Code: "MaxMessageLengthExceeded", Message: "Your request was too big.", Status: 400}
	case familyQuery:
		return &cloud.Fault{Code: "RequestEntityTooLarge", Message: fmt.Sprintf("Request must be smaller than %d bytes", limit), Status: http.StatusRequestEntityTooLarge}
	default:
		name := "this"
		if op != nil {
			name = "the " + op.model.Name
		}
		return &cloud.Fault{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("Request must be smaller than %d bytes for %s operation", limit, name), Status: http.StatusRequestEntityTooLarge}
	}
}

// internal is what a client sees of a failure of our own.
func (f family) internal(cause error) *cloud.Fault {
	switch f {
	case familyJSON:
		return &cloud.Fault{Code: "InternalServerError", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: 500, Cause: cause}
	case familyRestJSON:
		return &cloud.Fault{Code: "ServiceException", Message: "The service encountered an internal error.", Status: 500, Cause: cause}
	case familyS3:
		return &cloud.Fault{Code: "InternalError", Message: "We encountered an internal error. Please try again.", Status: 500, Cause: cause}
	default:
		return &cloud.Fault{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: 500, Cause: cause}
	}
}

// notImplemented says that AWS has something that is not here.
func notImplemented(format string, args ...any) *cloud.Fault {
	return &cloud.Fault{Code: "NotImplemented", Message: fmt.Sprintf(format, args...), Status: http.StatusNotImplemented}
}

// faultOf makes of any error what the client is told.
func (f family) faultOf(err error, op *operation, now time.Time) *cloud.Fault {
	if fault := (*cloud.Fault)(nil); errors.As(err, &fault) {
		return fault
	}
	if e := (*sigv4.Error)(nil); errors.As(err, &e) {
		return f.signatureFault(e, now)
	}
	if e := (*http.MaxBytesError)(nil); errors.As(err, &e) {
		return f.tooLarge(op, e.Limit)
	}
	return f.internal(err)
}
