package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// lookup names an object to read.
type lookup struct {
	bucket, key, owner *string
	version            *string // nil: the current one
	method             string  // for the fault that a delete marker gives
	content            bool    // read where the bytes are, too
}

// found is an object with its bucket, as one transaction saw them.
type found struct {
	bucket  bucket
	object  object
	seq     uint64
	content content
}

// find reads the object that l names, in a transaction of its own.
func (s *Service) find(ctx context.Context, c cloud.Caller, l lookup) (f found, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		f, err = s.findIn(ctx, r, c, l)
		return err
	})
	return f, err
}

func (s *Service) findIn(ctx context.Context, r kv.Reader, c cloud.Caller, l lookup) (f found, err error) {
	if f.bucket, err = s.bucket(ctx, r, c, l.bucket, l.owner); err != nil {
		return f, err
	}
	var o *object
	if l.version == nil {
		o, f.seq, err = s.latest(ctx, r, f.bucket.Name, *l.key)
	} else {
		o, f.seq, err = s.version(ctx, r, f.bucket.Name, *l.key, *l.version)
	}
	switch {
	case err != nil:
		return f, err
	case o == nil && l.version != nil:
		return f, noSuchVersion(*l.key, *l.version)
	case o == nil:
		return f, noSuchKey(*l.key)
	case o.Marker && (l.version != nil || l.method == "PUT" || l.method == "DELETE"):
		return f, methodNotAllowed(l.method, o.Version)
	case o.Marker:
		return f, fault(404, "NoSuchKey", detail{Key: l.key, DeleteMarker: new(true), MarkerVersionId: &o.Version}, "The specified key does not exist.")
	}
	f.object = *o
	if l.content {
		f.content, err = contentOf(ctx, r, f.bucket.Name, *l.key, f.seq, f.object)
	}
	return f, err
}

// window is the piece of an object that a request asked for.
type window struct {
	off, n  int64
	partial bool  // answered with 206 and a Content-Range
	part    *part // the part asked for, of a multipart object
}

func (w window) contentRange(size int64) *string {
	if !w.partial || w.n == 0 {
		return nil
	}
	return new(fmt.Sprintf("bytes %d-%d/%d", w.off, w.off+w.n-1, size))
}

// windowOf reads Range and partNumber.
func windowOf(f found, header *string, partNumber *int32) (window, error) {
	whole := window{n: f.object.Size}
	switch {
	case header != nil && partNumber != nil:
		return whole, invalidRequest("Cannot specify both Range header and partNumber query parameter")
	case header != nil:
		off, n, ok := parseRange(*header, f.object.Size)
		switch {
		case !ok:
			return whole, nil
		case n == 0:
			return whole, fault(416, "InvalidRange", detail{RangeRequested: header, ActualObjectSize: &f.object.Size}, "The requested range is not satisfiable")
		}
		return window{off: off, n: n, partial: true}, nil
	case partNumber == nil:
		return whole, nil
	}
	return partWindow(f, int(*partNumber))
}

func partWindow(f found, number int) (window, error) {
	if number < 1 || number > 10_000 {
		return window{}, invalidArgument("partNumber", strconv.Itoa(number), "Part number must be an integer between 1 and 10000, inclusive")
	}
	count := max(f.object.Parts, 1)
	if number > count {
		return window{}, fault(416, "InvalidPartNumber", detail{PartNumberRequested: new(int64(number)), ActualPartCount: new(int64(count))},
			"The requested partnumber is not satisfiable")
	}
	if f.object.Upload == "" {
		return window{n: f.object.Size, partial: true}, nil
	}
	w := window{partial: true}
	for i, p := range f.content.parts {
		if i == number-1 {
			w.n, w.part = p.Size, &p
			break
		}
		w.off += p.Size
	}
	return w, nil
}

// parseRange reads a Range header of one range. ok is false for what S3 answers with the whole object: other
// forms and several ranges. n is 0 when nothing of the range is there.
func parseRange(header string, size int64) (off, n int64, ok bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return 0, 0, false
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return 0, 0, false
		}
		n = min(n, uint64(size))
		return size - int64(n), int64(n), true
	}
	a, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return 0, 0, false
	}
	b := uint64(1)<<63 - 1
	if last != "" {
		if b, err = strconv.ParseUint(last, 10, 63); err != nil || b < a {
			return 0, 0, false
		}
	}
	if a >= uint64(size) {
		return 0, 0, true
	}
	return int64(a), int64(min(b, uint64(size)-1)-a) + 1, true
}

// getObject answers GetObject.
func (s *Service) getObject(ctx context.Context, c cloud.Caller, in *GetObjectInput) (*GetObjectOutput, error) {
	if anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5) {
		return nil, invalidRequest("The encryption parameters are not applicable to this object.")
	}
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", true})
	if err != nil {
		return nil, err
	}
	cond := readConditions{match: in.IfMatch, noneMatch: in.IfNoneMatch, modifiedSince: in.IfModifiedSince, unmodified: in.IfUnmodifiedSince}
	if err := cond.check(c.Now, &f.object); err != nil {
		return nil, err
	}
	if f.object.Class == "GLACIER" || f.object.Class == "DEEP_ARCHIVE" {
		return nil, fault(403, "InvalidObjectState", detail{StorageClass: &f.object.Class}, "The operation is not valid for the object's storage class")
	}
	w, err := windowOf(f, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	h := f.head(w, in.PartNumber != nil, in.ChecksumMode)
	h.override(in.ResponseCacheControl, in.ResponseContentDisposition, in.ResponseContentEncoding, in.ResponseContentLanguage, in.ResponseContentType, in.ResponseExpires)
	r, err := s.open(ctx, f.content, w.off, w.n)
	if err != nil {
		return nil, err
	}
	return h.withBody(r), nil
}

