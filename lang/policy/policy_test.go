package policy_test

import (
	"strings"
	"testing"

	"lambent/lang/policy"
)

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		kind      policy.Kind
		want      string
	}{
		{"no JSON", `{`, policy.Identity, "invalid Json"},
		{"two values", `{"Statement":[]} {}`, policy.Identity, "Syntax errors"},
		{"unknown element", `{"Statement":[],"X":1}`, policy.Identity, "Syntax errors"},
		{"version", `{"Version":"2020-01-01","Statement":[]}`, policy.Identity, "valid version string"},
		{"effect", `{"Statement":{"Effect":"allow","Action":"s3:*","Resource":"*"}}`, policy.Identity, "Syntax errors"},
		{"no action", `{"Statement":{"Effect":"Allow","Resource":"*"}}`, policy.Identity, "must contain actions"},
		{"no resource", `{"Statement":{"Effect":"Allow","Action":"s3:*"}}`, policy.Identity, "must contain resources"},
		{"vendor", `{"Statement":{"Effect":"Allow","Action":"GetObject","Resource":"*"}}`, policy.Identity, "prefaced by a vendor"},
		{"ARN", `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}}`, policy.Identity, "must be in ARN format"},
		{"principal in identity", `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}}`, policy.Identity, "should not specify a principal"},
		{"no principal", `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`, policy.Trust, "Principal"},
		{"resource in trust", `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}}`, policy.Trust, "prohibited field Resource"},
		{"same Sid", `{"Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, policy.Identity, "must be unique"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := policy.Parse(tt.doc, tt.kind); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func parse(t *testing.T, doc string, kind policy.Kind) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(doc, kind)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEvaluate(t *testing.T) {
	doc := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:Get*","s3:ListBucket"],"Resource":"arn:aws:s3:::data/*"},
		{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:sqs:*:*:q"},
		{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/secret"},
		{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"1"}}},
		{"Effect":"Allow","Action":"logs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},
		{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01"}}}]}`
	p := parse(t, doc, policy.Identity)
	for _, tt := range []struct {
		action, resource string
		context          map[string][]string
		want             policy.Decision
	}{
		{"s3:GetObject", "arn:aws:s3:::data/x", nil, policy.Allow},
		{"S3:getobject", "arn:aws:s3:::data/x", nil, policy.Allow},
		{"s3:GetObject", "arn:aws:s3:::data/secret", nil, policy.Deny},
		{"s3:PutObject", "arn:aws:s3:::data/x", nil, policy.None},
		{"s3:GetObject", "arn:aws:s3:::other/x", nil, policy.None},
		{"sqs:SendMessage", "arn:aws:sqs:r:1:q", nil, policy.Allow},
		{"iam:PassRole", "arn:aws:sqs:r:1:q", nil, policy.None},
		{"lambda:InvokeFunction", "f", map[string][]string{"aws:sourceaccount": {"1"}}, policy.Allow},
		{"lambda:InvokeFunction", "f", map[string][]string{"aws:sourceaccount": {"2"}}, policy.None},
		{"lambda:InvokeFunction", "f", nil, policy.None},
		{"logs:PutLogEvents", "x", map[string][]string{"aws:sourceip": {"10.0.0.1"}}, policy.None}, // unknown operator: closed
		{"ec2:Run", "x", nil, policy.Deny},                                                         // unknown operator: closed
	} {
		if got := policy.Evaluate(policy.Request{Action: tt.action, Resource: tt.resource, Context: tt.context}, p); got != tt.want {
			t.Errorf("%s on %s: got %v, want %v", tt.action, tt.resource, got, tt.want)
		}
	}
}

func TestPrincipals(t *testing.T) {
	role := policy.Principals{Account: "111111111111", ARN: "arn:aws:sts::111111111111:assumed-role/r/s", RoleARN: "arn:aws:iam::111111111111:role/r"}
	gateway := policy.Principals{Service: "apigateway.amazonaws.com"}
	for _, tt := range []struct {
		principal string
		who       policy.Principals
		want      policy.Decision
	}{
		{`"*"`, role, policy.Allow},
		{`{"AWS":"*"}`, role, policy.Allow},
		{`{"AWS":"111111111111"}`, role, policy.Allow},
		{`{"AWS":"arn:aws:iam::111111111111:root"}`, role, policy.Allow},
		{`{"AWS":["arn:aws:iam::111111111111:role/r"]}`, role, policy.Allow},
		{`{"AWS":"arn:aws:iam::111111111111:role/other"}`, role, policy.None},
		{`{"AWS":"222222222222"}`, role, policy.None},
		{`{"Service":"apigateway.amazonaws.com"}`, gateway, policy.Allow},
		{`{"Service":"lambda.amazonaws.com"}`, gateway, policy.None},
		{`{"AWS":"111111111111"}`, gateway, policy.None},
	} {
		p := parse(t, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":`+tt.principal+`}}`, policy.Trust)
		if got := policy.Evaluate(policy.Request{Action: "sts:AssumeRole", Principal: tt.who}, p); got != tt.want {
			t.Errorf("%s for %+v: got %v, want %v", tt.principal, tt.who, got, tt.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"*.js", "a.js.js", true}, {"", "a", false}, {"a*b*c", "aXbYbZc", true},
		{strings.Repeat("*a", 50), strings.Repeat("a", 200) + "b", false},
	} {
		if got := policy.Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"${aws:username}*","Condition":{"Bool":{"k":true}}}]}`, byte(0))
	f.Add(`{"Statement":{"Effect":"Deny","NotAction":["a:b"],"NotPrincipal":{"AWS":"1"},"NotResource":"x"}}`, byte(2))
	f.Fuzz(func(t *testing.T, doc string, kind byte) {
		if p, err := policy.Parse(doc, policy.Kind(kind%3)); err == nil {
			policy.Evaluate(policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"}, p)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		_ = policy.Match(pattern, s) // must end
		if !policy.Match("*", s) || !policy.Match(s, s) && !strings.ContainsAny(s, "*?") {
			t.Errorf("%q does not match itself", s)
		}
	})
}
