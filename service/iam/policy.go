package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/policy"
)

// Quotas that AWS has.
const (
	maxManagedBytes = 6144
	maxVersions     = 5
)

// policyRow is a managed policy as it is stored.
type policyRow struct {
	Name        string       `json:"name"`
	Path        string       `json:"path"`
	ID          string       `json:"id"`
	Created     time.Time    `json:"created"`
	Updated     time.Time    `json:"updated"`
	Description string       `json:"description,omitempty"`
	Tags        []tagRow     `json:"tags,omitempty"`
	Default     string       `json:"default"`
	Last        int          `json:"last"` // number of the newest version ever made
	Versions    []versionRow `json:"versions"`
}

type versionRow struct {
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

func (row *policyRow) version(id string) (versionRow, bool) {
	i := slices.IndexFunc(row.Versions, func(v versionRow) bool { return v.ID == id })
	if i < 0 {
		return versionRow{}, false
	}
	return row.Versions[i], true
}

// splitPolicyARN returns the path and the name in a policy's ARN.
func splitPolicyARN(arn string) (path, name string) {
	_, resource, _ := strings.Cut(arn, ":policy")
	i := strings.LastIndexByte(resource, '/')
	return resource[:i+1], resource[i+1:]
}

func noPolicy(arn string) error { return noSuch("Policy %s was not found.", arn) }

// readManaged returns a managed policy, the account's or AWS's, and one version of it: the default when version is "".
func readManaged(ctx context.Context, r kv.Reader, account, arn, version string) (row policyRow, v versionRow, err error) {
	a, ok := cloud.ParseARN(arn)
	if !ok || a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
		return row, v, cloud.Faultf("ValidationError", "ARN %s is not valid.", arn)
	}
	path, name := splitPolicyARN(arn)
	found := false
	if a.Account == "aws" {
		row, found = awsPolicy(path, name)
	} else if a.Account == account {
		found, err = kv.GetRow(ctx, r, policyKey(account, name), &row)
		found = found && row.Path == path
	}
	if err != nil {
		return row, v, err
	}
	if !found {
		return row, v, noPolicy(arn)
	}
	if version == "" {
		version = row.Default
	}
	if v, found = row.version(version); !found {
		return row, v, noSuch("Policy %s version %s does not exist or is not attachable.", arn, version)
	}
	return row, v, nil
}

func (row policyRow) describe(arn string, attached int) *Policy {
	p := &Policy{
		PolicyName: &row.Name, PolicyId: &row.ID, Arn: &arn, Path: &row.Path, DefaultVersionId: &row.Default,
		AttachmentCount: new(int32(attached)), PermissionsBoundaryUsageCount: new(int32(0)), IsAttachable: new(true),
		CreateDate: &row.Created, UpdateDate: &row.Updated,
	}
	if row.Description != "" {
		p.Description = &row.Description
	}
	return p
}

// attachedTo returns the names of the roles that a policy is attached to.
func attachedTo(ctx context.Context, r kv.Reader, account, arn string) (roles []string, err error) {
	rows, err := r.Scan(ctx, kv.Prefix("attached", account, arn))
	for _, row := range rows {
		parts, err := kv.Unkey(row.Key)
		if err != nil {
			return nil, err
		}
		roles = append(roles, parts[len(parts)-1].(string))
	}
	return roles, err
}

func (s *Service) createPolicy(ctx context.Context, c cloud.Caller, in *CreatePolicyInput) (*CreatePolicyOutput, error) {
	name, path := cloud.Val(in.PolicyName), cloud.Or(in.Path, "/")
	if err := checkName("policyName", name); err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := checkDocument(cloud.Val(in.PolicyDocument), policy.Identity, maxManagedBytes); err != nil {
		return nil, err
	}
	now := c.Now.Truncate(time.Second)
	row := policyRow{
		Name: name, Path: path, ID: newID("ANPA"), Created: now, Updated: now, Description: cloud.Val(in.Description), Tags: storeTags(in.Tags),
		Default: "v1", Last: 1, Versions: []versionRow{{"v1", *in.PolicyDocument, now}},
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		found, err := kv.GetRow(ctx, tx, policyKey(c.Account, name), &policyRow{})
		if err != nil {
			return err
		}
		if found {
			return cloud.Faultf("EntityAlreadyExistsException", "A policy called %s already exists. Duplicate names are not allowed.", name)
		}
		return kv.PutRow(tx, policyKey(c.Account, name), row)
	})
	p := row.describe(policyARN(c, path, name), 0)
	p.Description, p.Tags = nil, showTags(row.Tags)
	return &CreatePolicyOutput{Policy: p}, err
}

