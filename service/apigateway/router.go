package apigateway

import (
	"bytes"
	"context"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/apiroute"
	"lambent/lang/jsonschema"
	"lambent/lang/vtl"
)

// Bounds of what the endpoint remembers. A full cache forgets an entry at random: all can be had again.
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
	row      []byte // the stage's row that this was made from
	stage    Stage
	settings snapshotSettings
	answers  map[string]*gatewayAnswer // by responseType
	routes   apiroute.Tree[*route]
}

// A route is one method, compiled.
type route struct {
	resourceID, path, verb string
	method                 *Method
	timeout                time.Duration
	function               string // ARN, with stage variables put in
	request                map[string]*vtl.Template
	responses              []*response // those with a selection pattern first, the default last
	required               []string    // "header.X": parameters that the validator asks for
	schemas                map[string]*jsonschema.Schema
	validateBody           bool
	bucket                 *bucket // nil without throttling
}

// A response is an integration response, compiled.
type response struct {
	IntegrationResponse
	status    int
	pattern   *regexp.Regexp
	templates map[string]*vtl.Template
}

// router returns the router of a stage; nil when there is no such stage.
func (s *Service) router(ctx context.Context, c cloud.Caller, api, stage string) (*router, error) {
	id, key := stageID{api, stage}, partKey(c, api, "stage", stage)
	s.cache.mu.RLock()
	have := s.cache.stages[id]
	s.cache.mu.RUnlock()
	var made *router
	err := s.kv.View(ctx, func(r kv.Reader) error {
		made = nil
		row, err := r.Get(ctx, key)
		if err != nil || row == nil {
			return err
		}
		if have != nil && bytes.Equal(have.row, row) {
			made = have
			return nil
		}
		made, err = compile(ctx, r, c, api, row)
		return err
	})
	if err != nil || made == nil {
		return nil, err
	}
	if made != have {
		remember(&s.cache.mu, &s.cache.stages, maxRouters, id, made)
	}
	return made, nil
}

func compile(ctx context.Context, r kv.Reader, c cloud.Caller, api string, row []byte) (*router, error) {
	out := &router{row: bytes.Clone(row), answers: map[string]*gatewayAnswer{}}
	if err := kv.DecodeRow(row, &out.stage); err != nil {
		return nil, err
	}
	snap, err := loadSnapshot(ctx, r, c, api, cloud.Val(out.stage.DeploymentId))
	if err != nil || snap == nil {
		return nil, err
	}
	out.settings = snap.settings
	for i := range snap.settings.Responses {
		a := compileAnswer(&snap.settings.Responses[i])
		out.answers[*a.ResponseType] = a
	}
	schemas := compileSchemas(snap.models)
	for i := range snap.methods {
		m := &snap.methods[i]
		rt, err := compileRoute(m, &out.stage, schemas)
		if err != nil {
			return nil, err
		}
		out.routes.Add(m.Path, *m.Method.HttpMethod, rt)
	}
	return out, nil
}

func compileRoute(m *snapshotMethod, stage *Stage, schemas map[string]*jsonschema.Schema) (*route, error) {
	i := m.Method.MethodIntegration
	rt := &route{
		resourceID: m.ResourceID, path: m.Path, verb: *m.Method.HttpMethod, method: &m.Method,
		timeout: time.Duration(*i.TimeoutInMillis) * time.Millisecond,
		bucket:  bucketOf(stage, m.Path, *m.Method.HttpMethod),
	}
	if arn, ok := functionOf(cloud.Val(i.Uri)); ok {
		rt.function = substitute(arn, stage.Variables)
	}
	var err error
	if rt.request, err = parseTemplates(i.RequestTemplates); err != nil {
		return nil, err
	}
	for _, status := range slices.Sorted(maps.Keys(i.IntegrationResponses)) {
		r, err := compileResponse(i.IntegrationResponses[status])
		if err != nil {
			return nil, err
		}
		rt.responses = append(rt.responses, r)
	}
	slices.SortStableFunc(rt.responses, func(a, b *response) int {
		switch {
		case (a.pattern == nil) == (b.pattern == nil):
			return 0
		case a.pattern == nil:
			return 1
		}
		return -1
	})
	rt.addValidation(m, schemas)
	return rt, nil
}

func (rt *route) addValidation(m *snapshotMethod, schemas map[string]*jsonschema.Schema) {
	if m.Validator == nil {
		return
	}
	if cloud.Val(m.Validator.ValidateRequestParameters) {
		for p, required := range m.Method.RequestParameters {
			if required {
				rt.required = append(rt.required, strings.TrimPrefix(p, "method.request."))
			}
		}
		order := map[string]int{"header": 0, "path": 1, "querystring": 2}
		slices.SortFunc(rt.required, func(a, b string) int {
			ka, na, _ := strings.Cut(a, ".")
			kb, nb, _ := strings.Cut(b, ".")
			if ka != kb {
				return order[ka] - order[kb]
			}
			return strings.Compare(na, nb)
		})
	}
	if cloud.Val(m.Validator.ValidateRequestBody) {
		rt.validateBody = true
		rt.schemas = map[string]*jsonschema.Schema{}
		for contentType, name := range m.Method.RequestModels {
			if schema := schemas[name]; schema != nil {
				rt.schemas[contentType] = schema
			}
		}
	}
}

func compileResponse(r IntegrationResponse) (*response, error) {
	out := &response{IntegrationResponse: r}
	for _, d := range *r.StatusCode { // three digits, the model says
		out.status = out.status*10 + int(d-'0')
	}
	var err error
	if p := cloud.Val(r.SelectionPattern); p != "" {
		if out.pattern, err = regexp.Compile("^(?:" + p + ")$"); err != nil {
			return nil, err
		}
	}
	out.templates, err = parseTemplates(r.ResponseTemplates)
	return out, err
}

func parseTemplates(sources map[string]string) (map[string]*vtl.Template, error) {
	out := map[string]*vtl.Template{}
	for contentType, source := range sources {
		t, err := vtl.Parse(source)
		if err != nil {
			return nil, err
		}
		out[contentType] = t
	}
	return out, nil
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

// A bucket is the token bucket of one method's throttle. Each node of a cluster has its own.
type bucket struct {
	rate, burst float64

	mu     sync.Mutex // guards the fields below
	tokens float64
	filled time.Time
}

// bucketOf returns the throttle that a stage's method settings ask for; nil for none.
func bucketOf(s *Stage, path, verb string) *bucket {
	setting, ok := s.MethodSettings[strings.TrimPrefix(path, "/")+"/"+verb]
	if !ok {
		if setting, ok = s.MethodSettings["*/*"]; !ok {
			return nil
		}
	}
	rate, burst := cloud.Or(setting.ThrottlingRateLimit, math.Inf(1)), float64(cloud.Or(setting.ThrottlingBurstLimit, math.MaxInt32))
	return &bucket{rate: rate, burst: burst, tokens: burst}
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
