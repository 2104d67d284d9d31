package runtimes

import (
	"fmt"
	"slices"

	"lambent/cloud"
)

// Set is the runtimes of one cloud.
type Set struct {
	exact    bool // no other version than the one named
	families []Runtime
	byName   map[string]Runtime
}

// NewSet returns the set of the given families. When two answer for the same name the first wins.
func NewSet(families ...Runtime) *Set {
	s := &Set{families: families, byName: make(map[string]Runtime)}
	for _, f := range families {
		for _, name := range f.Names() {
			if _, taken := s.byName[name]; !taken {
				s.byName[name] = f
			}
		}
	}
	return s
}

// Exact makes the set refuse functions whose version the host lacks, rather than run them on another.
func (s *Set) Exact() *Set {
	s.exact = true
	return s
}

// Plan says how to start fn. A runtime that nothing here can run is a cloud.Fault
// InvalidParameterValueException that names it.
func (s *Set) Plan(fn Function) (Plan, error) {
	f, ok := s.byName[fn.Runtime]
	if !ok {
		return Plan{}, cloud.Faultf("InvalidParameterValueException",
			"The runtime %s is not supported here. Runtimes on this host: %v", fn.Runtime, s.names())
	}
	plan, err := f.Plan(fn)
	if err != nil {
		return Plan{}, fmt.Errorf("runtime %s: %w", fn.Runtime, err)
	}
	if s.exact && plan.Notice != "" {
		return Plan{}, cloud.Faultf("InvalidParameterValueException",
			"The runtime %s is not installed on this host, and --runtime-fallback none forbids another version. Runtimes on this host: %v", fn.Runtime, s.names())
	}
	return plan, nil
}

// Known reports whether name is a runtime identifier that some family answers for, installed or not.
func (s *Set) Known(name string) bool { return s.byName[name] != nil }

// Installed lists every interpreter found, for doctor.
func (s *Set) Installed() []Version {
	var all []Version
	for _, f := range s.families {
		all = append(all, f.Installed()...)
	}
	return all
}

func (s *Set) names() []string {
	var names []string
	for _, v := range s.Installed() {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
