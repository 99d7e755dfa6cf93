package grpcapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/grpc"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

const appSpec = `{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{
"TaskDefinition":"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2","PlatformVersion":"LATEST",
"LoadBalancerInfo":{"ContainerName":"app","ContainerPort":80}}}}],
"Hooks":[{"BeforeInstall":"a"},{"BeforeAllowTraffic":"arn:aws:lambda:eu-west-1:123456789012:function:check"}]}`

func deployAppSpec(e *env, change func(*orchestratorpb.CreateAppSpecDeploymentRequest)) (*orchestratorpb.CreateAppSpecDeploymentResponse, error) {
	req := &orchestratorpb.CreateAppSpecDeploymentRequest{
		RequestId: "a", Service: "web", AppSpecContent: &orchestratorpb.AppSpecContent{Content: appSpec},
		DeploymentConfigName: "CodeDeployDefault.ECSCanary10Percent5Minutes",
		AutoRollbackConfiguration: &orchestratorpb.AutoRollbackConfiguration{
			Enabled: true, Events: []orchestratorpb.AutoRollbackConfiguration_Event{orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_FAILURE},
		},
	}
	change(req)
	return e.AppSpecs.CreateAppSpecDeployment(e.ctx(), req)
}

// registry is a hooks service with hooks, one on a page.
type registry struct {
	hooks
	err error
}

func (r *registry) ListHooks(_ context.Context, req *hookspb.ListHooksRequest, _ ...grpc.CallOption) (*hookspb.ListHooksResponse, error) {
	if req.GetPageToken() == "" {
		return &hookspb.ListHooksResponse{Hooks: []*hookspb.Hook{{Name: "a"}}, NextPageToken: "2"}, r.err
	}
	return &hookspb.ListHooksResponse{Hooks: []*hookspb.Hook{{
		Name: "b", Target: &hookspb.Hook_Lambda{Lambda: &hookspb.LambdaTarget{Function: "123456789012:function:check"}},
	}}}, r.err
}

// appSpecReady is a service that has been deployed, and the task definition that the file names.
func appSpecReady(t *testing.T) (*env, *registry) {
	t.Helper()
	hooks := &registry{}
	e := serveWith(t, hooks, &alarms{})
	service := e.web()
	service.LoadBalancer.ContainerName, service.LoadBalancer.ContainerPort = "app", 80
	e.create(service)
	e.finish("web")
	e.register("web")
	return e, hooks
}

func TestAnAppSpecIsDeployed(t *testing.T) {
	t.Parallel()
	e, hooks := appSpecReady(t)
	sum := sha256.Sum256([]byte(appSpec))
	resp := must[*orchestratorpb.CreateAppSpecDeploymentResponse](t)(deployAppSpec(e, func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
		r.AppSpecContent.Sha256 = strings.ToUpper(hex.EncodeToString(sum[:]))
	}))
	d := resp.GetDeployment()
	c := d.GetDeploymentConfiguration()
	if d.GetTargetServiceRevision().GetTaskDefinition() != "web:2" || c.GetStrategy() != asCanary || len(c.GetLifecycleHooks()) != 2 ||
		!c.GetAutoRollbackConfiguration().GetEnabled() {
		t.Fatalf("%v", d)
	}
	first, second := c.GetLifecycleHooks()[0], c.GetLifecycleHooks()[1]
	if first.GetHook() != "a" || first.GetLifecycleStages()[0] != preScaleUp || !first.GetReportBack() || first.GetFirstStepOnly() ||
		first.GetTimeout().AsDuration().Hours() != 1 {
		t.Errorf("BeforeInstall: %v", first)
	}
	if second.GetHook() != "b" || second.GetLifecycleStages()[0] != stageOf(rollout.PreProductionTrafficShift) || !second.GetFirstStepOnly() {
		t.Errorf("BeforeAllowTraffic: %v", second)
	}
	if len(resp.GetWarnings()) != 1 || !strings.Contains(resp.GetWarnings()[0], "PlatformVersion") {
		t.Errorf("warnings %v", resp.GetWarnings())
	}
	hooks.err = problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "hooks is not there")
	e.finish("web")
	same := func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
		r.AppSpecContent.Sha256 = strings.ToUpper(hex.EncodeToString(sum[:]))
	}
	again := must[*orchestratorpb.CreateAppSpecDeploymentResponse](t)(deployAppSpec(e, same))
	if again.GetDeployment().GetId() != d.GetId() || len(again.GetWarnings()) != 1 {
		t.Errorf("the same request made %v, and %s before", again, d.GetId())
	}
	_, err := deployAppSpec(e, func(r *orchestratorpb.CreateAppSpecDeploymentRequest) { r.RequestId = "b" })
	refused(t, "hooks not there", err, problem.Unavailable, "SERVICE_UNAVAILABLE")
}

