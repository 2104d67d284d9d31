package invoke

import (
	"errors"
	"testing"
)

// TestProvisionedPlaces fills a version's own places, then what its function has left, which others share.
func TestProvisionedPlaces(t *testing.T) {
	a := admission{count: map[string]int{}}
	version := &Function{Account: "1", Region: "r", Name: "f", Version: "1", Reserved: new(3), Provisioned: 2, ProvisionedAll: 2}
	latest := &Function{Account: "1", Region: "r", Name: "f", Version: "$LATEST", Reserved: new(3), ProvisionedAll: 2}
	var scopes []string
	for i := range 3 { // two places of its own, one of the function's
		scope, err := a.enter(version)
		if err != nil {
			t.Fatalf("place %d: %v", i, err)
		}
		scopes = append(scopes, scope)
	}
	for _, fn := range []*Function{version, latest} {
		var full *Throttled
		if _, err := a.enter(fn); !errors.As(err, &full) || full.Reason != ReservedExceeded {
			t.Errorf("version %s, when all is taken: %v", fn.Version, err)
		}
	}
	a.leave(scopes[0])
	if _, err := a.enter(latest); err == nil {
		t.Error("another version took a provisioned place")
	}
	a.leave(scopes[2])
	if _, err := a.enter(latest); err != nil {
		t.Errorf("the function's own place: %v", err)
	}
	for scope := range a.count {
		for a.count[scope] > 0 {
			a.leave(scope)
		}
	}
	if len(a.count) != 0 {
		t.Errorf("left over: %v", a.count)
	}
}
