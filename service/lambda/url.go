package lambda

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/policy"
)

// urlRow is the URL of a function or of one of its aliases.
type urlRow struct {
	ID                string
	Auth, Mode        string
	Created, Modified string
	Cors              *Cors `json:",omitempty"`
}

// urlIDRow tells whose URL it is.
type urlIDRow struct{ Account, Region, Name, Qualifier string }

func (s *Service) urlOf(f functionID, u *urlRow) *string {
	return new("http://" + u.ID + ".lambda-url." + f.region + "." + s.Domain + "/")
}

// newURLID is 32 letters and digits.
func newURLID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var b [32]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b[:])
}

// parseURLTarget is parseOwn for URLs, which functions and aliases have, versions not.
func parseURLTarget(c cloud.Caller, name, qualifier *string) (reference, error) {
	r, err := parseOwn(c, name, qualifier)
	if err == nil && r.qualifier != "" && !isAlias(r.qualifier) {
		err = validation("Value '%s' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)", r.qualifier)
	}
	return r, err
}

func noURL() error { return notFound("The resource you requested does not exist.") }

func (r reference) loadURL(ctx context.Context, rd kv.Reader) (*urlRow, error) {
	var row urlRow
	found, err := kv.GetRow(ctx, rd, r.urlKey(r.qualifier), &row)
	if err != nil || !found {
		return nil, orElse(err, noURL())
	}
	return &row, nil
}

func (s *Service) createURL(ctx context.Context, c cloud.Caller, in *CreateFunctionUrlConfigInput) (*CreateFunctionUrlConfigOutput, error) {
	r, err := parseURLTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	now := stamp(c.Now)
	u := &urlRow{ID: newURLID(), Auth: *in.AuthType, Mode: cloud.Or(in.InvokeMode, "BUFFERED"), Created: *now, Modified: *now, Cors: in.Cors}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, _, err := r.find(ctx, tx); err != nil {
			return orElse(gone(err), notFound("Function does not exist"))
		}
		old, err := tx.Get(ctx, r.urlKey(r.qualifier))
		if err != nil {
			return err
		}
		if old != nil {
			return conflict("Failed to create function url config for [functionArn = %s]. Error message:  FunctionUrlConfig exists for this Lambda function", r.qualified(r.qualifier))
		}
		if err := kv.PutRow(tx, urlIDKey(u.ID), urlIDRow{r.account, r.region, r.name, r.qualifier}); err != nil {
			return err
		}
		return kv.PutRow(tx, r.urlKey(r.qualifier), u)
	})
	if err != nil {
		return nil, err
	}
	return &CreateFunctionUrlConfigOutput{FunctionUrl: s.urlOf(r.functionID, u), FunctionArn: new(r.qualified(r.qualifier)),
		AuthType: new(u.Auth), Cors: u.Cors, CreationTime: now, InvokeMode: in.InvokeMode}, nil
}

func (s *Service) getURL(ctx context.Context, c cloud.Caller, in *GetFunctionUrlConfigInput) (*GetFunctionUrlConfigOutput, error) {
	r, err := parseURLTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var u *urlRow
	err = s.KV.View(ctx, func(rd kv.Reader) (err error) {
		u, err = r.loadURL(ctx, rd)
		return err
	})
	if err != nil {
		return nil, err
	}
	g := s.urlConfig(r, u)
	return &GetFunctionUrlConfigOutput{FunctionUrl: g.FunctionUrl, FunctionArn: g.FunctionArn, AuthType: g.AuthType, Cors: g.Cors,
		CreationTime: g.CreationTime, LastModifiedTime: g.LastModifiedTime, InvokeMode: g.InvokeMode}, nil
}

func (s *Service) urlConfig(r reference, u *urlRow) FunctionUrlConfig {
	return FunctionUrlConfig{FunctionUrl: s.urlOf(r.functionID, u), FunctionArn: new(r.qualified(r.qualifier)), AuthType: new(u.Auth), Cors: u.Cors,
		CreationTime: new(u.Created), LastModifiedTime: new(u.Modified), InvokeMode: new(u.Mode)}
}

func (s *Service) updateURL(ctx context.Context, c cloud.Caller, in *UpdateFunctionUrlConfigInput) (*UpdateFunctionUrlConfigOutput, error) {
	r, err := parseURLTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var u *urlRow
	err = s.KV.Update(ctx, func(tx *kv.Tx) (err error) {
		if u, err = r.loadURL(ctx, tx); err != nil {
			return err
		}
		set(&u.Auth, in.AuthType)
		set(&u.Mode, in.InvokeMode)
		if in.Cors != nil {
			u.Cors = in.Cors
		}
		u.Modified = *stamp(c.Now)
		return kv.PutRow(tx, r.urlKey(r.qualifier), u)
	})
	if err != nil {
		return nil, err
	}
	g := s.urlConfig(r, u)
	return &UpdateFunctionUrlConfigOutput{FunctionUrl: g.FunctionUrl, FunctionArn: g.FunctionArn, AuthType: g.AuthType, Cors: g.Cors,
		CreationTime: g.CreationTime, LastModifiedTime: g.LastModifiedTime, InvokeMode: g.InvokeMode}, nil
}

func (s *Service) deleteURL(ctx context.Context, c cloud.Caller, in *DeleteFunctionUrlConfigInput) (*DeleteFunctionUrlConfigOutput, error) {
	r, err := parseURLTarget(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		u, err := r.loadURL(ctx, tx)
		if err != nil {
			return err
		}
		tx.Delete(urlIDKey(u.ID))
		tx.Delete(r.urlKey(r.qualifier))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteFunctionUrlConfigOutput{}, nil
}

// dropURLs deletes the ids of all URLs of a function; the caller deletes the rows.
func (s *Service) dropURLs(ctx context.Context, tx *kv.Tx, f functionID) error {
	rows, err := tx.Scan(ctx, kv.Prefix(f.account, f.region, "url", f.name))
	if err != nil {
		return err
	}
	for _, row := range rows {
		var u urlRow
		if err := kv.DecodeRow(row.Value, &u); err != nil {
			return err
		}
		tx.Delete(urlIDKey(u.ID))
	}
	return nil
}

func (s *Service) listURLs(ctx context.Context, c cloud.Caller, in *ListFunctionUrlConfigsInput) (*ListFunctionUrlConfigsOutput, error) {
	r, err := parseOwn(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	out := &ListFunctionUrlConfigsOutput{FunctionUrlConfigs: []FunctionUrlConfig{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.FunctionUrlConfigs = out.FunctionUrlConfigs[:0]
		if _, err := r.load(ctx, rd); err != nil {
			return orElse(gone(err), notFound("Function does not exist"))
		}
		rows := kv.Prefix(r.account, r.region, "url", r.name)
		next, err := page(ctx, rd, rows, in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			var u urlRow
			if err := kv.DecodeRow(row.Value, &u); err != nil {
				return err
			}
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			at := reference{r.functionID, parts[4].(string)}
			out.FunctionUrlConfigs = append(out.FunctionUrlConfigs, s.urlConfig(at, &u))
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

// allowOrigin is what the URL answers to a page from origin; "" when it must not read the answer.
func allowOrigin(cors *Cors, origin string) string {
	switch {
	case cors == nil || origin == "":
		return ""
	case slices.Contains(cors.AllowOrigins, "*"):
		return "*"
	case slices.ContainsFunc(cors.AllowOrigins, func(o string) bool { return policy.Match(strings.ToLower(o), strings.ToLower(origin)) }):
		return origin
	}
	return ""
}
