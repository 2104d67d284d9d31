// Command bootstrap is a function by AWS's own library for Go: it greets, or fails when it is told to.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Event is what it is called with.
type Event struct {
	Name string
	Fail string
}

func greet(ctx context.Context, e Event) (string, error) {
	if e.Fail != "" {
		return "", errors.New(e.Fail)
	}
	c, _ := lambdacontext.FromContext(ctx)
	fmt.Println("request", c.AwsRequestID)
	return "Hello " + e.Name + " from " + lambdacontext.FunctionName, nil
}

func main() { lambda.Start(greet) }
