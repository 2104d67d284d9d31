package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lambent/blob"
	"lambent/cloud"
	"lambent/kv"
)

// minPart is the least size of every part but the last.
const minPart = 5 << 20

// upload is the row of a multipart upload in progress. When it completes, the parts stay where they are and the
// object's row points to them: no byte is moved.
type upload struct {
	Initiated time.Time
	By        string   // ARN of who began it
	Object    object   // what the object will be, but for the content
	Sum       checksum `json:",omitzero"` // algorithm and type as asked for, without a value
}

// part is the row of one part, of an upload or of the object that it became.
type part struct {
	Number   int       `json:"n"`
	Size     int64     `json:"s"`
	ETag     string    `json:"e"`
	Modified time.Time `json:"m"`
	Blob     blob.Ref  `json:"b"`
	Sum      checksum  `json:"c"` // by the upload's algorithm, or the request's
	CRC64    []byte    `json:"r"`
}

type uploadName struct{ key, id string }

// newUploadID makes an id that sorts by time, so that a key's uploads list in the order of their beginning.
func newUploadID(now time.Time) string {
	id := make([]byte, 48)
	binary.BigEndian.PutUint64(id, uint64(now.UnixNano()))
	rand.Read(id[8:])
	return uploadAlphabet.EncodeToString(id)
}

// uploadAlphabet is base64 whose letters are in the order of their bytes.
var uploadAlphabet = base64.NewEncoding("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz").WithPadding(base64.NoPadding)

// createMultipartUpload answers CreateMultipartUpload.
func (s *Service) createMultipartUpload(ctx context.Context, c cloud.Caller, in *CreateMultipartUploadInput) (*CreateMultipartUploadOutput, error) {
	sum, err := uploadChecksum(in)
	if err != nil {
		return nil, err
	}
	if err := checkKey(*in.Key); err != nil {
		return nil, err
	}
	id := newUploadID(c.Now)
	u := upload{Initiated: c.Now, By: c.ARN, Sum: sum}
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if u.Object, err = describe(c, b, uploadAttributes(in)); err != nil {
			return err
		}
		return kv.PutRow(tx, uploadKey(b.Name, *in.Key, id), u)
	})
	if err != nil {
		return nil, err
	}
	e := u.Object.SSE
	return &CreateMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: &id, ChecksumAlgorithm: nonEmpty(sum.Algorithm), ChecksumType: nonEmpty(sum.Type),
		ServerSideEncryption: e.algorithm(), SSEKMSKeyId: nonEmpty(e.KeyID), SSEKMSEncryptionContext: nonEmpty(e.Context), BucketKeyEnabled: e.bucketKey(),
	}, nil
}

