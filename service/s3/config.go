package s3

import (
	"context"
	"encoding/json"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// viewConfig reads one of a bucket's own rows into v, which stays as it is when there is none.
func (s *Service) viewConfig(ctx context.Context, c cloud.Caller, name, owner *string, kind string, v any) error {
	return s.kv.View(ctx, func(r kv.Reader) error {
		b, err := s.bucket(ctx, r, c, name, owner)
		if err != nil {
			return err
		}
		_, err = kv.GetRow(ctx, r, configKey(b.Name, kind), v)
		return err
	})
}

// dropConfig removes one of a bucket's own rows; there need not be one.
func (s *Service) dropConfig(ctx context.Context, c cloud.Caller, name, owner *string, kind string) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, name, owner)
		if err == nil {
			tx.Delete(configKey(b.Name, kind))
		}
		return err
	})
}

// getBucketVersioning answers GetBucketVersioning.
func (s *Service) getBucketVersioning(ctx context.Context, c cloud.Caller, in *GetBucketVersioningInput) (*GetBucketVersioningOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &GetBucketVersioningOutput{Status: nonEmpty(b.Versioning)}, nil
}

// putBucketVersioning answers PutBucketVersioning. There is no way back to a bucket that never was versioned.
func (s *Service) putBucketVersioning(ctx context.Context, c cloud.Caller, in *PutBucketVersioningInput) (*PutBucketVersioningOutput, error) {
	v := in.VersioningConfiguration
	if cloud.Val(v.MFADelete) == "Enabled" {
		return nil, notImplemented("MFA delete is not implemented")
	}
	status := cloud.Val(v.Status)
	if status != versioningEnabled && status != versioningSuspended {
		return nil, fault(400, "IllegalVersioningConfigurationException", detail{}, "The Versioning element must be specified")
	}
	err := s.changeBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Versioning = status
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutBucketVersioningOutput{}, nil
}

// getBucketEncryption answers GetBucketEncryption: every bucket encrypts, with AES256 unless told otherwise.
func (s *Service) getBucketEncryption(ctx context.Context, c cloud.Caller, in *GetBucketEncryptionInput) (*GetBucketEncryptionOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	e := b.Encryption
	return &GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &ServerSideEncryptionConfiguration{
		Rules: []ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &ServerSideEncryptionByDefault{
				SSEAlgorithm: new(cloud.Or(nonEmpty(e.Algorithm), sseS3)), KMSMasterKeyID: nonEmpty(e.KeyID),
			},
			BucketKeyEnabled: &e.BucketKey,
		}},
	}}, nil
}

// putBucketEncryption answers PutBucketEncryption.
func (s *Service) putBucketEncryption(ctx context.Context, c cloud.Caller, in *PutBucketEncryptionInput) (*PutBucketEncryptionOutput, error) {
	e, err := readEncryption(in.ServerSideEncryptionConfiguration)
	if err != nil {
		return nil, err
	}
	err = s.changeBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Encryption = e
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutBucketEncryptionOutput{}, nil
}

