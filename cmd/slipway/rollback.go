package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func newRollback(c *cli) *cobra.Command {
	var f stopFlags
	cmd := &cobra.Command{
		Use:   "rollback DEPLOYMENT|SERVICE",
		Short: "Go back to the revision before, during a deployment or after it",
		Long: `While a deployment is at work: stop it and roll back, as "slipway stop" does. Afterwards: deploy the task
definition that was live before the present one, as the service's strategy has it.`,
		Example: `  slipway rollback web
  slipway rollback d-7 --reason "orders are lost"`,
		Args: exactly("DEPLOYMENT|SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.rollback(cmd, f, args[0]) },
	}
	f.add(cmd)
	return cmd
}

func (c *cli) rollback(cmd *cobra.Command, f stopFlags, name string) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	d, err := c.deployment(ctx, a, name)
	switch {
	case err != nil:
		return err
	case d == nil:
		return errNoDeployment(name)
	case !words.Ended(d.GetState()):
		return c.stop(cmd.Context(), a, d, f)
	}
	before, err := c.before(ctx, a, d)
	if err != nil {
		return err
	}
	if f.requestID == "" {
		f.requestID = requestID()
	}
	r, err := a.deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{
		RequestId: f.requestID, Cluster: d.GetCluster(), Service: d.GetService(), TaskDefinition: before.GetTaskDefinition(),
	})
	if err != nil {
		return err
	}
	if f.detach {
		return c.show(r, func() error { return c.told(r.GetDeployment()) })
	}
	fmt.Fprintf(c.err, "no deployment is at work: deploying %s of revision %d again\n", words.Clean(before.GetTaskDefinition()), before.GetNumber())
	return c.follow(cmd.Context(), a, r.GetDeployment(), following{succeeded: isLive})
}

// before returns the revision that was live before the one that is live on the deployment's service now, with another
// task definition: that of the newest successful deployment before it.
func (c *cli) before(ctx context.Context, a *api, d *orchestratorpb.Deployment) (*orchestratorpb.ServiceRevision, error) {
	got, err := a.services.GetService(ctx, &orchestratorpb.GetServiceRequest{Cluster: d.GetCluster(), Service: d.GetService()})
	if err != nil {
		return nil, err
	}
	s := got.GetService()
	if s.GetDeployment() != "" && s.GetDeployment() != d.GetId() {
		return nil, problem.New(problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS", "deployment %s of %s is at work", s.GetDeployment(), s.GetName()).
			With("deployment", s.GetDeployment())
	}
	list, err := c.deployments(ctx, a, &orchestratorpb.ListDeploymentsRequest{
		Cluster: d.GetCluster(), Service: d.GetService(), States: []orchestratorpb.Deployment_State{orchestratorpb.Deployment_STATE_SUCCESSFUL},
	}, 0)
	if err != nil {
		return nil, err
	}
	now := revisionOf(list, s.GetServiceRevision())
	for _, past := range list {
		r := past.GetTargetServiceRevision()
		if now != nil && r.GetNumber() < now.GetNumber() && r.GetTaskDefinition() != now.GetTaskDefinition() {
			return r, nil
		}
	}
	return nil, problem.New(problem.FailedPrecondition, "NO_ROLLBACK_TARGET", "no other task definition of %s has been live before", d.GetService())
}

// revisionOf returns the revision with the id, or else the newest that was made live.
func revisionOf(list []*orchestratorpb.Deployment, id string) *orchestratorpb.ServiceRevision {
	for _, d := range list {
		if d.GetTargetServiceRevision().GetId() == id {
			return d.GetTargetServiceRevision()
		}
	}
	if len(list) > 0 {
		return list[0].GetTargetServiceRevision()
	}
	return nil
}
