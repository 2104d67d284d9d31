package lambda

import (
	"strings"

	"lambent/cloud"
)

const latest = "$LATEST"

// A functionID is whose function it is, and which.
type functionID struct{ account, region, name string }

func (f functionID) arn() string {
	return "arn:aws:lambda:" + f.region + ":" + f.account + ":function:" + f.name
}

// qualified is the ARN with a qualifier, without when that is "".
func (f functionID) qualified(qualifier string) string {
	if qualifier == "" {
		return f.arn()
	}
	return f.arn() + ":" + qualifier
}

// A reference is a function as a client names it.
type reference struct {
	functionID
	qualifier string // "" when none was given
}

// parseName understands a function's name in all its forms: name, name:qualifier, account:function:name, function:name,
// and ARNs; with the qualifier that may be given beside it.
func parseName(c cloud.Caller, name, qualifier string) (reference, error) {
	r := reference{functionID: functionID{c.Account, c.Region, name}}
	rest := name
	if full, ok := strings.CutPrefix(rest, "arn:"); ok {
		p := strings.SplitN(full, ":", 5) // partition, service, region, account, resource
		if len(p) != 5 || p[1] != "lambda" {
			return r, invalid("Invalid function name: %s", name)
		}
		r.region, r.account, rest = p[2], p[3], p[4]
	} else if account, after, ok := strings.Cut(rest, ":"); ok && isAccount(account) && strings.HasPrefix(after, "function:") {
		r.account, rest = account, after
	}
	rest = strings.TrimPrefix(rest, "function:")
	var given string
	r.name, given, _ = strings.Cut(rest, ":")
	r.qualifier = qualifier
	if given != "" {
		if qualifier != "" && qualifier != given {
			return r, invalid("The derived qualifier from the function name does not match the specified qualifier.")
		}
		r.qualifier = given
	}
	switch {
	case r.name == "" || strings.Contains(given, ":"):
		return r, invalid("Invalid function name: %s", name)
	case len(r.name) > 64:
		return r, validation("Value '%s' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64", name)
	case r.region != c.Region:
		return r, notFound("Functions from '%s' are not reachable in this region ('%s')", r.region, c.Region)
	}
	return r, nil
}

// parseOwn is parseName for operations that another account's functions never allow.
func parseOwn(c cloud.Caller, name, qualifier *string) (reference, error) {
	r, err := parseName(c, cloud.Val(name), cloud.Val(qualifier))
	if err == nil && r.account != c.Account {
		err = cloud.Faultf("AccessDeniedException", "User: %s is not authorized to access this resource: %s", c.ARN, r.arn()).WithStatus(403)
	}
	return r, err
}

func isAccount(s string) bool { return len(s) == 12 && isNumber(s) }

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isAlias tells whether a qualifier could be an alias's name.
func isAlias(q string) bool {
	return q != "" && !isNumber(q) && !strings.Contains(q, "$")
}
