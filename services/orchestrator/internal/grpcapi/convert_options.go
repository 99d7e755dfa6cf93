package grpcapi

import (
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// optionsOf reads the options that go with a strategy: early success, capacity, and CodeDeploy's three.
func optionsOf(c *rollout.Config, pb *orchestratorpb.DeploymentConfiguration) []rollout.Violation {
	o := rollout.Options{
		MatchTrafficWeight: pb.GetTargetCapacity() == orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT,
		StopOnReadyTimeout: pb.GetDeploymentReadyOption().GetActionOnTimeout() ==
			orchestratorpb.DeploymentReadyOption_ACTION_ON_TIMEOUT_STOP_DEPLOYMENT,
		ReadyWait:       pb.GetDeploymentReadyOption().GetWaitTime().AsDuration(),
		KeepSource:      pb.GetTerminateSourceOption().GetAction() == orchestratorpb.TerminateSourceOption_ACTION_KEEP_ALIVE,
		TerminationWait: pb.GetTerminateSourceOption().GetTerminationWaitTime().AsDuration(),
	}
	if e := pb.GetEarlySuccessCriteria(); e != nil {
		o.EarlySuccess.Enable = e.GetEnable()
		if e.HealthyPercent != nil {
			percent := int(e.GetHealthyPercent())
			o.EarlySuccess.HealthyPercent = &percent
		}
		o.EarlySuccess.Cleanup = strings.TrimPrefix(e.GetSourceServiceRevisionCleanup().String(), "SOURCE_SERVICE_REVISION_CLEANUP_")
	}
	if a := pb.GetAutoRollbackConfiguration(); a != nil {
		o.AutoRollback = &rollout.AutoRollback{Enabled: a.GetEnabled()}
		for _, e := range a.GetEvents() {
			o.AutoRollback.Events = append(o.AutoRollback.Events, rollout.RollbackEvent(strings.TrimPrefix(e.String(), "EVENT_")))
		}
	}
	for i, s := range pb.GetStepsConfiguration().GetSteps() {
		if s.CapacityPercent != nil {
			o.Capacities = append(o.Capacities, rollout.StepCapacity{Step: i, Percent: s.GetCapacityPercent()})
		}
	}
	return o.Apply(c)
}

func rollingPB(pb *orchestratorpb.DeploymentConfiguration, c rollout.Config) {
	reset, exits, bake := c.CircuitBreaker.ResetOnHealthyTask, !c.CircuitBreaker.IgnoreExits, !c.CircuitBreaker.IgnoreDuringBake
	starts := !c.CircuitBreaker.IgnoreLateStarts
	pb.DeploymentCircuitBreaker = &orchestratorpb.DeploymentCircuitBreaker{
		Enable: c.CircuitBreaker.Enable, Rollback: c.CircuitBreaker.Rollback, ResetOnHealthyTask: &reset,
		ThresholdConfiguration: thresholdPB(c.CircuitBreaker.Threshold), CountExitsAfterRunning: &exits, CountFailuresDuringBake: &bake,
		ResetAfter: durationpb.New(c.CircuitBreaker.ResetAfter), CountFailedStartsAfterRunning: &starts,
	}
	if early := c.EarlySuccess; early.Enable {
		percent := int32(early.HealthyPercent)
		pb.EarlySuccessCriteria = &orchestratorpb.EarlySuccessCriteria{
			Enable: true, HealthyPercent: &percent,
			SourceServiceRevisionCleanup: orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_BLOCKING,
		}
		if early.Deferred {
			pb.EarlySuccessCriteria.SourceServiceRevisionCleanup = orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_DEFERRED
		}
	}
}

func shiftingPB(pb *orchestratorpb.DeploymentConfiguration, c rollout.Config) {
	pb.StepsConfiguration = &orchestratorpb.StepsConfiguration{}
	for _, step := range c.Steps {
		s := &orchestratorpb.TrafficStep{Percent: rollout.Percent(step.Share), BakeTime: durationpb.New(step.BakeTime), Pause: step.Pause}
		if step.Capacity > 0 {
			capacity := rollout.Percent(step.Capacity)
			s.CapacityPercent = &capacity
		}
		pb.StepsConfiguration.Steps = append(pb.StepsConfiguration.Steps, s)
	}
	pb.TargetCapacity = capacityPB(c.Steps)
	pb.TaskFailureLimit = thresholdPB(c.FailureLimit)
	if c.ReadyWait > 0 {
		pb.DeploymentReadyOption = &orchestratorpb.DeploymentReadyOption{
			ActionOnTimeout: orchestratorpb.DeploymentReadyOption_ACTION_ON_TIMEOUT_STOP_DEPLOYMENT, WaitTime: durationpb.New(c.ReadyWait),
		}
	}
	if c.KeepSource || c.TerminationWait > 0 {
		pb.TerminateSourceOption = &orchestratorpb.TerminateSourceOption{
			Action: orchestratorpb.TerminateSourceOption_ACTION_TERMINATE, TerminationWaitTime: durationpb.New(c.TerminationWait),
		}
		if c.KeepSource {
			pb.TerminateSourceOption.Action = orchestratorpb.TerminateSourceOption_ACTION_KEEP_ALIVE
		}
	}
	if a := c.AutoRollback; a != nil {
		pb.AutoRollbackConfiguration = &orchestratorpb.AutoRollbackConfiguration{Enabled: a.Enabled}
		for _, e := range a.Events {
			pb.AutoRollbackConfiguration.Events = append(pb.AutoRollbackConfiguration.Events,
				orchestratorpb.AutoRollbackConfiguration_Event(orchestratorpb.AutoRollbackConfiguration_Event_value["EVENT_"+string(e)]))
		}
	}
}

// capacityPB is what the steps come to; unset when it is neither.
func capacityPB(steps []rollout.TrafficStep) orchestratorpb.TargetCapacity {
	full, weighted := true, true
	for _, step := range steps {
		full = full && step.Capacity == 0
		weighted = weighted && step.Capacity == step.Share%rollout.FullShare
	}
	switch {
	case full:
		return orchestratorpb.TargetCapacity_TARGET_CAPACITY_FULL
	case weighted:
		return orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT
	default:
		return orchestratorpb.TargetCapacity_TARGET_CAPACITY_UNSPECIFIED
	}
}

func thresholdPB(t rollout.Threshold) *orchestratorpb.ThresholdConfiguration {
	return &orchestratorpb.ThresholdConfiguration{
		Type:  orchestratorpb.ThresholdConfiguration_Type(orchestratorpb.ThresholdConfiguration_Type_value["TYPE_"+string(t.Type)]),
		Value: int32(t.Value),
	}
}

func alarmsPB(a rollout.Alarms) *orchestratorpb.DeploymentAlarms {
	return &orchestratorpb.DeploymentAlarms{
		AlarmNames: a.Names, Enable: a.Enable, Rollback: a.Rollback,
		InitialAlarmPolicy: orchestratorpb.DeploymentAlarms_InitialAlarmPolicy(
			orchestratorpb.DeploymentAlarms_InitialAlarmPolicy_value["INITIAL_ALARM_POLICY_"+string(a.InitialPolicy)]),
		UnreadableAlarmPolicy: orchestratorpb.DeploymentAlarms_UnreadableAlarmPolicy(
			orchestratorpb.DeploymentAlarms_UnreadableAlarmPolicy_value["UNREADABLE_ALARM_POLICY_"+string(a.Unreadable)]),
		UnreadableAlarmTimeout: durationpb.New(a.UnreadableTimeout),
	}
}
