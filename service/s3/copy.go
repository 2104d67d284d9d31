package s3

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// copySource is the object that x-amz-copy-source names.
type copySource struct {
	bucket, key string
	version     *string
}

// parseCopySource reads "bucket/key" or "/bucket/key", URL-encoded, with "?versionId=" behind it or not.
func parseCopySource(header string) (copySource, error) {
	invalid := invalidArgument("x-amz-copy-source", header, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	path, query, versioned := strings.Cut(header, "?versionId=")
	path, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil {
		return copySource{}, invalid
	}
	if strings.HasPrefix(path, "arn:") {
		return copySource{}, notImplemented("access points are not implemented")
	}
	bucket, key, ok := strings.Cut(path, "/")
	if !ok || bucket == "" || key == "" {
		return copySource{}, invalid
	}
	src := copySource{bucket: bucket, key: key}
	if versioned {
		if query == "" {
			return src, invalidArgument("x-amz-copy-source", header, "Version id cannot be the empty string")
		}
		src.version = &query
	}
	return src, nil
}

func (src copySource) lookup(owner *string, content bool) lookup {
	return lookup{&src.bucket, &src.key, owner, src.version, "GET", content}
}

// copyObject answers CopyObject. Content in one blob is not read: the new object holds the same blob. That of a
// multipart object, or one that needs another checksum, goes through this process once.
func (s *Service) copyObject(ctx context.Context, c cloud.Caller, in *CopyObjectInput) (*CopyObjectOutput, error) {
	src, err := parseCopySource(*in.CopySource)
	if err != nil {
		return nil, err
	}
	cond, err := writeConditions(in.IfMatch, in.IfNoneMatch)
	if err != nil {
		return nil, err
	}
	if err := checkKey(*in.Key); err != nil {
		return nil, err
	}
	from, err := s.copyFrom(ctx, c, src, in)
	if err != nil {
		return nil, err
	}
	copied, err := s.recode(ctx, from, in.ChecksumAlgorithm)
	if err != nil {
		return nil, err
	}
	var o object
	var b bucket
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		if b, err = s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner); err != nil {
			return err
		}
		content := copied
		if content == nil {
			// The blob may lose its last holder at any time: it is taken over in the transaction that still sees the source.
			if from, err = s.findIn(ctx, tx, c, src.lookup(in.ExpectedSourceBucketOwner, true)); err != nil {
				return err
			}
			content = &body{data: from.content.data, ref: from.object.Blob, size: from.object.Size, sum: from.object.Sum}
		}
		if o, err = copyOf(c, b, from.object, in); err != nil {
			return err
		}
		if copied != nil {
			o.setBody(copied)
		} else {
			o.Size, o.ETag, o.Sum, o.Blob = content.size, from.object.ETag, content.sum, content.ref
		}
		if err := checkInPlace(b, src, from, o, in); err != nil {
			return err
		}
		return s.write(ctx, tx, b, *in.Key, &o, content.data, cond)
	})
	if err != nil {
		return nil, err
	}
	result := &CopyObjectResult{ETag: o.etag(), LastModified: new(seconds(o.Modified)), ChecksumType: o.Sum.kind()}
	o.Sum.into(&result.ChecksumCRC32, &result.ChecksumCRC32C, &result.ChecksumCRC64NVME, &result.ChecksumSHA1, &result.ChecksumSHA256, &result.ChecksumSHA512, &result.ChecksumMD5)
	return &CopyObjectOutput{
		CopyObjectResult: result, VersionId: o.versionFor(b), CopySourceVersionId: from.object.versionFor(from.bucket),
		ServerSideEncryption: o.SSE.algorithm(), SSEKMSKeyId: nonEmpty(o.SSE.KeyID), SSEKMSEncryptionContext: nonEmpty(o.SSE.Context), BucketKeyEnabled: o.SSE.bucketKey(),
	}, nil
}

// copyFrom finds the source and holds the request's conditions against it.
func (s *Service) copyFrom(ctx context.Context, c cloud.Caller, src copySource, in *CopyObjectInput) (found, error) {
	if _, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return found{}, err
	}
	from, err := s.find(ctx, c, src.lookup(in.ExpectedSourceBucketOwner, true))
	if err != nil {
		return from, err
	}
	if from.object.Size > maxPut {
		return from, invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxPut))
	}
	cond := readConditions{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince, true}
	return from, cond.check(c.Now, &from.object)
}

