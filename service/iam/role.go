package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/policy"
)

// Quotas that AWS has by default.
const (
	maxInlineBytes = 10240 // of all inline policies of a role together
	maxTrustBytes  = 2048
	maxAttached    = 10
	maxTags        = 50
)

// roleRow is a role as it is stored.
type roleRow struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	ID          string            `json:"id"`
	Created     time.Time         `json:"created"`
	Trust       string            `json:"trust"`
	Description string            `json:"description,omitempty"`
	MaxSeconds  int32             `json:"maxSeconds"`
	Tags        []tagRow          `json:"tags,omitempty"`
	Inline      map[string]string `json:"inline,omitempty"`   // name → document
	Attached    []string          `json:"attached,omitempty"` // ARNs of managed policies
}

type tagRow struct{ Key, Value string }

func noRole(name string) error { return noSuch("The role with name %s cannot be found.", name) }

// readRole returns the role's row, or the fault that there is none.
func readRole(ctx context.Context, r kv.Reader, c cloud.Caller, name *string) (row roleRow, err error) {
	found, err := kv.GetRow(ctx, r, roleKey(c.Account, cloud.Val(name)), &row)
	if err == nil && !found {
		err = noRole(cloud.Val(name))
	}
	return row, err
}

func (s *Service) viewRole(ctx context.Context, c cloud.Caller, name *string) (row roleRow, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) (err error) {
		row, err = readRole(ctx, r, c, name)
		return err
	})
	return row, err
}

// changeRole runs change on the role's row and stores it.
func (s *Service) changeRole(ctx context.Context, c cloud.Caller, name *string, change func(*kv.Tx, *roleRow) error) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		row, err := readRole(ctx, tx, c, name)
		if err != nil {
			return err
		}
		if err := change(tx, &row); err != nil {
			return err
		}
		return kv.PutRow(tx, roleKey(c.Account, row.Name), row)
	})
}

func (row roleRow) describe(c cloud.Caller) *Role {
	role := &Role{
		Path: &row.Path, RoleName: &row.Name, RoleId: &row.ID, Arn: new(roleARN(c, row.Path, row.Name)), CreateDate: &row.Created,
		AssumeRolePolicyDocument: encodeDocument(row.Trust), MaxSessionDuration: &row.MaxSeconds,
	}
	if row.Description != "" {
		role.Description = &row.Description
	}
	return role
}

func (s *Service) createRole(ctx context.Context, c cloud.Caller, in *CreateRoleInput) (*CreateRoleOutput, error) {
	name := cloud.Val(in.RoleName)
	if err := checkName("roleName", name); err != nil {
		return nil, err
	}
	if err := checkPath(cloud.Or(in.Path, "/")); err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != nil {
		return nil, cloud.NotImplemented("A permissions boundary")
	}
	if err := checkDocument(cloud.Val(in.AssumeRolePolicyDocument), policy.Trust, maxTrustBytes); err != nil {
		return nil, err
	}
	row := roleRow{
		Name: name, Path: cloud.Or(in.Path, "/"), ID: newID("AROA"), Created: c.Now.Truncate(time.Second),
		Trust: *in.AssumeRolePolicyDocument, Description: cloud.Val(in.Description), MaxSeconds: cloud.Or(in.MaxSessionDuration, 3600), Tags: storeTags(in.Tags),
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		found, err := kv.GetRow(ctx, tx, roleKey(c.Account, name), &roleRow{})
		if err != nil {
			return err
		}
		if found {
			return cloud.Faultf("EntityAlreadyExistsException", "Role with name %s already exists.", name)
		}
		return kv.PutRow(tx, roleKey(c.Account, name), row)
	})
	role := row.describe(c)
	role.MaxSessionDuration, role.Tags = nil, showTags(row.Tags) // AWS leaves the duration out here
	return &CreateRoleOutput{Role: role}, err
}

func (s *Service) getRole(ctx context.Context, c cloud.Caller, in *GetRoleInput) (*GetRoleOutput, error) {
	row, err := s.viewRole(ctx, c, in.RoleName)
	if err != nil {
		return nil, err
	}
	role := row.describe(c)
	role.RoleLastUsed, role.Tags = &RoleLastUsed{}, showTags(row.Tags)
	return &GetRoleOutput{Role: role}, nil
}

func (s *Service) updateRole(ctx context.Context, c cloud.Caller, in *UpdateRoleInput) (*UpdateRoleOutput, error) {
	return &UpdateRoleOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		row.Description = cloud.Or(in.Description, row.Description)
		row.MaxSeconds = cloud.Or(in.MaxSessionDuration, row.MaxSeconds)
		return nil
	})
}

func (s *Service) updateRoleDescription(ctx context.Context, c cloud.Caller, in *UpdateRoleDescriptionInput) (*UpdateRoleDescriptionOutput, error) {
	out := &UpdateRoleDescriptionOutput{}
	return out, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		row.Description = cloud.Val(in.Description)
		out.Role = row.describe(c)
		return nil
	})
}