// uploadChecksum returns the algorithm and the type that the parts will have: composite where the algorithm can be
// both, unless the request says otherwise.
func uploadChecksum(in *CreateMultipartUploadInput) (checksum, error) {
	if in.ChecksumAlgorithm == nil {
		if in.ChecksumType != nil {
			return checksum{}, invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return checksum{}, nil
	}
	a, err := findAlgorithm(strings.ToUpper(*in.ChecksumAlgorithm))
	if err != nil {
		return checksum{}, err
	}
	kind := composite
	if a.name == defaultAlgorithm {
		kind = fullObject
	}
	kind = cloud.Or(in.ChecksumType, kind)
	if kind == composite && a.name == defaultAlgorithm || kind == fullObject && a.poly == 0 {
		return checksum{}, invalidRequest("The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(a.name))
	}
	return checksum{Algorithm: a.name, Type: kind}, nil
}

// upload reads an upload in progress.
func (s *Service) upload(ctx context.Context, r kv.Reader, bucket, key, id string) (upload, error) {
	var u upload
	found, err := kv.GetRow(ctx, r, uploadKey(bucket, key, id), &u)
	if err == nil && !found {
		err = noSuchUpload(id)
	}
	return u, err
}

// uploadPart answers UploadPart.
func (s *Service) uploadPart(ctx context.Context, c cloud.Caller, in *UploadPartInput) (*UploadPartOutput, error) {
	if anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5) {
		return nil, notImplemented("server-side encryption with customer-provided keys is not implemented")
	}
	given, err := givenChecksum(in.ChecksumAlgorithm, in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1,
		in.ChecksumSHA256, in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128)
	if err != nil {
		return nil, err
	}
	sum, err := wantMD5(in.ContentMD5)
	if err != nil {
		return nil, err
	}
	if n := cloud.Val(in.ContentLength); n > maxPut {
		return nil, tooLarge(n)
	}
	t := target{in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner, int(*in.PartNumber)}
	u, err := s.partTarget(ctx, c, t, given.Algorithm)
	if err != nil {
		return nil, err
	}
	algorithm := cloud.Or(nonEmpty(given.Algorithm), cloud.Or(nonEmpty(u.Sum.Algorithm), defaultAlgorithm))
	got, err := s.receive(ctx, reader(in.Body), algorithm, true)
	if err != nil {
		return nil, err
	}
	if err := got.verify(given, sum); err != nil {
		return nil, err
	}
	p, err := s.putPart(ctx, c, t, got)
	if err != nil {
		return nil, err
	}
	out := &UploadPartOutput{
		ETag: new(`"` + p.ETag + `"`), ServerSideEncryption: u.Object.SSE.algorithm(), SSEKMSKeyId: nonEmpty(u.Object.SSE.KeyID), BucketKeyEnabled: u.Object.SSE.bucketKey(),
	}
	if given.Algorithm != "" || u.Sum.Algorithm != "" {
		p.Sum.into(&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256, &out.ChecksumSHA512, &out.ChecksumMD5)
	}
	return out, nil
}

// target names a part to write.
type target struct {
	bucket, key, upload, owner *string
	number                     int
}

// partTarget checks, before any byte is read, that the part may be written.
func (s *Service) partTarget(ctx context.Context, c cloud.Caller, t target, algorithm string) (u upload, err error) {
	if t.number < 1 || t.number > 10_000 {
		return u, invalidArgument("partNumber", strconv.Itoa(t.number), "Part number must be an integer between 1 and 10000, inclusive")
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		b, err := s.bucket(ctx, r, c, t.bucket, t.owner)
		if err != nil {
			return err
		}
		u, err = s.upload(ctx, r, b.Name, *t.key, *t.upload)
		return err
	})
	if err == nil && algorithm != "" && u.Sum.Algorithm != "" && algorithm != u.Sum.Algorithm {
		err = invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", u.Sum.lowerName(), strings.ToLower(algorithm))
	}
	return u, err
}

// putPart commits a part that has been received, in place of an earlier one of that number.
func (s *Service) putPart(ctx context.Context, c cloud.Caller, t target, got *body) (part, error) {
	p := part{Number: t.number, Size: got.size, ETag: got.etag(), Modified: c.Now, Blob: *got.ref, Sum: got.sum, CRC64: got.crc}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, t.bucket, t.owner)
		if err != nil {
			return err
		}
		if _, err := s.upload(ctx, tx, b.Name, *t.key, *t.upload); err != nil {
			return err
		}
		var old part
		found, err := kv.GetRow(ctx, tx, partKey(*t.upload, t.number), &old)
		if err != nil {
			return err
		}
		if found {
			s.blobs.Unlink(tx, old.Blob, partOwner(*t.upload, t.number))
		}
		s.blobs.Link(tx, p.Blob, partOwner(*t.upload, t.number))
		return kv.PutRow(tx, partKey(*t.upload, t.number), p)
	})
	return p, err
}

// partsOf reads all parts of an upload in order.
func partsOf(ctx context.Context, r kv.Reader, uploadID string) ([]part, error) {
	rows, err := r.Scan(ctx, kv.Prefix("part", uploadID))
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(rows))
	for i, row := range rows {
		if err := kv.DecodeRow(row.Value, &parts[i]); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// removeParts removes the parts of an upload but those whose numbers are kept.
func (s *Service) removeParts(ctx context.Context, tx *kv.Tx, uploadID string, keep []int) error {
	parts, err := partsOf(ctx, tx, uploadID)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, kept := slices.BinarySearch(keep, p.Number); kept {
			continue
		}
		s.blobs.Unlink(tx, p.Blob, partOwner(uploadID, p.Number))
		tx.Delete(partKey(uploadID, p.Number))
	}
	return nil
}

