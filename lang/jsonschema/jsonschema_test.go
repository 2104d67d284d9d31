package jsonschema_test

import (
	"testing"

	"lambent/lang/jsonpath"
	"lambent/lang/jsonschema"
)

func TestValid(t *testing.T) {
	other, err := jsonschema.Compile([]byte(`{"type":"object","required":["a"]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(ref string) *jsonschema.Schema {
		if ref == "https://example/other" {
			return other
		}
		return nil
	}
	for _, tt := range []struct {
		schema    string
		good, bad []string
	}{
		{`{}`, []string{`null`, `1`, `{"a":[]}`}, nil},
		{`{"type":"integer"}`, []string{`1`, `-7`}, []string{`1.5`, `"1"`, `null`}},
		{`{"type":["string","null"]}`, []string{`"x"`, `null`}, []string{`1`}},
		{`{"enum":["a",1,{"b":[2]}]}`, []string{`"a"`, `1.0`, `{"b":[2]}`}, []string{`"b"`, `{"b":[3]}`}},
		{`{"type":"object","required":["a","b"],"properties":{"a":{"type":"number"},"b":{"type":"number"}}}`,
			[]string{`{"a":1,"b":2.5}`}, []string{`{"a":1}`, `{"a":1,"b":"x"}`, `[]`}},
		{`{"properties":{"a":{}},"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}`,
			[]string{`{"a":1,"x1":"s"}`}, []string{`{"b":1}`, `{"x1":1}`}},
		{`{"additionalProperties":{"type":"boolean"},"minProperties":1,"maxProperties":2}`, []string{`{"a":true}`}, []string{`{}`, `{"a":1}`}},
		{`{"items":{"type":"string"},"minItems":1,"maxItems":2,"uniqueItems":true}`, []string{`["a","b"]`}, []string{`[]`, `[1]`, `["a","a"]`, `["a","b","c"]`}},
		{`{"items":[{"type":"string"}],"additionalItems":false}`, []string{`[]`, `["a"]`}, []string{`["a",1]`}},
		{`{"minimum":1,"exclusiveMinimum":true,"maximum":5,"multipleOf":0.5}`, []string{`1.5`, `5`}, []string{`1`, `5.5`, `1.2`}},
		{`{"minLength":2,"maxLength":3,"pattern":"^a"}`, []string{`"aß"`}, []string{`"a"`, `"abcd"`, `"ba"`}},
		{`{"allOf":[{"minimum":1},{"maximum":3}]}`, []string{`2`}, []string{`0`, `4`}},
		{`{"anyOf":[{"type":"string"},{"type":"null"}],"not":{"enum":["no"]}}`, []string{`"x"`}, []string{`1`, `"no"`}},
		{`{"oneOf":[{"minimum":1},{"maximum":3}]}`, []string{`0`, `4`}, []string{`2`}},
		{`{"dependencies":{"a":["b"],"c":{"required":["d"]}}}`, []string{`{"a":1,"b":1}`, `{"b":1}`}, []string{`{"a":1}`, `{"c":1}`}},
		{`{"definitions":{"n":{"type":"object","properties":{"next":{"$ref":"#/definitions/n"}},"additionalProperties":false}},"$ref":"#/definitions/n"}`,
			[]string{`{"next":{"next":{}}}`}, []string{`{"next":{"x":1}}`, `1`}},
		{`{"items":{"$ref":"https://example/other"}}`, []string{`[{"a":1}]`}, []string{`[{}]`}},
		{`{"$ref":"#"}`, nil, []string{`1`}},
		{`{"$ref":"https://example/gone"}`, nil, []string{`1`}},
	} {
		s, err := jsonschema.Compile([]byte(tt.schema), resolve)
		if err != nil {
			t.Errorf("Compile(%s): %v", tt.schema, err)
			continue
		}
		for want, docs := range map[bool][]string{true: tt.good, false: tt.bad} {
			for _, source := range docs {
				doc, err := jsonpath.Parse([]byte(source))
				if err != nil {
					t.Fatal(err)
				}
				if got := s.Valid(doc); got != want {
					t.Errorf("%s Valid(%s) = %v", tt.schema, source, got)
				}
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, s := range []string{``, `[]`, `{"type":1}`, `{"minimum":"x"}`, `{"pattern":"("}`, `{"properties":{"a":1}}`, `{"required":"a"}`, `{"multipleOf":0}`} {
		if _, err := jsonschema.Compile([]byte(s), nil); err == nil {
			t.Errorf("Compile(%s) did not fail", s)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`), []byte(`{"a":[1,{"b":null}]}`))
	f.Add([]byte(`{"properties":{"a":{"items":{"oneOf":[{"type":"integer"},{"minimum":1e3}]}}}}`), []byte(`{"a":[1]}`))
	f.Fuzz(func(t *testing.T, schema, document []byte) {
		s, err := jsonschema.Compile(schema, nil)
		if err != nil {
			return
		}
		if doc, err := jsonpath.Parse(document); err == nil {
			s.Valid(doc)
		}
	})
}
