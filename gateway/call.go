package gateway

import (
	"context"

	"lambent/cloud"
)

// Call implements service.Caller.
func (g *Gateway) Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	return nil, notImplemented("inner calls (%s:%s) are not implemented yet.", service, operation)
}
