package s3

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"lambent/blob"
	"lambent/cloud"
	"lambent/kv"
)

// object is the row of one version of an object: all of it but the bytes.
type object struct {
	Version  string    `json:"v"` // "null" or an id made by newVersionID
	Marker   bool      `json:"d,omitempty"`
	Modified time.Time `json:"m"`
	Size     int64     `json:"s,omitempty"`
	ETag     string    `json:"e,omitempty"` // without quotes
	Sum      checksum  `json:"c,omitzero"`

	// Where the bytes are: in a blob, in the parts of an upload, or else in the row at dataKey.
	Blob   *blob.Ref `json:"b,omitempty"`
	Upload string    `json:"u,omitempty"`
	Parts  int       `json:"n,omitempty"`

	Headers headers           `json:"h,omitzero"`
	Meta    map[string]string `json:"x,omitempty"`
	Class   string            `json:"k,omitempty"` // "" is STANDARD
	SSE     encryption        `json:"z,omitzero"`
	Tags    []Tag             `json:"t,omitempty"`
}

// headers are kept as they came and given back with the object.
type headers struct {
	CacheControl       string `json:"cc,omitempty"`
	ContentDisposition string `json:"cd,omitempty"`
	ContentEncoding    string `json:"ce,omitempty"`
	ContentLanguage    string `json:"cl,omitempty"`
	ContentType        string `json:"ct,omitempty"`
	Expires            string `json:"ex,omitempty"`
	Redirect           string `json:"rd,omitempty"`
}

// encryption is what an object says of its encryption.
type encryption struct {
	Algorithm string `json:"a,omitempty"` // "" is AES256
	KeyID     string `json:"k,omitempty"`
	Context   string `json:"c,omitempty"`
	BucketKey bool   `json:"b,omitempty"`
}

func (e encryption) algorithm() *string { return new(cloud.Or(nonEmpty(e.Algorithm), sseS3)) }

func (e encryption) bucketKey() *bool {
	if !e.BucketKey {
		return nil
	}
	return new(true)
}

// class is the storage class as listings show it.
func (o *object) class() string { return cloud.Or(nonEmpty(o.Class), "STANDARD") }

func (o *object) etag() *string { return new(`"` + o.ETag + `"`) }

// versionFor returns the version id for a reply; a bucket that never was versioned shows none.
func (o *object) versionFor(b bucket) *string {
	if b.Versioning == "" {
		return nil
	}
	return &o.Version
}

// putObject answers PutObject: the bytes go to disk first, then one transaction commits the row, takes the place
// of the version that it replaces and checks the request's conditions against it.
func (s *Service) putObject(ctx context.Context, c cloud.Caller, in *PutObjectInput) (*PutObjectOutput, error) {
	cond, err := writeConditions(in.IfMatch, in.IfNoneMatch)
	if err != nil {
		return nil, err
	}
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if in.WriteOffsetBytes != nil {
		return nil, headerNotImplemented("x-amz-write-offset-bytes", "")
	}
	o, err := describe(c, b, putAttributes(in))
	if err != nil {
		return nil, err
	}
	if err := checkKey(*in.Key); err != nil {
		return nil, err
	}
	got, err := s.receivePut(ctx, in)
	if err != nil {
		return nil, err
	}
	o.setBody(got)
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err = s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		return s.write(ctx, tx, b, *in.Key, &o, got.data, cond)
	})
	if err != nil {
		return nil, err
	}
	out := &PutObjectOutput{
		ETag: o.etag(), ChecksumType: o.Sum.kind(), ServerSideEncryption: o.SSE.algorithm(),
		SSEKMSKeyId: nonEmpty(o.SSE.KeyID), SSEKMSEncryptionContext: nonEmpty(o.SSE.Context), BucketKeyEnabled: o.SSE.bucketKey(),
	}
	if b.Versioning == versioningEnabled {
		out.VersionId = &o.Version
	}
	o.Sum.into(&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1, &out.ChecksumSHA256, &out.ChecksumSHA512, &out.ChecksumMD5)
	return out, nil
}

func (s *Service) receivePut(ctx context.Context, in *PutObjectInput) (*body, error) {
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
	got, err := s.receive(ctx, reader(in.Body), cloud.Or(nonEmpty(given.Algorithm), defaultAlgorithm), false)
	if err != nil {
		return nil, err
	}
	return got, got.verify(given, sum)
}

func (o *object) setBody(b *body) {
	o.Size, o.ETag, o.Sum, o.Blob = b.size, b.etag(), b.sum, b.ref
}

// write makes o the current version of key. data is its content when it is inline.
func (s *Service) write(ctx context.Context, tx *kv.Tx, b bucket, key string, o *object, data []byte, cond conditions) error {
	latest, seq, err := s.latest(ctx, tx, b.Name, key)
	if err != nil {
		return err
	}
	if err := cond.check(key, latest); err != nil {
		return err
	}
	if seq, err = s.place(ctx, tx, b, key, seq, o); err != nil {
		return err
	}
	if !o.Marker && o.Blob == nil && o.Upload == "" {
		tx.Set(dataKey(b.Name, key, seq), data)
	}
	if o.Blob != nil {
		s.blobs.Link(tx, *o.Blob, versionOwner(b.Name, key, seq))
	}
	return kv.PutRow(tx, versionKey(b.Name, key, seq), o)
}

