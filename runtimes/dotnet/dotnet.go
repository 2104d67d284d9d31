// Package dotnet is the runtime of .NET functions, on Mono.
//
// A handler is Assembly::Namespace.Class::Method. The client of the Runtime API is our own (client/Client.cs): it is
// compiled on this host, by `lambent runtimes add dotnet`, and put on the shelf (folder "dotnet"), so that what runs is what
// stands in the source. It knows AWS's libraries by name and uses the function's own copies of them.
//
// Mono runs what was compiled for .NET Framework or .NET Standard 2.0. An assembly that names the libraries of .NET 6 or
// newer does not load here; such a function is published self-contained and runs as provided.al2023, which needs no
// .NET on the host.
package dotnet

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

// Folder is the shelf's folder with the compiled client, and client the name of its program.
const (
	Folder = "dotnet"
	client = "lambent-runtime.exe"
)

//go:embed client/Client.cs
var source []byte

// Part is how the client gets there.
func Part() runtimes.Part {
	return runtimes.Part{
		Name: Folder, Use: "the runtime client, without which no .NET function runs", Files: map[string][]byte{"Client.cs": source}, Package: "mono-mcs",
		Command: []string{"mcs", "-optimize+", "-r:System.Runtime.Serialization.dll", "-out:" + client, "Client.cs"},
	}
}

// identifiers are AWS's, oldest first.
var identifiers = []string{"dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet5.0", "dotnet6", "dotnet8", "dotnet10"}

// Runtime is the family of .NET runtimes.
type Runtime struct {
	found runtimes.Interpreters
	shelf runtimes.Shelf
}

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters; shelf is where the client is.
func New(search []string, shelf runtimes.Shelf) *Runtime {
	return &Runtime{runtimes.Interpreters{Search: search, Version: version, Compare: compare}, shelf}
}

// Search is where interpreters usually are.
func Search() []string { return []string{"/usr/bin/mono"} }

// Names implements runtimes.Runtime.
func (r *Runtime) Names() []string { return slices.Clone(identifiers) }

// Installed implements runtimes.Runtime. A Mono without the client runs nothing and is not listed.
func (r *Runtime) Installed() []runtimes.Version {
	if _, err := r.client(); err != nil {
		return nil
	}
	var list []runtimes.Version
	for _, i := range r.found.All() {
		list = append(list, runtimes.Version{Name: "mono" + i.Major, Version: i.Version, Path: i.Path})
	}
	return list
}

// version reads "Mono JIT compiler version 6.8.0.105 (Debian …)".
func version(printed string) (full, major string, ok bool) {
	_, rest, ok := strings.Cut(printed, "Mono JIT compiler version ")
	full, _, _ = strings.Cut(rest, " ")
	major, _, _ = strings.Cut(full, ".")
	n, err := strconv.Atoi(major)
	return full, major, ok && err == nil && n >= 5
}

func compare(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Compare(x, y)
}

// client returns the host path of the compiled client.
func (r *Runtime) client() (string, error) {
	dir := r.shelf.Find(Folder)
	path := filepath.Join(dir, client)
	if _, err := os.Stat(path); dir == "" || err != nil {
		return "", errors.New("the runtime client for .NET is not compiled yet (lambent runtimes add dotnet)")
	}
	return path, nil
}

// Plan implements runtimes.Runtime.
func (r *Runtime) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	mono, ok := r.found.Nearest("0")
	if !ok {
		return runtimes.Plan{}, errors.New("neither .NET nor Mono is installed on this host (on Debian: apt-get install mono-runtime mono-mcs)")
	}
	program, err := r.client()
	if err != nil {
		return runtimes.Plan{}, err
	}
	p := runtimes.Plan{
		Runtime: "mono" + mono.Major,
		Notice:  fmt.Sprintf("%s is not installed on this host: the function runs on Mono %s", fn.Runtime, mono.Version),
	}
	env := runtimes.Environment(fn, fn.Runtime, map[string]string{
		"MONO_SHARED_DIR": "/tmp", // it wants to write
		"MONO_CONFIG":     "/etc/mono/config",
	})
	p.Spec = mono.Root()
	p.Spec.Mounts = append(p.Spec.Mounts, driver.Mount{Source: program, Target: runtimes.RuntimeDir + "/" + client})
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = []string{mono.Inside, runtimes.RuntimeDir + "/" + client}
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		p.Spec.Argv = append([]string{wrapper}, p.Spec.Argv...)
	}
	p.Spec.Dir = runtimes.TaskRoot
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports
	return p, nil
}
