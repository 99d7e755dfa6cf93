package grpcapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/appspec"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type appSpecs struct {
	orchestratorpb.UnimplementedAppSpecServiceServer
	s *Server
}

const contentField = "app_spec_content.content"

// CreateAppSpecDeployment decides as CreateDeployment does, about the deployment that the file asks for.
func (a *appSpecs) CreateAppSpecDeployment(
	ctx context.Context, req *orchestratorpb.CreateAppSpecDeploymentRequest,
) (*orchestratorpb.CreateAppSpecDeploymentResponse, error) {
	spec, err := readAppSpec(req.GetAppSpecContent())
	if err != nil {
		return nil, err
	}
	hooks, noHooks := a.hooksOf(ctx, spec)
	key := store.Key{Cluster: orDefault(req.GetCluster()), Name: req.GetService()}
	var id string
	decide := func(tx pgx.Tx, at *store.Aggregate) (rollout.Decision, error) {
		if noHooks != nil { // told here, so that a request that was answered gets its answer again
			return rollout.Decision{}, noHooks
		}
		user := &orchestratorpb.Service{}
		if err := proto.Unmarshal(at.Spec, user); err != nil {
			return rollout.Decision{}, err
		}
		if err := sameContainer(user.GetLoadBalancer(), spec); err != nil {
			return rollout.Decision{}, err
		}
		request, err := requestOf(ctx, a.s.Store.In(tx), &orchestratorpb.CreateDeploymentRequest{
			TaskDefinition:          appspec.DefinitionName(spec.TaskDefinition),
			DeploymentConfiguration: appSpecConfiguration(user.GetDeploymentConfiguration(), req, hooks),
		}, at.State.Service)
		if err != nil {
			return rollout.Decision{}, inFile(err, spec)
		}
		request.Supersede = req.GetSupersede()
		id = request.ID
		return rollout.Deploy(at.State, request, a.s.Now())
	}
	return command(ctx, a.s, "CreateAppSpecDeployment", req, key, decide,
		func(at store.Aggregate, made rollout.Decision) *orchestratorpb.CreateAppSpecDeploymentResponse {
			return &orchestratorpb.CreateAppSpecDeploymentResponse{Deployment: a.s.deploymentOf(at, made, id), Warnings: warningsOf(spec)}
		})
}

// inFile names the place in the file instead of the field of CreateDeployment.
func inFile(err error, spec *appspec.AppSpec) error {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		for i, v := range p.Violations {
			if v.Field == "task_definition" {
				p.Violations[i].Field = contentField + "." + spec.Service + ".TaskDefinition"
			}
		}
	}
	return err
}

func warningsOf(spec *appspec.AppSpec) []string {
	var warnings []string
	for _, path := range spec.Ignored {
		warnings = append(warnings, path+" is for AWS alone and was not looked at")
	}
	return warnings
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
	at := contentField + "." + spec.Service + ".LoadBalancerInfo."
	switch {
	case lb == nil:
		return problem.Invalid("service", "has no load balancer, and an AppSpec leads traffic through one")
	case lb.GetContainerName() != "" && lb.GetContainerName() != spec.ContainerName:
		return problem.Invalid(at+"ContainerName", "is %s, and the service's load balancer leads to %s", spec.ContainerName, lb.GetContainerName())
	case lb.GetContainerPort() != 0 && int(lb.GetContainerPort()) != spec.ContainerPort:
		return problem.Invalid(at+"ContainerPort", "is %d, and the service's load balancer leads to %d", spec.ContainerPort, lb.GetContainerPort())
	}
	return nil
}

// appSpecConfiguration is the service's configuration with the file's hooks and the request's way to shift traffic.
func appSpecConfiguration(
	own *orchestratorpb.DeploymentConfiguration, req *orchestratorpb.CreateAppSpecDeploymentRequest, hooks []*orchestratorpb.LifecycleHook,
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
		// What is of ROLLING alone.
		c.MinimumHealthyPercent, c.MaximumPercent, c.DeploymentCircuitBreaker, c.EarlySuccessCriteria = nil, nil, nil, nil
	}
	if req.GetAutoRollbackConfiguration() != nil {
		c.AutoRollbackConfiguration = req.GetAutoRollbackConfiguration()
	}
	c.LifecycleHooks = hooks
	return c
}
