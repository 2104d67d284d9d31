// Package s3 is Amazon S3: buckets of objects, versioned or not, uploaded whole or in parts, listed in the order
// of their keys. Bytes lie in the blob store, what is said of them in rows; a write is one transaction, which also
// lets go of the blob that it replaces.
//
// # Keys
//
//	bucket  NAME                     the bucket; names are unique in the whole cloud, so no account stands before them
//	owned   ACCOUNT NAME             an account's buckets
//	config  NAME KIND                policy, tags, public access block
//	object  NAME key ^SEQ            one version of an object; the highest SEQ is the current one and sorts first
//	null    NAME KEY                 SEQ of the version "null", where it is not 1
//	data    NAME KEY SEQ             the bytes of a small object
//	upload  NAME key ID              a multipart upload in progress
//	part    ID NUMBER                a part, of an upload or of the object that it became
//
// Lower-case key is escaped as keys.go says, so that listings can begin at any prefix.
//
// # Differences from AWS
//
// One endpoint serves all regions, so a bucket answers whatever region a request was signed for, and nothing is
// redirected. Objects "encrypted" with aws:kms say so and are stored like all others. Access control lists cannot
// grant anything to others, bucket policies are stored and checked for form, and anonymous requests are refused.
// What a bucket could be configured to do and is not built (CORS, websites, lifecycle, replication, notifications,
// logging, Object Lock) is refused when it is put, and read as not configured. ETags are MD5 with any encryption.
package s3

import (
	"context"
	"net/http"
	"reflect"

	"lambent/blob"
	"lambent/cloud"
	"lambent/kv"
	"lambent/service"
)

// Service is S3 over a room of the store and the blobs.
type Service struct {
	kv     *kv.Store
	blobs  *blob.Store
	domain string
}

// New returns S3. domain is what the cloud calls itself, for the URLs of buckets in replies.
func New(store *kv.Store, blobs *blob.Store, domain string) *Service {
	return &Service{kv: store, blobs: blobs, domain: domain}
}