func readEncryption(cfg *ServerSideEncryptionConfiguration) (bucketEncryption, error) {
	if len(cfg.Rules) != 1 {
		return bucketEncryption{}, malformedXML()
	}
	rule := cfg.Rules[0]
	if t := rule.BlockedEncryptionTypes; t != nil && len(t.EncryptionType) > 0 && !(len(t.EncryptionType) == 1 && t.EncryptionType[0] == "NONE") {
		return bucketEncryption{}, notImplemented("blocking encryption types is not implemented")
	}
	def := cloud.Val(rule.ApplyServerSideEncryptionByDefault)
	e := bucketEncryption{Algorithm: cloud.Or(def.SSEAlgorithm, sseS3), KeyID: cloud.Val(def.KMSMasterKeyID), BucketKey: cloud.Val(rule.BucketKeyEnabled)}
	switch e.Algorithm {
	case sseKMS:
		return e, nil
	case sseS3:
		if e.KeyID != "" {
			return e, fault(400, "InvalidArgument", detail{ArgumentName: new("ApplyServerSideEncryptionByDefault")},
				"a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
		}
		e.Algorithm = ""
		return e, nil
	}
	return e, notImplemented("the default encryption %s is not implemented", e.Algorithm)
}

// deleteBucketEncryption answers DeleteBucketEncryption: back to S3's own default.
func (s *Service) deleteBucketEncryption(ctx context.Context, c cloud.Caller, in *DeleteBucketEncryptionInput) (*DeleteBucketEncryptionOutput, error) {
	err := s.changeBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Encryption = bucketEncryption{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteBucketEncryptionOutput{}, nil
}

// getBucketOwnershipControls answers GetBucketOwnershipControls.
func (s *Service) getBucketOwnershipControls(ctx context.Context, c cloud.Caller, in *GetBucketOwnershipControlsInput) (*GetBucketOwnershipControlsOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Ownership == "" {
		return nil, fault(404, "OwnershipControlsNotFoundError", detail{BucketName: &b.Name}, "The bucket ownership controls were not found")
	}
	return &GetBucketOwnershipControlsOutput{OwnershipControls: &OwnershipControls{Rules: []OwnershipControlsRule{{ObjectOwnership: &b.Ownership}}}}, nil
}

// putBucketOwnershipControls answers PutBucketOwnershipControls.
func (s *Service) putBucketOwnershipControls(ctx context.Context, c cloud.Caller, in *PutBucketOwnershipControlsInput) (*PutBucketOwnershipControlsOutput, error) {
	rules := in.OwnershipControls.Rules
	if len(rules) != 1 || !validOwnership(cloud.Val(rules[0].ObjectOwnership)) {
		return nil, malformedXML()
	}
	err := s.changeBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = *rules[0].ObjectOwnership
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PutBucketOwnershipControlsOutput{}, nil
}

// deleteBucketOwnershipControls answers DeleteBucketOwnershipControls.
func (s *Service) deleteBucketOwnershipControls(ctx context.Context, c cloud.Caller, in *DeleteBucketOwnershipControlsInput) (*DeleteBucketOwnershipControlsOutput, error) {
	err := s.changeBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteBucketOwnershipControlsOutput{}, nil
}

// allBlocked is the public access block of a new bucket, as AWS makes them since April 2023.
func allBlocked() PublicAccessBlockConfiguration {
	return PublicAccessBlockConfiguration{BlockPublicAcls: new(true), IgnorePublicAcls: new(true), BlockPublicPolicy: new(true), RestrictPublicBuckets: new(true)}
}

// getPublicAccessBlock answers GetPublicAccessBlock.
func (s *Service) getPublicAccessBlock(ctx context.Context, c cloud.Caller, in *GetPublicAccessBlockInput) (*GetPublicAccessBlockOutput, error) {
	var p *PublicAccessBlockConfiguration
	if err := s.viewConfig(ctx, c, in.Bucket, in.ExpectedBucketOwner, configPublicAccess, &p); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fault(404, "NoSuchPublicAccessBlockConfiguration", detail{BucketName: in.Bucket}, "The public access block configuration was not found")
	}
	return &GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: p}, nil
}

// putPublicAccessBlock answers PutPublicAccessBlock; what is not named is off.
func (s *Service) putPublicAccessBlock(ctx context.Context, c cloud.Caller, in *PutPublicAccessBlockInput) (*PutPublicAccessBlockOutput, error) {
	p := *in.PublicAccessBlockConfiguration
	if p.BlockPublicAcls == nil && p.IgnorePublicAcls == nil && p.BlockPublicPolicy == nil && p.RestrictPublicBuckets == nil {
		return nil, fault(400, "InvalidRequest", detail{}, "Must specify at least one configuration.")
	}
	for _, b := range []**bool{&p.BlockPublicAcls, &p.IgnorePublicAcls, &p.BlockPublicPolicy, &p.RestrictPublicBuckets} {
		*b = new(cloud.Val(*b))
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		return kv.PutRow(tx, configKey(b.Name, configPublicAccess), p)
	})
	if err != nil {
		return nil, err
	}
	return &PutPublicAccessBlockOutput{}, nil
}

// deletePublicAccessBlock answers DeletePublicAccessBlock.
func (s *Service) deletePublicAccessBlock(ctx context.Context, c cloud.Caller, in *DeletePublicAccessBlockInput) (*DeletePublicAccessBlockOutput, error) {
	return &DeletePublicAccessBlockOutput{}, s.dropConfig(ctx, c, in.Bucket, in.ExpectedBucketOwner, configPublicAccess)
}

// putBucketPolicy answers PutBucketPolicy.
func (s *Service) putBucketPolicy(ctx context.Context, c cloud.Caller, in *PutBucketPolicyInput) (*PutBucketPolicyOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		p, err := readPolicy(b.Name, *in.Policy)
		if err != nil {
			return err
		}
		var block PublicAccessBlockConfiguration
		if _, err := kv.GetRow(ctx, tx, configKey(b.Name, configPublicAccess), &block); err != nil {
			return err
		}
		if cloud.Val(block.BlockPublicPolicy) && p.public() {
			return fault(403, "AccessDenied", detail{}, "User: %s is not authorized to perform: s3:PutBucketPolicy on resource: %q because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
				c.ARN, bucketARN(b.Name))
		}
		return kv.PutRow(tx, configKey(b.Name, configPolicy), *in.Policy)
	})
	if err != nil {
		return nil, err
	}
	return &PutBucketPolicyOutput{}, nil
}

