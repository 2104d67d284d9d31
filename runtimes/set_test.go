package runtimes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/runtimes"
	"lambent/runtimes/provided"
	"lambent/sandbox/driver"
)

func TestUnknownRuntime(t *testing.T) {
	s := runtimes.NewSet(provided.Runtime{})
	_, err := s.Plan(runtimes.Function{Runtime: "cobol85"})
	if cloud.FaultCode(err) != "InvalidRuntimeException" || !strings.Contains(err.Error(), "cobol85") {
		t.Errorf("got %v", err)
	}
	if s.Known("cobol85") || !s.Known("provided.al2023") {
		t.Error("Known")
	}
}

func TestHostRootShowsOnlyTheSystem(t *testing.T) {
	private := []string{"/root", "/home", "/var", "/srv", "/run", "/usr/local", "/etc/shadow", "/etc/passwd", "/proc", "/sys"}
	below := func(name, dir string) bool { return strings.HasPrefix(name+"/", strings.TrimSuffix(dir, "/")+"/") }
	for _, m := range runtimes.HostRoot().Mounts {
		for _, p := range private {
			if below(m.Source, p) || below(p, m.Source) {
				t.Errorf("the mount of %s shows %s", m.Source, p)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := runtimes.Environment(runtimes.Function{Handler: "a.b", Env: map[string]string{"PATH": "/mine", "_HANDLER": "not.this"}}, "x1", map[string]string{"D": "default"})
	if env["PATH"] != "/mine" || env["_HANDLER"] != "a.b" || env["D"] != "default" || env["AWS_EXECUTION_ENV"] != "AWS_Lambda_x1" {
		t.Errorf("%v", env)
	}
}

// neighbour is a runtime that always runs functions on another version.
type neighbour struct{}

func (neighbour) Names() []string               { return []string{"x1", "x2"} }
func (neighbour) Installed() []runtimes.Version { return []runtimes.Version{{Name: "x2"}} }
func (neighbour) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	if fn.Runtime == "x2" {
		return runtimes.Plan{Runtime: "x2"}, nil
	}
	return runtimes.Plan{Runtime: "x2", Notice: "runs on x2"}, nil
}

// absent is a runtime of a language that the host has not.
type absent struct{}

func (absent) Names() []string               { return []string{"y1"} }
func (absent) Installed() []runtimes.Version { return nil }
func (absent) Plan(runtimes.Function) (runtimes.Plan, error) {
	return runtimes.Plan{}, errors.New("no Y is installed (apt-get install y)")
}

// TestVersionsThatTheHostLacks: the name is known all the same, as on AWS, where a function is made before it is run.
func TestVersionsThatTheHostLacks(t *testing.T) {
	nearest, exact := runtimes.NewSet(neighbour{}, absent{}), runtimes.NewSet(neighbour{}, absent{}).Exact()
	for _, tt := range []struct {
		name    string
		set     *runtimes.Set
		runtime string
		refused string // "" when it runs
		note    string
	}{
		{"the version itself", nearest, "x2", "", ""},
		{"another version", nearest, "x1", "", "runs on x2"},
		{"no interpreter", nearest, "y1", "The runtime y1 cannot run here: no Y is installed (apt-get install y). This host has x2.", "apt-get install y"},
		{"the version itself, exactly", exact, "x2", "", ""},
		{"another version, exactly", exact, "x1", "--runtime-fallback none forbids another version", "The runtime x1 cannot run here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.set.Known(tt.runtime) {
				t.Error("not known")
			}
			_, err := tt.set.Plan(runtimes.Function{Runtime: tt.runtime})
			if tt.refused == "" && err != nil || tt.refused != "" && (cloud.FaultCode(err) != "InvalidRuntimeException" || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("plan: %v", err)
			}
			if note := tt.set.Note(""); note != "" {
				t.Errorf("without a runtime: %q", note)
			}
			if note := tt.set.Note(tt.runtime); (note == "") != (tt.note == "") || !strings.Contains(note, tt.note) {
				t.Errorf("note: %q, want %q", note, tt.note)
			}
		})
	}
}

// stemmed is a runtime with stem cells that shows its function's environment.
type stemmed struct{ neighbour }

func (stemmed) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	env := runtimes.List(fn.Env)
	return runtimes.Plan{Runtime: "x1", Stem: "x1", Spec: driver.Spec{Env: env}}, nil
}

func TestTrust(t *testing.T) {
	has := func(s driver.Spec, source, target string) bool {
		return slices.Contains(s.Mounts, driver.Mount{Source: source, Target: target})
	}
	fn := runtimes.Function{Runtime: "x1", Env: map[string]string{"AWS_CA_BUNDLE": "/var/task/mine.pem"}}
	p, err := runtimes.NewSet(stemmed{}).Trust("/host/ca.pem", "/host/bundle.pem").Plan(fn)
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]driver.Spec{"plain": p.Spec, "stem": p.StemSpec} {
		if !has(spec, "/host/ca.pem", "/var/runtime/ca.pem") || !has(spec, "/host/bundle.pem", "/var/runtime/bundle.pem") ||
			!slices.Contains(spec.Env, "NODE_EXTRA_CA_CERTS=/var/runtime/ca.pem") {
			t.Errorf("%s: %+v", name, spec)
		}
	}
	if !slices.Contains(p.Spec.Env, "AWS_CA_BUNDLE=/var/task/mine.pem") || fn.Env["SSL_CERT_FILE"] != "" {
		t.Errorf("the function's own: %q, %v", p.Spec.Env, fn.Env)
	}
	if p, err := runtimes.NewSet(stemmed{}).Plan(fn); err != nil || len(p.Spec.Mounts) != 0 || len(p.Spec.Env) != 1 {
		t.Errorf("without: %v %+v", err, p.Spec)
	}
}
