package cloudformation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/kv/kvtest"
)

// fakeCloud behaves like the services that resources are made in, as far as templates of these tests need:
// things by name, errors for what is missing or exists, ids of its own.
type fakeCloud struct {
	mu     sync.Mutex // guards the fields below
	things map[string]map[string]any
	next   int
	calls  []string
	hook   func(n int, call string) error // may fail the nth call before it has any effect
	after  func(n int, call string)       // runs when the nth call has had its effect
}

func newFake() *fakeCloud { return &fakeCloud{things: map[string]map[string]any{}} }

// reading are the operations that change nothing; they are neither counted nor failed.
func reading(operation string) bool {
	for _, p := range []string{"Get", "List", "Describe", "Head"} {
		if strings.HasPrefix(operation, p) {
			return true
		}
	}
	return false
}

func (f *fakeCloud) Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	if !reading(operation) {
		f.calls = append(f.calls, service+":"+operation)
		n = len(f.calls)
		if f.hook != nil {
			if err := f.hook(n, service+":"+operation); err != nil {
				return nil, err
			}
		}
	}
	out, err := f.answer(c, service, operation, jsonCopy(in))
	if n > 0 && f.after != nil {
		f.after(n, service+":"+operation)
	}
	if out != nil && out["Body"] == nil {
		out = jsonCopy(out)
	}
	return out, err
}

func jsonCopy(v map[string]any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

// state is everything that exists, in an order that can be compared.
func (f *fakeCloud) state() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(f.things)) {
		v, _ := json.Marshal(f.things[k])
		fmt.Fprintf(&b, "%s %s\n", k, v)
	}
	return b.String()
}