// Service returns the table of operations.
func (s *Service) Service() service.Service {
	return service.Service{API: model(), Operations: []service.Operation{
		on("CreateBucket", s.createBucket),
		on("HeadBucket", s.headBucket).As("s3:ListBucket"),
		on("ListBuckets", s.listBuckets).As("s3:ListAllMyBuckets"),
		on("DeleteBucket", s.deleteBucket),
		on("GetBucketLocation", s.getBucketLocation),

		on("PutObject", s.putObject),
		on("GetObject", s.getObject),
		on("HeadObject", s.headObject).As("s3:GetObject"),
		on("GetObjectAttributes", s.getObjectAttributes),
		on("CopyObject", s.copyObject).As("s3:PutObject"),
		on("DeleteObject", s.deleteObject),
		service.On(service.Op("DeleteObjects", s.deleteObjects), deletedARNs).As("s3:DeleteObject"),
		on("ListObjects", s.listObjects).As("s3:ListBucket"),
		on("ListObjectsV2", s.listObjectsV2).As("s3:ListBucket"),
		on("ListObjectVersions", s.listObjectVersions).As("s3:ListBucketVersions"),

		on("CreateMultipartUpload", s.createMultipartUpload).As("s3:PutObject"),
		on("UploadPart", s.uploadPart).As("s3:PutObject"),
		on("UploadPartCopy", s.uploadPartCopy).As("s3:PutObject"),
		on("CompleteMultipartUpload", s.completeMultipartUpload).As("s3:PutObject"),
		on("AbortMultipartUpload", s.abortMultipartUpload),
		on("ListParts", s.listParts).As("s3:ListMultipartUploadParts"),
		on("ListMultipartUploads", s.listMultipartUploads).As("s3:ListBucketMultipartUploads"),

		on("GetBucketVersioning", s.getBucketVersioning),
		on("PutBucketVersioning", s.putBucketVersioning),
		on("GetBucketEncryption", s.getBucketEncryption).As("s3:GetEncryptionConfiguration"),
		on("PutBucketEncryption", s.putBucketEncryption).As("s3:PutEncryptionConfiguration"),
		on("DeleteBucketEncryption", s.deleteBucketEncryption).As("s3:PutEncryptionConfiguration"),
		on("GetBucketOwnershipControls", s.getBucketOwnershipControls),
		on("PutBucketOwnershipControls", s.putBucketOwnershipControls),
		on("DeleteBucketOwnershipControls", s.deleteBucketOwnershipControls).As("s3:PutBucketOwnershipControls"),
		on("GetPublicAccessBlock", s.getPublicAccessBlock).As("s3:GetBucketPublicAccessBlock"),
		on("PutPublicAccessBlock", s.putPublicAccessBlock).As("s3:PutBucketPublicAccessBlock"),
		on("DeletePublicAccessBlock", s.deletePublicAccessBlock).As("s3:PutBucketPublicAccessBlock"),
		on("GetBucketPolicy", s.getBucketPolicy),
		on("PutBucketPolicy", s.putBucketPolicy),
		on("DeleteBucketPolicy", s.deleteBucketPolicy),
		on("GetBucketPolicyStatus", s.getBucketPolicyStatus),
		on("GetBucketTagging", s.getBucketTagging),
		on("PutBucketTagging", s.putBucketTagging),
		on("DeleteBucketTagging", s.deleteBucketTagging).As("s3:PutBucketTagging"),
		on("GetObjectTagging", s.getObjectTagging),
		on("PutObjectTagging", s.putObjectTagging),
		on("DeleteObjectTagging", s.deleteObjectTagging),
		on("GetBucketAcl", s.getBucketAcl),
		on("PutBucketAcl", s.putBucketAcl),
		on("GetObjectAcl", s.getObjectAcl),
		on("PutObjectAcl", s.putObjectAcl),

		on("GetBucketCors", s.getBucketCors).As("s3:GetBucketCORS"),
		on("PutBucketCors", s.putBucketCors).As("s3:PutBucketCORS"),
		on("DeleteBucketCors", s.deleteBucketCors).As("s3:PutBucketCORS"),
		on("GetBucketWebsite", s.getBucketWebsite),
		on("PutBucketWebsite", s.putBucketWebsite),
		on("DeleteBucketWebsite", s.deleteBucketWebsite),
		on("GetBucketLifecycleConfiguration", s.getBucketLifecycleConfiguration).As("s3:GetLifecycleConfiguration"),
		on("PutBucketLifecycleConfiguration", s.putBucketLifecycleConfiguration).As("s3:PutLifecycleConfiguration"),
		on("DeleteBucketLifecycle", s.deleteBucketLifecycle).As("s3:PutLifecycleConfiguration"),
		on("GetBucketReplication", s.getBucketReplication).As("s3:GetReplicationConfiguration"),
		on("PutBucketReplication", s.putBucketReplication).As("s3:PutReplicationConfiguration"),
		on("DeleteBucketReplication", s.deleteBucketReplication).As("s3:PutReplicationConfiguration"),
		on("GetBucketLogging", s.getBucketLogging),
		on("PutBucketLogging", s.putBucketLogging),
		on("GetBucketNotificationConfiguration", s.getBucketNotificationConfiguration).As("s3:GetBucketNotification"),
		on("PutBucketNotificationConfiguration", s.putBucketNotificationConfiguration).As("s3:PutBucketNotification"),
		on("GetBucketAccelerateConfiguration", s.getBucketAccelerateConfiguration).As("s3:GetAccelerateConfiguration"),
		on("PutBucketAccelerateConfiguration", s.putBucketAccelerateConfiguration).As("s3:PutAccelerateConfiguration"),
		on("GetBucketRequestPayment", s.getBucketRequestPayment),
		on("PutBucketRequestPayment", s.putBucketRequestPayment),
		on("GetObjectLockConfiguration", s.getObjectLockConfiguration).As("s3:GetBucketObjectLockConfiguration"),
		on("PutObjectLockConfiguration", s.putObjectLockConfiguration).As("s3:PutBucketObjectLockConfiguration"),
		on("GetObjectRetention", s.getObjectRetention),
		on("PutObjectRetention", s.putObjectRetention),
		on("GetObjectLegalHold", s.getObjectLegalHold),
		on("PutObjectLegalHold", s.putObjectLegalHold),
	}}
}

// model is the API's, with what it does not say: S3 answers these with 204, as its API reference shows.
func model() *service.API {
	api := apiModel()
	for i := range api.Operations {
		switch op := &api.Operations[i]; op.Name {
		case "PutBucketPolicy", "PutBucketTagging":
			op.Status = http.StatusNoContent
		}
	}
	return api
}

// on lists an operation whose resource is what its Bucket and Key members name.
func on[I, O any](name string, fn func(context.Context, cloud.Caller, *I) (*O, error)) service.Operation {
	t := reflect.TypeFor[I]()
	bucket, hasBucket := t.FieldByName("Bucket")
	key, hasKey := t.FieldByName("Key")
	op := service.Op(name, fn)
	if !hasBucket {
		return op
	}
	return service.On(op, func(c cloud.Caller, in *I) []string {
		v := reflect.ValueOf(in).Elem()
		arn := bucketARN(cloud.Val(v.FieldByIndex(bucket.Index).Interface().(*string)))
		if hasKey {
			arn += "/" + cloud.Val(v.FieldByIndex(key.Index).Interface().(*string))
		}
		return []string{arn}
	})
}

func deletedARNs(c cloud.Caller, in *DeleteObjectsInput) []string {
	var arns []string
	for _, o := range cloud.Val(in.Delete).Objects {
		arns = append(arns, bucketARN(cloud.Val(in.Bucket))+"/"+cloud.Val(o.Key))
	}
	return arns
}
