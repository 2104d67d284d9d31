package sigv4

import "fmt"

// A Reason is a way for a signature to fail. Each service has its own code and words for it.
type Reason int

// The reasons.
const (
	_                Reason = iota
	Missing                 // no signature at all
	Unsupported             // another authentication scheme or algorithm
	Incomplete              // parts of the signature are absent
	Malformed               // parts of the signature cannot be read
	UnsignedHeaders         // the request has headers that must be signed and are not; Headers names them
	ScopeDate               // the credential scope's date is not that of the request
	Skewed                  // a header signature made too long ago
	NotYet                  // a signature from the future
	Expired                 // a presigned URL or an upload form past its time
	Mismatch                // computed and given signature differ: wrong secret or changed request
	PayloadAbsent           // S3 only: no X-Amz-Content-Sha256
	PayloadInvalid          // X-Amz-Content-Sha256 is neither a hash nor a word that is known
	PayloadMismatch         // the body is not the one that was signed; Computed is its hash
	ChunkMismatch           // a chunk's or the trailer's signature is wrong
	ChunkMalformed          // the body is not in the chunked form that it claims
	LengthMismatch          // the chunks do not add up to X-Amz-Decoded-Content-Length
	LengthAbsent            // chunked, and no X-Amz-Decoded-Content-Length
	TrailerMalformed        // what follows the last chunk is not what X-Amz-Trailer announces
	ChecksumInvalid         // X-Amz-Trailer or the checksum itself cannot be read
	ChecksumMismatch        // the trailer's checksum is not that of the body
	FieldAbsent             // the upload form lacks a field that it needs; Field names it
	PolicyInvalid           // the upload form's policy cannot be read
	PolicyFailed            // a condition of the upload form's policy does not hold
	PolicyTooSmall          // the upload is shorter than the policy allows
	PolicyTooLarge          // the upload is longer than the policy allows
)

// An Error says why a signature was refused.
type Error struct {
	Reason  Reason
	Message string // what exactly, in AWS's words where AWS has some

	Query   bool     // the signature is in the query string
	Headers []string // UnsignedHeaders: which
	Field   string   // FieldAbsent: which

	// For Mismatch: what was signed here, so that a client's author can compare. It holds nothing secret.
	AccessKeyID, CanonicalRequest, StringToSign, Provided string

	Given, Computed string // PayloadMismatch and ChecksumMismatch: the two values
}

// Error implements error.
func (e *Error) Error() string { return "signature: " + e.Message }

func errorf(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
