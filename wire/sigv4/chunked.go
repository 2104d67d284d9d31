package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxSignedChunk bounds what is held back until a chunk's signature is checked. SDKs send 64 KiB to 1 MiB.
	maxSignedChunk = 16 << 20
	// maxLine bounds a chunk's head and a line of the trailer.
	maxLine = 1024
	// maxTrailer bounds the number of lines in a trailer.
	maxTrailer = 16
)

// A ChunkedBody is a body that arrives as aws-chunked, seen without its chunks. It ends with an *Error
// instead of EOF unless every signature, the length and the trailer's checksum were right.
type ChunkedBody struct {
	source io.ReadCloser
	in     *bufio.Reader
	chain  *chain     // nil: the chunks are not signed
	ends   bool       // a trailer follows the last chunk
	sums   []checksum // that the trailer will hold

	chunk   []byte // signed: the rest of a chunk that was checked
	left    int64  // unsigned: bytes of the chunk that are still to come
	length  int64  // bytes that the whole body should have
	got     int64
	trailer http.Header
	err     error
}

// Trailer returns the trailer's fields after EOF, without its signature. Before that it is nil.
func (b *ChunkedBody) Trailer() http.Header { return b.trailer }

// Close closes the body beneath.
func (b *ChunkedBody) Close() error { return b.source.Close() }

func openChunked(r *http.Request, payload string, proof *Proof) error {
	b := &ChunkedBody{source: r.Body, in: bufio.NewReaderSize(r.Body, 32<<10)}
	switch payload {
	case StreamingHMAC, StreamingHMACTrailer, StreamingECDSA, StreamingECDSATrailer:
		wantECDSA := strings.Contains(payload, "ECDSA")
		if proof == nil || wantECDSA != (proof.pair != nil) || proof.claim.Presigned {
			return errorf(PayloadInvalid, "%s does not fit the request's signature.", payload)
		}
		b.chain = &chain{proof: proof, previous: proof.signature}
	case StreamingUnsignedTrailer:
	default:
		return errorf(PayloadInvalid, "%s is not supported.", payload)
	}
	if b.ends = strings.HasSuffix(payload, "-TRAILER"); b.ends {
		var err error
		if b.sums, err = announced(r.Header.Get("X-Amz-Trailer")); err != nil {
			return err
		}
	}
	decoded := r.Header.Get("X-Amz-Decoded-Content-Length")
	if decoded == "" {
		return errorf(LengthAbsent, "You must provide the Content-Length HTTP header.")
	}
	var err error
	if b.length, err = strconv.ParseInt(decoded, 10, 64); err != nil || b.length < 0 {
		return errorf(ChunkMalformed, "X-Amz-Decoded-Content-Length is not a length: %q.", decoded)
	}
	r.Body, r.ContentLength = b, b.length
	r.Header.Set("Content-Length", decoded)
	dropChunkedCoding(r.Header)
	return nil
}

// dropChunkedCoding takes aws-chunked out of Content-Encoding: it is about the way, not the object.
func dropChunkedCoding(h http.Header) {
	codings := strings.FieldsFunc(strings.Join(h.Values("Content-Encoding"), ","), func(r rune) bool { return r == ',' || r == ' ' })
	codings = slices.DeleteFunc(codings, func(c string) bool { return strings.EqualFold(c, "aws-chunked") })
	if len(codings) == 0 {
		h.Del("Content-Encoding")
		return
	}
	h.Set("Content-Encoding", strings.Join(codings, ","))
}

// Read implements io.Reader.
func (b *ChunkedBody) Read(p []byte) (int, error) {
	for b.err == nil && len(b.chunk) == 0 && b.left == 0 {
		b.err = b.next()
	}
	switch {
	case len(b.chunk) > 0:
		n := copy(p, b.chunk)
		b.chunk = b.chunk[n:]
		return n, nil
	case b.left > 0 && b.err == nil:
		return b.readUnsigned(p)
	}
	return 0, b.err
}

func (b *ChunkedBody) readUnsigned(p []byte) (int, error) {
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	for _, s := range b.sums {
		s.hash.Write(p[:n])
	}
	if err == nil && b.left == 0 {
		err = b.lineEnd()
	}
	b.err = broken(err)
	// Who reads only as much as he expects must hear of what is wrong at the end, too.
	if b.err == nil && b.left == 0 && b.got == b.length {
		if b.err = b.next(); b.err != nil && b.err != io.EOF {
			return 0, b.err
		}
	}
	return n, nil
}

// next reads a chunk's head and, when it is signed, the chunk. After the last it reads the trailer and
// returns io.EOF.
func (b *ChunkedBody) next() error {
	size, signature, err := b.head()
	if err != nil {
		return err
	}
	if b.got += size; b.got > b.length || size == 0 && b.got < b.length {
		return errorf(LengthMismatch, "You did not provide the number of bytes specified by the Content-Length HTTP header")
	}
	if b.chain != nil {
		if err := b.signedChunk(size, signature); err != nil {
			return err
		}
	}
	if size > 0 {
		if b.chain == nil {
			b.left = size
		}
		return nil
	}
	return b.finish()
}

