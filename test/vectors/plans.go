package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

type configuration = orchestratorpb.DeploymentConfiguration

// plan asks what a deployment of a service with the desired count would do.
func (p *api) plan(ctx context.Context, desired int32, c *configuration) (*orchestratorpb.PlanDeploymentResponse, error) {
	return p.deployments.PlanDeployment(ctx, &orchestratorpb.PlanDeploymentRequest{DesiredCount: &desired, DeploymentConfiguration: c})
}

type rollingEnvelopeRow struct {
	Desired, MinimumHealthyPercent, MaximumPercent int32
	Lower, Upper                                   int32
	Deadlock                                       bool
}

func rollingEnvelope(ctx context.Context, p *api, r rollingEnvelopeRow) error {
	got, err := p.plan(ctx, r.Desired, &configuration{MinimumHealthyPercent: &r.MinimumHealthyPercent, MaximumPercent: &r.MaximumPercent})
	if err != nil {
		return err
	}
	return errors.Join(
		differs("lower bound", got.GetMinimumHealthyTasks(), r.Lower),
		differs("upper bound", got.GetMaximumTasks(), r.Upper),
		differs("deadlock", got.GetDeadlock(), r.Deadlock),
	)
}

type breakerThresholdRow struct {
	Type               string
	Value              int32
	Desired, Threshold int32
}

func breakerThreshold(ctx context.Context, p *api, r breakerThresholdRow) error {
	kind, known := orchestratorpb.ThresholdConfiguration_Type_value["TYPE_"+r.Type]
	if !known {
		return fmt.Errorf("unknown type of threshold %q", r.Type)
	}
	got, err := p.plan(ctx, r.Desired, &configuration{DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{
		Enable:                 true,
		ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: orchestratorpb.ThresholdConfiguration_Type(kind), Value: r.Value},
	}})
	if err != nil {
		return err
	}
	return differs("threshold", got.GetFailureThreshold(), r.Threshold)
}

type earlySuccessRow struct{ Desired, HealthyPercent, Required int32 }

func earlySuccess(ctx context.Context, p *api, r earlySuccessRow) error {
	none := int32(0) // so that every healthy percent is in range
	got, err := p.plan(ctx, r.Desired, &configuration{MinimumHealthyPercent: &none, EarlySuccessCriteria: &orchestratorpb.EarlySuccessCriteria{
		Enable: true, HealthyPercent: &r.HealthyPercent,
		SourceServiceRevisionCleanup: orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_BLOCKING,
	}})
	if err != nil {
		return err
	}
	return differs("required healthy tasks", got.GetEarlySuccessRequired(), r.Required)
}

type codeDeployTimelineRow struct {
	Config       string
	MinutesGreen [][2]float64 `json:"minutes_green"`
}

// codeDeployTimeline looks at the moments at which the new revision's weight changes, from the first shift on.
func codeDeployTimeline(ctx context.Context, p *api, r codeDeployTimelineRow) error {
	got, err := p.plan(ctx, 1, codeDeployConfig(r.Config))
	if err != nil {
		return err
	}
	var begin time.Duration
	var timeline [][2]float64
	weight := 0.0
	for _, step := range got.GetSteps() {
		if step.GetProductionTrafficWeight() == weight {
			continue
		}
		weight = step.GetProductionTrafficWeight()
		if timeline == nil {
			begin = step.GetOffset().AsDuration()
		}
		timeline = append(timeline, [2]float64{(step.GetOffset().AsDuration() - begin).Minutes(), weight})
	}
	if !slices.Equal(timeline, r.MinutesGreen) {
		return fmt.Errorf("minutes and percent: got %v, want %v", timeline, r.MinutesGreen)
	}
	return nil
}

var custom = regexp.MustCompile(`^TimeBased(Canary|Linear) ([0-9.]+)%/([0-9]+)min`)

// codeDeployConfig is the configuration of that name, or the custom one that the text describes: "TimeBasedLinear 30%/2min".
func codeDeployConfig(name string) *configuration {
	parts := custom.FindStringSubmatch(name)
	if parts == nil {
		return &configuration{DeploymentConfigName: name}
	}
	percent, _ := strconv.ParseFloat(parts[2], 64)
	minutes, _ := strconv.Atoi(parts[3])
	interval := durationpb.New(time.Duration(minutes) * time.Minute)
	if parts[1] == "Linear" {
		c := linear(percent)
		c.LinearConfiguration.StepBakeTime = interval
		return c
	}
	return &configuration{
		Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY,
		CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: &percent, CanaryBakeTime: interval},
	}
}

type linearWeightsRow struct {
	StepPercent float64
	Weights     []float64
	StepBakes   int `json:"step_bakes"`
}

func linearWeights(ctx context.Context, p *api, r linearWeightsRow) error {
	got, err := p.plan(ctx, 1, linear(r.StepPercent))
	if err != nil {
		return err
	}
	var weights []float64
	bakes := 0
	for _, step := range got.GetDeploymentConfiguration().GetStepsConfiguration().GetSteps() {
		weights = append(weights, step.GetPercent())
		if step.GetBakeTime().AsDuration() > 0 {
			bakes++
		}
	}
	if !slices.Equal(weights, r.Weights) {
		return fmt.Errorf("weights: got %v, want %v", weights, r.Weights)
	}
	return differs("step bakes", bakes, r.StepBakes)
}

func linear(percent float64) *configuration {
	return &configuration{
		Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR,
		LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: &percent},
	}
}

type validRow struct {
	Value float64
	Valid bool
}

func linearStepPercent(ctx context.Context, p *api, r validRow) error {
	_, err := p.plan(ctx, 1, linear(r.Value))
	return validity(err, r.Valid)
}

func canaryPercent(ctx context.Context, p *api, r validRow) error {
	_, err := p.plan(ctx, 1, &configuration{
		Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY,
		CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: &r.Value},
	})
	return validity(err, r.Valid)
}

// validity compares whether a value was taken with whether it should be. Only a refusal of the value counts as one.
func validity(err error, valid bool) error {
	if err != nil && !errors.Is(err, problem.InvalidArgument) {
		return err
	}
	if different := differs("valid", err == nil, valid); different != nil {
		return errors.Join(different, err)
	}
	return nil
}
