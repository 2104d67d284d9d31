package policy

import (
	"slices"
	"strings"
)

// operators are the comparisons that are known: negate says that the operator holds when compare does not.
var operators = map[string]struct {
	compare func(want, got string) bool
	negate  bool
}{
	"StringEquals":              {func(w, g string) bool { return w == g }, false},
	"StringNotEquals":           {func(w, g string) bool { return w == g }, true},
	"StringEqualsIgnoreCase":    {strings.EqualFold, false},
	"StringNotEqualsIgnoreCase": {strings.EqualFold, true},
	"StringLike":                {Match, false},
	"StringNotLike":             {Match, true},
	"ArnEquals":                 {MatchARN, false},
	"ArnNotEquals":              {MatchARN, true},
	"ArnLike":                   {MatchARN, false},
	"ArnNotLike":                {MatchARN, true},
	"Bool":                      {strings.EqualFold, false},
}

// MatchARN reports whether arn has the form of pattern. It compares part by part, so that a star does not reach over a colon of the first five parts.
func MatchARN(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != 6 || len(a) != 6 {
		return false
	}
	for i := range p {
		if !Match(p[i], a[i]) {
			return false
		}
	}
	return true
}

func (st *Statement) conditionsHold(r Request) bool {
	for _, c := range st.Conditions {
		if holds, known := c.holds(r); !known && !st.Deny || known && !holds {
			return false
		}
	}
	return true
}

// holds evaluates one condition; known is false for an operator that is not implemented.
func (c Condition) holds(r Request) (holds, known bool) {
	operator, ifExists := strings.CutSuffix(c.Operator, "IfExists")
	got := r.Context[strings.ToLower(c.Key)]
	if operator == "Null" {
		return slices.Contains(c.Values, "true") == (len(got) == 0), true
	}
	op, ok := operators[operator]
	if !ok {
		return false, false
	}
	if len(got) == 0 {
		return ifExists || op.negate, true
	}
	for _, want := range c.Values {
		want = expand(want, r)
		if slices.ContainsFunc(got, func(g string) bool { return op.compare(want, g) }) {
			return !op.negate, true
		}
	}
	return op.negate, true
}
