package layers

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "lambent"
	root   = "../.."
)

// TestImports reads the import clauses itself: go test caches a result by the files that the test
// opened, and would not see those that a child process such as "go list" opened.
func TestImports(t *testing.T) {
	rules := readRules(t, "layers.txt")
	for _, p := range readPackages(t) {
		if p.name == "internal/layers" {
			continue
		}
		r := lastMatch(rules, p.name)
		if r == nil {
			t.Errorf("%s has no line in layers.txt: decide which room it is in", p.name)
			continue
		}
		r.used = true
		for _, imp := range p.imports {
			if want := word(imp); want != "" && !r.allows(want) {
				t.Errorf("%s imports %s; layers.txt allows it: %s", p.name, want, strings.Join(r.allow, " "))
			}
		}
		if !p.documented {
			t.Errorf("%s has no package comment: say what it is", p.name)
		}
	}
	for _, r := range rules {
		if !r.used {
			t.Errorf("layers.txt: no folder matches %q; drop the line", r.pattern)
		}
	}
}

// TestEveryServiceIsWired finds services that were written and never put into app/services.go.
func TestEveryServiceIsWired(t *testing.T) {
	wiring, err := os.ReadFile(filepath.Join(root, "app", "services.go"))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir(filepath.Join(root, "service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() && !strings.HasSuffix(d.Name(), "test") && !strings.Contains(string(wiring), `"`+module+"/service/"+d.Name()+`"`) {
			t.Errorf("service/%s is not in app/services.go", d.Name())
		}
	}
}

type rule struct {
	pattern string
	allow   []string
	used    bool
}

func (r *rule) allows(want string) bool {
	for _, a := range r.allow {
		if a == "*" || a == want || strings.HasPrefix(a, "ext:") && strings.HasPrefix(want+"/", a+"/") {
			return true
		}
		if ok, _ := path.Match(a, want); ok && !strings.HasPrefix(want, "ext:") {
			return true
		}
	}
	return false
}

// word is how layers.txt names an import: "" for the standard library.
func word(imp string) string {
	if rest, ok := strings.CutPrefix(imp, module+"/"); ok {
		return rest
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return ""
	}
	return "ext:" + imp
}

func lastMatch(rules []*rule, name string) (last *rule) {
	for _, r := range rules {
		if ok, _ := path.Match(r.pattern, name); ok {
			last = r
		}
	}
	return last
}

func readRules(t *testing.T, file string) (rules []*rule) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		left, right, ok := strings.Cut(line+" ", ": ")
		if !ok {
			t.Fatalf("layers.txt: want \"FOLDER : FOLDERS\", got %q", line)
		}
		rules = append(rules, &rule{pattern: strings.TrimSpace(left), allow: strings.Fields(right)})
	}
	return rules
}

type pkg struct {
	name       string
	imports    []string
	documented bool
}

func readPackages(t *testing.T) []*pkg {
	byName := map[string]*pkg{}
	var names []string
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n := d.Name(); d.IsDir() && (n == "testdata" || n == "node_modules" || n == "examples" || strings.HasPrefix(n, ".") && n != "..") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(file, "go.mod")); d.IsDir() && file != root && err == nil {
			return filepath.SkipDir // a module of its own
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parse(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if byName[name] == nil {
			byName[name] = &pkg{name: name}
			names = append(names, name)
		}
		p := byName[name]
		p.documented = p.documented || f.Doc != nil
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			p.imports = append(p.imports, imp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var ps []*pkg
	for _, n := range names {
		ps = append(ps, byName[n])
	}
	return ps
}

func parse(file string) (*ast.File, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly|parser.ParseComments)
}
