// Package policy is the language of IAM: documents that allow or deny actions on resources, and the
// decision that a set of them comes to.
//
// Parse takes the whole grammar of statements. Evaluation knows the condition operators listed in
// condition.go; a condition with any other operator, or with a key whose value is not known, is taken the
// safe way: an Allow does not apply, a Deny does.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// MaxSize bounds a document's bytes before it is parsed. The largest that AWS takes anywhere is 20,480
// characters, white space left out.
const MaxSize = 128 << 10

// Kind says where a document stands, which decides the elements that it must and must not have.
type Kind int

// The kinds of documents.
const (
	Identity Kind = iota // attached to a user, group or role: Resource, no Principal
	Trust                // of a role: Principal, no Resource
	Resource             // of a bucket, function, queue …: Principal and Resource
)

// A Policy is a parsed document.
type Policy struct {
	Version    string
	ID         string
	Statements []Statement
}

// A Statement is one rule of a policy.
type Statement struct {
	Sid        string
	Deny       bool
	Principals []Principal // of Principal or NotPrincipal
	Actions    []string    // of Action or NotAction, patterns
	Resources  []string    // of Resource or NotResource, patterns
	Conditions []Condition

	NotPrincipal, NotAction, NotResource bool // the list says what is left out
}

// A Principal is who a statement is about: Type is "AWS", "Service", "Federated", "CanonicalUser", or "*"
// for everyone.
type Principal struct{ Type, Value string }

// A Condition must hold for its statement to apply: Key compared by Operator with one of Values.
type Condition struct {
	Operator, Key string
	Values        []string
}

// malformed says what is wrong with a document, in AWS's words.
type malformed string

func (m malformed) Error() string { return string(m) }

// Parse reads a document. Its errors say what is wrong in words that AWS's own messages use.
func Parse(document string, kind Kind) (*Policy, error) {
	if len(document) > MaxSize {
		return nil, malformed("Policy document is too large.")
	}
	var raw struct {
		Version   *string
		ID        *string `json:"Id"`
		Statement json.RawMessage
	}
	d := json.NewDecoder(strings.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return nil, syntaxError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("Syntax errors in policy.")
	}
	p := &Policy{Version: "2008-10-17"}
	if raw.Version != nil {
		p.Version = *raw.Version
	}
	if raw.ID != nil {
		p.ID = *raw.ID
	}
	if p.Version != "2008-10-17" && p.Version != "2012-10-17" {
		return nil, malformed("The policy must contain a valid version string")
	}
	statements, err := oneOrMore(raw.Statement)
	if err != nil {
		return nil, err
	}
	sids := map[string]bool{}
	for _, s := range statements {
		st, err := parseStatement(s, kind)
		if err != nil {
			return nil, err
		}
		if st.Sid != "" && sids[st.Sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[st.Sid] = true
		p.Statements = append(p.Statements, st)
	}
	return p, nil
}

// syntaxError words what encoding/json found as AWS does.
func syntaxError(err error) error {
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return malformed("Syntax errors in policy.")
	}
	return malformed("This policy contains invalid Json")
}

// oneOrMore takes an array, or a single value for an array of one.
func oneOrMore(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, malformed("Syntax errors in policy.")
	}
	if raw[0] != '[' {
		return []json.RawMessage{raw}, nil
	}
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, syntaxError(err)
	}
	return all, nil
}

func parseStatement(b json.RawMessage, kind Kind) (st Statement, err error) {
	var raw struct {
		Sid, Effect             *string
		Principal, NotPrincipal json.RawMessage
		Action, NotAction       json.RawMessage
		Resource, NotResource   json.RawMessage
		Condition               map[string]map[string]json.RawMessage
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return st, malformed("Syntax errors in policy.")
	}
	if raw.Sid != nil {
		st.Sid = *raw.Sid
	}
	if raw.Effect == nil || *raw.Effect != "Allow" && *raw.Effect != "Deny" {
		return st, malformed("Syntax errors in policy.")
	}
	st.Deny = *raw.Effect == "Deny"
	if st.Actions, st.NotAction, err = eitherList(raw.Action, raw.NotAction, "Policy statement must contain actions."); err != nil {
		return st, err
	}
	if err := st.checkActions(); err != nil {
		return st, err
	}
	if kind == Trust {
		if raw.Resource != nil || raw.NotResource != nil {
			return st, malformed("Has prohibited field Resource")
		}
	} else if st.Resources, st.NotResource, err = eitherList(raw.Resource, raw.NotResource, "Policy statement must contain resources."); err != nil {
		return st, err
	} else if err := st.checkResources(kind); err != nil {
		return st, err
	}
	if err := st.parsePrincipals(raw.Principal, raw.NotPrincipal, kind); err != nil {
		return st, err
	}
	return st, st.parseConditions(raw.Condition)
}

