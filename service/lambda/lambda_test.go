package lambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lambent/blob/blobtest"
	"lambent/cloud"
	"lambent/invoke/invoketest"
	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/lambda"
)

// bench is a Lambda service over memory, whose functions are goroutines.
type bench struct {
	t     *testing.T
	s     *lambda.Service
	c     cloud.Caller
	store *kv.Store
	fake  *invoketest.Cloud
	ops   map[string]service.Operation
	zip   []byte
	keys  map[string][]byte
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store := kvtest.Mem(t)
	blobs := blobtest.Mem(t, store.In("blob"))
	b := &bench{t: t, store: store, keys: map[string][]byte{}, zip: invoketest.Zip(t, "index.js", "exports.handler = 1")}
	b.fake = invoketest.Start(t, blobs, map[string]invoketest.Program{
		"index.handler": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
			return fmt.Sprintf(`{"version":%q,"arn":%q,"env":%q,"event":%s}`, b.Env("AWS_LAMBDA_FUNCTION_VERSION"), e.ARN, b.Env("KEY"), e.Payload)
		}),
		"index.http": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string { return b.Env("ANSWER") }),
		"index.echo": invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string { return string(e.Payload) }),
	})
	s, err := lambda.New(lambda.Config{KV: store.In("lambda"), Blobs: blobs, Key: make([]byte, 32), Invoker: b.fake.Invoker, Objects: b, Domain: "localhost:4566"})
	if err != nil {
		t.Fatal(err)
	}
	b.s = s
	b.c = cloud.Caller{Account: "111111111111", Region: "us-east-1", ARN: "arn:aws:iam::111111111111:root", Root: true,
		RequestID: "6f3b1c9e-7f2a-4a53-9d0e-0123456789ab", Host: "localhost:4566", Now: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}
	b.ops = map[string]service.Operation{}
	for _, op := range s.Service().Operations {
		b.ops[op.Name] = op
	}
	return b
}

