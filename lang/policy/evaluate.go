package policy

import (
	"strings"

	"lambent/cloud"
)

// Request is what a decision is about.
type Request struct {
	Action    string // "lambda:InvokeFunction"
	Resource  string // ARN, or "*" where the action has none
	Principal Principals
	Context   map[string][]string // condition keys in lower case, with their values
}

// Principals are the names by which policies with a Principal may mean the caller.
type Principals struct {
	Account string // twelve digits, "" for a service
	ARN     string // identity
	RoleARN string // role behind a session, else ""
	Service string // service principal, else ""
}

// Decision is what policies come to.
type Decision int

// Without a statement that applies the decision is None, which refuses.
const (
	None Decision = iota
	Allow
	Deny
)

func (d Decision) String() string { return [...]string{"none", "allow", "deny"}[d] }

// Evaluate decides r by all policies together: a Deny beats every Allow.
func Evaluate(r Request, policies ...*Policy) Decision {
	decision := None
	for _, p := range policies {
		for i := range p.Statements {
			st := &p.Statements[i]
			if !st.applies(r) {
				continue
			}
			if st.Deny {
				return Deny
			}
			decision = Allow
		}
	}
	return decision
}

func (st *Statement) applies(r Request) bool {
	return matchesAny(st.Actions, r.Action, true) != st.NotAction &&
		(st.Resources == nil || st.matchesResource(r) != st.NotResource) &&
		(st.Principals == nil || st.matchesPrincipal(r.Principal) != st.NotPrincipal) &&
		st.conditionsHold(r)
}

func (st *Statement) matchesResource(r Request) bool {
	for _, pattern := range st.Resources {
		// An action without resources asks about "*", which only "*" allows; any Deny means it.
		if Match(expand(pattern, r), r.Resource) || st.Deny && r.Resource == "*" {
			return true
		}
	}
	return false
}

// expand puts the values of ${key} variables into a pattern. A variable without a value stays as it is, and
// so matches nothing real.
func expand(pattern string, r Request) string {
	if !strings.Contains(pattern, "${") {
		return pattern
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(pattern, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			b.WriteString("${" + rest)
			return b.String()
		}
		switch values := r.Context[strings.ToLower(name)]; {
		case name == "*" || name == "?" || name == "$":
			b.WriteString(name)
		case len(values) == 1:
			b.WriteString(values[0])
		default:
			b.WriteString("${" + name + "}")
		}
		pattern = after
	}
}

func (st *Statement) matchesPrincipal(who Principals) bool {
	for _, p := range st.Principals {
		if p.means(who) {
			return true
		}
	}
	return false
}

func (p Principal) means(who Principals) bool {
	switch p.Type {
	case "*":
		return true
	case "Service":
		return who.Service != "" && servicePrincipal(p.Value) == who.Service
	case "AWS":
		if who.Account == "" {
			return false
		}
		account := p.Value
		if a, ok := cloud.ParseARN(p.Value); ok {
			if a.Resource != "root" {
				return p.Value == who.ARN || p.Value == who.RoleARN
			}
			account = a.Account
		}
		return account == who.Account
	}
	return false
}

// servicePrincipal brings the regional form of a service's name ("states.us-east-1.amazonaws.com") to the plain one.
func servicePrincipal(s string) string {
	name, rest, _ := strings.Cut(s, ".")
	if strings.HasSuffix(rest, ".amazonaws.com") && strings.Count(rest, "-") >= 2 {
		return name + ".amazonaws.com"
	}
	return s
}

func matchesAny(patterns []string, s string, fold bool) bool {
	if fold {
		s = strings.ToLower(s)
	}
	for _, p := range patterns {
		if fold {
			p = strings.ToLower(p)
		}
		if Match(p, s) {
			return true
		}
	}
	return false
}

// Match reports whether s has the form of pattern, in which * stands for any characters and ? for one. It
// takes time in proportion to the product of the lengths at most.
func Match(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
