package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// strategyFlags say how one deployment goes, other than its service has it.
type strategyFlags struct {
	strategy string
	config   string
	steps    string
}

func (f *strategyFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.strategy, "strategy", "", "rolling, blue-green, linear, canary or steps; the service's by default")
	flags.StringVar(&f.config, "config", "", `named deployment configuration, e.g. "CodeDeployDefault.ECSCanary10Percent5Minutes"`)
	flags.StringVar(&f.steps, "steps", "", "steps of production traffic: percent[:bake time][:pause], e.g. 10:30s,50:pause,100")
}

// apply returns the service's configuration with what the flags change, or nil when they change nothing.
// The rest of it, such as hooks and alarms, stays.
func (f *strategyFlags) apply(cmd *cobra.Command, have *orchestratorpb.DeploymentConfiguration) (*orchestratorpb.DeploymentConfiguration, error) {
	if f.strategy == "" && f.config == "" && f.steps == "" {
		return nil, nil
	}
	strategy, err := f.parse(cmd)
	if err != nil {
		return nil, err
	}
	config := &orchestratorpb.DeploymentConfiguration{}
	if have != nil {
		config = proto.CloneOf(have)
	}
	if f.config != "" || strategy != config.GetStrategy() {
		config.LinearConfiguration, config.CanaryConfiguration, config.StepsConfiguration = nil, nil, nil
	}
	config.Strategy, config.DeploymentConfigName = strategy, f.config
	if f.steps != "" {
		steps, err := parseSteps(f.steps)
		if err != nil {
			return nil, usagef(cmd, "--steps: %w", err)
		}
		config.StepsConfiguration = &orchestratorpb.StepsConfiguration{Steps: steps}
	}
	if strategy != orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING {
		dropRolling(config)
	}
	return config, nil
}

// dropRolling leaves out what the contract refuses with, or ignores for, other strategies than ROLLING.
func dropRolling(config *orchestratorpb.DeploymentConfiguration) {
	config.MinimumHealthyPercent, config.MaximumPercent, config.DeploymentCircuitBreaker = nil, nil, nil
}

func (f *strategyFlags) parse(cmd *cobra.Command) (orchestratorpb.DeploymentConfiguration_Strategy, error) {
	strategy := orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED
	if f.strategy != "" {
		name := "STRATEGY_" + strings.ToUpper(strings.ReplaceAll(f.strategy, "-", "_"))
		number, ok := orchestratorpb.DeploymentConfiguration_Strategy_value[name]
		if !ok || number == 0 {
			return 0, usagef(cmd, "--strategy is rolling, blue-green, linear, canary or steps, not %q", f.strategy)
		}
		strategy = orchestratorpb.DeploymentConfiguration_Strategy(number)
	}
	if f.steps == "" {
		return strategy, nil
	}
	if f.config != "" {
		return 0, usagef(cmd, "--config and --steps exclude each other")
	}
	if strategy != 0 && strategy != orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS {
		return 0, usagef(cmd, "--steps goes with --strategy steps only, not %s", f.strategy)
	}
	return orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS, nil
}

// parseSteps reads "10:30s,50:pause,100".
func parseSteps(text string) ([]*orchestratorpb.TrafficStep, error) {
	var steps []*orchestratorpb.TrafficStep
	for part := range strings.SplitSeq(text, ",") {
		fields := strings.Split(strings.TrimSpace(part), ":")
		percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(fields[0], "%")), 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return nil, fmt.Errorf("%q is no percent above 0 and up to 100", fields[0])
		}
		if n := len(steps); n > 0 && steps[n-1].GetPercent() >= percent {
			return nil, fmt.Errorf("the percents must grow, and %s follows %v", fields[0], steps[n-1].GetPercent())
		}
		step := &orchestratorpb.TrafficStep{Percent: percent}
		for _, field := range fields[1:] {
			bake, err := time.ParseDuration(field)
			switch {
			case field == "pause" && !step.GetPause():
				step.Pause = true
			case err == nil && bake >= 0 && step.GetBakeTime() == nil:
				step.BakeTime = durationpb.New(bake)
			default:
				return nil, fmt.Errorf("%q in %q is neither a bake time such as 30s nor \"pause\"", field, part)
			}
		}
		steps = append(steps, step)
	}
	return slices.Clip(steps), nil
}
