package sigv4

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Verifier checks signatures. It remembers the keys that it derived. The zero value is ready, and may
// be used from many goroutines at once.
type Verifier struct {
	keys keyCache
}

// A Proof is what Verify found good. Open continues from it along the chunks of a body.
type Proof struct {
	claim     *Claim
	key       signingKey
	pair      *ecdsa.PrivateKey
	signature string
}

// Verify checks that c, taken from r, was signed with secret and is good at now. payloadHash is the
// hash of the whole body in hexadecimal, or what Payload returned. Every failure is an *Error.
func (v *Verifier) Verify(r *http.Request, c *Claim, secret, payloadHash string, now time.Time) (*Proof, error) {
	if c.Algorithm == AlgorithmV2 {
		return verifyV2(r, c, secret, now)
	}
	if err := c.checkTime(now); err != nil {
		return nil, err
	}
	if err := checkHeadersSigned(r, c); err != nil {
		return nil, err
	}
	proof := &Proof{claim: c, signature: c.Signature}
	if c.Algorithm == AlgorithmECDSA {
		var err error
		if proof.pair, err = v.keys.pair(c.AccessKeyID, secret); err != nil {
			return nil, err
		}
	} else {
		proof.key = v.keys.key(keyName{secret, c.Date, c.Region, c.Service})
	}

	likeS3 := SignsLikeS3(c.Service)
	path := canonicalPath(r, likeS3)
	first := proof.check(r, path, payloadHash)
	if first == nil {
		return proof, nil
	}
	// Some S3 clients sign a path with reserved characters just as they send it.
	if sent := sentPath(r); likeS3 && sent != path && proof.check(r, sent, payloadHash) == nil {
		return proof, nil
	}
	return nil, first
}

// check compares the signature over the request with the given canonical path.
func (p *Proof) check(r *http.Request, path, payloadHash string) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	canonical := appendCanonical((*buf)[:0], r, p.claim, path, payloadHash)
	*buf = canonical
	sum := sha256.Sum256(canonical)
	toSign := p.claim.Algorithm + "\n" + p.claim.stamp + "\n" + p.claim.Scope() + "\n" + hex.EncodeToString(sum[:])
	if p.verifyString(toSign, p.claim.Signature) {
		return nil
	}
	return &Error{
		Reason:           Mismatch,
		Message:          "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		Query:            p.claim.Presigned,
		AccessKeyID:      p.claim.AccessKeyID,
		CanonicalRequest: string(canonical),
		StringToSign:     toSign,
		Provided:         p.claim.Signature,
	}
}

// verifyString tells whether signature, in hexadecimal, is one of toSign. It takes the same time
// wherever an HMAC differs.
func (p *Proof) verifyString(toSign, signature string) bool {
	if p.pair != nil {
		return verifyECDSA(&p.pair.PublicKey, toSign, signature)
	}
	return equalMAC(p.key[:], toSign, signature)
}

func equalMAC(key []byte, toSign, signature string) bool {
	want := hmacSHA256(key, toSign)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], want[:])
	return subtle.ConstantTimeCompare(text[:], []byte(signature)) == 1
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 2048)) }}

// checkHeadersSigned refuses requests with headers that would change their meaning and are not covered
// by the signature: for S3 every x-amz- header, for the others the operation's name.
func checkHeadersSigned(r *http.Request, c *Claim) error {
	if !SignsLikeS3(c.Service) {
		if r.Header.Get("X-Amz-Target") != "" && !slices.Contains(c.SignedHeaders, "x-amz-target") {
			return &Error{Reason: UnsignedHeaders, Query: c.Presigned, Headers: []string{"x-amz-target"},
				Message: "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."}
		}
		return nil
	}
	var unsigned []string
	for name := range r.Header {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") || slices.Contains(c.SignedHeaders, lower) {
			continue
		}
		switch lower {
		case "x-amz-content-sha256", "x-amz-date": // both are part of what is signed without being named
		default:
			unsigned = append(unsigned, lower)
		}
	}
	if len(unsigned) == 0 {
		return nil
	}
	slices.Sort(unsigned)
	return &Error{Reason: UnsignedHeaders, Query: c.Presigned, Headers: unsigned,
		Message: "There were headers present in the request which were not signed"}
}