// head reads "SIZE[;chunk-signature=SIGNATURE]".
func (b *ChunkedBody) head() (size int64, signature string, err error) {
	line, err := b.line()
	if err != nil {
		return 0, "", err
	}
	digits, extension, _ := strings.Cut(line, ";")
	size, err = strconv.ParseInt(digits, 16, 64)
	if err != nil || size < 0 {
		return 0, "", malformedChunk()
	}
	if b.chain == nil {
		return size, "", nil
	}
	signature, ok := strings.CutPrefix(extension, "chunk-signature=")
	if !ok || size > maxSignedChunk {
		return 0, "", malformedChunk()
	}
	return size, signature, nil
}

// signedChunk reads a chunk whole and checks it. The last one is empty; without a trailer an empty line follows it.
func (b *ChunkedBody) signedChunk(size int64, signature string) error {
	buf := bytes.NewBuffer(make([]byte, 0, min(size, 256<<10))) // grows with what comes, not with what is said
	if _, err := io.CopyN(buf, b.in, size); err != nil {
		return broken(err)
	}
	b.chunk = nil
	if err := b.chain.chunk(buf.Bytes(), signature); err != nil {
		return err
	}
	for _, s := range b.sums {
		s.hash.Write(buf.Bytes())
	}
	if size == 0 {
		return nil
	}
	if err := b.lineEnd(); err != nil {
		return err
	}
	var end error
	if b.got == b.length { // see readUnsigned
		if end = b.next(); end != io.EOF {
			return end
		}
	}
	b.chunk = buf.Bytes()
	return end
}

// finish reads what follows the last chunk.
func (b *ChunkedBody) finish() error {
	fields := http.Header{}
	var signature string
	var signed strings.Builder // the trailer as it is signed
	for range maxTrailer {
		line, err := b.line()
		if err == io.ErrUnexpectedEOF && line == "" {
			err = nil // some clients leave the last line end out
		}
		if err != nil {
			return err
		}
		if line == "" {
			return b.checkEnd(fields, signed.String(), signature)
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || !b.ends || fields.Get(name) != "":
			return malformedTrailer()
		case name == "x-amz-trailer-signature":
			signature = value
		case !slices.ContainsFunc(b.sums, func(s checksum) bool { return s.name == name }):
			return malformedTrailer()
		default:
			fields.Set(name, value)
			signed.WriteString(name + ":" + value + "\n")
		}
	}
	return malformedTrailer()
}

func (b *ChunkedBody) checkEnd(fields http.Header, signed, signature string) error {
	if b.chain != nil && b.ends {
		if err := b.chain.trailer(signed, signature); err != nil {
			return err
		}
	}
	for _, s := range b.sums {
		given := fields.Get(s.name)
		if given == "" {
			return malformedTrailer()
		}
		if err := s.check(given); err != nil {
			return err
		}
	}
	if _, err := b.in.ReadByte(); err != io.EOF {
		if err == nil {
			err = malformedTrailer()
		}
		return err
	}
	b.trailer = fields
	return io.EOF
}

// line reads up to a line end, which it takes off. At the end of the input it returns what there was and
// io.ErrUnexpectedEOF.
func (b *ChunkedBody) line() (string, error) {
	var line []byte
	for len(line) <= maxLine {
		c, err := b.in.ReadByte()
		if err != nil {
			return string(line), broken(err)
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, c)
	}
	return "", malformedChunk()
}

// lineEnd reads the line end after a chunk.
func (b *ChunkedBody) lineEnd() error {
	line, err := b.line()
	if err == nil && line != "" {
		err = malformedChunk()
	}
	return err
}

// broken makes an end of the input in the middle of the chunks an error.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func malformedChunk() error {
	return errorf(ChunkMalformed, "The request body is not well-formed aws-chunked.")
}

func malformedTrailer() error {
	return errorf(TrailerMalformed, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}

// A chain checks chunk after chunk: each one's signature covers the one before.
type chain struct {
	proof    *Proof
	previous string
}

func (c *chain) chunk(data []byte, signature string) error {
	sum := sha256.Sum256(data)
	return c.check("-PAYLOAD\n", EmptyHash+"\n"+hex.EncodeToString(sum[:]), signature)
}

func (c *chain) trailer(fields, signature string) error {
	sum := sha256.Sum256([]byte(fields))
	return c.check("-TRAILER\n", hex.EncodeToString(sum[:]), signature)
}

func (c *chain) check(kind, content, signature string) error {
	signature = strings.TrimRight(signature, "*") // elliptic-curve signatures are padded to one length
	toSign := c.toSign(kind, content)
	if !c.proof.verifyString(toSign, signature) {
		return &Error{Reason: ChunkMismatch, AccessKeyID: c.proof.claim.AccessKeyID, StringToSign: toSign, Provided: signature,
			Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	}
	c.previous = signature
	return nil
}

func (c *chain) toSign(kind, content string) string {
	claim := c.proof.claim
	return claim.Algorithm + kind + claim.stamp + "\n" + claim.Scope() + "\n" + c.previous + "\n" + content
}