func stageOf(s rollout.Stage) orchestratorpb.LifecycleStage {
	return orchestratorpb.LifecycleStage(orchestratorpb.LifecycleStage_value["LIFECYCLE_STAGE_"+string(s)])
}

func TestABadAppSpecIsRefusedByItsPlace(t *testing.T) {
	t.Parallel()
	e, _ := appSpecReady(t)
	before := e.dump()
	for place, c := range map[string]struct {
		rule   string
		change func(*orchestratorpb.CreateAppSpecDeploymentRequest)
	}{
		"app_spec_content.sha256": {"is not that of the content", func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
			r.AppSpecContent.Sha256 = strings.Repeat("0", 64)
		}},
		"app_spec_content.content.version": {"0.0", func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
			r.AppSpecContent.Content = strings.Replace(appSpec, "0.0", "1.0", 1)
		}},
		"app_spec_content.content.Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort": {
			"leads to 80", func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
				r.AppSpecContent.Content = strings.Replace(appSpec, `"ContainerPort":80`, `"ContainerPort":81`, 1)
			},
		},
		"app_spec_content.content.Hooks[0].BeforeInstall": {`no hook "lost"`, func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
			r.AppSpecContent.Content = strings.Replace(appSpec, `"a"`, `"lost:7"`, 1)
		}},
		"app_spec_content.content.Resources[0].TargetService.Properties.TaskDefinition": {"is not family:revision", func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
			r.AppSpecContent.Content = strings.Replace(appSpec, "web:2", "web:x", 1)
		}},
	} {
		_, err := deployAppSpec(e, c.change)
		names(t, place, err, place, c.rule)
	}
	if after := e.dump(); after != before {
		t.Errorf("refused requests changed\n%s\nto\n%s", before, after)
	}
}

// A family without a revision is its latest, no hooks need no hooks service, and a ROLLING service shifts all at once by default.
func TestAnAppSpecWithoutMuchIsDeployed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	minimum := int32(50)
	service.DeploymentConfiguration = &config{
		MinimumHealthyPercent: &minimum, DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true},
	}
	e.create(service)
	e.finish("web")
	e.register("web")
	e.register("web")
	resp := must[*orchestratorpb.CreateAppSpecDeploymentResponse](t)(e.AppSpecs.CreateAppSpecDeployment(e.ctx(), &orchestratorpb.CreateAppSpecDeploymentRequest{
		Service: "web", AppSpecContent: &orchestratorpb.AppSpecContent{Content: `
version: 0.0
resources:
  - S:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: arn:aws:ecs:eu-west-1:123456789012:task-definition/web
        LoadBalancerInfo: {ContainerName: app, ContainerPort: 80}
`},
	}))
	d := resp.GetDeployment()
	if d.GetTargetServiceRevision().GetTaskDefinition() != "web:3" || len(resp.GetWarnings()) != 0 ||
		d.GetDeploymentConfiguration().GetDeploymentConfigName() != "CodeDeployDefault.ECSAllAtOnce" {
		t.Errorf("%v", resp)
	}
}
