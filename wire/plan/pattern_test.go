package plan_test

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lambent/wire/plan"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{`[a-zA-Z0-9_.-]+`, []string{"a", "A.b-c_9"}, []string{"", "a b", "ä"}},
		{`abc`, []string{"abc"}, []string{"abcd", "xabc"}}, // the whole value, as Java's matches
		{`^a|b$`, []string{"a", "b"}, []string{"ab", "c"}},
		{`[\w+=,.@-]{1,3}`, []string{"a@b"}, []string{"", "abcd", "a/b"}},
		{`.{0,5000}`, []string{"", strings.Repeat("x", 5000)}, []string{strings.Repeat("x", 5001), "a\nb"}},
		{`[\u0009\u000A\u000D\u0020-\u00FF]*`, []string{"tab\t", "ÿ"}, []string{"Ā"}},
		{`[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*`, []string{"😀"}, []string{"\x01"}},
		{`\p{Alnum}+\P{Digit}`, []string{"a1b"}, []string{"a11"}},
		{`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, []string{"größe 1"}, []string{"a*"}},
		{`[\p{Graph}\x20]*`, []string{"a b!"}, []string{"a\tb"}},
		{`a++b?+`, []string{"aab"}, []string{"b"}},
		{`[^[]+`, []string{"a]"}, []string{"a["}},
		{`x{a}`, []string{"x{a}"}, []string{"x"}},
		{`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`, []string{"v1", "a"}, []string{"12", "a b"}},
		{`^(?!\s*$).+`, []string{" a"}, []string{"  ", ""}},
		{`[0-9A-Za-z\.\-_]*(?<!\.)`, []string{"a.b", ""}, []string{"a."}},
		{`(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)`, []string{"systems"}, []string{"system.x", "$a"}},
		{`((?!xn--)[a-z-]+|-)`, []string{"a", "-", "xn--a"}, []string{"1"}}, // an alternative: the lookahead is left out
		{`\d+\Z`, []string{"12"}, []string{"a"}},
	}
	for _, tt := range tests {
		p := &plan.Pattern{Source: tt.pattern}
		if err := p.Err(); err != nil && !errors.Is(err, plan.ErrRelaxed) {
			t.Errorf("%s: %v", tt.pattern, err)
		}
		for _, s := range tt.yes {
			if !p.Match(s) {
				t.Errorf("%s does not match %q", tt.pattern, s)
			}
		}
		for _, s := range tt.no {
			if p.Match(s) {
				t.Errorf("%s matches %q", tt.pattern, s)
			}
		}
	}
}

func TestPatternNotEnforced(t *testing.T) {
	for _, src := range []string{`(a)\1`, `[a-z&&[^b]]`, `(?>a)`, `(`, `\uD800`, `(?!`, `\`} {
		p := &plan.Pattern{Source: src}
		if p.Err() == nil {
			t.Errorf("%s: no error", src)
		}
		if !p.Match("anything") {
			t.Errorf("%s refuses a value although it is not enforced", src)
		}
	}
}

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// TestServicePatterns compiles the patterns of all generated services. Those that are not enforced exactly are
// listed in testdata/relaxed.txt, so that a new one is seen.
func TestServicePatterns(t *testing.T) {
	files, _ := filepath.Glob("../../service/*/api_gen.go")
	if len(files) == 0 {
		t.Skip("no generated services")
	}
	found := map[string]bool{}
	for _, file := range files {
		for _, src := range patternsIn(t, file) {
			if err := (&plan.Pattern{Source: src}).Err(); err != nil {
				found[filepath.Base(filepath.Dir(file))+" "+src+" ("+err.Error()+")\n"] = true
			}
		}
	}
	var lines []string
	for l := range found {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *rewrite {
		os.WriteFile("testdata/relaxed.txt", []byte(got), 0o666)
	}
	want, _ := os.ReadFile("testdata/relaxed.txt")
	if got != string(want) {
		t.Errorf("patterns that are not enforced exactly:\n%s\nwant, in testdata/relaxed.txt (-rewrite writes it):\n%s", got, want)
	}
}

// patternsIn reads the tags of a generated file.
func patternsIn(t *testing.T, file string) (patterns []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		tag, _ := strconv.Unquote(field.Tag.Value)
		for _, prefix := range []string{"", "e.", "k.", "e.e."} {
			if p, ok := reflect.StructTag(tag).Lookup(prefix + "pat"); ok {
				patterns = append(patterns, p)
			}
		}
		return true
	})
	return patterns
}
