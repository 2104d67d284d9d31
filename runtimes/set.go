package runtimes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"lambent/cloud"
	"lambent/sandbox/driver"
)

// Set is the runtimes of one cloud.
type Set struct {
	exact    bool // no other version than the one named
	families []Runtime
	byName   map[string]Runtime

	trust    []driver.Mount // see Trust
	keyStore func() ([]byte, error)

	mu    sync.Mutex
	notes map[string]string // by runtime; what a host has does not change while we run
}

// NewSet returns the set of the given families. When two answer for the same name the first wins.
func NewSet(families ...Runtime) *Set {
	s := &Set{families: families, byName: make(map[string]Runtime), notes: make(map[string]string)}
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

// Plan says how to start fn. Where nothing here can run it, the error is a cloud.Fault InvalidRuntimeException that
// names what is missing and how to get it.
func (s *Set) Plan(fn Function) (Plan, error) {
	plan, err := s.plan(fn)
	if err != nil {
		return Plan{}, cloud.Faultf("InvalidRuntimeException", "%s", s.refusal(fn.Runtime, err))
	}
	return plan, nil
}

func (s *Set) plan(fn Function) (Plan, error) {
	f, ok := s.byName[fn.Runtime]
	if !ok {
		return Plan{}, errors.New("no language of this cloud answers to that name")
	}
	plan, err := f.Plan(s.trusting(fn))
	if err == nil {
		plan, err = s.trusted(f, plan)
	}
	if err == nil && s.exact && plan.Notice != "" {
		err = errors.New("it is not installed on this host and --runtime-fallback none forbids another version; install it, or start the cloud with --runtime-fallback nearest")
	}
	return plan, err
}

func (s *Set) refusal(runtime string, why error) string {
	have := "nothing"
	if names := s.names(); len(names) > 0 {
		have = strings.Join(names, ", ")
	}
	return fmt.Sprintf("The runtime %s cannot run here: %v. This host has %s.", runtime, why, have)
}

// Note is "" when functions of that runtime run on the version that they name, and else one line for people: which
// other version runs them, or why none does. A function without a runtime, which brings its own, has none.
func (s *Set) Note(runtime string) string {
	if runtime == "" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	note, known := s.notes[runtime]
	if !known {
		note = s.note(runtime)
	}
	if s.byName[runtime] != nil { // nothing is kept of names that clients make up
		s.notes[runtime] = note
	}
	return note
}

func (s *Set) note(runtime string) string {
	plan, err := s.plan(Function{Runtime: runtime})
	if err != nil {
		return s.refusal(runtime, err)
	}
	return plan.Notice
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
