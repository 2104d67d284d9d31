package vtl_test

import (
	"errors"
	"strings"
	"testing"

	"lambent/lang/vtl"
)

// params is a small $input.
type params map[string]string

func (p params) Get(name string) any { return nil }

func (p params) Call(name string, args []any) (any, bool, error) {
	if name != "params" || len(args) != 1 {
		return nil, false, nil
	}
	return p[args[0].(string)], true, nil
}

func vars() map[string]any {
	return map[string]any{
		"input": params{"Origin": "https://a.example"},
		"name":  "World",
		"n":     5,
		"list":  &vtl.List{Items: []any{"a", "b", "c"}},
		"json":  &vtl.List{JSON: true, Items: []any{"a", vtl.MapOf("k", int64(1))}},
		"map":   vtl.MapOf("z", "1", "a", "2"),
		"context": vtl.MapOf("responseOverride", vtl.MapOf("header", vtl.NewMap()),
			"identity", vtl.MapOf("sourceIp", "::1")),
	}
}

func TestRender(t *testing.T) {
	for _, tt := range []struct {
		name, template, want string
	}{
		{"text", `{"a": "#fff", "b": 5$}`, `{"a": "#fff", "b": 5$}`},
		{"reference", "Hello $name, ${name}s and $!name!", "Hello World, Worlds and World!"},
		{"nothing", "[$gone][$!gone][${gone}][$gone.x.y()]", "[][][][]"},
		{"no reference", "$5 $ ${ $name. ${name}.x", "$5 $ ${ World. World.x"},
		{"property", "$map.z $map['a'] $map.get('z') $list[1] $context.identity.sourceIp", "1 2 1 b ::1"},
		{"java text", "$list $map $json 1.50", `[a, b, c] {z=1, a=2} ["a",{"k":1}] 1.50`},
		{"set swallows its line", "a\n  #set($x = 1)\nb$x", "a\nb1"},
		{"if swallows line ends", "#if($n == 5)\nyes\n#else\nno\n#end\nend", "yes\nend"},
		{"elseif", "#if($n == 4)4#elseif($n > 4)big#{else}small#end", "big"},
		{"empty string is true", "#if('')t#else f#end#if($gone)t#else f#end", "t f"},
		{"foreach", "#foreach($x in $list)$foreach.index:$x#if($foreach.hasNext),#end#end", "0:a,1:b,2:c"},
		{"foreach restores", "#set($x = 'o')#foreach($x in [1..3])$foreach.count$x #end$x$foreach.index", "11 22 33 o"},
		{"foreach entries", "#foreach($e in $map.entrySet())$e.key=$e.value;#end", "z=1;a=2;"},
		{"break", "#foreach($x in [1..9])#if($x > 2)#break#end$x#end", "12"},
		{"stop", "a#stop b", "a"},
		{"arithmetic", "#set($a = 7 / 2)#set($b = 7 % 4 + 2 * 3)#set($c = 7 / 2.0)#set($d = 'x' + 1)$a $b $c $d", "3 9 3.5 x1"},
		{"division by zero is nothing", "#set($a = 1 / 0)[$a]", "[]"},
		{"logic", "#if(!$gone && ($n >= 5 || false) and not false)ok#end", "ok"},
		{"strings", "#set($s = \"Hi $name\")#set($l = 'Hi $name')$s|$l", "Hi World|Hi $name"},
		{"doubled quote", `#set($s = "say ""x""")$s`, `say "x"`},
		{"interpolated directive", `#set($s = "#if($n == 5)five#end")$s`, "five"},
		{"string methods", "$name.length() $name.substring(1,3) $name.toLowerCase() $name.replace('o','0') $name.contains('or') $name.indexOf('l')", "5 or world W0rld true 3"},
		{"regular expressions", `$name.replaceAll("(o)(r)", "$2$1") $name.matches("W.*") #set($s = "a,b,,")$s.split(",").size()`, "Wrold true2"},
		{"escaped quotes as AWS documents", `#set($s = "it\'s")$s.replaceAll("\\'","'")`, `it's`},
		{"list methods", "#set($l = [])#set($ok = $l.add('x'))$l.add('y') $l.size() $l.contains('y') $l", "true 2 true [x, y]"},
		{"map methods", "#set($m = {'a': 1, 'b': [2]})$m.put('c', 3)$m.size() $m.keySet() $m.containsKey('a') $m", "3 [a, b, c] true {a=1, b=[2], c=3}"},
		{"parseInt", "#set($Integer = 0)#set($x = $Integer.parseInt('41') + 1)$x", "42"},
		{"comments", "a## gone\nb#* gone\n *#c", "abc"},
		{"escapes", `\$name \\$name \#if`, `$name \World #if`},
		{"unparsed", "#[[$name #if]]#", "$name #if"},
		{"define", "#define($loop)<$x>#end#foreach($x in $list)$loop#end", "<a><b><c>"},
		{"serverless cors", "#set($origin = $input.params(\"Origin\"))\n#if($origin == \"\") #set($origin = $input.params(\"origin\")) #end\n#if($origin.matches(\".*\")) #set($context.responseOverride.header.Access-Control-Allow-Origin = $origin) #end$context.responseOverride.header", " {Access-Control-Allow-Origin=https://a.example}"},
		{"doubles", "#set($a = 100.0 * 1000000)#set($b = 0.5 + 0.5)$a $b", "1.0E8 1.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := vtl.Parse(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.Render(vars(), vtl.Limits{})
			if err != nil || got != tt.want {
				t.Errorf("Render(%q) = %q, %v, want %q", tt.template, got, err, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, template := range []string{
		"#if(true)", "#end", "#set($x 1)", "#set(x = 1)", "#foreach($x of $y)#end", "#macro(m)#end", "#parse('x')",
		"#set($x = \"a)", "#if(true)#else#else#end", "#elseif(true)", "$x.f(", strings.Repeat("#if(true)", 1000), "#set($x = " + strings.Repeat("(", 1000),
	} {
		var syntax *vtl.SyntaxError
		if _, err := vtl.Parse(template); !errors.As(err, &syntax) {
			t.Errorf("Parse(%.40q) = %v, want a SyntaxError", template, err)
		}
	}
}

func TestRenderIsBounded(t *testing.T) {
	for _, tt := range []struct {
		template string
		want     error
	}{
		{"#set($a = 'xxxxxxxx')#foreach($i in [1..100])#set($a = $a + $a)#end", vtl.ErrBytes},
		{"#set($a = 'xxxxxxxx')#foreach($i in [1..100])#set($a = $a.replace('x', 'xx'))#end", vtl.ErrSteps},
		{"#foreach($i in [1..1000])#foreach($j in [1..1000])$i#end#end", vtl.ErrSteps},
		{"#foreach($i in [1..1001])$i#end", vtl.ErrLoop},
		{"#set($l = [])$l.add($l)$l", vtl.ErrNested},
		{"#define($d)$d#end$d", vtl.ErrNested},
		{"#set($l = [1..100000000])", vtl.ErrSteps},
		{"#set($l = [1])#foreach($i in [1..100])$l.addAll($l)#end", vtl.ErrSteps},
	} {
		tmpl, err := vtl.Parse(tt.template)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.Render(map[string]any{}, vtl.Limits{}); !errors.Is(err, tt.want) {
			t.Errorf("Render(%q) = %v, want %v", tt.template, err, tt.want)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"#foreach($x in $map.entrySet())$x.key#if($foreach.hasNext),#end#end", "#set($x = {'a':[1..3]})$x.a[1]",
		`#define($d)"$!{name.substring(1)}"#end$d`, "#if($n<=5&&!$gone)#stop#end", "## c\n#* d *#\\$x#[[y]]#",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		tmpl, err := vtl.Parse(template)
		if err != nil {
			return
		}
		limits := vtl.Limits{Steps: 20000, Bytes: 1 << 20, Output: 1 << 16}
		out, err := tmpl.Render(vars(), limits)
		if err == nil && len(out) > limits.Output {
			t.Errorf("output of %d bytes", len(out))
		}
	})
}
