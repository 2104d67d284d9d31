package cfn_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/lang/cfn"
)

// compile takes text through all steps but evaluation.
func compile(text string, given map[string]cfn.Given) (*cfn.Template, map[string]any, error) {
	body, err := cfn.Decode([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	declared, err := body.Parameters()
	if err != nil {
		return nil, nil, err
	}
	bound, err := cfn.Bind(declared, given, nil)
	if err != nil {
		return nil, nil, err
	}
	values := map[string]any{"AWS::Region": "eu-west-1", "AWS::AccountId": "000000000000", "AWS::Partition": "aws",
		"AWS::StackName": "shop", "AWS::URLSuffix": "localhost:4566", "AWS::NotificationARNs": []any{}}
	for name, text := range bound {
		values[name] = declared[name].Value(text)
	}
	if body, err = body.Expand(values); err != nil {
		return nil, nil, err
	}
	t, err := body.Compile()
	return t, values, err
}

func scope(t *cfn.Template, values map[string]any) *cfn.Scope {
	s := cfn.NewScope(t, values)
	s.Ref = func(id string) (any, error) { return "ref-" + id, nil }
	s.GetAtt = func(id, attribute string) (any, error) { return id + "/" + attribute, nil }
	s.Import = func(name string) (any, error) { return "imported " + name, nil }
	s.Zones = func(region string) []string { return []string{region + "a", region + "b"} }
	return s
}

func message(err error) string {
	var f *cloud.Fault
	if errors.As(err, &f) {
		return f.Message
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

const head = `
Parameters:
  Stage: {Type: String, Default: dev}
  Names: {Type: CommaDelimitedList, Default: "a, b ,c"}
  Count: {Type: Number, Default: 3}
Mappings:
  Sizes: {eu-west-1: {small: 1, zones: [x, y]}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  NotProd: !Not [!Condition IsProd]
  Both: !And [!Condition NotProd, !Equals [1, "1"]]
Resources:
  Other: {Type: T}
  R:
    Type: T
    Properties:
      P: `

func TestFunctions(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"ref parameter", `!Ref Stage`, `"dev"`},
		{"ref number", `!Ref Count`, `3`},
		{"ref list", `!Ref Names`, `["a","b","c"]`},
		{"ref resource", `!Ref Other`, `"ref-Other"`},
		{"ref pseudo", `{Ref: "AWS::Region"}`, `"eu-west-1"`},
		{"get att", `!GetAtt Other.Arn`, `"Other/Arn"`},
		{"get att dotted", `!GetAtt Other.Outputs.X`, `"Other/Outputs.X"`},
		{"get att list", `!GetAtt [Other, Arn]`, `"Other/Arn"`},
		{"sub", `!Sub "${Stage}-${Other}-${Other.Arn}-${!Literal}-${AWS::Region}"`, `"dev-ref-Other-Other/Arn-${Literal}-eu-west-1"`},
		{"sub variables", `!Sub ["${A}-${Stage}", {A: !Ref Count}]`, `"3-dev"`},
		{"sub of a list", `!Sub "${Names}"`, `"a,b,c"`},
		{"sub unclosed", `!Sub "a${b"`, `"a${b"`},
		{"join", `!Join ["-", [a, !Ref Stage, !Ref Count]]`, `"a-dev-3"`},
		{"join list ref", `!Join [",", !Ref Names]`, `"a,b,c"`},
		{"select", `!Select [1, !Ref Names]`, `"b"`},
		{"select text index", `!Select ["0", !GetAZs ""]`, `"eu-west-1a"`},
		{"split", `!Split ["|", "a|b"]`, `["a","b"]`},
		{"base64", `!Base64 hello`, `"aGVsbG8="`},
		{"find in map", `!FindInMap [Sizes, !Ref "AWS::Region", small]`, `1`},
		{"find list", `!FindInMap [Sizes, !Ref "AWS::Region", zones]`, `["x","y"]`},
		{"if", `!If [IsProd, p, !If [Both, d, x]]`, `"d"`},
		{"if no value", `{A: !If [IsProd, p, !Ref "AWS::NoValue"], B: 1}`, `{"B":1}`},
		{"no value in list", `[1, !Ref "AWS::NoValue", 2]`, `[1,2]`},
		{"import", `!ImportValue x`, `"imported x"`},
		{"import sub", `Fn::ImportValue: !Sub "${Stage}-x"`, `"imported dev-x"`},
		{"azs", `!GetAZs us-east-1`, `["us-east-1a","us-east-1b"]`},
		{"cidr", `!Cidr ["10.0.0.0/16", 3, 8]`, `["10.0.0.0/24","10.0.1.0/24","10.0.2.0/24"]`},
		{"cidr 6", `!Cidr ["2001:db8::/56", 2, 64]`, `["2001:db8::/64","2001:db8:0:1::/64"]`},
		{"nested select split", `!Select [2, !Split [":", "a:b:c"]]`, `"c"`},
		{"policy condition is no function", `{Condition: {Bool: {x: false}}}`, `{"Condition":{"Bool":{"x":false}}}`},
		{"yaml 1.1 bool", `yes`, `true`},
		{"date stays text", `2012-10-17`, `"2012-10-17"`},
		{"account id stays text", `000000000000`, `"000000000000"`},
		{"quoted number", `"12"`, `"12"`},
		{"float text kept", `1.10`, `1.10`},
		{"dynamic reference stays", `"{{resolve:ssm:/x:1}}"`, `"{{resolve:ssm:/x:1}}"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expr := strings.ReplaceAll(tt.expr, `Fn::ImportValue: !Sub "${Stage}-x"`, `{"Fn::ImportValue": !Sub "${Stage}-x"}`)
			tpl, values, err := compile(head+expr, nil)
			if err != nil {
				t.Fatal(err)
			}
			s := scope(tpl, values)
			props, err := s.Properties(tpl.Resources["R"])
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := cfn.Encode(props["P"]); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.expr, got, tt.want)
			}
		})
	}
}

// manyOf writes a flow mapping's members, numbered.
func manyOf(n int, format string) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(format, i))
	}
	return strings.Join(parts, ", ")
}

// AWS does not mind a key that is there twice: the last counts.
func TestDuplicateKeys(t *testing.T) {
	for _, text := range []string{`{"Resources": {"A": {"Type": "One"}, "A": {"Type": "Two"}}}`, "Resources:\n  A: {Type: One}\n  A: {Type: Two}"} {
		tpl, _, err := compile(text, nil)
		if err != nil || tpl.Resources["A"].Type != "Two" {
			t.Errorf("%s: %v %v", text, tpl, err)
		}
	}
}

// The wordings are AWS's; those marked with the oracle's test come from recorded replies.
func TestRefusals(t *testing.T) {
	const r = "Resources: {A: {Type: T}}\n"
	tests := []struct{ name, template, want string }{
		{"no resources (test_missing_resources_block)", `{"Parameters": {}}`, "Template format error: At least one Resources member must be defined."},
		{"strange attribute (test_resources_blocks)", `Resources: {A: {Type: T, Invalid: 1}}`, "Invalid template resource property 'Invalid'"},
		{"no type (test_resources_blocks)", `Resources: {A: {}}`, "Template format error: [/Resources/A] Every Resources object must contain a Type member."},
		{"resource no object (test_linting_error)", `Resources: {A: x}`, "Template format error: Any Resources member must be an object."},
		{"deep mapping (test_mapping_maximum_nesting_depth)", r + `Mappings: {M: {a: {b: {c: d}}}}`, "Template format error: Every Mappings attribute must be a String or a List."},
		{"equals (test_validate_equals_args_len)", r + `Conditions: {C: !Equals [a]}`, "Template error: every Fn::Equals object requires a list of 2 string parameters."},
		{"split (test_validate_split_arguments_len)", `Resources: {A: {Type: T, Properties: {x: !Split [a]}}}`, "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split."},
		{"depends on (test_depends_on_with_missing_reference)", `Resources: {A: {Type: T, DependsOn: Nope}}`, "Template format error: Unresolved resource dependencies [Nope] in the Resources block of the template"},
		{"if without condition (test_missing_condition)", `Resources: {A: {Type: T, Properties: {x: !If [Nope, a, b]}}}`, "Template error: unresolved condition dependency Nope in Fn::If"},
		{"macro name (test_error_pass_macro_as_reference)", r + `Transform: {Name: !Ref A}`, "Key Name of transform definition must be a string."},
		{"section", r + `Bogus: 1`, "Invalid template property or properties [Bogus]"},
		{"ref", `Resources: {A: {Type: T, Properties: {x: !Ref Y}}}`, "Template format error: Unresolved resource dependencies [Y] in the Resources block of the template"},
		{"output ref", r + `Outputs: {O: {Value: !Ref Y}}`, "Template format error: Unresolved resource dependencies [Y] in the Outputs block of the template"},
		{"get att", `Resources: {A: {Type: T, Properties: {x: !GetAtt Y.Z}}}`, "Template error: instance of Fn::GetAtt references undefined resource Y"},
		{"cycle", `Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {x: !Sub "${A}"}}, C: {Type: T}}`, "Circular dependency between resources: [A, B]"},
		{"self", `Resources: {A: {Type: T, Properties: {x: !GetAtt A.b}}}`, "Circular dependency between resources: [A]"},
		{"condition cycle", r + `Conditions: {X: !Not [!Condition Y], Y: !Not [!Condition X]}`, "Template error: Found circular condition dependency between conditions [X, Y]"},
		{"condition on resource", r + `Conditions: {X: !Equals [!Ref A, b]}`, "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template"},
		{"null", `{"Resources": {"A": {"Type": "T", "Properties": {"x": null}}}}`, "[/Resources/A/Properties/x] 'null' values are not allowed in templates"},
		{"json", "{\n \"Resources\": }", "Template format error: JSON not well-formed. (line 2, column 15)"},
		{"yaml", "a: [b", "Template format error: YAML not well-formed. (line 1)"},
		{"alias", "a: &x 1\nb: *x", "Template error: YAML aliases are not allowed in CloudFormation templates"},
		{"tag", "a: !Nope 1", "Template format error: YAML not well-formed. (line 1, column 4)"},
		{"binary", "a: !!binary aGk=", "Template format error: YAML not well-formed. (line 1, column 4)"},
		{"import in a condition", r + `Conditions: {X: !Equals [!ImportValue a, b]}`, "Template error: Cannot use Fn::ImportValue in Conditions."},
		{"condition of a resource", `Resources: {A: {Type: T, Condition: Nope}}`, "Template format error: Unresolved condition dependency Nope in the Resources block of the template"},
		{"condition of an output", r + `Outputs: {O: {Value: x, Condition: Nope}}`, "Template format error: Unresolved condition dependency Nope in the Outputs block of the template"},
		{"resources", "Resources: {" + manyOf(501, "R%d: {Type: T}") + "}", "Template format error: Number of resources, 501, is greater than maximum allowed, 500"},
		{"parameters", r + "Parameters: {" + manyOf(201, "P%d: {Type: String}") + "}", "Template format error: Number of parameters, 201, is greater than maximum allowed, 200"},
		{"outputs", r + "Outputs: {" + manyOf(201, "O%d: {Value: x}") + "}", "Template format error: Number of outputs, 201, is greater than maximum allowed, 200"},
		{"mappings", r + "Mappings: {" + manyOf(201, "M%d: {a: {b: c}}") + "}", "Template format error: Number of mappings, 201, is greater than maximum allowed, 200"},
		{"size", strings.Repeat("#", cfn.MaxBytes+1), "Template may not exceed 1000000 bytes in size."},
		{"logical id", `Resources: {a-b: {Type: T}}`, "Template format error: Resource name a-b is non alphanumeric."},
		{"parameter type", r + `Parameters: {P: {Type: Strange}}`, "Template format error: Unrecognized parameter type: Strange"},
		{"missing value (test_no_parameters_given)", r + `Parameters: {Input: {Type: String}}`, "Parameters: [Input] must have values"},
		{"store parameter (test_resolve_ssm_missing_parameter)", r + `Parameters: {InputValue: {Type: "AWS::SSM::Parameter::Value<String>"}}`, "Parameter InputValue should either have input value or default value"},
		{"number (test_invalid_parameter_type)", r + `Parameters: {Value: {Type: Number, Default: x}}`, "Parameter 'Value' must be a number."},
		{"allowed", r + `Parameters: {P: {Type: String, Default: x, AllowedValues: [a, b]}}`, "Parameter 'P' must be one of AllowedValues"},
		{"constraint", r + `Parameters: {P: {Type: String, Default: x, AllowedPattern: "[0-9]+", ConstraintDescription: digits only}}`, "Parameter P failed to satisfy constraint: digits only"},
		{"pattern", r + `Parameters: {P: {Type: String, Default: x1, AllowedPattern: "[0-9]+"}}`, "Parameter 'P' must match pattern [0-9]+"},
		{"min length", r + `Parameters: {P: {Type: String, Default: x, MinLength: 2}}`, "Parameter 'P' must contain at least 2 characters"},
		{"max value", r + `Parameters: {P: {Type: Number, Default: 9, MaxValue: 5}}`, "Parameter 'P' must be a number not greater than 5"},
		{"unknown function", `Resources: {A: {Type: T, Properties: {x: {"Fn::Nope": 1}}}}`, "Template validation error: Encountered unsupported function: Fn::Nope"},
		{"serverless transform", r + `Transform: AWS::Serverless-2016-10-31`, "Transform AWS::Serverless-2016-10-31 is not implemented."},
		{"each without transform", `Resources: {"Fn::ForEach::L": [x, [a], {"R${x}": {Type: T}}]}`, "Template format error: Any Resources member must be an object."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := compile(tt.template, nil)
			if got := message(err); got != tt.want {
				t.Errorf("%s\n got %q\nwant %q", tt.template, got, tt.want)
			}
		})
	}
}

func TestEvaluationRefusals(t *testing.T) {
	tests := []struct{ expr, want string }{
		{`!FindInMap [Sizes, nowhere, small]`, "Template error: Unable to get mapping for Sizes::nowhere::small"},
		{`!FindInMap [Nope, a, b]`, "Template error: Mapping named 'Nope' is not present in the 'Mappings' section of template."},
		{`!Select [7, !Ref Names]`, "Template error: Fn::Select cannot select nonexistent value at index 7"},
		{`!Cidr ["10.0.0.0/30", 9, 8]`, "Template error: Fn::Cidr: 10.0.0.0/30 does not hold 9 blocks of 8 bits"},
		{`!Base64 [a]`, "Template error: every Fn::Base64 object must have a String-typed value."},
	}
	for _, tt := range tests {
		tpl, values, err := compile(head+tt.expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = scope(tpl, values).Properties(tpl.Resources["R"])
		if got := message(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.expr, got, tt.want)
		}
	}
}

func TestInactiveResources(t *testing.T) {
	const text = `
Conditions: {Never: !Equals [a, b]}
Resources:
  Gone: {Type: T, Condition: Never}
  Kept: {Type: T, DependsOn: Gone, Properties: {X: !If [Never, !Ref Gone, fine]}}
  Bad: {Type: T, Properties: {X: !Ref Gone}}
`
	tpl, values, err := compile(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := scope(tpl, values)
	active, err := s.Active()
	if err != nil || len(active) != 2 {
		t.Fatalf("active %v, %v", active, err)
	}
	_, err = s.Dependencies(active)
	if got, want := message(err), "Template format error: Unresolved resource dependencies [Gone] in the Resources block of the template"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	delete(active, "Bad")
	edges, err := s.Dependencies(active)
	if err != nil || len(edges["Kept"]) != 0 {
		t.Errorf("edges %v, %v", edges, err)
	}
}

func TestLanguageExtensions(t *testing.T) {
	const text = `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "a-1,b"}
  Keep: {Type: String, Default: Retain}
Mappings: {M: {x: {y: z}}}
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - Topic&{Name}:
        Type: T
        DeletionPolicy: !Ref Keep
        Properties:
          Name: !Sub "${Name}-${AWS::Region}"
          Plain: !Ref Name
          Fn::ForEach::Inner: [I, [p, q], {"K${I}": "${I}${Name}"}]
  Last:
    Type: T
    Properties:
      Json: {"Fn::ToJsonString": {b: [1, !Ref "AWS::Region"], a: x}}
      Length: {"Fn::Length": !Ref Names}
      Fallback: !FindInMap [M, nope, y, {DefaultValue: other}]
      Late: {Ref: {"Fn::Join": ["", [Topic, b]]}}
`
	tpl, values, err := compile(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := scope(tpl, values)
	for id, want := range map[string]string{
		"Topica1": `{"Kp":"pa-1","Kq":"qa-1","Name":"a-1-eu-west-1","Plain":"a-1"}`,
		"Topicb":  `{"Kp":"pb","Kq":"qb","Name":"b-eu-west-1","Plain":"b"}`,
		"Last":    `{"Fallback":"other","Json":"{\"a\":\"x\",\"b\":[1,\"eu-west-1\"]}","Late":"ref-Topicb","Length":2}`,
	} {
		r := tpl.Resources[id]
		if r == nil {
			t.Fatalf("no resource %s in %v", id, tpl.Resources)
		}
		props, err := s.Properties(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := cfn.Encode(props); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
	if got := tpl.Resources["Topicb"].DeletionPolicy; got != "Retain" {
		t.Errorf("DeletionPolicy %q", got)
	}
}

func TestUnknownSpreads(t *testing.T) {
	tpl, values, err := compile(head+`[!Sub "x-${Other}", !Join ["", [a, !Ref Other]], !Select [0, !Split [",", !Ref Other]], !Ref Stage, !Base64 {Ref: Other}]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := scope(tpl, values)
	s.Ref = func(string) (any, error) { return cfn.Unknown{}, nil }
	props, err := s.Properties(tpl.Resources["R"])
	if err != nil {
		t.Fatal(err)
	}
	list := props["P"].([]any)
	for i, want := range []any{cfn.Unknown{}, cfn.Unknown{}, cfn.Unknown{}, "dev", cfn.Unknown{}} {
		if list[i] != want {
			t.Errorf("element %d: got %v, want %v", i, list[i], want)
		}
	}
}

func TestDynamicReferences(t *testing.T) {
	got, err := cfn.ReplaceDynamic("a{{resolve:ssm:/x:2}}b{{resolve:secretsmanager:s:SecretString:k}}", func(d cfn.Dynamic) (any, error) {
		return "<" + d.Service + "|" + d.Ref + ">", nil
	})
	if err != nil || got != "a<ssm|/x:2>b<secretsmanager|s:SecretString:k>" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := cfn.ReplaceDynamic("{{resolve:vault:x}}", nil); err == nil {
		t.Error("an unknown store was accepted")
	}
}

// TestServerlessTemplate compiles what Serverless Framework 3 made of a project with http, httpApi, schedule
// and url events.
func TestServerlessTemplate(t *testing.T) {
	text, err := os.ReadFile("testdata/serverless.json")
	if err != nil {
		t.Fatal(err)
	}
	tpl, values, err := compile(string(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := scope(tpl, values)
	active, err := s.Active()
	if err != nil {
		t.Fatal(err)
	}
	edges, err := s.Dependencies(active)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(edges["HelloLambdaFunction"], " "); got != "HelloLogGroup IamRoleLambdaExecution ServerlessDeploymentBucket" {
		t.Errorf("dependencies of the function: %s", got)
	}
	for id, r := range active {
		if _, err := s.Properties(r); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for name, o := range tpl.Outputs {
		if _, err := s.Value(o.Value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	serverless, _ := os.ReadFile("testdata/serverless.json")
	f.Add(string(serverless))
	f.Add(head + `!Sub "${Stage}-${Other}"`)
	f.Add("Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::L': [x, [a, b], {'R${x}': {Type: T}}]}")
	f.Add(`{"Resources":{"A":{"Type":"T","Properties":{"x":{"Fn::Cidr":["10.0.0.0/8",256,8]}}}}}`)
	f.Add("Rules: {R: {Assertions: [{Assert: !Contains [[a], a]}]}}\nResources: {A: {Type: T}}")
	f.Fuzz(func(t *testing.T, text string) {
		tpl, values, err := compile(text, nil)
		if err != nil {
			return
		}
		s := scope(tpl, values)
		active, err := s.Active()
		if err != nil {
			return
		}
		if _, err := s.Dependencies(active); err != nil {
			return
		}
		_ = s.CheckRules()
		for _, r := range active {
			props, err := s.Properties(r)
			if err != nil {
				continue
			}
			if _, err := cfn.Encode(props); err != nil {
				t.Fatalf("properties cannot be encoded: %v", err)
			}
		}
	})
}
