package grpcapi

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type deploymentConfigs struct {
	orchestratorpb.UnimplementedDeploymentConfigServiceServer
	s *Server
}

const predefinedPrefix = "CodeDeployDefault."

func (c *deploymentConfigs) CreateDeploymentConfig(
	ctx context.Context,
	req *orchestratorpb.CreateDeploymentConfigRequest,
) (resp *orchestratorpb.CreateDeploymentConfigResponse, err error) {
	config := req.GetDeploymentConfig()
	if strings.HasPrefix(config.GetName(), predefinedPrefix) {
		return nil, problem.Invalid("deployment_config.name", "names that begin with %s are built in", predefinedPrefix)
	}
	named, err := namedConfig(config)
	if err != nil {
		return nil, err
	}
	if err := checkNamedConfig(named); err != nil {
		return nil, err
	}
	body, err := proto.Marshal(config)
	if err != nil {
		return nil, err
	}
	err = c.s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "CreateDeploymentConfig", req.GetRequestId(), req, func() (*orchestratorpb.CreateDeploymentConfigResponse, error) {
			return &orchestratorpb.CreateDeploymentConfigResponse{DeploymentConfig: config},
				c.s.Store.DeploymentConfigCreate(ctx, tx, config.GetName(), body, c.s.Now())
		})
		return err
	})
	return resp, err
}

func (c *deploymentConfigs) ListDeploymentConfigs(
	ctx context.Context,
	req *orchestratorpb.ListDeploymentConfigsRequest,
) (*orchestratorpb.ListDeploymentConfigsResponse, error) {
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	custom, err := c.s.Store.DeploymentConfigList(ctx)
	if err != nil {
		return nil, err
	}
	var all []*orchestratorpb.DeploymentConfig
	for _, named := range rollout.PredefinedConfigs() {
		all = append(all, namedConfigPB(named))
	}
	for _, body := range custom {
		pb := &orchestratorpb.DeploymentConfig{}
		if err := proto.Unmarshal(body, pb); err != nil {
			return nil, fmt.Errorf("read deployment configuration: %w", err)
		}
		all = append(all, pb)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].GetName() < all[j].GetName() })
	size := int(page.Size(req.GetPageSize(), 20, 100))
	resp := &orchestratorpb.ListDeploymentConfigsResponse{}
	for _, pb := range all {
		if pb.GetName() <= after {
			continue
		}
		if len(resp.GetDeploymentConfigs()) == size {
			resp.NextPageToken = page.Encode(resp.GetDeploymentConfigs()[size-1].GetName())
			break
		}
		resp.DeploymentConfigs = append(resp.DeploymentConfigs, pb)
	}
	return resp, nil
}

// findNamedConfig returns a built-in or custom deployment configuration.
func findNamedConfig(ctx context.Context, st *store.Store, name string) (*rollout.NamedConfig, error) {
	for _, named := range rollout.PredefinedConfigs() {
		if named.Name == name {
			return &named, nil
		}
	}
	body, err := st.DeploymentConfigGet(ctx, name)
	if err != nil {
		return nil, err
	}
	pb := &orchestratorpb.DeploymentConfig{}
	if err := proto.Unmarshal(body, pb); err != nil {
		return nil, fmt.Errorf("read deployment configuration: %w", err)
	}
	return namedConfig(pb)
}

func namedConfig(pb *orchestratorpb.DeploymentConfig) (*rollout.NamedConfig, error) {
	shift := shiftOf(pb.GetStrategy(), pb.GetLinearConfiguration(), pb.GetCanaryConfiguration(), pb.GetStepsConfiguration())
	strategy, steps, broken := shift.Resolve()
	if strategy == rollout.Rolling {
		broken = append(broken, rollout.Violation{Field: "deployment_configuration.strategy", Rule: "must be BLUE_GREEN, CANARY, LINEAR or STEPS"})
	}
	return &rollout.NamedConfig{Name: pb.GetName(), Strategy: strategy, Steps: steps}, namedConfigProblem(broken)
}

// checkNamedConfig refuses steps that no deployment could go by.
func checkNamedConfig(named *rollout.NamedConfig) error {
	config := rollout.DefaultConfig()
	config.Strategy, config.Steps = named.Strategy, named.Steps
	return namedConfigProblem(rollout.Spec{Config: config}.Validate())
}

// namedConfigProblem tells broken rules under the name that the fields have in a named configuration.
func namedConfigProblem(broken []rollout.Violation) error {
	for i := range broken {
		broken[i].Field = "deployment_config." + strings.TrimPrefix(broken[i].Field, "deployment_configuration.")
	}
	return problemOf(rollout.Invalid(broken))
}

func namedConfigPB(c rollout.NamedConfig) *orchestratorpb.DeploymentConfig {
	pb := &orchestratorpb.DeploymentConfig{Name: c.Name, Strategy: strategyPB(c.Strategy)}
	first := c.Steps[0]
	share := rollout.Percent(first.Share)
	switch c.Strategy {
	case rollout.Canary:
		pb.CanaryConfiguration = &orchestratorpb.CanaryConfiguration{
			CanaryPercent:  &share,
			CanaryBakeTime: durationpb.New(first.BakeTime),
		}
	case rollout.Linear:
		pb.LinearConfiguration = &orchestratorpb.LinearConfiguration{StepPercent: &share, StepBakeTime: durationpb.New(first.BakeTime)}
	}
	return pb
}

func shiftOf(strategy orchestratorpb.DeploymentConfiguration_Strategy, linear *orchestratorpb.LinearConfiguration,
	canary *orchestratorpb.CanaryConfiguration, steps *orchestratorpb.StepsConfiguration,
) rollout.Shift {
	shift := rollout.Shift{}
	if strategy != orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED {
		shift.Strategy = rollout.Strategy(strings.TrimPrefix(strategy.String(), "STRATEGY_"))
	}
	if linear != nil {
		shift.Linear = &rollout.ShiftStep{Percent: linear.StepPercent, BakeTime: optional(linear.GetStepBakeTime())}
	}
	if canary != nil {
		shift.Canary = &rollout.ShiftStep{Percent: canary.CanaryPercent, BakeTime: optional(canary.GetCanaryBakeTime())}
	}
	for _, step := range steps.GetSteps() {
		percent := step.GetPercent()
		shift.Steps = append(shift.Steps, rollout.ShiftStep{Percent: &percent, BakeTime: optional(step.GetBakeTime()), Pause: step.GetPause()})
	}
	return shift
}

func optional(d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	v := d.AsDuration()
	return &v
}

func strategyPB(s rollout.Strategy) orchestratorpb.DeploymentConfiguration_Strategy {
	return orchestratorpb.DeploymentConfiguration_Strategy(orchestratorpb.DeploymentConfiguration_Strategy_value["STRATEGY_"+string(s)])
}
