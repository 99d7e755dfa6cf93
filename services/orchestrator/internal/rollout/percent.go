package rollout

import (
	"fmt"
	"math"
	"time"
)

// Ranges of ECS's linearConfiguration and canaryConfiguration, in tenths of a percent.
const (
	minLinearShare     = 30
	minCanaryShare     = 1
	defaultLinearShare = 100
	defaultCanaryShare = 50
	defaultLinearBake  = 6 * time.Minute
	defaultCanaryBake  = 10 * time.Minute
)

// Shift is how a user asks for traffic to be shifted.
type Shift struct {
	Strategy Strategy // "" as ROLLING, or as the named configuration says
	Named    *NamedConfig
	Linear   *ShiftStep
	Canary   *ShiftStep
	Steps    []ShiftStep
}

// ShiftStep is a share of traffic as a user writes it. What is nil means the default.
type ShiftStep struct {
	Percent  *float64
	BakeTime *time.Duration
	Pause    bool
}

// Resolve returns the strategy and its traffic steps, or every rule that the wish breaks.
func (s Shift) Resolve() (Strategy, []TrafficStep, []Violation) {
	const in = "deployment_configuration."
	var v violations
	strategy := s.Strategy
	if s.Named != nil {
		if strategy != "" && strategy != s.Named.Strategy {
			v.add(in+"strategy", "is %s, but %s is %s", strategy, s.Named.Name, s.Named.Strategy)
		}
		if s.Linear != nil || s.Canary != nil || len(s.Steps) > 0 {
			v.add(in+"deployment_config_name", "gives the traffic steps; leave linear_configuration, canary_configuration and steps_configuration unset")
		}
		return s.Named.Strategy, s.Named.Steps, v
	}
	if strategy == "" {
		strategy = Rolling
	}
	v.only(in+"linear_configuration", s.Linear != nil, strategy, Linear)
	v.only(in+"canary_configuration", s.Canary != nil, strategy, Canary)
	v.only(in+"steps_configuration", len(s.Steps) > 0, strategy, Steps)
	var steps []TrafficStep
	switch strategy {
	case BlueGreen:
		steps = AllAtOnce()
	case Linear:
		const at = in + "linear_configuration."
		share, bake := v.step(at+"step_percent", at+"step_bake_time", s.Linear, defaultLinearShare, minLinearShare, defaultLinearBake)
		steps = LinearSteps(max(share, minLinearShare), bake)
	case Canary:
		const at = in + "canary_configuration."
		share, bake := v.step(at+"canary_percent", at+"canary_bake_time", s.Canary, defaultCanaryShare, minCanaryShare, defaultCanaryBake)
		steps = CanarySteps(share, bake)
	case Steps:
		for i := range s.Steps {
			at := fmt.Sprintf(in+"steps_configuration.steps[%d].", i)
			share, bake := v.step(at+"percent", at+"bake_time", &s.Steps[i], 0, minCanaryShare, 0)
			steps = append(steps, TrafficStep{Share: share, BakeTime: bake, Pause: s.Steps[i].Pause})
		}
		if len(steps) == 0 {
			v.add(in+"steps_configuration", "is needed by the strategy STEPS")
		}
		steps = CompleteSteps(steps)
	}
	return strategy, steps, v
}

func (v *violations) only(field string, set bool, have, want Strategy) {
	if set && have != want {
		v.add(field, "goes with the strategy %s alone", want)
	}
}

func (v *violations) step(percentField, bakeField string, s *ShiftStep, share, least int, bake time.Duration) (int, time.Duration) {
	if s == nil {
		return share, bake
	}
	if s.BakeTime != nil {
		bake = *s.BakeTime
		v.duration(bakeField, bake, 0, maxBakeTime)
	}
	if s.Percent == nil && share > 0 {
		return share, bake
	}
	wish := 0.0
	if s.Percent != nil {
		wish = *s.Percent
	}
	got, ok := ParsePercent(wish)
	if !ok || got < least || got > FullShare {
		v.add(percentField, "must be a multiple of 0.1 from %s to 100", percent(least))
	}
	return got, bake
}

// ParsePercent reads a percent with one decimal as tenths of a percent.
func ParsePercent(p float64) (share int, ok bool) {
	tenths := math.Round(p * 10)
	return int(tenths), math.Abs(p*10-tenths) < 1e-6
}

// Percent tells tenths of a percent as percent.
func Percent(share int) float64 { return float64(share) / 10 }