// getBucketPolicy answers GetBucketPolicy, with the bytes that were put.
func (s *Service) getBucketPolicy(ctx context.Context, c cloud.Caller, in *GetBucketPolicyInput) (*GetBucketPolicyOutput, error) {
	text, err := s.policyText(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &GetBucketPolicyOutput{Policy: &text}, nil
}

func (s *Service) policyText(ctx context.Context, c cloud.Caller, name, owner *string) (string, error) {
	var text string
	if err := s.viewConfig(ctx, c, name, owner, configPolicy, &text); err != nil {
		return "", err
	}
	if text == "" {
		return "", fault(404, "NoSuchBucketPolicy", detail{BucketName: name}, "The bucket policy does not exist")
	}
	return text, nil
}

// deleteBucketPolicy answers DeleteBucketPolicy.
func (s *Service) deleteBucketPolicy(ctx context.Context, c cloud.Caller, in *DeleteBucketPolicyInput) (*DeleteBucketPolicyOutput, error) {
	return &DeleteBucketPolicyOutput{}, s.dropConfig(ctx, c, in.Bucket, in.ExpectedBucketOwner, configPolicy)
}

// getBucketPolicyStatus answers GetBucketPolicyStatus.
func (s *Service) getBucketPolicyStatus(ctx context.Context, c cloud.Caller, in *GetBucketPolicyStatusInput) (*GetBucketPolicyStatusOutput, error) {
	text, err := s.policyText(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	p, err := readPolicy(*in.Bucket, text)
	if err != nil {
		return nil, err
	}
	return &GetBucketPolicyStatusOutput{PolicyStatus: &PolicyStatus{IsPublic: new(p.public())}}, nil
}

// bucketPolicy is as much of a policy document as S3 checks when it is put.
type bucketPolicy struct {
	Statement json.RawMessage
	parsed    []bucketStatement
}

type bucketStatement struct {
	Effect                  string
	Principal, NotPrincipal json.RawMessage
	Action, NotAction       oneOrMany
	Resource, NotResource   oneOrMany
	Condition               map[string]json.RawMessage
}

// oneOrMany is a string or a list of strings.
type oneOrMany []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*o = make([]string, 1)
		return json.Unmarshal(b, &(*o)[0])
	}
	return json.Unmarshal(b, (*[]string)(o))
}

func malformedPolicy(message string) error {
	return fault(400, "MalformedPolicy", detail{}, "%s", message)
}

// readPolicy checks a policy's form with S3's wording; what it grants is for the policy language to judge.
func readPolicy(bucket, text string) (p bucketPolicy, err error) {
	if !strings.HasPrefix(text, "{") || !json.Valid([]byte(text)) {
		return p, malformedPolicy("Policies must be valid JSON and the first byte must be '{'")
	}
	if len(text) > 20<<10 {
		return p, fault(400, "PolicyTooLarge", detail{}, "The policy exceeds the maximum allowed document size of 20480 bytes.")
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Statement == nil {
		return p, malformedPolicy("Missing required field Statement")
	}
	statements := p.Statement
	if statements[0] == '{' {
		statements = append(append(json.RawMessage{'['}, statements...), ']')
	}
	if err := json.Unmarshal(statements, &p.parsed); err != nil {
		return p, malformedPolicy("Policy has invalid statement")
	}
	if len(p.parsed) == 0 {
		return p, malformedPolicy("Could not parse the policy: Statement is empty!")
	}
	for _, st := range p.parsed {
		if err := st.check(bucket); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (st bucketStatement) check(bucket string) error {
	switch {
	case st.Effect == "":
		return malformedPolicy("Missing required field Effect")
	case st.Effect != "Allow" && st.Effect != "Deny":
		return malformedPolicy("Invalid effect: " + st.Effect)
	case st.Principal == nil && st.NotPrincipal == nil:
		return malformedPolicy("Missing required field Principal")
	case len(st.Action)+len(st.NotAction) == 0:
		return malformedPolicy("Missing required field Action")
	case len(st.Resource)+len(st.NotResource) == 0:
		return malformedPolicy("Missing required field Resource")
	}
	for _, a := range append(st.Action, st.NotAction...) {
		if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
			return malformedPolicy("Policy has invalid action")
		}
	}
	for _, r := range append(st.Resource, st.NotResource...) {
		if r != "*" && r != bucketARN(bucket) && !strings.HasPrefix(r, bucketARN(bucket)+"/") && !strings.HasPrefix(r, bucketARN("*")) && !strings.HasPrefix(r, bucketARN(bucket)+"*") {
			return malformedPolicy("Policy has invalid resource")
		}
	}
	return nil
}

// public reports whether the policy opens the bucket to everyone.
func (p bucketPolicy) public() bool {
	for _, st := range p.parsed {
		everyone := string(st.Principal) == `"*"` || st.NotPrincipal != nil
		var named map[string]oneOrMany
		if json.Unmarshal(st.Principal, &named) == nil {
			for _, n := range named["AWS"] {
				everyone = everyone || n == "*"
			}
		}
		if st.Effect == "Allow" && everyone && len(st.Condition) == 0 {
			return true
		}
	}
	return false
}
