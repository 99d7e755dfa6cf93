package grpcapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/appspec"
)

type appSpecs struct {
	orchestratorpb.UnimplementedAppSpecServiceServer
	s *Server
}

const contentField = "app_spec_content.content"

// CreateAppSpecDeployment makes a CreateDeployment of what the file asks for.
func (a *appSpecs) CreateAppSpecDeployment(
	ctx context.Context, req *orchestratorpb.CreateAppSpecDeploymentRequest,
) (*orchestratorpb.CreateAppSpecDeploymentResponse, error) {
	spec, err := readAppSpec(req.GetAppSpecContent())
	if err != nil {
		return nil, err
	}
	service, err := a.s.Store.ServiceGet(ctx, orDefault(req.GetCluster()), req.GetService())
	if err != nil {
		return nil, err
	}
	user := &orchestratorpb.Service{}
	if err := proto.Unmarshal(service.Spec, user); err != nil {
		return nil, err
	}
	if err := sameContainer(user.GetLoadBalancer(), spec); err != nil {
		return nil, err
	}
	created, err := (&deployments{s: a.s}).CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{
		RequestId: req.GetRequestId(), Cluster: req.GetCluster(), Service: req.GetService(), Supersede: req.GetSupersede(),
		TaskDefinition: appspec.ShortName(spec.TaskDefinition), DeploymentConfiguration: appSpecConfiguration(user.GetDeploymentConfiguration(), req, spec),
	})
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.CreateAppSpecDeploymentResponse{Deployment: created.GetDeployment()}
	for _, path := range spec.Ignored {
		resp.Warnings = append(resp.Warnings, path+" is for AWS alone and was not looked at")
	}
	return resp, nil
}

func readAppSpec(content *orchestratorpb.AppSpecContent) (*appspec.AppSpec, error) {
	sum := sha256.Sum256([]byte(content.GetContent()))
	if want := content.GetSha256(); want != "" && !strings.EqualFold(want, hex.EncodeToString(sum[:])) {
		return nil, problem.Invalid("app_spec_content.sha256", "is not that of the content, which is %x", sum)
	}
	spec, err := appspec.Parse([]byte(content.GetContent()))
	if refused, ok := errors.AsType[*appspec.Error](err); ok {
		var violations []problem.Violation
		for _, v := range refused.Violations {
			violations = append(violations, problem.Violation{Field: strings.TrimSuffix(contentField+"."+v.Path, "."), Rule: v.Rule})
		}
		return nil, problem.Violated(violations...)
	}
	return spec, err
}

// sameContainer makes sure that the file leads traffic where the service does.
func sameContainer(lb *orchestratorpb.LoadBalancer, spec *appspec.AppSpec) error {
	switch {
	case lb == nil:
		return problem.Invalid(contentField, "LoadBalancerInfo leads traffic to container %s, and the service has no load balancer", spec.ContainerName)
	case lb.GetContainerName() != "" && lb.GetContainerName() != spec.ContainerName:
		return problem.Invalid(contentField, "LoadBalancerInfo.ContainerName is %s, and the service's load balancer leads to %s",
			spec.ContainerName, lb.GetContainerName())
	case lb.GetContainerPort() != 0 && int(lb.GetContainerPort()) != spec.ContainerPort:
		return problem.Invalid(contentField, "LoadBalancerInfo.ContainerPort is %d, and the service's load balancer leads to %d",
			spec.ContainerPort, lb.GetContainerPort())
	}
	return nil
}

// appSpecConfiguration is the service's configuration with the file's hooks and the request's way to shift traffic.
func appSpecConfiguration(
	own *orchestratorpb.DeploymentConfiguration, req *orchestratorpb.CreateAppSpecDeploymentRequest, spec *appspec.AppSpec,
) *orchestratorpb.DeploymentConfiguration {
	c := &orchestratorpb.DeploymentConfiguration{}
	if own != nil {
		c = proto.CloneOf(own)
	}
	name := req.GetDeploymentConfigName()
	rolling := c.GetDeploymentConfigName() == "" && (c.GetStrategy() == orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED ||
		c.GetStrategy() == orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING)
	if name == "" && rolling {
		name = predefinedPrefix + "ECSAllAtOnce"
	}
	if name != "" {
		c.DeploymentConfigName, c.Strategy = name, orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED
		c.LinearConfiguration, c.CanaryConfiguration, c.StepsConfiguration = nil, nil, nil
		c.DeploymentCircuitBreaker, c.EarlySuccessCriteria = nil, nil // of ROLLING alone
	}
	if req.GetAutoRollbackConfiguration() != nil {
		c.AutoRollbackConfiguration = req.GetAutoRollbackConfiguration()
	}
	c.LifecycleHooks = nil
	for _, h := range spec.Hooks {
		c.LifecycleHooks = append(c.LifecycleHooks, &orchestratorpb.LifecycleHook{
			Hook: appspec.ShortName(h.Name), ReportBack: true, LifecycleStages: []orchestratorpb.LifecycleStage{stageOfEvent(h.Event)},
			FirstStepOnly: h.Event == appspec.BeforeAllowTraffic,
		})
	}
	return c
}

// stageOfEvent is the stage at which a lifecycle event of CodeDeploy happens.
func stageOfEvent(event string) orchestratorpb.LifecycleStage {
	return map[string]orchestratorpb.LifecycleStage{
		appspec.BeforeInstall:         orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP,
		appspec.AfterInstall:          orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP,
		appspec.AfterAllowTestTraffic: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_TEST_TRAFFIC_SHIFT,
		appspec.BeforeAllowTraffic:    orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT,
		appspec.AfterAllowTraffic:     orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
	}[event]
}
