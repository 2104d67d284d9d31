package jsonpath_test

import (
	"errors"
	"strings"
	"testing"

	"lambent/lang/jsonpath"
)

const doc = `{"z":1,"a":{"b":"x","c d":[1,2,3]},"list":[{"n":"one","p":8.95,"on":true},{"n":"two","p":12},{"n":"three","p":5}],"nil":null}`

func TestEval(t *testing.T) {
	root, err := jsonpath.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, want string
	}{
		{"$", doc},
		{"$.z", "1"},
		{"z", "1"},
		{"$.a.b", `"x"`},
		{"$['a']['c d'][0]", "1"},
		{`$.a["c d"][-1]`, "3"},
		{"$.a['c d'][0,2]", "[1,3]"},
		{"$.a['c d'][1:]", "[2,3]"},
		{"$.a['c d'][:-1]", "[1,2]"},
		{"$.a['c d'][::2]", "[1,3]"},
		{"$.list[*].n", `["one","two","three"]`},
		{"$..n", `["one","two","three"]`},
		{"$.list[?(@.p < 10)].n", `["one","three"]`},
		{"$.list[?(@.on)].n", `["one"]`},
		{"$.list[?(!@.on && @.n != 'two')].n", `["three"]`},
		{"$.list[?(@.n =~ /T.*/i)].n", `["two","three"]`},
		{"$.list[?(@.n in ['one','two'])].p", "[8.95,12]"},
		{"$.list[?(@.p > $.z || (@.n == 'x'))].n", `["one","two","three"]`},
		{"$.list.length()", "3"},
		{"$.list[*].p.max()", "12"},
		{"$.a.keys()", `["b","c d"]`},
		{"$.nil", "null"},
		{"$.gone", "not found"},
		{"$.list[7]", "not found"},
		{"$.list[*].gone", "[]"},
		{"$.a.*", `["x",[1,2,3]]`},
	} {
		p, err := jsonpath.Compile(tt.path)
		if err != nil {
			t.Errorf("Compile(%q): %v", tt.path, err)
			continue
		}
		v, found, err := p.Eval(root)
		got := string(jsonpath.Append(nil, v))
		if !found {
			got = "not found"
		}
		if err != nil || got != tt.want {
			t.Errorf("Eval(%q) = %s, %v, want %s", tt.path, got, err, tt.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, path := range []string{"$.", "$[", "$['a", "$[?(@.a", "$[1:2:0]", "$.a b", "$.f()", "$[?(@.a =~ /(/)]", strings.Repeat("(", 9000)} {
		if _, err := jsonpath.Compile(path); err == nil {
			t.Errorf("Compile(%.40q) did not fail", path)
		}
	}
}

func TestEvalIsBounded(t *testing.T) {
	root, err := jsonpath.Parse([]byte(strings.Repeat("[", 200) + strings.Repeat("]", 200)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpath.Compile("$" + strings.Repeat("..*", 40))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Eval(root); !errors.Is(err, jsonpath.ErrTooMuch) {
		t.Errorf("Eval = %v, want ErrTooMuch", err)
	}
	if _, err := jsonpath.Parse([]byte(strings.Repeat("[", 100000))); !errors.Is(err, jsonpath.ErrDepth) {
		t.Errorf("Parse = %v, want ErrDepth", err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"$.a.b", "$..x[?(@.p<1 && @.q in [1,'a'])]", "$[1:2:3]", "a['b','c'].length()", "$[?($.a =~ /x/i)]"} {
		f.Add(s)
	}
	root, err := jsonpath.Parse([]byte(doc))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := jsonpath.Compile(path)
		if err != nil {
			return
		}
		v, found, err := p.Eval(root)
		if err == nil && found {
			if _, err := jsonpath.Parse(jsonpath.Append(nil, v)); err != nil {
				t.Errorf("Eval(%q) is not JSON: %v", path, err)
			}
		}
	})
}
