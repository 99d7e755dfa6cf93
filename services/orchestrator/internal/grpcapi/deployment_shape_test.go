package grpcapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// at is a time that is told apart from others by its minute.
func at(minute int) time.Time { return epoch.Add(time.Duration(minute) * time.Minute) }

func atPB(minute int) *timestamppb.Timestamp { return timestamppb.New(at(minute)) }

func outcomes() []rollout.StageOutcome {
	return []rollout.StageOutcome{rollout.StageSucceeded, rollout.StageFailed, rollout.StageSkipped, rollout.StageStopped}
}

func hookStatuses() []rollout.HookStatus {
	return []rollout.HookStatus{rollout.HookAwaitingAction, rollout.HookInProgress, rollout.HookSucceeded, rollout.HookFailed, rollout.HookTimedOut}
}

func conditionTypes() []rollout.ConditionType {
	return []rollout.ConditionType{
		rollout.WaitTasksHealthy, rollout.WaitHook, rollout.WaitContinue, rollout.WaitBakeTime, rollout.WaitTraffic,
		rollout.WaitDrain, rollout.WaitAlarm, rollout.WaitService, rollout.WaitDeadlock, rollout.WaitTaskStart, rollout.WaitQueue,
	}
}

// fullDeployment gives a deployment every field; it has ended, and its service has two task sets.
func fullDeployment(s *rollout.State) {
	d := s.Deployment
	old := s.Service.TaskSets[0].Revision
	d.State, d.RolloutState, d.Reason, d.SupersededBy = rollout.RollbackSuccessful, rollout.RolloutFailed, "it failed", "d-next"
	d.Stage, d.StageTime, d.Step, d.Sources = rollout.BakeTime, at(1), 2, []rollout.Revision{old}
	d.InForceTime, d.TaskRan, d.StopRollsBack, d.FromNone = at(1), true, true, true
	d.ShiftGeneration, d.ShiftTime, d.BakeUntil, d.ScaleUpDeadline, d.HooksStarted, d.Deadlocked = 3, at(2), at(3), at(4), true, true
	d.Failures, d.FailureTime, d.BreakerTripped = 4, at(18), true
	d.ErrorCode, d.RollbackOf, d.Undoes, d.RollbackDeployment = rollout.AlarmActive, "d-before", old, "d-after"
	d.Paused, d.PausedSince = time.Minute, at(16)
	d.Alarms = rollout.AlarmWatch{Status: rollout.MonitorTriggered, Triggered: []string{"b"}, Ignored: []string{"a"}, UnreadableSince: at(17)}
	d.CreateTime, d.StartTime, d.UpdateTime, d.FinishTime, d.EventSequence = at(5), at(6), at(7), at(8), 9
	d.Rollback = &rollout.Rollback{
		Reason: "back", Revision: old, Deployment: "d-old", StartTime: at(10), Deadline: at(99), SafeTime: at(11), FinishTime: at(12),
	}
	for i, status := range hookStatuses() {
		onTime := rollout.OnTimeoutContinue
		if i == 0 {
			onTime = rollout.OnTimeoutRollback
		}
		d.Hooks = append(d.Hooks, rollout.HookRun{
			ID: "h-" + string(status), Hook: "check", Stage: rollout.PreScaleUp, Step: 1, Status: status, Expire: at(13), OnTime: onTime,
			Timeout: time.Minute, Reason: "said", Index: 1, Approvers: []string{"ann"}, Quorum: 2,
		})
	}
	for _, kind := range conditionTypes() {
		d.Conditions = append(d.Conditions, rollout.Condition{Type: kind, Message: "for it", Since: at(14), Until: at(15), Then: "goes on"})
	}
	for i, stage := range rollout.Stages() {
		d.History = append(d.History, rollout.StageRecord{
			Stage: stage, Step: i, Rollback: i > 5, Start: at(20 + i), End: at(40 + i), Outcome: outcomes()[i%4], Reason: "over",
		})
	}
	s.Service.TaskSets = append(s.Service.TaskSets, rollout.TaskSet{
		ID: "web-2", Revision: d.Target, TargetGroup: "web-b", Count: 3, Tasks: []rollout.Task{
			{Name: "web-2-2", Healthy: true}, {Name: "web-2-3", DrainTime: at(50), Healthy: true}, {Name: "web-2-4"},
		},
	})
	s.Service.Production = []rollout.Weight{{TargetGroup: "web-a", Share: 905}, {TargetGroup: "web-b", Share: 95}}
	s.Service.Test = []rollout.Weight{{TargetGroup: "web-a", Share: 0}, {TargetGroup: "web-b", Share: 1000}}
}

