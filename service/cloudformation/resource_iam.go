package cloudformation

import (
	"slices"
)

func iamTypes() []*resourceType { return []*resourceType{iamRole(), iamPolicy(), iamManagedPolicy()} }

func iamRole() *resourceType {
	return &resourceType{
		Name: "AWS::IAM::Role", Service: "iam", IAM: true, NameLength: 64,
		Schema: `RoleName@name AssumeRolePolicyDocument!:json Path@new Description MaxSessionDuration:int PermissionsBoundary
			ManagedPolicyArns:[string] Policies:[{PolicyName! PolicyDocument!:json}] Tags:[{Key! Value!}]`,
		Attributes: []string{"Arn", "RoleId"},
		Before: absent(func(w *work) error {
			_, err := w.call("GetRole", map[string]any{"RoleName": w.Name})
			return err
		}),
		Create: func(w *work) error {
			in := w.in("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
			in["RoleName"] = w.Name
			in["AssumeRolePolicyDocument"] = w.document(w.Props["AssumeRolePolicyDocument"])
			if tags := tagList(w.Props["Tags"]); len(tags) > 0 {
				in["Tags"] = tags
			}
			if _, err := w.make("CreateRole", in); err != nil {
				return err
			}
			w.ID = w.Name
			out, err := w.call("GetRole", map[string]any{"RoleName": w.ID})
			if err != nil {
				return err
			}
			w.Attributes["Arn"], w.Attributes["RoleId"] = str(out, "Role", "Arn"), str(out, "Role", "RoleId")
			return w.rolePolicies()
		},
		Update: updateRole,
		Delete: func(w *work) error {
			w.Old, w.Props = w.Props, map[string]any{}
			if err := w.rolePolicies(); err != nil {
				return err
			}
			_, err := w.call("DeleteRole", map[string]any{"RoleName": w.ID})
			return err
		},
	}
}

func updateRole(w *work) error {
	role := map[string]any{"RoleName": w.ID}
	if w.changed("AssumeRolePolicyDocument") {
		if _, err := w.call("UpdateAssumeRolePolicy", map[string]any{"RoleName": w.ID,
			"PolicyDocument": w.document(w.Props["AssumeRolePolicyDocument"])}); err != nil {
			return err
		}
	}
	if w.changed("Description", "MaxSessionDuration") {
		in := map[string]any{"RoleName": w.ID, "Description": w.text("Description"), "MaxSessionDuration": number("3600")}
		if v := w.Props["MaxSessionDuration"]; v != nil {
			in["MaxSessionDuration"] = v
		}
		if _, err := w.call("UpdateRole", in); err != nil {
			return err
		}
	}
	if w.sets("PermissionsBoundary") {
		operation := "PutRolePermissionsBoundary"
		in := w.in("PermissionsBoundary")
		if len(in) == 0 {
			operation = "DeleteRolePermissionsBoundary"
		}
		in["RoleName"] = w.ID
		if _, err := w.call(operation, in); err != nil {
			return err
		}
	}
	if err := w.rolePolicies(); err != nil {
		return err
	}
	set, remove := w.tagChanges()
	if len(set) > 0 {
		if _, err := w.call("TagRole", map[string]any{"RoleName": w.ID, "Tags": tagList(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		role["TagKeys"] = remove
		if _, err := w.call("UntagRole", role); err != nil {
			return err
		}
	}
	return nil
}

// rolePolicies puts the policies that the role should have and removes those that it had.
func (w *work) rolePolicies() error {
	kept := []string{}
	for _, p := range items(w.Props, "Policies") {
		kept = append(kept, str(p, "PolicyName"))
		if _, err := w.call("PutRolePolicy", map[string]any{"RoleName": w.ID, "PolicyName": str(p, "PolicyName"),
			"PolicyDocument": w.document(at(p, "PolicyDocument"))}); err != nil {
			return err
		}
	}
	for _, p := range items(w.Old, "Policies") {
		if slices.Contains(kept, str(p, "PolicyName")) {
			continue
		}
		if _, err := w.call("DeleteRolePolicy", map[string]any{"RoleName": w.ID, "PolicyName": str(p, "PolicyName")}); gone(err) != nil {
			return err
		}
	}
	return w.attach(w.ID, items(w.Props, "ManagedPolicyArns"), items(w.Old, "ManagedPolicyArns"))
}

func (w *work) attach(role string, arns, were []any) error {
	for _, arn := range arns {
		if _, err := w.call("AttachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}); err != nil {
			return err
		}
	}
	for _, arn := range were {
		if slices.Contains(arns, arn) {
			continue
		}
		if _, err := w.call("DetachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}); gone(err) != nil {
			return err
		}
	}
	return nil
}

// inlineHolder says how a policy is put into one kind of identity.
type inlineHolder struct{ property, member, put, drop, attach, detach string }

func inlineHolders() []inlineHolder {
	return []inlineHolder{
		{"Roles", "RoleName", "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy"},
		{"Users", "UserName", "PutUserPolicy", "DeleteUserPolicy", "AttachUserPolicy", "DetachUserPolicy"},
		{"Groups", "GroupName", "PutGroupPolicy", "DeleteGroupPolicy", "AttachGroupPolicy", "DetachGroupPolicy"},
	}
}

func iamPolicy() *resourceType {
	put := func(w *work) error {
		w.ID = w.Name
		w.Attributes["Id"] = w.ID
		renamed := w.Old != nil && w.text("PolicyName") != str(w.Old, "PolicyName")
		for _, h := range inlineHolders() {
			now := items(w.Props, h.property)
			for _, name := range now {
				if _, err := w.call(h.put, map[string]any{h.member: name, "PolicyName": w.text("PolicyName"),
					"PolicyDocument": w.document(w.Props["PolicyDocument"])}); err != nil {
					return err
				}
			}
			for _, name := range items(w.Old, h.property) {
				if slices.Contains(now, name) && !renamed {
					continue
				}
				if _, err := w.call(h.drop, map[string]any{h.member: name, "PolicyName": str(w.Old, "PolicyName")}); gone(err) != nil {
					return err
				}
			}
		}
		return nil
	}
	return &resourceType{
		Name: "AWS::IAM::Policy", Service: "iam", IAM: true, NameLength: 128,
		Schema:     `PolicyName! PolicyDocument!:json Roles:[string] Users:[string] Groups:[string]`,
		Attributes: []string{"Id"},
		Create:     put,
		Update:     put,
		Delete: func(w *work) error {
			w.Old, w.Props = w.Props, map[string]any{}
			return put(w)
		},
	}
}

func iamManagedPolicy() *resourceType {
	attach := func(w *work) error {
		for _, h := range inlineHolders() {
			now, were := items(w.Props, h.property), items(w.Old, h.property)
			for _, name := range now {
				if slices.Contains(were, name) {
					continue
				}
				if _, err := w.call(h.attach, map[string]any{h.member: name, "PolicyArn": w.ID}); err != nil {
					return err
				}
			}
			for _, name := range were {
				if slices.Contains(now, name) {
					continue
				}
				if _, err := w.call(h.detach, map[string]any{h.member: name, "PolicyArn": w.ID}); gone(err) != nil {
					return err
				}
			}
		}
		return nil
	}
	return &resourceType{
		Name: "AWS::IAM::ManagedPolicy", Service: "iam", IAM: true, NameLength: 128,
		Schema: `ManagedPolicyName@name Path@new Description@new PolicyDocument!:json Roles:[string] Users:[string] Groups:[string]`,
		Attributes: []string{"PolicyArn", "PolicyId", "AttachmentCount", "CreateDate", "DefaultVersionId", "IsAttachable",
			"PermissionsBoundaryUsageCount", "UpdateDate"},
		ID: func(w *work) string {
			path := w.text("Path")
			if path == "" {
				path = "/"
			}
			return "arn:aws:iam::" + w.Account + ":policy" + path + w.Name
		},
		Before: absent(func(w *work) error {
			_, err := w.call("GetPolicy", map[string]any{"PolicyArn": w.Type.ID(w)})
			return err
		}),
		Create: func(w *work) error {
			in := w.in("Path", "Description")
			in["PolicyName"], in["PolicyDocument"] = w.Name, w.document(w.Props["PolicyDocument"])
			if _, err := w.make("CreatePolicy", in); err != nil {
				return err
			}
			w.ID = w.Type.ID(w)
			if err := attach(w); err != nil {
				return err
			}
			return w.describePolicy()
		},
		Update: func(w *work) error {
			if w.changed("PolicyDocument") {
				if err := w.newPolicyVersion(); err != nil {
					return err
				}
			}
			if err := attach(w); err != nil {
				return err
			}
			return w.describePolicy()
		},
		Delete: func(w *work) error {
			w.Old, w.Props = w.Props, map[string]any{}
			if err := attach(w); err != nil {
				return err
			}
			if err := w.dropPolicyVersions(0); err != nil {
				return err
			}
			_, err := w.call("DeletePolicy", map[string]any{"PolicyArn": w.ID})
			return err
		},
	}
}

// describePolicy notes what Fn::GetAtt gives of a managed policy.
func (w *work) describePolicy() error {
	out, err := w.call("GetPolicy", map[string]any{"PolicyArn": w.ID})
	w.Attributes["PolicyArn"] = w.ID
	for _, a := range w.Type.Attributes[1:] {
		w.Attributes[a] = str(out, "Policy", a)
	}
	return err
}

// newPolicyVersion makes the document the policy's default version. A policy has at most five: the older
// ones make room.
func (w *work) newPolicyVersion() error {
	if err := w.dropPolicyVersions(3); err != nil {
		return err
	}
	_, err := w.call("CreatePolicyVersion", map[string]any{"PolicyArn": w.ID,
		"PolicyDocument": w.document(w.Props["PolicyDocument"]), "SetAsDefault": true})
	return err
}

// dropPolicyVersions deletes versions that are not the default, until most are left beside it.
func (w *work) dropPolicyVersions(most int) error {
	out, err := w.call("ListPolicyVersions", map[string]any{"PolicyArn": w.ID})
	if err != nil {
		return err
	}
	var others []string
	for _, v := range items(out, "Versions") {
		if at(v, "IsDefaultVersion") != true {
			others = append(others, str(v, "VersionId"))
		}
	}
	for len(others) > most {
		oldest := others[len(others)-1] // the list has the newest first
		others = others[:len(others)-1]
		if _, err := w.call("DeletePolicyVersion", map[string]any{"PolicyArn": w.ID, "VersionId": oldest}); gone(err) != nil {
			return err
		}
	}
	return nil
}
