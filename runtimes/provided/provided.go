// Package provided is the runtime of functions that bring their own: an executable named bootstrap that speaks the Lambda
// Runtime API (Go, Rust, custom runtimes). It has no stem cells: nothing is booted before the function's own program.
package provided

import (
	"fmt"
	"os"
	"path/filepath"

	"lambent/runtimes"
)

// Runtime is the family of runtimes for functions that bring their own.
type Runtime struct{}

var _ runtimes.Runtime = Runtime{}

// Names implements runtimes.Runtime.
func (Runtime) Names() []string { return []string{"provided", "provided.al2", "provided.al2023"} }

// Installed implements runtimes.Runtime: there is nothing to install.
func (r Runtime) Installed() []runtimes.Version {
	var list []runtimes.Version
	for _, name := range r.Names() {
		list = append(list, runtimes.Version{Name: name})
	}
	return list
}

// Plan implements runtimes.Runtime. The program is looked for in the code first, then in the layers.
func (Runtime) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	p := runtimes.Plan{Runtime: fn.Runtime}
	env := runtimes.Environment(fn, fn.Runtime, nil)
	p.Spec = runtimes.HostRoot()
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = []string{program(fn)}
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		p.Spec.Argv = append([]string{wrapper}, p.Spec.Argv...)
	}
	p.Spec.Dir = runtimes.TaskRoot
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports
	if p.Spec.Argv[len(p.Spec.Argv)-1] == "" {
		return p, fmt.Errorf("Runtime.InvalidEntrypoint: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
	}
	return p, nil
}

func program(fn runtimes.Function) string {
	for _, c := range []struct{ dir, inside string }{{fn.CodeDir, runtimes.TaskRoot}, {fn.OptDir, runtimes.LayerRoot}} {
		if c.dir == "" {
			continue
		}
		if fi, err := os.Stat(filepath.Join(c.dir, "bootstrap")); err == nil && fi.Mode().IsRegular() {
			return c.inside + "/bootstrap"
		}
	}
	return ""
}
