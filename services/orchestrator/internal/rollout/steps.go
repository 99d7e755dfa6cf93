package rollout

import (
	"slices"
	"time"
)

// AllAtOnce moves all traffic in one step.
func AllAtOnce() []TrafficStep { return []TrafficStep{{Share: FullShare}} }

// CanarySteps moves share first, and the rest after bake.
func CanarySteps(share int, bake time.Duration) []TrafficStep {
	return append(growing(share, bake), TrafficStep{Share: FullShare})
}

// LinearSteps moves share at a time. Each step but the last bakes; the last takes what is left.
func LinearSteps(share int, bake time.Duration) []TrafficStep {
	var steps []TrafficStep
	for at := share; at < FullShare; at += share {
		steps = append(steps, TrafficStep{Share: at, BakeTime: bake})
	}
	return append(steps, TrafficStep{Share: FullShare})
}

// CompleteSteps adds the step to all traffic when the last step is less.
func CompleteSteps(steps []TrafficStep) []TrafficStep {
	if n := len(steps); n > 0 && steps[n-1].Share >= FullShare {
		return steps
	}
	return append(slices.Clip(steps), TrafficStep{Share: FullShare})
}

func growing(share int, bake time.Duration) []TrafficStep {
	if share >= FullShare {
		return nil
	}
	return []TrafficStep{{Share: share, BakeTime: bake}}
}

// NamedConfig is a named way to shift traffic, as in CodeDeploy.
type NamedConfig struct {
	Name     string
	Strategy Strategy
	Steps    []TrafficStep
}

// PredefinedConfigs is CodeDeploy's five deployment configurations for ECS. In CodeDeploy an interval runs from shift
// to shift, and so does a step's bake time here.
func PredefinedConfigs() []NamedConfig {
	const tenPercent = FullShare / 10
	return []NamedConfig{
		{"CodeDeployDefault.ECSAllAtOnce", BlueGreen, AllAtOnce()},
		{"CodeDeployDefault.ECSCanary10Percent15Minutes", Canary, CanarySteps(tenPercent, 15*time.Minute)},
		{"CodeDeployDefault.ECSCanary10Percent5Minutes", Canary, CanarySteps(tenPercent, 5*time.Minute)},
		{"CodeDeployDefault.ECSLinear10PercentEvery1Minutes", Linear, LinearSteps(tenPercent, time.Minute)},
		{"CodeDeployDefault.ECSLinear10PercentEvery3Minutes", Linear, LinearSteps(tenPercent, 3*time.Minute)},
	}
}
