package grpcapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// rule is a change of something good that breaks one rule: the field that the answer names, and a word of the rule.
type rule[T any] struct {
	field, word string
	change      func(T)
}

// names checks that err names the field, as the only one, and the rule.
func names(t *testing.T, what string, err error, field, word string) {
	t.Helper()
	p := refused(t, what+" of "+field, err, problem.InvalidArgument, "INVALID_FIELD")
	if len(p.Violations) != 1 || p.Violations[0].Field != field || !strings.Contains(p.Violations[0].Rule, word) {
		t.Errorf("%s: violations %v, want the field %s and the word %q", what, p.Violations, field, word)
	}
}

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

// What the contract's rules cannot say of a task definition: see checkTaskDefinition.
func TestTheRulesOfTaskDefinitions(t *testing.T) {
	t.Parallel()
	e := serve(t)
	const in = "task_definition.container_definitions"
	for _, c := range []rule[*orchestratorpb.TaskDefinition]{
		{in + "[1].name", "twice", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[1].Name = "app" }},
		{in, "essential", func(d *orchestratorpb.TaskDefinition) {
			for _, c := range d.GetContainerDefinitions() {
				c.Essential = new(false)
			}
		}},
		{in + "[0].stop_timeout", "2m0s", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[0].StopTimeout = seconds(120.5) }},
		{in + "[0].stop_timeout", "0 to", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[0].StopTimeout = seconds(-1) }},
		{in + "[1].health_check.command", "CMD-SHELL", func(d *orchestratorpb.TaskDefinition) {
			d.ContainerDefinitions[1].HealthCheck.Command = []string{"/bin/true", "x"}
		}},
		{in + "[1].health_check.interval", "5m0s", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[1].HealthCheck.Interval = seconds(301) }},
		{in + "[1].health_check.interval", "0 to", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[1].HealthCheck.Interval = seconds(-1) }},
		{in + "[1].health_check.timeout", "1m0s", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[1].HealthCheck.Timeout = seconds(61) }},
		{in + "[1].health_check.timeout", "0 to", func(d *orchestratorpb.TaskDefinition) { d.ContainerDefinitions[1].HealthCheck.Timeout = seconds(-1) }},
		{in + "[1].health_check.start_period", "5m0s", func(d *orchestratorpb.TaskDefinition) {
			d.ContainerDefinitions[1].HealthCheck.StartPeriod = seconds(301)
		}},
		{in + "[1].health_check.start_period", "0 to", func(d *orchestratorpb.TaskDefinition) {
			d.ContainerDefinitions[1].HealthCheck.StartPeriod = seconds(-1)
		}},
	} {
		definition := fullTaskDefinition()
		c.change(definition)
		_, err := e.TaskDefinitions.RegisterTaskDefinition(e.ctx(), &orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: definition})
		names(t, "a task definition", err, c.field, c.word)
	}
	for _, name := range []string{"web:", "web:0", "web:-1", "web:x", "web:1:2", "web:99999999999"} {
		_, err := e.TaskDefinitions.DescribeTaskDefinition(e.ctx(), &orchestratorpb.DescribeTaskDefinitionRequest{TaskDefinition: name})
		names(t, name, err, "task_definition", "family:revision")
	}
	good := fullTaskDefinition()
	good.ContainerDefinitions[0].StopTimeout, good.ContainerDefinitions[1].HealthCheck.Interval = seconds(120), seconds(300)
	good.ContainerDefinitions[1].HealthCheck.Timeout, good.ContainerDefinitions[1].HealthCheck.StartPeriod = seconds(60), seconds(300)
	must[*orchestratorpb.RegisterTaskDefinitionResponse](t)(e.TaskDefinitions.RegisterTaskDefinition(e.ctx(),
		&orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: good}))
}