func (s *Service) getPolicy(ctx context.Context, c cloud.Caller, in *GetPolicyInput) (*GetPolicyOutput, error) {
	arn := cloud.Val(in.PolicyArn)
	out := &GetPolicyOutput{}
	return out, s.kv.View(ctx, func(r kv.Reader) error {
		row, _, err := readManaged(ctx, r, c.Account, arn, "")
		if err != nil {
			return err
		}
		roles, err := attachedTo(ctx, r, c.Account, arn)
		out.Policy = row.describe(arn, len(roles))
		out.Policy.Tags = showTags(row.Tags)
		return err
	})
}

// changePolicy runs change on the row of one of the account's own policies and stores it.
func (s *Service) changePolicy(ctx context.Context, c cloud.Caller, arn string, change func(tx *kv.Tx, row *policyRow) error) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		row, _, err := readManaged(ctx, tx, c.Account, arn, "")
		if err != nil {
			return err
		}
		if strings.HasPrefix(arn, "arn:aws:iam::aws:") {
			return cloud.Faultf("AccessDeniedException", "Policy %s is managed by AWS and cannot be changed.", arn).WithStatus(403)
		}
		if err := change(tx, &row); err != nil {
			return err
		}
		return kv.PutRow(tx, policyKey(c.Account, row.Name), row)
	})
}

func (s *Service) deletePolicy(ctx context.Context, c cloud.Caller, in *DeletePolicyInput) (*DeletePolicyOutput, error) {
	arn := cloud.Val(in.PolicyArn)
	return &DeletePolicyOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		row, _, err := readManaged(ctx, tx, c.Account, arn, "")
		if err != nil {
			return err
		}
		roles, err := attachedTo(ctx, tx, c.Account, arn)
		if err != nil {
			return err
		}
		if len(roles) > 0 {
			return cloud.Faultf("DeleteConflictException", "Cannot delete a policy attached to entities.")
		}
		if len(row.Versions) > 1 {
			return cloud.Faultf("DeleteConflictException", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		tx.Delete(policyKey(c.Account, row.Name))
		return nil
	})
}