// GetObject implements lambda.Objects.
func (b *bench) GetObject(_ context.Context, _ cloud.Caller, bucket, key, _ string) (io.ReadCloser, error) {
	if bucket != "code-bucket" {
		return nil, cloud.Faultf("NoSuchBucket", "The specified bucket does not exist")
	}
	if body := b.keys[key]; body != nil {
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	return nil, cloud.Faultf("NoSuchKey", "The specified key does not exist.")
}

// call runs an operation.
func call[O any](b *bench, in any) (*O, error) {
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	out, err := b.ops[name].Handle(context.Background(), b.c, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

func must[O any](b *bench, in any) *O {
	b.t.Helper()
	out, err := call[O](b, in)
	if err != nil {
		b.t.Fatalf("%T: %v", in, err)
	}
	return out
}

// fails expects a fault.
func (b *bench) fails(in any, code, message string) {
	b.t.Helper()
	name := strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
	_, err := b.ops[name].Handle(context.Background(), b.c, in)
	var f *cloud.Fault
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, message) {
		b.t.Errorf("%s: %v\nwant %s: %s", name, err, code, message)
	}
}

func (b *bench) create(name string, change ...func(*lambda.CreateFunctionInput)) *lambda.FunctionConfiguration {
	b.t.Helper()
	in := b.createInput(name, change...)
	return must[lambda.FunctionConfiguration](b, in)
}

func (b *bench) createInput(name string, change ...func(*lambda.CreateFunctionInput)) *lambda.CreateFunctionInput {
	in := &lambda.CreateFunctionInput{FunctionName: new(name), Runtime: new("nodejs20.x"), Handler: new("index.handler"),
		Role: new("arn:aws:iam::111111111111:role/r"), Code: &lambda.FunctionCode{ZipFile: b.zip}}
	for _, f := range change {
		f(in)
	}
	return in
}

func (b *bench) invoke(in *lambda.InvokeInput) map[string]any {
	b.t.Helper()
	out := must[lambda.InvokeOutput](b, in)
	var m map[string]any
	if err := json.Unmarshal(out.Payload, &m); err != nil {
		b.t.Fatalf("payload %s: %v", out.Payload, err)
	}
	return m
}

const arn = "arn:aws:lambda:us-east-1:111111111111:function:"

// TestConfiguration holds the shape of replies against AWS's (aws-replies: test_lambda.py::test_function_state).
func TestConfiguration(t *testing.T) {
	b := newBench(t)
	created := shown(t, b.create("f"))
	want := map[string]any{"Architectures": []any{"x86_64"}, "CodeSize": float64(len(b.zip)), "Description": "", "EphemeralStorage": map[string]any{"Size": 512.0},
		"FunctionArn": arn + "f", "FunctionName": "f", "Handler": "index.handler", "LastModified": "2024-01-02T03:04:05.000+0000",
		"LoggingConfig": map[string]any{"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}, "MemorySize": 128.0, "PackageType": "Zip",
		"Role": "arn:aws:iam::111111111111:role/r", "Runtime": "nodejs20.x", "SnapStart": map[string]any{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating", "Timeout": 3.0,
		"TracingConfig": map[string]any{"Mode": "PassThrough"}, "Version": "$LATEST"}
	same(t, "created", created, want)
	delete(want, "StateReason")
	delete(want, "StateReasonCode")
	want["State"], want["LastUpdateStatus"] = "Active", "Successful"
	got := must[lambda.GetFunctionOutput](b, &lambda.GetFunctionInput{FunctionName: new("f")})
	same(t, "active", shown(t, got.Configuration), want)
	if *got.Code.RepositoryType != "S3" || got.Tags != nil || got.Concurrency != nil {
		t.Errorf("GetFunction = %+v", got)
	}
	updated := must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"),
		Environment: &lambda.Environment{Variables: map[string]string{"A": "a"}}, VpcConfig: &lambda.VpcConfig{}, Timeout: new(int32(9)),
		LoggingConfig: &lambda.LoggingConfig{LogFormat: new("JSON")}})
	want["LastUpdateStatus"], want["LastUpdateStatusReason"], want["LastUpdateStatusReasonCode"] = "InProgress", "The function is being created.", "Creating"
	want["Environment"], want["Timeout"] = map[string]any{"Variables": map[string]any{"A": "a"}}, 9.0
	want["VpcConfig"] = map[string]any{"SubnetIds": []any{}, "SecurityGroupIds": []any{}, "VpcId": "", "Ipv6AllowedForDualStack": false}
	want["LoggingConfig"] = map[string]any{"LogFormat": "JSON", "LogGroup": "/aws/lambda/f", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
	same(t, "updated", shown(t, updated), want)
}

// shown is what a client sees of a configuration, without what changes from run to run.
func shown(t *testing.T, c *lambda.FunctionConfiguration) map[string]any {
	t.Helper()
	if c.RevisionId == nil || c.CodeSha256 == nil || c.RuntimeVersionConfig == nil {
		t.Errorf("incomplete: %+v", c)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	json.Unmarshal(text, &m)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	if l, ok := m["LoggingConfig"].(map[string]any); ok {
		maps.DeleteFunc(l, func(_ string, v any) bool { return v == nil })
	}
	if e, ok := m["Environment"].(map[string]any); ok {
		delete(e, "Error")
	}
	for _, name := range []string{"RevisionId", "CodeSha256", "RuntimeVersionConfig"} {
		delete(m, name)
	}
	return m
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("%s:\n%s\nwant\n%s", what, g, w)
	}
}

func TestCreateRefuses(t *testing.T) {
	b := newBench(t)
	b.create("there")
	tests := []struct {
		name    string
		change  func(*lambda.CreateFunctionInput)
		code    string
		message string
	}{
		{"exists", func(in *lambda.CreateFunctionInput) { in.FunctionName = new("there") }, "ResourceConflictException", "Function already exist: there"},
		{"no zip", func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = []byte("nonsense") }, "InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again."},
		{"empty zip", func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = []byte{} }, "InvalidParameterValueException", "non-empty zip"},
		{"traversal", func(in *lambda.CreateFunctionInput) { in.Code.ZipFile = invoketest.Zip(t, "../x", "y") }, "InvalidParameterValueException", "invalid path"},
		{"no code", func(in *lambda.CreateFunctionInput) { in.Code = &lambda.FunctionCode{} }, "InvalidParameterValueException", "Please provide a source for function code."},
		{"no bucket", func(in *lambda.CreateFunctionInput) {
			in.Code = &lambda.FunctionCode{S3Bucket: new("nope"), S3Key: new("k")}
		}, "InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"},
		{"no key", func(in *lambda.CreateFunctionInput) {
			in.Code = &lambda.FunctionCode{S3Bucket: new("code-bucket"), S3Key: new("k")}
		}, "InvalidParameterValueException", "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."},
		{"no handler", func(in *lambda.CreateFunctionInput) { in.Handler = nil }, "InvalidParameterValueException", "Runtime and Handler are mandatory"},
		{"retired", func(in *lambda.CreateFunctionInput) { in.Runtime = new("go1.x") }, "InvalidParameterValueException", "The runtime parameter of go1.x is no longer supported"},
		{"not here", func(in *lambda.CreateFunctionInput) { in.Runtime = new("java21") }, "InvalidParameterValueException", "java21 cannot be run"},
		{"timeout", func(in *lambda.CreateFunctionInput) { in.Timeout = new(int32(901)) }, "ValidationException", "less than or equal to 900"},
		{"reserved", func(in *lambda.CreateFunctionInput) {
			in.Environment = &lambda.Environment{Variables: map[string]string{"AWS_REGION": "x"}}
		}, "InvalidParameterValueException", "Reserved keys used in this request: AWS_REGION"},
		{"environment", func(in *lambda.CreateFunctionInput) {
			in.Environment = &lambda.Environment{Variables: map[string]string{"LARGE": strings.Repeat("x", 4096)}}
		}, "InvalidParameterValueException", `exceeded the 4KB limit. String measured: {"LARGE":"xxx`},
		{"other account", func(in *lambda.CreateFunctionInput) { in.Role = new("arn:aws:iam::222222222222:role/r") }, "AccessDeniedException", "Cross-account"},
		{"long name", func(in *lambda.CreateFunctionInput) { in.FunctionName = new(strings.Repeat("a", 65)) }, "ValidationException", "less than or equal to 64"},
		{"image", func(in *lambda.CreateFunctionInput) { in.PackageType = new("Image") }, "NotImplemented", "Image"},
		{"dead letters", func(in *lambda.CreateFunctionInput) {
			in.DeadLetterConfig = &lambda.DeadLetterConfig{TargetArn: new("arn:aws:sqs:us-east-1:111111111111:q")}
		}, "NotImplemented", "DeadLetterConfig"},
		{"text levels", func(in *lambda.CreateFunctionInput) {
			in.LoggingConfig = &lambda.LoggingConfig{SystemLogLevel: new("WARN")}
		}, "InvalidParameterValueException", "LogLevel is not supported"},
		{"tags", func(in *lambda.CreateFunctionInput) {
			in.Tags = map[string]string{}
			for i := range 51 {
				in.Tags[fmt.Sprint(i)] = ""
			}
		}, "InvalidParameterValueException", "Number of tags exceeds resource tag limit."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := b.createInput("new", tt.change)
			b := *b
			b.t = t
			b.fails(in, tt.code, tt.message)
		})
	}
	b.fails(&lambda.GetFunctionInput{FunctionName: new("new")}, "ResourceNotFoundException", "Function not found: "+arn+"new")
}

