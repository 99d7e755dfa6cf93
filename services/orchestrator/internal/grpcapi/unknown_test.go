package grpcapi_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Whatever names something that is not there is NOT_FOUND, and the reason says what is not there.
func TestUnknownNamesAreNotFound(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ctx := e.ctx()
	e.register("web")
	web := e.plain("web").GetDeployment().GetId()
	drop := func(_ any, err error) error { return err }
	for _, c := range []struct {
		name, reason string
		call         func() error
	}{
		{"GetService", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: "nobody"}))
		}},
		{"GetService in another cluster", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Cluster: "other", Service: "web"}))
		}},
		{"UpdateService", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Services.UpdateService(ctx, &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "nobody", DesiredCount: 2}}))
		}},
		{"UpdateService to a task definition", "TASK_DEFINITION_NOT_FOUND", func() error {
			return drop(e.Services.UpdateService(ctx, &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", TaskDefinition: "web:9"}}))
		}},
		{"UpdateService to a deployment configuration", "DEPLOYMENT_CONFIGURATION_NOT_FOUND", func() error {
			return drop(e.Services.UpdateService(ctx, &orchestratorpb.UpdateServiceRequest{
				Service: &orchestratorpb.Service{
					Name: "web", DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{DeploymentConfigName: "CodeDeployDefault.ECSNobody"},
				},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"deployment_configuration"}},
			}))
		}},
		{"DeleteService", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: "nobody", Force: true}))
		}},
		{"ListServiceRevisions", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Services.ListServiceRevisions(ctx, &orchestratorpb.ListServiceRevisionsRequest{Service: "nobody"}))
		}},
		{"CreateService in a cluster", "CLUSTER_NOT_FOUND", func() error {
			return drop(e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{
				Service: &orchestratorpb.Service{Cluster: "nowhere", Name: "new", TaskDefinition: "web"},
			}))
		}},
		{"CreateService of a task definition", "TASK_DEFINITION_NOT_FOUND", func() error {
			return drop(e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{Name: "new", TaskDefinition: "nobody"}}))
		}},
		{"CreateService with a target group", "TARGET_GROUP_NOT_FOUND", func() error {
			return drop(e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
				Name: "new", TaskDefinition: "web", LoadBalancer: &orchestratorpb.LoadBalancer{TargetGroup: "nobody", ProductionListener: "127.0.0.1:8080"},
			}}))
		}},
		{"DescribeTaskDefinition", "TASK_DEFINITION_NOT_FOUND", func() error {
			return drop(e.TaskDefinitions.DescribeTaskDefinition(ctx, &orchestratorpb.DescribeTaskDefinitionRequest{TaskDefinition: "nobody"}))
		}},
		{"DescribeTaskDefinition of a revision", "TASK_DEFINITION_NOT_FOUND", func() error {
			return drop(e.TaskDefinitions.DescribeTaskDefinition(ctx, &orchestratorpb.DescribeTaskDefinitionRequest{TaskDefinition: "web:2"}))
		}},
		{"CreateDeployment", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: "nobody"}))
		}},
		{"CreateDeployment of a task definition", "TASK_DEFINITION_NOT_FOUND", func() error {
			return drop(e.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: "web", TaskDefinition: "web:2"}))
		}},
		{"PlanDeployment", "SERVICE_NOT_FOUND", func() error {
			return drop(e.Deployments.PlanDeployment(ctx, &orchestratorpb.PlanDeploymentRequest{Service: "nobody"}))
		}},
		{"PlanDeployment by a deployment configuration", "DEPLOYMENT_CONFIGURATION_NOT_FOUND", func() error {
			return drop(e.Deployments.PlanDeployment(ctx, &orchestratorpb.PlanDeploymentRequest{
				Service: "web", DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{DeploymentConfigName: "nobody"},
			}))
		}},
		{"GetDeployment", "DEPLOYMENT_NOT_FOUND", func() error {
			return drop(e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: "d-nobody"}))
		}},
		{"WatchDeployment", "DEPLOYMENT_NOT_FOUND", func() error {
			stream, err := e.Deployments.WatchDeployment(ctx, &orchestratorpb.WatchDeploymentRequest{Deployment: "d-nobody"})
			if err != nil {
				return err
			}
			return drop(stream.Recv())
		}},
		{"StopDeployment", "DEPLOYMENT_NOT_FOUND", func() error {
			return drop(e.Deployments.StopDeployment(ctx, &orchestratorpb.StopDeploymentRequest{Deployment: "d-nobody"}))
		}},
		{"ContinueDeployment", "DEPLOYMENT_NOT_FOUND", func() error {
			return drop(e.Deployments.ContinueDeployment(ctx, &orchestratorpb.ContinueDeploymentRequest{Deployment: "d-nobody"}))
		}},
		{"GetLogs", "TASK_NOT_FOUND", func() error {
			stream, err := e.Tasks.GetLogs(ctx, &orchestratorpb.GetLogsRequest{Task: "nobody"})
			if err != nil {
				return err
			}
			return drop(stream.Recv())
		}},
	} {
		refused(t, c.name, c.call(), problem.NotFound, c.reason)
	}
	if d := e.deployment(web); d.GetState() != orchestratorpb.Deployment_STATE_PENDING {
		t.Errorf("the refused requests changed the deployment: %v", d.GetState())
	}
}

// A deleted service is there to be read; nothing can be done with it any more.
func TestADeletedServiceTakesNoCommand(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ctx := e.ctx()
	e.register("web")
	e.plain("web")
	e.finish("web")
	must[*orchestratorpb.DeleteServiceResponse](t)(e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: "web", Force: true}))
	if got := e.get("web"); got.GetState() != orchestratorpb.Service_STATE_DRAINING {
		t.Errorf("the service is %v", got.GetState())
	}
	_, err := e.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: "web"})
	refused(t, "CreateDeployment", err, problem.NotFound, "SERVICE_NOT_FOUND")
	_, err = e.Deployments.PlanDeployment(ctx, &orchestratorpb.PlanDeploymentRequest{Service: "web"})
	refused(t, "PlanDeployment", err, problem.NotFound, "SERVICE_NOT_FOUND")
	_, err = e.Services.UpdateService(ctx, &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", DesiredCount: 2}})
	refused(t, "UpdateService", err, problem.NotFound, "SERVICE_NOT_FOUND")
	_, err = e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{Name: "web", TaskDefinition: "web"}})
	refused(t, "CreateService while it drains", err, problem.AlreadyExists, "ALREADY_EXISTS")
	if _, err := e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: "web"}); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
}

// While the healthcheck service cannot be reached nothing that refers to it is created.
func TestNoServiceIsCreatedUnchecked(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	before := e.dump()
	e.health.failWith(problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "healthcheck cannot be reached"))
	_, err := e.Services.CreateService(e.ctx(), &orchestratorpb.CreateServiceRequest{RequestId: "same", Service: service})
	refused(t, "CreateService", err, problem.Unavailable, "SERVICE_UNAVAILABLE")
	if after := e.dump(); after != before {
		t.Errorf("the refused request changed\n%s\nto\n%s", before, after)
	}
	e.health.failWith(nil)
	if _, err := e.Services.CreateService(e.ctx(), &orchestratorpb.CreateServiceRequest{RequestId: "same", Service: service}); err != nil {
		t.Errorf("once it is there: %v", err)
	}
}
