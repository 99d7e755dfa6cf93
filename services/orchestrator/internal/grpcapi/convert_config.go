package grpcapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// configOf resolves names and fills in defaults. What is wrong with the shifts is returned as a problem; the rest is
// checked with the service it goes with.
func configOf(ctx context.Context, st *store.Store, pb *orchestratorpb.DeploymentConfiguration) (rollout.Config, error) {
	c := rollout.DefaultConfig()
	if pb == nil {
		return c, nil
	}
	shift := shiftOf(pb.GetStrategy(), pb.GetLinearConfiguration(), pb.GetCanaryConfiguration(), pb.GetStepsConfiguration())
	if name := pb.GetDeploymentConfigName(); name != "" {
		named, err := findNamedConfig(ctx, st, name)
		if err != nil {
			return c, err
		}
		shift.Named, c.Name = named, name
	}
	var broken []rollout.Violation
	c.Strategy, c.Steps, broken = shift.Resolve()
	if err := rollout.Invalid(broken); err != nil {
		return c, problemOf(err)
	}
	if pb.MinimumHealthyPercent != nil {
		c.MinimumHealthyPercent = int(pb.GetMinimumHealthyPercent())
	}
	if pb.MaximumPercent != nil {
		c.MaximumPercent = int(pb.GetMaximumPercent())
	}
	setDuration(&c.ScaleUpTimeout, pb.GetScaleUpTimeout())
	setDuration(&c.RollbackTimeout, pb.GetRollbackTimeout())
	setDuration(&c.MinimumHealthyTime, pb.GetMinimumHealthyTime())
	breakerOf(&c.CircuitBreaker, pb.GetDeploymentCircuitBreaker())
	setDuration(&c.Timeout, pb.GetTimeout())
	setThreshold(&c.FailureLimit, pb.GetTaskFailureLimit())
	alarmsOf(&c.Alarms, pb.GetAlarms())
	c.BakeTime = c.DefaultBakeTime()
	setDuration(&c.BakeTime, pb.GetBakeTime())
	if err := rollout.Invalid(optionsOf(&c, pb)); err != nil {
		return c, problemOf(err)
	}
	for i, h := range pb.GetLifecycleHooks() {
		hook, err := hookOf(h)
		if err != nil {
			return c, problem.Invalid(fmt.Sprintf("deployment_configuration.lifecycle_hooks[%d].hook_details", i), "must be a JSON object").Wrap(err)
		}
		c.Hooks = append(c.Hooks, hook)
	}
	return c, nil
}

func setDuration(to *time.Duration, from *durationpb.Duration) {
	if from != nil {
		*to = from.AsDuration()
	}
}

func breakerOf(to *rollout.CircuitBreaker, pb *orchestratorpb.DeploymentCircuitBreaker) {
	to.Enable, to.Rollback = pb.GetEnable(), pb.GetRollback()
	if pb != nil && pb.ResetOnHealthyTask != nil {
		to.ResetOnHealthyTask = pb.GetResetOnHealthyTask()
	}
	if pb != nil {
		to.IgnoreExits = pb.CountExitsAfterRunning != nil && !pb.GetCountExitsAfterRunning()
		to.IgnoreLateStarts = pb.CountFailedStartsAfterRunning != nil && !pb.GetCountFailedStartsAfterRunning()
		to.IgnoreDuringBake = pb.CountFailuresDuringBake != nil && !pb.GetCountFailuresDuringBake()
	}
	setDuration(&to.ResetAfter, pb.GetResetAfter())
	setThreshold(&to.Threshold, pb.GetThresholdConfiguration())
}

func setThreshold(to *rollout.Threshold, pb *orchestratorpb.ThresholdConfiguration) {
	if t := pb.GetType(); t != orchestratorpb.ThresholdConfiguration_TYPE_UNSPECIFIED {
		to.Type = rollout.ThresholdType(strings.TrimPrefix(t.String(), "TYPE_"))
	}
	if pb.GetValue() != 0 {
		to.Value = int(pb.GetValue())
	}
}