func TestNames(t *testing.T) {
	b := newBench(t)
	b.create("f")
	for _, name := range []string{"f", "f:$LATEST", arn + "f", arn + "f:$LATEST", "111111111111:function:f", "function:f"} {
		got := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new(name)})
		if *got.FunctionName != "f" {
			t.Errorf("%s is %s", name, *got.FunctionName)
		}
	}
	b.fails(&lambda.GetFunctionInput{FunctionName: new(arn + "f:1"), Qualifier: new("$LATEST")}, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
	b.fails(&lambda.GetFunctionInput{FunctionName: new("f"), Qualifier: new("1221")}, "ResourceNotFoundException", "Function not found: "+arn+"f:1221")
	b.fails(&lambda.GetFunctionInput{FunctionName: new("some"), Qualifier: new("$LATEST")}, "ResourceNotFoundException", "Function not found: "+arn+"some:$LATEST")
	b.fails(&lambda.GetFunctionInput{FunctionName: new("arn:aws:lambda:eu-west-1:111111111111:function:f")}, "ResourceNotFoundException", "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')")
	b.fails(&lambda.GetFunctionInput{FunctionName: new("arn:aws:lambda:us-east-1:222222222222:function:f")}, "AccessDeniedException", "")
}

// TestVersions follows aws-replies: test_lambda_api.py::TestLambdaVersions::test_version_lifecycle.
func TestVersions(t *testing.T) {
	b := newBench(t)
	b.create("f")
	update := func(desc string) *lambda.FunctionConfiguration {
		return must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Description: new(desc)})
	}
	publish := func(desc *string) *lambda.FunctionConfiguration {
		return must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f"), Description: desc})
	}
	update("First version :)")
	first := publish(new("First version description :)"))
	if *first.Version != "1" || *first.FunctionArn != arn+"f:1" || *first.Description != "First version description :)" {
		t.Errorf("first = %s %s %s", *first.Version, *first.FunctionArn, *first.Description)
	}
	update("Second version :))")
	second := publish(nil)
	third := publish(nil)
	if *second.Version != "2" || *third.Version != "2" || *third.RevisionId != *second.RevisionId {
		t.Errorf("unchanged code made version %s after %s", *third.Version, *second.Version)
	}
	versions := func() (all []string) {
		for _, v := range must[lambda.ListVersionsByFunctionOutput](b, &lambda.ListVersionsByFunctionInput{FunctionName: new("f")}).Versions {
			if v.State != nil {
				t.Error("a list shows states")
			}
			all = append(all, *v.FunctionArn)
		}
		return all
	}
	if got := versions(); !slices.Equal(got, []string{arn + "f:$LATEST", arn + "f:1", arn + "f:2"}) {
		t.Errorf("versions = %q", got)
	}
	b.fails(&lambda.PublishVersionInput{FunctionName: new("f"), RevisionId: new("other")}, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id.")
	b.fails(&lambda.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("$LATEST")}, "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function.")
	must[lambda.AliasConfiguration](b, &lambda.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")})
	b.fails(&lambda.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("1")}, "ResourceConflictException", "live")
	must[lambda.DeleteAliasOutput](b, &lambda.DeleteAliasInput{FunctionName: new("f"), Name: new("live")})
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("1")})
	if got := versions(); !slices.Equal(got, []string{arn + "f:$LATEST", arn + "f:2"}) {
		t.Errorf("versions = %q", got)
	}
}

