package grpcapi

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

func (s *Server) deploymentPB(service rollout.Service, d rollout.Deployment) *orchestratorpb.Deployment {
	pb := &orchestratorpb.Deployment{
		Id: d.ID, Cluster: service.Cluster, Service: service.Name,
		State:        orchestratorpb.Deployment_State(orchestratorpb.Deployment_State_value["STATE_"+string(d.State)]),
		RolloutState: orchestratorpb.Deployment_RolloutState(orchestratorpb.Deployment_RolloutState_value["ROLLOUT_STATE_"+string(d.RolloutState)]),
		Reason:       d.Reason, LifecycleStage: stagePB(d.Stage), Step: int32(d.Step), StepCount: int32(len(d.Config.Steps)),
		TargetServiceRevision: revisionPB(d.Target), DeploymentConfiguration: configPB(d.Config),
		TaskFailures: failuresPB(service, d),
		Alarms: &orchestratorpb.AlarmStatus{
			Status: monitorPB(d.Alarms.Status), AlarmNames: d.Config.Alarms.Names, TriggeredAlarmNames: d.Alarms.Triggered,
		},
		Conditions: conditionsPB(d.Conditions), History: historyPB(d.History), Rollback: rollbackPB(d.Rollback),
		CreateTime: timePB(d.CreateTime), StartTime: timePB(d.StartTime), UpdateTime: timePB(d.UpdateTime), FinishTime: timePB(d.FinishTime),
		ErrorCode: string(d.ErrorCode), RollbackDeployment: d.RollbackDeployment, RollbackOf: d.RollbackOf, DeadlineTime: timePB(deadlineOf(d)),
		EventSequence: d.EventSequence, Etag: strconv.FormatInt(d.EventSequence, 10) + "-" + string(d.State), SupersededBy: d.SupersededBy,
	}
	for _, source := range d.Sources {
		pb.SourceServiceRevisions = append(pb.SourceServiceRevisions, revisionPB(source))
	}
	for _, h := range d.Hooks {
		pb.LifecycleHooks = append(pb.LifecycleHooks, &orchestratorpb.LifecycleHookStatus{
			HookId: h.ID, Hook: h.Hook, LifecycleStage: stagePB(h.Stage),
			Status:     orchestratorpb.LifecycleHookStatus_Status(orchestratorpb.LifecycleHookStatus_Status_value["STATUS_"+string(h.Status)]),
			ExpireTime: timePB(h.Expire), TimeoutAction: timeoutActionPB(h.OnTime), Reason: h.Reason,
			Approvers: h.Approvers, Quorum: int32(h.Quorum),
		})
	}
	pb.TaskSets = s.taskSetsPB(service)
	return pb
}

// failuresPB shows the count that the circuit breaker, or a traffic-shifting deployment's own limit, looks at.
func failuresPB(service rollout.Service, d rollout.Deployment) *orchestratorpb.TaskFailures {
	limit, on := d.FailureLimit(service.Spec.DesiredCount)
	status := rollout.Monitoring
	switch {
	case !on:
		status = rollout.MonitorDisabled
	case d.BreakerTripped:
		status = rollout.MonitorTriggered
	case d.State.Terminal() || d.Rollback != nil:
		status = rollout.MonitorComplete
	}
	return &orchestratorpb.TaskFailures{Status: monitorPB(status), FailureCount: int32(d.Failures), Threshold: int32(limit)}
}

func monitorPB(s rollout.MonitorStatus) orchestratorpb.TaskFailures_Status {
	return orchestratorpb.TaskFailures_Status(orchestratorpb.TaskFailures_Status_value["STATUS_"+string(s)])
}

func historyPB(history []rollout.StageRecord) []*orchestratorpb.StageHistory {
	var list []*orchestratorpb.StageHistory
	for _, h := range history {
		list = append(list, &orchestratorpb.StageHistory{
			LifecycleStage: stagePB(h.Stage), Step: int32(h.Step), Rollback: h.Rollback, StartTime: timePB(h.Start), EndTime: timePB(h.End),
			Outcome: orchestratorpb.StageHistory_Outcome(orchestratorpb.StageHistory_Outcome_value["OUTCOME_"+string(h.Outcome)]), Reason: h.Reason,
		})
	}
	return list
}

func rollbackPB(r *rollout.Rollback) *orchestratorpb.Rollback {
	if r == nil {
		return nil
	}
	pb := &orchestratorpb.Rollback{
		Reason: r.Reason, ServiceRevision: r.Revision.ID, Deployment: r.Deployment,
		StartTime: timePB(r.StartTime), SafeTime: timePB(r.SafeTime), FinishTime: timePB(r.FinishTime),
	}
	if !r.SafeTime.IsZero() {
		pb.TimeToSafe = durationpb.New(r.SafeTime.Sub(r.StartTime))
	}
	return pb
}

// deadlineOf is when an unfinished deployment's time is over.
func deadlineOf(d rollout.Deployment) time.Time {
	if d.State.Terminal() || d.Rollback != nil {
		return time.Time{}
	}
	return d.Deadline()
}

func eventPB(row store.EventRow) *orchestratorpb.Event {
	return &orchestratorpb.Event{
		Cluster: row.Cluster, Service: row.Service, Deployment: row.Event.Deployment, Sequence: row.Event.Sequence,
		Type: orchestratorpb.Event_Type(orchestratorpb.Event_Type_value["TYPE_"+string(row.Event.Type)]),
		Name: row.Event.Name, Reason: row.Event.Reason, Detail: row.Event.Detail, Time: timePB(row.Event.Time),
	}
}
