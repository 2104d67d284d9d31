package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strings"
)

// Open replaces the body of r with one that checks itself while it is read. payload is what Payload
// returned, proof what Verify did; proof is nil for a request without a signature.
//
// A hashed body is compared at its end. A chunked one (aws-chunked) is taken out of its chunks, and the
// header is changed to describe what is inside: Content-Length, and Content-Encoding without
// aws-chunked. Such a body is a *ChunkedBody, which knows the trailer after EOF.
//
// No byte of a chunk is handed on before the whole chunk's signature was checked.
func Open(r *http.Request, payload string, proof *Proof) error {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	switch {
	case payload == UnsignedPayload && proof == nil && r.Header.Get("X-Amz-Content-Sha256") == StreamingUnsignedTrailer:
		return openChunked(r, StreamingUnsignedTrailer, nil)
	case payload == UnsignedPayload:
		return nil
	case strings.HasPrefix(payload, "STREAMING-"):
		return openChunked(r, payload, proof)
	}
	r.Body = &hashedBody{ReadCloser: r.Body, hash: sha256.New(), want: strings.ToLower(payload), left: r.ContentLength}
	return nil
}

// A hashedBody ends with an *Error instead of EOF when it is not the body that was signed. Where the
// length is known its last bytes are held back until the hash was compared, for readers who stop there.
type hashedBody struct {
	io.ReadCloser
	hash hash.Hash
	want string
	left int64 // bytes to come; negative when unknown
	err  error // how it ended
}

func (b *hashedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if err == io.EOF || b.left == 0 && n > 0 && err == nil {
		if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.want {
			n, err = 0, &Error{Reason: PayloadMismatch, Given: b.want, Computed: got,
				Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
		}
	}
	b.err = err
	return n, err
}
