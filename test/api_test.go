package test

import (
	"errors"
	"sync"
	"testing"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// webService is a service of the example workload, with the parts that a test changes.
func webService(t *testing.T, e *stories.Env) *orchestratorpb.Service {
	t.Helper()
	for _, name := range []string{"web-a", "web-b"} {
		_, err := e.TargetGroups.CreateTargetGroup(t.Context(), &healthcheckpb.CreateTargetGroupRequest{
			TargetGroup: &healthcheckpb.TargetGroup{Name: name, HealthCheck: &healthcheckpb.HealthCheck{Path: "/health"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := e.TaskDefinitions.RegisterTaskDefinition(t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: "web", ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", Command: []string{program(t, "web")}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &orchestratorpb.Service{
		Name: "web", TaskDefinition: "web", DesiredCount: 1,
		LoadBalancer: &orchestratorpb.LoadBalancer{TargetGroup: "web-a", AlternateTargetGroup: "web-b", ProductionListener: freeAddress(t)},
	}
}

func want(t *testing.T, what string, err error, kind problem.Kind, reason string) *problem.Error {
	t.Helper()
	p := problem.As(err)
	if !errors.Is(err, kind) || p == nil || p.Reason != reason {
		t.Errorf("%s: %v, want %v %s", what, err, kind, reason)
		return &problem.Error{}
	}
	return p
}

// Every refused request says which field breaks which rule, or which state forbids it.
func TestRefusedRequestsNameTheFieldAndTheRule(t *testing.T) {
	e := env(t, startStack(t, stack.Config{}).Addresses)
	ctx := t.Context()
	for _, c := range []struct {
		name, field string
		change      func(*orchestratorpb.Service)
	}{
		{"a name with a space", "service.name", func(s *orchestratorpb.Service) { s.Name = "a b" }},
		{"too many tasks", "service.desired_count", func(s *orchestratorpb.Service) { s.DesiredCount = 10001 }},
		{"a breaker with blue/green", "service.deployment_configuration.deployment_circuit_breaker", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{
				Strategy:                 orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
				DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true},
			}
		}},
		{"a percent of two decimals", "service.deployment_configuration.canary_configuration.canary_percent", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{
				Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY,
				CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: new(0.15)},
			}
		}},
		{"blue/green with one target group", "service.load_balancer.alternate_target_group", func(s *orchestratorpb.Service) {
			s.LoadBalancer.AlternateTargetGroup = ""
			s.DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN}
		}},
		{"a port that no container has", "service.load_balancer.container_port", func(s *orchestratorpb.Service) { s.LoadBalancer.ContainerPort = 81 }},
		{"a listener without a port", "service.load_balancer.production_listener", func(s *orchestratorpb.Service) {
			s.LoadBalancer.ProductionListener = "localhost"
		}},
	} {
		service := webService(t, e)
		c.change(service)
		_, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: service})
		p := want(t, c.name, err, problem.InvalidArgument, "INVALID_FIELD")
		if len(p.Violations) == 0 || p.Violations[0].Field != c.field || p.Violations[0].Rule == "" {
			t.Errorf("%s: violations %v, want field %s", c.name, p.Violations, c.field)
		}
	}
	unknown := webService(t, e)
	unknown.TaskDefinition = "nobody"
	_, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: unknown})
	want(t, "task definition", err, problem.NotFound, "TASK_DEFINITION_NOT_FOUND")
	unknown = webService(t, e)
	unknown.LoadBalancer.TargetGroup = "nobody"
	_, err = e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: unknown})
	want(t, "target group", err, problem.NotFound, "TARGET_GROUP_NOT_FOUND")
	unknown = webService(t, e)
	unknown.Cluster = "nobody"
	_, err = e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: unknown})
	want(t, "cluster", err, problem.NotFound, "CLUSTER_NOT_FOUND")
	_, err = e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: "d-nobody"})
	want(t, "deployment", err, problem.NotFound, "DEPLOYMENT_NOT_FOUND")
}

// A busy service, a stale etag, a name that is taken and a request id that comes again.
func TestRequestsAgainstTheStateOfAService(t *testing.T) {
	e := env(t, startStack(t, stack.Config{}).Addresses)
	ctx := t.Context()
	service := webService(t, e)
	service.DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{LifecycleHooks: []*orchestratorpb.LifecycleHook{{
		Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP},
	}}, Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN}
	create := &orchestratorpb.CreateServiceRequest{RequestId: "create", Service: service}
	ids := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 4 { // the same request, four times at once
		group.Go(func() {
			created, err := e.Services.CreateService(ctx, create)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[created.GetDeployment().GetId()] = true
		})
	}
	group.Wait()
	if len(ids) != 1 {
		t.Fatalf("one request id gave the deployments %v", ids)
	}
	var first string
	for first = range ids {
	}
	other := webService(t, e)
	other.DesiredCount = 2
	_, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{RequestId: "create", Service: other})
	want(t, "another request with the same id", err, problem.FailedPrecondition, "REQUEST_ID_REUSED")
	_, err = e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: other})
	want(t, "a name that is taken", err, problem.AlreadyExists, "ALREADY_EXISTS")
	_, err = e.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: "web"})
	if p := want(t, "a busy service", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS"); p.Metadata["deployment"] != first {
		t.Errorf("names %q, want %s", p.Metadata["deployment"], first)
	}
	_, err = e.Services.UpdateService(ctx, &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", DesiredCount: 2, Etag: "old"}})
	want(t, "a stale etag", err, problem.Aborted, "STALE_ETAG")
	eventually(t, func() bool {
		d, err := e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: first})
		return err == nil && len(d.GetDeployment().GetConditions()) > 0
	})
	if _, err := e.Deployments.ContinueDeployment(ctx, &orchestratorpb.ContinueDeploymentRequest{Deployment: first}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		d, err := e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: first})
		return err == nil && d.GetDeployment().GetState() == orchestratorpb.Deployment_STATE_SUCCESSFUL
	})
	_, err = e.Deployments.StopDeployment(ctx, &orchestratorpb.StopDeploymentRequest{Deployment: first})
	want(t, "a deployment that has ended", err, problem.FailedPrecondition, "DEPLOYMENT_STATE")
	_, err = e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: "web"})
	want(t, "a service with tasks", err, problem.FailedPrecondition, "IN_USE")
	if _, err := e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: "web", Force: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		got, err := e.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: "web"})
		return err == nil && got.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE
	})
	if _, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: other}); err != nil {
		t.Errorf("a deleted service cannot be created again: %v", err)
	}
}
