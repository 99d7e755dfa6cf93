package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newTasks(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "tasks [SERVICE]",
		Short: "List the tasks of a service, or of a cluster",
		Example: `  slipway tasks web
  slipway tasks -o yaml`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error { return c.listTasks(cmd, strings.Join(args, "")) },
	}
}

func (c *cli) listTasks(cmd *cobra.Command, service string) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	if service != "" {
		if _, err := c.service(ctx, a, service); err != nil {
			return err
		}
	}
	tasks, err := c.tasks(ctx, a, service)
	if err != nil {
		return err
	}
	return c.show(&orchestratorpb.ListTasksResponse{Tasks: tasks}, func() error {
		t := table.New("TASK", "TASK DEFINITION", "STATE", "CONTAINERS", "TARGET", "ADDRESSES", "AGE", "STOPPED BECAUSE")
		for _, task := range tasks {
			t.Row(task.GetName(), task.GetTaskDefinition(), taskState(task), words.Enum(task.GetHealthStatus()),
				task.GetTargetHealth(), strings.Join(task.GetAddresses(), ","), c.age(task), stopped(task))
		}
		return t.Write(c.out)
	})
}

// tasks returns the tasks of a service, or with "" of the cluster.
func (c *cli) tasks(ctx context.Context, a *api, service string) ([]*orchestratorpb.Task, error) {
	return pages(0, func(token string) ([]*orchestratorpb.Task, string, error) {
		r, err := a.tasks.ListTasks(ctx, &orchestratorpb.ListTasksRequest{Cluster: c.cluster, Service: service, PageSize: 1000, PageToken: token})
		return r.GetTasks(), r.GetNextPageToken(), err
	})
}

func taskState(t *orchestratorpb.Task) string {
	state := words.Enum(t.GetState())
	if t.GetDraining() {
		state += ", drains"
	}
	return state
}

// age is how long a task has run, or ran.
func (c *cli) age(t *orchestratorpb.Task) string {
	if t.GetStartTime() == nil {
		return ""
	}
	end := c.now()
	if t.GetStopTime() != nil {
		end = t.GetStopTime().AsTime()
	}
	return words.Took(end.Sub(t.GetStartTime().AsTime()))
}

func stopped(t *orchestratorpb.Task) string {
	parts := []string{}
	if t.GetStopCode() != "" {
		parts = append(parts, t.GetStopCode())
	}
	if t.GetStopReason() != "" {
		parts = append(parts, t.GetStopReason())
	}
	if t.ExitCode != nil {
		parts = append(parts, fmt.Sprintf("exit code %d", t.GetExitCode()))
	}
	return strings.Join(parts, ", ")
}
