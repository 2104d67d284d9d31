package conformance

import (
	"regexp"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// registry keeps the cloud of each script that runs.
type registry struct {
	mu      sync.Mutex
	servers map[string]*server
}

func newRegistry() *registry { return &registry{servers: map[string]*server{}} }

func (r *registry) put(script string, s *server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers[script] = s
}

func (r *registry) get(script string) *server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servers[script]
}

func (r *registry) take(script string) *server {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.servers[script]
	delete(r.servers, script)
	return s
}

func mustCompile(ts *testscript.TestScript, expression string) *regexp.Regexp {
	re, err := regexp.Compile(expression)
	ts.Check(err)
	return re
}
