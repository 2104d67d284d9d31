package cloudformation

import (
	"context"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

const groups = `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "a", "RetentionInDays": 7}},
	"B": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "${A}-b"}}}}}`

func (b *bench) changeSet(name, template string, change ...func(*CreateChangeSetInput)) *DescribeChangeSetOutput {
	b.t.Helper()
	in := &CreateChangeSetInput{StackName: &name, ChangeSetName: new("set"), TemplateBody: &template, Capabilities: []string{"CAPABILITY_NAMED_IAM"}}
	for _, f := range change {
		f(in)
	}
	made, err := b.s.createChangeSet(context.Background(), b.c, in)
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := b.s.describeChangeSet(context.Background(), b.c, &DescribeChangeSetInput{ChangeSetName: made.Id, IncludePropertyValues: new(true)})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// lines says what a change set holds, a change or detail a line.
func lines(out *DescribeChangeSetOutput) string {
	var b strings.Builder
	for _, c := range out.Changes {
		r := c.ResourceChange
		b.WriteString(strings.Join(strings.Fields(strings.Join([]string{*r.Action, *r.LogicalResourceId, cloud.Val(r.Replacement), cloud.Val(r.PolicyAction)}, " ")), " ") + "\n")
		for _, d := range r.Details {
			b.WriteString("  " + strings.Join(strings.Fields(strings.Join([]string{cloud.Val(d.Target.Name), *d.Target.RequiresRecreation, *d.ChangeSource,
				*d.Evaluation, cloud.Val(d.CausingEntity), cloud.Val(d.Target.BeforeValue), "->", cloud.Val(d.Target.AfterValue)}, " ")), " ") + "\n")
		}
	}
	return b.String()
}

func TestChangeSets(t *testing.T) {
	b := newBench(t)
	isCreate := func(in *CreateChangeSetInput) { in.ChangeSetType = new("CREATE") }
	out := b.changeSet("cs", groups, isCreate)
	if got, want := lines(out), "Add A\nAdd B\n"; got != want || *out.Status != "CREATE_COMPLETE" || *out.ExecutionStatus != "AVAILABLE" {
		t.Errorf("got %s %s\n%swant\n%s", *out.Status, *out.ExecutionStatus, got, want)
	}
	if got, want := *out.Changes[1].ResourceChange.AfterContext, `{"Properties":{"LogGroupName":"{{changeSet:KNOWN_AFTER_APPLY}}"}}`; got != want {
		t.Errorf("after context %s, want %s", got, want)
	}
	if st := b.stack("cs"); *st.StackStatus != "REVIEW_IN_PROGRESS" || *st.StackStatusReason != "User Initiated" {
		t.Errorf("stack in review: %s %v", *st.StackStatus, st.StackStatusReason)
	}
	if _, err := b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: out.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	b.want("cs", "CREATE_COMPLETE")
	after, err := b.s.describeChangeSet(t.Context(), b.c, &DescribeChangeSetInput{ChangeSetName: out.ChangeSetId})
	if err != nil || *after.ExecutionStatus != "EXECUTE_COMPLETE" {
		t.Errorf("after the execution: %v %v", after.ExecutionStatus, err)
	}

	none := b.changeSet("cs", groups)
	if *none.Status != "FAILED" || *none.StatusReason != noChanges || *none.ExecutionStatus != "UNAVAILABLE" {
		t.Errorf("no changes: %s %v", *none.Status, none.StatusReason)
	}
	_, err = b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: none.ChangeSetId})
	if cloud.FaultCode(err) != "InvalidChangeSetStatusException" {
		t.Errorf("execution of a failed set: %v", err)
	}
	if _, err := b.s.deleteChangeSet(t.Context(), b.c, &DeleteChangeSetInput{StackName: new("cs"), ChangeSetName: new("set")}); err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(`"a"`, `"z"`, "7", "14").Replace(groups)
	const want = `Modify A True ReplaceAndDelete
  LogGroupName Always DirectModification Static a -> z
  RetentionInDays Never DirectModification Static 7 -> 14
Modify B True ReplaceAndDelete
  LogGroupName Always ResourceReference Static A a-b -> {{changeSet:KNOWN_AFTER_APPLY}}
  LogGroupName Always DirectModification Dynamic a-b -> {{changeSet:KNOWN_AFTER_APPLY}}
`
	if got := lines(b.changeSet("cs", changed)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// An update outdates the change sets that were there.
func TestObsoleteChangeSet(t *testing.T) {
	b := newBench(t)
	b.create("old", groups)
	b.want("old", "CREATE_COMPLETE")
	set := b.changeSet("old", strings.Replace(groups, "7", "14", 1))
	b.update("old", strings.Replace(groups, "7", "30", 1))
	b.want("old", "UPDATE_COMPLETE")
	out, err := b.s.describeChangeSet(t.Context(), b.c, &DescribeChangeSetInput{ChangeSetName: set.ChangeSetId})
	if err != nil || *out.ExecutionStatus != "OBSOLETE" {
		t.Errorf("%v %v", out.ExecutionStatus, err)
	}
	_, err = b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: set.ChangeSetId})
	if got := message(err); cloud.FaultCode(err) != "InvalidChangeSetStatusException" || !strings.HasSuffix(got, "cannot be executed in its current status of [OBSOLETE]") {
		t.Errorf("execution: %v", err)
	}
}

