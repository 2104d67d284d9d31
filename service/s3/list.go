package s3

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// maxKeys is the most entries that one page of a listing holds.
const maxKeys = 1000

// cursor walks the rows of a range in order. A jump over rows that do not matter costs one scan, not their number:
// so a listing costs what it returns.
type cursor struct {
	r          kv.Reader
	begin, end []byte
	batch      int
	rows       []kv.KV
	done       bool // nothing beyond rows
}

func newCursor(r kv.Reader, begin, end []byte, want int) *cursor {
	return &cursor{r: r, begin: begin, end: end, batch: min(max(want, 8), maxKeys) + 1}
}

// next returns the row at the cursor without passing it; ok is false at the end.
func (c *cursor) next(ctx context.Context) (row kv.KV, ok bool, err error) {
	if len(c.rows) == 0 && !c.done {
		if c.rows, err = c.r.Scan(ctx, kv.Range{Begin: c.begin, End: c.end, Limit: c.batch}); err != nil {
			return row, false, err
		}
		c.done = len(c.rows) < c.batch
		if n := len(c.rows); n > 0 {
			c.begin = append(bytes.Clone(c.rows[n-1].Key), 0)
		}
	}
	if len(c.rows) == 0 {
		return row, false, nil
	}
	return c.rows[0], true, nil
}

// pass moves to the next row.
func (c *cursor) pass() { c.rows = c.rows[1:] }

// seek moves to the first row at or after key: within what was read when that is near, else by a new scan.
func (c *cursor) seek(key []byte) {
	for i := 0; i < len(c.rows) && i < 16; i++ {
		if bytes.Compare(c.rows[i].Key, key) >= 0 {
			c.rows = c.rows[i:]
			return
		}
	}
	if c.done && len(c.rows) <= 16 {
		c.rows = nil
		return
	}
	c.rows, c.done, c.begin = nil, bytes.Compare(key, c.end) >= 0, key
	c.batch = max(c.batch/4, 32) // the next rows may be skipped, too
}

// query is what the four listings have in common.
type query struct {
	bucket, owner             *string
	prefix, delimiter, marker *string
	encoding                  *string
	max                       *int32
}

// limit checks and bounds max-keys.
func (q query) limit(name string) (int, error) {
	n := cloud.Or(q.max, maxKeys)
	if n < 0 {
		return 0, invalidArgument(name, "", "Argument %s must be an integer between 0 and 2147483647", strings.ReplaceAll(name, "max-keys", "maxKeys"))
	}
	if q.encoding != nil && *q.encoding != "url" {
		return 0, invalidArgument("encoding-type", *q.encoding, "Invalid Encoding Method specified in Request")
	}
	return int(min(n, maxKeys)), nil
}

// encode writes a key as the encoding type asks: XML cannot hold all that a key can.
func (q query) encode(s *string) *string {
	if s == nil || q.encoding == nil {
		return s
	}
	return new(urlEncode(*s))
}

func urlEncode(s string) string {
	return strings.NewReplacer("%2F", "/", "%2A", "*", "~", "%7E").Replace(url.QueryEscape(s))
}

// common returns the prefix under which key is rolled up, "" when it stands for itself.
func (q query) common(key string) string {
	d := cloud.Val(q.delimiter)
	if d == "" {
		return ""
	}
	p := len(cloud.Val(q.prefix))
	if i := strings.Index(key[p:], d); i >= 0 {
		return key[:p+i+len(d)]
	}
	return ""
}

// start returns the first row key to look at: after the marker, and after the whole common prefix that it lies in.
func (q query) start(base []byte) []byte {
	begin := beginPrefix(base, cloud.Val(q.prefix))
	marker := cloud.Val(q.marker)
	if marker == "" {
		return begin
	}
	after := afterKey(base, marker)
	if strings.HasPrefix(marker, cloud.Val(q.prefix)) {
		if p := q.common(marker); p != "" {
			after = afterPrefix(base, p)
		}
	}
	if bytes.Compare(after, begin) > 0 {
		return after
	}
	return begin
}

// listing is a page of current objects and common prefixes.
type listing struct {
	bucket    bucket
	objects   []listed
	prefixes  []string
	truncated bool
	last      string // the last key or prefix returned
}

type listed struct {
	key string
	object
}

// list reads one page.
func (s *Service) list(ctx context.Context, c cloud.Caller, q query, limit int) (l listing, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		l = listing{}
		if l.bucket, err = s.bucket(ctx, r, c, q.bucket, q.owner); err != nil || limit == 0 {
			return err
		}
		return l.read(ctx, r, q, limit)
	})
	return l, err
}

