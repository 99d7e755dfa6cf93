package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/gantt"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// planFlags say what is planned.
type planFlags struct {
	strategyFlags
	pictureFlags

	taskDefinition string
	desiredCount   int32
}

func newPlan(c *cli) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [SERVICE]",
		Short: "Show what a deployment would do, step by step; nothing is changed",
		Long: `Show what a deployment would do if all went well: the same decisions that deploy follows, against a
world in which nothing fails. AT is the earliest time, with tasks, hooks and people that are ready at once; EXPECTED has
the time that the service's tasks need to start, and lets waits that go on by themselves take their time. Without a
service it plans for one that does not exist, with --desired-count tasks. Nothing is changed.

On a terminal the timeline is drawn below the table; --svg writes it as a picture.`,
		Example: `  slipway plan web --task-definition web:2
  slipway plan web --steps 10:5m,50:5m,100 --svg plan.svg
  slipway plan --desired-count 10 --config CodeDeployDefault.ECSCanary10Percent5Minutes`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			service := ""
			if len(args) > 0 {
				service = args[0]
			}
			return c.plan(cmd, f, service)
		},
	}
	cmd.Flags().StringVar(&f.taskDefinition, "task-definition", "", `"family:revision", or "family" for its latest; the service's by default`)
	cmd.Flags().Int32Var(&f.desiredCount, "desired-count", 0, "how many tasks the service has; what it has by default")
	f.strategyFlags.add(cmd)
	f.pictureFlags.add(cmd)
	return cmd
}