func (s *Service) listPolicies(ctx context.Context, c cloud.Caller, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
	if cloud.Val(in.PolicyUsageFilter) == "PermissionsBoundary" {
		return nil, cloud.NotImplemented("A permissions boundary")
	}
	var all []Policy
	err := s.kv.View(ctx, func(r kv.Reader) error {
		all = nil
		add := func(row policyRow, arn string) error {
			roles, err := attachedTo(ctx, r, c.Account, arn)
			if err == nil && strings.HasPrefix(row.Path, cloud.Or(in.PathPrefix, "/")) && (len(roles) > 0 || !cloud.Val(in.OnlyAttached)) {
				p := row.describe(arn, len(roles))
				p.Description = nil
				all = append(all, *p)
			}
			return err
		}
		if scope := cloud.Or(in.Scope, "All"); scope != "AWS" {
			rows, err := r.Scan(ctx, kv.Prefix("policy", c.Account))
			if err != nil {
				return err
			}
			for _, kvRow := range rows {
				var row policyRow
				if err := kv.DecodeRow(kvRow.Value, &row); err != nil {
					return err
				}
				if err := add(row, policyARN(c, row.Path, row.Name)); err != nil {
					return err
				}
			}
		}
		if cloud.Or(in.Scope, "All") == "Local" {
			return nil
		}
		for _, m := range awsPolicies {
			row, _ := awsPolicy(m.path, m.name)
			if err := add(row, "arn:aws:iam::aws:policy"+m.path+m.name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &ListPoliciesOutput{}
	out.Policies, out.IsTruncated, out.Marker, err = page(all, in.Marker, in.MaxItems)
	return out, err
}

func (s *Service) createPolicyVersion(ctx context.Context, c cloud.Caller, in *CreatePolicyVersionInput) (*CreatePolicyVersionOutput, error) {
	if err := checkDocument(cloud.Val(in.PolicyDocument), policy.Identity, maxManagedBytes); err != nil {
		return nil, err
	}
	out := &CreatePolicyVersionOutput{}
	return out, s.changePolicy(ctx, c, cloud.Val(in.PolicyArn), func(_ *kv.Tx, row *policyRow) error {
		if len(row.Versions) == maxVersions {
			return cloud.Faultf("LimitExceededException", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		row.Last++
		v := versionRow{fmt.Sprint("v", row.Last), *in.PolicyDocument, c.Now.Truncate(time.Second)}
		row.Versions = append(row.Versions, v)
		row.Updated = v.Created
		if cloud.Val(in.SetAsDefault) {
			row.Default = v.ID
		}
		out.PolicyVersion = row.show(v, false)
		return nil
	})
}

func (row *policyRow) show(v versionRow, document bool) *PolicyVersion {
	p := &PolicyVersion{VersionId: &v.ID, IsDefaultVersion: new(v.ID == row.Default), CreateDate: &v.Created}
	if document {
		p.Document = encodeDocument(v.Document)
	}
	return p
}

func (s *Service) getPolicyVersion(ctx context.Context, c cloud.Caller, in *GetPolicyVersionInput) (*GetPolicyVersionOutput, error) {
	out := &GetPolicyVersionOutput{}
	return out, s.kv.View(ctx, func(r kv.Reader) error {
		row, v, err := readManaged(ctx, r, c.Account, cloud.Val(in.PolicyArn), cloud.Val(in.VersionId))
		out.PolicyVersion = row.show(v, true)
		return err
	})
}

func (s *Service) deletePolicyVersion(ctx context.Context, c cloud.Caller, in *DeletePolicyVersionInput) (*DeletePolicyVersionOutput, error) {
	id := cloud.Val(in.VersionId)
	return &DeletePolicyVersionOutput{}, s.changePolicy(ctx, c, cloud.Val(in.PolicyArn), func(_ *kv.Tx, row *policyRow) error {
		if id == row.Default {
			return cloud.Faultf("DeleteConflictException", "Cannot delete the default version of a policy.")
		}
		n := len(row.Versions)
		row.Versions = slices.DeleteFunc(row.Versions, func(v versionRow) bool { return v.ID == id })
		if len(row.Versions) == n {
			return noSuch("Policy %s version %s does not exist or is not attachable.", *in.PolicyArn, id)
		}
		return nil
	})
}

func (s *Service) setDefaultPolicyVersion(ctx context.Context, c cloud.Caller, in *SetDefaultPolicyVersionInput) (*SetDefaultPolicyVersionOutput, error) {
	id := cloud.Val(in.VersionId)
	return &SetDefaultPolicyVersionOutput{}, s.changePolicy(ctx, c, cloud.Val(in.PolicyArn), func(_ *kv.Tx, row *policyRow) error {
		if _, ok := row.version(id); !ok {
			return noSuch("Policy %s version %s does not exist or is not attachable.", *in.PolicyArn, id)
		}
		row.Default, row.Updated = id, c.Now.Truncate(time.Second)
		return nil
	})
}

func (s *Service) listPolicyVersions(ctx context.Context, c cloud.Caller, in *ListPolicyVersionsInput) (*ListPolicyVersionsOutput, error) {
	var all []PolicyVersion
	err := s.kv.View(ctx, func(r kv.Reader) error {
		row, _, err := readManaged(ctx, r, c.Account, cloud.Val(in.PolicyArn), "")
		all = nil
		for _, v := range slices.Backward(row.Versions) {
			all = append(all, *row.show(v, false))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ListPolicyVersionsOutput{}
	out.Versions, out.IsTruncated, out.Marker, err = page(all, in.Marker, in.MaxItems)
	return out, err
}

func (s *Service) listEntitiesForPolicy(ctx context.Context, c cloud.Caller, in *ListEntitiesForPolicyInput) (*ListEntitiesForPolicyOutput, error) {
	arn := cloud.Val(in.PolicyArn)
	var all []PolicyRole
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, _, err := readManaged(ctx, r, c.Account, arn, ""); err != nil {
			return err
		}
		names, err := attachedTo(ctx, r, c.Account, arn)
		if err != nil {
			return err
		}
		all = nil
		for _, name := range names {
			row, err := readRole(ctx, r, c, &name)
			if err != nil {
				return err
			}
			if f := cloud.Or(in.EntityFilter, "Role"); f == "Role" && strings.HasPrefix(row.Path, cloud.Or(in.PathPrefix, "/")) {
				all = append(all, PolicyRole{RoleName: &row.Name, RoleId: &row.ID})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &ListEntitiesForPolicyOutput{PolicyGroups: []PolicyGroup{}, PolicyUsers: []PolicyUser{}}
	out.PolicyRoles, out.IsTruncated, out.Marker, err = page(all, in.Marker, in.MaxItems)
	return out, err
}