func alarmsOf(to *rollout.Alarms, pb *orchestratorpb.DeploymentAlarms) {
	if pb == nil {
		return
	}
	to.Names, to.Enable, to.Rollback = pb.GetAlarmNames(), pb.GetEnable(), pb.GetRollback()
	if p := pb.GetInitialAlarmPolicy(); p != orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_UNSPECIFIED {
		to.InitialPolicy = rollout.InitialAlarmPolicy(strings.TrimPrefix(p.String(), "INITIAL_ALARM_POLICY_"))
	}
	if p := pb.GetUnreadableAlarmPolicy(); p != orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_UNSPECIFIED {
		to.Unreadable = rollout.UnreadableAlarmPolicy(strings.TrimPrefix(p.String(), "UNREADABLE_ALARM_POLICY_"))
	}
	setDuration(&to.UnreadableTimeout, pb.GetUnreadableAlarmTimeout())
}

// hookOf returns an error when the details are no JSON.
func hookOf(pb *orchestratorpb.LifecycleHook) (rollout.Hook, error) {
	hook := rollout.Hook{
		Hook: pb.GetHook(), Pause: pb.GetPause(), Timeout: rollout.DefaultHookTimeout(pb.GetReportBack()), TimeoutAction: rollout.OnTimeoutRollback,
		ReportBack: pb.GetReportBack(), FirstStepOnly: pb.GetFirstStepOnly(), Quorum: int(pb.GetQuorum()),
	}
	setDuration(&hook.Timeout, pb.GetTimeout())
	if pb.GetTimeoutAction() == orchestratorpb.LifecycleHook_TIMEOUT_ACTION_CONTINUE {
		hook.TimeoutAction = rollout.OnTimeoutContinue
	}
	for _, stage := range pb.GetLifecycleStages() {
		hook.Stages = append(hook.Stages, rollout.Stage(strings.TrimPrefix(stage.String(), "LIFECYCLE_STAGE_")))
	}
	if pb.GetHookDetails() != nil {
		details, err := protojson.Marshal(pb.GetHookDetails())
		if err != nil {
			return hook, err
		}
		hook.Details = string(details)
	}
	return hook, nil
}

func configPB(c rollout.Config) *orchestratorpb.DeploymentConfiguration {
	low, high := int32(c.MinimumHealthyPercent), int32(c.MaximumPercent)
	pb := &orchestratorpb.DeploymentConfiguration{
		Strategy: strategyPB(c.Strategy), DeploymentConfigName: c.Name, MinimumHealthyPercent: &low, MaximumPercent: &high,
		BakeTime: durationpb.New(c.BakeTime), ScaleUpTimeout: durationpb.New(c.ScaleUpTimeout),
		RollbackTimeout: durationpb.New(c.RollbackTimeout), MinimumHealthyTime: durationpb.New(c.MinimumHealthyTime),
		Timeout: durationpb.New(c.Timeout),
	}
	if c.Strategy == rollout.Rolling {
		rollingPB(pb, c)
	} else {
		shiftingPB(pb, c)
	}
	if len(c.Alarms.Names) > 0 {
		pb.Alarms = alarmsPB(c.Alarms)
	}
	for _, h := range c.Hooks {
		pb.LifecycleHooks = append(pb.LifecycleHooks, hookPB(h))
	}
	return pb
}

func hookPB(h rollout.Hook) *orchestratorpb.LifecycleHook {
	pb := &orchestratorpb.LifecycleHook{
		Hook: h.Hook, Pause: h.Pause, Timeout: durationpb.New(h.Timeout), TimeoutAction: timeoutActionPB(h.TimeoutAction),
		ReportBack: h.ReportBack, FirstStepOnly: h.FirstStepOnly, Quorum: int32(h.Quorum),
	}
	for _, stage := range h.Stages {
		pb.LifecycleStages = append(pb.LifecycleStages, stagePB(stage))
	}
	if h.Details != "" {
		details := &structpb.Struct{}
		if protojson.Unmarshal([]byte(h.Details), details) == nil {
			pb.HookDetails = details
		}
	}
	return pb
}

func timeoutActionPB(a rollout.TimeoutAction) orchestratorpb.LifecycleHook_TimeoutAction {
	return orchestratorpb.LifecycleHook_TimeoutAction(orchestratorpb.LifecycleHook_TimeoutAction_value["TIMEOUT_ACTION_"+string(a)])
}

func stagePB(s rollout.Stage) orchestratorpb.LifecycleStage {
	return orchestratorpb.LifecycleStage(orchestratorpb.LifecycleStage_value["LIFECYCLE_STAGE_"+string(s)])
}
