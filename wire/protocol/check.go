package protocol

import (
	"errors"
	"fmt"
	"reflect"

	"lambent/service"
	"lambent/wire"
	"lambent/wire/plan"
)

// Check compiles everything that the API's description names, so that what is wrong with it shows at once and not in
// the first request: types without a plan, URIs that are none. Patterns that cannot be enforced, or not
// exactly, come back in patterns; they are no error.
func Check(api *service.API) (patterns []string, err error) {
	var errs []error
	types := map[reflect.Type]bool{}
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.URI != "" {
			if _, err := wire.ParseURI(op.URI); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", op.Name, err))
			}
		}
		types[op.Input], types[op.Output] = true, true
	}
	for _, e := range api.Errors {
		types[e.Type] = true
	}
	for t := range types {
		p, err := plan.Of(t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		patterns = append(patterns, plan.Unenforced(p)...)
	}
	return patterns, errors.Join(errs...)
}
