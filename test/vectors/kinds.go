package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// check compares what a row expects with what the system says; nil when they agree.
type check func(ctx context.Context, api *api, text []byte) error

const eventPattern = "eventpattern"

// kinds is the kinds of rows and how each is checked.
func kinds() map[string]check {
	return map[string]check{
		"rolling_envelope":            checked(rollingEnvelope),
		"cb_threshold":                checked(breakerThreshold),
		"early_success":               checked(earlySuccess),
		"codedeploy_timeline":         checked(codeDeployTimeline),
		"native_linear_weights":       checked(linearWeights),
		"validate_linear_stepPercent": checked(linearStepPercent),
		"validate_canary_percent":     checked(canaryPercent),
		"alarm_missing_data":          checked(alarmMissingData),
		"low_sample_percentile":       checked(lowSamplePercentile),
		"task_health":                 checked(taskHealth),
		eventPattern:                  checked(matchEventPattern),
	}
}

func kindNames() []string { return slices.Sorted(maps.Keys(kinds())) }

// checked reads the row before it is checked.
func checked[T any](f func(ctx context.Context, api *api, row T) error) check {
	return func(ctx context.Context, api *api, text []byte) error {
		var r T
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("read the row: %w", err)
		}
		return f(ctx, api, r)
	}
}

// differs says what was expected and what is, or nothing when they are the same.
func differs[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}
