package grpcapi

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func (d *deployments) PlanDeployment(ctx context.Context, req *orchestratorpb.PlanDeploymentRequest) (*orchestratorpb.PlanDeploymentResponse, error) {
	if req.GetService() == "" {
		return d.planImagined(ctx, req)
	}
	a, err := d.s.Store.ServiceGet(ctx, orDefault(req.GetCluster()), req.GetService())
	if err != nil {
		return nil, err
	}
	if req.DesiredCount != nil {
		a.State.Service.Spec.DesiredCount = int(req.GetDesiredCount())
	}
	request, err := requestOf(ctx, d.s.Store, req, a.State.Service)
	if err != nil {
		return nil, err
	}
	request.ID = rollout.PlannedID // the same plan is the same answer
	var warning string
	if running := a.State.Deployment; running != nil {
		warning = "deployment " + running.ID + " is at work: CreateDeployment is refused unless it supersedes it"
		request.Supersede = true
	}
	now := d.s.Now()
	cmd, err := rollout.Deploy(a.State, request, now)
	if err != nil {
		return nil, problemOf(err)
	}
	resp := planned(cmd.Next, now, req)
	if warning != "" {
		resp.Warnings = append([]string{warning}, resp.GetWarnings()...)
	}
	return resp, nil
}

// planImagined plans for a service that does not exist.
func (d *deployments) planImagined(ctx context.Context, req *orchestratorpb.PlanDeploymentRequest) (*orchestratorpb.PlanDeploymentResponse, error) {
	if req.DesiredCount == nil {
		return nil, problem.Invalid("desired_count", "is needed without a service")
	}
	if req.GetTaskDefinition() != "" {
		return nil, problem.Invalid("task_definition", "goes with a service; a plan without one is for any")
	}
	config, err := configOf(ctx, d.s.Store, req.GetDeploymentConfiguration())
	if err != nil {
		return nil, err
	}
	now := d.s.Now()
	state, err := rollout.Imagined(config, int(req.GetDesiredCount()), now)
	if err != nil {
		return nil, problemOf(err)
	}
	return planned(state, now, req), nil
}

// planned plans the deployment that has begun in the state.
func planned(s rollout.State, now time.Time, req *orchestratorpb.PlanDeploymentRequest) *orchestratorpb.PlanDeploymentResponse {
	start, samples := rollout.TaskStart(s.Service)
	source := orchestratorpb.TaskStartSource_TASK_START_SOURCE_HISTORY
	switch {
	case req.GetTaskStartTime() != nil:
		start, samples, source = req.GetTaskStartTime().AsDuration(), 0, orchestratorpb.TaskStartSource_TASK_START_SOURCE_REQUEST
	case samples == 0:
		start, source = rollout.DefaultTaskStart, orchestratorpb.TaskStartSource_TASK_START_SOURCE_DEFAULT
	}
	resp := planPB(rollout.MakePlan(s, now, start))
	resp.TaskStartTime, resp.TaskStartSource, resp.TaskStartSamples = durationpb.New(start), source, int32(samples)
	resp.DeploymentConfiguration = configPB(s.Deployment.Config)
	if alarms := s.Deployment.Config.Alarms; alarms.Enable {
		resp.AlarmNames = alarms.Names
	}
	return resp
}

func planPB(p rollout.Plan) *orchestratorpb.PlanDeploymentResponse {
	pb := &orchestratorpb.PlanDeploymentResponse{
		PeakTasks: int32(p.PeakTasks), MinimumHealthyTasks: int32(p.LowerBound), MaximumTasks: int32(p.UpperBound),
		FailureThreshold: int32(p.FailureThreshold), RollbackServiceRevision: p.RollbackRevision, Warnings: p.Warnings,
		Deadlock: p.Deadlock, DeadlockReason: p.DeadlockReason, MayStopFirst: int32(p.MayStop), MayStartFirst: int32(p.MayStart),
		EarlySuccessRequired: int32(p.Required), StepBakeCount: int32(p.StepBakes), PauseCount: int32(p.Pauses),
	}
	if !p.Endless {
		pb.Duration, pb.ExpectedDuration = durationpb.New(p.Duration), durationpb.New(p.Expected)
	}
	for _, share := range p.Weights {
		pb.ProductionTrafficWeights = append(pb.ProductionTrafficWeights, rollout.Percent(share))
	}
	for _, s := range p.Steps {
		pb.Steps = append(pb.Steps, &orchestratorpb.PlanDeploymentResponse_Step{
			Offset: durationpb.New(s.Offset), ExpectedOffset: durationpb.New(s.Expected), LifecycleStage: stagePB(s.Stage), Step: int32(s.Step),
			Event: s.Event, Description: s.Description,
			ProductionTrafficWeight: rollout.Percent(s.ProductionWeight), TestTrafficWeight: rollout.Percent(s.TestWeight),
			SourceTasks: int32(s.SourceTasks), TargetTasks: int32(s.TargetTasks),
		})
	}
	for _, s := range p.Stages {
		pb.Stages = append(pb.Stages, plannedStagePB(s))
	}
	for _, f := range p.Failures {
		cause := orchestratorpb.PlannedFailure_Cause_value["CAUSE_"+string(f.Cause)]
		pb.Failures = append(pb.Failures, &orchestratorpb.PlannedFailure{
			Cause: orchestratorpb.PlannedFailure_Cause(cause), Description: f.Description, Rollback: f.Rollback,
			ServiceRevision: f.Revision, OwnDeployment: f.OwnDeployment, Then: f.Then,
		})
	}
	return pb
}

func plannedStagePB(s rollout.PlanStage) *orchestratorpb.PlannedStage {
	pb := &orchestratorpb.PlannedStage{
		LifecycleStage: stagePB(s.Stage), Step: int32(s.Step), StartOffset: durationpb.New(s.Start), ExpectedStartOffset: durationpb.New(s.ExpectedStart),
		BakeTime: durationpb.New(s.BakeTime), ProductionTrafficWeight: rollout.Percent(s.ProductionWeight), TestTrafficWeight: rollout.Percent(s.TestWeight),
		SourceTasks: int32(s.SourceTasks), TargetTasks: int32(s.TargetTasks),
	}
	if !s.Open {
		pb.EndOffset, pb.ExpectedEndOffset = durationpb.New(s.End), durationpb.New(s.ExpectedEnd)
	}
	for _, c := range s.Calls {
		call := &orchestratorpb.PlannedCall{
			HookId: c.ID, Hook: c.Hook, Pause: c.Hook == "", Offset: durationpb.New(c.Offset), ExpectedOffset: durationpb.New(c.Expected),
			Then: c.Then, Quorum: int32(c.Quorum), ReportBack: c.ReportBack, ProductionTrafficWeight: rollout.Percent(c.ProductionWeight),
		}
		if c.Timeout > 0 {
			call.Timeout = durationpb.New(c.Timeout)
		}
		pb.Calls = append(pb.Calls, call)
	}
	return pb
}
