package sigv4

import (
	"net/http"
	"slices"
	"strings"
)

// Payload returns what the signature of an S3 request covers of the body: its hash in hexadecimal, or
// one of the words that X-Amz-Content-Sha256 may hold. Services other than S3 always sign the hash of
// the body that was sent, whatever that header says.
func Payload(r *http.Request, c *Claim) (string, error) {
	value := r.Header.Get("X-Amz-Content-Sha256")
	if c.Algorithm == AlgorithmV2 && !strings.HasPrefix(value, "STREAMING-") {
		return UnsignedPayload, nil
	}
	if c.Presigned {
		if q := c.query.Get("X-Amz-Content-Sha256"); q != "" {
			value = q
		} else if !slices.Contains(c.SignedHeaders, "x-amz-content-sha256") && !strings.HasPrefix(value, "STREAMING-") {
			// The maker of the URL knew no body. (A chunked one would be stored with its frame: let it fail.)
			return UnsignedPayload, nil
		}
	}
	switch value {
	case "":
		return "", errorf(PayloadAbsent, "Missing required header for this request: x-amz-content-sha256")
	case UnsignedPayload, StreamingHMAC, StreamingHMACTrailer, StreamingECDSA, StreamingECDSATrailer, StreamingUnsignedTrailer:
		return value, nil
	}
	if !isHash(value) {
		return "", errorf(PayloadInvalid, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	return value, nil
}

// isHash tells whether s is a SHA-256 in hexadecimal.
func isHash(s string) bool {
	if len(s) != len(EmptyHash) {
		return false
	}
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}
