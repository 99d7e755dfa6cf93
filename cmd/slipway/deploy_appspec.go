package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const maxAppSpec = 100 << 10 // what the contract takes

// createAppSpecDeployment begins the deployment that an AppSpec file asks for.
func (c *cli) createAppSpecDeployment(cmd *cobra.Command, a *api, f deployFlags, service string) (*orchestratorpb.Deployment, error) {
	content, err := c.readAppSpec(f.appSpec)
	if err != nil {
		return nil, err
	}
	if f.requestID == "" {
		f.requestID = requestID()
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	r, err := a.appSpecs.CreateAppSpecDeployment(ctx, &orchestratorpb.CreateAppSpecDeploymentRequest{
		RequestId: f.requestID, Cluster: c.cluster, Service: service, Supersede: f.supersede, DeploymentConfigName: f.config,
		AppSpecContent: &orchestratorpb.AppSpecContent{Content: string(content)},
	})
	for _, warning := range r.GetWarnings() {
		fmt.Fprintf(c.err, "note: %s\n", words.Clean(warning))
	}
	return r.GetDeployment(), err
}

func (c *cli) readAppSpec(name string) ([]byte, error) {
	from := c.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	content, err := io.ReadAll(io.LimitReader(from, maxAppSpec+1))
	if err == nil && len(content) > maxAppSpec {
		err = fmt.Errorf("%s has more than %d bytes, the most that an AppSpec file may have", name, maxAppSpec)
	}
	return content, err
}