// read fills the page.
func (l *listing) read(ctx context.Context, r kv.Reader, q query, limit int) error {
	base := objectsOf(l.bucket.Name)
	cur := newCursor(r, q.start(base), afterPrefix(base, cloud.Val(q.prefix)), limit)
	for {
		row, ok, err := cur.next(ctx)
		if err != nil || !ok {
			return err
		}
		key, _ := splitVersionKey(base, row.Key)
		var o object
		if err := kv.DecodeRow(row.Value, &o); err != nil {
			return err
		}
		if o.Marker {
			cur.seek(afterKey(base, key))
			continue
		}
		if len(l.objects)+len(l.prefixes) == limit {
			l.truncated = true
			return nil
		}
		if p := q.common(key); p != "" {
			l.prefixes, l.last = append(l.prefixes, p), p
			cur.seek(afterPrefix(base, p))
			continue
		}
		l.objects, l.last = append(l.objects, listed{key, o}), key
		cur.seek(afterKey(base, key))
	}
}

func (l *listing) contents(q query, own *Owner) []Object {
	out := make([]Object, 0, len(l.objects))
	for _, o := range l.objects {
		out = append(out, Object{
			Key: q.encode(&o.key), LastModified: new(seconds(o.Modified)), ETag: o.etag(), Size: new(o.Size), StorageClass: new(o.class()),
			ChecksumAlgorithm: o.Sum.listed(), ChecksumType: o.Sum.kind(), Owner: own,
		})
	}
	return out
}

func commonPrefixes(q query, prefixes []string) []CommonPrefix {
	out := make([]CommonPrefix, 0, len(prefixes))
	for _, p := range prefixes {
		out = append(out, CommonPrefix{Prefix: q.encode(&p)})
	}
	return out
}

// listObjects answers ListObjects, the first form of the listing.
func (s *Service) listObjects(ctx context.Context, c cloud.Caller, in *ListObjectsInput) (*ListObjectsOutput, error) {
	q := query{in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.Marker, in.EncodingType, in.MaxKeys}
	limit, err := q.limit("max-keys")
	if err != nil {
		return nil, err
	}
	l, err := s.list(ctx, c, q, limit)
	if err != nil {
		return nil, err
	}
	out := &ListObjectsOutput{
		Name: in.Bucket, Prefix: q.encode(new(cloud.Val(in.Prefix))), Marker: q.encode(new(cloud.Val(in.Marker))), MaxKeys: new(int32(limit)),
		Delimiter: q.encode(in.Delimiter), EncodingType: in.EncodingType, IsTruncated: &l.truncated,
		Contents: l.contents(q, owner(l.bucket.Account)), CommonPrefixes: commonPrefixes(q, l.prefixes),
	}
	if l.truncated && cloud.Val(in.Delimiter) != "" {
		out.NextMarker = q.encode(&l.last)
	}
	return out, nil
}

// listObjectsV2 answers ListObjectsV2.
func (s *Service) listObjectsV2(ctx context.Context, c cloud.Caller, in *ListObjectsV2Input) (*ListObjectsV2Output, error) {
	q := query{in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.StartAfter, in.EncodingType, in.MaxKeys}
	limit, err := q.limit("max-keys")
	if err != nil {
		return nil, err
	}
	startAfter := in.StartAfter
	if in.ContinuationToken != nil {
		after, ok := openToken(*in.ContinuationToken)
		if !ok || after == "" {
			return nil, fault(400, "InvalidArgument", detail{ArgumentName: new("continuation-token")}, "The continuation token provided is incorrect")
		}
		q.marker, startAfter = &after, nil
	}
	l, err := s.list(ctx, c, q, limit)
	if err != nil {
		return nil, err
	}
	var own *Owner
	if cloud.Val(in.FetchOwner) {
		own = owner(l.bucket.Account)
	}
	out := &ListObjectsV2Output{
		Name: in.Bucket, Prefix: q.encode(new(cloud.Val(in.Prefix))), StartAfter: q.encode(startAfter), MaxKeys: new(int32(limit)),
		Delimiter: q.encode(in.Delimiter), EncodingType: in.EncodingType, IsTruncated: &l.truncated, ContinuationToken: in.ContinuationToken,
		Contents: l.contents(q, own), CommonPrefixes: commonPrefixes(q, l.prefixes), KeyCount: new(int32(len(l.objects) + len(l.prefixes))),
	}
	if l.truncated {
		out.NextContinuationToken = new(sealToken(l.last))
	}
	return out, nil
}

