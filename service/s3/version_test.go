package s3_test

import (
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service/s3"
)

// listVersions writes a bucket's versions as "key=id*" with * for the latest and - before a delete marker.
func (r *rig) listVersions(bucket string) string {
	r.Helper()
	l := do[s3.ListObjectVersionsOutput](r, "ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: &bucket})
	var out []string
	for _, v := range l.Versions {
		out = append(out, entry("", *v.Key, *v.VersionId, *v.IsLatest))
	}
	for _, m := range l.DeleteMarkers {
		out = append(out, entry("-", *m.Key, *m.VersionId, *m.IsLatest))
	}
	return strings.Join(out, " ")
}

func entry(prefix, key, id string, latest bool) string {
	if latest {
		id += "*"
	}
	return prefix + key + "=" + id
}

func TestVersioned(t *testing.T) {
	r := newRig(t)
	r.bucket("versions")
	equal(t, "unversioned", r.put("versions", "k", "zero").VersionId == nil, true)
	r.versioning("versions", "Enabled")
	v1 := *r.put("versions", "k", "one").VersionId
	v2 := *r.put("versions", "k", "two").VersionId
	equal(t, "id", len(v1), 32)
	equal(t, "list", r.listVersions("versions"), "k="+v2+"* k="+v1+" k=null")

	get := func(version *string) string {
		t.Helper()
		content, out := r.get(&s3.GetObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: version})
		if version != nil {
			equal(t, "version", *out.VersionId, *version)
		}
		return content
	}
	equal(t, "current", get(nil), "two")
	equal(t, "v1", get(&v1), "one")
	equal(t, "null", get(new("null")), "zero")

	del := do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: new("k")})
	equal(t, "marker", *del.DeleteMarker, true)
	marker := *del.VersionId
	equal(t, "list", r.listVersions("versions"), "k="+v2+" k="+v1+" k=null -k="+marker+"*")
	refused(r, "NoSuchKey", "", "GetObject", &s3.GetObjectInput{Bucket: new("versions"), Key: new("k")})
	f := refused(r, "MethodNotAllowed", "The specified method is not allowed against this resource.", "HeadObject",
		&s3.HeadObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: &marker})
	equal(t, "status", f.Status, 405)
	refused(r, "MethodNotAllowed", "", "PutObjectAcl", &s3.PutObjectAclInput{Bucket: new("versions"), Key: new("k"), ACL: new("private")})

	gone := do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: &marker})
	equal(t, "marker removed", *gone.DeleteMarker, true)
	equal(t, "current", get(nil), "two")
	do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: &v2})
	equal(t, "current", get(nil), "one")
	refused(r, "NoSuchVersion", "The specified version does not exist.", "GetObject", &s3.GetObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: &v2})
	refused(r, "InvalidArgument", "Invalid version id specified", "GetObject",
		&s3.GetObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: new("HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD")})
	refused(r, "BucketNotEmpty", "You must delete all versions", "DeleteBucket", &s3.DeleteBucketInput{Bucket: new("versions")})

	// The number of a version that was removed may be given again; its id may not find the new one.
	v3 := *r.put("versions", "k", "three").VersionId
	equal(t, "other id", v3 == v2, false)
	refused(r, "NoSuchVersion", "", "GetObject", &s3.GetObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: &v2})
}

func TestVersioningSuspended(t *testing.T) {
	r := newRig(t)
	r.bucket("versions")
	r.put("versions", "k", "null 1")
	r.versioning("versions", "Enabled")
	v1 := *r.put("versions", "k", "v1").VersionId
	r.versioning("versions", "Suspended")
	equal(t, "put", r.put("versions", "k", "null 2").VersionId == nil, true)
	equal(t, "list", r.listVersions("versions"), "k=null* k="+v1)
	r.put("versions", "k", "null 3")
	equal(t, "list", r.listVersions("versions"), "k=null* k="+v1)
	content, out := r.get(&s3.GetObjectInput{Bucket: new("versions"), Key: new("k")})
	equal(t, "content", content, "null 3")
	equal(t, "version", *out.VersionId, "null")

	del := do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: new("k")})
	equal(t, "marker", cloud.Val(del.VersionId), "null")
	equal(t, "list", r.listVersions("versions"), "k="+v1+" -k=null*")
	r.versioning("versions", "Enabled")
	v2 := *r.put("versions", "k", "v2").VersionId
	equal(t, "list", r.listVersions("versions"), "k="+v2+"* k="+v1+" -k=null")
	do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: new("k"), VersionId: new("null")})
	equal(t, "list", r.listVersions("versions"), "k="+v2+"* k="+v1)
	refused(r, "IllegalVersioningConfigurationException", "", "PutBucketVersioning",
		&s3.PutBucketVersioningInput{Bucket: new("versions"), VersioningConfiguration: &s3.VersioningConfiguration{}})
}