// headObject answers HeadObject.
func (s *Service) headObject(ctx context.Context, c cloud.Caller, in *HeadObjectInput) (*HeadObjectOutput, error) {
	if anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5) {
		return nil, invalidRequest("The encryption parameters are not applicable to this object.")
	}
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "HEAD", in.PartNumber != nil})
	if err != nil {
		return nil, err
	}
	cond := readConditions{match: in.IfMatch, noneMatch: in.IfNoneMatch, modifiedSince: in.IfModifiedSince, unmodified: in.IfUnmodifiedSince}
	if err := cond.check(c.Now, &f.object); err != nil {
		return nil, err
	}
	w, err := windowOf(f, in.Range, in.PartNumber)
	if err != nil {
		return nil, err
	}
	h := f.head(w, in.PartNumber != nil, in.ChecksumMode)
	h.override(in.ResponseCacheControl, in.ResponseContentDisposition, in.ResponseContentEncoding, in.ResponseContentLanguage, in.ResponseContentType, in.ResponseExpires)
	return h, nil
}

// head is what GetObject and HeadObject say of the object.
func (f *found) head(w window, byPart bool, mode *string) *HeadObjectOutput {
	o := &f.object
	out := &HeadObjectOutput{
		AcceptRanges: new("bytes"), LastModified: new(seconds(o.Modified)), ContentLength: &w.n, ContentRange: w.contentRange(o.Size),
		ETag: o.etag(), VersionId: o.versionFor(f.bucket), Metadata: o.Meta,
		CacheControl: nonEmpty(o.Headers.CacheControl), ContentDisposition: nonEmpty(o.Headers.ContentDisposition),
		ContentEncoding: nonEmpty(o.Headers.ContentEncoding), ContentLanguage: nonEmpty(o.Headers.ContentLanguage),
		ContentType: new(cloud.Or(nonEmpty(o.Headers.ContentType), "binary/octet-stream")),
		Expires:     nonEmpty(o.Headers.Expires), WebsiteRedirectLocation: nonEmpty(o.Headers.Redirect),
		ServerSideEncryption: o.SSE.algorithm(), SSEKMSKeyId: nonEmpty(o.SSE.KeyID), BucketKeyEnabled: o.SSE.bucketKey(),
		StorageClass: nonEmpty(o.Class),
	}
	if n := len(o.Tags); n > 0 {
		out.TagCount = new(int32(n))
	}
	if byPart && o.Parts > 0 {
		out.PartsCount = new(int32(o.Parts))
	}
	if sum := f.sum(w); cloud.Val(mode) == "ENABLED" && sum.Algorithm != "" {
		out.ChecksumType = sum.kind()
		sum.into(&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256, &out.ChecksumSHA512, &out.ChecksumMD5)
	}
	return out
}

// sum is the checksum of what the window shows, where one is known: of the whole, or of a part of a composite.
func (f *found) sum(w window) checksum {
	if w.n == f.object.Size && (w.part == nil || f.object.Sum.Type == fullObject) {
		return f.object.Sum
	}
	if w.part != nil && f.object.Sum.Type == composite {
		return checksum{w.part.Sum.Algorithm, w.part.Sum.Value, composite}
	}
	return checksum{}
}

// override applies the response-* parameters.
func (out *HeadObjectOutput) override(cache, disposition, encoding, language, contentType *string, expires *time.Time) {
	for _, o := range []struct {
		to   **string
		with *string
	}{
		{&out.CacheControl, cache}, {&out.ContentDisposition, disposition}, {&out.ContentEncoding, encoding},
		{&out.ContentLanguage, language}, {&out.ContentType, contentType},
	} {
		if o.with != nil {
			*o.to = o.with
		}
	}
	if expires != nil {
		out.Expires = new(expires.UTC().Format(http.TimeFormat))
	}
}

// withBody makes of a head the answer to GetObject.
func (out *HeadObjectOutput) withBody(r io.ReadCloser) *GetObjectOutput {
	return &GetObjectOutput{
		Body: r, AcceptRanges: out.AcceptRanges, LastModified: out.LastModified, ContentLength: out.ContentLength, ETag: out.ETag,
		ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256, ChecksumSHA512: out.ChecksumSHA512, ChecksumMD5: out.ChecksumMD5,
		ChecksumType: out.ChecksumType, VersionId: out.VersionId, CacheControl: out.CacheControl, ContentDisposition: out.ContentDisposition,
		ContentEncoding: out.ContentEncoding, ContentLanguage: out.ContentLanguage, ContentRange: out.ContentRange, ContentType: out.ContentType,
		Expires: out.Expires, WebsiteRedirectLocation: out.WebsiteRedirectLocation, ServerSideEncryption: out.ServerSideEncryption,
		Metadata: out.Metadata, SSEKMSKeyId: out.SSEKMSKeyId, BucketKeyEnabled: out.BucketKeyEnabled, StorageClass: out.StorageClass,
		PartsCount: out.PartsCount, TagCount: out.TagCount,
	}
}

// reader lets a body that is not there be read as an empty one.
func reader(body io.ReadCloser) io.Reader {
	if body == nil {
		return strings.NewReader("")
	}
	return body
}