// listObjectVersions answers ListObjectVersions: every version, newest first within a key.
func (s *Service) listObjectVersions(ctx context.Context, c cloud.Caller, in *ListObjectVersionsInput) (*ListObjectVersionsOutput, error) {
	q := query{in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.KeyMarker, in.EncodingType, in.MaxKeys}
	limit, err := q.limit("max-keys")
	if err != nil {
		return nil, err
	}
	if cloud.Val(in.VersionIdMarker) != "" && cloud.Val(in.KeyMarker) == "" {
		return nil, invalidArgument("version-id-marker", *in.VersionIdMarker, "A version-id marker cannot be specified without a key marker.")
	}
	var out *ListObjectVersionsOutput
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out = &ListObjectVersionsOutput{
			Name: in.Bucket, Prefix: q.encode(new(cloud.Val(in.Prefix))), KeyMarker: q.encode(new(cloud.Val(in.KeyMarker))),
			VersionIdMarker: new(cloud.Val(in.VersionIdMarker)), MaxKeys: new(int32(limit)), Delimiter: q.encode(in.Delimiter),
			EncodingType: in.EncodingType, IsTruncated: new(false),
		}
		b, err := s.bucket(ctx, r, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil || limit == 0 {
			return err
		}
		return s.listVersions(ctx, r, b, q, in.VersionIdMarker, limit, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) listVersions(ctx context.Context, r kv.Reader, b bucket, q query, versionMarker *string, limit int, out *ListObjectVersionsOutput) error {
	base := objectsOf(b.Name)
	begin := q.start(base)
	newest := "" // the key whose newest version has been seen
	if v := cloud.Val(versionMarker); v != "" && q.common(*q.marker) == "" {
		_, seq, err := s.latest(ctx, r, b.Name, *q.marker)
		if err != nil {
			return err
		}
		at, err := s.markerSeq(ctx, r, b.Name, *q.marker, v)
		if err != nil {
			return err
		}
		if begin = versionKey(b.Name, *q.marker, at-1); seq >= at {
			newest = *q.marker
		}
	}
	cur := newCursor(r, begin, afterPrefix(base, cloud.Val(q.prefix)), limit)
	last, lastVersion, n := "", "", 0
	for ; ; n++ {
		row, ok, err := cur.next(ctx)
		if err != nil || !ok {
			return err
		}
		if n == limit {
			out.IsTruncated, out.NextKeyMarker, out.NextVersionIdMarker = new(true), q.encode(&last), nonEmpty(lastVersion)
			return nil
		}
		key, _ := splitVersionKey(base, row.Key)
		if p := q.common(key); p != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, CommonPrefix{Prefix: q.encode(&p)})
			last, lastVersion = p, ""
			cur.seek(afterPrefix(base, p))
			continue
		}
		var o object
		if err := kv.DecodeRow(row.Value, &o); err != nil {
			return err
		}
		out.add(q, b, key, &o, key != newest)
		newest, last, lastVersion = key, key, o.Version
		cur.pass()
	}
}

// markerSeq returns the number of the version after which a page begins; it may have been deleted since.
func (s *Service) markerSeq(ctx context.Context, r kv.Reader, bucket, key, version string) (uint64, error) {
	if version != nullVersion {
		seq, err := versionSeq(version)
		if err != nil {
			return 0, invalidArgument("version-id-marker", version, "Invalid version id specified")
		}
		return seq, nil
	}
	seq, err := s.nullSeq(ctx, r, bucket, key)
	return max(seq, 1), err
}

func (out *ListObjectVersionsOutput) add(q query, b bucket, key string, o *object, newest bool) {
	if o.Marker {
		out.DeleteMarkers = append(out.DeleteMarkers, DeleteMarkerEntry{
			Key: q.encode(&key), VersionId: &o.Version, IsLatest: &newest, LastModified: new(seconds(o.Modified)), Owner: owner(b.Account),
		})
		return
	}
	out.Versions = append(out.Versions, ObjectVersion{
		Key: q.encode(&key), VersionId: &o.Version, IsLatest: &newest, LastModified: new(seconds(o.Modified)), Owner: owner(b.Account),
		ETag: o.etag(), Size: new(o.Size), StorageClass: new(o.class()), ChecksumAlgorithm: o.Sum.listed(), ChecksumType: o.Sum.kind(),
	})
}
