package s3

import (
	"slices"
	"strings"

	"lambent/cloud"
)

// The server-side encryptions that are known here.
const (
	sseS3  = "AES256"
	sseKMS = "aws:kms"
)

// attributes are what the three requests that describe an object have in common: PutObject, CopyObject and
// CreateMultipartUpload.
type attributes struct {
	acl                                      *string
	cacheControl, disposition, encoding      *string
	language, contentType, expires, redirect *string
	metadata                                 map[string]string
	sse, kmsKey, kmsContext                  *string
	bucketKey                                *bool
	class, tagging                           *string
	grants, customerKey, locked              bool
}

func putAttributes(in *PutObjectInput) attributes {
	return attributes{
		acl: in.ACL, cacheControl: in.CacheControl, disposition: in.ContentDisposition, encoding: in.ContentEncoding,
		language: in.ContentLanguage, contentType: in.ContentType, expires: in.Expires, redirect: in.WebsiteRedirectLocation,
		metadata: in.Metadata, sse: in.ServerSideEncryption, kmsKey: in.SSEKMSKeyId, kmsContext: in.SSEKMSEncryptionContext,
		bucketKey: in.BucketKeyEnabled, class: in.StorageClass, tagging: in.Tagging,
		grants:      anyOf(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP),
		customerKey: anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
		locked:      anyOf(in.ObjectLockMode, in.ObjectLockLegalHoldStatus, in.ObjectLockEventHold) || in.ObjectLockRetainUntilDate != nil,
	}
}

func copyAttributes(in *CopyObjectInput) attributes {
	return attributes{
		acl: in.ACL, cacheControl: in.CacheControl, disposition: in.ContentDisposition, encoding: in.ContentEncoding,
		language: in.ContentLanguage, contentType: in.ContentType, expires: in.Expires, redirect: in.WebsiteRedirectLocation,
		metadata: in.Metadata, sse: in.ServerSideEncryption, kmsKey: in.SSEKMSKeyId, kmsContext: in.SSEKMSEncryptionContext,
		bucketKey: in.BucketKeyEnabled, class: in.StorageClass, tagging: in.Tagging,
		grants:      anyOf(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP),
		customerKey: anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5, in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey),
		locked:      anyOf(in.ObjectLockMode, in.ObjectLockLegalHoldStatus, in.ObjectLockEventHold) || in.ObjectLockRetainUntilDate != nil,
	}
}

func uploadAttributes(in *CreateMultipartUploadInput) attributes {
	return attributes{
		acl: in.ACL, cacheControl: in.CacheControl, disposition: in.ContentDisposition, encoding: in.ContentEncoding,
		language: in.ContentLanguage, contentType: in.ContentType, expires: in.Expires, redirect: in.WebsiteRedirectLocation,
		metadata: in.Metadata, sse: in.ServerSideEncryption, kmsKey: in.SSEKMSKeyId, kmsContext: in.SSEKMSEncryptionContext,
		bucketKey: in.BucketKeyEnabled, class: in.StorageClass, tagging: in.Tagging,
		grants:      anyOf(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP),
		customerKey: anyOf(in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5),
		locked:      anyOf(in.ObjectLockMode, in.ObjectLockLegalHoldStatus, in.ObjectLockEventHold) || in.ObjectLockRetainUntilDate != nil,
	}
}

// anyOf reports whether one of the members was given.
func anyOf(members ...*string) bool {
	return slices.ContainsFunc(members, func(m *string) bool { return m != nil })
}

// lowerKeys returns metadata with its names as S3 keeps them: headers have no case.
func lowerKeys(metadata map[string]string) map[string]string {
	if metadata == nil {
		return nil
	}
	lower := make(map[string]string, len(metadata))
	for k, v := range metadata {
		lower[strings.ToLower(k)] = v
	}
	return lower
}

// describe checks the attributes and makes of them an object that lacks its content.
func describe(c cloud.Caller, b bucket, a attributes) (object, error) {
	o := object{Modified: c.Now, Meta: lowerKeys(a.metadata), Headers: headers{
		CacheControl: cloud.Val(a.cacheControl), ContentDisposition: cloud.Val(a.disposition), ContentEncoding: stripChunked(a.encoding),
		ContentLanguage: cloud.Val(a.language), ContentType: cloud.Val(a.contentType), Expires: cloud.Val(a.expires), Redirect: cloud.Val(a.redirect),
	}}
	if err := checkObjectACL(b.Ownership, a.acl, a.grants); err != nil {
		return o, err
	}
	if a.customerKey {
		return o, notImplemented("server-side encryption with customer-provided keys is not implemented")
	}
	if a.locked {
		return o, invalidRequest("Bucket is missing Object Lock Configuration")
	}
	size := 0
	for k, v := range a.metadata {
		size += len(k) + len(v)
	}
	if size > 2048 {
		return o, fault(400, "MetadataTooLarge", detail{MaxSizeAllowed: new(int64(2048)), ProposedSize: new(int64(size))},
			"Your metadata headers exceed the maximum allowed metadata size")
	}
	var err error
	if o.Class, err = storageClass(a.class); err != nil {
		return o, err
	}
	if o.SSE, err = encryptionFor(c, b, a); err != nil {
		return o, err
	}
	o.Tags, err = parseTagging(a.tagging)
	return o, err
}

// storageClass checks a class and returns it as objects keep it. All classes are one place on disk here; those that
// S3 answers only after a restore answer as such.
func storageClass(class *string) (string, error) {
	switch c := cloud.Or(class, "STANDARD"); c {
	case "STANDARD":
		return "", nil
	case "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR":
		return c, nil
	default:
		return "", fault(400, "InvalidStorageClass", detail{StorageClassRequested: &c}, "The storage class you specified is not valid")
	}
}

// encryptionFor returns what the object says of its encryption: as asked, or the bucket's default.
func encryptionFor(c cloud.Caller, b bucket, a attributes) (encryption, error) {
	switch cloud.Or(a.sse, sseS3) {
	case sseKMS:
	case sseS3:
		if a.sse != nil && a.kmsKey != nil {
			return encryption{}, invalidArgument("x-amz-server-side-encryption-aws-kms-key-id", *a.kmsKey,
				"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
	default:
		return encryption{}, notImplemented("the server-side encryption %s is not implemented", *a.sse)
	}
	e := encryption{Algorithm: b.Encryption.Algorithm, KeyID: b.Encryption.KeyID, BucketKey: b.Encryption.BucketKey}
	if a.sse != nil {
		e = encryption{Algorithm: *a.sse, KeyID: cloud.Val(a.kmsKey), BucketKey: cloud.Val(a.bucketKey)}
	}
	if e.Algorithm != sseKMS {
		return encryption{}, nil
	}
	e.Context = cloud.Val(a.kmsContext)
	e.KeyID = keyARN(c, b, e.KeyID)
	return e, nil
}

// keyARN completes a key id the way S3 shows it.
func keyARN(c cloud.Caller, b bucket, id string) string {
	if id == "" || strings.HasPrefix(id, "arn:") {
		return id
	}
	c.Region = b.Region
	if strings.HasPrefix(id, "alias/") {
		return c.ARNOf("kms", id)
	}
	return c.ARNOf("kms", "key/"+id)
}