func TestListFunctions(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"b", "a", "c"} {
		b.create(name)
	}
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("a")})
	var pages [][]string
	var marker *string
	for {
		out := must[lambda.ListFunctionsOutput](b, &lambda.ListFunctionsInput{MaxItems: new(int32(2)), Marker: marker})
		var names []string
		for _, f := range out.Functions {
			names = append(names, *f.FunctionArn)
		}
		pages = append(pages, names)
		if marker = out.NextMarker; marker == nil {
			break
		}
	}
	same(t, "pages", pages, [][]string{{arn + "a", arn + "b"}, {arn + "c"}})
	all := must[lambda.ListFunctionsOutput](b, &lambda.ListFunctionsInput{FunctionVersion: new("ALL")})
	var arns []string
	for _, f := range all.Functions {
		arns = append(arns, *f.FunctionArn)
	}
	same(t, "ALL", arns, []string{arn + "a:$LATEST", arn + "a:1", arn + "b:$LATEST", arn + "c:$LATEST"})
	b.fails(&lambda.ListFunctionsInput{Marker: new("garbage")}, "InvalidParameterValueException", "Marker")
}

func TestInvoke(t *testing.T) {
	b := newBench(t)
	b.create("f", func(in *lambda.CreateFunctionInput) {
		in.Environment = &lambda.Environment{Variables: map[string]string{"KEY": "one"}}
	})
	out := must[lambda.InvokeOutput](b, &lambda.InvokeInput{FunctionName: new("f"), Payload: []byte(`{"a":1}`), LogType: new("Tail")})
	if *out.StatusCode != 200 || *out.ExecutedVersion != "$LATEST" || out.FunctionError != nil {
		t.Errorf("output = %+v", out)
	}
	if tail, _ := base64.StdEncoding.DecodeString(*out.LogResult); !strings.HasPrefix(string(tail), "START RequestId: "+b.c.RequestID) {
		t.Errorf("log = %q", tail)
	}
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	must[lambda.AliasConfiguration](b, &lambda.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")})
	must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Environment: &lambda.Environment{Variables: map[string]string{"KEY": "two"}}})
	tests := []struct{ name, qualifier, version, env, arn string }{
		{"f", "", "$LATEST", "two", arn + "f"},
		{"f", "$LATEST", "$LATEST", "two", arn + "f:$LATEST"},
		{"f", "1", "1", "one", arn + "f:1"},
		{"f:live", "", "1", "one", arn + "f:live"},
		{arn + "f:live", "live", "1", "one", arn + "f:live"},
	}
	for _, tt := range tests {
		in := &lambda.InvokeInput{FunctionName: new(tt.name)}
		if tt.qualifier != "" {
			in.Qualifier = new(tt.qualifier)
		}
		got := b.invoke(in)
		same(t, tt.name+" "+tt.qualifier, got, map[string]any{"version": tt.version, "arn": tt.arn, "env": tt.env, "event": map[string]any{}})
	}
	dry := must[lambda.InvokeOutput](b, &lambda.InvokeInput{FunctionName: new("f"), InvocationType: new("DryRun")})
	if *dry.StatusCode != 204 || dry.Payload != nil {
		t.Errorf("dry run = %+v", dry)
	}
	b.fails(&lambda.InvokeInput{FunctionName: new("nope")}, "ResourceNotFoundException", "Function not found: "+arn+"nope")
	b.fails(&lambda.InvokeInput{FunctionName: new("f:nope")}, "ResourceNotFoundException", "Function not found: "+arn+"f:nope")
	b.fails(&lambda.InvokeInput{FunctionName: new("f"), Payload: make([]byte, 6<<20+1)}, "RequestEntityTooLargeException", "Request must be smaller than 6291456 bytes")
	b.fails(&lambda.InvokeInput{FunctionName: new("f"), Payload: make([]byte, 1<<20+1), InvocationType: new("Event")}, "RequestEntityTooLargeException", "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)")
	// aws-replies: test_lambda.py::TestLambdaErrors::test_lambda_invoke_payload_encoding_error
	b.fails(&lambda.InvokeInput{FunctionName: new("f"), Payload: []byte("\"n\x87r\x9e\"")}, "InvalidRequestContentException",
		"Could not parse request body into json: Could not parse payload into json: Invalid UTF-8 start byte 0x87\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 4]")
	b.fails(&lambda.InvokeInput{FunctionName: new("f"), Payload: []byte("n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt")}, "InvalidRequestContentException", "Invalid UTF-8 start byte 0x87\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 3]")
	b.fails(&lambda.InvokeInput{FunctionName: new("f"), Payload: []byte("\x99\xeb,j")}, "InvalidRequestContentException",
		"Could not parse request body into json: Could not parse payload into json: Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]")
	must[lambda.Concurrency](b, &lambda.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(0))})
	b.fails(&lambda.InvokeInput{FunctionName: new("f")}, "TooManyRequestsException", "Rate Exceeded.")
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f")})
	b.fails(&lambda.InvokeInput{FunctionName: new("f")}, "ResourceNotFoundException", "Function not found: "+arn+"f")
}