func (s *Service) updateAssumeRolePolicy(ctx context.Context, c cloud.Caller, in *UpdateAssumeRolePolicyInput) (*UpdateAssumeRolePolicyOutput, error) {
	if err := checkDocument(cloud.Val(in.PolicyDocument), policy.Trust, maxTrustBytes); err != nil {
		return nil, err
	}
	return &UpdateAssumeRolePolicyOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		row.Trust = *in.PolicyDocument
		return nil
	})
}

func (s *Service) deleteRole(ctx context.Context, c cloud.Caller, in *DeleteRoleInput) (*DeleteRoleOutput, error) {
	return &DeleteRoleOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		row, err := readRole(ctx, tx, c, in.RoleName)
		if err != nil {
			return err
		}
		if len(row.Attached) > 0 {
			return cloud.Faultf("DeleteConflictException", "Cannot delete entity, must detach all policies first.")
		}
		if len(row.Inline) > 0 {
			return cloud.Faultf("DeleteConflictException", "Cannot delete entity, must delete policies first.")
		}
		tx.Delete(roleKey(c.Account, row.Name))
		return nil
	})
}

func (s *Service) listRoles(ctx context.Context, c cloud.Caller, in *ListRolesInput) (*ListRolesOutput, error) {
	var roles []Role
	err := s.kv.View(ctx, func(r kv.Reader) error {
		roles = nil
		rows, err := r.Scan(ctx, kv.Prefix("role", c.Account))
		for _, kvRow := range rows {
			var row roleRow
			if err := kv.DecodeRow(kvRow.Value, &row); err != nil {
				return err
			}
			if strings.HasPrefix(row.Path, cloud.Or(in.PathPrefix, "/")) {
				roles = append(roles, *row.describe(c))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ListRolesOutput{}
	out.Roles, out.IsTruncated, out.Marker, err = page(roles, in.Marker, in.MaxItems)
	return out, err
}

func storeTags(tags []Tag) (rows []tagRow) {
	for _, t := range tags {
		rows = append(rows, tagRow{cloud.Val(t.Key), cloud.Val(t.Value)})
	}
	return rows
}

func showTags(rows []tagRow) (tags []Tag) {
	for _, t := range rows {
		tags = append(tags, Tag{&t.Key, &t.Value})
	}
	return tags
}

func (s *Service) tagRole(ctx context.Context, c cloud.Caller, in *TagRoleInput) (*TagRoleOutput, error) {
	return &TagRoleOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		for _, t := range storeTags(in.Tags) {
			if i := slices.IndexFunc(row.Tags, func(o tagRow) bool { return strings.EqualFold(o.Key, t.Key) }); i >= 0 {
				row.Tags[i] = t
			} else {
				row.Tags = append(row.Tags, t)
			}
		}
		if len(row.Tags) > maxTags {
			return cloud.Faultf("LimitExceededException", "The number of tags has reached the maximum limit.")
		}
		return nil
	})
}

func (s *Service) untagRole(ctx context.Context, c cloud.Caller, in *UntagRoleInput) (*UntagRoleOutput, error) {
	return &UntagRoleOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		row.Tags = slices.DeleteFunc(row.Tags, func(t tagRow) bool {
			return slices.ContainsFunc(in.TagKeys, func(k string) bool { return strings.EqualFold(k, t.Key) })
		})
		return nil
	})
}

func (s *Service) listRoleTags(ctx context.Context, c cloud.Caller, in *ListRoleTagsInput) (*ListRoleTagsOutput, error) {
	row, err := s.viewRole(ctx, c, in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &ListRoleTagsOutput{}
	out.Tags, out.IsTruncated, out.Marker, err = page(showTags(row.Tags), in.Marker, in.MaxItems)
	return out, err
}

// listInstanceProfilesForRole is honest: none can be made, so a role that exists is in none.
func (s *Service) listInstanceProfilesForRole(ctx context.Context, c cloud.Caller, in *ListInstanceProfilesForRoleInput) (*ListInstanceProfilesForRoleOutput, error) {
	_, err := s.viewRole(ctx, c, in.RoleName)
	return &ListInstanceProfilesForRoleOutput{InstanceProfiles: []InstanceProfile{}, IsTruncated: new(false)}, err
}

func (s *Service) putRolePolicy(ctx context.Context, c cloud.Caller, in *PutRolePolicyInput) (*PutRolePolicyOutput, error) {
	if err := checkName("policyName", cloud.Val(in.PolicyName)); err != nil {
		return nil, err
	}
	if err := checkDocument(cloud.Val(in.PolicyDocument), policy.Identity, maxInlineBytes); err != nil {
		return nil, err
	}
	return &PutRolePolicyOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		if row.Inline == nil {
			row.Inline = map[string]string{}
		}
		row.Inline[*in.PolicyName] = *in.PolicyDocument
		size := 0
		for _, d := range row.Inline {
			size += len(d)
		}
		if size > maxInlineBytes {
			return cloud.Faultf("LimitExceededException", "Maximum policy size of %d bytes exceeded for role %s", maxInlineBytes, row.Name)
		}
		return nil
	})
}