// shownDeployment is the same as the contract says it. The engine stands still: no task is seen running.
func shownDeployment(id string) *orchestratorpb.Deployment {
	old := &orchestratorpb.ServiceRevision{Id: "default/web/1", Number: 1, TaskDefinition: "web:1", Deployment: "d-old", CreateTime: timestamppb.New(epoch)}
	pb := &orchestratorpb.Deployment{
		Id: id, Cluster: "default", Service: "web", State: orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL,
		RolloutState: orchestratorpb.Deployment_ROLLOUT_STATE_FAILED, Reason: "it failed", SupersededBy: "d-next",
		LifecycleStage: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME, Step: 2, StepCount: 2, DeploymentConfiguration: fullConfigs()["weighted"][1],
		SourceServiceRevisions: []*orchestratorpb.ServiceRevision{old},
		TargetServiceRevision: &orchestratorpb.ServiceRevision{
			Id: "default/web/2", Number: 2, TaskDefinition: "web:2", Deployment: id, CreateTime: timestamppb.New(epoch),
		},
		TaskSets: []*orchestratorpb.TaskSet{
			{
				Id: "web-1", ServiceRevision: "default/web/1", TaskDefinition: "web:1", TargetGroup: "web-a", DesiredCount: 1,
				PendingCount: 1, HealthyCount: 1, ProductionTrafficWeight: 90.5,
			},
			{
				Id: "web-2", ServiceRevision: "default/web/2", TaskDefinition: "web:2", TargetGroup: "web-b", DesiredCount: 3,
				PendingCount: 3, HealthyCount: 1, DrainingCount: 1, ProductionTrafficWeight: 9.5, TestTrafficWeight: 100,
			},
		},
		TaskFailures: &orchestratorpb.TaskFailures{Status: orchestratorpb.TaskFailures_STATUS_TRIGGERED, FailureCount: 4, Threshold: 1},
		Alarms: &orchestratorpb.AlarmStatus{
			Status: orchestratorpb.TaskFailures_STATUS_TRIGGERED, AlarmNames: []string{"a", "b"}, TriggeredAlarmNames: []string{"b"},
		},
		Rollback: &orchestratorpb.Rollback{
			Reason: "back", ServiceRevision: "default/web/1", Deployment: "d-old", StartTime: atPB(10), SafeTime: atPB(11), FinishTime: atPB(12),
			TimeToSafe: seconds(60),
		},
		ErrorCode: "ALARM_ACTIVE", RollbackOf: "d-before", RollbackDeployment: "d-after",
		CreateTime: atPB(5), StartTime: atPB(6), FinishTime: atPB(8), EventSequence: 9,
	}
	for i := range hookStatuses() {
		action := orchestratorpb.LifecycleHook_TIMEOUT_ACTION_CONTINUE
		if i == 0 {
			action = orchestratorpb.LifecycleHook_TIMEOUT_ACTION_ROLLBACK
		}
		pb.LifecycleHooks = append(pb.LifecycleHooks, &orchestratorpb.LifecycleHookStatus{
			HookId: "h-" + string(hookStatuses()[i]), Hook: "check", LifecycleStage: preScaleUp,
			Status: orchestratorpb.LifecycleHookStatus_Status(i + 1), ExpireTime: atPB(13), TimeoutAction: action, Reason: "said",
			Approvers: []string{"ann"}, Quorum: 2,
		})
	}
	for i := range conditionTypes() {
		pb.Conditions = append(pb.Conditions, &orchestratorpb.Condition{
			Type: orchestratorpb.Condition_Type(i + 1), Message: "for it", SinceTime: atPB(14), UntilTime: atPB(15), Then: "goes on",
		})
	}
	for i := range rollout.Stages() {
		pb.History = append(pb.History, &orchestratorpb.StageHistory{
			LifecycleStage: orchestratorpb.LifecycleStage(i + 1), Step: int32(i), Rollback: i > 5, StartTime: atPB(20 + i), EndTime: atPB(40 + i),
			Outcome: orchestratorpb.StageHistory_Outcome(i%4 + 1), Reason: "over",
		})
	}
	return pb
}

