package s3_test

import (
	"testing"

	"lambent/cloud"
	"lambent/service/s3"
)

func TestCreateBucketNames(t *testing.T) {
	r := newRig(t)
	for name, ok := range map[string]bool{
		"abc": true, "my.bucket-1": true, "a1b": true, "1ab": true,
		"ab": false, "Abc": false, "-abc": false, "abc-": false, "a..b": false, "a_b": false, "192.168.5.4": false,
		"xn--abc": false, "abc-s3alias": false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": false,
	} {
		_, err := try[s3.CreateBucketOutput](r, "CreateBucket", &s3.CreateBucketInput{Bucket: &name})
		if got := err == nil; got != ok {
			t.Errorf("%q: %v", name, err)
		}
		if !ok && cloud.FaultCode(err) != "InvalidBucketName" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The cases are those of recorded-content in test_s3.py::TestS3::test_different_location_constraint and
// test_create_bucket_with_invalid_location_constraint.
func TestLocationConstraint(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		endpoint, constraint, code, message, location string
	}{
		{"us-east-1", "", "", "", ""},
		{"us-east-1", "us-east-1", "InvalidLocationConstraint", "The specified location-constraint is not valid", ""},
		{"us-east-1", "foo", "InvalidLocationConstraint", "The specified location-constraint is not valid", ""},
		{"us-east-1", "eu-west-1", "", "", "eu-west-1"},
		{"us-east-1", "EU", "", "", "EU"},
		{"us-east-2", "us-east-2", "", "", "us-east-2"},
		{"us-east-2", "", "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.", ""},
		{"us-east-2", "us-west-1", "IllegalLocationConstraintException", "The us-west-1 location constraint is incompatible", ""},
		{"eu-west-1", "bar", "IllegalLocationConstraintException", "The bar location constraint is incompatible", ""},
	} {
		r.caller.Region = tt.endpoint
		in := &s3.CreateBucketInput{Bucket: new("bucket"), CreateBucketConfiguration: &s3.CreateBucketConfiguration{}}
		if tt.constraint != "" {
			in.CreateBucketConfiguration.LocationConstraint = &tt.constraint
		}
		if tt.code != "" {
			refused(r, tt.code, tt.message, "CreateBucket", in)
			continue
		}
		do[s3.CreateBucketOutput](r, "CreateBucket", in)
		loc := do[s3.GetBucketLocationOutput](r, "GetBucketLocation", &s3.GetBucketLocationInput{Bucket: in.Bucket})
		equal(t, "location", cloud.Val(loc.LocationConstraint), tt.location)
		do[s3.DeleteBucketOutput](r, "DeleteBucket", &s3.DeleteBucketInput{Bucket: in.Bucket})
	}
}

func TestCreateBucketTwice(t *testing.T) {
	r := newRig(t)
	r.bucket("taken")
	out := do[s3.CreateBucketOutput](r, "CreateBucket", &s3.CreateBucketInput{Bucket: new("taken")})
	equal(t, "location", *out.Location, "/taken")
	equal(t, "arn", *out.BucketArn, "arn:aws:s3:::taken")

	r.caller.Region = "eu-west-1"
	in := &s3.CreateBucketInput{Bucket: new("taken"), CreateBucketConfiguration: &s3.CreateBucketConfiguration{LocationConstraint: new("eu-west-1")}}
	refused(r, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.", "CreateBucket", in)
	r.caller.Account = "111111111111"
	refused(r, "BucketAlreadyExists", "not available", "CreateBucket", in)
}

func TestHeadBucket(t *testing.T) {
	r := newRig(t)
	r.bucket("here")
	out := do[s3.HeadBucketOutput](r, "HeadBucket", &s3.HeadBucketInput{Bucket: new("here")})
	equal(t, "region", *out.BucketRegion, "us-east-1")
	f := refused(r, "NoSuchBucket", "The specified bucket does not exist", "HeadBucket", &s3.HeadBucketInput{Bucket: new("gone")})
	equal(t, "status", f.Status, 404)
	refused(r, "InvalidBucketOwnerAWSAccountID", "[0000]", "HeadBucket", &s3.HeadBucketInput{Bucket: new("here"), ExpectedBucketOwner: new("0000")})
	refused(r, "AccessDenied", "Access Denied", "HeadBucket", &s3.HeadBucketInput{Bucket: new("here"), ExpectedBucketOwner: new("000000000002")})
	r.caller.Account = "111111111111"
	refused(r, "AccessDenied", "", "HeadBucket", &s3.HeadBucketInput{Bucket: new("here")})
	r.caller.Anonymous = true
	refused(r, "AccessDenied", "", "HeadBucket", &s3.HeadBucketInput{Bucket: new("here")})
}

func TestListBuckets(t *testing.T) {
	r := newRig(t)
	for _, b := range []string{"b-two", "a-one", "b-three"} {
		r.bucket(b)
	}
	names := func(in *s3.ListBucketsInput) (out []string, token *string) {
		t.Helper()
		l := do[s3.ListBucketsOutput](r, "ListBuckets", in)
		for _, b := range l.Buckets {
			out = append(out, *b.Name)
		}
		return out, l.ContinuationToken
	}
	all, _ := names(&s3.ListBucketsInput{})
	equal(t, "all", len(all), 3)
	equal(t, "first", all[0], "a-one")
	page, token := names(&s3.ListBucketsInput{MaxBuckets: new(int32(1)), Prefix: new("b-")})
	equal(t, "page", page[0], "b-three")
	page, token = names(&s3.ListBucketsInput{MaxBuckets: new(int32(1)), Prefix: new("b-"), ContinuationToken: token})
	equal(t, "page", page[0], "b-two")
	equal(t, "token", token == nil, true)
	none, _ := names(&s3.ListBucketsInput{BucketRegion: new("eu-west-1")})
	equal(t, "elsewhere", len(none), 0)
}

func TestDeleteBucket(t *testing.T) {
	r := newRig(t)
	r.bucket("full")
	r.put("full", "key", "x")
	del := &s3.DeleteBucketInput{Bucket: new("full")}
	f := refused(r, "BucketNotEmpty", "The bucket you tried to delete is not empty", "DeleteBucket", del)
	equal(t, "status", f.Status, 409)
	do[s3.DeleteObjectOutput](r, "DeleteObject", &s3.DeleteObjectInput{Bucket: new("full"), Key: new("key")})
	do[s3.CreateMultipartUploadOutput](r, "CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: new("full"), Key: new("up")})
	do[s3.DeleteBucketOutput](r, "DeleteBucket", del)
	refused(r, "NoSuchBucket", "", "DeleteBucket", del)
	r.bucket("full")
	refused(r, "NoSuchTagSet", "", "GetBucketTagging", &s3.GetBucketTaggingInput{Bucket: new("full")})
}

// An unconfigured bucket answers as AWS does, and nothing is accepted that would do nothing.
func TestUnconfigured(t *testing.T) {
	r := newRig(t)
	r.bucket("plain")
	b := new("plain")
	refused(r, "NoSuchCORSConfiguration", "The CORS configuration does not exist", "GetBucketCors", &s3.GetBucketCorsInput{Bucket: b})
	refused(r, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", "GetBucketWebsite", &s3.GetBucketWebsiteInput{Bucket: b})
	refused(r, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", "GetBucketLifecycleConfiguration", &s3.GetBucketLifecycleConfigurationInput{Bucket: b})
	refused(r, "ReplicationConfigurationNotFoundError", "The replication configuration was not found", "GetBucketReplication", &s3.GetBucketReplicationInput{Bucket: b})
	refused(r, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket", "GetObjectLockConfiguration", &s3.GetObjectLockConfigurationInput{Bucket: b})
	refused(r, "NoSuchTagSet", "The TagSet does not exist", "GetBucketTagging", &s3.GetBucketTaggingInput{Bucket: b})
	refused(r, "NoSuchBucketPolicy", "The bucket policy does not exist", "GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: b})
	equal(t, "payer", *do[s3.GetBucketRequestPaymentOutput](r, "GetBucketRequestPayment", &s3.GetBucketRequestPaymentInput{Bucket: b}).Payer, "BucketOwner")
	equal(t, "versioning", do[s3.GetBucketVersioningOutput](r, "GetBucketVersioning", &s3.GetBucketVersioningInput{Bucket: b}).Status == nil, true)
	equal(t, "accelerate", do[s3.GetBucketAccelerateConfigurationOutput](r, "GetBucketAccelerateConfiguration", &s3.GetBucketAccelerateConfigurationInput{Bucket: b}).Status == nil, true)
	equal(t, "logging", do[s3.GetBucketLoggingOutput](r, "GetBucketLogging", &s3.GetBucketLoggingInput{Bucket: b}).LoggingEnabled == nil, true)
	enc := do[s3.GetBucketEncryptionOutput](r, "GetBucketEncryption", &s3.GetBucketEncryptionInput{Bucket: b}).ServerSideEncryptionConfiguration.Rules[0]
	equal(t, "encryption", *enc.ApplyServerSideEncryptionByDefault.SSEAlgorithm, "AES256")
	equal(t, "bucket key", *enc.BucketKeyEnabled, false)
	own := do[s3.GetBucketOwnershipControlsOutput](r, "GetBucketOwnershipControls", &s3.GetBucketOwnershipControlsInput{Bucket: b})
	equal(t, "ownership", *own.OwnershipControls.Rules[0].ObjectOwnership, "BucketOwnerEnforced")
	block := do[s3.GetPublicAccessBlockOutput](r, "GetPublicAccessBlock", &s3.GetPublicAccessBlockInput{Bucket: b}).PublicAccessBlockConfiguration
	equal(t, "block", *block.BlockPublicPolicy, true)
	acl := do[s3.GetBucketAclOutput](r, "GetBucketAcl", &s3.GetBucketAclInput{Bucket: b})
	equal(t, "acl", *acl.Grants[0].Permission, "FULL_CONTROL")
	equal(t, "grantee", *acl.Grants[0].Grantee.ID, *acl.Owner.ID)

	refused(r, "NotImplemented", "CORS", "PutBucketCors", &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &s3.CORSConfiguration{}})
	refused(r, "NotImplemented", "lifecycle", "PutBucketLifecycleConfiguration", &s3.PutBucketLifecycleConfigurationInput{Bucket: b})
	refused(r, "NotImplemented", "notification", "PutBucketNotificationConfiguration", &s3.PutBucketNotificationConfigurationInput{
		Bucket: b, NotificationConfiguration: &s3.NotificationConfiguration{EventBridgeConfiguration: &s3.EventBridgeConfiguration{}},
	})
	do[s3.PutBucketNotificationConfigurationOutput](r, "PutBucketNotificationConfiguration", &s3.PutBucketNotificationConfigurationInput{
		Bucket: b, NotificationConfiguration: &s3.NotificationConfiguration{},
	})
}

func TestBucketTagging(t *testing.T) {
	r := newRig(t)
	r.bucket("tagged")
	put := func(tags ...s3.Tag) *s3.PutBucketTaggingInput {
		return &s3.PutBucketTaggingInput{Bucket: new("tagged"), Tagging: &s3.Tagging{TagSet: tags}}
	}
	tag := func(k, v string) s3.Tag { return s3.Tag{Key: &k, Value: &v} }
	refused(r, "InvalidTag", "Cannot provide multiple Tags with the same key", "PutBucketTagging", put(tag("Key1", "a"), tag("Key1", "b")))
	refused(r, "InvalidTag", "System tags cannot be added/updated by requester", "PutBucketTagging", put(tag("aws:prefixed", "a")))
	refused(r, "InvalidTag", "The TagKey you have provided is invalid", "PutBucketTagging", put(tag("Key1,Key2", "a")))
	refused(r, "InvalidTag", "The TagValue you have provided is invalid", "PutBucketTagging", put(tag("Key1", "Val1,Val2")))
	refused(r, "MalformedXML", "", "PutBucketTagging", put(s3.Tag{Key: new("k")}))
	// CloudFormation's own tags stay, whoever asks.
	r.caller.Via = "cloudformation.amazonaws.com"
	do[s3.PutBucketTaggingOutput](r, "PutBucketTagging", put(tag("aws:cloudformation:stack-name", "s"), tag("a", "1")))
	r.caller.Via = ""
	refused(r, "InvalidTag", "System tags cannot be removed by requester", "PutBucketTagging", put(tag("a", "2")))
	refused(r, "InvalidTag", "System tags cannot be removed by requester", "DeleteBucketTagging", &s3.DeleteBucketTaggingInput{Bucket: new("tagged")})
	refused(r, "InvalidTag", "System tags cannot be added/updated by requester", "PutBucketTagging", put(tag("aws:cloudformation:stack-name", "t")))
	do[s3.PutBucketTaggingOutput](r, "PutBucketTagging", put(tag("aws:cloudformation:stack-name", "s"), tag("a", "2")))
	r.caller.Via = "cloudformation.amazonaws.com"
	do[s3.DeleteBucketTaggingOutput](r, "DeleteBucketTagging", &s3.DeleteBucketTaggingInput{Bucket: new("tagged")})
	r.caller.Via = ""
	do[s3.PutBucketTaggingOutput](r, "PutBucketTagging", put(tag("a", "1"), tag("b", "2")))
	equal(t, "tags", len(do[s3.GetBucketTaggingOutput](r, "GetBucketTagging", &s3.GetBucketTaggingInput{Bucket: new("tagged")}).TagSet), 2)
	do[s3.PutBucketTaggingOutput](r, "PutBucketTagging", put())
	refused(r, "NoSuchTagSet", "", "GetBucketTagging", &s3.GetBucketTaggingInput{Bucket: new("tagged")})
}

func TestBucketPolicy(t *testing.T) {
	r := newRig(t)
	r.bucket("guarded")
	put := func(p string) *s3.PutBucketPolicyInput {
		return &s3.PutBucketPolicyInput{Bucket: new("guarded"), Policy: &p}
	}
	for policy, message := range map[string]string{
		"":     "Policies must be valid JSON and the first byte must be '{'",
		"text": "Policies must be valid JSON and the first byte must be '{'",
		"{}":   "Missing required field Statement",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:Send","Resource":"*"}]}`:                        "Policy has invalid action",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}]}`: "Policy has invalid resource",
		`{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`:                                    "Missing required field Principal",
	} {
		refused(r, "MalformedPolicy", message, "PutBucketPolicy", put(policy))
	}
	public := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::guarded/*"}]}`
	refused(r, "AccessDenied", "BlockPublicPolicy", "PutBucketPolicy", put(public))
	// What Serverless puts on its deployment bucket.
	deny := `{"Statement":[{"Action":"s3:*","Effect":"Deny","Principal":"*","Resource":["arn:aws:s3:::guarded/*","arn:aws:s3:::guarded"],"Condition":{"Bool":{"aws:SecureTransport":false}}}]}`
	do[s3.PutBucketPolicyOutput](r, "PutBucketPolicy", put(deny))
	equal(t, "policy", *do[s3.GetBucketPolicyOutput](r, "GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: new("guarded")}).Policy, deny)
	do[s3.DeletePublicAccessBlockOutput](r, "DeletePublicAccessBlock", &s3.DeletePublicAccessBlockInput{Bucket: new("guarded")})
	do[s3.PutBucketPolicyOutput](r, "PutBucketPolicy", put(public))
	equal(t, "public", *do[s3.GetBucketPolicyStatusOutput](r, "GetBucketPolicyStatus", &s3.GetBucketPolicyStatusInput{Bucket: new("guarded")}).PolicyStatus.IsPublic, true)
	do[s3.DeleteBucketPolicyOutput](r, "DeleteBucketPolicy", &s3.DeleteBucketPolicyInput{Bucket: new("guarded")})
	refused(r, "NoSuchBucketPolicy", "", "GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: new("guarded")})
}

func TestACLs(t *testing.T) {
	r := newRig(t)
	r.bucket("closed")
	refused(r, "InvalidBucketAclWithObjectOwnership", "", "CreateBucket", &s3.CreateBucketInput{Bucket: new("open"), ACL: new("public-read")})
	refused(r, "NotImplemented", "", "CreateBucket", &s3.CreateBucketInput{Bucket: new("open"), ACL: new("public-read"), ObjectOwnership: new("ObjectWriter")})
	refused(r, "InvalidArgument", "", "CreateBucket", &s3.CreateBucketInput{Bucket: new("open"), ACL: new("fake-acl")})
	refused(r, "AccessControlListNotSupported", "The bucket does not allow ACLs", "PutBucketAcl", &s3.PutBucketAclInput{Bucket: new("closed"), ACL: new("private")})
	refused(r, "AccessControlListNotSupported", "", "PutObject", &s3.PutObjectInput{Bucket: new("closed"), Key: new("k"), ACL: new("public-read")})
	do[s3.PutObjectOutput](r, "PutObject", &s3.PutObjectInput{Bucket: new("closed"), Key: new("k"), ACL: new("bucket-owner-full-control")})
	do[s3.DeleteBucketOwnershipControlsOutput](r, "DeleteBucketOwnershipControls", &s3.DeleteBucketOwnershipControlsInput{Bucket: new("closed")})
	refused(r, "OwnershipControlsNotFoundError", "", "GetBucketOwnershipControls", &s3.GetBucketOwnershipControlsInput{Bucket: new("closed")})
	do[s3.PutBucketAclOutput](r, "PutBucketAcl", &s3.PutBucketAclInput{Bucket: new("closed"), ACL: new("private")})
	refused(r, "NotImplemented", "", "PutBucketAcl", &s3.PutBucketAclInput{Bucket: new("closed"), ACL: new("public-read")})
	refused(r, "MissingSecurityHeader", "Your request was missing a required header", "PutBucketAcl", &s3.PutBucketAclInput{Bucket: new("closed")})
	refused(r, "InvalidRequest", "Specifying both", "PutBucketAcl", &s3.PutBucketAclInput{Bucket: new("closed"), ACL: new("private"), GrantRead: new("id=x")})
	do[s3.PutObjectAclOutput](r, "PutObjectAcl", &s3.PutObjectAclInput{Bucket: new("closed"), Key: new("k"), ACL: new("private")})
}