// What the contract's rules cannot say of a service.
func TestTheRulesOfServices(t *testing.T) {
	t.Parallel()
	e := serve(t)
	good := e.web()
	e.health.add(&healthcheckpb.TargetGroup{
		Name: "by-containers", HealthCheck: &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CONTAINER},
	})
	e.create(good)
	for _, c := range []rule[*orchestratorpb.Service]{
		{"task_definition", "family:revision", func(s *orchestratorpb.Service) { s.TaskDefinition = "web:x" }},
		{"health_check_grace_period", "negative", func(s *orchestratorpb.Service) { s.HealthCheckGracePeriod = seconds(-1) }},
		{"load_balancer.alternate_target_group", "needed", func(s *orchestratorpb.Service) {
			s.LoadBalancer.AlternateTargetGroup = ""
			s.DeploymentConfiguration = &config{}
			blueGreen(s.GetDeploymentConfiguration())
		}},
		{"load_balancer.alternate_target_group", "must not be", func(s *orchestratorpb.Service) { s.LoadBalancer.AlternateTargetGroup = "web-a" }},
		{"load_balancer.test_listener", "must not be", func(s *orchestratorpb.Service) {
			s.LoadBalancer.TestListener = s.GetLoadBalancer().GetProductionListener()
		}},
		{"load_balancer.production_listener", "host:port", func(s *orchestratorpb.Service) { s.LoadBalancer.ProductionListener = "localhost" }},
		{"load_balancer.test_listener", "host:port", func(s *orchestratorpb.Service) { s.LoadBalancer.TestListener = "localhost" }},
		{"load_balancer.deregistration_delay", "3600", func(s *orchestratorpb.Service) { s.LoadBalancer.DeregistrationDelay = seconds(3601) }},
		{"load_balancer.deregistration_delay", "0 to", func(s *orchestratorpb.Service) { s.LoadBalancer.DeregistrationDelay = seconds(-1) }},
		{"load_balancer.container_port", "81", func(s *orchestratorpb.Service) { s.LoadBalancer.ContainerPort = 81 }},
		{"load_balancer.container_port", "nobody", func(s *orchestratorpb.Service) { s.LoadBalancer.ContainerName = "nobody" }},
		{"load_balancer.target_group", "by-containers", func(s *orchestratorpb.Service) { s.LoadBalancer.TargetGroup = "by-containers" }},
		{"load_balancer.alternate_target_group", "by-containers", func(s *orchestratorpb.Service) { s.LoadBalancer.AlternateTargetGroup = "by-containers" }},
	} {
		bad := proto.CloneOf(good)
		bad.Name = "new"
		c.change(bad)
		_, err := e.Services.CreateService(e.ctx(), &orchestratorpb.CreateServiceRequest{Service: bad})
		names(t, "CreateService", err, "service."+c.field, c.word)
	}
	// An update is checked as the service that it makes; the contract's rules see only what is sent.
	for _, c := range []rule[*orchestratorpb.Service]{
		{"name", "needed", func(s *orchestratorpb.Service) { s.Name = "" }},
		{"desired_count", "10000", func(s *orchestratorpb.Service) { s.DesiredCount = 10001 }},
		{"desired_count", "0", func(s *orchestratorpb.Service) { s.DesiredCount = -1 }},
		{"task_definition", "family:revision", func(s *orchestratorpb.Service) { s.TaskDefinition = "web:x" }},
		{"health_check_grace_period", "negative", func(s *orchestratorpb.Service) { s.HealthCheckGracePeriod = seconds(-1) }},
		{"deployment_configuration.minimum_healthy_percent", "100", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &config{MinimumHealthyPercent: proto.Int32(101)}
		}},
		{"deployment_configuration.maximum_percent", "200", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &config{MaximumPercent: proto.Int32(99)}
		}},
		{"deployment_configuration.strategy", "defined", func(s *orchestratorpb.Service) { s.DeploymentConfiguration = &config{Strategy: 99} }},
		{"deployment_configuration.alarms.alarm_names", "unique", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &config{Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"a", "a"}}}
		}},
		{"deployment_configuration.deployment_circuit_breaker.threshold_configuration.type", "defined", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &config{DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{
				ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: 99},
			}}
		}},
		{"deployment_configuration.lifecycle_hooks[0].lifecycle_stages", "1 item", func(s *orchestratorpb.Service) {
			s.DeploymentConfiguration = &config{LifecycleHooks: []*orchestratorpb.LifecycleHook{{Hook: "check"}}}
			blueGreen(s.GetDeploymentConfiguration())
		}},
	} {
		bad := &orchestratorpb.Service{Name: "web"}
		c.change(bad)
		_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{Service: bad})
		names(t, "UpdateService", err, "service."+c.field, c.word)
	}
	_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: "web"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"task_definition"}},
	})
	names(t, "UpdateService", err, "service.task_definition", "1 character")
}

// A task definition that the service's load balancer cannot reach is refused before anything is stopped for it.
func TestATaskDefinitionWithoutTheServicesPortIsNotDeployed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	must[*orchestratorpb.RegisterTaskDefinitionResponse](t)(e.TaskDefinitions.RegisterTaskDefinition(e.ctx(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: "web", ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{Name: "app"}}},
	}))
	_, err := e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{Service: "web", TaskDefinition: "web"})
	names(t, "CreateDeployment", err, "task_definition", "port")
	_, err = e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{Service: "web", TaskDefinition: "web"})
	names(t, "PlanDeployment", err, "task_definition", "port")
	_, err = e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", TaskDefinition: "web"}})
	names(t, "UpdateService", err, "service.load_balancer.container_port", "port")
}

// Several broken rules are told together.
func TestEveryBrokenRuleIsTold(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.HealthCheckGracePeriod = seconds(-1)
	service.DeploymentConfiguration = &config{BakeTime: seconds(-1), ScaleUpTimeout: seconds(0.5)}
	_, err := e.Services.CreateService(e.ctx(), &orchestratorpb.CreateServiceRequest{Service: service})
	p := refused(t, "three broken rules", err, problem.InvalidArgument, "INVALID_FIELD")
	if got := fmt.Sprint(p.Violations); len(p.Violations) != 3 || !strings.Contains(err.Error(), "2 more") {
		t.Errorf("%s in %v", got, err)
	}
}
