package s3_test

import (
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service/s3"
)

func TestCopy(t *testing.T) {
	r := newRig(t)
	r.bucket("from")
	r.bucket("into")
	for _, content := range []string{"small", strings.Repeat("large", 10_000)} {
		do[s3.PutObjectOutput](r, "PutObject", &s3.PutObjectInput{
			Bucket: new("from"), Key: new("a b/é"), Body: body(content), ContentType: new("application/json"),
			Metadata: map[string]string{"key": "value"}, Tagging: new("k=v"), StorageClass: new("STANDARD_IA"),
		})
		out := do[s3.CopyObjectOutput](r, "CopyObject", &s3.CopyObjectInput{Bucket: new("into"), Key: new("kept"), CopySource: new("from/a%20b/%C3%A9")})
		equal(t, "etag", *out.CopyObjectResult.ETag, etagOf(content))
		equal(t, "sum", out.CopyObjectResult.ChecksumCRC64NVME != nil, true)
		do[s3.CopyObjectOutput](r, "CopyObject", &s3.CopyObjectInput{
			Bucket: new("into"), Key: new("replaced"), CopySource: new("/from/a b/é"), MetadataDirective: new("REPLACE"), TaggingDirective: new("REPLACE"),
			Metadata: map[string]string{"other": "thing"}, ChecksumAlgorithm: new("SHA256"),
		})
		do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("from"), Key: new("a b/é")})

		got, kept := r.get(&s3.GetObjectInput{Bucket: new("into"), Key: new("kept")})
		equal(t, "content", got == content, true)
		equal(t, "type", *kept.ContentType, "application/json")
		equal(t, "meta", kept.Metadata["key"], "value")
		equal(t, "tags", *kept.TagCount, int32(1))
		equal(t, "class", kept.StorageClass == nil, true)
		got, replaced := r.get(&s3.GetObjectInput{Bucket: new("into"), Key: new("replaced"), ChecksumMode: new("ENABLED")})
		equal(t, "content", got == content, true)
		equal(t, "type", *replaced.ContentType, "binary/octet-stream")
		equal(t, "meta", replaced.Metadata["other"], "thing")
		equal(t, "tags", replaced.TagCount == nil, true)
		equal(t, "sum", replaced.ChecksumSHA256 != nil, true)
	}
	refused(r, "NoSuchKey", "", "CopyObject", &s3.CopyObjectInput{Bucket: new("into"), Key: new("k"), CopySource: new("from/none")})
	refused(r, "InvalidArgument", "Copy Source must mention the source bucket and key", "CopyObject", &s3.CopyObjectInput{Bucket: new("into"), Key: new("k"), CopySource: new("from")})
	refused(r, "NoSuchBucket", "", "CopyObject", &s3.CopyObjectInput{Bucket: new("into"), Key: new("k"), CopySource: new("nowhere/k")})
}

func TestCopyInPlace(t *testing.T) {
	r := newRig(t)
	r.bucket("place")
	r.put("place", "k", "test")
	in := func() *s3.CopyObjectInput {
		return &s3.CopyObjectInput{Bucket: new("place"), Key: new("k"), CopySource: new("place/k")}
	}
	const illegal = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
	refused(r, "InvalidRequest", illegal, "CopyObject", in())
	class := in()
	class.StorageClass = new("STANDARD")
	do[s3.CopyObjectOutput](r, "CopyObject", class)
	kms := in()
	kms.ServerSideEncryption, kms.SSEKMSKeyId = new("aws:kms"), new("abc")
	out := do[s3.CopyObjectOutput](r, "CopyObject", kms)
	equal(t, "key", *out.SSEKMSKeyId, "arn:aws:kms:us-east-1:000000000000:key/abc")
	do[s3.CopyObjectOutput](r, "CopyObject", in()) // back to the bucket's default: a change
	refused(r, "InvalidRequest", illegal, "CopyObject", in())

	r.versioning("place", "Enabled")
	old := *r.put("place", "k", "new").VersionId
	r.put("place", "k", "newer")
	back := in()
	back.CopySource = new("place/k?versionId=" + old)
	copied := do[s3.CopyObjectOutput](r, "CopyObject", back)
	equal(t, "source", *copied.CopySourceVersionId, old)
	equal(t, "version", cloud.Val(copied.VersionId) != old, true)
	got, _ := r.get(&s3.GetObjectInput{Bucket: new("place"), Key: new("k")})
	equal(t, "content", got, "new")
}

// From test_s3_preconditions and test_s3_copy_object_preconditions, recorded on AWS.
func TestCopyConditions(t *testing.T) {
	r := newRig(t)
	r.bucket("cond")
	etag := *r.put("cond", "k", "data").ETag
	now := r.caller.Now
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	for _, tt := range []struct {
		in        s3.CopyObjectInput
		condition string
	}{
		{s3.CopyObjectInput{CopySourceIfMatch: new(`"x"`)}, "x-amz-copy-source-If-Match"},
		{s3.CopyObjectInput{CopySourceIfNoneMatch: new(strings.Trim(etag, `"`))}, "x-amz-copy-source-If-None-Match"},
		{s3.CopyObjectInput{CopySourceIfModifiedSince: &now}, "x-amz-copy-source-If-Modified-Since"},
		{s3.CopyObjectInput{CopySourceIfModifiedSince: &future}, ""},
		{s3.CopyObjectInput{CopySourceIfUnmodifiedSince: &past}, "x-amz-copy-source-If-Unmodified-Since"},
		{s3.CopyObjectInput{CopySourceIfMatch: &etag, CopySourceIfNoneMatch: new("x"), CopySourceIfModifiedSince: &past, CopySourceIfUnmodifiedSince: &now}, ""},
	} {
		tt.in.Bucket, tt.in.Key, tt.in.CopySource = new("cond"), new("copy"), new("cond/k")
		if tt.condition == "" {
			do[s3.CopyObjectOutput](r, "CopyObject", &tt.in)
			continue
		}
		f := refused(r, "PreconditionFailed", "At least one of the pre-conditions", "CopyObject", &tt.in)
		equal(t, "condition", conditionOf(t, f), tt.condition)
	}
	refused(r, "PreconditionFailed", "", "CopyObject", &s3.CopyObjectInput{Bucket: new("cond"), Key: new("copy"), CopySource: new("cond/k"), IfNoneMatch: new("*")})
	refused(r, "NoSuchKey", "", "CopyObject", &s3.CopyObjectInput{Bucket: new("cond"), Key: new("none"), CopySource: new("cond/k"), IfMatch: new("x")})
}
