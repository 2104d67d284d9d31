package cloudformation

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// A stackPolicy says which resources an update may change. No policy allows everything; a policy denies
// what it does not allow.
type stackPolicy struct {
	Statement []policyStatement
	given     bool
}

type policyStatement struct {
	Effect                string
	Action, NotAction     stringList
	Principal             any
	Resource, NotResource stringList
	Condition             map[string]map[string]stringList
}

// stringList is a string or a list of strings.
type stringList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *stringList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = stringList{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// parsePolicy reads a policy that was checked when it was set; "" is none.
func parsePolicy(text string) stackPolicy {
	var p stackPolicy
	if text == "" || json.Unmarshal([]byte(text), &p) != nil {
		return stackPolicy{}
	}
	p.given = len(p.Statement) > 0 // {} takes a policy away
	return p
}

// checkPolicy refuses a policy that could not be enforced.
func checkPolicy(text string) error {
	var p stackPolicy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return invalid("Error validating stack policy: Invalid stack policy")
	}
	for _, s := range p.Statement {
		actions := append(slices.Clone(s.Action), s.NotAction...)
		known := !slices.ContainsFunc(actions, func(a string) bool { return !strings.HasPrefix(a, "Update:") })
		if s.Effect != "Allow" && s.Effect != "Deny" || s.Principal != "*" || len(actions) == 0 || !known ||
			len(s.Resource)+len(s.NotResource) == 0 {
			return invalid("Error validating stack policy: Invalid stack policy")
		}
		for operator := range s.Condition {
			if operator != "StringEquals" && operator != "StringLike" {
				return invalid("Error validating stack policy: Invalid stack policy")
			}
		}
	}
	return nil
}

// denies says why the policy refuses an action on a resource, "" when it does not.
func (p stackPolicy) denies(action, id, resourceType string) string {
	if !p.given {
		return ""
	}
	allowed := false
	for i, s := range p.Statement {
		if !s.covers(action, id, resourceType) {
			continue
		}
		if s.Effect == "Deny" {
			return fmt.Sprintf("Action denied by stack policy: Statement [#%d] does not allow [%s] for resource [%s]", i+1, action, id)
		}
		allowed = true
	}
	if !allowed {
		return fmt.Sprintf("Action not allowed by stack policy: No statement allows [%s] for resource [%s]", action, id)
	}
	return ""
}

func (s policyStatement) covers(action, id, resourceType string) bool {
	like := func(patterns []string, v string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, v) })
	}
	if s.Action != nil && !like(s.Action, action) || s.NotAction != nil && like(s.NotAction, action) {
		return false
	}
	name := "LogicalResourceId/" + id
	if s.Resource != nil && !like(s.Resource, name) || s.NotResource != nil && like(s.NotResource, name) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			if key != "ResourceType" || operator == "StringEquals" && !slices.Contains(values, resourceType) ||
				operator == "StringLike" && !like(values, resourceType) {
				return false
			}
		}
	}
	return true
}

// wildcard matches * and ? in a pattern; nothing else is special.
func wildcard(pattern, v string) bool {
	quoted := strings.NewReplacer(`\`, `\\`, `[`, `\[`, "/", "\x00").Replace(pattern)
	ok, err := path.Match(quoted, strings.ReplaceAll(v, "/", "\x00"))
	return err == nil && ok
}

// setStackPolicy answers SetStackPolicy.
func (s *Service) setStackPolicy(ctx context.Context, c cloud.Caller, in *SetStackPolicyInput) (*SetStackPolicyOutput, error) {
	text, err := s.policyText(ctx, c, in.StackPolicyBody, in.StackPolicyURL, "StackPolicyURL and StackPolicyBody", "StackPolicyURL")
	if err != nil {
		return nil, err
	}
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		stack, err := s.stack(ctx, tx, c, *in.StackName)
		if err != nil {
			return err
		}
		return changeSettings(ctx, tx, stack, func(r *settingsRow) { r.Policy = text })
	})
	return &SetStackPolicyOutput{}, err
}

// policyText returns the policy that a request carries or points to, checked; "" when it does neither.
func (s *Service) policyText(ctx context.Context, c cloud.Caller, body, location *string, both, parameter string) (string, error) {
	if body != nil && location != nil {
		return "", invalid("You cannot specify both %s", both)
	}
	text := cloud.Val(body)
	if location != nil {
		b, err := s.fetch(ctx, c, *location, parameter, 16<<10)
		if err != nil {
			return "", err
		}
		text = string(b)
	}
	if text == "" {
		return "", nil
	}
	return text, checkPolicy(text)
}

// getStackPolicy answers GetStackPolicy.
func (s *Service) getStackPolicy(ctx context.Context, c cloud.Caller, in *GetStackPolicyInput) (*GetStackPolicyOutput, error) {
	out := &GetStackPolicyOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return err
		}
		row, err := settings(ctx, r, stack)
		out.StackPolicyBody = nil
		if row.Policy != "" {
			out.StackPolicyBody = &row.Policy
		}
		return err
	})
	return out, err
}

// settings reads what may change while an operation runs.
func settings(ctx context.Context, r kv.Reader, stack *stackRow) (settingsRow, error) {
	var row settingsRow
	_, err := getRow(ctx, r, settingsKey(stack.Account, stack.Region, stack.ID), &row)
	return row, err
}

func changeSettings(ctx context.Context, tx *kv.Tx, stack *stackRow, change func(*settingsRow)) error {
	row, err := settings(ctx, tx, stack)
	if err != nil {
		return err
	}
	change(&row)
	return putRow(tx, settingsKey(stack.Account, stack.Region, stack.ID), row)
}
