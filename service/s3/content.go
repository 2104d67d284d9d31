package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"lambent/blob"
	"lambent/cloud"
	"lambent/kv"
)

// inlineLimit is the size up to which an object's bytes are a row of their own instead of a blob: one sync
// of the store's log in place of two of the file system.
const inlineLimit = 16 << 10

// maxPut is the most that one PutObject, UploadPart or CopyObject may carry.
const maxPut = 5 << 30

// body is content that has been received and is on disk (as a blob) or in hand (inline), not yet referenced.
type body struct {
	data []byte    // inline content, when ref is nil
	ref  *blob.Ref // content beyond inlineLimit
	size int64
	md5  []byte
	sum  checksum // by the algorithm asked for
	crc  []byte   // CRC64NVME, when asked for
}

func (b *body) etag() string { return hex.EncodeToString(b.md5) }

// receive reads r to its end, hashing on the way. Parts are never inlined, so that Complete need not move
// bytes; they also keep the CRC64NVME from which the whole object's is combined.
func (s *Service) receive(ctx context.Context, r io.Reader, algorithm string, part bool) (*body, error) {
	a, err := findAlgorithm(algorithm)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = bytes.NewReader(nil)
	}
	h := hashers{md5: md5.New(), sum: a.new()}
	if part {
		crc, _ := findAlgorithm(defaultAlgorithm)
		h.crc = crc.new()
	}
	in := &receiver{r: r, to: h}
	var head []byte
	if !part {
		if head, err = io.ReadAll(io.LimitReader(in, inlineLimit+1)); err != nil {
			return nil, received(err)
		}
	}
	b := &body{data: head}
	if part || len(head) > inlineLimit {
		ref, err := s.blobs.Put(ctx, io.MultiReader(bytes.NewReader(head), in))
		if err != nil {
			return nil, received(err)
		}
		b.data, b.ref = nil, &ref
	}
	b.size, b.md5, b.sum = in.n, h.md5.Sum(nil), checksumOf(a.name, h.sum.Sum(nil))
	if h.crc != nil {
		b.crc = h.crc.Sum(nil)
	}
	return b, nil
}

// received turns a broken upload into the Fault that S3 gives; a Fault from the gateway's reader passes.
func received(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && cloud.FaultCode(err) == "" {
		return fault(400, "IncompleteBody", detail{}, "You did not provide the number of bytes specified by the Content-Length HTTP header")
	}
	return fmt.Errorf("receive content: %w", err)
}

func tooLarge(proposed int64) error {
	return fault(400, "EntityTooLarge", detail{ProposedSize: &proposed, MaxSizeAllowed: new(int64(maxPut))},
		"Your proposed upload exceeds the maximum allowed size")
}

type hashers struct{ md5, sum, crc hash.Hash }

// receiver hashes and counts what passes through it, and ends an upload that is too long.
type receiver struct {
	r  io.Reader
	to hashers
	n  int64
}

func (r *receiver) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.to.md5.Write(p[:n])
	r.to.sum.Write(p[:n])
	if r.to.crc != nil {
		r.to.crc.Write(p[:n])
	}
	if r.n += int64(n); r.n > maxPut {
		return n, tooLarge(r.n)
	}
	return n, err
}

// content is where an object's bytes are, as read in one transaction.
type content struct {
	data  []byte
	ref   *blob.Ref
	parts []part
}

// contentOf reads where o's bytes are.
func contentOf(ctx context.Context, r kv.Reader, bucket, key string, seq uint64, o object) (content, error) {
	switch {
	case o.Blob != nil:
		return content{ref: o.Blob}, nil
	case o.Upload != "":
		parts, err := partsOf(ctx, r, o.Upload)
		return content{parts: parts}, err
	}
	data, err := r.Get(ctx, dataKey(bucket, key, seq))
	return content{data: data}, err
}

// open returns n bytes of the content from offset off.
func (s *Service) open(ctx context.Context, c content, off, n int64) (io.ReadCloser, error) {
	switch {
	case c.ref != nil:
		b, err := s.blobs.Open(ctx, *c.ref)
		if err != nil {
			return nil, fmt.Errorf("open content: %w", err)
		}
		if off == 0 && n == c.ref.Size {
			return b, nil
		}
		return section{io.NewSectionReader(b, off, n), b}, nil
	case c.parts != nil:
		return &partsReader{ctx: ctx, blobs: s.blobs, parts: c.parts, skip: off, left: n}, nil
	}
	return io.NopCloser(bytes.NewReader(c.data[off : off+n])), nil
}

// section is a piece of an open blob; closing it closes the blob.
type section struct {
	io.Reader
	io.Closer
}

// partsReader reads a multipart object's parts one after the other.
type partsReader struct {
	ctx   context.Context // of the request whose reply this is
	blobs *blob.Store
	parts []part
	skip  int64
	left  int64
	cur   blob.Blob
}

// Read implements io.Reader.
func (p *partsReader) Read(buf []byte) (int, error) {
	for p.left > 0 {
		if p.cur == nil {
			if err := p.advance(); err != nil {
				return 0, err
			}
		}
		n, err := p.cur.Read(buf[:min(int64(len(buf)), p.left)])
		p.left -= int64(n)
		if err == io.EOF {
			err = p.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// advance opens the part that holds the next byte.
func (p *partsReader) advance() error {
	for len(p.parts) > 0 && p.skip >= p.parts[0].Size {
		p.skip -= p.parts[0].Size
		p.parts = p.parts[1:]
	}
	if len(p.parts) == 0 {
		return io.ErrUnexpectedEOF
	}
	b, err := p.blobs.Open(p.ctx, p.parts[0].Blob)
	if err != nil {
		return fmt.Errorf("open part %d: %w", p.parts[0].Number, err)
	}
	if _, err := b.Seek(p.skip, io.SeekStart); err != nil {
		b.Close()
		return fmt.Errorf("seek in part %d: %w", p.parts[0].Number, err)
	}
	p.cur, p.skip, p.parts = b, 0, p.parts[1:]
	return nil
}

// Close implements io.Closer.
func (p *partsReader) Close() error {
	if p.cur == nil {
		return nil
	}
	err := p.cur.Close()
	p.cur = nil
	return err
}

// decodeSum undoes checksumOf's base64.
func decodeSum(value string) []byte {
	sum, _ := base64.StdEncoding.DecodeString(value)
	return sum
}
