package main

import (
	"context"
	"errors"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// service returns a service of the cluster that is set.
func (c *cli) service(ctx context.Context, a *api, name string) (*orchestratorpb.Service, error) {
	r, err := a.services.GetService(ctx, &orchestratorpb.GetServiceRequest{Cluster: c.cluster, Service: name})
	return r.GetService(), err
}

// deployment returns the deployment that has the name as its id or, for a service's name, the one at work or else
// the latest of the service. It is nil for a service that has had none.
func (c *cli) deployment(ctx context.Context, a *api, name string) (*orchestratorpb.Deployment, error) {
	s, err := c.service(ctx, a, name)
	switch {
	case err == nil:
		return c.deploymentOf(ctx, a, s)
	case !errors.Is(err, problem.NotFound) && !errors.Is(err, problem.InvalidArgument):
		return nil, err
	}
	r, err := a.deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: name})
	if errors.Is(err, problem.NotFound) || errors.Is(err, problem.InvalidArgument) {
		return nil, problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "there is no deployment %s, and no service of that name in cluster %s", name, c.cluster)
	}
	return r.GetDeployment(), err
}

// deploymentOf returns the deployment at work on a service, or its latest, or nil.
func (c *cli) deploymentOf(ctx context.Context, a *api, s *orchestratorpb.Service) (*orchestratorpb.Deployment, error) {
	if s.GetDeployment() != "" {
		r, err := a.deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: s.GetDeployment()})
		return r.GetDeployment(), err
	}
	r, err := a.deployments.ListDeployments(ctx, &orchestratorpb.ListDeploymentsRequest{
		Cluster: s.GetCluster(), Service: s.GetName(), PageSize: 1,
	})
	if err != nil || len(r.GetDeployments()) == 0 {
		return nil, err
	}
	return r.GetDeployments()[0], nil
}

// errNoDeployment says that a service has no deployment to do something with.
func errNoDeployment(name string) error {
	return problem.New(problem.FailedPrecondition, "", "service %s has had no deployment", name)
}
