package test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// A target group of type CONTAINER lives by the container health checks that the runtime makes.
func TestATargetGroupLivesByTheHealthOfContainers(t *testing.T) {
	e := env(t, startStack(t, stack.Config{}).Addresses)
	ctx := t.Context()
	service := webService(t, e)
	for _, group := range []*string{&service.LoadBalancer.TargetGroup, &service.LoadBalancer.AlternateTargetGroup} {
		*group = "container-" + *group
		_, err := e.TargetGroups.CreateTargetGroup(ctx, &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: *group, HealthCheck: &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CONTAINER},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: service})
	if p := want(t, "no container health check", err, problem.InvalidArgument, "INVALID_FIELD"); len(p.Violations) != 1 {
		t.Errorf("violations %v", p.Violations)
	}

	ready := filepath.Join(t.TempDir(), "ready")
	service.TaskDefinition = registerChecked(t, e, ready)
	created, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_, err := e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: service.GetName(), Force: true})
		if err != nil {
			t.Error(err)
		}
		eventually(t, func() bool {
			got, err := e.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: service.GetName()})
			return err == nil && got.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE
		})
	}()
	eventually(t, func() bool { return state(t, e, service) == healthcheckpb.TargetHealth_STATE_INITIAL })
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		d, err := e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: created.GetDeployment().GetId()})
		return err == nil && d.GetDeployment().GetState() == orchestratorpb.Deployment_STATE_SUCCESSFUL
	})
	if got := state(t, e, service); got != healthcheckpb.TargetHealth_STATE_HEALTHY {
		t.Errorf("the target is %s", got)
	}
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return state(t, e, service) == healthcheckpb.TargetHealth_STATE_UNHEALTHY })
}

// state is that of the service's only target; unspecified when there is none.
func state(t *testing.T, e *stories.Env, service *orchestratorpb.Service) healthcheckpb.TargetHealth_State {
	t.Helper()
	got, err := e.TargetGroups.DescribeTargetHealth(t.Context(), &healthcheckpb.DescribeTargetHealthRequest{
		TargetGroup: service.GetLoadBalancer().GetTargetGroup(),
	})
	if err != nil || len(got.GetTargets()) == 0 {
		return healthcheckpb.TargetHealth_STATE_UNSPECIFIED
	}
	return got.GetTargets()[0].GetState()
}

// registerChecked registers a revision of the workload whose container is healthy while a file exists.
func registerChecked(t *testing.T, e *stories.Env, file string) string {
	t.Helper()
	_, err := e.TaskDefinitions.RegisterTaskDefinition(t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: "checked", ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", Command: []string{program(t, "web")}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
			HealthCheck: &orchestratorpb.ContainerHealthCheck{
				Command: []string{"CMD", "test", "-f", file}, Interval: durationpb.New(50 * time.Millisecond), StartPeriod: durationpb.New(time.Minute),
			},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return "checked:1"
}
