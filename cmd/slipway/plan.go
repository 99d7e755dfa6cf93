package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newPlan(c *cli) *cobra.Command {
	var f strategyFlags
	var taskDefinition string
	cmd := &cobra.Command{
		Use:   "plan SERVICE",
		Short: "Show what a deployment would do, step by step; nothing is changed",
		Long: `Show what a deployment would do if all went well: the same decisions that deploy follows, against a
world in which tasks and hooks are ready at once. Nothing is changed.`,
		Example: `  slipway plan web --task-definition web:2
  slipway plan web --steps 10:5m,50:5m,100`,
		Args: exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.plan(cmd, f, taskDefinition, args[0]) },
	}
	cmd.Flags().StringVar(&taskDefinition, "task-definition", "", `"family:revision", or "family" for its latest; the service's by default`)
	f.add(cmd)
	return cmd
}

func (c *cli) plan(cmd *cobra.Command, f strategyFlags, taskDefinition, service string) error {
	if _, err := f.apply(cmd, nil); err != nil { // before anything is called
		return err
	}
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	s, err := c.service(ctx, a, service)
	if err != nil {
		return err
	}
	config, err := f.apply(cmd, s.GetDeploymentConfiguration())
	if err != nil {
		return err
	}
	r, err := a.deployments.PlanDeployment(ctx, &orchestratorpb.PlanDeploymentRequest{
		Cluster: c.cluster, Service: service, TaskDefinition: taskDefinition, DeploymentConfiguration: config,
	})
	if err != nil {
		return err
	}
	return c.show(r, func() error { return c.printPlan(r) })
}

func (c *cli) printPlan(r *orchestratorpb.PlanDeploymentResponse) error {
	fmt.Fprintf(c.out, "%s\n\n", words.Strategy(r.GetDeploymentConfiguration()))
	t := table.New("AT", "STAGE", "WHAT HAPPENS", "PRODUCTION", "TEST", "OLD TASKS", "NEW TASKS")
	for _, s := range r.GetSteps() {
		stage, what := words.Enum(s.GetLifecycleStage()), s.GetDescription()
		if what == stage {
			what = "begins"
		}
		t.Row(words.Since(s.GetOffset().AsDuration()), stage, what,
			words.Percent(s.GetProductionTrafficWeight()), words.Percent(s.GetTestTrafficWeight()),
			fmt.Sprint(s.GetSourceTasks()), fmt.Sprint(s.GetTargetTasks()))
	}
	if err := t.Write(c.out); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	for _, line := range planNotes(r) {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

// planNotes is what holds for the whole of a plan.
func planNotes(r *orchestratorpb.PlanDeploymentResponse) []string {
	var notes []string
	note := func(name, format string, args ...any) {
		notes = append(notes, fmt.Sprintf("%-22s ", name)+fmt.Sprintf(format, args...))
	}
	if d := r.GetDuration(); d != nil {
		note("takes at least", "%s", words.Length(d))
	} else {
		note("takes", "until a pause is answered")
	}
	note("tasks at most", "%d at once", r.GetPeakTasks())
	if r.GetMaximumTasks() > 0 {
		note("envelope", "at least %d healthy tasks, at most %d tasks", r.GetMinimumHealthyTasks(), r.GetMaximumTasks())
	}
	if r.GetFailureThreshold() > 0 {
		note("fails at", "%d failed tasks", r.GetFailureThreshold())
	} else {
		note("fails at", "no number of failed tasks: they are not counted")
	}
	if to := r.GetRollbackServiceRevision(); to != "" {
		note("a rollback returns to", "%s", words.Clean(to))
	} else {
		note("a rollback returns to", "nothing: no revision has been live")
	}
	for _, w := range r.GetWarnings() {
		notes = append(notes, "warning: "+words.Sentence(w))
	}
	return notes
}