func TestParameterChanges(t *testing.T) {
	b := newBench(t)
	const template = `{"Parameters": {"Days": {"Type": "Number"}}, "Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Days"}}}}}`
	days := func(v string) []Parameter { return []Parameter{{ParameterKey: new("Days"), ParameterValue: &v}} }
	b.create("p", template, func(in *CreateStackInput) { in.Parameters = days("1") })
	b.want("p", "CREATE_COMPLETE")
	const want = "Modify A False\n  RetentionInDays Never ParameterReference Static Days 1 -> 3\n  RetentionInDays Never DirectModification Dynamic 1 -> 3\n"
	if got := lines(b.changeSet("p", template, func(in *CreateChangeSetInput) { in.Parameters = days("3") })); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	b.update("p", template, func(in *UpdateStackInput) { in.Parameters = days("5") })
	b.want("p", "UPDATE_COMPLETE")
	_, err := b.s.updateStack(t.Context(), b.c, &UpdateStackInput{StackName: new("p"), UsePreviousTemplate: new(true),
		Parameters: []Parameter{{ParameterKey: new("Days"), UsePreviousValue: new(true)}}})
	if got := message(err); got != "No updates are to be performed." {
		t.Errorf("same again: %q", got)
	}
}

// TestCreateRefusals holds AWS's wordings for calls that begin nothing.
func TestCreateRefusals(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name, template, want string
		change               func(*CreateStackInput)
	}{
		{"name (test_stack_name_creation)", groups, "1 validation error detected: Value '*@da591fa3_$' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*",
			func(in *CreateStackInput) { in.StackName = new("*@da591fa3_$") }},
		{"no template (test_no_template_error)", "", "Either Template URL or Template Body must be specified.", func(in *CreateStackInput) { in.TemplateBody = nil }},
		{"size", strings.Repeat("é", 25_601), "1 validation error detected: Value '" + strings.Repeat("é", 32) + "…' at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200", nil},
		{"size of half a letter", "x" + strings.Repeat("é", 25_600), "1 validation error detected: Value 'x" + strings.Repeat("é", 31) + "…' at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200", nil},
		{"unknown parameter", groups, "Parameters: [A, B] do not exist in the template", func(in *CreateStackInput) {
			in.Parameters = []Parameter{{ParameterKey: new("B"), ParameterValue: new("x")}, {ParameterKey: new("A"), ParameterValue: new("x")}}
		}},
		{"parameters", `{"Parameters": {"P": {"Type": "String"}, "Q": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}}`, "Parameters: [P, Q] must have values", nil},
		{"value", `{"Parameters": {"P": {"Type": "String", "AllowedValues": ["a", "b"]}}, "Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}}`, "Parameter 'P' must be one of AllowedValues",
			func(in *CreateStackInput) {
				in.Parameters = []Parameter{{ParameterKey: new("P"), ParameterValue: new("c")}}
			}},
		{"previous value", `{"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}}`,
			"Invalid input for parameter key P. Cannot specify usePreviousValue as true for a parameter key not in the previous template",
			func(in *CreateStackInput) {
				in.Parameters = []Parameter{{ParameterKey: new("P"), UsePreviousValue: new(true)}}
			}},
		{"circle", `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "DependsOn": "B"}, "B": {"Type": "AWS::Logs::LogGroup", "DependsOn": "A"}}}`, "Circular dependency between resources: [A, B]", nil},
		{"capabilities of both", `{"Resources": {"A": {"Type": "AWS::IAM::Role"}, "B": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"ManagedPolicyName": "x"}}}}`, "Requires capabilities : [CAPABILITY_NAMED_IAM]",
			func(in *CreateStackInput) { in.Capabilities = []string{"CAPABILITY_IAM"} }},
		{"type", `{"Resources": {"A": {"Type": "AWS::Nope::Thing"}, "B": {"Type": "Custom::X"}}}`, "Template format error: Unrecognized resource types: [AWS::Nope::Thing, Custom::X]", nil},
		{"capability", `{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "x"}}}}`, "Requires capabilities : [CAPABILITY_NAMED_IAM]", nil},
		{"capability of an unnamed role", `{"Resources": {"A": {"Type": "AWS::IAM::Role"}}}`, "Requires capabilities : [CAPABILITY_IAM]", nil},
		{"transform (test_capabilities_requirements)", `{"Transform": "AWS::LanguageExtensions", "Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}}`, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]", nil},
		{"types (test_update_with_resource_types)", groups, "Resource type AWS::Logs::LogGroup is not allowed by parameter ResourceTypes [AWS::EC2::*]",
			func(in *CreateStackInput) { in.ResourceTypes = []string{"AWS::EC2::*"} }},
		{"attribute", `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}, "B": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::GetAtt": ["A", "Nope"]}}}}}`,
			"Template error: resource A does not support attribute type Nope in Fn::GetAtt", nil},
		{"mapping (test_async_mapping_error_first_level_v2)", `{"Mappings": {"M": {"A": {"S": "x"}}}, "Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::FindInMap": ["M", "C", "S"]}}}}}`,
			"Template error: Unable to get mapping for M::C::S", nil},
		{"url (http_invalid)", "", "TemplateURL must be a supported URL.", func(in *CreateStackInput) { in.TemplateBody, in.TemplateURL = nil, new("https://example.com/a/b") }},
		{"s3 url (s3_url)", "", "S3 error: Domain name specified in bkt is not a valid S3 domain", func(in *CreateStackInput) { in.TemplateBody, in.TemplateURL = nil, new("s3://bkt/key") }},
		{"policy", groups, "Error validating stack policy: Invalid stack policy", func(in *CreateStackInput) {
			in.StackPolicyBody = new(`{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "x", "Resource": "*"}]}`)
		}},
		{"topics", groups, "NotificationARNs is not implemented.", func(in *CreateStackInput) { in.NotificationARNs = []string{"arn:aws:sns:us-east-1:1:t"} }},
		{"no validation", groups, "DisableValidation is not implemented.", func(in *CreateStackInput) { in.DisableValidation = new(true) }},
		{"role (test_update_with_role_without_permissions)", groups, "Role arn:aws:iam::000000000000:role/nope is invalid or cannot be assumed",
			func(in *CreateStackInput) { in.RoleARN = new("arn:aws:iam::000000000000:role/nope") }},
	}
	b.cloud.hook = func(int, string) error { t.Error("a refused stack called a service"); return nil }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.name, "role") {
				b.s.call = refusing{}
				defer func() { b.s.call = b.cloud }()
			}
			in := &CreateStackInput{StackName: new("x"), TemplateBody: &tt.template}
			if tt.change != nil {
				tt.change(in)
			}
			_, err := b.s.createStack(t.Context(), b.c, in)
			if got := message(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

type refusing struct{}

func (refusing) Call(context.Context, cloud.Caller, string, string, map[string]any) (map[string]any, error) {
	return nil, notFound("role")
}

func TestPropertyProblems(t *testing.T) {
	tests := []struct{ properties, want string }{
		{`{"Foo": 1}`, "Properties validation failed for resource A with message: #: extraneous key [Foo] is not permitted"},
		{`{"Tags": [{"Key": "k", "Value": "v", "X": 1}]}`, "Properties validation failed for resource A with message: #/Tags/0: extraneous key [X] is not permitted"},
		{`{"DataProtectionPolicy": {}}`, `Resource handler returned message: "Property /DataProtectionPolicy of resource A is not implemented.`},
		{`{"Tags": [{"Key": "k"}]}`, "Properties validation failed for resource A with message: #/Tags/0: required key [Value] not found"},
		{`{"RetentionInDays": "x"}`, "Properties validation failed for resource A with message: #/RetentionInDays: expected type: Integer, found: String"},
		{`{"LogGroupName": {"a": "b"}, "Tags": {}}`, "Properties validation failed for resource A with message: #/LogGroupName: expected type: String, found: JSONObject\n#/Tags: expected type: JSONArray, found: JSONObject"},
	}
	b := newBench(t)
	for _, tt := range tests {
		b.create("bad", `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Properties": `+tt.properties+`}}}`)
		b.want("bad", "ROLLBACK_COMPLETE")
		if got := b.events("bad"); !strings.Contains(got, "A CREATE_FAILED | "+tt.want) {
			t.Errorf("%s: want %s in\n%s", tt.properties, tt.want, got)
		}
		id := *b.stack("bad").StackId
		b.delete("bad")
		b.want(id, "DELETE_COMPLETE")
	}
}

// The wording is of engine/test_attributes: the stack fails before a resource is made.
func TestOutputWithoutAttribute(t *testing.T) {
	b := newBench(t)
	b.create("out", `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}, "Outputs": {"InvalidOutput": {"Value": {"Fn::GetAtt": ["A", "Invalid"]}}}}`)
	b.want("out", "ROLLBACK_COMPLETE")
	const want = `out CREATE_IN_PROGRESS | User Initiated
out ROLLBACK_IN_PROGRESS | [Error] /Outputs/InvalidOutput/Value/Fn::GetAtt: Resource type AWS::Logs::LogGroup does not support attribute {Invalid}. Rollback requested by user.
out ROLLBACK_COMPLETE
`
	if got := b.events("out"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestExports(t *testing.T) {
	b := newBench(t)
	export := func(name, value string) string {
		return `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}, "Outputs": {"O": {"Value": "` + value + `", "Export": {"Name": "` + name + `"}}}}`
	}
	b.create("from", export("x", "1"))
	b.want("from", "CREATE_COMPLETE")
	b.create("to", `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::ImportValue": "x"}}}}}`)
	b.want("to", "CREATE_COMPLETE")
	if !strings.Contains(b.cloud.state(), "group 1 ") {
		t.Errorf("the import gave something else:\n%s", b.cloud.state())
	}
	_, err := b.s.deleteStack(t.Context(), b.c, &DeleteStackInput{StackName: new("from")})
	if got := message(err); got != "Export x cannot be deleted as it is in use by to" {
		t.Errorf("delete of the exporter: %q", got)
	}
	b.update("from", export("x", "2"))
	b.want("from", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.events("from"); !strings.Contains(got, "UPDATE_ROLLBACK_IN_PROGRESS | Export x cannot be updated as it is in use by to\n") {
		t.Error(got)
	}
	b.create("again", export("x", "3"))
	b.want("again", "ROLLBACK_COMPLETE")
	if got := b.events("again"); !strings.Contains(got, "Export with name x is already exported by stack from. Rollback requested by user.") {
		t.Error(got)
	}
	imports, err := b.s.listImports(t.Context(), b.c, &ListImportsInput{ExportName: new("x")})
	if err != nil || len(imports.Imports) != 1 || imports.Imports[0] != "to" {
		t.Errorf("imports %v %v", imports, err)
	}
	exports, err := b.s.listExports(t.Context(), b.c, &ListExportsInput{})
	if err != nil || len(exports.Exports) != 1 || *exports.Exports[0].Value != "1" {
		t.Errorf("exports %v %v", exports, err)
	}
	id := *b.stack("to").StackId
	b.delete("to")
	b.want(id, "DELETE_COMPLETE")
	id = *b.stack("from").StackId
	b.delete("from")
	b.want(id, "DELETE_COMPLETE")
}

func TestStackPolicyAndProtection(t *testing.T) {
	b := newBench(t)
	b.create("safe", groups, func(in *CreateStackInput) {
		in.EnableTerminationProtection = new(true)
		in.StackPolicyBody = new(`{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
			{"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "LogicalResourceId/A"}]}`)
	})
	b.want("safe", "CREATE_COMPLETE")
	_, err := b.s.deleteStack(t.Context(), b.c, &DeleteStackInput{StackName: new("safe")})
	if got := message(err); got != "Stack [safe] cannot be deleted while TerminationProtection is enabled" {
		t.Errorf("delete: %q", got)
	}
	before := b.cloud.state()
	for name, template := range map[string]string{
		"Update:Replace": strings.Replace(groups, `"a"`, `"z"`, 1),
		"Update:Delete":  `{"Resources": {"C": {"Type": "AWS::Logs::LogGroup"}}}`,
	} {
		b.update("safe", template)
		b.want("safe", "UPDATE_ROLLBACK_COMPLETE")
		if got := b.events("safe"); !strings.Contains(got, "Action denied by stack policy: Statement [#2] does not allow ["+name+"] for resource [A]") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if b.cloud.state() != before {
		t.Error("a denied update changed something")
	}
	b.update("safe", strings.Replace(groups, "7", "14", 1))
	b.want("safe", "UPDATE_COMPLETE")
	if _, err := b.s.updateTerminationProtection(t.Context(), b.c, &UpdateTerminationProtectionInput{StackName: new("safe"), EnableTerminationProtection: new(false)}); err != nil {
		t.Fatal(err)
	}
	id := *b.stack("safe").StackId
	b.delete("safe")
	b.want(id, "DELETE_COMPLETE")
}

func TestDeletionPolicies(t *testing.T) {
	b := newBench(t)
	const template = `{"Resources": {
		"Keep": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain", "Properties": {"LogGroupName": "keep"}},
		"Drop": {"Type": "AWS::Logs::LogGroup", "UpdateReplacePolicy": "Retain", "Properties": {"LogGroupName": "drop"}}}}`
	b.create("pol", template)
	id := *b.want("pol", "CREATE_COMPLETE").StackId
	b.update("pol", strings.Replace(template, `"drop"`, `"drop2"`, 1))
	b.want("pol", "UPDATE_COMPLETE")
	b.delete("pol")
	b.want(id, "DELETE_COMPLETE")
	if got := b.cloud.kinds(); got != "group=2" {
		t.Errorf("left %s:\n%s", got, b.cloud.state())
	}
	if got := b.events(id); !strings.Contains(got, "Keep DELETE_SKIPPED") || !strings.Contains(got, "Drop DELETE_SKIPPED") {
		t.Error(got)
	}
}

func TestFailureOptions(t *testing.T) {
	b := newBench(t)
	fail := func(_ int, call string) error {
		if call == "s3:CreateBucket" {
			return &cloud.Fault{Code: "Nope", Message: "no", Status: 400}
		}
		return nil
	}
	const template = `{"Resources": {"G": {"Type": "AWS::Logs::LogGroup"}, "B": {"Type": "AWS::S3::Bucket", "DependsOn": "G"}}}`
	b.cloud.hook = fail
	b.create("stay", template, func(in *CreateStackInput) { in.OnFailure = new("DO_NOTHING") })
	st := b.want("stay", "CREATE_FAILED")
	if got := *st.StackStatusReason; got != "The following resource(s) failed to create: [B]." {
		t.Errorf("reason %q", got)
	}
	if got := b.cloud.kinds(); got != "group=1" {
		t.Errorf("kept %s", got)
	}
	if _, err := b.s.rollbackStack(t.Context(), b.c, &RollbackStackInput{StackName: new("stay")}); err != nil {
		t.Fatal(err)
	}
	b.want("stay", "ROLLBACK_COMPLETE")
	b.create("gone", template, func(in *CreateStackInput) { in.OnFailure = new("DELETE") })
	for {
		out, err := b.s.listStacks(t.Context(), b.c, &ListStacksInput{StackStatusFilter: []string{"DELETE_COMPLETE"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.StackSummaries) == 1 {
			break
		}
	}
	if got := b.cloud.kinds(); got != "" {
		t.Errorf("left %s", got)
	}
}

// A rollback that fails leaves the stack where ContinueUpdateRollback takes it up.
func TestContinueUpdateRollback(t *testing.T) {
	b := newBench(t)
	b.create("shop", first)
	b.want("shop", "CREATE_COMPLETE")
	before := b.cloud.state()
	refuse := func(_ int, call string) error {
		if call == "lambda:UpdateFunctionConfiguration" {
			return &cloud.Fault{Code: "TooManyRequestsException", Message: "slow down", Status: 429}
		}
		return nil
	}
	b.cloud.hook = refuse
	b.update("shop", second)
	st := b.want("shop", "UPDATE_ROLLBACK_FAILED")
	if got := *st.StackStatusReason; got != "The following resource(s) failed to update: [Fn]." {
		t.Errorf("reason %q", got)
	}
	b.cloud.mu.Lock()
	b.cloud.hook = nil
	b.cloud.mu.Unlock()
	if _, err := b.s.continueUpdateRollback(t.Context(), b.c, &ContinueUpdateRollbackInput{StackName: new("shop")}); err != nil {
		t.Fatal(err)
	}
	b.want("shop", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestTemplateURLs(t *testing.T) {
	b := newBench(t)
	b.cloud.things["object bkt/dir/t.json"] = map[string]any{"text": groups}
	for _, location := range []string{
		"https://s3.amazonaws.com/bkt/dir/t.json", "https://s3.eu-west-1.amazonaws.com/bkt/dir/t.json", "https://s3-eu-west-1.amazonaws.com/bkt/dir/t.json",
		"https://bkt.s3.amazonaws.com/dir/t.json", "https://bkt.s3.eu-west-1.amazonaws.com/dir/t.json", "https://bkt.s3.dualstack.eu-west-1.amazonaws.com/dir/t.json",
		"http://127.0.0.1:4566/bkt/dir/t.json", "http://localhost:4566/bkt/dir/t.json", "http://bkt.s3.eu-west-1.localhost:4566/dir/t.json",
		"https://s3.eu-west-1.localhost:4566/bkt/dir/t.json",
	} {
		out, err := b.s.validateTemplate(t.Context(), b.c, &ValidateTemplateInput{TemplateURL: &location})
		if err != nil || out == nil {
			t.Errorf("%s: %v", location, err)
		}
	}
	for location, want := range map[string]string{
		"https://s3.amazonaws.com.example.com/bkt/dir/t.json": "TemplateURL must be a supported URL.",
		"ftp://s3.amazonaws.com/bkt/dir/t.json":               "TemplateURL must be a supported URL.",
		"https://ec2.amazonaws.com/bkt/dir/t.json":            "TemplateURL must be a supported URL.",
		"https://s3.amazonaws.com/bkt":                        "TemplateURL must reference a valid S3 object to which you have access.",
		"https://s3.amazonaws.com/bkt/nope":                   "S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
	} {
		_, err := b.s.validateTemplate(t.Context(), b.c, &ValidateTemplateInput{TemplateURL: &location})
		if got := message(err); got != want {
			t.Errorf("%s: got %q, want %q", location, got, want)
		}
	}
}

// Secrets reach the service that is called, and nothing that is stored or shown.
func TestSecretsAreNotStored(t *testing.T) {
	b := newBench(t)
	b.create("sec", `{"Parameters": {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/n"}, "Hush": {"Type": "String", "NoEcho": true, "Default": "quiet"}},
		"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"Description": {"Ref": "P"},
		"AssumeRolePolicyDocument": {"x": "{{resolve:secretsmanager:db:SecretString:password}}", "y": "{{resolve:ssm:/plain}}", "z": {"Ref": "Hush"}}}}}}`)
	st := b.want("sec", "CREATE_COMPLETE")
	if got := b.cloud.state(); !strings.Contains(got, "hunter2") || !strings.Contains(got, "</plain>") && !strings.Contains(got, `\u003c/plain\u003e`) {
		t.Errorf("made:\n%s", got)
	}
	out, err := b.s.describeStackEvents(t.Context(), b.c, &DescribeStackEventsInput{StackName: new("sec")})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.StackEvents {
		if p := cloud.Val(e.ResourceProperties); strings.Contains(p, "hunter2") || strings.Contains(p, "quiet") {
			t.Errorf("event shows a secret: %s", p)
		}
	}
	for _, p := range st.Parameters {
		if *p.ParameterKey == "Hush" && *p.ParameterValue != "****" || *p.ParameterKey == "P" && cloud.Val(p.ResolvedValue) != "</n>" {
			t.Errorf("parameter %s = %s (%v)", *p.ParameterKey, *p.ParameterValue, p.ResolvedValue)
		}
	}
}

func TestStackTags(t *testing.T) {
	b := newBench(t)
	const template = `{"Resources": {"G": {"Type": "AWS::Logs::LogGroup", "Properties": {"Tags": [{"Key": "own", "Value": "1"}]}}}}`
	b.create("tags", template, func(in *CreateStackInput) { in.Tags = []Tag{{Key: new("team"), Value: new("blue")}} })
	b.want("tags", "CREATE_COMPLETE")
	want := `"tags":{"aws:cloudformation:logical-id":"G","aws:cloudformation:stack-id":"` + *b.stack("tags").StackId + `","aws:cloudformation:stack-name":"tags","own":"1","team":"blue"}`
	if got := b.cloud.state(); !strings.Contains(got, want) {
		t.Errorf("got\n%swant %s", got, want)
	}
}

func FuzzForeignText(f *testing.F) {
	f.Add(`{"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "NotResource": ["LogicalResourceId/A?", "[x"]}]}`, "https://bkt.s3.eu-west-1.localhost:4566/a/b")
	f.Add(`{"Statement": {}}`, "http://[::1]:4566/b/k")
	f.Fuzz(func(t *testing.T, policy, location string) {
		if checkPolicy(policy) == nil {
			parsePolicy(policy).denies("Update:Modify", "A", "AWS::X::Y")
		}
		s := &Service{domain: "localhost:4566"}
		bucket, key, _, err := s.object(cloud.Caller{Host: "127.0.0.1:4566"}, location, "TemplateURL")
		if err == nil && (bucket == "" || key == "") {
			t.Errorf("%q names no object, and no error", location)
		}
	})
}

func TestSweepForgetsDeletedStacks(t *testing.T) {
	b := newBench(t)
	b.create("old", groups)
	id := *b.want("old", "CREATE_COMPLETE").StackId
	b.delete("old")
	b.want(id, "DELETE_COMPLETE")
	if err := b.s.sweep(t.Context(), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if b.stack(id); b.rows() == 0 {
		t.Fatal("nothing is stored")
	}
	if err := b.s.sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := b.rows(); n != 0 {
		t.Errorf("left %d rows behind", n)
	}
}

// rows counts everything that is stored.
func (b *bench) rows() (n int) {
	b.t.Helper()
	err := b.store.View(context.Background(), func(r kv.Reader) error {
		rows, err := r.Scan(context.Background(), kv.Range{Begin: []byte{0}, End: []byte{0xff}})
		n = len(rows)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}