// completeMultipartUpload answers CompleteMultipartUpload. Sent again after it succeeded, it succeeds again.
func (s *Service) completeMultipartUpload(ctx context.Context, c cloud.Caller, in *CompleteMultipartUploadInput) (*CompleteMultipartUploadOutput, error) {
	cond, err := writeConditions(in.IfMatch, in.IfNoneMatch)
	if err != nil {
		return nil, err
	}
	var b bucket
	var o object
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		if b, err = s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner); err != nil {
			return err
		}
		u, err := s.upload(ctx, tx, b.Name, *in.Key, *in.UploadId)
		if cloud.FaultCode(err) == "NoSuchUpload" {
			latest, _, lerr := s.latest(ctx, tx, b.Name, *in.Key)
			if lerr == nil && latest != nil && latest.Upload == *in.UploadId {
				o = *latest
				return nil
			}
		}
		if err != nil {
			return err
		}
		if o, err = s.assemble(ctx, tx, u, in); err != nil {
			return err
		}
		o.Modified, cond.since = c.Now, u.Initiated
		tx.Delete(uploadKey(b.Name, *in.Key, *in.UploadId))
		return s.write(ctx, tx, b, *in.Key, &o, nil, cond)
	})
	if err != nil {
		return nil, err
	}
	out := &CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, ETag: o.etag(), ChecksumType: o.Sum.kind(), Location: new(s.bucketURL(c, b) + "/" + (&url.URL{Path: *in.Key}).EscapedPath()),
		ServerSideEncryption: o.SSE.algorithm(), SSEKMSKeyId: nonEmpty(o.SSE.KeyID), BucketKeyEnabled: o.SSE.bucketKey(),
	}
	if b.Versioning == versioningEnabled {
		out.VersionId = &o.Version
	}
	o.Sum.into(&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256, &out.ChecksumSHA512, &out.ChecksumMD5)
	return out, nil
}

