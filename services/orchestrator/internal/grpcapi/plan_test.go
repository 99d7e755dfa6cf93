package grpcapi_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// A plan says what would be, and leaves no trace: neither in the database nor with the engine.
func TestAPlanSavesNothing(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	second := e.register("web")
	shift := &config{BakeTime: seconds(60)}
	canary(shift, 10, seconds(300))
	before := e.dump()
	plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{
		Service: "web", TaskDefinition: "web", DeploymentConfiguration: shift,
	}))
	if after := e.dump(); after != before {
		t.Errorf("the plan changed\n%s\nto\n%s", before, after)
	}
	if got := plan.GetDuration().AsDuration().Seconds(); got != 360 {
		t.Errorf("the plan takes %v s, want 300 s of canary and 60 s of bake time", got)
	}
	var weights []float64
	for i, step := range plan.GetSteps() {
		if n := len(weights); n == 0 || weights[n-1] != step.GetProductionTrafficWeight() {
			weights = append(weights, step.GetProductionTrafficWeight())
		}
		if i > 0 && step.GetOffset().AsDuration() < plan.GetSteps()[i-1].GetOffset().AsDuration() || step.GetDescription() == "" {
			t.Errorf("step %d: %v", i, step)
		}
	}
	if len(weights) != 3 || weights[0] != 0 || weights[1] != 10 || weights[2] != 100 {
		t.Errorf("production traffic goes %v, want 0, 10, 100", weights)
	}
	if plan.GetRollbackServiceRevision() != "default/web/1" || plan.GetPeakTasks() != 2 || len(plan.GetWarnings()) != 0 {
		t.Errorf("%v", plan)
	}
	made := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{
		Service: "web", TaskDefinition: "web", DeploymentConfiguration: shift,
	})).GetDeployment()
	if !proto.Equal(made.GetDeploymentConfiguration(), plan.GetDeploymentConfiguration()) {
		t.Errorf("planned\n%v, made\n%v", plan.GetDeploymentConfiguration(), made.GetDeploymentConfiguration())
	}
	if made.GetTargetServiceRevision().GetTaskDefinition() != "web:2" || second.GetRevision() != 2 {
		t.Errorf("deploys %v", made.GetTargetServiceRevision())
	}
}

// The service's own configuration and task definition are planned with when the request has none, and a busy service is told.
func TestAPlanForABusyServiceWarns(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.DeploymentConfiguration = &config{MinimumHealthyPercent: proto.Int32(50)}
	running := e.create(service).GetDeployment().GetId()
	before := e.dump()
	plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{Service: "web"}))
	if len(plan.GetWarnings()) == 0 || !strings.Contains(plan.GetWarnings()[0], running) {
		t.Errorf("warnings %q do not name %s", plan.GetWarnings(), running)
	}
	if plan.GetDeploymentConfiguration().GetMinimumHealthyPercent() != 50 {
		t.Errorf("planned with %v", plan.GetDeploymentConfiguration())
	}
	if after := e.dump(); after != before {
		t.Errorf("the plan changed\n%s\nto\n%s", before, after)
	}
	_, err := e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{Service: "web"})
	if p := refused(t, "a busy service", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS"); p.Metadata["deployment"] != running {
		t.Errorf("names %q, want %s", p.Metadata["deployment"], running)
	}
	next := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
		&orchestratorpb.CreateDeploymentRequest{Service: "web", Supersede: true})).GetDeployment().GetId()
	if old := e.deployment(running); old.GetState() != orchestratorpb.Deployment_STATE_STOPPED || old.GetSupersededBy() != next {
		t.Errorf("superseded by %s: %v %q", next, old.GetState(), old.GetSupersededBy())
	}
}
