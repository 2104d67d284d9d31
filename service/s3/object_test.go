package s3_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service/s3"
)

func TestPutAndGet(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 1 << 20} {
		content := strings.Repeat("x", size)
		in := &s3.PutObjectInput{
			Bucket: new("objects"), Key: new("key/é"), Body: body(content), ContentType: new("text/plain"), CacheControl: new("no-cache"),
			ContentEncoding: new("aws-chunked,gzip"), Metadata: map[string]string{"a": "1"}, Tagging: new("k=v&l="),
		}
		put := do[s3.PutObjectOutput](r, "PutObject", in)
		equal(t, "etag", *put.ETag, etagOf(content))
		equal(t, "type", *put.ChecksumType, "FULL_OBJECT")
		equal(t, "sse", *put.ServerSideEncryption, "AES256")
		equal(t, "version", put.VersionId == nil, true)
		got, out := r.get(&s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key})
		equal(t, "content", got == content, true)
		equal(t, "type", *out.ContentType, "text/plain")
		equal(t, "encoding", *out.ContentEncoding, "gzip")
		equal(t, "meta", out.Metadata["a"], "1")
		equal(t, "tags", *out.TagCount, int32(2))
		equal(t, "range", out.ContentRange == nil, true)
		equal(t, "modified", out.LastModified.Nanosecond(), 0)
		equal(t, "checksum", out.ChecksumCRC64NVME == nil, true)
	}
	f := refused(r, "NoSuchKey", "The specified key does not exist.", "GetObject", &s3.GetObjectInput{Bucket: new("objects"), Key: new("none")})
	equal(t, "status", f.Status, 404)
	refused(r, "KeyTooLongError", "", "PutObject", &s3.PutObjectInput{Bucket: new("objects"), Key: new(strings.Repeat("k", 1025))})
	refused(r, "InvalidStorageClass", "", "PutObject", &s3.PutObjectInput{Bucket: new("objects"), Key: new("k"), StorageClass: new("OUTPOSTS")})
	refused(r, "MetadataTooLarge", "", "PutObject", &s3.PutObjectInput{Bucket: new("objects"), Key: new("k"), Metadata: map[string]string{"k": strings.Repeat("v", 2048)}})
	refused(r, "NoSuchBucket", "", "PutObject", &s3.PutObjectInput{Bucket: new("nowhere"), Key: new("k")})
}

func TestGetOverrides(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	r.put("objects", "k", "something")
	_, out := r.get(&s3.GetObjectInput{
		Bucket: new("objects"), Key: new("k"), ResponseContentType: new("image/jpeg"), ResponseCacheControl: new("max-age=74"),
		ResponseExpires: new(time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)),
	})
	equal(t, "type", *out.ContentType, "image/jpeg")
	equal(t, "cache", *out.CacheControl, "max-age=74")
	equal(t, "expires", *out.Expires, "Wed, 21 Oct 2015 07:28:00 GMT")
}

// The cases are those of test_s3_api.py::TestS3ObjectCRUD::test_get_object_range, recorded on AWS.
func TestRanges(t *testing.T) {
	r := newRig(t)
	r.bucket("ranges")
	r.put("ranges", "k", "0123456789")
	for _, tt := range []struct{ header, content, contentRange string }{
		{"bytes=-", "0123456789", ""}, {"bytes=-1-", "0123456789", ""}, {"bytes=0--1", "0123456789", ""}, {"bytes=1-0", "0123456789", ""},
		{"bytes=0-1,3-4", "0123456789", ""}, {"0-8", "0123456789", ""},
		{"bytes=-15", "0123456789", "bytes 0-9/10"}, {"bytes=-2", "89", "bytes 8-9/10"}, {"bytes=0-0", "0", "bytes 0-0/10"},
		{"bytes=0-100", "0123456789", "bytes 0-9/10"}, {"bytes=1-", "123456789", "bytes 1-9/10"}, {"bytes=1-1", "1", "bytes 1-1/10"},
	} {
		got, out := r.get(&s3.GetObjectInput{Bucket: new("ranges"), Key: new("k"), Range: &tt.header, ChecksumMode: new("ENABLED")})
		equal(t, tt.header, got, tt.content)
		equal(t, tt.header, cloud.Val(out.ContentRange), tt.contentRange)
		equal(t, tt.header+" has the checksum", out.ChecksumCRC64NVME != nil, len(tt.content) == 10)
	}
	for _, header := range []string{"bytes=-0", "bytes=100-200", "bytes=10-"} {
		f := refused(r, "InvalidRange", "The requested range is not satisfiable", "GetObject", &s3.GetObjectInput{Bucket: new("ranges"), Key: new("k"), Range: &header})
		equal(t, header, f.Status, 416)
	}
	refused(r, "InvalidRequest", "Cannot specify both Range header and partNumber query parameter", "GetObject",
		&s3.GetObjectInput{Bucket: new("ranges"), Key: new("k"), Range: new("bytes=0-1"), PartNumber: new(int32(1))})
	_, out := r.get(&s3.GetObjectInput{Bucket: new("ranges"), Key: new("k"), PartNumber: new(int32(1))})
	equal(t, "part 1", *out.ContentRange, "bytes 0-9/10")
	refused(r, "InvalidPartNumber", "The requested partnumber is not satisfiable", "GetObject", &s3.GetObjectInput{Bucket: new("ranges"), Key: new("k"), PartNumber: new(int32(2))})
}

