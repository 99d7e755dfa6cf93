package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
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
	return r.GetDeployment(), inAppSpec(f.appSpec, err)
}

// inAppSpec names the file, and the place in it, instead of the request's field.
func inAppSpec(name string, err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		for i, v := range p.Violations {
			if place, found := strings.CutPrefix(v.Field, "app_spec_content.content"); found {
				p.Violations[i].Field = strings.TrimSuffix(name+": "+strings.TrimPrefix(place, "."), ": ")
			}
		}
	}
	return err
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
