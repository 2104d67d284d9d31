package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/wire/eventstream"
	"lambent/wire/sigv4"
)

// identify reads the signature and looks its key up. What is wrong waits in x until it is known in
// which protocol to say it.
func (x *exchange) identify() {
	x.caller = x.stranger()
	x.claim, x.claimErr = sigv4.Parse(x.r)
	if x.claimErr != nil {
		x.claim = nil
		return
	}
	x.claim.Bucket = x.place.bucket
	x.key, x.keyErr = x.g.keys.Secret(x.r.Context(), x.claim.AccessKeyID, x.claim.SessionToken)
}

// stranger is the caller of whom only the connection is known.
func (x *exchange) stranger() cloud.Caller {
	region := x.place.region
	if region == "" {
		region = x.g.region
	}
	return cloud.Caller{
		Account: cloud.DefaultAccount, Region: region, Anonymous: true, RequestID: x.id, Trace: x.traceHeader(),
		SourceIP: peer(x.r), UserAgent: x.r.UserAgent(), Host: x.r.Host, Secure: x.r.TLS != nil, Now: x.now,
	}
}

// known makes the caller the one whose key signed.
func (x *exchange) known() cloud.Caller {
	c, k := x.stranger(), x.key.Caller
	c.Account, c.ARN, c.UserID, c.RoleARN, c.Root = k.Account, k.ARN, k.UserID, k.RoleARN, k.Root
	c.Anonymous, c.AccessKeyID, c.Via = false, x.claim.AccessKeyID, k.Via
	if r := x.claim.Region; r != "" && !strings.Contains(r, "*") {
		c.Region = r
	}
	return c
}

// authenticate finds out who asks, or returns the fault that keeps him out.
func (x *exchange) authenticate(t *target) error {
	if x.claim == nil {
		return x.admitUnsigned(t)
	}
	if err := x.admitKey(t.family); err != nil {
		return err
	}
	if err := x.verify(t); err != nil {
		return err
	}
	if t.room != nil && x.claim.Service != t.room.api.SigningName && !(t.family == familyS3 && sigv4.SignsLikeS3(x.claim.Service)) {
		return &sigv4.Error{Reason: sigv4.UnsignedHeaders, Query: x.claim.Presigned,
			Message: fmt.Sprintf("Credential should be scoped to correct service: '%s'. ", t.room.api.SigningName)}
	}
	x.caller = x.known()
	return nil
}

// admitKey tells whether the access key is good, before its signature is looked at.
func (x *exchange) admitKey(f family) error {
	switch {
	case errors.Is(x.keyErr, ErrToken):
		return f.refuse(wrongToken)
	case errors.Is(x.keyErr, ErrExpired):
		return f.refuse(expiredToken)
	case x.keyErr != nil:
		return fmt.Errorf("look up access key: %w", x.keyErr)
	case x.key.Secret == "":
		return f.refuse(unknownKey)
	}
	return nil
}

// admitUnsigned lets a request without a signature through to S3, whose buckets may be public, and to
// operations that are made for it.
func (x *exchange) admitUnsigned(t *target) error {
	open := t.family == familyS3 || t.op != nil && t.op.model.NoAuth
	if !open || !isMissing(x.claimErr) {
		return x.claimErr
	}
	if t.family == familyS3 {
		return sigv4.Open(x.r, sigv4.UnsignedPayload, nil)
	}
	return x.readBody(limitOf(t))
}

func isMissing(err error) bool {
	e, ok := err.(*sigv4.Error)
	return ok && e.Reason == sigv4.Missing
}

// verify checks the signature. S3's bodies are checked while they are read, the others are read here.
func (x *exchange) verify(t *target) error {
	if sigv4.SignsLikeS3(x.claim.Service) {
		payload, err := sigv4.Payload(x.r, x.claim)
		if err != nil {
			return err
		}
		proof, err := x.g.verifier.Verify(x.r, x.claim, x.key.Secret, payload, x.now)
		if err != nil {
			return err
		}
		return sigv4.Open(x.r, payload, proof)
	}
	if t.op != nil && t.op.events && x.r.Header.Get("X-Amz-Content-Sha256") == sigv4.StreamingEvents {
		return x.verifyEvents(t.family)
	}
	if err := x.readBody(limitOf(t)); err != nil {
		return err
	}
	_, err := x.g.verifier.Verify(x.r, x.claim, x.key.Secret, hashOf(x.body), x.now)
	return err
}

// verifyEvents checks the signature of a request whose body is a stream of signed events. They are checked while they
// are read, which may go on together with the reply.
func (x *exchange) verifyEvents(f family) error {
	proof, err := x.g.verifier.Verify(x.r, x.claim, x.key.Secret, sigv4.StreamingEvents, x.now)
	if err != nil {
		return err
	}
	chain, err := x.g.verifier.Events(proof, x.key.Secret)
	if err != nil {
		return err
	}
	x.r.Body = eventstream.OpenSigned(x.r.Body, wordedChain{chain, f})
	if err := x.w.control.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("read events while replying: %w", err)
	}
	return nil
}

// A wordedChain says what is wrong with an event's signature as the service at hand would: the fault passes through
// the operation, which sees it as the end of its input.
type wordedChain struct {
	*sigv4.EventChain
	family family
}

// Check implements eventstream.Chain.
func (c wordedChain) Check(date time.Time, headers, payload, signature []byte) error {
	err := c.EventChain.Check(date, headers, payload, signature)
	if e := (*sigv4.Error)(nil); errors.As(err, &e) {
		return c.family.signatureFault(e, date)
	}
	return err
}

func hashOf(body []byte) string {
	if len(body) == 0 {
		return sigv4.EmptyHash
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func limitOf(t *target) int64 {
	if t.op == nil {
		return maxBody
	}
	return t.op.limit
}

// recognise returns the identity behind a request to a published endpoint. Endpoints have rules of
// their own: a signature that does not hold makes a stranger, not a refusal.
func (x *exchange) recognise(ctx context.Context) cloud.Caller {
	x.caller = x.stranger()
	if !signedForEndpoint(x.r.Header.Get("Authorization"), x.r.URL.RawQuery) {
		return x.caller
	}
	x.identify()
	if x.claim == nil || x.keyErr != nil {
		return x.caller
	}
	if err := x.authenticate(&target{family: familyRestJSON}); err != nil {
		x.cause = err
	}
	return x.caller
}

func signedForEndpoint(authorization, query string) bool {
	return strings.HasPrefix(authorization, "AWS4-") || strings.Contains(query, "X-Amz-Signature=")
}
