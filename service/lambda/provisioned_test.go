package lambda_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"lambent/invoke/invoketest"
	"lambent/sandbox/driver"
	"lambent/service/lambda"
)

// run runs the service's background work for the time of the test.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.s.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
}

// until waits until a qualifier's provisioned concurrency has the status.
func (b *bench) until(qualifier, status string) *lambda.GetProvisionedConcurrencyConfigOutput {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		out := must[lambda.GetProvisionedConcurrencyConfigOutput](b, &lambda.GetProvisionedConcurrencyConfigInput{FunctionName: new("f"), Qualifier: new(qualifier)})
		if *out.Status == status {
			return out
		}
		if time.Now().After(end) {
			b.t.Fatalf("status %s, want %s", *out.Status, status)
		}
	}
}

func (b *bench) provision(qualifier string, n int32) *lambda.PutProvisionedConcurrencyConfigInput {
	return &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: new("f"), Qualifier: new(qualifier), ProvisionedConcurrentExecutions: new(n)}
}

// TestProvisionedConcurrency follows aws-replies: test_lambda_api.py::TestLambdaProvisionedConcurrency and
// test_lambda.py::TestLambdaConcurrency.
func TestProvisionedConcurrency(t *testing.T) {
	b := newBench(t)
	b.fake.Driver.Add("index.kind", invoketest.Serve(func(b *invoketest.Box, e invoketest.Event) string {
		return fmt.Sprintf(`{"kind":%q}`, b.Env("AWS_LAMBDA_INITIALIZATION_TYPE"))
	}))
	b.fake.Driver.Add("index.broken", func(b *invoketest.Box) driver.Exit {
		b.FailInit(`{"errorMessage":"no"}`, "Oops")
		<-b.Killed()
		return driver.Exit{}
	})
	b.create("f", func(in *lambda.CreateFunctionInput) { in.Handler = new("index.kind") })
	b.run()
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	must[lambda.AliasConfiguration](b, &lambda.CreateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")})
	get := func(q string) *lambda.GetProvisionedConcurrencyConfigInput {
		return &lambda.GetProvisionedConcurrencyConfigInput{FunctionName: new("f"), Qualifier: new(q)}
	}
	b.fails(b.provision("$LATEST", 1), "InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
	b.fails(b.provision("9", 1), "ResourceNotFoundException", "Function not found: "+arn+"f:9")
	b.fails(get("none"), "ResourceNotFoundException", "Cannot find alias arn: "+arn+"f:none")
	b.fails(get("1"), "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")

	put := must[lambda.PutProvisionedConcurrencyConfigOutput](b, b.provision("1", 2))
	if *put.Status != "IN_PROGRESS" || *put.AllocatedProvisionedConcurrentExecutions != 0 || *put.RequestedProvisionedConcurrentExecutions != 2 {
		t.Errorf("put = %+v", put)
	}
	if got := b.until("1", "READY"); *got.AvailableProvisionedConcurrentExecutions != 2 || *got.AllocatedProvisionedConcurrentExecutions != 2 {
		t.Errorf("ready = %+v", got)
	}
	started := b.fake.Driver.Started()
	if got := b.invoke(&lambda.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}); got["kind"] != "provisioned-concurrency" || b.fake.Driver.Started() != started {
		t.Errorf("call = %v; %d sandboxes were started for it", got, b.fake.Driver.Started()-started)
	}
	b.fails(b.provision("live", 1), "ResourceConflictException", "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
	must[lambda.DeleteProvisionedConcurrencyConfigOutput](b, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: new("f"), Qualifier: new("1")})
	b.fails(get("1"), "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned")

	must[lambda.PutProvisionedConcurrencyConfigOutput](b, b.provision("live", 1))
	b.fails(b.provision("1", 1), "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias")
	must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Handler: new("index.broken")})
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	must[lambda.AliasConfiguration](b, &lambda.UpdateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("2")})
	if got := b.until("live", "FAILED"); *got.StatusReason != "FUNCTION_ERROR_INIT_FAILURE" {
		t.Errorf("failed = %+v", got)
	}
	must[lambda.AliasConfiguration](b, &lambda.UpdateAliasInput{FunctionName: new("f"), Name: new("live"), FunctionVersion: new("1")})
	b.until("live", "READY")
	list := must[lambda.ListProvisionedConcurrencyConfigsOutput](b, &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: new("f")}).ProvisionedConcurrencyConfigs
	if len(list) != 1 || *list[0].FunctionArn != arn+"f:live" || *list[0].Status != "READY" {
		t.Errorf("list = %+v", list)
	}
	must[lambda.DeleteAliasOutput](b, &lambda.DeleteAliasInput{FunctionName: new("f"), Name: new("live")})
	if list := must[lambda.ListProvisionedConcurrencyConfigsOutput](b, &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: new("f")}).ProvisionedConcurrencyConfigs; len(list) != 0 {
		t.Errorf("list = %+v", list)
	}
}

// TestProvisionedArithmetic holds provisioned against reserved concurrency and the account's.
func TestProvisionedArithmetic(t *testing.T) {
	b := newBench(t)
	b.create("f")
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	unreserved := func() int32 {
		return *must[lambda.GetAccountSettingsOutput](b, &lambda.GetAccountSettingsInput{}).AccountLimit.UnreservedConcurrentExecutions
	}
	reserve := func(n int32) *lambda.PutFunctionConcurrencyInput {
		return &lambda.PutFunctionConcurrencyInput{FunctionName: new("f"), ReservedConcurrentExecutions: new(n)}
	}
	b.fails(b.provision("1", 901), "InvalidParameterValueException", "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
	must[lambda.PutProvisionedConcurrencyConfigOutput](b, b.provision("1", 2))
	if got := unreserved(); got != 998 {
		t.Errorf("unreserved = %d", got)
	}
	b.fails(reserve(1), "InvalidParameterValueException", " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].")
	must[lambda.Concurrency](b, reserve(2))
	if got := unreserved(); got != 998 {
		t.Errorf("unreserved = %d", got)
	}
	b.fails(b.provision("1", 3), "InvalidParameterValueException", "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
	b.fails(&lambda.InvokeInput{FunctionName: new("f")}, "TooManyRequestsException", "Rate Exceeded.") // all that is reserved is version 1's
	b.invoke(&lambda.InvokeInput{FunctionName: new("f"), Qualifier: new("1")})
	must[lambda.DeleteFunctionConcurrencyOutput](b, &lambda.DeleteFunctionConcurrencyInput{FunctionName: new("f")})
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f"), Qualifier: new("1")})
	if got := unreserved(); got != 1000 {
		t.Errorf("unreserved = %d", got)
	}
}
