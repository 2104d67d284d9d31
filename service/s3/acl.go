package s3

import (
	"context"

	"lambent/cloud"
)

// Access control lists are off by default on AWS, and here they cannot be more than that: an owner has full
// control, nobody else has any. What would say otherwise is refused.

func validOwnership(o string) bool {
	return o == bucketOwnerEnforced || o == "BucketOwnerPreferred" || o == "ObjectWriter"
}

// cannedACLs of objects; buckets know the first four.
var cannedACLs = []string{"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"}

func knownACL(acl string, known []string) error {
	for _, k := range known {
		if k == acl {
			return nil
		}
	}
	return fault(400, "InvalidArgument", detail{ArgumentName: new("x-amz-acl"), ArgumentValue: &acl}, "")
}

// checkBucketACL checks the ACL that a new bucket asks for.
func checkBucketACL(ownership string, acl *string, granted bool) error {
	if acl != nil {
		if err := knownACL(*acl, cannedACLs[:4]); err != nil {
			return err
		}
		if granted {
			return invalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
		}
	}
	switch {
	case !granted && cloud.Or(acl, "private") == "private":
		return nil
	case ownership == bucketOwnerEnforced:
		return fault(400, "InvalidBucketAclWithObjectOwnership", detail{}, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	return notImplemented("bucket ACLs other than private are not implemented; use a bucket policy")
}

// checkObjectACL checks the ACL that a written object asks for.
func checkObjectACL(ownership string, acl *string, granted bool) error {
	if acl != nil {
		if err := knownACL(*acl, cannedACLs); err != nil {
			return err
		}
		if granted {
			return invalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
		}
	}
	a := cloud.Or(acl, "bucket-owner-full-control")
	switch {
	case !granted && a == "bucket-owner-full-control":
		return nil
	case ownership == bucketOwnerEnforced:
		return aclsDisabled()
	case !granted && (a == "private" || a == "bucket-owner-read"): // all objects belong to the bucket's owner
		return nil
	}
	return notImplemented("object ACLs other than private are not implemented; use a bucket policy")
}

func aclsDisabled() error {
	return fault(400, "AccessControlListNotSupported", detail{}, "The bucket does not allow ACLs")
}

// ownerOnly is the access control list of everything here.
func ownerOnly(account string) []Grant {
	return []Grant{{Grantee: &Grantee{ID: new(canonicalID(account)), Type: new("CanonicalUser")}, Permission: new("FULL_CONTROL")}}
}

// isOwnerOnly reports whether an ACL document says no more than ownerOnly.
func isOwnerOnly(account string, p *AccessControlPolicy) bool {
	if len(p.Grants) != 1 || p.Grants[0].Grantee == nil {
		return false
	}
	g := p.Grants[0]
	return cloud.Val(g.Grantee.ID) == canonicalID(account) && cloud.Val(g.Permission) == "FULL_CONTROL"
}

// checkPutACL checks the body or header of PutBucketAcl and PutObjectAcl.
func checkPutACL(b bucket, acl *string, granted bool, doc *AccessControlPolicy, canned []string, free string) error {
	if acl == nil && !granted && doc == nil {
		return fault(400, "MissingSecurityHeader", detail{MissingHeaderName: new("x-amz-acl")}, "Your request was missing a required header")
	}
	if acl != nil {
		if err := knownACL(*acl, canned); err != nil {
			return err
		}
		if granted {
			return invalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
		}
		if doc != nil && (doc.Grants != nil || doc.Owner != nil) {
			return fault(400, "UnexpectedContent", detail{}, "This request does not support content")
		}
	}
	if doc != nil && acl == nil && !granted && (doc.Owner == nil || doc.Grants == nil) {
		return fault(400, "MalformedACLError", detail{}, "The XML you provided was not well-formed or did not validate against our published schema")
	}
	switch {
	case b.Ownership == bucketOwnerEnforced && cloud.Val(acl) != free:
		return aclsDisabled()
	case cloud.Val(acl) == "private" || cloud.Val(acl) == "bucket-owner-full-control":
		return nil
	case acl == nil && !granted && isOwnerOnly(b.Account, doc):
		return nil
	}
	return notImplemented("ACLs that grant access to others are not implemented; use a bucket policy")
}

// getBucketAcl answers GetBucketAcl.
func (s *Service) getBucketAcl(ctx context.Context, c cloud.Caller, in *GetBucketAclInput) (*GetBucketAclOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &GetBucketAclOutput{Owner: owner(b.Account), Grants: ownerOnly(b.Account)}, nil
}

// putBucketAcl answers PutBucketAcl.
func (s *Service) putBucketAcl(ctx context.Context, c cloud.Caller, in *PutBucketAclInput) (*PutBucketAclOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	granted := anyOf(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP)
	if err := checkPutACL(b, in.ACL, granted, in.AccessControlPolicy, cannedACLs[:4], "none"); err != nil {
		return nil, err
	}
	return &PutBucketAclOutput{}, nil
}

// getObjectAcl answers GetObjectAcl.
func (s *Service) getObjectAcl(ctx context.Context, c cloud.Caller, in *GetObjectAclInput) (*GetObjectAclOutput, error) {
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", false})
	if err != nil {
		return nil, err
	}
	return &GetObjectAclOutput{Owner: owner(f.bucket.Account), Grants: ownerOnly(f.bucket.Account)}, nil
}

// putObjectAcl answers PutObjectAcl.
func (s *Service) putObjectAcl(ctx context.Context, c cloud.Caller, in *PutObjectAclInput) (*PutObjectAclOutput, error) {
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "PUT", false})
	if err != nil {
		return nil, err
	}
	granted := anyOf(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP)
	if err := checkPutACL(f.bucket, in.ACL, granted, in.AccessControlPolicy, cannedACLs, "bucket-owner-full-control"); err != nil {
		return nil, err
	}
	return &PutObjectAclOutput{}, nil
}
