package runtimes

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Interpreters are the versions of one language that this host has. Nothing is run before the first use.
type Interpreters struct {
	// Search are glob patterns of programs; the first that is found of a version is taken.
	Search []string
	// Ask returns what a program says of its version; nil is what `PROGRAM --version` prints.
	Ask func(ctx context.Context, path string) (printed string, err error)
	// Version reads what Ask returned. ok is false for what is too old or no interpreter at all.
	Version func(printed string) (version, major string, ok bool)
	// Compare orders what Version calls major.
	Compare func(a, b string) int

	once  sync.Once
	found []Interpreter
}

// All returns them, oldest first.
func (i *Interpreters) All() []Interpreter {
	i.once.Do(func() {
		for _, pattern := range i.Search {
			paths, _ := filepath.Glob(pattern)
			for _, path := range paths {
				i.add(path)
			}
		}
		slices.SortFunc(i.found, func(a, b Interpreter) int { return i.Compare(a.Major, b.Major) })
	})
	return i.found
}

func (i *Interpreters) add(path string) {
	p, ok := Locate(path)
	if !ok || slices.ContainsFunc(i.found, func(f Interpreter) bool { return f.Path == p.Path }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ask := i.Ask
	if ask == nil {
		ask = printVersion
	}
	printed, err := ask(ctx, p.Path)
	if err != nil {
		return
	}
	p.Version, p.Major, ok = i.Version(printed)
	if ok && !slices.ContainsFunc(i.found, func(f Interpreter) bool { return f.Major == p.Major }) {
		i.found = append(i.found, p)
	}
}

func printVersion(ctx context.Context, path string) (string, error) {
	printed, err := exec.CommandContext(ctx, path, "--version").Output()
	return string(printed), err
}

// Nearest picks the one for a wanted version: itself, else the nearest newer, else the newest. ok is false when the host
// has none.
func (i *Interpreters) Nearest(want string) (nearest Interpreter, ok bool) {
	all := i.All()
	for _, p := range all {
		if i.Compare(p.Major, want) >= 0 {
			return p, true
		}
	}
	if len(all) == 0 {
		return Interpreter{}, false
	}
	return all[len(all)-1], true
}
