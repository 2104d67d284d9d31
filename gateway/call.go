package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"lambent/cloud"
	"lambent/trace"
	"lambent/wire/document"
)

// Call implements service.Caller. The service goes by its folder's name ("eventbridge"). The input is
// checked and permission asked for as if c had sent a request; a fault comes back as a client sees it,
// with its wire code and status.
func (g *Gateway) Call(ctx context.Context, c cloud.Caller, name, operationName string, in map[string]any) (out map[string]any, err error) {
	r := g.byName[name]
	if r == nil {
		return nil, notImplemented("lambent does not implement the service %q yet.", name)
	}
	op := r.operations[operationName]
	if op == nil {
		return nil, r.family.unknownOperation(operationName, r.api.Version)
	}
	if op.impl == nil {
		return nil, notImplemented("lambent does not implement %s:%s yet.", name, operationName)
	}
	if c.Now.IsZero() {
		c.Now = time.Now().UTC()
	}
	if c.RequestID == "" {
		c.RequestID = newRequestID()
	}
	start := time.Now()
	ctx, span := trace.Start(ctx, name+" "+operationName)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			err = g.innerFault(ctx, c, op, err)
		}
		g.metrics.observeInner(name, operationName, err, time.Since(start))
		span.End(err)
	}()

	input := newInput(op)
	if err := document.Decode(in, input, document.Options{Coerce: true}); err != nil {
		return nil, err
	}
	output, err := g.run(ctx, op, r.api.Protocols[0], c, input)
	if err != nil {
		return nil, err
	}
	if out, err = document.Encode(output); err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	return out, nil
}

// innerFault makes of any error the fault that a client would see, and logs what is our own.
func (g *Gateway) innerFault(ctx context.Context, c cloud.Caller, op *operation, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	fault := *op.room.family.faultOf(err, op, c.Now)
	if m := errorModel(op.room.api, fault.Code); m != nil {
		if m.Code != "" {
			fault.Code = m.Code
		}
		if fault.Status == 0 {
			fault.Status = m.Status
		}
	}
	if fault.Status == 0 {
		fault.Status = 400
	}
	if fault.Status >= 500 && fault.Status != 501 {
		g.log.LogAttrs(ctx, slog.LevelError, "inner call failed", slog.String("id", c.RequestID),
			slog.String("service", op.room.api.Name), slog.String("operation", op.model.Name), slog.String("error", err.Error()))
	}
	return &fault
}