// From test_s3_list_operations.py::…::test_list_objects_versions_with_prefix_only_and_pagination, recorded on AWS.
func TestVersionPages(t *testing.T) {
	r := newRig(t)
	r.bucket("versions")
	r.versioning("versions", "Enabled")
	for range 5 {
		r.put("versions", "prefixed_key", "")
	}
	r.put("versions", "other", "")
	page := func(max int32, key, version *string) *s3.ListObjectVersionsOutput {
		t.Helper()
		return do[s3.ListObjectVersionsOutput](r, "ListObjectVersions", &s3.ListObjectVersionsInput{
			Bucket: new("versions"), Prefix: new("prefix"), MaxKeys: &max, KeyMarker: key, VersionIdMarker: version,
		})
	}
	first := page(3, nil, nil)
	equal(t, "first", len(first.Versions), 3)
	equal(t, "truncated", *first.IsTruncated, true)
	equal(t, "next key", *first.NextKeyMarker, "prefixed_key")
	equal(t, "next version", *first.NextVersionIdMarker, *first.Versions[2].VersionId)
	second := page(5, first.NextKeyMarker, first.NextVersionIdMarker)
	equal(t, "second", len(second.Versions), 2)
	equal(t, "latest", *second.Versions[0].IsLatest, false)
	equal(t, "truncated", *second.IsTruncated, false)
	equal(t, "after the key", len(page(4, new("prefixed_key"), nil).Versions), 0)
	for _, v := range first.Versions {
		do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("versions"), Key: v.Key, VersionId: v.VersionId})
	}
	second = page(5, first.NextKeyMarker, first.NextVersionIdMarker)
	equal(t, "latest after the newer went", *second.Versions[0].IsLatest, true)
	refused(r, "InvalidArgument", "A version-id marker cannot be specified without a key marker.", "ListObjectVersions",
		&s3.ListObjectVersionsInput{Bucket: new("versions"), VersionIdMarker: new("x")})
}

func TestDeleteObjects(t *testing.T) {
	r := newRig(t)
	r.bucket("objects")
	r.put("objects", "a", "1")
	del := func(quiet bool, ids ...s3.ObjectIdentifier) *s3.DeleteObjectsOutput {
		t.Helper()
		return do[s3.DeleteObjectsOutput](r, "DeleteObjects", &s3.DeleteObjectsInput{Bucket: new("objects"), Delete: &s3.Delete{Objects: ids, Quiet: &quiet}})
	}
	out := del(false, s3.ObjectIdentifier{Key: new("a")}, s3.ObjectIdentifier{Key: new("none")}, s3.ObjectIdentifier{Key: new("a"), VersionId: new("HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD")})
	equal(t, "deleted", len(out.Deleted), 2)
	equal(t, "error", *out.Errors[0].Code, "NoSuchVersion")
	equal(t, "quiet", len(del(true, s3.ObjectIdentifier{Key: new("a")}).Deleted), 0)
	r.versioning("objects", "Enabled")
	out = del(false, s3.ObjectIdentifier{Key: new("a")})
	equal(t, "marker", *out.Deleted[0].DeleteMarker, true)
	marker := out.Deleted[0].DeleteMarkerVersionId
	out = del(false, s3.ObjectIdentifier{Key: new("a"), VersionId: marker})
	equal(t, "removed marker", *out.Deleted[0].DeleteMarkerVersionId, *marker)
	equal(t, "version", *out.Deleted[0].VersionId, *marker)
	refused(r, "MalformedXML", "", "DeleteObjects", &s3.DeleteObjectsInput{Bucket: new("objects"), Delete: &s3.Delete{Objects: make([]s3.ObjectIdentifier, 1001)}})
	many := make([]s3.ObjectIdentifier, 1000)
	for i := range many {
		many[i].Key = new("m")
	}
	equal(t, "many", len(del(false, many...).Deleted), 1000)
}