func TestReadConditions(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	etag := r.put("objects", "k", "x").ETag
	now := r.caller.Now.Truncate(time.Second)
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	for _, tt := range []struct {
		in   s3.GetObjectInput
		code string
	}{
		{s3.GetObjectInput{IfMatch: etag}, ""},
		{s3.GetObjectInput{IfMatch: new("*")}, ""},
		{s3.GetObjectInput{IfMatch: new(strings.Trim(*etag, `"`))}, ""},
		{s3.GetObjectInput{IfMatch: new(`"other"`)}, "PreconditionFailed"},
		{s3.GetObjectInput{IfMatch: etag, IfUnmodifiedSince: &past}, ""},
		{s3.GetObjectInput{IfUnmodifiedSince: &past}, "PreconditionFailed"},
		{s3.GetObjectInput{IfUnmodifiedSince: &now}, ""},
		{s3.GetObjectInput{IfNoneMatch: etag}, "NotModified"},
		{s3.GetObjectInput{IfNoneMatch: new(`"other"`), IfModifiedSince: &now}, ""},
		{s3.GetObjectInput{IfModifiedSince: &now}, "NotModified"},
		{s3.GetObjectInput{IfModifiedSince: &past}, ""},
		{s3.GetObjectInput{IfModifiedSince: &future}, ""},
	} {
		tt.in.Bucket, tt.in.Key = new("objects"), new("k")
		_, err := try[s3.GetObjectOutput](r, "GetObject", &tt.in)
		if cloud.FaultCode(err) != tt.code {
			t.Errorf("%+v: got %v, want %q", tt.in, err, tt.code)
		}
	}
}

func TestWriteConditions(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	put := func(match, noneMatch *string) *s3.PutObjectInput {
		return &s3.PutObjectInput{Bucket: new("objects"), Key: new("k"), Body: body("y"), IfMatch: match, IfNoneMatch: noneMatch}
	}
	refused(r, "NoSuchKey", "", "PutObject", put(new(`"x"`), nil))
	refused(r, "NotImplemented", "A header you provided implies functionality that is not implemented", "PutObject", put(new("*"), nil))
	refused(r, "NotImplemented", "", "PutObject", put(nil, new(`"x"`)))
	refused(r, "NotImplemented", "", "PutObject", put(new("a"), new("*")))
	do[s3.PutObjectOutput](r, "PutObject", put(nil, new("*")))
	f := refused(r, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "PutObject", put(nil, new("*")))
	equal(t, "status", f.Status, 412)
	refused(r, "PreconditionFailed", "", "PutObject", put(new(`"other"`), nil))
	do[s3.PutObjectOutput](r, "PutObject", put(new(etagOf("y")), nil))
	refused(r, "PreconditionFailed", "", "DeleteObject", &s3.DeleteObjectInput{Bucket: new("objects"), Key: new("k"), IfMatch: new(`"other"`)})
	refused(r, "NotImplemented", "", "DeleteObject", &s3.DeleteObjectInput{Bucket: new("objects"), Key: new("k"), IfMatchSize: new(int64(1))})
	do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("objects"), Key: new("k"), IfMatch: new(etagOf("y"))})
}

