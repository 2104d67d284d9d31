// Package sigv4 is AWS Signature Version 4 from both ends: it checks the signature of a request that
// came in and signs one that goes out.
//
// A request may carry its signature in the Authorization header, in the query string (a presigned URL),
// or in the fields of a browser's upload form (a POST policy); each with a shared secret
// (AWS4-HMAC-SHA256) or, for SigV4a, with an elliptic-curve key derived from that secret
// (AWS4-ECDSA-P256-SHA256), which holds for a set of regions. S3's version 2 is checked too, because
// boto3 presigns with it unless told otherwise (version2.go).
//
// # Checking
//
// The steps are apart because others stand between them:
//
//  1. Parse reads what the request claims: which key, which scope, when. Nothing is believed yet.
//     The gateway finds the operation and the key's secret.
//  2. Payload says what the signature covers of the body: its hash, nothing, or chunk signatures.
//  3. Verifier.Verify checks time and signature.
//  4. Open replaces the request's body with one that checks itself while it is read: whoever reads to
//     EOF has read exactly what was signed, otherwise the read ends with an *Error.
//
// What is wrong is told by an *Error whose Reason the gateway words as the service at hand would.
//
// Services other than S3 sign the path encoded twice and normalised, and always the body's hash; S3
// signs the path encoded once and as it is, and names the body's hash in X-Amz-Content-Sha256.
//
// The rules: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html and, for S3,
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
package sigv4

import "time"

// The signing algorithms.
const (
	AlgorithmHMAC  = "AWS4-HMAC-SHA256"
	AlgorithmECDSA = "AWS4-ECDSA-P256-SHA256"
)

// What X-Amz-Content-Sha256 may say instead of a hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingHMAC            = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingHMACTrailer     = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingECDSA           = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	StreamingECDSATrailer    = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// EmptyHash is the SHA-256 of no bytes.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const (
	// MaxSkew is how far a header signature's time may be from now, either way.
	MaxSkew = 15 * time.Minute
	// MaxExpires is how long a presigned URL may be good.
	MaxExpires = 7 * 24 * time.Hour

	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
	terminator = "aws4_request"

	// maxSignedHeaders bounds the work that one request can ask for before its signature is known to be good.
	maxSignedHeaders = 256
)

// Credentials are what a signer has.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // "" for a long-lived key
}

// SignsLikeS3 tells whether a service follows S3's rules: path encoded once and not normalised, body
// described by X-Amz-Content-Sha256. It takes the service of the credential scope.
func SignsLikeS3(service string) bool {
	switch service {
	case "s3", "s3express", "s3-outposts", "s3-object-lambda":
		return true
	}
	return false
}