// place gives o its version id and its number in the order of versions, given the highest number so far, and
// removes what it replaces: the null version, unless the bucket is versioned.
func (s *Service) place(ctx context.Context, tx *kv.Tx, b bucket, key string, highest uint64, o *object) (uint64, error) {
	if b.Versioning == versioningEnabled {
		o.Version = newVersionID(highest + 1)
		return highest + 1, nil
	}
	o.Version = nullVersion
	if b.Versioning == "" {
		return 1, s.remove(ctx, tx, b.Name, key, 1)
	}
	null, err := s.nullSeq(ctx, tx, b.Name, key)
	if err != nil {
		return 0, err
	}
	if null != 0 {
		if err := s.remove(ctx, tx, b.Name, key, null); err != nil {
			return 0, err
		}
	}
	tx.Set(nullKey(b.Name, key), seqBytes(highest+1))
	return highest + 1, nil
}

// latest returns the newest version of key, a delete marker included; nil and 0 when there is none.
func (s *Service) latest(ctx context.Context, r kv.Reader, bucket, key string) (*object, uint64, error) {
	base := versionsOf(bucket, key)
	rows, err := r.Scan(ctx, kv.Range{Begin: base, End: successor(slices.Clone(base)), Limit: 1})
	if err != nil || len(rows) == 0 {
		return nil, 0, err
	}
	var o object
	if err := kv.DecodeRow(rows[0].Value, &o); err != nil {
		return nil, 0, err
	}
	_, seq := splitVersionKey(objectsOf(bucket), rows[0].Key)
	return &o, seq, nil
}

// version returns the version of key that id names; nil when there is none. An id that was never made here is a Fault.
func (s *Service) version(ctx context.Context, r kv.Reader, bucket, key, id string) (*object, uint64, error) {
	var seq uint64
	var err error
	if id == nullVersion {
		seq, err = s.nullSeq(ctx, r, bucket, key)
	} else {
		seq, err = versionSeq(id)
	}
	if err != nil || seq == 0 {
		return nil, 0, err
	}
	var o object
	found, err := kv.GetRow(ctx, r, versionKey(bucket, key, seq), &o)
	if err != nil || !found || o.Version != id {
		return nil, 0, err
	}
	return &o, seq, nil
}

// nullSeq finds the number of key's null version, 0 when there is none. It is 1 for what was written before
// the bucket was versioned; one written later, while versioning was suspended, has a row that says where.
func (s *Service) nullSeq(ctx context.Context, r kv.Reader, bucket, key string) (uint64, error) {
	v, err := r.Get(ctx, nullKey(bucket, key))
	if err != nil {
		return 0, err
	}
	if v != nil {
		return seqOf(v), nil
	}
	var o object
	found, err := kv.GetRow(ctx, r, versionKey(bucket, key, 1), &o)
	if err != nil || !found || o.Version != nullVersion {
		return 0, err
	}
	return 1, nil
}

// remove removes one version and what its bytes hold on to; nothing when it is not there.
func (s *Service) remove(ctx context.Context, tx *kv.Tx, bucket, key string, seq uint64) error {
	var o object
	found, err := kv.GetRow(ctx, tx, versionKey(bucket, key, seq), &o)
	if err != nil || !found {
		return err
	}
	tx.Delete(versionKey(bucket, key, seq))
	if o.Version == nullVersion {
		tx.Delete(nullKey(bucket, key))
	}
	switch {
	case o.Marker:
	case o.Blob != nil:
		s.blobs.Unlink(tx, *o.Blob, versionOwner(bucket, key, seq))
	case o.Upload != "":
		return s.removeParts(ctx, tx, o.Upload, nil)
	default:
		tx.Delete(dataKey(bucket, key, seq))
	}
	return nil
}

// checkKey refuses keys that S3 refuses: the model bounds them below, not above.
func checkKey(key string) error {
	if len(key) > 1024 {
		return fault(400, "KeyTooLongError", detail{MaxSizeAllowed: new(int64(1024))}, "Your key is too long")
	}
	return nil
}

// Object returns the content and the size of an object for another room: the code of a function, a template.
// An empty versionID means the current version. The caller closes the reader.
func (s *Service) Object(ctx context.Context, c cloud.Caller, bucket, key, versionID string) (io.ReadCloser, int64, error) {
	f, err := s.find(ctx, c, lookup{bucket: &bucket, key: &key, version: nonEmpty(versionID), method: "GET", content: true})
	if err != nil {
		return nil, 0, err
	}
	r, err := s.open(ctx, f.content, 0, f.object.Size)
	if err != nil {
		return nil, 0, err
	}
	return r, f.object.Size, nil
}

// stripChunked removes the encoding of the transfer, which the gateway has undone, from that of the content.
func stripChunked(encoding *string) string {
	var kept []string
	for e := range strings.SplitSeq(cloud.Val(encoding), ",") {
		if e = strings.TrimSpace(e); e != "" && e != "aws-chunked" {
			kept = append(kept, e)
		}
	}
	return strings.Join(kept, ",")
}