// assemble makes the object of the parts that the request lists, and lets the others go.
func (s *Service) assemble(ctx context.Context, tx *kv.Tx, u upload, in *CompleteMultipartUploadInput) (object, error) {
	stored, err := partsOf(ctx, tx, *in.UploadId)
	if err != nil {
		return object{}, err
	}
	parts, err := chooseParts(u, stored, in)
	if err != nil {
		return object{}, err
	}
	o := u.Object
	o.Upload, o.Parts = *in.UploadId, len(parts)
	hash := md5.New()
	keep := make([]int, len(parts))
	for i, p := range parts {
		sum, err := hex.DecodeString(p.ETag)
		if err != nil {
			return object{}, err
		}
		hash.Write(sum)
		o.Size += p.Size
		keep[i] = p.Number
	}
	if want := in.MpuObjectSize; want != nil && *want != o.Size {
		return object{}, invalidRequest("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", *want, o.Size)
	}
	o.ETag = hex.EncodeToString(hash.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	if o.Sum, err = assembledSum(u, parts); err != nil {
		return object{}, err
	}
	if err := checkComplete(o.Sum, in); err != nil {
		return object{}, err
	}
	return o, s.removeParts(ctx, tx, *in.UploadId, keep)
}

// checkComplete compares the checksum that the request gives for the whole object.
func checkComplete(have checksum, in *CompleteMultipartUploadInput) error {
	given, err := givenChecksum(nil, in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1,
		in.ChecksumSHA256, in.ChecksumSHA512, in.ChecksumMD5, in.ChecksumXXHASH64, in.ChecksumXXHASH3, in.ChecksumXXHASH128)
	if have.Type == composite {
		return nil // a composite may be given with or without its number; the parts were compared one by one
	}
	if err != nil {
		return err
	}
	if given.Algorithm == have.Algorithm && given.Value != have.Value {
		return fault(400, "BadDigest", detail{}, "The %s you specified did not match the calculated checksum.", given.lowerName())
	}
	return nil
}

// chooseParts checks the request's list of parts against those stored.
func chooseParts(u upload, stored []part, in *CompleteMultipartUploadInput) ([]part, error) {
	if t := in.ChecksumType; t != nil && *t != u.Sum.Type {
		return nil, invalidRequest("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", cloud.Or(nonEmpty(u.Sum.Type), "null"))
	}
	listed := cloud.Val(in.MultipartUpload).Parts
	if len(listed) == 0 {
		return nil, invalidRequest("You must specify at least one part")
	}
	var parts []part
	last := 0
	for i, l := range listed {
		n := int(cloud.Val(l.PartNumber))
		if i > 0 && n <= last {
			return nil, fault(400, "InvalidPartOrder", detail{UploadId: in.UploadId}, "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		last = n
		p, err := choosePart(u, stored, l, n, *in.UploadId)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	for _, p := range parts[:len(parts)-1] {
		if p.Size < minPart {
			return nil, fault(400, "EntityTooSmall", detail{
				ETag: &p.ETag, PartNumber: new(int64(p.Number)), MinSizeAllowed: new(int64(minPart)), ProposedSize: &p.Size,
			}, "Your proposed upload is smaller than the minimum allowed size")
		}
	}
	return parts, nil
}

func choosePart(u upload, stored []part, l CompletedPart, n int, uploadID string) (part, error) {
	etag := strings.Trim(cloud.Val(l.ETag), `"`)
	invalid := fault(400, "InvalidPart", detail{ETag: &etag, PartNumber: new(int64(n)), UploadId: &uploadID},
		"One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
	i, found := slices.BinarySearchFunc(stored, n, func(p part, n int) int { return p.Number - n })
	if !found || stored[i].ETag != etag {
		return part{}, invalid
	}
	given, err := givenChecksum(nil, l.ChecksumCRC32, l.ChecksumCRC32C, l.ChecksumCRC64NVME, l.ChecksumSHA1,
		l.ChecksumSHA256, l.ChecksumSHA512, l.ChecksumMD5, l.ChecksumXXHASH64, l.ChecksumXXHASH3, l.ChecksumXXHASH128)
	switch {
	case given.Algorithm == "" && u.Sum.Type == composite:
		return part{}, invalidRequest("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			u.Sum.lowerName(), n)
	case given.Algorithm == "":
		return stored[i], nil
	case u.Sum.Algorithm != "" && given.Algorithm != u.Sum.Algorithm:
		return part{}, fault(400, "BadDigest", detail{}, "The %s you specified for part %d did not match what we received.", given.lowerName(), n)
	case err != nil || given.Algorithm != stored[i].Sum.Algorithm || given.Value != stored[i].Sum.Value:
		return part{}, invalid
	}
	return stored[i], nil
}

// assembledSum is the checksum of an object made of parts.
func assembledSum(u upload, parts []part) (checksum, error) {
	a, err := findAlgorithm(cloud.Or(nonEmpty(u.Sum.Algorithm), defaultAlgorithm))
	if err != nil {
		return checksum{}, err
	}
	sums, sizes := make([][]byte, len(parts)), make([]int64, len(parts))
	for i, p := range parts {
		sums[i], sizes[i] = p.CRC64, p.Size
		if a.name != defaultAlgorithm {
			sums[i] = decodeSum(p.Sum.Value)
		}
	}
	if u.Sum.Type == composite {
		return compositeOf(a, sums), nil
	}
	return combinedOf(a, sums, sizes), nil
}

// abortMultipartUpload answers AbortMultipartUpload.
func (s *Service) abortMultipartUpload(ctx context.Context, c cloud.Caller, in *AbortMultipartUploadInput) (*AbortMultipartUploadOutput, error) {
	if in.IfMatchInitiatedTime != nil {
		return nil, headerNotImplemented("x-amz-if-match-initiated-time", "")
	}
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := s.endUpload(ctx, b.Name, *in.Key, *in.UploadId); err != nil {
		return nil, err
	}
	return &AbortMultipartUploadOutput{}, nil
}

// endUpload removes an upload with its parts.
func (s *Service) endUpload(ctx context.Context, bucket, key, id string) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.upload(ctx, tx, bucket, key, id); err != nil {
			return err
		}
		tx.Delete(uploadKey(bucket, key, id))
		return s.removeParts(ctx, tx, id, nil)
	})
}

// someUploads returns uploads in progress in a bucket, none only when there are none.
func someUploads(ctx context.Context, r kv.Reader, bucket string) ([]uploadName, error) {
	base := uploadsOf(bucket)
	rows, err := r.Scan(ctx, kv.Range{Begin: base, End: afterPrefix(base, ""), Limit: 100})
	if err != nil {
		return nil, err
	}
	var names []uploadName
	for _, row := range rows {
		key, id := splitUploadKey(base, row.Key)
		names = append(names, uploadName{key, id})
	}
	return names, nil
}

// initiator is who began an upload.
func initiator(b bucket, u upload) *Initiator {
	return &Initiator{ID: new(cloud.Or(nonEmpty(u.By), canonicalID(b.Account))), DisplayName: new(u.By[strings.LastIndexByte(u.By, '/')+1:])}
}

// listParts answers ListParts.
func (s *Service) listParts(ctx context.Context, c cloud.Caller, in *ListPartsInput) (*ListPartsOutput, error) {
	limit := min(int(cloud.Or(in.MaxParts, 1000)), 1000)
	marker := int(cloud.Val(in.PartNumberMarker))
	if limit < 0 || marker < 0 {
		return nil, invalidArgument("max-parts", strconv.Itoa(limit), "Argument max-parts must be an integer between 0 and 2147483647")
	}
	var out *ListPartsOutput
	err := s.kv.View(ctx, func(r kv.Reader) error {
		b, err := s.bucket(ctx, r, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		u, err := s.upload(ctx, r, b.Name, *in.Key, *in.UploadId)
		if err != nil {
			return err
		}
		out = &ListPartsOutput{
			Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, MaxParts: new(int32(limit)), PartNumberMarker: new(int32(marker)),
			NextPartNumberMarker: new(int32(0)), IsTruncated: new(false), StorageClass: new(u.Object.class()), Owner: owner(b.Account),
			Initiator: initiator(b, u), ChecksumAlgorithm: nonEmpty(u.Sum.Algorithm), ChecksumType: nonEmpty(u.Sum.Type),
		}
		rows, err := r.Scan(ctx, kv.Range{Begin: partKey(*in.UploadId, marker+1), End: kv.Prefix("part", *in.UploadId).End, Limit: limit + 1})
		if err != nil {
			return err
		}
		return out.fill(u, rows, limit)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (out *ListPartsOutput) fill(u upload, rows []kv.KV, limit int) error {
	for i, row := range rows {
		if i == limit {
			out.IsTruncated = new(true)
			break
		}
		var p part
		if err := kv.DecodeRow(row.Value, &p); err != nil {
			return err
		}
		l := Part{PartNumber: new(int32(p.Number)), Size: new(p.Size), ETag: new(`"` + p.ETag + `"`), LastModified: new(seconds(p.Modified))}
		if u.Sum.Algorithm != "" {
			p.Sum.into(&l.ChecksumCRC32, &l.ChecksumCRC32C, &l.ChecksumCRC64NVME, &l.ChecksumSHA1, &l.ChecksumSHA256, &l.ChecksumSHA512, &l.ChecksumMD5)
		}
		out.Parts = append(out.Parts, l)
		out.NextPartNumberMarker = l.PartNumber
	}
	return nil
}

// listMultipartUploads answers ListMultipartUploads.
func (s *Service) listMultipartUploads(ctx context.Context, c cloud.Caller, in *ListMultipartUploadsInput) (*ListMultipartUploadsOutput, error) {
	q := query{in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.KeyMarker, in.EncodingType, in.MaxUploads}
	limit, err := q.limit("max-uploads")
	if err != nil {
		return nil, err
	}
	var out *ListMultipartUploadsOutput
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out = &ListMultipartUploadsOutput{
			Bucket: in.Bucket, Prefix: q.encode(in.Prefix), Delimiter: q.encode(in.Delimiter), KeyMarker: q.encode(new(cloud.Val(in.KeyMarker))),
			UploadIdMarker: new(cloud.Val(in.UploadIdMarker)), MaxUploads: new(int32(limit)), EncodingType: in.EncodingType, IsTruncated: new(false),
		}
		b, err := s.bucket(ctx, r, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil || limit == 0 {
			return err
		}
		return out.fill(ctx, r, b, q, cloud.Val(in.UploadIdMarker), limit)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (out *ListMultipartUploadsOutput) fill(ctx context.Context, r kv.Reader, b bucket, q query, idMarker string, limit int) error {
	base := uploadsOf(b.Name)
	begin := q.start(base)
	if marker := cloud.Val(q.marker); marker != "" && idMarker != "" && q.common(marker) == "" {
		begin = append(uploadKey(b.Name, marker, idMarker), 0)
	}
	cur := newCursor(r, begin, afterPrefix(base, cloud.Val(q.prefix)), limit)
	for n := 0; ; n++ {
		row, ok, err := cur.next(ctx)
		if err != nil || !ok {
			return err
		}
		if n == limit {
			out.IsTruncated = new(true)
			return nil
		}
		key, id := splitUploadKey(base, row.Key)
		if p := q.common(key); p != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, CommonPrefix{Prefix: q.encode(&p)})
			out.NextKeyMarker, out.NextUploadIdMarker = q.encode(&p), nil
			cur.seek(afterPrefix(base, p))
			continue
		}
		var u upload
		if err := kv.DecodeRow(row.Value, &u); err != nil {
			return err
		}
		out.Uploads = append(out.Uploads, MultipartUpload{
			Key: q.encode(&key), UploadId: &id, Initiated: new(seconds(u.Initiated)), StorageClass: new(u.Object.class()), Owner: owner(b.Account),
			Initiator: initiator(b, u), ChecksumAlgorithm: nonEmpty(u.Sum.Algorithm), ChecksumType: nonEmpty(u.Sum.Type),
		})
		out.NextKeyMarker, out.NextUploadIdMarker = q.encode(&key), &id
		cur.pass()
	}
}