func TestWeightedAlias(t *testing.T) {
	b := newBench(t)
	b.create("f")
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Timeout: new(int32(4))})
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	weights := func(w map[string]float64) *lambda.AliasRoutingConfiguration {
		return &lambda.AliasRoutingConfiguration{AdditionalVersionWeights: w}
	}
	b.fails(&lambda.CreateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1"), RoutingConfig: weights(map[string]float64{"1": 0.5})}, "InvalidParameterValueException", "already included in routing configuration")
	b.fails(&lambda.CreateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("7")}, "ResourceNotFoundException", "Function not found: "+arn+"f:7")
	must[lambda.AliasConfiguration](b, &lambda.CreateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1"), RoutingConfig: weights(map[string]float64{"2": 0.5})})
	b.fails(&lambda.CreateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1")}, "ResourceConflictException", "Alias already exists: "+arn+"f:a")
	seen := map[any]int{}
	for range 60 {
		seen[b.invoke(&lambda.InvokeInput{FunctionName: new("f"), Qualifier: new("a")})["version"]]++
	}
	if len(seen) != 2 { // each alone has a chance of 2^-60
		t.Errorf("60 calls at even weights went to %v", seen)
	}
	updated := must[lambda.AliasConfiguration](b, &lambda.UpdateAliasInput{FunctionName: new("f"), Name: new("a"), RoutingConfig: weights(nil)})
	if updated.RoutingConfig != nil {
		t.Errorf("routing stays: %v", updated.RoutingConfig)
	}
	b.fails(&lambda.GetAliasInput{FunctionName: new("f"), Name: new("b")}, "ResourceNotFoundException", "Cannot find alias arn: "+arn+"f:b")
}

func TestEventInvocation(t *testing.T) {
	b := newBench(t)
	b.create("f")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.s.Run(ctx) }()
	out := must[lambda.InvokeOutput](b, &lambda.InvokeInput{FunctionName: new("f"), InvocationType: new("Event"), Payload: []byte(`{}`)})
	if *out.StatusCode != 202 || out.ExecutedVersion != nil {
		t.Errorf("output = %+v", out)
	}
	b.fake.Logs.Wait(t, "/aws/lambda/f", "END RequestId: "+b.c.RequestID)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEventInvokeConfig(t *testing.T) {
	b := newBench(t)
	b.create("f")
	b.fails(&lambda.GetFunctionEventInvokeConfigInput{FunctionName: new("f"), Qualifier: new("1")}, "ResourceNotFoundException", "The function "+arn+"f:1 doesn't have an EventInvokeConfig")
	put := must[lambda.FunctionEventInvokeConfig](b, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumRetryAttempts: new(int32(0))})
	if *put.FunctionArn != arn+"f:$LATEST" || put.MaximumEventAgeInSeconds != nil || put.DestinationConfig.OnFailure == nil {
		t.Errorf("put = %+v", put)
	}
	up := must[lambda.FunctionEventInvokeConfig](b, &lambda.UpdateFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumEventAgeInSeconds: new(int32(60))})
	if *up.MaximumRetryAttempts != 0 || *up.MaximumEventAgeInSeconds != 60 {
		t.Errorf("update = %+v", up)
	}
	to, err := b.s.AsyncTarget(t.Context(), "111111111111", "us-east-1", "f", "")
	if err != nil || to.Retries != 0 || to.MaxAge != time.Minute {
		t.Errorf("target = %+v, %v", to, err)
	}
	b.fails(&lambda.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), DestinationConfig: &lambda.DestinationConfig{OnFailure: &lambda.OnFailure{Destination: new("arn:aws:sqs:us-east-1:111111111111:q")}}}, "NotImplemented", "sqs destination")
	must[lambda.DeleteFunctionEventInvokeConfigOutput](b, &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: new("f")})
	if l := must[lambda.ListFunctionEventInvokeConfigsOutput](b, &lambda.ListFunctionEventInvokeConfigsInput{FunctionName: new("f")}); len(l.FunctionEventInvokeConfigs) != 0 {
		t.Errorf("list = %+v", l)
	}
}

