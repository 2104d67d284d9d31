// Package ruby is the runtime of Ruby functions.
//
// The bootstrap is our own (bootstrap/bootstrap.rb): one bare socket, handlers FILE.METHOD and FILE.CLASS.METHOD, and
// errors, context and logs as AWS's client for Ruby has them. A function whose variables reach into Ruby's own start (RUBY*,
// GEM_*, LD_*, AWS_LAMBDA_EXEC_WRAPPER), or whose /tmp is not of the default size, takes the plain path; all others are made
// from stem cells.
package ruby

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

//go:embed bootstrap/bootstrap.rb
var bootstrap []byte

// identifiers are AWS's, oldest first.
var identifiers = []string{"ruby2.5", "ruby2.7", "ruby3.2", "ruby3.3", "ruby3.4"}

// Runtime is the family of Ruby runtimes.
type Runtime struct{ found runtimes.Interpreters }

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters.
func New(search []string) *Runtime {
	return &Runtime{runtimes.Interpreters{Search: search, Version: version, Compare: compare}}
}

// Search is where interpreters usually are. home is the operator's home folder, "" to leave it out.
func Search(home string) []string {
	dirs := []string{"/usr/bin/ruby", "/usr/bin/ruby[0-9].[0-9]", "/usr/local/bin/ruby", "/opt/ruby*/bin/ruby"}
	if home != "" {
		dirs = append(dirs, home+"/.rbenv/versions/*/bin/ruby", home+"/.rvm/rubies/*/bin/ruby", home+"/.asdf/installs/ruby/*/bin/ruby")
	}
	return dirs
}

// Names implements runtimes.Runtime.
func (r *Runtime) Names() []string { return slices.Clone(identifiers) }

// Installed implements runtimes.Runtime.
func (r *Runtime) Installed() []runtimes.Version {
	var list []runtimes.Version
	for _, i := range r.found.All() {
		list = append(list, runtimes.Version{Name: "ruby" + i.Major, Version: i.Version, Path: i.Path})
	}
	return list
}

// oldest is the oldest version that the bootstrap runs on.
const oldest = "2.7"

// version reads "ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) [x86_64-linux-gnu]".
func version(printed string) (full, major string, ok bool) {
	fields := strings.Fields(printed)
	if len(fields) < 2 || fields[0] != "ruby" {
		return "", "", false
	}
	full, _, _ = strings.Cut(fields[1], "p")
	parts := strings.Split(full, ".")
	if len(parts) < 3 {
		return "", "", false
	}
	major = parts[0] + "." + parts[1]
	return full, major, compare(major, oldest) >= 0
}

// compare orders "2.7" before "3.2".
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
	want := strings.TrimPrefix(fn.Runtime, "ruby")
	ruby, ok := r.found.Nearest(want)
	if !ok {
		return runtimes.Plan{}, fmt.Errorf("no Ruby %s or newer is installed on this host (on Debian: apt-get install ruby)", oldest)
	}
	p := runtimes.Plan{Runtime: "ruby" + ruby.Major}
	if ruby.Major != want {
		p.Notice = fmt.Sprintf("%s is not installed on this host: the function runs on Ruby %s", fn.Runtime, ruby.Version)
	}
	env := environment(ruby, fn, fn.Runtime)
	p.Spec = base(ruby)
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = argv(ruby)
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		p.Spec.Argv = append([]string{wrapper}, p.Spec.Argv...)
	}
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports

	if plainOnly(fn.Env) || fn.TmpBytes != 0 && fn.TmpBytes != driver.DefaultTmpBytes {
		return p, nil
	}
	var err error
	if p.Assignment, err = json.Marshal(map[string]any{"env": env}); err != nil {
		return runtimes.Plan{}, err
	}
	p.Stem, p.StemSpec, p.StemMounts = stem(ruby, fn)
	return p, nil
}

// environment adds the folders of gems that a function or its layers bring. They are named by the interface of the
// interpreter that runs here, as compiled gems fit no other.
func environment(ruby runtimes.Interpreter, fn runtimes.Function, name string) map[string]string {
	gems := runtimes.TaskRoot + "/vendor/bundle/ruby/" + ruby.Major + ".0"
	return runtimes.Environment(fn, name, map[string]string{
		"GEM_HOME": gems,
		"GEM_PATH": gems + ":/opt/ruby/gems/" + ruby.Major + ".0",
		"RUBYLIB":  runtimes.TaskRoot + ":/opt/ruby/lib",
	})
}

// base is what plain path and stem cell have in common. A Ruby knows its own place from when it was built: one that is
// not the system's is shown where it is on the host.
func base(ruby runtimes.Interpreter) driver.Spec {
	s := runtimes.HostRoot()
	if ruby.Prefix != "" {
		s.Mounts = append(s.Mounts, driver.Mount{Source: ruby.Prefix, Target: ruby.Prefix})
	}
	s.Files = maps.Clone(s.Files)
	s.Files[runtimes.RuntimeDir+"/bootstrap.rb"] = bootstrap
	return s
}

func argv(ruby runtimes.Interpreter) []string {
	return []string{ruby.Path, runtimes.RuntimeDir + "/bootstrap.rb"}
}

// stem describes the stem cells that can become fn: those of its interpreter. The ports, which cannot be changed later,
// are the same for all functions of a cloud.
func stem(ruby runtimes.Interpreter, fn runtimes.Function) (string, driver.Spec, []driver.Mount) {
	s := base(ruby)
	s.Ports = fn.Ports
	s.Limits = driver.Limits{MemoryBytes: 256 << 20}
	env := environment(ruby, runtimes.Function{}, "ruby"+ruby.Major)
	delete(env, "_HANDLER")
	env["LAMBENT_STEM"] = "1"
	s.Env = runtimes.List(env)
	s.Argv = argv(ruby)
	return "ruby" + ruby.Major, s, runtimes.CodeMounts(fn)
}

// plainOnly reports whether the function's own variables are such that Ruby, or the loader before it, reads at its start.
func plainOnly(env map[string]string) bool {
	for k, v := range env {
		switch {
		case runtimes.Trusts(k, v):
		case strings.HasPrefix(k, "RUBY"), strings.HasPrefix(k, "GEM_"), strings.HasPrefix(k, "LD_"), strings.HasPrefix(k, "MALLOC_"),
			k == "GLIBC_TUNABLES", k == "AWS_LAMBDA_EXEC_WRAPPER", k == "LANG", k == "LC_ALL", k == "LC_CTYPE", k == "OPENSSL_CONF":
			return true
		}
	}
	return false
}
