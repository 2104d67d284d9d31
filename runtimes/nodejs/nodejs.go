// Package nodejs is the runtime of Node.js functions.
//
// The bootstrap is our own (bootstrap/index.js): one bare socket instead of the http module, CommonJS and ES modules, and
// errors, context and logs as on AWS. A function whose variables reach into Node's own start (NODE_OPTIONS and its kin,
// LD_*, AWS_LAMBDA_EXEC_WRAPPER), or whose /tmp is not of the default size, takes the plain path; all others are made from
// stem cells.
package nodejs

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

//go:embed bootstrap/index.js
var bootstrap []byte

// identifiers are AWS's, oldest first, each with the version that it means.
var identifiers = []struct{ name, major string }{
	{"nodejs", "0"}, {"nodejs4.3", "4"}, {"nodejs6.10", "6"}, {"nodejs8.10", "8"}, {"nodejs10.x", "10"}, {"nodejs12.x", "12"},
	{"nodejs14.x", "14"}, {"nodejs16.x", "16"}, {"nodejs18.x", "18"}, {"nodejs20.x", "20"}, {"nodejs22.x", "22"}, {"nodejs24.x", "24"},
}

// oldest is the oldest version that the bootstrap runs on.
const oldest = 16

// Runtime is the family of Node.js runtimes.
type Runtime struct {
	found runtimes.Interpreters
	shelf runtimes.Shelf
}

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters.
func New(search []string) *Runtime {
	return &Runtime{found: runtimes.Interpreters{Search: search, Version: version, Compare: compare}}
}

// Carry makes functions see the SDKs that the shelf has: see SDK and SDKv2.
func (r *Runtime) Carry(shelf runtimes.Shelf) *Runtime {
	r.shelf = shelf
	return r
}

// Search is where interpreters usually are. home is the operator's home folder, "" to leave it out.
func Search(home string) []string {
	dirs := []string{"/usr/bin/node", "/usr/bin/nodejs", "/usr/local/bin/node", "/opt/node*/bin/node", "/usr/local/lib/nodejs/*/bin/node"}
	if home != "" {
		dirs = append(dirs, home+"/.nvm/versions/node/*/bin/node", home+"/.volta/tools/image/node/*/bin/node", home+"/.asdf/installs/nodejs/*/bin/node")
	}
	return dirs
}

// Names implements runtimes.Runtime.
func (r *Runtime) Names() []string {
	var names []string
	for _, i := range identifiers {
		names = append(names, i.name)
	}
	return names
}

// Installed implements runtimes.Runtime.
func (r *Runtime) Installed() []runtimes.Version {
	var list []runtimes.Version
	for _, i := range r.found.All() {
		list = append(list, runtimes.Version{Name: "nodejs" + i.Major + ".x", Version: i.Version, Path: i.Path})
	}
	return list
}

// version reads "v20.11.1".
func version(printed string) (full, major string, ok bool) {
	full = strings.TrimPrefix(strings.TrimSpace(printed), "v")
	major, _, _ = strings.Cut(full, ".")
	n, err := strconv.Atoi(major)
	return full, major, err == nil && n >= oldest
}

func compare(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Compare(x, y)
}

// Plan implements runtimes.Runtime.
func (r *Runtime) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	var want string
	for _, i := range identifiers {
		if i.name == fn.Runtime {
			want = i.major
		}
	}
	node, ok := r.found.Nearest(want)
	if !ok {
		return runtimes.Plan{}, fmt.Errorf("no Node.js of version %d or newer is installed on this host (on Debian: apt-get install nodejs)", oldest)
	}
	p := runtimes.Plan{Runtime: "nodejs" + node.Major + ".x"}
	if node.Major != want {
		p.Notice = fmt.Sprintf("%s is not installed on this host: the function runs on Node.js %s", fn.Runtime, node.Version)
	}
	env := runtimes.Environment(fn, fn.Runtime, map[string]string{
		"NODE_PATH": strings.Join([]string{"/opt/nodejs/node" + node.Major + "/node_modules", "/opt/nodejs/node_modules",
			sdkDir + "/node_modules", oldSDKDir + "/node_modules", runtimes.RuntimeDir, runtimes.TaskRoot}, ":"),
	})
	p.Spec = r.base(node)
	p.Spec.Mounts = append(p.Spec.Mounts, r.oldSDK(want)...)
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = argv(node, fn, env)
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports

	if plainOnly(env) || fn.TmpBytes != 0 && fn.TmpBytes != driver.DefaultTmpBytes {
		return p, nil
	}
	var err error
	if p.Assignment, err = json.Marshal(map[string]any{"env": env}); err != nil {
		return runtimes.Plan{}, err
	}
	p.Stem, p.StemSpec, p.StemMounts = r.stem(node, fn)
	p.StemMounts = append(p.StemMounts, r.oldSDK(want)...)
	return p, nil
}

// base is what plain path and stem cell have in common.
func (r *Runtime) base(node runtimes.Interpreter) driver.Spec {
	s := node.Root()
	s.Mounts = append(s.Mounts, r.sdk()...)
	s.Dirs = append(s.Dirs, sdkDir, oldSDKDir)
	s.Links = maps.Clone(s.Links)
	s.Links["/node_modules"] = sdkDir + "/node_modules" // where import looks last; it knows no NODE_PATH
	s.Files = maps.Clone(s.Files)
	s.Files[runtimes.RuntimeDir+"/index.js"] = bootstrap
	return s
}

func argv(node runtimes.Interpreter, fn runtimes.Function, env map[string]string) []string {
	list := []string{node.Inside}
	if mb := fn.Limits.MemoryBytes >> 20; mb > 0 {
		list = append(list, "--max-old-space-size="+strconv.FormatInt(max(64, mb*9/10), 10))
	}
	list = append(list, runtimes.RuntimeDir+"/index.js")
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		list = append([]string{wrapper}, list...)
	}
	return list
}

// stem describes the stem cells that can become fn: those of its interpreter. The ports, which cannot be changed later,
// are the same for all functions of a cloud.
func (r *Runtime) stem(node runtimes.Interpreter, fn runtimes.Function) (string, driver.Spec, []driver.Mount) {
	s := r.base(node)
	s.Ports = fn.Ports
	s.Limits = driver.Limits{MemoryBytes: 256 << 20}
	env := runtimes.Environment(runtimes.Function{}, "nodejs"+node.Major+".x", nil)
	delete(env, "_HANDLER")
	env["LAMBENT_STEM"] = "1"
	s.Env = runtimes.List(env)
	s.Argv = []string{node.Inside, runtimes.RuntimeDir + "/index.js"}
	name := "nodejs" + node.Major + ".x"
	if len(r.sdk()) > 0 {
		name += "+sdk" // those that wait from before it was added do not see it
	}
	return name, s, runtimes.CodeMounts(fn)
}

// plainOnly reports whether env holds variables that Node.js, or the loader before it, reads at its own start.
func plainOnly(env map[string]string) bool {
	for k, v := range env {
		switch {
		case runtimes.Trusts(k, v):
		case k == "NODE_PATH" || k == "NODE_ENV" || k == "LD_LIBRARY_PATH":
		case strings.HasPrefix(k, "NODE_"), strings.HasPrefix(k, "LD_"), strings.HasPrefix(k, "MALLOC_"),
			k == "GLIBC_TUNABLES", k == "AWS_LAMBDA_EXEC_WRAPPER", k == "OPENSSL_CONF", k == "SSL_CERT_FILE", k == "SSL_CERT_DIR":
			return true
		}
	}
	return false
}
