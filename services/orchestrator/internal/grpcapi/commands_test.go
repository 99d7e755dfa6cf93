package grpcapi_test

import (
	"fmt"
	"sync"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Commands about many services at once do not wait for each other's connections.
func TestManyServicesTakeCommandsAtOnce(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	const many = 40 // more than the pool has connections
	for i := range many {
		e.plain(fmt.Sprintf("web-%d", i))
		e.finish(fmt.Sprintf("web-%d", i))
	}
	var group sync.WaitGroup
	for i := range many {
		group.Go(func() {
			name := fmt.Sprintf("web-%d", i)
			_, err := e.Services.UpdateService(t.Context(), &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: name, DesiredCount: 2}})
			if err != nil {
				t.Errorf("update %s: %v", name, err)
			}
			_, err = e.Deployments.CreateDeployment(t.Context(), &orchestratorpb.CreateDeploymentRequest{
				Service: name, DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{DeploymentConfigName: "CodeDeployDefault.ECSAllAtOnce"},
			})
			if err != nil {
				t.Errorf("deploy %s: %v", name, err)
			}
		})
	}
	group.Wait()
}
