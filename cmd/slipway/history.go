package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newHistory(c *cli) *cobra.Command {
	var deployment string
	var limit int
	cmd := &cobra.Command{
		Use:   "history [SERVICE]",
		Short: "List past deployments, or the stages of one",
		Long: `List the deployments of a service (of the cluster without one), newest first. SAFE AFTER is how long a
rollback took until all production traffic was on the old revision again.`,
		Example: `  slipway history web
  slipway history --deployment d-7`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			service := ""
			if len(args) == 1 {
				service = args[0]
			}
			if deployment != "" && service != "" {
				return usagef(cmd, "--deployment and SERVICE exclude each other")
			}
			if limit < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			return c.history(cmd, service, deployment, limit)
		},
	}
	cmd.Flags().StringVar(&deployment, "deployment", "", "show the stages of this deployment")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many deployments to list")
	return cmd
}

func (c *cli) history(cmd *cobra.Command, service, deployment string, limit int) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	if deployment != "" {
		r, err := a.deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: deployment})
		if err != nil {
			return err
		}
		return c.show(r, func() error { return c.printStages(r.GetDeployment()) })
	}
	if service != "" {
		if _, err := c.service(ctx, a, service); err != nil {
			return err
		}
	}
	list, err := c.deployments(ctx, a, &orchestratorpb.ListDeploymentsRequest{Cluster: c.cluster, Service: service}, limit)
	if err != nil {
		return err
	}
	return c.show(&orchestratorpb.ListDeploymentsResponse{Deployments: list}, func() error { return c.printHistory(list) })
}

// deployments returns deployments, newest first.
func (c *cli) deployments(ctx context.Context, a *api, request *orchestratorpb.ListDeploymentsRequest, limit int) ([]*orchestratorpb.Deployment, error) {
	request.PageSize = 100
	if limit > 0 {
		request.PageSize = int32(min(limit, 100))
	}
	return pages(limit, func(token string) ([]*orchestratorpb.Deployment, string, error) {
		request.PageToken = token
		r, err := a.deployments.ListDeployments(ctx, request)
		return r.GetDeployments(), r.GetNextPageToken(), err
	})
}

func (c *cli) printHistory(list []*orchestratorpb.Deployment) error {
	t := table.New("DEPLOYMENT", "SERVICE", "TASK DEFINITION", "STRATEGY", "BEGAN", "TOOK", "STATE", "ROLLED BACK TO", "SAFE AFTER", "REASON")
	for _, d := range list {
		safe, back, reason := "", "", d.GetReason()
		if isLive(d) {
			reason = "" // it says no more than the state
		}
		if took, ok := words.Safe(d); ok {
			safe = words.Precise(took)
		}
		if d.GetRollback() != nil {
			back = words.RolledBackTo(d)
		}
		t.Row(d.GetId(), d.GetService(), words.Definitions(d, "->"), words.StrategyName(d.GetDeploymentConfiguration()),
			c.clock(d.GetCreateTime().AsTime()), words.Took(words.Elapsed(d, c.now())), words.Enum(d.GetState()), back, safe, reason)
	}
	return t.Write(c.out)
}

func (c *cli) printStages(d *orchestratorpb.Deployment) error {
	fmt.Fprintf(c.out, "%s\n%s\n\n", begun(d), words.Outcome(d, c.now()))
	t := table.New("STAGE", "STEP", "BEGAN", "AT", "TOOK", "OUTCOME", "REASON")
	for _, h := range d.GetHistory() {
		stage := words.Enum(h.GetLifecycleStage())
		if stage == "" {
			stage = "rolling update"
		}
		if h.GetRollback() {
			stage += " (rollback)"
		}
		step := ""
		if h.GetStep() > 0 {
			step = fmt.Sprintf("%d of %d", h.GetStep(), d.GetStepCount())
		}
		end, outcome := c.now(), words.Enum(h.GetOutcome())
		if h.GetEndTime() != nil {
			end = h.GetEndTime().AsTime()
		}
		if outcome == "" {
			outcome = "goes on"
		}
		begin := h.GetStartTime().AsTime()
		t.Row(stage, step, c.clock(begin), words.Since(begin.Sub(words.Begin(d))), words.Took(end.Sub(begin)), outcome, h.GetReason())
	}
	return t.Write(c.out)
}

// clock is a time in the place of the user, to the second.
func (c *cli) clock(t time.Time) string { return t.In(c.now().Location()).Format(time.DateTime) }