// kinds counts what exists by kind: the part of the key before the first blank.
func (f *fakeCloud) kinds() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for k := range f.things {
		kind, _, _ := strings.Cut(k, " ")
		n[kind]++
	}
	var out []string
	for k, v := range n {
		out = append(out, k+"="+strconv.Itoa(v))
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

func notFound(what string) error {
	return &cloud.Fault{Code: "ResourceNotFoundException", Message: what + " not found", Status: 404}
}

func (f *fakeCloud) add(key string, v map[string]any) error {
	if f.things[key] != nil {
		return &cloud.Fault{Code: "ResourceAlreadyExistsException", Message: key + " exists", Status: 409}
	}
	f.things[key] = v
	return nil
}

func (f *fakeCloud) change(key string, v map[string]any) error {
	if f.things[key] == nil {
		return notFound(key)
	}
	maps.Copy(f.things[key], v)
	return nil
}

func (f *fakeCloud) drop(key string) error {
	if f.things[key] == nil {
		return notFound(key)
	}
	delete(f.things, key)
	return nil
}

func (f *fakeCloud) get(key string) (map[string]any, error) {
	if f.things[key] == nil {
		return nil, notFound(key)
	}
	return f.things[key], nil
}

func (f *fakeCloud) id(prefix string) string {
	f.next++
	return prefix + strconv.Itoa(f.next)
}

// under lists the things whose key begins with prefix, each with its last word as id.
func (f *fakeCloud) under(prefix string) []any {
	out := []any{}
	for _, k := range slices.Sorted(maps.Keys(f.things)) {
		if strings.HasPrefix(k, prefix) {
			m := maps.Clone(f.things[k])
			m["id"] = k[strings.LastIndexByte(k, ' ')+1:]
			out = append(out, m)
		}
	}
	return out
}

func functionName(s string) string {
	if parts := strings.Split(s, ":"); len(parts) > 6 {
		return parts[6]
	}
	return s
}

func (f *fakeCloud) answer(c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	s := func(k string) string { return str(in, k) }
	none := map[string]any{}
	switch service + ":" + operation {
	case "logs:CreateLogGroup":
		return none, f.add("group "+s("logGroupName"), map[string]any{"tags": in["tags"]})
	case "logs:DescribeLogGroups":
		var out []any
		for _, g := range f.under("group " + s("logGroupNamePrefix")) {
			out = append(out, map[string]any{"logGroupName": str(g, "id")})
		}
		return map[string]any{"logGroups": out}, nil
	case "logs:PutRetentionPolicy":
		return none, f.change("group "+s("logGroupName"), map[string]any{"days": in["retentionInDays"]})
	case "logs:DeleteRetentionPolicy":
		delete(f.things["group "+s("logGroupName")], "days")
		return none, nil
	case "logs:DeleteLogGroup":
		return none, f.drop("group " + s("logGroupName"))
	case "iam:CreateRole":
		return none, f.add("role "+s("RoleName"), map[string]any{"trust": in["AssumeRolePolicyDocument"]})
	case "iam:GetRole":
		_, err := f.get("role " + s("RoleName"))
		return map[string]any{"Role": map[string]any{"Arn": "arn:aws:iam::" + c.Account + ":role/" + s("RoleName"), "RoleId": "AROA" + s("RoleName")}}, err
	case "iam:PutRolePolicy":
		return none, f.change("role "+s("RoleName"), map[string]any{"policy " + s("PolicyName"): in["PolicyDocument"]})
	case "iam:DeleteRolePolicy":
		delete(f.things["role "+s("RoleName")], "policy "+s("PolicyName"))
		return none, nil
	case "iam:DeleteRole":
		return none, f.drop("role " + s("RoleName"))
	case "s3:HeadBucket":
		_, err := f.get("bucket " + s("Bucket"))
		return none, err
	case "s3:CreateBucket":
		return none, f.add("bucket "+s("Bucket"), map[string]any{})
	case "s3:DeleteBucket":
		return none, f.drop("bucket " + s("Bucket"))
	case "s3:PutBucketVersioning", "s3:PutBucketEncryption", "s3:PutBucketTagging":
		return none, f.change("bucket "+s("Bucket"), in)
	case "s3:DeleteBucketPolicy": // no policy can be put here: there never is one
		return none, notFound("policy")
	case "s3:GetObject":
		o, err := f.get("object " + s("Bucket") + "/" + s("Key"))
		if err != nil {
			return nil, &cloud.Fault{Code: "NoSuchKey", Message: "The specified key does not exist.", Status: 404}
		}
		return map[string]any{"Body": io.NopCloser(strings.NewReader(str(o, "text")))}, nil
	case "ssm:GetParameter":
		return map[string]any{"Parameter": map[string]any{"Value": "<" + s("Name") + ">"}}, nil
	case "secretsmanager:GetSecretValue":
		return map[string]any{"SecretString": `{"password":"hunter2"}`}, nil
	}
	if service == "lambda" {
		return f.lambda(c, operation, in)
	}
	if service == "apigateway" {
		return f.apigateway(operation, in)
	}
	return nil, &cloud.Fault{Code: "NotImplemented", Message: "fake has no " + service + ":" + operation, Status: 501}
}

func (f *fakeCloud) lambda(c cloud.Caller, operation string, in map[string]any) (map[string]any, error) {
	name := functionName(str(in, "FunctionName"))
	key := "function " + name
	arn := "arn:aws:lambda:" + c.Region + ":" + c.Account + ":function:" + name
	none := map[string]any{}
	switch operation {
	case "CreateFunction":
		if in["Timeout"] == nil {
			in["Timeout"] = 3
		}
		return none, f.add(key, in)
	case "GetFunctionConfiguration":
		_, err := f.get(key)
		return map[string]any{"FunctionArn": arn, "State": "Active"}, err
	case "UpdateFunctionCode":
		return none, f.change(key, map[string]any{"Code": map[string]any{"S3Bucket": in["S3Bucket"], "S3Key": in["S3Key"]}})
	case "UpdateFunctionConfiguration":
		delete(in, "FunctionName")
		return none, f.change(key, in)
	case "DeleteFunction":
		if q := str(in, "Qualifier"); q != "" {
			return none, f.drop("version " + name + " " + q)
		}
		return none, f.drop(key)
	case "PublishVersion":
		fn, err := f.get(key)
		if err != nil {
			return nil, err
		}
		code, _ := json.Marshal(fn["Code"])
		for _, v := range f.under("version " + name + " ") {
			if str(v, "code") == string(code) {
				return map[string]any{"Version": str(v, "id"), "FunctionArn": arn + ":" + str(v, "id")}, nil
			}
		}
		id := f.id("")
		err = f.add("version "+name+" "+id, map[string]any{"code": string(code)})
		return map[string]any{"Version": id, "FunctionArn": arn + ":" + id}, err
	case "ListVersionsByFunction":
		out := []any{}
		for _, v := range f.under("version " + name + " ") {
			out = append(out, map[string]any{"Version": str(v, "id"), "FunctionArn": arn + ":" + str(v, "id")})
		}
		return map[string]any{"Versions": out}, nil
	case "AddPermission":
		return none, f.add("permission "+name+" "+str(in, "StatementId"), in)
	case "RemovePermission":
		return none, f.drop("permission " + name + " " + str(in, "StatementId"))
	}
	return nil, &cloud.Fault{Code: "NotImplemented", Message: "fake has no lambda:" + operation, Status: 501}
}

func (f *fakeCloud) apigateway(operation string, in map[string]any) (map[string]any, error) {
	api := str(in, "restApiId")
	method := "method " + api + " " + str(in, "resourceId") + " " + str(in, "httpMethod")
	stage := "stage " + api + " " + str(in, "stageName")
	none := map[string]any{}
	switch operation {
	case "CreateRestApi":
		id := f.id("api")
		f.things["api "+id] = map[string]any{"name": in["name"]}
		f.things["resource "+id+" root"+id] = map[string]any{"path": "/"}
		return map[string]any{"id": id}, nil
	case "GetRestApis":
		return map[string]any{"items": f.under("api ")}, nil
	case "UpdateRestApi":
		for _, p := range items(in, "patchOperations") {
			f.things["api "+api][strings.TrimPrefix(str(p, "path"), "/")] = at(p, "value")
		}
		return none, nil
	case "DeleteRestApi":
		for k := range f.things {
			if parts := strings.Split(k, " "); len(parts) > 2 && parts[1] == api {
				delete(f.things, k)
			}
		}
		return none, f.drop("api " + api)
	case "GetResources":
		return map[string]any{"items": f.under("resource " + api + " ")}, nil
	case "CreateResource":
		id := f.id("res")
		f.things["resource "+api+" "+id] = map[string]any{"parentId": in["parentId"], "pathPart": in["pathPart"]}
		return map[string]any{"id": id}, nil
	case "DeleteResource":
		return none, f.drop("resource " + api + " " + str(in, "resourceId"))
	case "PutMethod":
		return none, f.add(method, in)
	case "PutIntegration":
		return none, f.change(method, map[string]any{"integration": in})
	case "DeleteMethod":
		return none, f.drop(method)
	case "CreateDeployment":
		id := f.id("dep")
		f.things["deployment "+api+" "+id] = map[string]any{}
		if str(in, "stageName") != "" {
			f.things[stage] = map[string]any{"deploymentId": id}
		}
		return map[string]any{"id": id}, nil
	case "GetDeployments":
		return map[string]any{"items": f.under("deployment " + api + " ")}, nil
	case "GetDeployment":
		return f.get("deployment " + api + " " + str(in, "deploymentId"))
	case "DeleteDeployment":
		for _, st := range f.under("stage " + api + " ") {
			if str(st, "deploymentId") == str(in, "deploymentId") {
				return nil, &cloud.Fault{Code: "BadRequestException", Message: "Active stages pointing to this deployment must be moved or deleted", Status: 400}
			}
		}
		return none, f.drop("deployment " + api + " " + str(in, "deploymentId"))
	case "CreateStage":
		return none, f.add(stage, map[string]any{"deploymentId": in["deploymentId"]})
	case "GetStage":
		return f.get(stage)
	case "UpdateStage":
		for _, p := range items(in, "patchOperations") {
			f.things[stage][strings.TrimPrefix(str(p, "path"), "/")] = at(p, "value")
		}
		return none, nil
	case "DeleteStage":
		return none, f.drop(stage)
	}
	return nil, &cloud.Fault{Code: "NotImplemented", Message: "fake has no apigateway:" + operation, Status: 501}
}

// bench is a service over a fake cloud, with an engine that runs.
type bench struct {
	t     testing.TB
	cloud *fakeCloud
	store *kv.Store
	s     *Service
	c     cloud.Caller
	halt  func() // ends the engine that was started last
}

func newBench(t testing.TB) *bench {
	b := idleBench(t)
	b.run()
	return b
}

// idleBench is a bench whose engine does not run yet.
func idleBench(t testing.TB) *bench {
	t.Helper()
	f := newFake()
	store := kvtest.Mem(t)
	return &bench{t: t, cloud: f, store: store, s: New(store, f, Config{Domain: "localhost:4566"}),
		c: cloud.Caller{Account: "000000000000", Region: "eu-west-1", ARN: "arn:aws:iam::000000000000:root", Root: true, Host: "127.0.0.1:4566"}}
}

// run starts an engine and returns a function that ends it, which the test's end does as well.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.s.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	b.halt = stop
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) create(name, template string, change ...func(*CreateStackInput)) {
	b.t.Helper()
	in := &CreateStackInput{StackName: &name, TemplateBody: &template, Capabilities: []string{"CAPABILITY_NAMED_IAM"}}
	for _, f := range change {
		f(in)
	}
	if _, err := b.s.createStack(context.Background(), b.c, in); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) update(name, template string, change ...func(*UpdateStackInput)) {
	b.t.Helper()
	in := &UpdateStackInput{StackName: &name, TemplateBody: &template, Capabilities: []string{"CAPABILITY_NAMED_IAM"}}
	for _, f := range change {
		f(in)
	}
	if _, err := b.s.updateStack(context.Background(), b.c, in); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) delete(name string) {
	b.t.Helper()
	if _, err := b.s.deleteStack(context.Background(), b.c, &DeleteStackInput{StackName: &name}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stack(name string) Stack {
	b.t.Helper()
	out, err := b.s.describeStacks(context.Background(), b.c, &DescribeStacksInput{StackName: &name})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Stacks[0]
}

// settle waits until the stack, by id, is in no status of progress, and returns it.
func (b *bench) settle(id string) Stack {
	b.t.Helper()
	for range 3000 {
		if st := b.stack(id); !strings.HasSuffix(*st.StackStatus, "IN_PROGRESS") {
			return st
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.t.Fatalf("stack %s never came to rest:\n%s", id, b.events(id))
	return Stack{}
}

func (b *bench) want(id, status string) Stack {
	b.t.Helper()
	st := b.settle(id)
	if *st.StackStatus != status {
		b.t.Fatalf("status %s (%s), want %s\n%s", *st.StackStatus, cloud.Val(st.StackStatusReason), status, b.events(id))
	}
	return st
}

// events are the stack's events, oldest first, one a line.
func (b *bench) events(id string) string {
	b.t.Helper()
	var lines []string
	in := &DescribeStackEventsInput{StackName: &id}
	for {
		out, err := b.s.describeStackEvents(context.Background(), b.c, in)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range out.StackEvents {
			line := *e.LogicalResourceId + " " + *e.ResourceStatus
			if e.ResourceStatusReason != nil {
				line += " | " + *e.ResourceStatusReason
			}
			lines = append(lines, line)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			slices.Reverse(lines)
			return strings.Join(lines, "\n") + "\n"
		}
	}
}
