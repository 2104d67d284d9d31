package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A block is one fenced block of a document. What is done with it stands after its language:
//
//	sh             run from the repository's folder; it must succeed
//	sh background  started, and ended with the document
//	sh skip        not run here: CI runs it, or it needs what a test has not
//	text           what the blocks before it print, in order; … stands for anything
//	LANGUAGE FILE  written to FILE
type block struct {
	line           int
	language, info string
	text           string
}

// TestDocs runs what the documents tell people to type, as it is printed there. It does so in a network namespace of
// its own, where the usual port is free.
func TestDocs(t *testing.T) {
	const inside = "LAMBENT_TEST_NETWORK"
	if os.Getenv(inside) == "" {
		tools := toolsFolder(t)
		c := exec.Command(os.Args[0], "-test.run=^TestDocs$", "-test.v")
		c.Env = append(os.Environ(), inside+"=1", "LAMBENT_TOOLS="+tools)
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := c.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("SKIPPED: a network namespace cannot be made here; run it as root")
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip link set lo up: %v\n%s", err, out)
	}
	built := build(t)
	files := []string{"README.md"}
	for _, pattern := range []string{"docs/guide/*.md", "docs/operate/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range found {
			files = append(files, strings.TrimPrefix(path, root+"/"))
		}
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			followAll(t, file, built, blocks(string(text)))
		})
	}
}

func followAll(t *testing.T, file, built string, all []block) {
	if !slices.ContainsFunc(all, func(b block) bool { return b.language == "sh" }) {
		return
	}
	d := newDocument(t, built)
	for _, b := range all {
		d.follow(t, file, b)
	}
}

// document is the place where the blocks of one document are run.
type document struct {
	dir, home string
	built     string // folder of the binary, for documents that do not build it
	printed   string // what the blocks printed since the last text
}

// newDocument makes a copy of the repository to type in.
func newDocument(t *testing.T, built string) *document {
	d := &document{dir: filepath.Join(t.TempDir(), "lambent"), home: t.TempDir(), built: built}
	if err := copyRepository(d.dir); err != nil {
		t.Fatal(err)
	}
	tools := os.Getenv("LAMBENT_TOOLS")
	npx := fmt.Sprintf("#!/bin/sh\ntool=$1; shift\ncase $tool in serverless@2) tool=serverless2 ;; serverless@3) tool=serverless3 ;; esac\nexec %s/bin/$tool \"$@\"\n", tools)
	python := fmt.Sprintf("#!/bin/sh\nexec %s/bin/boto-python \"$@\"\n", tools)
	bin := filepath.Join(d.home, "bin") // what is fetched when people type it, is there already
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"npx": npx, "python3": python} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// copyRepository copies what belongs to the repository, and not what was installed or built in it.
func copyRepository(to string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".serverless" || name == ".git" || name == ".tools" || name == "bin"):
			return filepath.SkipDir
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, info.Mode().Perm())
	})
}

func (d *document) env() []string {
	tools := os.Getenv("LAMBENT_TOOLS")
	return append(os.Environ(),
		"PATH="+filepath.Join(d.home, "bin")+":"+filepath.Join(d.dir, "bin")+":"+d.built+":"+filepath.Join(tools, "bin")+":"+os.Getenv("PATH"),
		"NODE_PATH="+filepath.Join(tools, "npm", "node_modules"),
		"LAMBENT_DATA="+filepath.Join(d.home, "data"),
		"SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "SLS_INTERACTIVE_SETUP_ENABLE=", "SLS_DEPRECATION_NOTIFICATION_MODE=warn:summary",
		"AWS_PAGER=", "NODE_NO_WARNINGS=1", "CI=1")
}

// follow does what a block says.
func (d *document) follow(t *testing.T, file string, b block) {
	t.Helper()
	switch {
	case b.language == "sh" && b.info == "":
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		c := d.shell(ctx, b.text)
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		d.printed += string(out)
		if err != nil {
			t.Fatalf("%s:%d: %v\n%s\n%s", file, b.line, err, out, &errs)
		}
	case b.language == "sh" && b.info == "background":
		d.start(t, file, b)
	case b.language == "sh" && b.info == "skip":
	case b.language == "text":
		if !inOrder(d.printed, b.text) {
			t.Errorf("%s:%d: this is not what was printed:\n%s\nbut this was:\n%.4000s", file, b.line, b.text, d.printed)
		}
		d.printed = ""
	case b.info != "":
		if err := os.WriteFile(filepath.Join(d.dir, b.info), []byte(b.text), 0o644); err != nil {
			t.Fatal(err)
		}
	case b.language == "sh":
		t.Errorf("%s:%d: nobody knows what to do with %q", file, b.line, b.info)
	}
}

func (d *document) shell(ctx context.Context, text string) *exec.Cmd {
	c := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", text)
	c.Dir, c.Env = d.dir, d.env()
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c
}

// start runs a block until the document ends. It is ready when it says how to use what it started.
func (d *document) start(t *testing.T, file string, b block) {
	c := d.shell(context.Background(), b.text)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; err == nil && !strings.HasPrefix(line, "use it:"); {
		line, err = lines.ReadString('\n')
	}
	go io.Copy(io.Discard, lines)
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
		if err := c.Wait(); err != nil && t.Failed() {
			t.Logf("%s:%d: %v\n%s", file, b.line, err, &errs)
		}
	})
	if err != nil {
		t.Fatalf("%s:%d: it ended: %s", file, b.line, &errs)
	}
}

// inOrder reports whether printed holds the lines of want one after the other, each as a part of a line, where … stands for anything.
func inOrder(printed, want string) bool {
	for line := range strings.Lines(want) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Trim(line, "… ") == "" {
			continue
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		at := regexp.MustCompile(strings.Join(parts, ".*")).FindStringIndex(printed)
		if at == nil {
			return false
		}
		printed = printed[at[1]:]
	}
	return true
}

// blocks finds the fenced blocks of a document.
func blocks(text string) []block {
	var all []block
	var open *block
	n := 0
	for line := range strings.Lines(text) {
		n++
		fence, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case ok && open == nil:
			language, info, _ := strings.Cut(fence, " ")
			open = &block{line: n, language: language, info: info}
		case ok:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line
		}
	}
	return all
}

func TestBlocks(t *testing.T) {
	got := blocks("# T\n\n```sh\na\nb\n```\ntext\n\n```js f.js\nc\n```\n")
	if len(got) != 2 || got[0] != (block{3, "sh", "", "a\nb\n"}) || got[1] != (block{9, "js", "f.js", "c\n"}) {
		t.Errorf("got %+v", got)
	}
	for _, tt := range []struct {
		printed, want string
		ok            bool
	}{
		{"one\ntwo\nthree\n", "one\n…\nthree\n", true},
		{"one\ntwo\n", "two\none\n", false},
		{"id 123 (4 kB)\n", "id … (… kB)\n", true},
		{"a.b\n", "a?b\n", false},
		{"one\ntwo\n", "one…two\n", false},
	} {
		if got := inOrder(tt.printed, tt.want); got != tt.ok {
			t.Errorf("%q in %q: %v", tt.want, tt.printed, got)
		}
	}
}
