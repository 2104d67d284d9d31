package eventstream

import (
	"io"
	"time"

	"lambent/cloud"
)

// A Chain checks the signatures of messages, each of which covers the one before it. sigv4.EventChain is one.
type Chain interface {
	// Check checks a signature over a message's headers but for the signature itself, as they stand in the
	// message, and its payload.
	Check(date time.Time, headers, payload, signature []byte) error
}

// A SignedBody is a stream whose messages came wrapped into signed ones, seen without the wrapping. It ends with an
// error unless every signature was right, and where the last, empty message is missing.
type SignedBody struct {
	source io.ReadCloser
	chain  Chain
	rest   []byte // of a message that was checked
	err    error
}

// OpenSigned unwraps source. Closing it closes source.
func OpenSigned(source io.ReadCloser, chain Chain) *SignedBody {
	return &SignedBody{source: source, chain: chain}
}

// Read implements io.Reader.
func (b *SignedBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && b.err == nil {
		b.rest, b.err = b.next()
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *SignedBody) Close() error { return b.source.Close() }

// next returns the payload of the next message, and io.EOF behind the empty one at the end.
func (b *SignedBody) next() ([]byte, error) {
	m, err := Read(b.source)
	if err == io.EOF {
		return nil, malformed("the signed message at the end is missing")
	}
	if err != nil {
		return nil, err
	}
	date, ok := m.Get(":date").(time.Time)
	signature, signed := m.Get(":chunk-signature").([]byte)
	if !ok || !signed {
		return nil, cloud.Faultf("IncompleteSignatureException", "An event must have the headers :date and :chunk-signature.")
	}
	headers, err := AppendHeaders(nil, []Header{{":date", date}})
	if err != nil {
		return nil, err
	}
	if err := b.chain.Check(date, headers, m.Payload, signature); err != nil {
		return nil, err
	}
	if len(m.Payload) == 0 {
		return nil, io.EOF
	}
	return m.Payload, nil
}
