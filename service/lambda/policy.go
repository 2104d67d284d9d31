package lambda

import (
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"lambent/cloud"
	"lambent/lang/policy"
)

// A policyRow is the resource policy of a function, or of one of its versions and aliases.
type policyRow struct{ Statements []statement }

// A statement lets somebody do something with the function. Its JSON is the one that AWS shows.
type statement struct {
	Sid       string    `json:"Sid"`
	Effect    string    `json:"Effect"`
	Principal principal `json:"Principal"`
	Action    string    `json:"Action"`
	Resource  string    `json:"Resource"`
	Condition condition `json:"Condition,omitempty"`
}

type condition map[string]map[string]string

// A principal is anyone ("*"), a service, or an AWS identity.
type principal struct{ Service, AWS string }

func (p principal) MarshalJSON() ([]byte, error) {
	switch {
	case p.Service != "":
		return json.Marshal(map[string]string{"Service": p.Service})
	case p.AWS != "":
		return json.Marshal(map[string]string{"AWS": p.AWS})
	}
	return []byte(`"*"`), nil
}

func (p *principal) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = principal{}
		return nil
	}
	type plain principal
	return json.Unmarshal(b, (*plain)(p))
}

var principalARN = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:(iam|sts)::\d{12}:(root|user/.+|role/.+|assumed-role/.+|federated-user/.+)$`)

func parsePrincipal(s string) (principal, error) {
	switch {
	case s == "*":
		return principal{}, nil
	case isAccount(s):
		return principal{AWS: "arn:aws:iam::" + s + ":root"}, nil
	case principalARN.MatchString(s):
		return principal{AWS: s}, nil
	case strings.HasSuffix(s, ".amazonaws.com") || strings.HasSuffix(s, ".amazon.com") || strings.HasSuffix(s, ".alexa.com"):
		return principal{Service: s}, nil
	}
	return principal{}, invalid("The provided principal was invalid. Please check the principal and try again.")
}

// newStatement is what AddPermission's parameters mean.
func newStatement(in *AddPermissionInput, resource string) (statement, error) {
	p, err := parsePrincipal(*in.Principal)
	if err != nil {
		return statement{}, err
	}
	when := condition{}
	add := func(operator, key string, value *string) {
		if value == nil {
			return
		}
		if when[operator] == nil {
			when[operator] = map[string]string{}
		}
		when[operator][key] = *value
	}
	add("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	add("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	add("StringEquals", "lambda:FunctionUrlAuthType", in.FunctionUrlAuthType)
	add("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	add("ArnLike", "AWS:SourceArn", in.SourceArn)
	if in.InvokedViaFunctionUrl != nil {
		add("Bool", "lambda:InvokedViaFunctionUrl", new(map[bool]string{true: "true", false: "false"}[*in.InvokedViaFunctionUrl]))
	}
	return statement{Sid: *in.StatementId, Effect: "Allow", Principal: p, Action: *in.Action, Resource: resource, Condition: when}, nil
}

// An access is what somebody wants of a function.
type access struct {
	action    string
	principal principal         // who: a service or an identity
	keys      map[string]string // condition keys, in lower case
}

// allows tells whether some statement lets it happen.
func (p *policyRow) allows(a access) bool {
	if p == nil {
		return false
	}
	for _, s := range p.Statements {
		if s.allows(a) {
			return true
		}
	}
	return false
}

func (s statement) allows(a access) bool {
	if ok, _ := path.Match(s.Action, a.action); !ok {
		return false
	}
	if !s.Principal.covers(a.principal) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, want := range keys {
			got, present := a.keys[strings.ToLower(key)]
			if !present || !holds(operator, got, want) {
				return false
			}
		}
	}
	return true
}

func holds(operator, got, want string) bool {
	switch operator {
	case "StringEquals", "Bool":
		return got == want
	case "ArnLike":
		return policy.MatchARN(want, got)
	}
	return false
}

// covers tells whether a principal of a policy means who.
func (p principal) covers(who principal) bool {
	switch {
	case p == principal{}:
		return true
	case p.Service != "":
		return p.Service == who.Service
	case p.AWS == who.AWS && who.AWS != "":
		return true
	}
	mine, ok := cloud.ParseARN(p.AWS)
	theirs, ok2 := cloud.ParseARN(who.AWS)
	return ok && ok2 && mine.Resource == "root" && mine.Account == theirs.Account
}
