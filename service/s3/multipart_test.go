package s3_test

import (
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service/s3"
)

const minPart = 5 << 20

func (r *rig) begin(in *s3.CreateMultipartUploadInput) *string {
	r.Helper()
	return do[s3.CreateMultipartUploadOutput](r, "CreateMultipartUpload", in).UploadId
}

func (r *rig) part(bucket, key string, id *string, n int32, content string) *string {
	r.Helper()
	return do[s3.UploadPartOutput](r, "UploadPart", &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: id, PartNumber: &n, Body: body(content),
	}).ETag
}

func completed(etags ...*string) *s3.CompletedMultipartUpload {
	m := &s3.CompletedMultipartUpload{}
	for i, e := range etags {
		m.Parts = append(m.Parts, s3.CompletedPart{PartNumber: new(int32(i + 1)), ETag: e})
	}
	return m
}

// From test_get_object_part and test_complete_multipart_parts_checksum_*, recorded on AWS.
func TestMultipart(t *testing.T) {
	r := newRig(t)
	r.bucket("parts")
	big := strings.Repeat("a", minPart+1)
	id := r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k"), ContentType: new("text/plain"), Metadata: map[string]string{"m": "1"}})
	r.part("parts", "k", id, 1, "replaced")
	e1 := r.part("parts", "k", id, 1, big)
	e2 := r.part("parts", "k", id, 2, big)
	e3 := r.part("parts", "k", id, 3, "aaaaaaaaaa")
	r.part("parts", "k", id, 9, "not listed")
	equal(t, "part", *e1, `"c4c753e69bb853187f5854c46cf801c6"`)
	listed := do[s3.ListPartsOutput](r, "ListParts", &s3.ListPartsInput{Bucket: new("parts"), Key: new("k"), UploadId: id, MaxParts: new(int32(3))})
	equal(t, "parts", len(listed.Parts), 3)
	equal(t, "truncated", *listed.IsTruncated, true)
	equal(t, "next", *listed.NextPartNumberMarker, int32(3))

	complete := &s3.CompleteMultipartUploadInput{Bucket: new("parts"), Key: new("k"), UploadId: id, MultipartUpload: completed(e1, e2, e3)}
	out := do[s3.CompleteMultipartUploadOutput](r, "CompleteMultipartUpload", complete)
	equal(t, "etag", *out.ETag, `"4d45984fc3feb2ac9b22683c49674b56-3"`)
	equal(t, "sum", cloud.Val(out.ChecksumCRC64NVME), "ZMNX55lZurA=")
	equal(t, "type", *out.ChecksumType, "FULL_OBJECT")
	equal(t, "again", *do[s3.CompleteMultipartUploadOutput](r, "CompleteMultipartUpload", complete).ETag, *out.ETag)

	whole := big + big + "aaaaaaaaaa"
	got, head := r.get(&s3.GetObjectInput{Bucket: new("parts"), Key: new("k")})
	equal(t, "content", got == whole, true)
	equal(t, "type", *head.ContentType, "text/plain")
	got, _ = r.get(&s3.GetObjectInput{Bucket: new("parts"), Key: new("k"), Range: new("bytes=5242880-10485765")})
	equal(t, "range over three parts", got == whole[5242880:10485766], true)
	got, head = r.get(&s3.GetObjectInput{Bucket: new("parts"), Key: new("k"), PartNumber: new(int32(3)), ChecksumMode: new("ENABLED")})
	equal(t, "part", got, "aaaaaaaaaa")
	equal(t, "part range", *head.ContentRange, "bytes 10485762-10485771/10485772")
	equal(t, "count", *head.PartsCount, int32(3))
	equal(t, "part sum", head.ChecksumCRC64NVME == nil, true)
	refused(r, "InvalidPartNumber", "", "HeadObject", &s3.HeadObjectInput{Bucket: new("parts"), Key: new("k"), PartNumber: new(int32(10))})
	attrs := do[s3.GetObjectAttributesOutput](r, "GetObjectAttributes", &s3.GetObjectAttributesInput{
		Bucket: new("parts"), Key: new("k"), ObjectAttributes: []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"},
	})
	equal(t, "count", *attrs.ObjectParts.TotalPartsCount, int32(3))
	equal(t, "size", *attrs.ObjectSize, int64(len(whole)))
	equal(t, "etag", *attrs.ETag, "4d45984fc3feb2ac9b22683c49674b56-3")

	copied := do[s3.CopyObjectOutput](r, "CopyObject", &s3.CopyObjectInput{Bucket: new("parts"), Key: new("copy"), CopySource: new("parts/k")})
	equal(t, "copied etag", *copied.CopyObjectResult.ETag, `"a0397ee2df08832642af5d7e57c5760c"`)
	equal(t, "copied sum", *copied.CopyObjectResult.ChecksumCRC64NVME, "ZMNX55lZurA=")
	do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("parts"), Key: new("k")})
	got, _ = r.get(&s3.GetObjectInput{Bucket: new("parts"), Key: new("copy")})
	equal(t, "copy", got == whole, true)
}

