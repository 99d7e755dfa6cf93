package main

import (
	"github.com/spf13/cobra"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newContinue(c *cli) *cobra.Command {
	var hookID, id string
	var back bool
	cmd := &cobra.Command{
		Use:   "continue DEPLOYMENT|SERVICE",
		Short: "Answer a pause: go on, or roll back",
		Example: `  slipway continue web
  slipway continue d-7 --rollback`,
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
			request := &orchestratorpb.ContinueDeploymentRequest{
				RequestId: id, Deployment: d.GetId(), HookId: hookID, Action: orchestratorpb.ContinueDeploymentRequest_ACTION_CONTINUE,
			}
			if back {
				request.Action = orchestratorpb.ContinueDeploymentRequest_ACTION_ROLLBACK
			}
			if id == "" {
				request.RequestId = requestID()
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			r, err := a.deployments.ContinueDeployment(ctx, request)
			if err != nil {
				return err
			}
			return c.show(r, func() error { return c.told(r.GetDeployment()) })
		},
	}
	cmd.Flags().StringVar(&hookID, "hook-id", "", "the pause to answer, when there are several")
	cmd.Flags().BoolVar(&back, "rollback", false, "roll back instead of going on")
	cmd.Flags().StringVar(&id, "request-id", "", "same id, same answer")
	return cmd
}
