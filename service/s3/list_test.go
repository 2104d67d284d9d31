package s3_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service/s3"
)

// model lists keys the slow way: what a page of at most max entries after marker holds.
func model(keys []string, prefix, delimiter, marker string, max int) (objects, prefixes []string, truncated bool) {
	last := ""
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) || k <= marker {
			continue
		}
		p := ""
		if i := strings.Index(k[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			p = k[:len(prefix)+i+len(delimiter)]
		}
		if p != "" && (p == last || p <= marker || strings.HasPrefix(marker, p)) {
			continue
		}
		if len(objects)+len(prefixes) == max {
			return objects, prefixes, true
		}
		if p != "" {
			prefixes, last = append(prefixes, p), p
		} else {
			objects = append(objects, k)
		}
	}
	return objects, prefixes, false
}

// Random keys, some versions deep, some hidden by delete markers; every page against the model.
func TestListAgainstModel(t *testing.T) {
	r := newRig(t)
	r.bucket("random")
	r.versioning("random", "Enabled")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	alphabet := []string{"a", "b", "/", "\x00", "\xff", "é"}
	word := func(n int) string {
		var b strings.Builder
		for range rnd.IntN(n) + 1 {
			b.WriteString(alphabet[rnd.IntN(len(alphabet))])
		}
		return b.String()
	}
	live := map[string]bool{}
	for range 250 {
		k := word(6)
		for range 1 + rnd.IntN(3)*rnd.IntN(12) {
			r.put("random", k, "x")
		}
		live[k] = rnd.IntN(4) > 0
		if !live[k] {
			do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("random"), Key: &k})
		}
	}
	var keys []string
	for k, ok := range live {
		if ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for range 300 {
		prefix, delimiter, marker := "", "", ""
		if rnd.IntN(2) == 0 {
			prefix = word(2)
		}
		if rnd.IntN(3) > 0 {
			delimiter = word(2)
		}
		if rnd.IntN(2) == 0 {
			marker = word(4)
		}
		max := rnd.IntN(20) + 1
		name := fmt.Sprintf("prefix %q delimiter %q marker %q max %d", prefix, delimiter, marker, max)
		wantObjects, wantPrefixes, wantMore := model(keys, prefix, delimiter, marker, max)
		v1 := do[s3.ListObjectsOutput](r, "ListObjects", &s3.ListObjectsInput{
			Bucket: new("random"), Prefix: &prefix, Delimiter: &delimiter, Marker: &marker, MaxKeys: new(int32(max)),
		})
		compare(t, name, v1.Contents, v1.CommonPrefixes, wantObjects, wantPrefixes)
		equal(t, name+" truncated", *v1.IsTruncated, wantMore)
		v2 := do[s3.ListObjectsV2Output](r, "ListObjectsV2", &s3.ListObjectsV2Input{
			Bucket: new("random"), Prefix: &prefix, Delimiter: &delimiter, StartAfter: &marker, MaxKeys: new(int32(max)),
		})
		compare(t, name, v2.Contents, v2.CommonPrefixes, wantObjects, wantPrefixes)
		equal(t, name+" count", *v2.KeyCount, int32(len(wantObjects)+len(wantPrefixes)))
	}
}

func compare(t *testing.T, name string, objects []s3.Object, prefixes []s3.CommonPrefix, wantObjects, wantPrefixes []string) {
	t.Helper()
	var gotObjects, gotPrefixes []string
	for _, o := range objects {
		gotObjects = append(gotObjects, *o.Key)
	}
	for _, p := range prefixes {
		gotPrefixes = append(gotPrefixes, *p.Prefix)
	}
	if !slices.Equal(gotObjects, wantObjects) || !slices.Equal(gotPrefixes, wantPrefixes) {
		t.Errorf("%s: got %q and %q, want %q and %q", name, gotObjects, gotPrefixes, wantObjects, wantPrefixes)
	}
}

