package apigatewayv2

import (
	"bytes"
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/apiroute"
)

// Bounds of what serving remembers. A full cache forgets an entry at random: all can be had again.
const (
	maxHomes   = 10000
	maxRouters = 1000
)

// routers remembers where APIs are and what their stages serve.
type routers struct {
	mu     sync.RWMutex // guards the maps
	homes  map[string]homeRow
	stages map[stageID]*router
}

type stageID struct{ api, stage string }

func remember[K comparable, V any](mu *sync.RWMutex, at *map[K]V, limit int, k K, v V) {
	mu.Lock()
	defer mu.Unlock()
	if *at == nil {
		*at = map[K]V{}
	}
	if len(*at) >= limit {
		for victim := range *at {
			delete(*at, victim)
			break
		}
	}
	(*at)[k] = v
}

// home returns whose an API is. Identifiers are random and never used again, so what was found stays true; an API
// that is gone has no stages.
func (s *Service) home(ctx context.Context, id string) (home homeRow, found bool, err error) {
	s.cache.mu.RLock()
	home, found = s.cache.homes[id]
	s.cache.mu.RUnlock()
	if found {
		return home, true, nil
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		found, err = kv.GetRow(ctx, r, homeKey(id), &home)
		return err
	})
	if err == nil && found {
		remember(&s.cache.mu, &s.cache.homes, maxHomes, id, home)
	}
	return home, found, err
}

// A router serves one stage's deployment. It does not change.
type router struct {
	row    []byte // the stage's row that this was made from
	stage  Stage
	cors   *Cors
	off    bool // disableExecuteApiEndpoint
	routes apiroute.Tree[*route]
	rest   *route // $default
}

// A route is one route, compiled.
type route struct {
	key      string
	resource string // its path template, "$default" for that route
	function string // ARN, with stage variables put in; "" without integration
	v2       bool   // payload format 2.0
	timeout  time.Duration
	bucket   *bucket // nil without throttling
}

// router returns the router of the first of the stages that is there, nil for none.
func (s *Service) router(ctx context.Context, c cloud.Caller, api string, stages ...string) (made *router, err error) {
	keys := make([][]byte, len(stages))
	for i, name := range stages {
		keys[i] = partKey(c, api, "stage", name)
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		made = nil
		rows, err := r.GetAll(ctx, keys...)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if row != nil {
				made, err = s.compiled(ctx, r, c, stageID{api, stages[i]}, row)
				return err
			}
		}
		return nil
	})
	return made, err
}

// compiled returns the router for a stage's row: the one that is remembered, if it was made from these bytes.
func (s *Service) compiled(ctx context.Context, r kv.Reader, c cloud.Caller, id stageID, row []byte) (*router, error) {
	s.cache.mu.RLock()
	have := s.cache.stages[id]
	s.cache.mu.RUnlock()
	if have != nil && bytes.Equal(have.row, row) {
		return have, nil
	}
	made := &router{row: bytes.Clone(row)}
	if err := kv.DecodeRow(row, &made.stage); err != nil {
		return nil, err
	}
	var snap snapshot
	if _, err := kv.GetRow(ctx, r, partKey(c, id.api, "snapshot", cloud.Val(made.stage.DeploymentId)), &snap); err != nil {
		return nil, err
	}
	made.cors, made.off = snap.Cors, snap.Disabled
	integrations := map[string]*Integration{}
	for i := range snap.Integrations {
		integrations["integrations/"+*snap.Integrations[i].IntegrationId] = &snap.Integrations[i]
	}
	for i := range snap.Routes {
		made.add(&snap.Routes[i], integrations[cloud.Val(snap.Routes[i].Target)])
	}
	remember(&s.cache.mu, &s.cache.stages, maxRouters, id, made)
	return made, nil
}

func (rt *router) add(r *Route, i *Integration) {
	made := &route{key: *r.RouteKey, bucket: bucketOf(&rt.stage, *r.RouteKey)}
	if i != nil {
		made.function = substitute(functionOf(*i.IntegrationUri), rt.stage.StageVariables)
		made.v2 = *i.PayloadFormatVersion == "2.0"
		made.timeout = time.Duration(*i.TimeoutInMillis) * time.Millisecond
	}
	method, path, ok := strings.Cut(made.key, " ")
	if !ok {
		made.resource, rt.rest = made.key, made
		return
	}
	made.resource = path
	rt.routes.Add(path, method, made)
}

// substitute puts stage variables into ${stageVariables.name}.
func substitute(s string, variables map[string]string) string {
	for {
		before, rest, ok := strings.Cut(s, "${stageVariables.")
		if !ok {
			return s
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return s
		}
		s = before + variables[name] + after
	}
}

// A bucket is the token bucket of one route's throttle. Each node of a cluster has its own.
type bucket struct {
	rate, burst float64

	mu     sync.Mutex // guards the fields below
	tokens float64
	filled time.Time
}

// bucketOf returns the throttle that a stage's settings ask for; nil for none.
func bucketOf(s *Stage, key string) *bucket {
	settings, ok := s.RouteSettings[key]
	if !ok && s.DefaultRouteSettings != nil {
		settings = *s.DefaultRouteSettings
	}
	if settings.ThrottlingBurstLimit == nil && settings.ThrottlingRateLimit == nil {
		return nil
	}
	burst := float64(cloud.Or(settings.ThrottlingBurstLimit, math.MaxInt32))
	return &bucket{rate: cloud.Or(settings.ThrottlingRateLimit, math.Inf(1)), burst: burst, tokens: burst}
}

// take takes one token, if there is one.
func (b *bucket) take(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.filled.IsZero() && now.After(b.filled) {
		b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.filled).Seconds())
	}
	if b.filled.Before(now) {
		b.filled = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
