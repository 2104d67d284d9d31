// Package ecr is Amazon Elastic Container Registry as far as deployment tools ask for it: no repository can be made
// here yet, so DescribeRepositories truthfully finds none. It keeps no rows. Every other operation is unlisted.
package ecr

import (
	"context"

	"lambent/cloud"
	"lambent/service"
)

// Service is ECR.
type Service struct{}

// New returns ECR.
func New() *Service { return &Service{} }

// Service returns the table of operations.
func (s *Service) Service() service.Service {
	return service.Service{API: apiModel(), Operations: []service.Operation{
		service.On(service.Op("DescribeRepositories", s.describeRepositories), repositoryARNs),
	}}
}

// describeRepositories answers DescribeRepositories: an empty list, or that the first one named does not exist.
func (s *Service) describeRepositories(_ context.Context, c cloud.Caller, in *DescribeRepositoriesInput) (*DescribeRepositoriesOutput, error) {
	if len(in.RepositoryNames) > 0 {
		return nil, cloud.Faultf("RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry with id '%s'",
			in.RepositoryNames[0], cloud.Or(in.RegistryId, c.Account))
	}
	return &DescribeRepositoriesOutput{Repositories: []Repository{}}, nil
}

func repositoryARNs(c cloud.Caller, in *DescribeRepositoriesInput) []string {
	var arns []string
	for _, name := range in.RepositoryNames {
		arns = append(arns, c.ARNOf("ecr", "repository/"+name))
	}
	return arns
}