// The values are those that AWS gave for these parts.
func TestMultipartChecksums(t *testing.T) {
	for _, tt := range []struct{ algorithm, kind, value, part string }{
		{"CRC32C", "COMPOSITE", "XF5+4A==-3", "5yZkMA=="},
		{"CRC32C", "FULL_OBJECT", "eTdAQA==", ""},
		{"SHA256", "COMPOSITE", "9o++y6AejqboiJ7MZCx0fahK2Vu5YC/qnNhhYsCLciI=-3", "vyy1imj2hNlaO3jvj2Ycmk5bCegsyPnMiMzpBSjK6yc="},
		{"CRC64NVME", "FULL_OBJECT", "ZMNX55lZurA=", ""},
	} {
		t.Run(tt.algorithm+" "+tt.kind, func(t *testing.T) {
			r := newRig(t)
			r.bucket("sums")
			id := r.begin(&s3.CreateMultipartUploadInput{Bucket: new("sums"), Key: new("k"), ChecksumAlgorithm: &tt.algorithm, ChecksumType: &tt.kind})
			m := &s3.CompletedMultipartUpload{}
			for i, content := range []string{strings.Repeat("a", minPart+1), strings.Repeat("a", minPart+1), "aaaaaaaaaa"} {
				p := do[s3.UploadPartOutput](r, "UploadPart", &s3.UploadPartInput{Bucket: new("sums"), Key: new("k"), UploadId: id, PartNumber: new(int32(i + 1)), Body: body(content)})
				m.Parts = append(m.Parts, s3.CompletedPart{PartNumber: new(int32(i + 1)), ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C, ChecksumSHA256: p.ChecksumSHA256, ChecksumCRC64NVME: p.ChecksumCRC64NVME})
			}
			in := &s3.CompleteMultipartUploadInput{Bucket: new("sums"), Key: new("k"), UploadId: id}
			if tt.kind == "COMPOSITE" {
				bare := completed(m.Parts[0].ETag, m.Parts[1].ETag, m.Parts[2].ETag)
				in.MultipartUpload = bare
				refused(r, "InvalidRequest", "The upload was created using a "+strings.ToLower(tt.algorithm)+" checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request.", "CompleteMultipartUpload", in)
				in.ChecksumType = new("FULL_OBJECT")
				refused(r, "InvalidRequest", "The upload was created using the COMPOSITE checksum mode. The complete request must use the same checksum mode.", "CompleteMultipartUpload", in)
				in.ChecksumType = nil
			}
			in.MultipartUpload = m
			do[s3.CompleteMultipartUploadOutput](r, "CompleteMultipartUpload", in)
			sums := func(part *int32) []string {
				h := do[s3.HeadObjectOutput](r, "HeadObject", &s3.HeadObjectInput{Bucket: new("sums"), Key: new("k"), ChecksumMode: new("ENABLED"), PartNumber: part})
				return []string{cloud.Val(h.ChecksumCRC32C) + cloud.Val(h.ChecksumSHA256) + cloud.Val(h.ChecksumCRC64NVME), cloud.Val(h.ChecksumType)}
			}
			equal(t, "sum", sums(nil)[0], tt.value)
			equal(t, "type", sums(nil)[1], tt.kind)
			equal(t, "part", sums(new(int32(3)))[0], tt.part)
			attrs := do[s3.GetObjectAttributesOutput](r, "GetObjectAttributes", &s3.GetObjectAttributesInput{Bucket: new("sums"), Key: new("k"), ObjectAttributes: []string{"ObjectParts"}})
			equal(t, "parts listed", len(attrs.ObjectParts.Parts) == 3, tt.kind == "COMPOSITE")
		})
	}
}

