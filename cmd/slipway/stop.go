package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// stopFlags is how a deployment is stopped.
type stopFlags struct {
	abort     bool
	reason    string
	detach    bool
	requestID string
}

func newStop(c *cli) *cobra.Command {
	var f stopFlags
	cmd := &cobra.Command{
		Use:   "stop DEPLOYMENT|SERVICE",
		Short: "Stop the deployment at work: roll back, or leave all as it is",
		Long: `Stop the deployment at work. It is rolled back to the old revision; with --abort traffic and tasks are left
as they are. A deployment that waits for its turn is taken out of the queue. The command follows it to its end: 0 if it
ended as asked.`,
		Example: `  slipway stop web
  slipway stop d-7 --abort --reason "drill"`,
		Args: exactly("DEPLOYMENT|SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.connect()
			if err != nil {
				return err
			}
			d, err := c.atWork(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			return c.stop(cmd.Context(), a, d, f)
		},
	}
	cmd.Flags().BoolVar(&f.abort, "abort", false, "leave traffic and tasks as they are")
	f.add(cmd)
	return cmd
}

func (f *stopFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "do not follow it to its end")
	cmd.Flags().StringVar(&f.requestID, "request-id", "", "same id, same answer")
}

// atWork returns the deployment at work that is meant.
func (c *cli) atWork(ctx context.Context, a *api, name string) (*orchestratorpb.Deployment, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	d, err := c.deployment(ctx, a, name)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, errNoDeployment(name)
	case words.Ended(d.GetState()):
		return nil, problem.New(problem.FailedPrecondition, "DEPLOYMENT_STATE",
			"no deployment of %s is at work: %s ended as %s", name, d.GetId(), words.Enum(d.GetState()))
	}
	return d, nil
}

// stop asks for the stop and follows the deployment.
func (c *cli) stop(ctx context.Context, a *api, d *orchestratorpb.Deployment, f stopFlags) error {
	kind, wanted := orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK, orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL
	if f.abort {
		kind, wanted = orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT, orchestratorpb.Deployment_STATE_STOPPED
	}
	if f.requestID == "" {
		f.requestID = requestID()
	}
	callCtx, cancel := c.call(ctx)
	defer cancel()
	r, err := a.deployments.StopDeployment(callCtx, &orchestratorpb.StopDeploymentRequest{
		RequestId: f.requestID, Deployment: d.GetId(), StopType: kind, Reason: f.reason,
	})
	if err != nil {
		return err
	}
	if f.detach {
		return c.show(r, func() error { return c.told(r.GetDeployment()) })
	}
	return c.follow(ctx, a, r.GetDeployment(), following{succeeded: func(d *orchestratorpb.Deployment) bool {
		withdrawn := d.GetStartTime() == nil && d.GetState() == orchestratorpb.Deployment_STATE_STOPPED
		return withdrawn || d.GetState() == wanted
	}})
}

// told writes where a deployment stands after a call about it, and how to follow it.
func (c *cli) told(d *orchestratorpb.Deployment) error {
	id := words.Clean(d.GetId())
	_, err := fmt.Fprintf(c.out, "deployment %s of %s: %s\nfollow it with: slipway watch %s\n", id, words.Clean(d.GetService()), words.Enum(d.GetState()), id)
	return err
}
