package lambda

import (
	"context"
	"time"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// eventConfigRow is how asynchronous events of a function, a version or an alias are run. Nil is the default.
type eventConfigRow struct {
	Modified             time.Time
	Retries, MaxAge      *int32 `json:",omitempty"` // MaxAge in seconds
	OnSuccess, OnFailure string `json:",omitempty"`
}

// parseEventTarget is parseOwn where the function itself is called $LATEST.
func parseEventTarget(c cloud.Caller, name, qualifier *string) (reference, error) {
	r, err := parseOwn(c, name, qualifier)
	r.qualifier = or(r.qualifier, latest)
	return r, err
}

func (f functionID) eventConfig(qualifier string, row *eventConfigRow) *FunctionEventInvokeConfig {
	out := &FunctionEventInvokeConfig{FunctionArn: new(f.qualified(qualifier)), LastModified: &row.Modified,
		MaximumRetryAttempts: row.Retries, MaximumEventAgeInSeconds: row.MaxAge,
		DestinationConfig: &DestinationConfig{OnSuccess: &OnSuccess{}, OnFailure: &OnFailure{}}}
	if row.OnSuccess != "" {
		out.DestinationConfig.OnSuccess.Destination = new(row.OnSuccess)
	}
	if row.OnFailure != "" {
		out.DestinationConfig.OnFailure.Destination = new(row.OnFailure)
	}
	return out
}

func noEventConfig(r reference) error {
	return notFound("The function %s doesn't have an EventInvokeConfig", r.qualified(r.qualifier))
}

// destinations reads where results go. Functions hear of them; the services behind the other kinds are not there yet.
func (f functionID) destinations(d *DestinationConfig) (success, failure string, err error) {
	if d == nil {
		return "", "", nil
	}
	if d.OnSuccess != nil {
		success = cloud.Val(d.OnSuccess.Destination)
	}
	if d.OnFailure != nil {
		failure = cloud.Val(d.OnFailure.Destination)
	}
	for _, arn := range []string{success, failure} {
		if arn == "" {
			continue
		}
		a, ok := cloud.ParseARN(arn)
		switch {
		case !ok:
			return "", "", invalid("The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=%s), onFailure=OnFailure(destination=%s)) is invalid.", success, failure)
		case a.Service != "lambda":
			return "", "", cloud.NotImplemented("An " + a.Service + " destination of asynchronous events")
		case a.Account != f.account || a.Region != f.region:
			return "", "", invalid("The destination ARN %s is not in the function's account and region.", arn)
		case arn == f.arn():
			return "", "", invalid("You can't specify the function as a destination for itself.")
		}
	}
	return success, failure, nil
}

func (s *Service) putEventInvokeConfig(ctx context.Context, c cloud.Caller, in *PutFunctionEventInvokeConfigInput) (*FunctionEventInvokeConfig, error) {
	if in.MaximumRetryAttempts == nil && in.MaximumEventAgeInSeconds == nil && in.DestinationConfig == nil {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	row := &eventConfigRow{Modified: c.Now, Retries: in.MaximumRetryAttempts, MaxAge: in.MaximumEventAgeInSeconds}
	if row.OnSuccess, row.OnFailure, err = r.destinations(in.DestinationConfig); err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, _, err := r.find(ctx, tx); err != nil {
			return orElse(gone(err), notFound("The function doesn't exist."))
		}
		return kv.PutRow(tx, r.eventConfigKey(r.qualifier), row)
	})
	if err != nil {
		return nil, err
	}
	return r.eventConfig(r.qualifier, row), nil
}

// gone is nil if err says that something does not exist, else err.
func gone(err error) error {
	if cloud.FaultCode(err) == "ResourceNotFoundException" {
		return nil
	}
	return err
}

