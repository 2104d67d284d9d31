package s3

import (
	"context"
	"slices"
	"strings"

	"lambent/cloud"
)

// getObjectAttributes answers GetObjectAttributes.
func (s *Service) getObjectAttributes(ctx context.Context, c cloud.Caller, in *GetObjectAttributesInput) (*GetObjectAttributesOutput, error) {
	if anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5) {
		return nil, invalidRequest("The encryption parameters are not applicable to this object.")
	}
	wants := func(name string) bool { return slices.Contains(in.ObjectAttributes, name) }
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", wants("ObjectParts")})
	if err != nil {
		return nil, err
	}
	o := &f.object
	out := &GetObjectAttributesOutput{LastModified: new(seconds(o.Modified)), VersionId: o.versionFor(f.bucket)}
	if wants("ETag") {
		out.ETag = &o.ETag
	}
	if wants("StorageClass") {
		out.StorageClass = new(o.class())
	}
	if wants("ObjectSize") {
		out.ObjectSize = &o.Size
	}
	if wants("Checksum") && o.Sum.Algorithm != "" {
		sum := o.Sum
		sum.Value, _, _ = strings.Cut(sum.Value, "-") // without the number of parts, unlike everywhere else
		v := &Checksum{ChecksumType: sum.kind()}
		sum.into(&v.ChecksumCRC32, &v.ChecksumCRC32C, &v.ChecksumCRC64NVME, &v.ChecksumSHA1, &v.ChecksumSHA256, &v.ChecksumSHA512, &v.ChecksumMD5)
		out.Checksum = v
	}
	if wants("ObjectParts") && o.Upload != "" {
		out.ObjectParts = attributeParts(f, int(cloud.Val(in.PartNumberMarker)), min(int(cloud.Or(in.MaxParts, 1000)), 1000))
	}
	return out, nil
}

// attributeParts lists an object's parts where they have checksums of their own, else only says how many there are.
func attributeParts(f found, marker, limit int) *GetObjectAttributesParts {
	out := &GetObjectAttributesParts{TotalPartsCount: new(int32(f.object.Parts))}
	if f.object.Sum.Type != composite {
		return out
	}
	out.IsTruncated, out.MaxParts = new(false), new(int32(limit))
	out.PartNumberMarker, out.NextPartNumberMarker = new(int32(marker)), new(int32(0))
	for i, p := range f.content.parts {
		number := i + 1
		if number <= marker {
			continue
		}
		if len(out.Parts) == limit {
			out.IsTruncated = new(true)
			break
		}
		v := ObjectPart{PartNumber: new(int32(number)), Size: new(p.Size)}
		p.Sum.into(&v.ChecksumCRC32, &v.ChecksumCRC32C, &v.ChecksumCRC64NVME, &v.ChecksumSHA1, &v.ChecksumSHA256, &v.ChecksumSHA512, &v.ChecksumMD5)
		out.Parts = append(out.Parts, v)
		out.NextPartNumberMarker = v.PartNumber
	}
	return out
}
