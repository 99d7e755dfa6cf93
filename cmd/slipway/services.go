package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newServices(c *cli) *cobra.Command {
	var everywhere bool
	cmd := &cobra.Command{
		Use:   "services",
		Short: "List the services of a cluster",
		Example: `  slipway services
  slipway services --all-clusters -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listServices(cmd, everywhere) },
	}
	cmd.Flags().BoolVarP(&everywhere, "all-clusters", "A", false, "those of every cluster")
	return cmd
}

func (c *cli) listServices(cmd *cobra.Command, everywhere bool) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	cluster := c.cluster
	if everywhere {
		cluster = ""
	}
	services, err := pages(0, func(token string) ([]*orchestratorpb.Service, string, error) {
		r, err := a.services.ListServices(ctx, &orchestratorpb.ListServicesRequest{Cluster: cluster, PageSize: 100, PageToken: token})
		return r.GetServices(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return c.show(&orchestratorpb.ListServicesResponse{Services: services}, func() error {
		t := table.New("CLUSTER", "SERVICE", "STATE", "TASK DEFINITION", "DESIRED", "RUNNING", "PENDING", "DEPLOYMENT")
		for _, s := range services {
			t.Row(s.GetCluster(), s.GetName(), words.Enum(s.GetState()), s.GetTaskDefinition(), fmt.Sprint(s.GetDesiredCount()),
				fmt.Sprint(s.GetRunningCount()), fmt.Sprint(s.GetPendingCount()), s.GetDeployment())
		}
		return t.Write(c.out)
	})
}
