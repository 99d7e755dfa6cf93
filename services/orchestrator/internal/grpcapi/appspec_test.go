package grpcapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
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

func TestAnAppSpecIsDeployed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.LoadBalancer.ContainerName, service.LoadBalancer.ContainerPort = "app", 80
	e.create(service)
	e.finish("web")
	e.register("web")
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
	if second.GetHook() != "check" || second.GetLifecycleStages()[0] != stageOf(rollout.PreProductionTrafficShift) || !second.GetFirstStepOnly() {
		t.Errorf("BeforeAllowTraffic: %v", second)
	}
	if len(resp.GetWarnings()) != 1 || !strings.Contains(resp.GetWarnings()[0], "PlatformVersion") {
		t.Errorf("warnings %v", resp.GetWarnings())
	}
	again := must[*orchestratorpb.CreateAppSpecDeploymentResponse](t)(deployAppSpec(e, func(*orchestratorpb.CreateAppSpecDeploymentRequest) {}))
	if again.GetDeployment().GetId() != d.GetId() {
		t.Errorf("the same request made %s, and %s before", again.GetDeployment().GetId(), d.GetId())
	}
}

func stageOf(s rollout.Stage) orchestratorpb.LifecycleStage {
	return orchestratorpb.LifecycleStage(orchestratorpb.LifecycleStage_value["LIFECYCLE_STAGE_"+string(s)])
}

func TestABadAppSpecIsRefusedByItsPlace(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.LoadBalancer.ContainerName, service.LoadBalancer.ContainerPort = "app", 80
	e.create(service)
	e.finish("web")
	e.register("web")
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
		"app_spec_content.content": {"leads to 80", func(r *orchestratorpb.CreateAppSpecDeploymentRequest) {
			r.AppSpecContent.Content = strings.Replace(appSpec, `"ContainerPort":80`, `"ContainerPort":81`, 1)
		}},
	} {
		_, err := deployAppSpec(e, c.change)
		names(t, place, err, place, c.rule)
	}
	if after := e.dump(); after != before {
		t.Errorf("refused requests changed\n%s\nto\n%s", before, after)
	}
}
