package iam

import (
	"context"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv/kvtest"
)

const (
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	read  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`
	basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

func newService(t *testing.T) (*Service, cloud.Caller) {
	return New(kvtest.Mem(t)), cloud.Caller{Account: cloud.DefaultAccount, Region: "us-east-1", Root: true, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func makeRole(t *testing.T, s *Service, c cloud.Caller, name string) *Role {
	t.Helper()
	out, err := s.createRole(context.Background(), c, &CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(trust)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Role
}

func wantFault(t *testing.T, err error, code, message string) {
	t.Helper()
	if got := cloud.FaultCode(err); got != code || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want %s with %q", err, code, message)
	}
}

func TestRole(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	role := makeRole(t, s, c, "r")
	if *role.Arn != "arn:aws:iam::000000000000:role/r" || !strings.HasPrefix(*role.RoleId, "AROA") || len(*role.RoleId) != 21 {
		t.Errorf("role %s, id %s", *role.Arn, *role.RoleId)
	}
	_, err := s.createRole(ctx, c, &CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trust)})
	wantFault(t, err, "EntityAlreadyExistsException", "Role with name r already exists.")
	_, err = s.createRole(ctx, c, &CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new("{")})
	wantFault(t, err, "MalformedPolicyDocumentException", "This policy contains invalid Json")
	_, err = s.getRole(ctx, c, &GetRoleInput{RoleName: new("none")})
	wantFault(t, err, "NoSuchEntityException", "The role with name none cannot be found.")

	got, err := s.getRole(ctx, c, &GetRoleInput{RoleName: new("r")})
	if err != nil || !strings.HasPrefix(*got.Role.AssumeRolePolicyDocument, "%7B%22Version%22") || *got.Role.MaxSessionDuration != 3600 {
		t.Errorf("GetRole: %+v, %v", got, err)
	}
	if _, err := s.tagRole(ctx, c, &TagRoleInput{RoleName: new("r"), Tags: []Tag{{new("a"), new("1")}, {new("A"), new("2")}}}); err != nil {
		t.Fatal(err)
	}
	tags, err := s.listRoleTags(ctx, c, &ListRoleTagsInput{RoleName: new("r")})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "2" {
		t.Errorf("tags: %+v, %v", tags, err)
	}
}

func TestRolePolicies(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	makeRole(t, s, c, "r")
	for _, err := range []error{
		second(s.putRolePolicy(ctx, c, &PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(read)})),
		second(s.attachRolePolicy(ctx, c, &AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new(basic)})),
		second(s.attachRolePolicy(ctx, c, &AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new(basic)})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.attachRolePolicy(ctx, c, &AttachRolePolicyInput{RoleName: new("r"), PolicyArn: new("arn:aws:iam::aws:policy/None")})
	wantFault(t, err, "NoSuchEntityException", "Policy arn:aws:iam::aws:policy/None does not exist or is not attachable.")
	attached, err := s.listAttachedRolePolicies(ctx, c, &ListAttachedRolePoliciesInput{RoleName: new("r")})
	if err != nil || len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "AWSLambdaBasicExecutionRole" {
		t.Errorf("attached: %+v, %v", attached, err)
	}
	_, err = s.deleteRole(ctx, c, &DeleteRoleInput{RoleName: new("r")})
	wantFault(t, err, "DeleteConflictException", "must detach all policies first")
	if _, err := s.detachRolePolicy(ctx, c, &DetachRolePolicyInput{RoleName: new("r"), PolicyArn: new(basic)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.deleteRole(ctx, c, &DeleteRoleInput{RoleName: new("r")})
	wantFault(t, err, "DeleteConflictException", "must delete policies first")
	if _, err := s.deleteRolePolicy(ctx, c, &DeleteRolePolicyInput{RoleName: new("r"), PolicyName: new("p")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.deleteRole(ctx, c, &DeleteRoleInput{RoleName: new("r")}); err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestManagedPolicyVersions(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	p, err := s.createPolicy(ctx, c, &CreatePolicyInput{PolicyName: new("p"), Path: new("/team/"), PolicyDocument: new(read)})
	if err != nil || *p.Policy.Arn != "arn:aws:iam::000000000000:policy/team/p" {
		t.Fatalf("%+v, %v", p, err)
	}
	arn := p.Policy.Arn
	for range 4 {
		if _, err := s.createPolicyVersion(ctx, c, &CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(read), SetAsDefault: new(true)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.createPolicyVersion(ctx, c, &CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(read)})
	wantFault(t, err, "LimitExceededException", "up to 5 versions")
	_, err = s.deletePolicyVersion(ctx, c, &DeletePolicyVersionInput{PolicyArn: arn, VersionId: new("v5")})
	wantFault(t, err, "DeleteConflictException", "default version")
	if _, err := s.deletePolicyVersion(ctx, c, &DeletePolicyVersionInput{PolicyArn: arn, VersionId: new("v2")}); err != nil {
		t.Fatal(err)
	}
	out, err := s.createPolicyVersion(ctx, c, &CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(read)})
	if err != nil || *out.PolicyVersion.VersionId != "v6" {
		t.Errorf("the number of a deleted version is not used again: %+v, %v", out, err)
	}
	_, err = s.getPolicy(ctx, c, &GetPolicyInput{PolicyArn: new("arn:aws:iam::000000000000:policy/p")})
	wantFault(t, err, "NoSuchEntityException", "Policy arn:aws:iam::000000000000:policy/p was not found.")
	other := c
	other.Account = "111111111111"
	_, err = s.getPolicy(ctx, other, &GetPolicyInput{PolicyArn: arn})
	wantFault(t, err, "NoSuchEntityException", "was not found")
}

func TestAuthorize(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	role := makeRole(t, s, c, "r")
	if _, err := s.putRolePolicy(ctx, c, &PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(read)}); err != nil {
		t.Fatal(err)
	}
	session := cloud.Caller{Account: c.Account, RoleARN: *role.Arn, ARN: "arn:aws:sts::000000000000:assumed-role/r/s"}
	if err := s.Authorize(ctx, session, "s3:GetObject", []string{"arn:aws:s3:::b/k"}); err != nil {
		t.Errorf("allowed: %v", err)
	}
	err := s.Authorize(ctx, session, "s3:PutObject", []string{"arn:aws:s3:::b/k"})
	wantFault(t, err, "AccessDenied", "User: arn:aws:sts::000000000000:assumed-role/r/s is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::b/k because no identity-based policy allows the s3:PutObject action")
	if err := s.Authorize(ctx, cloud.Caller{Account: c.Account}, "s3:GetObject", []string{"arn:aws:s3:::b/k"}); err == nil {
		t.Error("a caller without a role is allowed")
	}
}
