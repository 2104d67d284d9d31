package apigatewayv2

import (
	"context"
	"crypto/rand"
	"sort"
	"strconv"

	"lambent/cloud"
	"lambent/kv"
)

// Keys. Everything of one API but its own row stands under "part", so that one range holds it all.
//
//	account region "api" id                     → Api
//	account region "part" id "route" rid        → Route
//	account region "part" id "integration" iid  → Integration
//	account region "part" id "deployment" did   → Deployment
//	account region "part" id "snapshot" did     → snapshot
//	account region "part" id "stage" name       → Stage
//	"home" id                                   → homeRow: where an API is, for requests that name it alone

func apiKey(c cloud.Caller, id string) []byte { return kv.Key(c.Account, c.Region, "api", id) }

func apiRange(c cloud.Caller) kv.Range { return kv.Prefix(c.Account, c.Region, "api") }

func partKey(c cloud.Caller, id, noun, name string) []byte {
	return kv.Key(c.Account, c.Region, "part", id, noun, name)
}

func partRange(c cloud.Caller, id, noun string) kv.Range {
	return kv.Prefix(c.Account, c.Region, "part", id, noun)
}

func homeKey(id string) []byte { return kv.Key("home", id) }

// A homeRow says whose an API is.
type homeRow struct{ Account, Region string }

// newID returns n random lower-case letters and digits, API Gateway's form of identifiers.
func newID(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	random := make([]byte, 2*n)
	id := make([]byte, 0, n)
	for len(id) < n {
		_, _ = rand.Read(random) // never fails
		for _, b := range random {
			if int(b) < 256-256%len(alphabet) && len(id) < n { // no letter more likely than another
				id = append(id, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(id)
}

// part reads one part of an API; what names it in the refusal.
func part[T any](ctx context.Context, s *Service, r kv.Reader, c cloud.Caller, api, name *string, noun, what string) (*T, error) {
	if _, err := s.api(ctx, r, c, api); err != nil {
		return nil, err
	}
	var v T
	found, err := kv.GetRow(ctx, r, partKey(c, *api, noun, cloud.Val(name)), &v)
	if err == nil && !found {
		err = notFound("Invalid %s identifier specified", what)
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// view is part with a snapshot of its own, shown as the output O.
func view[O, T any](ctx context.Context, s *Service, c cloud.Caller, api, name *string, noun, what string) (*O, error) {
	var v *T
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		v, err = part[T](ctx, s, r, c, api, name, noun, what)
		return err
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(O), v), nil
}

func scan[T any](ctx context.Context, r kv.Reader, in kv.Range) ([]T, error) {
	rows, err := r.Scan(ctx, in)
	if err != nil {
		return nil, err
	}
	items := make([]T, len(rows))
	for i, row := range rows {
		if err := kv.DecodeRow(row.Value, &items[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// parts lists one kind of part of an API, in pages.
func parts[T any](ctx context.Context, s *Service, c cloud.Caller, api *string, noun string, id func(*T) string, max, token *string) (items []T, next *string, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, api); err != nil {
			return err
		}
		items, err = scan[T](ctx, r, partRange(c, *api, noun))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return page(items, id, max, token)
}

// page cuts the part of a sorted list that follows the token.
func page[T any](items []T, id func(*T) string, max, token *string) ([]T, *string, error) {
	if cloud.Val(token) != "" {
		i := sort.Search(len(items), func(i int) bool { return id(&items[i]) > *token })
		items = items[i:]
	}
	if max == nil {
		return items, nil, nil
	}
	n, err := strconv.Atoi(*max)
	if err != nil || n < 1 {
		return nil, nil, badRequest("Invalid value for maxResults: %s", *max)
	}
	if len(items) <= n {
		return items, nil, nil
	}
	items = items[:n]
	return items, new(id(&items[n-1])), nil
}
