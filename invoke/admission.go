package invoke

import (
	"sync"
)

// Reasons for a Throttled error, in AWS's words.
const (
	ReservedExceeded = "ReservedFunctionConcurrentInvocationLimitExceeded"
	AccountExceeded  = "ConcurrentInvocationLimitExceeded"
)

// Throttled says that as many invocations run as are allowed. The caller may try again.
type Throttled struct{ Reason string }

func (t *Throttled) Error() string { return "rate exceeded: " + t.Reason }

// admission counts the invocations under way: of each function with a reserved share, and of all the others of an
// account in a region together; those that have provisioned places apart.
type admission struct {
	mu        sync.Mutex
	count     map[string]int
	throttled uint64
}

// enter takes a place for fn, or says why there is none. The place is given back with leave.
func (a *admission) enter(fn *Function) (scope string, err error) {
	scope, limit, reason := fn.Account+"/"+fn.Region, fn.Unreserved, AccountExceeded
	if limit == 0 {
		limit = DefaultConcurrency
	}
	if fn.Reserved != nil {
		scope, limit, reason = scope+"/"+fn.Name, *fn.Reserved-fn.ProvisionedAll, ReservedExceeded
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if fn.Provisioned > 0 {
		if own := fn.key(); a.count[own] < fn.Provisioned {
			a.count[own]++
			return own, nil
		}
	}
	if a.count[scope] >= limit {
		a.throttled++
		return "", &Throttled{reason}
	}
	a.count[scope]++
	return scope, nil
}

func (a *admission) leave(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[scope]--; a.count[scope] <= 0 {
		delete(a.count, scope)
	}
}
