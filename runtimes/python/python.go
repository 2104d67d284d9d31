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
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	found runtimes.Interpreters
	shelf runtimes.Shelf
}

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters.
func New(search []string) *Runtime {
	return &Runtime{found: runtimes.Interpreters{Search: search, Version: version, Compare: compare}}
}

// Carry makes functions see the SDK that the shelf has: see SDK.
func (r *Runtime) Carry(shelf runtimes.Shelf) *Runtime {
	r.shelf = shelf
	return r
}

// SDK is the AWS SDK for Python, which AWS's runtimes carry.
func SDK() runtimes.Part {
	return runtimes.Part{
		Name: "python-sdk", Use: "boto3 for Python functions that do not bring it", Package: "python3-pip",
		Command: []string{"python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--target", ".", "boto3"},
	}
}

// sdkDir is where a function finds it: after what it and its layers bring.
const sdkDir = runtimes.RuntimeDir + "/sdk"

// Search is where interpreters usually are. home is the operator's home folder, "" to leave it out.
func Search(home string) []string {
	dirs := []string{"/usr/bin/python3", "/usr/bin/python3.[0-9]", "/usr/bin/python3.[0-9][0-9]", // and not python3.11-config
		"/usr/local/bin/python3.[0-9]", "/usr/local/bin/python3.[0-9][0-9]", "/opt/python*/bin/python3"}
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
	for _, i := range r.found.All() {
		list = append(list, runtimes.Version{Name: "python" + i.Major, Version: i.Version, Path: i.Path})
	}
	return list
}

// version reads "Python 3.11.2".
func version(printed string) (full, major string, ok bool) {
	full, ok = strings.CutPrefix(strings.TrimSpace(printed), "Python ")
	three, rest, _ := strings.Cut(full, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return full, three + "." + minor, ok && three == "3" && err == nil && n >= oldest
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
	python, ok := r.found.Nearest(want)
	if !ok {
		return runtimes.Plan{}, fmt.Errorf("no Python 3.%d or newer is installed on this host (on Debian: apt-get install python3)", oldest)
	}
	p := runtimes.Plan{Runtime: "python" + python.Major}
	if python.Major != want {
		p.Notice = fmt.Sprintf("%s is not installed on this host: the function runs on Python %s", fn.Runtime, python.Version)
	}
	env := runtimes.Environment(fn, fn.Runtime, map[string]string{"PYTHONPATH": runtimes.RuntimeDir})
	p.Spec = r.base(python)
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
	p.Stem, p.StemSpec, p.StemMounts = r.stem(python, fn)
	return p, nil
}

// base is what plain path and stem cell have in common.
func (r *Runtime) base(python runtimes.Interpreter) driver.Spec {
	s := python.Root()
	if dir := r.shelf.Find(SDK().Name); dir != "" {
		s.Mounts = append(s.Mounts, driver.Mount{Source: dir, Target: sdkDir})
	}
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
func (r *Runtime) stem(python runtimes.Interpreter, fn runtimes.Function) (string, driver.Spec, []driver.Mount) {
	s := r.base(python)
	s.Ports = fn.Ports
	s.Limits = driver.Limits{MemoryBytes: 256 << 20}
	env := runtimes.Environment(runtimes.Function{}, "python"+python.Major, nil)
	delete(env, "_HANDLER")
	env["LAMBENT_STEM"] = "1"
	s.Env = runtimes.List(env)
	s.Argv = argv(python)
	name := "python" + python.Major
	if r.shelf.Find(SDK().Name) != "" {
		name += "+sdk" // those that wait from before it was added do not see it
	}
	return name, s, runtimes.CodeMounts(fn)
}

// plainOnly reports whether env holds variables that Python, or the loader before it, reads at its own start.
func plainOnly(env map[string]string) bool {
	for k, v := range env {
		switch {
		case runtimes.Trusts(k, v):
		case k == "PYTHONPATH" || k == "LD_LIBRARY_PATH":
		case strings.HasPrefix(k, "PYTHON"), strings.HasPrefix(k, "LD_"), strings.HasPrefix(k, "MALLOC_"),
			k == "GLIBC_TUNABLES", k == "AWS_LAMBDA_EXEC_WRAPPER", k == "LC_ALL", k == "LC_CTYPE", k == "OPENSSL_CONF":
			return true
		}
	}
	return env["LANG"] != "en_US.UTF-8"
}
