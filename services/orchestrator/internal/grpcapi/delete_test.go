package grpcapi_test

import (
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// A service that should run tasks is deleted only with force, whether they run or not, as in ECS.
func TestDeletingAServiceWithTasksNeedsForce(t *testing.T) {
	t.Parallel()
	e := serve(t)
	updatable(e)
	_, err := e.Services.DeleteService(e.ctx(), &orchestratorpb.DeleteServiceRequest{Service: "web"})
	if p := refused(t, "a service with tasks", err, problem.FailedPrecondition, "IN_USE"); p.Metadata["desiredCount"] != "1" {
		t.Errorf("metadata %v", p.Metadata)
	}
	if e.get("web").GetState() != orchestratorpb.Service_STATE_ACTIVE {
		t.Errorf("the service is %v", e.get("web").GetState())
	}
	resp := must[*orchestratorpb.DeleteServiceResponse](t)(e.Services.DeleteService(e.ctx(), &orchestratorpb.DeleteServiceRequest{Service: "web", Force: true}))
	if resp.GetService().GetState() != orchestratorpb.Service_STATE_DRAINING {
		t.Errorf("the service is %v", resp.GetService().GetState())
	}
	e.create(&orchestratorpb.Service{Name: "empty", TaskDefinition: "web"})
	if _, err := e.Services.DeleteService(e.ctx(), &orchestratorpb.DeleteServiceRequest{Service: "empty"}); err != nil {
		t.Errorf("a service of no tasks: %v", err)
	}
}
