package ecr_test

import (
	"context"
	"errors"
	"testing"

	"lambent/cloud"
	"lambent/service/ecr"
)

func TestDescribeRepositories(t *testing.T) {
	op := ecr.New().Service().Operations[0]
	c := cloud.Caller{Account: cloud.DefaultAccount, Region: "us-east-1"}
	out, err := op.Handle(context.Background(), c, &ecr.DescribeRepositoriesInput{})
	if err != nil || len(out.(*ecr.DescribeRepositoriesOutput).Repositories) != 0 {
		t.Errorf("got %v, %v, want none", out, err)
	}
	in := &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"serverless-hello-dev"}}
	_, err = op.Handle(context.Background(), c, in)
	var f *cloud.Fault
	if !errors.As(err, &f) || f.Code != "RepositoryNotFoundException" ||
		f.Message != "The repository with name 'serverless-hello-dev' does not exist in the registry with id '000000000000'" {
		t.Errorf("got %v", err)
	}
	if got := op.Access.Resources(c, in)[0]; got != "arn:aws:ecr:us-east-1:000000000000:repository/serverless-hello-dev" {
		t.Errorf("got resource %s", got)
	}
}
