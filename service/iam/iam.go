// Package iam is Identity and Access Management: roles, the policies in them and the managed policies
// attached to them. IAM has no regions: its rows stand under the account alone.
//
// What policies decide is asked by the gateway through Authorize. Users, groups, instance profiles and
// access keys of users are not implemented; the account's root key is the only long-lived one.
package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/policy"
	"lambent/service"
)

// Service answers the operations of IAM.
type Service struct {
	kv *kv.Store
}

// New returns the service with its rows in store.
func New(store *kv.Store) *Service { return &Service{kv: store} }

// Service lists the operations.
func (s *Service) Service() service.Service {
	role := func(c cloud.Caller, name *string) []string { return []string{roleARN(c, "/", cloud.Val(name))} }
	arn := func(p *string) []string { return []string{cloud.Val(p)} }
	return service.Service{API: apiModel(), Operations: []service.Operation{
		service.On(service.Op("CreateRole", s.createRole), func(c cloud.Caller, in *CreateRoleInput) []string {
			return []string{roleARN(c, cloud.Or(in.Path, "/"), cloud.Val(in.RoleName))}
		}),
		service.On(service.Op("GetRole", s.getRole), func(c cloud.Caller, in *GetRoleInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("UpdateRole", s.updateRole), func(c cloud.Caller, in *UpdateRoleInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("UpdateRoleDescription", s.updateRoleDescription), func(c cloud.Caller, in *UpdateRoleDescriptionInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("UpdateAssumeRolePolicy", s.updateAssumeRolePolicy), func(c cloud.Caller, in *UpdateAssumeRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("DeleteRole", s.deleteRole), func(c cloud.Caller, in *DeleteRoleInput) []string { return role(c, in.RoleName) }),
		service.Op("ListRoles", s.listRoles),
		service.On(service.Op("TagRole", s.tagRole), func(c cloud.Caller, in *TagRoleInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("UntagRole", s.untagRole), func(c cloud.Caller, in *UntagRoleInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("ListRoleTags", s.listRoleTags), func(c cloud.Caller, in *ListRoleTagsInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("ListInstanceProfilesForRole", s.listInstanceProfilesForRole), func(c cloud.Caller, in *ListInstanceProfilesForRoleInput) []string { return role(c, in.RoleName) }),

		service.On(service.Op("PutRolePolicy", s.putRolePolicy), func(c cloud.Caller, in *PutRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("GetRolePolicy", s.getRolePolicy), func(c cloud.Caller, in *GetRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("DeleteRolePolicy", s.deleteRolePolicy), func(c cloud.Caller, in *DeleteRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("ListRolePolicies", s.listRolePolicies), func(c cloud.Caller, in *ListRolePoliciesInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("AttachRolePolicy", s.attachRolePolicy), func(c cloud.Caller, in *AttachRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("DetachRolePolicy", s.detachRolePolicy), func(c cloud.Caller, in *DetachRolePolicyInput) []string { return role(c, in.RoleName) }),
		service.On(service.Op("ListAttachedRolePolicies", s.listAttachedRolePolicies), func(c cloud.Caller, in *ListAttachedRolePoliciesInput) []string { return role(c, in.RoleName) }),

		service.On(service.Op("CreatePolicy", s.createPolicy), func(c cloud.Caller, in *CreatePolicyInput) []string {
			return []string{policyARN(c, cloud.Or(in.Path, "/"), cloud.Val(in.PolicyName))}
		}),
		service.On(service.Op("GetPolicy", s.getPolicy), func(_ cloud.Caller, in *GetPolicyInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("DeletePolicy", s.deletePolicy), func(_ cloud.Caller, in *DeletePolicyInput) []string { return arn(in.PolicyArn) }),
		service.Op("ListPolicies", s.listPolicies),
		service.On(service.Op("CreatePolicyVersion", s.createPolicyVersion), func(_ cloud.Caller, in *CreatePolicyVersionInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("GetPolicyVersion", s.getPolicyVersion), func(_ cloud.Caller, in *GetPolicyVersionInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("DeletePolicyVersion", s.deletePolicyVersion), func(_ cloud.Caller, in *DeletePolicyVersionInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("SetDefaultPolicyVersion", s.setDefaultPolicyVersion), func(_ cloud.Caller, in *SetDefaultPolicyVersionInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("ListPolicyVersions", s.listPolicyVersions), func(_ cloud.Caller, in *ListPolicyVersionsInput) []string { return arn(in.PolicyArn) }),
		service.On(service.Op("ListEntitiesForPolicy", s.listEntitiesForPolicy), func(_ cloud.Caller, in *ListEntitiesForPolicyInput) []string { return arn(in.PolicyArn) }),
	}}
}

// The keys of this room, as tuples:
//
//	role    account name              roleRow, with its inline policies
//	policy  account name              policyRow, with its versions
//	attached account policy-arn role  empty; the role's row lists the same

func roleKey(account, name string) []byte   { return kv.Key("role", account, strings.ToLower(name)) }
func policyKey(account, name string) []byte { return kv.Key("policy", account, strings.ToLower(name)) }
func attachedKey(account, policyARN, role string) []byte {
	return kv.Key("attached", account, policyARN, strings.ToLower(role))
}

func roleARN(c cloud.Caller, path, name string) string {
	return "arn:aws:iam::" + c.Account + ":role" + path + name
}

func policyARN(c cloud.Caller, path, name string) string {
	return "arn:aws:iam::" + c.Account + ":policy" + path + name
}

// newID makes a unique id with the prefix that says what it is of: AROA for roles, ANPA for policies.
func newID(prefix string) string {
	var b [11]byte
	rand.Read(b[:])
	return prefix + base32.StdEncoding.EncodeToString(b[:])[:17]
}

var (
	nameForm = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathForm = regexp.MustCompile(`^(/|/[!-~]+/)$`)
)

func checkName(member, name string) error {
	if !nameForm.MatchString(name) {
		return cloud.Faultf("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
	}
	return nil
}

func checkPath(path string) error {
	if !pathForm.MatchString(path) {
		return cloud.Faultf("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return nil
}

func noSuch(format string, args ...any) error {
	return cloud.Faultf("NoSuchEntityException", format, args...)
}

// checkDocument holds a document against the grammar and a size, white space not counted.
func checkDocument(document string, kind policy.Kind, limit int) error {
	if n := len(document) - strings.Count(document, " ") - strings.Count(document, "\n") - strings.Count(document, "\t") - strings.Count(document, "\r"); n > limit {
		return cloud.Faultf("LimitExceededException", "Cannot exceed quota for PolicySize: %d", limit)
	}
	if _, err := policy.Parse(document, kind); err != nil {
		return cloud.Faultf("MalformedPolicyDocumentException", "%s", err)
	}
	return nil
}

// encodeDocument writes a document as IAM shows it: percent-encoded by RFC 3986.
func encodeDocument(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// page cuts one page out of all; a marker is the index of the page's first item.
func page[T any](all []T, marker *string, maxItems *int32) (items []T, truncated *bool, next *string, err error) {
	from := 0
	if marker != nil {
		if from, err = strconv.Atoi(*marker); err != nil || from < 0 || from > len(all) {
			return nil, nil, nil, cloud.Faultf("ValidationError", "Invalid Marker.")
		}
	}
	to := min(len(all), from+int(cloud.Or(maxItems, 100)))
	if to < len(all) {
		next = new(strconv.Itoa(to))
	}
	return append([]T{}, all[from:to]...), new(next != nil), next, nil
}

// Authorize decides by the policies of the caller's role whether it may do action on every one of the
// resources, and answers AccessDenied in AWS's words when it may not. Root callers are not asked about.
func (s *Service) Authorize(ctx context.Context, c cloud.Caller, action string, resources []string) error {
	policies, err := s.policiesOf(ctx, c)
	if err != nil {
		return err
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	known := map[string][]string{
		"aws:principalarn": {c.ARN}, "aws:principalaccount": {c.Account}, "aws:userid": {c.UserID},
		"aws:sourceip": {c.SourceIP}, "aws:requestedregion": {c.Region}, "aws:securetransport": {strconv.FormatBool(c.Secure)},
	}
	for _, r := range resources {
		switch policy.Evaluate(policy.Request{Action: action, Resource: r, Context: known}, policies...) {
		case policy.None:
			return denied(c, action, r, "because no identity-based policy allows the "+action+" action")
		case policy.Deny:
			return denied(c, action, r, "with an explicit deny in an identity-based policy")
		}
	}
	return nil
}

func denied(c cloud.Caller, action, resource, why string) error {
	return cloud.Faultf("AccessDenied", "User: %s is not authorized to perform: %s on resource: %s %s", c.ARN, action, resource, why).WithStatus(403)
}

// policiesOf returns the caller's inline and attached policies, parsed.
func (s *Service) policiesOf(ctx context.Context, c cloud.Caller) (ps []*policy.Policy, err error) {
	a, ok := cloud.ParseARN(c.RoleARN)
	if !ok {
		return nil, nil
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	err = s.kv.View(ctx, func(r kv.Reader) error {
		var row roleRow
		found, err := kv.GetRow(ctx, r, roleKey(a.Account, name), &row)
		if err != nil || !found {
			return err
		}
		ps = nil
		documents := make([]string, 0, len(row.Inline)+len(row.Attached))
		for _, d := range row.Inline {
			documents = append(documents, d)
		}
		for _, arn := range row.Attached {
			_, d, err := readManaged(ctx, r, a.Account, arn, "")
			if err != nil {
				return err
			}
			documents = append(documents, d.Document)
		}
		for _, d := range documents {
			p, err := policy.Parse(d, policy.Identity)
			if err != nil {
				return err
			}
			ps = append(ps, p)
		}
		return nil
	})
	return ps, err
}