// eitherList reads an element that has a negated form; exactly one of the two is there.
func eitherList(plain, negated json.RawMessage, missing string) (list []string, not bool, err error) {
	if plain != nil && negated != nil {
		return nil, false, malformed("Syntax errors in policy.")
	}
	if plain == nil && negated == nil {
		return nil, false, malformed(missing)
	}
	if plain == nil {
		plain, not = negated, true
	}
	list, err = stringList(plain)
	if err == nil && len(list) == 0 {
		err = malformed(missing)
	}
	return list, not, err
}

func stringList(raw json.RawMessage) ([]string, error) {
	values, err := oneOrMore(raw)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(values))
	for i, v := range values {
		if err := json.Unmarshal(v, &list[i]); err != nil || string(v) == "null" {
			return nil, malformed("Syntax errors in policy.")
		}
	}
	return list, nil
}

func (st *Statement) checkActions() error {
	for _, a := range st.Actions {
		vendor, name, ok := strings.Cut(a, ":")
		if a == "*" {
			continue
		}
		if !ok || vendor == "" || name == "" {
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
		if strings.ContainsAny(vendor, "*?") {
			return malformed(fmt.Sprintf("Vendor %s is not valid", vendor))
		}
	}
	return nil
}

func (st *Statement) checkResources(kind Kind) error {
	if kind != Identity {
		return nil
	}
	for _, r := range st.Resources {
		if r == "*" {
			continue
		}
		if !strings.HasPrefix(r, "arn:") {
			return malformed(fmt.Sprintf("Resource %s must be in ARN format or \"*\".", r))
		}
		if strings.Count(r, ":") < 5 && !strings.Contains(r, "*") {
			return malformed("The policy failed legacy parsing")
		}
	}
	return nil
}

func (st *Statement) parsePrincipals(plain, negated json.RawMessage, kind Kind) error {
	if kind == Identity {
		if plain != nil || negated != nil {
			return malformed("Policy document should not specify a principal.")
		}
		return nil
	}
	if plain == nil && negated == nil {
		return malformed("Missing required field Principal")
	}
	if plain != nil && negated != nil {
		return malformed("Syntax errors in policy.")
	}
	if plain == nil {
		plain, st.NotPrincipal = negated, true
	}
	if string(bytes.TrimSpace(plain)) == `"*"` {
		st.Principals = []Principal{{"*", "*"}}
		return nil
	}
	var byType map[string]json.RawMessage
	if err := json.Unmarshal(plain, &byType); err != nil {
		return malformed("Syntax errors in policy.")
	}
	for _, name := range []string{"AWS", "Service", "Federated", "CanonicalUser"} {
		raw, ok := byType[name]
		if !ok {
			continue
		}
		delete(byType, name)
		values, err := stringList(raw)
		if err != nil {
			return err
		}
		for _, v := range values {
			p := Principal{name, v}
			if name == "AWS" && v == "*" {
				p.Type = "*"
			}
			st.Principals = append(st.Principals, p)
		}
	}
	if len(byType) > 0 || len(st.Principals) == 0 {
		return malformed("Syntax errors in policy.")
	}
	return nil
}

func (st *Statement) parseConditions(raw map[string]map[string]json.RawMessage) error {
	for operator, keys := range raw {
		for key, values := range keys {
			list, err := scalarList(values)
			if err != nil {
				return err
			}
			st.Conditions = append(st.Conditions, Condition{operator, key, list})
		}
	}
	return nil
}

// scalarList reads the values of a condition, which may be strings, numbers and booleans.
func scalarList(raw json.RawMessage) ([]string, error) {
	values, err := oneOrMore(raw)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(values))
	for i, v := range values {
		var s any
		d := json.NewDecoder(bytes.NewReader(v))
		d.UseNumber()
		if err := d.Decode(&s); err != nil {
			return nil, malformed("Syntax errors in policy.")
		}
		switch s := s.(type) {
		case string:
			list[i] = s
		case bool, json.Number:
			list[i] = fmt.Sprint(s)
		default:
			return nil, malformed("Syntax errors in policy.")
		}
	}
	return list, nil
}
