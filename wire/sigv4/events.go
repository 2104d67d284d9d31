package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// StreamingEvents is what X-Amz-Content-Sha256 says of a body that is an event stream whose messages are signed one by one.
const StreamingEvents = "STREAMING-AWS4-HMAC-SHA256-EVENTS"

// An EventChain checks the signatures of the events of one request, each of which covers the one before it and the
// first that of the request. It is for one goroutine.
type EventChain struct {
	keys                    *keyCache
	accessKeyID             string
	secret, region, service string
	previous                string // in hexadecimal
}

// NewEventChain returns the chain that begins with a request's signature, in hexadecimal, for the one who signs events.
func NewEventChain(signature, secret, region, service string) *EventChain {
	return &EventChain{keys: new(keyCache), secret: secret, region: region, service: service, previous: signature}
}

// Events returns the chain that begins with the request that proof is of. A signature by elliptic curve has none
// here; neither has a presigned request.
func (v *Verifier) Events(proof *Proof, secret string) (*EventChain, error) {
	if proof.pair != nil || proof.claim.Algorithm != AlgorithmHMAC || proof.claim.Presigned {
		return nil, errorf(PayloadInvalid, "%s does not fit the request's signature.", StreamingEvents)
	}
	c := proof.claim
	return &EventChain{keys: &v.keys, accessKeyID: c.AccessKeyID, secret: secret, region: c.Region, service: c.Service, previous: proof.signature}, nil
}

// Check checks the signature of an event made at date over its headers (without the signature itself) and its
// payload. An *Error tells that it is wrong.
func (c *EventChain) Check(date time.Time, headers, payload, signature []byte) error {
	toSign := c.toSign(date, headers, payload)
	given := hex.EncodeToString(signature)
	key := c.key(date)
	if !equalMAC(key[:], toSign, given) {
		return &Error{Reason: ChunkMismatch, AccessKeyID: c.accessKeyID, StringToSign: toSign, Provided: given,
			Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	c.previous = given
	return nil
}

// Sign makes the signature that Check wants next.
func (c *EventChain) Sign(date time.Time, headers, payload []byte) []byte {
	key := c.key(date)
	sum := hmacSHA256(key[:], c.toSign(date, headers, payload))
	c.previous = hex.EncodeToString(sum[:])
	return sum[:]
}

func (c *EventChain) key(date time.Time) signingKey {
	return c.keys.key(keyName{c.secret, date.UTC().Format(dateFormat), c.region, c.service})
}

func (c *EventChain) toSign(date time.Time, headers, payload []byte) string {
	date = date.UTC()
	h, p := sha256.Sum256(headers), sha256.Sum256(payload)
	scope := date.Format(dateFormat) + "/" + c.region + "/" + c.service + "/" + terminator
	return AlgorithmHMAC + "-PAYLOAD\n" + date.Format(timeFormat) + "\n" + scope + "\n" + c.previous + "\n" +
		hex.EncodeToString(h[:]) + "\n" + hex.EncodeToString(p[:])
}
