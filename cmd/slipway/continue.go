package main

import (
	"github.com/spf13/cobra"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newContinue(c *cli) *cobra.Command {
	var hookID, id, approver, wait string
	var back bool
	cmd := &cobra.Command{
		Use:   "continue DEPLOYMENT|SERVICE",
		Short: "Answer a pause: go on, or roll back",
		Long: `Answer a pause. A pause with a quorum goes on when enough people have continued it; each counts once, by
--approver.`,
		Example: `  slipway continue web
  slipway continue d-7 --rollback
  slipway continue web --wait termination`,
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
			if request.Approver = approver; approver == "" {
				request.Approver = c.env("USER")
			}
			switch wait {
			case "":
			case "ready":
				request.DeploymentWaitType = orchestratorpb.DeploymentWaitType_DEPLOYMENT_WAIT_TYPE_READY_WAIT
			case "termination":
				request.DeploymentWaitType = orchestratorpb.DeploymentWaitType_DEPLOYMENT_WAIT_TYPE_TERMINATION_WAIT
			default:
				return usagef(cmd, "--wait is ready or termination, not %q", wait)
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
	cmd.Flags().StringVar(&approver, "approver", "", "who answers, for a pause that several people must continue (default: $USER)")
	cmd.Flags().StringVar(&wait, "wait", "", "the wait to end: ready (before production traffic), termination (before the old revision stops)")
	cmd.Flags().BoolVar(&back, "rollback", false, "roll back instead of going on")
	cmd.Flags().StringVar(&id, "request-id", "", "same id, same answer")
	return cmd
}
