package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Part is one thing on a Shelf, and how it is brought there: by a package manager that people have anyway, so that
// its settings, mirrors and proxies hold.
type Part struct {
	Name    string            // of its folder, and what people type
	Use     string            // what it is for, in some words
	Files   map[string][]byte // what Command starts from, by name
	Command []string          // is run in the new folder, and leaves there what functions need
	Package string            // Debian's, that has the command
}

// Add brings a part to the shelf's first folder, in the place of the one that was there. With from it copies that folder;
// else it runs the part's command, whose output goes to out. What was there stays when that fails.
func (s Shelf) Add(ctx context.Context, p Part, from string, out io.Writer) (err error) {
	if err := os.MkdirAll(s[0], 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s[0], ".new-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh, old := filepath.Join(dir, "new"), filepath.Join(dir, "old")
	if from != "" {
		err = os.CopyFS(fresh, os.DirFS(from))
	} else {
		err = p.make(ctx, fresh, out)
	}
	if err != nil {
		return err
	}
	if err := readable(fresh); err != nil {
		return err
	}
	place := filepath.Join(s[0], p.Name)
	if err := os.Rename(place, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, place)
}

func (p Part) make(ctx context.Context, dir string, out io.Writer) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, content := range p.Files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(p.Command[0])
	if err != nil {
		return fmt.Errorf("%s is brought by %s, which is not installed here (on Debian: apt-get install %s); or name a folder that has the files with --from", p.Name, p.Command[0], p.Package)
	}
	c := exec.CommandContext(ctx, program, p.Command[1:]...)
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(p.Command, " "), err)
	}
	return nil
}

// readable lets everybody read what is below dir: functions run as users of their own.
func readable(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		mode := fi.Mode().Perm() | 0o444
		if fi.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
