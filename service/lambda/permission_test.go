package lambda_test

import (
	"encoding/json"
	"testing"

	"lambent/cloud"
	"lambent/service/lambda"
)

// TestPermissions follows aws-replies: test_lambda_api.py::TestLambdaPermissions.
func TestPermissions(t *testing.T) {
	b := newBench(t)
	b.create("f", func(in *lambda.CreateFunctionInput) { in.Publish = new(true) })
	b.fails(&lambda.GetPolicyInput{FunctionName: new("f")}, "ResourceNotFoundException", "The resource you requested does not exist.")
	tests := []struct {
		name string
		in   lambda.AddPermissionInput
		want string
	}{
		{"service", lambda.AddPermissionInput{StatementId: new("lambda"), Principal: new("lambda.amazonaws.com"), SourceAccount: new("111111111111")},
			`{"Sid":"lambda","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `f","Condition":{"StringEquals":{"AWS:SourceAccount":"111111111111"}}}`},
		{"account", lambda.AddPermissionInput{StatementId: new("account-id"), Principal: new("111111111111")},
			`{"Sid":"account-id","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `f"}`},
		{"user", lambda.AddPermissionInput{StatementId: new("user-arn"), Principal: new("arn:aws:iam::111111111111:user/u")},
			`{"Sid":"user-arn","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/u"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `f"}`},
		{"everything", lambda.AddPermissionInput{StatementId: new("urlPermission"), Principal: new("*"), Action: new("lambda:InvokeFunctionUrl"), SourceArn: new("arn:aws:s3:::bucket"),
			SourceAccount: new("111111111111"), PrincipalOrgID: new("o-1234567890"), FunctionUrlAuthType: new("NONE")},
			`{"Sid":"urlPermission","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunctionUrl","Resource":"` + arn + `f","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"},"StringEquals":{"AWS:SourceAccount":"111111111111","aws:PrincipalOrgID":"o-1234567890","lambda:FunctionUrlAuthType":"NONE"}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.FunctionName = new("f")
			if in.Action == nil {
				in.Action = new("lambda:InvokeFunction")
			}
			if got := *must[lambda.AddPermissionOutput](b, &in).Statement; got != tt.want {
				t.Errorf("statement = %s\nwant        %s", got, tt.want)
			}
		})
	}
	policy := must[lambda.GetPolicyOutput](b, &lambda.GetPolicyInput{FunctionName: new("f")})
	var doc struct {
		Version, Id string
		Statement   []json.RawMessage
	}
	if err := json.Unmarshal([]byte(*policy.Policy), &doc); err != nil || doc.Version != "2012-10-17" || doc.Id != "default" || len(doc.Statement) != len(tests) {
		t.Errorf("policy = %s, %v", *policy.Policy, err)
	}
	if now := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("f")}); *now.RevisionId != *policy.RevisionId {
		t.Error("the policy's revision is not the function's")
	}
	add := func(change func(*lambda.AddPermissionInput)) *lambda.AddPermissionInput {
		in := &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("new"), Action: new("lambda:InvokeFunction"), Principal: new("s3.amazonaws.com")}
		change(in)
		return in
	}
	b.fails(add(func(in *lambda.AddPermissionInput) { in.StatementId = new("lambda") }), "ResourceConflictException", "The statement id (lambda) provided already exists.")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.Qualifier = new("$LATEST") }), "InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.Qualifier = new("alias-doesnotexist") }), "ResourceNotFoundException", "Cannot find alias arn: "+arn+"f:alias-doesnotexist")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.Qualifier = new("valid-with-$-but-doesnotexist") }), "ResourceNotFoundException", "Function not found: "+arn+"f:valid-with-$-but-doesnotexist")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.Qualifier = new("42") }), "ResourceNotFoundException", "Function not found: "+arn+"f:42")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.Principal = new("invalid.nonaws.com") }), "InvalidParameterValueException", "The provided principal was invalid.")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.FunctionName = new("doesnotexist") }), "ResourceNotFoundException", "Function not found: "+arn+"doesnotexist")
	b.fails(add(func(in *lambda.AddPermissionInput) { in.RevisionId = new("x") }), "PreconditionFailedException", "Call the GetFunction/GetAlias API")
	remove := func(name, id string) *lambda.RemovePermissionInput {
		return &lambda.RemovePermissionInput{FunctionName: new(name), StatementId: new(id)}
	}
	b.fails(remove("doesnotexist", "s3"), "ResourceNotFoundException", "No policy found for: "+arn+"doesnotexist")
	b.fails(remove("f:1", "s3"), "ResourceNotFoundException", "No policy is associated with the given resource.")
	b.fails(remove("f", "non-existent"), "ResourceNotFoundException", "Statement non-existent is not found in resource policy.")
	for _, id := range []string{"lambda", "account-id", "user-arn", "urlPermission"} {
		must[lambda.RemovePermissionOutput](b, remove("f", id))
	}
	b.fails(&lambda.GetPolicyInput{FunctionName: new("f")}, "ResourceNotFoundException", "The resource you requested does not exist.")
}

func TestCallersNeedPermission(t *testing.T) {
	b := newBench(t)
	b.create("f")
	api := "arn:aws:execute-api:us-east-1:111111111111:abc/dev/GET/hello"
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("api"), Action: new("lambda:InvokeFunction"),
		Principal: new("apigateway.amazonaws.com"), SourceArn: new("arn:aws:execute-api:us-east-1:111111111111:abc/*/*")})
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("rule"), Action: new("lambda:*"),
		Principal: new("events.amazonaws.com"), SourceAccount: new("111111111111")})
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("friend"), Action: new("lambda:InvokeFunction"), Principal: new("222222222222")})
	tests := []struct {
		name    string
		caller  cloud.Caller
		allowed bool
	}{
		{"the API", cloud.Caller{Via: "apigateway.amazonaws.com", ARN: api, Account: "111111111111"}, true},
		{"another API", cloud.Caller{Via: "apigateway.amazonaws.com", ARN: "arn:aws:execute-api:us-east-1:111111111111:xyz/dev/GET/", Account: "111111111111"}, false},
		{"another service", cloud.Caller{Via: "s3.amazonaws.com", ARN: api, Account: "111111111111"}, false},
		{"a rule", cloud.Caller{Via: "events.amazonaws.com", ARN: "arn:aws:events:us-east-1:111111111111:rule/r", Account: "111111111111"}, true},
		{"a rule elsewhere", cloud.Caller{Via: "events.amazonaws.com", ARN: "arn:aws:events:us-east-1:333333333333:rule/r", Account: "333333333333"}, false},
		{"a role of the account", cloud.Caller{Via: "apigateway.amazonaws.com", ARN: "arn:aws:sts::111111111111:assumed-role/r/s", Account: "111111111111"}, true},
		{"the account", cloud.Caller{ARN: "arn:aws:iam::111111111111:root", Account: "111111111111"}, true},
		{"a friend", cloud.Caller{ARN: "arn:aws:iam::222222222222:user/u", Account: "222222222222"}, true},
		{"a stranger", cloud.Caller{ARN: "arn:aws:iam::333333333333:user/u", Account: "333333333333"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, failed, err := b.s.InvokeARN(t.Context(), tt.caller, arn+"f", []byte(`{"x":1}`))
			if allowed := err == nil; allowed != tt.allowed {
				t.Fatalf("error = %v, want allowed %v", err, tt.allowed)
			}
			if err != nil {
				if cloud.FaultCode(err) != "AccessDeniedException" {
					t.Errorf("error = %v", err)
				}
				return
			}
			if failed != "" || len(answer) == 0 {
				t.Errorf("answer = %s, %s", answer, failed)
			}
		})
	}
	if err := b.s.InvokeAsyncARN(t.Context(), tests[3].caller, arn+"f", []byte(`{}`)); err != nil {
		t.Error(err)
	}
}
