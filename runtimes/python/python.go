// Package python is the runtime of Python functions.
//
// The bootstrap is our own (bootstrap/bootstrap.py): one bare socket instead of http.client, and errors, context and logs as
// on AWS. A function whose variables reach into Python's own start (PYTHON*, LD_*, AWS_LAMBDA_EXEC_WRAPPER) takes the
// plain path, and so does one whose /tmp is not of the default size; all others are made from stem cells.
//
// Python is started without the site module: a function must see its own packages and not those that the operator has
// installed on the host.
package python

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

//go:embed bootstrap/bootstrap.py
var bootstrap []byte

// identifiers are AWS's, oldest first.
var identifiers = []string{"python2.7", "python3.6", "python3.7", "python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"}

// oldest is the oldest minor version of Python 3 that the bootstrap runs on.
const oldest = 6

// Runtime is the family of Python runtimes.
type Runtime struct {
	search []string
	find   sync.Once
	found  []runtimes.Interpreter // oldest first
}

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters; the first that is found of a version is taken. Nothing
// is run before the first use.
func New(search []string) *Runtime { return &Runtime{search: search} }

// Search is where interpreters usually are. home is the operator's home folder, "" to leave it out.
func Search(home string) []string {
	dirs := []string{"/usr/bin/python3", "/usr/bin/python3.[0-9]*", "/usr/local/bin/python3.[0-9]*", "/opt/python*/bin/python3"}
	if home != "" {
		dirs = append(dirs, home+"/.pyenv/versions/3.*/bin/python3", home+"/.local/share/uv/python/cpython-3.*/bin/python3",
			home+"/.asdf/installs/python/3.*/bin/python3")
	}
	return dirs
}

// Names implements runtimes.Runtime.
func (r *Runtime) Names() []string { return slices.Clone(identifiers) }

// Installed implements runtimes.Runtime.
func (r *Runtime) Installed() []runtimes.Version {
	var list []runtimes.Version
	for _, i := range r.interpreters() {
		list = append(list, runtimes.Version{Name: "python" + i.Major, Version: i.Version, Path: i.Path})
	}
	return list
}

func (r *Runtime) interpreters() []runtimes.Interpreter {
	r.find.Do(func() {
		for _, pattern := range r.search {
			paths, _ := filepath.Glob(pattern)
			for _, path := range paths {
				r.add(path)
			}
		}
		slices.SortFunc(r.found, func(a, b runtimes.Interpreter) int { return compare(a.Major, b.Major) })
	})
	return r.found
}

func (r *Runtime) add(path string) {
	if strings.Contains(filepath.Base(path), "-") {
		return // python3.11-config
	}
	i, ok := runtimes.Locate(path)
	if !ok || slices.ContainsFunc(r.found, func(f runtimes.Interpreter) bool { return f.Path == i.Path }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, i.Path, "--version").Output()
	if err != nil {
		return
	}
	i.Version = strings.TrimPrefix(strings.TrimSpace(string(out)), "Python ")
	major, rest, _ := strings.Cut(i.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if n, err := strconv.Atoi(minor); err != nil || major != "3" || n < oldest {
		return
	}
	i.Major = major + "." + minor
	if !slices.ContainsFunc(r.found, func(f runtimes.Interpreter) bool { return f.Major == i.Major }) {
		r.found = append(r.found, i)
	}
}

// compare orders "3.9" before "3.10".
func compare(a, b string) int {
	number := func(s string) int {
		major, minor, _ := strings.Cut(s, ".")
		x, _ := strconv.Atoi(major)
		y, _ := strconv.Atoi(minor)
		return x*1000 + y
	}
	return cmp.Compare(number(a), number(b))
}

// Plan implements runtimes.Runtime.
func (r *Runtime) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	want := strings.TrimPrefix(fn.Runtime, "python")
	python, ok := runtimes.Nearest(want, r.interpreters(), compare)
	if !ok {
		return runtimes.Plan{}, fmt.Errorf("no Python 3.%d or newer is installed on this host (on Debian: apt-get install python3)", oldest)
	}
	p := runtimes.Plan{Runtime: "python" + python.Major}
	if python.Major != want {
		p.Notice = fmt.Sprintf("%s is not installed on this host: the function runs on Python %s", fn.Runtime, python.Version)
	}
	env := runtimes.Environment(fn, fn.Runtime, map[string]string{"PYTHONPATH": runtimes.RuntimeDir})
	p.Spec = base(python)
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = argv(python)
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		p.Spec.Argv = append([]string{wrapper}, p.Spec.Argv...)
	}
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports

	if plainOnly(env) || fn.TmpBytes != 0 && fn.TmpBytes != driver.DefaultTmpBytes {
		return p, nil
	}
	var err error
	if p.Assignment, err = json.Marshal(map[string]any{"env": env}); err != nil {
		return runtimes.Plan{}, err
	}
	p.Stem, p.StemSpec, p.StemMounts = stem(python, fn)
	return p, nil
}

// base is what plain path and stem cell have in common.
func base(python runtimes.Interpreter) driver.Spec {
	s := python.Root()
	s.Files = maps.Clone(s.Files)
	s.Files[runtimes.RuntimeDir+"/bootstrap.py"] = bootstrap
	return s
}

// argv: -S leaves out site (see the package comment), -B does not try to write .pyc files.
func argv(python runtimes.Interpreter) []string {
	return []string{python.Inside, "-S", "-B", runtimes.RuntimeDir + "/bootstrap.py"}
}

// stem describes the stem cells that can become fn: those of its interpreter. The ports, which cannot be changed later,
// are the same for all functions of a cloud.
func stem(python runtimes.Interpreter, fn runtimes.Function) (string, driver.Spec, []driver.Mount) {
	s := base(python)
	s.Ports = fn.Ports
	s.Limits = driver.Limits{MemoryBytes: 256 << 20}
	env := runtimes.Environment(runtimes.Function{}, "python"+python.Major, nil)
	delete(env, "_HANDLER")
	env["LAMBENT_STEM"] = "1"
	s.Env = runtimes.List(env)
	s.Argv = argv(python)
	return "python" + python.Major, s, runtimes.CodeMounts(fn)
}

// plainOnly reports whether env holds variables that Python, or the loader before it, reads at its own start.
func plainOnly(env map[string]string) bool {
	for k := range env {
		switch {
		case k == "PYTHONPATH" || k == "LD_LIBRARY_PATH":
		case strings.HasPrefix(k, "PYTHON"), strings.HasPrefix(k, "LD_"), strings.HasPrefix(k, "MALLOC_"),
			k == "GLIBC_TUNABLES", k == "AWS_LAMBDA_EXEC_WRAPPER", k == "LC_ALL", k == "LC_CTYPE", k == "OPENSSL_CONF":
			return true
		}
	}
	return env["LANG"] != "en_US.UTF-8"
}