func (c *cli) plan(cmd *cobra.Command, f planFlags, service string) error {
	counted := cmd.Flags().Changed("desired-count")
	if _, err := f.apply(cmd, nil); err != nil { // before anything is called
		return err
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	if service == "" && !counted {
		return usagef(cmd, "SERVICE is missing, or --desired-count to plan for a service that does not exist")
	}
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	request := &orchestratorpb.PlanDeploymentRequest{Service: service, TaskDefinition: f.taskDefinition}
	if counted {
		request.DesiredCount = &f.desiredCount
	}
	var have *orchestratorpb.DeploymentConfiguration
	if service != "" {
		s, err := c.service(ctx, a, service)
		if err != nil {
			return err
		}
		request.Cluster, have = c.cluster, s.GetDeploymentConfiguration()
	}
	if request.DeploymentConfiguration, err = f.apply(cmd, have); err != nil {
		return err
	}
	r, err := a.deployments.PlanDeployment(ctx, request)
	if err != nil {
		return err
	}
	if err := c.show(r, func() error { return c.printPlan(r) }); err != nil {
		return err
	}
	file, err := f.write(service, f.taskDefinition, r)
	if err == nil && file != "" && c.output == "table" {
		_, err = fmt.Fprintf(c.out, "\nthe timeline is in %s\n", file)
	}
	return err
}

func (c *cli) printPlan(r *orchestratorpb.PlanDeploymentResponse) error {
	fmt.Fprintf(c.out, "%s\n\n", words.Strategy(r.GetDeploymentConfiguration()))
	t := table.New("AT", "EXPECTED", "STAGE", "WHAT HAPPENS", "PRODUCTION", "TEST", "OLD TASKS", "NEW TASKS")
	for _, s := range r.GetSteps() {
		stage, what := gantt.StageName(s.GetLifecycleStage()), s.GetDescription()
		switch n := len(r.GetProductionTrafficWeights()); {
		case s.GetEvent() == "SERVICE_DEPLOYMENT_COMPLETED":
			what = "the deployment completes"
		case what == stage && n > 1 && s.GetStep() > 0 && strings.Contains(stage, "PRODUCTION_TRAFFIC_SHIFT"):
			what = fmt.Sprintf("begins, step %d of %d", s.GetStep(), n)
		case what == stage:
			what = "begins"
		}
		t.Row(words.Since(s.GetOffset().AsDuration()), words.Since(s.GetExpectedOffset().AsDuration()), stage, what,
			words.Percent(s.GetProductionTrafficWeight()), words.Percent(s.GetTestTrafficWeight()),
			fmt.Sprint(s.GetSourceTasks()), fmt.Sprint(s.GetTargetTasks()))
	}
	if err := t.Write(c.out); err != nil {
		return err
	}
	if c.interactive() {
		fmt.Fprintf(c.out, "\n%s\n", c.picture(r))
	}
	fmt.Fprintln(c.out)
	for _, line := range planNotes(r) {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

// takes is how long the deployment takes, in words.
func takes(r *orchestratorpb.PlanDeploymentResponse) string {
	if r.GetDuration() == nil {
		return "it would not end"
	}
	least, expected := gantt.Length(r.GetDuration().AsDuration()), gantt.Length(r.GetExpectedDuration().AsDuration())
	if least == expected {
		return "takes " + least + " at least"
	}
	return "takes " + least + " at least, " + expected + " expected"
}

// planNotes is what holds for the whole of a plan.
func planNotes(r *orchestratorpb.PlanDeploymentResponse) []string {
	var notes []string
	note := func(name, format string, args ...any) {
		notes = append(notes, fmt.Sprintf("%-22s ", name)+fmt.Sprintf(format, args...))
	}
	note("takes", "%s", strings.TrimPrefix(takes(r), "takes "))
	if d := r.GetTaskStartTime(); d != nil {
		note("a task starts in", "%s, %s", gantt.Length(d.AsDuration()), startSource(r))
	}
	if n := r.GetPauseCount(); n > 0 {
		note("waits for people", "%s", times(n))
	}
	note("tasks at most", "%d at once", r.GetPeakTasks())
	if r.GetMaximumTasks() > 0 {
		note("envelope", "at least %d healthy tasks, at most %d tasks: %d may stop first, %d may start first",
			r.GetMinimumHealthyTasks(), r.GetMaximumTasks(), r.GetMayStopFirst(), r.GetMayStartFirst())
	}
	if r.GetDeadlock() {
		note("deadlock", "%s", words.Clean(r.GetDeadlockReason()))
	}
	if n := r.GetEarlySuccessRequired(); n > 0 {
		note("early success", "at %d healthy tasks", n)
	}
	if r.GetFailureThreshold() > 0 {
		note("fails at", "%d failed tasks", r.GetFailureThreshold())
	} else {
		note("fails at", "no number of failed tasks: they are not counted")
	}
	if names := r.GetAlarmNames(); len(names) > 0 {
		note("alarms", "%s", words.Clean(strings.Join(names, ", ")))
	}
	if to := r.GetRollbackServiceRevision(); to != "" {
		note("a rollback returns to", "%s", words.Clean(to))
	} else {
		note("a rollback returns to", "nothing")
	}
	for _, o := range outcomes(r) {
		notes = append(notes, o.what+" if")
		for _, cause := range o.causes {
			notes = append(notes, "  - "+cause)
		}
	}
	for _, w := range r.GetWarnings() {
		notes = append(notes, "warning: "+words.Sentence(w))
	}
	return notes
}

func startSource(r *orchestratorpb.PlanDeploymentResponse) string {
	switch r.GetTaskStartSource() {
	case orchestratorpb.TaskStartSource_TASK_START_SOURCE_HISTORY:
		return fmt.Sprintf("as the median of %d of the service's tasks", r.GetTaskStartSamples())
	case orchestratorpb.TaskStartSource_TASK_START_SOURCE_REQUEST:
		return "as asked for"
	}
	return "assumed: no task of the service was measured"
}

func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// planned is what is done about a failure, with all that leads to it.
type planned struct {
	what   string
	causes []string
}

// outcomes puts what would end the deployment together by what is done then.
func outcomes(r *orchestratorpb.PlanDeploymentResponse) []planned {
	var list []planned
	for _, f := range r.GetFailures() {
		what := words.Clean(f.GetThen())
		i := slices.IndexFunc(list, func(o planned) bool { return o.what == what })
		if i < 0 {
			i = len(list)
			list = append(list, planned{what: what})
		}
		list[i].causes = append(list[i].causes, words.Clean(f.GetDescription()))
	}
	return list
}