func TestTags(t *testing.T) {
	b := newBench(t)
	b.create("f", func(in *lambda.CreateFunctionInput) { in.Tags = map[string]string{"a": "1"} })
	must[lambda.TagResourceOutput](b, &lambda.TagResourceInput{Resource: new(arn + "f"), Tags: map[string]string{"b": "2", "a": "3"}})
	must[lambda.UntagResourceOutput](b, &lambda.UntagResourceInput{Resource: new(arn + "f"), TagKeys: []string{"b"}})
	same(t, "tags", must[lambda.ListTagsOutput](b, &lambda.ListTagsInput{Resource: new(arn + "f")}).Tags, map[string]string{"a": "3"})
	b.fails(&lambda.TagResourceInput{Resource: new(arn + "f:$LATEST")}, "InvalidParameterValueException", "Tags on function aliases and versions are not supported. Please specify a function ARN.")
}

func TestConcurrency(t *testing.T) {
	b := newBench(t)
	b.create("f")
	b.create("g")
	must[lambda.Concurrency](b, &lambda.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(int32(800))})
	b.fails(&lambda.PutFunctionConcurrencyInput{FunctionName: new("g"), ReservedConcurrentExecutions: new(int32(101))}, "InvalidParameterValueException", "below its minimum value of [100]")
	limit := func() int32 {
		return *must[lambda.GetAccountSettingsOutput](b, &lambda.GetAccountSettingsInput{}).AccountLimit.UnreservedConcurrentExecutions
	}
	if got := limit(); got != 200 {
		t.Errorf("unreserved = %d, want 200", got)
	}
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f")})
	if got := limit(); got != 1000 {
		t.Errorf("unreserved = %d, want 1000", got)
	}
}