// Every field and every value of a deployment reaches those who read it.
func TestADeploymentIsShownWhole(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	e.save("web", func(s *rollout.State) []rollout.Event {
		s.Service.TaskSets[0].Revision.Deployment = "d-old"
		return nil
	})
	e.register("web")
	id := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{
		Service: "web", TaskDefinition: "web:2", DeploymentConfiguration: fullConfigs()["weighted"][0],
	})).GetDeployment().GetId()
	saved := e.save("web", func(s *rollout.State) []rollout.Event {
		fullDeployment(s)
		return nil
	})
	missing := zeroes(*saved.Deployment)
	if want := []string{
		"rollout.CircuitBreaker.Enable", "rollout.CircuitBreaker.IgnoreDuringBake", "rollout.CircuitBreaker.IgnoreExits",
		"rollout.CircuitBreaker.IgnoreLateStarts",
		"rollout.CircuitBreaker.Rollback", "rollout.Config.EarlySuccess", "rollout.Config.KeepSource", "rollout.Config.Name", "rollout.EarlySuccess.Deferred",
		"rollout.EarlySuccess.Enable", "rollout.EarlySuccess.HealthyPercent", "rollout.Revision.HasHealthCheck", "rollout.TrafficStep.Pause",
	}; !slices.Equal(missing, want) {
		t.Errorf("the sample does not set %v, want to leave out %v, which other tests show", missing, want)
	}
	got, want := e.deployment(id), shownDeployment(id)
	for _, set := range want.GetTaskSets() {
		set.RunningCount = 1 // TestTasksAreShownWhole
	}
	for _, name := range unset(want) {
		if !strings.Contains(strings.ToLower(name), "linear") && !strings.Contains(strings.ToLower(name), "canary") &&
			!strings.HasPrefix(name, "DeploymentCircuitBreaker.") && !strings.HasPrefix(name, "EarlySuccessCriteria.") && !strings.HasPrefix(name, "ThresholdConfiguration.") &&
			!slices.Contains([]string{
				"Deployment.etag", "Deployment.update_time", "Deployment.deadline_time", "DeploymentConfiguration.early_success_criteria", "DeploymentConfiguration.deployment_circuit_breaker",
				"DeploymentConfiguration.deployment_config_name", "TrafficStep.pause",
			}, name) {
			t.Errorf("the sample does not show %s", name)
		}
	}
	want = shownDeployment(id)
	if got.GetEtag() == "" || !got.GetUpdateTime().AsTime().Equal(at(7).Add(time.Second)) {
		t.Errorf("etag %q, update time %v", got.GetEtag(), got.GetUpdateTime().AsTime())
	}
	want.Etag, want.UpdateTime = got.GetEtag(), got.GetUpdateTime()
	if !proto.Equal(got, want) {
		t.Errorf("shown\n%v, want\n%v", got, want)
	}
	for _, enum := range []protoreflect.EnumDescriptor{
		orchestratorpb.LifecycleStage(0).Descriptor(), orchestratorpb.StageHistory_Outcome(0).Descriptor(),
		orchestratorpb.LifecycleHookStatus_Status(0).Descriptor(), orchestratorpb.LifecycleHook_TimeoutAction(0).Descriptor(),
	} {
		for i := 1; i < enum.Values().Len(); i++ {
			if value := string(enum.Values().Get(i).Name()); !strings.Contains(fmt.Sprint(got), value) {
				t.Errorf("the sample does not show %s", value)
			}
		}
	}
	if kinds := orchestratorpb.Condition_Type(0).Descriptor().Values().Len() - 1; kinds != len(conditionTypes()) {
		t.Errorf("the contract has %d types of conditions, the core %d", kinds, len(conditionTypes()))
	}
}