// All pages together are the whole, also where a page ends in a common prefix of many keys.
func TestListPages(t *testing.T) {
	r := newRig(t)
	r.bucket("pages")
	var want []string
	for i := range 60 {
		for j := range 40 {
			r.put("pages", fmt.Sprintf("dir%02d/%02d", i, j), "")
		}
		r.put("pages", fmt.Sprintf("file%02d", i), "")
		want = append(want, fmt.Sprintf("dir%02d/", i), fmt.Sprintf("file%02d", i))
	}
	slices.Sort(want)
	var got []string
	var token *string
	for {
		l := do[s3.ListObjectsV2Output](r, "ListObjectsV2", &s3.ListObjectsV2Input{
			Bucket: new("pages"), Delimiter: new("/"), MaxKeys: new(int32(7)), ContinuationToken: token,
		})
		for _, o := range l.Contents {
			got = append(got, *o.Key)
		}
		for _, p := range l.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
		if !*l.IsTruncated {
			break
		}
		token = l.NextContinuationToken
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// From test_list_objects_marker_common_prefixes and its neighbours, recorded on AWS.
func TestListAsRecorded(t *testing.T) {
	r := newRig(t)
	r.bucket("recorded")
	for _, k := range []string{"folder/aSubfolder/subFile1", "folder/aSubfolder/subFile2", "folder/file1", "folder/file2"} {
		r.put("recorded", k, "content 123")
	}
	list := func(marker string) *s3.ListObjectsOutput {
		return do[s3.ListObjectsOutput](r, "ListObjects", &s3.ListObjectsInput{
			Bucket: new("recorded"), Prefix: new("folder/"), Delimiter: new("/"), MaxKeys: new(int32(1)), Marker: &marker,
		})
	}
	l := list("")
	equal(t, "start", *l.CommonPrefixes[0].Prefix, "folder/aSubfolder/")
	equal(t, "next", *l.NextMarker, "folder/aSubfolder/")
	l = list("folder/aSubfolder/")
	equal(t, "next-1", *l.Contents[0].Key, "folder/file1")
	equal(t, "owner", l.Contents[0].Owner.ID != nil, true)
	equal(t, "manual", *list("folder/aSubfolder/subFile1").Contents[0].Key, "folder/file1")
	l = list("folder/file1")
	equal(t, "end", *l.Contents[0].Key, "folder/file2")
	equal(t, "truncated", *l.IsTruncated, false)

	none := do[s3.ListObjectsV2Output](r, "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: new("recorded"), MaxKeys: new(int32(0))})
	equal(t, "max 0", *none.IsTruncated, false)
	equal(t, "max 0", *none.KeyCount, int32(0))
	refused(r, "InvalidArgument", "The continuation token provided is incorrect", "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: new("recorded"), ContinuationToken: new("")})
	refused(r, "InvalidArgument", "The continuation token provided is incorrect", "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: new("recorded"), ContinuationToken: new("bm90aGluZw==")})
	refused(r, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647", "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: new("recorded"), MaxKeys: new(int32(-1))})
}

func TestListEncoding(t *testing.T) {
	r := newRig(t)
	r.bucket("encoded")
	for _, k := range []string{"a/\U0001F600", "a%2Fb", "date=1/", "test key~*"} {
		r.put("encoded", k, "")
	}
	l := do[s3.ListObjectsV2Output](r, "ListObjectsV2", &s3.ListObjectsV2Input{Bucket: new("encoded"), EncodingType: new("url"), FetchOwner: new(true)})
	for i, want := range []string{"a%252Fb", "a/%F0%9F%98%80", "date%3D1/", "test+key%7E*"} {
		equal(t, want, *l.Contents[i].Key, want)
	}
	equal(t, "owner", cloud.Val(l.Contents[0].Owner).ID != nil, true)
	equal(t, "algorithm", l.Contents[0].ChecksumAlgorithm[0], "CRC64NVME")
}