// recode reads the source through when its content cannot be shared as it is; else it returns nil.
func (s *Service) recode(ctx context.Context, from found, algorithm *string) (*body, error) {
	want := cloud.Or(algorithm, cloud.Or(nonEmpty(from.object.Sum.Algorithm), defaultAlgorithm))
	if from.object.Upload == "" && want == from.object.Sum.Algorithm {
		return nil, nil
	}
	r, err := s.open(ctx, from.content, 0, from.object.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return s.receive(ctx, r, want, false)
}

// copyOf describes the copy: after its source, or after the request where a directive says REPLACE.
func copyOf(c cloud.Caller, b bucket, from object, in *CopyObjectInput) (object, error) {
	o, err := describe(c, b, copyAttributes(in))
	if err != nil {
		return o, err
	}
	if cloud.Val(in.MetadataDirective) != "REPLACE" {
		redirect := o.Headers.Redirect
		o.Headers, o.Meta = from.Headers, from.Meta
		o.Headers.Redirect = redirect
	}
	if cloud.Val(in.TaggingDirective) != "REPLACE" {
		o.Tags = from.Tags
	}
	return o, nil
}

// checkInPlace refuses a copy of an object onto itself that changes nothing.
func checkInPlace(b bucket, src copySource, from found, o object, in *CopyObjectInput) error {
	switch {
	case src.bucket != b.Name || src.key != *in.Key || src.version != nil:
	case cloud.Val(in.MetadataDirective) == "REPLACE" || in.StorageClass != nil || in.WebsiteRedirectLocation != nil:
	case in.ServerSideEncryption != nil || o.SSE != from.object.SSE:
	default:
		return invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	return nil
}

// uploadPartCopy answers UploadPartCopy.
func (s *Service) uploadPartCopy(ctx context.Context, c cloud.Caller, in *UploadPartCopyInput) (*UploadPartCopyOutput, error) {
	if anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey) {
		return nil, notImplemented("server-side encryption with customer-provided keys is not implemented")
	}
	src, err := parseCopySource(*in.CopySource)
	if err != nil {
		return nil, err
	}
	t := target{in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner, int(*in.PartNumber)}
	u, err := s.partTarget(ctx, c, t, "")
	if err != nil {
		return nil, err
	}
	from, err := s.find(ctx, c, src.lookup(in.ExpectedSourceBucketOwner, true))
	if err != nil {
		return nil, err
	}
	cond := readConditions{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince, true}
	if err := cond.check(c.Now, &from.object); err != nil {
		return nil, err
	}
	off, n, err := copyRange(in.CopySourceRange, from.object.Size)
	if err != nil {
		return nil, err
	}
	r, err := s.open(ctx, from.content, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	got, err := s.receive(ctx, r, cloud.Or(nonEmpty(u.Sum.Algorithm), defaultAlgorithm), true)
	if err != nil {
		return nil, err
	}
	p, err := s.putPart(ctx, c, t, got)
	if err != nil {
		return nil, err
	}
	result := &CopyPartResult{ETag: new(`"` + p.ETag + `"`), LastModified: new(seconds(p.Modified))}
	if u.Sum.Algorithm != "" {
		p.Sum.into(&result.ChecksumCRC32, &result.ChecksumCRC32C, &result.ChecksumCRC64NVME, &result.ChecksumSHA1, &result.ChecksumSHA256, &result.ChecksumSHA512, &result.ChecksumMD5)
	}
	return &UploadPartCopyOutput{
		CopyPartResult: result, CopySourceVersionId: from.object.versionFor(from.bucket), ServerSideEncryption: u.Object.SSE.algorithm(),
		SSEKMSKeyId: nonEmpty(u.Object.SSE.KeyID), BucketKeyEnabled: u.Object.SSE.bucketKey(),
	}, nil
}

// copyRange reads x-amz-copy-source-range, which is stricter than Range.
func copyRange(header *string, size int64) (off, n int64, err error) {
	if header == nil {
		return 0, size, nil
	}
	malformed := invalidArgument("x-amz-copy-source-range", *header,
		"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	spec, ok := strings.CutPrefix(*header, "bytes=")
	first, last, cut := strings.Cut(spec, "-")
	a, errA := strconv.ParseUint(first, 10, 63)
	b, errB := strconv.ParseUint(last, 10, 63)
	switch {
	case !ok || !cut || errA != nil || errB != nil || b < a:
		return 0, 0, malformed
	case a >= uint64(size):
		return 0, 0, invalidRequest("The specified copy range is invalid for the source object size")
	case b >= uint64(size):
		return 0, 0, invalidArgument("x-amz-copy-source-range", *header, "Range specified is not valid for source object of size: %d", size)
	}
	return int64(a), int64(b-a) + 1, nil
}