func (s *Service) updateEventInvokeConfig(ctx context.Context, c cloud.Caller, in *UpdateFunctionEventInvokeConfigInput) (out *FunctionEventInvokeConfig, err error) {
	if in.MaximumRetryAttempts == nil && in.MaximumEventAgeInSeconds == nil && in.DestinationConfig == nil {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	success, failure, err := r.destinations(in.DestinationConfig)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := r.loadEventConfig(ctx, tx)
		if err != nil {
			return err
		}
		if row == nil {
			return noEventConfig(r)
		}
		row.Modified = c.Now
		if in.MaximumRetryAttempts != nil {
			row.Retries = in.MaximumRetryAttempts
		}
		if in.MaximumEventAgeInSeconds != nil {
			row.MaxAge = in.MaximumEventAgeInSeconds
		}
		if in.DestinationConfig != nil {
			row.OnSuccess, row.OnFailure = success, failure
		}
		out = r.eventConfig(r.qualifier, row)
		return kv.PutRow(tx, r.eventConfigKey(r.qualifier), row)
	})
	return out, err
}

func (r reference) loadEventConfig(ctx context.Context, rd kv.Reader) (*eventConfigRow, error) {
	var row eventConfigRow
	found, err := kv.GetRow(ctx, rd, r.eventConfigKey(r.qualifier), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

func (s *Service) getEventInvokeConfig(ctx context.Context, c cloud.Caller, in *GetFunctionEventInvokeConfigInput) (out *FunctionEventInvokeConfig, err error) {
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		row, err := r.loadEventConfig(ctx, rd)
		if err != nil || row == nil {
			return orElse(err, noEventConfig(r))
		}
		out = r.eventConfig(r.qualifier, row)
		return nil
	})
	return out, err
}

func (s *Service) listEventInvokeConfigs(ctx context.Context, c cloud.Caller, in *ListFunctionEventInvokeConfigsInput) (*ListFunctionEventInvokeConfigsOutput, error) {
	r, err := parseOwn(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	out := &ListFunctionEventInvokeConfigsOutput{FunctionEventInvokeConfigs: []FunctionEventInvokeConfig{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.FunctionEventInvokeConfigs = out.FunctionEventInvokeConfigs[:0]
		if _, err := r.load(ctx, rd); err != nil {
			return orElse(gone(err), notFound("The function doesn't exist."))
		}
		rows := kv.Prefix(r.account, r.region, "eventconfig", r.name)
		next, err := page(ctx, rd, rows, in.Marker, in.MaxItems, 50, func(kvRow kv.KV) error {
			var row eventConfigRow
			if err := kv.DecodeRow(kvRow.Value, &row); err != nil {
				return err
			}
			parts, err := kv.Unkey(kvRow.Key)
			if err != nil {
				return err
			}
			out.FunctionEventInvokeConfigs = append(out.FunctionEventInvokeConfigs, *r.eventConfig(parts[4].(string), &row))
			return nil
		})
		out.NextMarker = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) deleteEventInvokeConfig(ctx context.Context, c cloud.Caller, in *DeleteFunctionEventInvokeConfigInput) (*DeleteFunctionEventInvokeConfigOutput, error) {
	r, err := parseEventTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := r.loadEventConfig(ctx, tx)
		if err != nil || row == nil {
			return orElse(err, noEventConfig(r))
		}
		tx.Delete(r.eventConfigKey(r.qualifier))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteFunctionEventInvokeConfigOutput{}, nil
}

// AsyncTarget implements invoke.Targets.
func (s *Service) AsyncTarget(ctx context.Context, account, region, name, qualifier string) (*invoke.Target, error) {
	r := reference{functionID{account, region, name}, qualifier}
	at, err := s.resolve(ctx, r)
	if err != nil {
		return nil, orElse(gone(err), invoke.ErrGone)
	}
	t := &invoke.Target{Function: at.function, Retries: invoke.DefaultRetries, MaxAge: invoke.DefaultEventAge}
	var row *eventConfigRow
	err = s.KV.View(ctx, func(rd kv.Reader) (err error) {
		r.qualifier = or(r.qualifier, latest)
		row, err = r.loadEventConfig(ctx, rd)
		return err
	})
	if err != nil || row == nil {
		return t, err
	}
	if row.Retries != nil {
		t.Retries = int(*row.Retries)
	}
	if row.MaxAge != nil {
		t.MaxAge = seconds(*row.MaxAge)
	}
	t.OnSuccess, t.OnFailure = row.OnSuccess, row.OnFailure
	return t, nil
}