// Checksums of "test data.." by algorithm, from test_put_object_checksum as recorded on AWS.
func TestChecksums(t *testing.T) {
	r := newRig(t)
	r.bucket("sums")
	const content = "test data.."
	set := func(in *s3.PutObjectInput, algorithm, value string) *s3.PutObjectInput {
		*map[string]**string{"CRC32C": &in.ChecksumCRC32C, "CRC64NVME": &in.ChecksumCRC64NVME, "SHA256": &in.ChecksumSHA256}[algorithm] = &value
		return in
	}
	base := func() *s3.PutObjectInput {
		return &s3.PutObjectInput{Bucket: new("sums"), Key: new("k"), Body: body(content)}
	}
	for algorithm, want := range map[string]string{
		"CRC32C": "Pf4upw==", "CRC64NVME": "qUVrWYOrIAM=", "SHA256": "2l26x0trnT0r2AvakoFk2MB7eKVKzYESLMxSAKAzoik=",
	} {
		equal(t, "etag", *do[s3.PutObjectOutput](r, "PutObject", set(base(), algorithm, want)).ETag, `"e6d9226c2a86b7232933663c13467527"`)
		refused(r, "InvalidRequest", "Value for x-amz-checksum-"+strings.ToLower(algorithm)+" header is invalid.", "PutObject", set(base(), algorithm, "nope"))
		wrong, _ := base64.StdEncoding.DecodeString(want)
		wrong[0]++
		refused(r, "BadDigest", "The "+algorithm+" you specified did not match the calculated checksum.", "PutObject", set(base(), algorithm, base64.StdEncoding.EncodeToString(wrong)))
		in := base()
		in.ChecksumAlgorithm = &algorithm
		do[s3.PutObjectOutput](r, "PutObject", in)
		out := do[s3.HeadObjectOutput](r, "HeadObject", &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, ChecksumMode: new("ENABLED")})
		got := map[string]*string{"CRC32C": out.ChecksumCRC32C, "CRC64NVME": out.ChecksumCRC64NVME, "SHA256": out.ChecksumSHA256}[algorithm]
		equal(t, algorithm, cloud.Val(got), want)
	}
	refused(r, "InvalidRequest", "Expecting a single x-amz-checksum- header", "PutObject", set(set(base(), "CRC32C", "Pf4upw=="), "CRC64NVME", "qUVrWYOrIAM="))
	in := base()
	in.ContentMD5 = new("bad")
	refused(r, "InvalidDigest", "", "PutObject", in)
	in.ContentMD5 = new("1B2M2Y8AsgTpgAmY7PhCfg==")
	refused(r, "BadDigest", "The Content-MD5 you specified did not match what we received.", "PutObject", in)
}

// A body that breaks off leaves nothing behind; a Fault of the gateway's own reader comes through.
func TestBrokenBody(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	for err, code := range map[error]string{
		io.ErrUnexpectedEOF: "IncompleteBody",
		cloud.Faultf("XAmzContentChecksumMismatch", "The provided 'x-amz-checksum' header does not match what was computed."): "XAmzContentChecksumMismatch",
	} {
		for _, size := range []int{10, 100_000} {
			b := io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, size)), failing{err}))
			refused(r, code, "", "PutObject", &s3.PutObjectInput{Bucket: new("objects"), Key: new("k"), Body: b})
			refused(r, "NoSuchKey", "", "HeadObject", &s3.HeadObjectInput{Bucket: new("objects"), Key: new("k")})
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestObjectForOtherRooms(t *testing.T) {
	r := newRig(t)
	r.bucket("code")
	r.put("code", "fn.zip", "zip")
	c, size, err := r.s3.Object(context.Background(), r.caller, "code", "fn.zip", "")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(c)
	c.Close()
	equal(t, "content", string(b), "zip")
	equal(t, "size", size, int64(3))
	_, _, err = r.s3.Object(context.Background(), r.caller, "code", "none", "")
	var f *cloud.Fault
	equal(t, "fault", errors.As(err, &f) && f.Code == "NoSuchKey", true)
}

func TestObjectTagging(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	r.put("objects", "k", "x")
	key, bucket := new("k"), new("objects")
	tags := func() []s3.Tag {
		t.Helper()
		return do[s3.GetObjectTaggingOutput](r, "GetObjectTagging", &s3.GetObjectTaggingInput{Bucket: bucket, Key: key}).TagSet
	}
	equal(t, "none", len(tags()), 0)
	put := &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &s3.Tagging{TagSet: []s3.Tag{{Key: new("aws:x"), Value: new("")}}}}
	refused(r, "InvalidTag", "Your TagKey cannot be prefixed with aws:", "PutObjectTagging", put)
	put.Tagging.TagSet[0].Key = new("x")
	do[s3.PutObjectTaggingOutput](r, "PutObjectTagging", put)
	equal(t, "tags", len(tags()), 1)
	do[s3.DeleteObjectTaggingOutput](r, "DeleteObjectTagging", &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key})
	equal(t, "none", len(tags()), 0)
	refused(r, "InvalidArgument", "without tag name duplicates", "PutObject", &s3.PutObjectInput{Bucket: bucket, Key: key, Tagging: new("a=1&a=2")})
}