// TestDeleteReleasesEverything looks at the rows: nothing of a deleted function stays but what is shared.
func TestDeleteReleasesEverything(t *testing.T) {
	b := newBench(t)
	b.create("f", func(in *lambda.CreateFunctionInput) { in.Publish = new(true) })
	must[lambda.AliasConfiguration](b, &lambda.CreateAliasInput{FunctionName: new("f"), Name: new("a"), FunctionVersion: new("1")})
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("s"), Action: new("lambda:InvokeFunction"), Principal: new("*")})
	must[lambda.CreateFunctionUrlConfigOutput](b, &lambda.CreateFunctionUrlConfigInput{FunctionName: new("f"), AuthType: new("NONE")})
	must[lambda.FunctionEventInvokeConfig](b, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: new("f"), MaximumRetryAttempts: new(int32(0))})
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f")})
	for _, room := range []string{"lambda", "blob"} {
		var rows []kv.KV
		err := b.store.In(room).View(t.Context(), func(r kv.Reader) (err error) {
			rows, err = r.Scan(t.Context(), kv.Range{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			t.Errorf("%s keeps %q", room, row.Key)
		}
	}
}

func TestUpdateCode(t *testing.T) {
	b := newBench(t)
	b.create("f")
	before := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("f")})
	b.keys["new.zip"] = invoketest.Zip(t, "index.js", "other")
	code := func() *lambda.UpdateFunctionCodeInput {
		return &lambda.UpdateFunctionCodeInput{FunctionName: new("f"), S3Bucket: new("code-bucket"), S3Key: new("new.zip")}
	}
	in := code()
	in.DryRun = new(true)
	dry := must[lambda.FunctionConfiguration](b, in)
	now := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("f")})
	if *dry.CodeSha256 == *before.CodeSha256 || *now.CodeSha256 != *before.CodeSha256 || *now.RevisionId != *before.RevisionId {
		t.Error("a dry run shows nothing, or changes something")
	}
	in = code()
	in.RevisionId = new("stale")
	b.fails(in, "PreconditionFailedException", "The Revision Id provided does not match")
	in = code()
	in.Publish = new(true)
	published := must[lambda.FunctionConfiguration](b, in)
	if *published.Version != "1" || *published.LastUpdateStatus != "InProgress" {
		t.Errorf("published = %s %s", *published.Version, *published.LastUpdateStatus)
	}
	now = must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("f")})
	if *now.CodeSha256 != *dry.CodeSha256 || *now.LastUpdateStatus != "Successful" {
		t.Error("the code did not change")
	}
	b.fails(&lambda.UpdateFunctionCodeInput{FunctionName: new("nope"), ZipFile: b.zip}, "ResourceNotFoundException", "Function not found: "+arn+"nope")
}