func TestMultipartRefusals(t *testing.T) {
	r := newRig(t)
	r.bucket("parts")
	id := r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k")})
	e1, e2 := r.part("parts", "k", id, 1, "test"), r.part("parts", "k", id, 2, "test")
	complete := func(m *s3.CompletedMultipartUpload) *s3.CompleteMultipartUploadInput {
		return &s3.CompleteMultipartUploadInput{Bucket: new("parts"), Key: new("k"), UploadId: id, MultipartUpload: m}
	}
	refused(r, "InvalidRequest", "You must specify at least one part", "CompleteMultipartUpload", complete(nil))
	refused(r, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", "CompleteMultipartUpload", complete(completed(e1, e2)))
	refused(r, "InvalidPart", "One or more of the specified parts could not be found.", "CompleteMultipartUpload", complete(completed(new(`"d41d8cd98f00b204e9800998ecf8427e"`))))
	refused(r, "InvalidPart", "", "CompleteMultipartUpload", complete(completed(e1, e2, e2)))
	swapped := completed(e1, e2)
	swapped.Parts[0].PartNumber, swapped.Parts[1].PartNumber = swapped.Parts[1].PartNumber, swapped.Parts[0].PartNumber
	refused(r, "InvalidPartOrder", "The list of parts was not in ascending order.", "CompleteMultipartUpload", complete(swapped))
	wrong := complete(completed(e1))
	wrong.MpuObjectSize = new(int64(5))
	refused(r, "InvalidRequest", "The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 4", "CompleteMultipartUpload", wrong)
	full := complete(completed(e1))
	full.ChecksumType = new("FULL_OBJECT")
	refused(r, "InvalidRequest", "The upload was created using the null checksum mode.", "CompleteMultipartUpload", full)

	const gone = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
	refused(r, "NoSuchUpload", gone, "UploadPart", &s3.UploadPartInput{Bucket: new("parts"), Key: new("other"), UploadId: id, PartNumber: new(int32(1))})
	refused(r, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", "UploadPart", &s3.UploadPartInput{Bucket: new("parts"), Key: new("k"), UploadId: id, PartNumber: new(int32(10_001))})
	do[s3.AbortMultipartUploadOutput](r, "AbortMultipartUpload", &s3.AbortMultipartUploadInput{Bucket: new("parts"), Key: new("k"), UploadId: id})
	refused(r, "NoSuchUpload", gone, "CompleteMultipartUpload", complete(completed(e1)))
	refused(r, "NoSuchUpload", gone, "AbortMultipartUpload", &s3.AbortMultipartUploadInput{Bucket: new("parts"), Key: new("k"), UploadId: id})

	refused(r, "InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.", "CreateMultipartUpload",
		&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k"), ChecksumType: new("COMPOSITE")})
	refused(r, "InvalidRequest", "Checksum algorithm provided is unsupported.", "CreateMultipartUpload",
		&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k"), ChecksumAlgorithm: new("TEST")})
	id = r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k"), ChecksumAlgorithm: new("SHA256")})
	refused(r, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32", "UploadPart",
		&s3.UploadPartInput{Bucket: new("parts"), Key: new("k"), UploadId: id, PartNumber: new(int32(1)), ChecksumAlgorithm: new("CRC32")})
}

// From test_multipart_if_match_with_put_identical: what was written during the upload is a conflict, not a match.
func TestMultipartConditions(t *testing.T) {
	r := newRig(t)
	r.bucket("parts")
	etag := r.put("parts", "k", "test").ETag
	upload := func() *s3.CompleteMultipartUploadInput {
		id := r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k")})
		return &s3.CompleteMultipartUploadInput{Bucket: new("parts"), Key: new("k"), UploadId: id, IfMatch: etag, MultipartUpload: completed(r.part("parts", "k", id, 1, "x"))}
	}
	in := upload()
	r.put("parts", "k", "test")
	f := refused(r, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation against this resource.", "CompleteMultipartUpload", in)
	equal(t, "status", f.Status, 409)
	do[s3.CompleteMultipartUploadOutput](r, "CompleteMultipartUpload", upload())
}

func TestListMultipartUploads(t *testing.T) {
	r := newRig(t)
	r.bucket("parts")
	ids := map[string][]string{}
	for _, k := range []string{"b", "a/1", "a/2", "b", "c"} {
		ids[k] = append(ids[k], *r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: &k}))
	}
	list := func(in *s3.ListMultipartUploadsInput) *s3.ListMultipartUploadsOutput {
		t.Helper()
		in.Bucket = new("parts")
		return do[s3.ListMultipartUploadsOutput](r, "ListMultipartUploads", in)
	}
	all := list(&s3.ListMultipartUploadsInput{})
	equal(t, "all", len(all.Uploads), 5)
	equal(t, "in order of time", *all.Uploads[2].UploadId, ids["b"][0])
	first := list(&s3.ListMultipartUploadsInput{Delimiter: new("/"), MaxUploads: new(int32(2))})
	equal(t, "prefix", *first.CommonPrefixes[0].Prefix, "a/")
	equal(t, "upload", *first.Uploads[0].UploadId, ids["b"][0])
	equal(t, "truncated", *first.IsTruncated, true)
	second := list(&s3.ListMultipartUploadsInput{Delimiter: new("/"), KeyMarker: first.NextKeyMarker, UploadIdMarker: first.NextUploadIdMarker})
	equal(t, "rest", len(second.Uploads), 2)
	equal(t, "same key", *second.Uploads[0].UploadId, ids["b"][1])
	equal(t, "after the key", *list(&s3.ListMultipartUploadsInput{KeyMarker: new("b")}).Uploads[0].Key, "c")
}

// From test_upload_part_copy_range, recorded on AWS.
func TestUploadPartCopy(t *testing.T) {
	r := newRig(t)
	r.bucket("parts")
	r.put("parts", "src", "0123456789")
	id := r.begin(&s3.CreateMultipartUploadInput{Bucket: new("parts"), Key: new("k")})
	in := func(rng *string) *s3.UploadPartCopyInput {
		return &s3.UploadPartCopyInput{Bucket: new("parts"), Key: new("k"), UploadId: id, PartNumber: new(int32(1)), CopySource: new("parts/src"), CopySourceRange: rng}
	}
	equal(t, "0-8", *do[s3.UploadPartCopyOutput](r, "UploadPartCopy", in(new("bytes=0-8"))).CopyPartResult.ETag, `"22975d8a5ed1b91445f6c55ac121505b"`)
	equal(t, "1-1", *do[s3.UploadPartCopyOutput](r, "UploadPartCopy", in(new("bytes=1-1"))).CopyPartResult.ETag, `"c4ca4238a0b923820dcc509a6f75849b"`)
	equal(t, "all", *do[s3.UploadPartCopyOutput](r, "UploadPartCopy", in(nil)).CopyPartResult.ETag, etagOf("0123456789"))
	for _, bad := range []string{"-", "-0", "-1-", "-15", "-2", "0--1", "0-1,3-4,7-9", "1-", "1-0"} {
		refused(r, "InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last", "UploadPartCopy", in(new("bytes="+bad)))
	}
	refused(r, "InvalidArgument", "must be of the form", "UploadPartCopy", in(new("0-8")))
	refused(r, "InvalidArgument", "Range specified is not valid for source object of size: 10", "UploadPartCopy", in(new("bytes=0-100")))
	refused(r, "InvalidRequest", "The specified copy range is invalid for the source object size", "UploadPartCopy", in(new("bytes=100-200")))
}