func (s *Service) getRolePolicy(ctx context.Context, c cloud.Caller, in *GetRolePolicyInput) (*GetRolePolicyOutput, error) {
	row, err := s.viewRole(ctx, c, in.RoleName)
	if err != nil {
		return nil, err
	}
	document, ok := row.Inline[cloud.Val(in.PolicyName)]
	if !ok {
		return nil, noInline(in.PolicyName)
	}
	return &GetRolePolicyOutput{RoleName: &row.Name, PolicyName: in.PolicyName, PolicyDocument: encodeDocument(document)}, nil
}

func noInline(name *string) error {
	return noSuch("The role policy with name %s cannot be found.", cloud.Val(name))
}

func (s *Service) deleteRolePolicy(ctx context.Context, c cloud.Caller, in *DeleteRolePolicyInput) (*DeleteRolePolicyOutput, error) {
	return &DeleteRolePolicyOutput{}, s.changeRole(ctx, c, in.RoleName, func(_ *kv.Tx, row *roleRow) error {
		if _, ok := row.Inline[cloud.Val(in.PolicyName)]; !ok {
			return noInline(in.PolicyName)
		}
		delete(row.Inline, *in.PolicyName)
		return nil
	})
}

func (s *Service) listRolePolicies(ctx context.Context, c cloud.Caller, in *ListRolePoliciesInput) (*ListRolePoliciesOutput, error) {
	row, err := s.viewRole(ctx, c, in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &ListRolePoliciesOutput{}
	out.PolicyNames, out.IsTruncated, out.Marker, err = page(slices.Sorted(maps.Keys(row.Inline)), in.Marker, in.MaxItems)
	return out, err
}

func (s *Service) attachRolePolicy(ctx context.Context, c cloud.Caller, in *AttachRolePolicyInput) (*AttachRolePolicyOutput, error) {
	arn := cloud.Val(in.PolicyArn)
	return &AttachRolePolicyOutput{}, s.changeRole(ctx, c, in.RoleName, func(tx *kv.Tx, row *roleRow) error {
		if _, _, err := readManaged(ctx, tx, c.Account, arn, ""); cloud.FaultCode(err) == "NoSuchEntityException" {
			return noSuch("Policy %s does not exist or is not attachable.", arn)
		} else if err != nil {
			return err
		}
		if slices.Contains(row.Attached, arn) {
			return nil
		}
		if len(row.Attached) == maxAttached {
			return cloud.Faultf("LimitExceededException", "Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
		}
		row.Attached = append(row.Attached, arn)
		tx.Set(attachedKey(c.Account, arn, row.Name), []byte{})
		return nil
	})
}

func (s *Service) detachRolePolicy(ctx context.Context, c cloud.Caller, in *DetachRolePolicyInput) (*DetachRolePolicyOutput, error) {
	arn := cloud.Val(in.PolicyArn)
	return &DetachRolePolicyOutput{}, s.changeRole(ctx, c, in.RoleName, func(tx *kv.Tx, row *roleRow) error {
		i := slices.Index(row.Attached, arn)
		if i < 0 {
			return noSuch("Policy %s was not found.", arn)
		}
		row.Attached = slices.Delete(row.Attached, i, i+1)
		tx.Delete(attachedKey(c.Account, arn, row.Name))
		return nil
	})
}

func (s *Service) listAttachedRolePolicies(ctx context.Context, c cloud.Caller, in *ListAttachedRolePoliciesInput) (*ListAttachedRolePoliciesOutput, error) {
	row, err := s.viewRole(ctx, c, in.RoleName)
	if err != nil {
		return nil, err
	}
	all := []AttachedPolicy{}
	for _, arn := range row.Attached {
		path, name := splitPolicyARN(arn)
		if strings.HasPrefix(path, cloud.Or(in.PathPrefix, "/")) {
			all = append(all, AttachedPolicy{&name, &arn})
		}
	}
	out := &ListAttachedRolePoliciesOutput{}
	out.AttachedPolicies, out.IsTruncated, out.Marker, err = page(all, in.Marker, in.MaxItems)
	return out, err
}

// RoleTrust returns what assuming a role needs to know of it: its id, its trust policy and its longest
// session in seconds. found is false when no role has that ARN.
func (s *Service) RoleTrust(ctx context.Context, arn string) (id, document string, maxSeconds int32, found bool, err error) {
	a, ok := cloud.ParseARN(arn)
	if !ok || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return "", "", 0, false, nil
	}
	c := cloud.Caller{Account: a.Account}
	row, err := s.viewRole(ctx, c, new(a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]))
	if cloud.FaultCode(err) != "" || err == nil && roleARN(c, row.Path, row.Name) != arn {
		return "", "", 0, false, nil
	}
	return row.ID, row.Trust, row.MaxSeconds, err == nil, err
}
