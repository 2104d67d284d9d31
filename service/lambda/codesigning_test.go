package lambda_test

import (
	"strings"
	"testing"

	"lambent/service/lambda"
)

// TestCodeSigning follows aws-replies: test_lambda_api.py::TestCodeSigningConfig.
func TestCodeSigning(t *testing.T) {
	b := newBench(t)
	b.create("f")
	publishers := &lambda.AllowedPublishers{SigningProfileVersionArns: []string{"arn:aws:signer:us-east-1:111111111111:/signing-profiles/test"}}
	config := must[lambda.CreateCodeSigningConfigOutput](b, &lambda.CreateCodeSigningConfigInput{AllowedPublishers: publishers, Tags: map[string]string{"a": "b"},
		CodeSigningPolicies: &lambda.CodeSigningPolicies{UntrustedArtifactOnDeployment: new("Enforce")}}).CodeSigningConfig
	if id := *config.CodeSigningConfigId; len(id) != 21 || *config.CodeSigningConfigArn != "arn:aws:lambda:us-east-1:111111111111:code-signing-config:"+id || *config.Description != "" {
		t.Errorf("config = %+v", config)
	}
	its := config.CodeSigningConfigArn
	none := new((*its)[:len(*its)-17] + strings.Repeat("x", 17))
	missing := "The Lambda code signing configuration " + *none + " can not be found."
	b.fails(&lambda.GetCodeSigningConfigInput{CodeSigningConfigArn: none}, "ResourceNotFoundException", missing)
	b.fails(&lambda.UpdateCodeSigningConfigInput{CodeSigningConfigArn: none}, "ResourceNotFoundException", missing)
	b.fails(&lambda.DeleteCodeSigningConfigInput{CodeSigningConfigArn: none}, "ResourceNotFoundException", missing)
	b.fails(&lambda.ListFunctionsByCodeSigningConfigInput{CodeSigningConfigArn: none}, "ResourceNotFoundException", missing)
	b.fails(&lambda.PutFunctionCodeSigningConfigInput{FunctionName: new("nope"), CodeSigningConfigArn: none}, "CodeSigningConfigNotFoundException", "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "+*none+".")
	b.fails(&lambda.PutFunctionCodeSigningConfigInput{FunctionName: new("nope"), CodeSigningConfigArn: its}, "ResourceNotFoundException", "Function not found: "+arn+"nope")

	must[lambda.PutFunctionCodeSigningConfigOutput](b, &lambda.PutFunctionCodeSigningConfigInput{FunctionName: new("f"), CodeSigningConfigArn: its})
	if got := must[lambda.GetFunctionCodeSigningConfigOutput](b, &lambda.GetFunctionCodeSigningConfigInput{FunctionName: new("f")}); *got.CodeSigningConfigArn != *its || *got.FunctionName != "f" {
		t.Errorf("function's = %+v", got)
	}
	const refused = "Lambda cannot deploy the function."
	b.fails(&lambda.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: b.zip}, "CodeVerificationFailedException", refused)
	b.fails(b.createInput("g", func(in *lambda.CreateFunctionInput) { in.CodeSigningConfigArn = its }), "CodeVerificationFailedException", refused)
	b.publishLayer("l", "a", "1")
	b.fails(&lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Layers: []string{layerARN + "l:1"}}, "CodeVerificationFailedException", refused)
	b.invoke(&lambda.InvokeInput{FunctionName: new("f")}) // what is there goes on
	b.fails(&lambda.DeleteCodeSigningConfigInput{CodeSigningConfigArn: its}, "ResourceConflictException", "is used by functions")

	must[lambda.UpdateCodeSigningConfigOutput](b, &lambda.UpdateCodeSigningConfigInput{CodeSigningConfigArn: its, CodeSigningPolicies: &lambda.CodeSigningPolicies{UntrustedArtifactOnDeployment: new("Warn")}})
	must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionCodeInput{FunctionName: new("f"), ZipFile: b.zip})
	b.create("g", func(in *lambda.CreateFunctionInput) { in.CodeSigningConfigArn = its })
	if got := must[lambda.ListFunctionsByCodeSigningConfigOutput](b, &lambda.ListFunctionsByCodeSigningConfigInput{CodeSigningConfigArn: its}).FunctionArns; len(got) != 2 || got[1] != arn+"g" {
		t.Errorf("functions = %v", got)
	}
	if got := must[lambda.ListTagsOutput](b, &lambda.ListTagsInput{Resource: its}).Tags; got["a"] != "b" {
		t.Errorf("tags = %v", got)
	}
	must[lambda.DeleteFunctionCodeSigningConfigOutput](b, &lambda.DeleteFunctionCodeSigningConfigInput{FunctionName: new("f")})
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("g")})
	must[lambda.DeleteCodeSigningConfigOutput](b, &lambda.DeleteCodeSigningConfigInput{CodeSigningConfigArn: its})
	if got := must[lambda.ListCodeSigningConfigsOutput](b, &lambda.ListCodeSigningConfigsInput{}).CodeSigningConfigs; got == nil || len(got) != 0 {
		t.Errorf("list = %v", got)
	}
}