func TestSmallAnswers(t *testing.T) {
	b := newBench(t)
	b.create("f")
	if got := must[lambda.GetFunctionCodeSigningConfigOutput](b, &lambda.GetFunctionCodeSigningConfigInput{FunctionName: new("f")}); got.CodeSigningConfigArn != nil || got.FunctionName != nil {
		t.Errorf("code signing = %+v", got)
	}
	if got := must[lambda.GetRuntimeManagementConfigOutput](b, &lambda.GetRuntimeManagementConfigInput{FunctionName: new("f")}); *got.UpdateRuntimeOn != "Auto" || *got.FunctionArn != arn+"f:$LATEST" {
		t.Errorf("runtime management = %+v", got)
	}
	must[lambda.PutFunctionRecursionConfigOutput](b, &lambda.PutFunctionRecursionConfigInput{FunctionName: new("f"), RecursiveLoop: new("Allow")})
	if got := must[lambda.GetFunctionRecursionConfigOutput](b, &lambda.GetFunctionRecursionConfigInput{FunctionName: new("f")}); *got.RecursiveLoop != "Allow" {
		t.Errorf("recursion = %s", *got.RecursiveLoop)
	}
}

// TestEnvironmentIsSealed looks for a variable in the store's bytes, and moves a sealed row to another function.
func TestEnvironmentIsSealed(t *testing.T) {
	b := newBench(t)
	secret := func(in *lambda.CreateFunctionInput) {
		in.Environment = &lambda.Environment{Variables: map[string]string{"KEY": "hunter2-hunter2"}}
	}
	b.create("f", secret)
	b.create("g")
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	for _, q := range []string{"$LATEST", "1"} {
		if got := b.invoke(&lambda.InvokeInput{FunctionName: new("f"), Qualifier: new(q)}); got["env"] != "hunter2-hunter2" {
			t.Errorf("%s runs with %v", q, got["env"])
		}
	}
	if got := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("f")}); got.Environment.Variables["KEY"] != "hunter2-hunter2" {
		t.Errorf("environment = %v", got.Environment)
	}
	room := b.store.In("lambda")
	err := room.Update(t.Context(), func(tx *kv.Tx) error {
		rows, err := tx.Scan(t.Context(), kv.Range{})
		for _, row := range rows {
			if bytes.Contains(row.Value, []byte("hunter2")) {
				t.Errorf("%q shows the variable: %s", row.Key, row.Value)
			}
			if bytes.Equal(row.Key, kv.Key(b.c.Account, b.c.Region, "version", "f", int64(0))) {
				tx.Set(kv.Key(b.c.Account, b.c.Region, "version", "g", int64(0)), row.Value)
			}
		}
		tx.Set(kv.Key(b.c.Account, b.c.Region, "mark", "g"), []byte("moved"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := must[lambda.FunctionConfiguration](b, &lambda.GetFunctionConfigurationInput{FunctionName: new("g")}); got.Environment.Error == nil || got.Environment.Variables != nil {
		t.Errorf("another function's row opens: %+v", got.Environment)
	}
	if _, err := call[lambda.InvokeOutput](b, &lambda.InvokeInput{FunctionName: new("g")}); err == nil {
		t.Error("a function runs without its variables")
	}
}
