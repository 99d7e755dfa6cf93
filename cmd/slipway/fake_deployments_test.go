package main

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func (f *fake) CreateDeployment(_ context.Context, r *orchestratorpb.CreateDeploymentRequest) (*orchestratorpb.CreateDeploymentResponse, error) {
	defer f.lock("CreateDeployment")()
	if before, ok := f.requests[r.GetRequestId()]; ok && r.GetRequestId() != "" {
		return before.(*orchestratorpb.CreateDeploymentResponse), nil
	}
	s := f.service(r.GetCluster(), r.GetService())
	if s == nil {
		return nil, noService(r.GetService())
	}
	f.creates = append(f.creates, r)
	d, err := f.begin(s, r.GetTaskDefinition(), r.GetDeploymentConfiguration(), r.GetSupersede())
	if err != nil {
		return nil, err
	}
	answer := &orchestratorpb.CreateDeploymentResponse{Deployment: d}
	f.requests[r.GetRequestId()] = answer
	return answer, nil
}

// CreateAppSpecDeployment deploys web:2, whatever the file says, and warns.
func (f *fake) CreateAppSpecDeployment(
	_ context.Context, r *orchestratorpb.CreateAppSpecDeploymentRequest,
) (*orchestratorpb.CreateAppSpecDeploymentResponse, error) {
	defer f.lock("CreateAppSpecDeployment")()
	f.specs = append(f.specs, r)
	d, err := f.begin(f.service(r.GetCluster(), r.GetService()), "web:2", nil, r.GetSupersede())
	return &orchestratorpb.CreateAppSpecDeploymentResponse{Deployment: d, Warnings: []string{"PlatformVersion is for AWS alone"}}, err
}

// begin makes a deployment. The fake is locked.
func (f *fake) begin(s *orchestratorpb.Service, definition string, config *orchestratorpb.DeploymentConfiguration, supersede bool) (*orchestratorpb.Deployment, error) {
	if s.GetDeployment() != "" && !supersede {
		return nil, problem.New(problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS", "deployment %s of %s is at work", s.GetDeployment(), s.GetName()).
			With("deployment", s.GetDeployment())
	}
	if definition == "" {
		definition = s.GetTaskDefinition()
	}
	def := f.definition(definition)
	if def == nil {
		return nil, problem.New(problem.NotFound, "TASK_DEFINITION_NOT_FOUND", "there is no task definition %s", definition)
	}
	if config == nil {
		config = s.GetDeploymentConfiguration()
	}
	number := int64(len(f.deployments) + 1)
	d := &orchestratorpb.Deployment{
		Id: fmt.Sprintf("d-%d", number), Cluster: s.GetCluster(), Service: s.GetName(), State: orchestratorpb.Deployment_STATE_IN_PROGRESS,
		DeploymentConfiguration: config, CreateTime: at(0), StartTime: at(0),
		TargetServiceRevision: &orchestratorpb.ServiceRevision{
			Id: fmt.Sprintf("%s/%s/%d", s.GetCluster(), s.GetName(), number), Number: number, TaskDefinition: definitionName(def),
		},
	}
	for _, past := range f.deployments {
		if past.GetTargetServiceRevision().GetId() == s.GetServiceRevision() {
			d.SourceServiceRevisions = append(d.SourceServiceRevisions, past.GetTargetServiceRevision())
		}
	}
	s.Deployment, s.TaskDefinition = d.GetId(), d.GetTargetServiceRevision().GetTaskDefinition()
	f.deployments = append(f.deployments, d)
	f.emit(d, 0, "SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment "+d.GetId()+" in progress.")
	if f.drive != nil {
		go f.drive(f, d.GetId())
	}
	return proto.CloneOf(d), nil
}

// emit adds an event to a deployment. The fake is locked.
func (f *fake) emit(d *orchestratorpb.Deployment, seconds float64, name, reason string) {
	d.EventSequence++
	f.events = append(f.events, &orchestratorpb.Event{
		Cluster: d.GetCluster(), Service: d.GetService(), Deployment: d.GetId(), Sequence: d.GetEventSequence(),
		Type: orchestratorpb.Event_TYPE_INFO, Name: name, Reason: reason, Time: at(seconds),
	})
}

// change changes a deployment and tells an event.
func (f *fake) change(id string, seconds float64, name, reason string, edit func(*orchestratorpb.Deployment)) {
	defer f.lock("change")()
	d := f.find(id)
	edit(d)
	f.emit(d, seconds, name, reason)
	if d.GetFinishTime() == nil {
		return
	}
	s := f.service(d.GetCluster(), d.GetService())
	s.Deployment = ""
	if d.GetState() == orchestratorpb.Deployment_STATE_SUCCESSFUL {
		s.ServiceRevision = d.GetTargetServiceRevision().GetId()
	}
}

// end ends a deployment in a state.
func (f *fake) end(id string, state orchestratorpb.Deployment_State, reason string) {
	f.change(id, 12.3, "SERVICE_DEPLOYMENT_ENDED", "ended: "+reason, func(d *orchestratorpb.Deployment) {
		d.State, d.Reason, d.FinishTime = state, reason, at(12.3)
	})
}

// succeed drives a deployment to its good end at once.
func succeed(f *fake, id string) {
	f.change(id, 4, "TASK_HEALTHY", "task web-1-1 is healthy", func(*orchestratorpb.Deployment) {})
	f.end(id, orchestratorpb.Deployment_STATE_SUCCESSFUL, "")
}

func (f *fake) find(id string) *orchestratorpb.Deployment {
	for _, d := range f.deployments {
		if d.GetId() == id {
			return d
		}
	}
	return nil
}

func (f *fake) GetDeployment(_ context.Context, r *orchestratorpb.GetDeploymentRequest) (*orchestratorpb.GetDeploymentResponse, error) {
	defer f.lock("")()
	d := f.find(r.GetDeployment())
	if d == nil {
		return nil, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "there is no deployment %s", r.GetDeployment())
	}
	return &orchestratorpb.GetDeploymentResponse{Deployment: proto.CloneOf(d)}, nil
}

func (f *fake) ListDeployments(_ context.Context, r *orchestratorpb.ListDeploymentsRequest) (*orchestratorpb.ListDeploymentsResponse, error) {
	defer f.lock("")()
	answer := &orchestratorpb.ListDeploymentsResponse{}
	for _, d := range slices.Backward(f.deployments) {
		if (r.GetService() == "" || d.GetService() == r.GetService()) && (len(r.GetStates()) == 0 || slices.Contains(r.GetStates(), d.GetState())) {
			answer.Deployments = append(answer.Deployments, proto.CloneOf(d))
		}
	}
	if r.GetPageToken() != "" {
		answer.Deployments = answer.GetDeployments()[slices.IndexFunc(answer.GetDeployments(), func(d *orchestratorpb.Deployment) bool { return d.GetId() == r.GetPageToken() }):]
	}
	if n := int(r.GetPageSize()); n > 0 && len(answer.GetDeployments()) > n {
		answer.NextPageToken = answer.GetDeployments()[n].GetId()
		answer.Deployments = answer.GetDeployments()[:n]
	}
	return answer, nil
}

func (f *fake) WatchDeployment(r *orchestratorpb.WatchDeploymentRequest, stream orchestratorpb.DeploymentService_WatchDeploymentServer) error {
	unlock := f.lock("WatchDeployment")
	f.watched = append(f.watched, r.GetAfterSequence())
	limit := -1
	if len(f.breakAfter) > 0 {
		limit, f.breakAfter = f.breakAfter[0], f.breakAfter[1:]
	}
	known := f.find(r.GetDeployment()) != nil
	unlock()
	if !known {
		return problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "there is no deployment %s", r.GetDeployment())
	}
	for after, sent := r.GetAfterSequence(), 0; ; sent++ {
		if sent == limit {
			return status.Error(codes.Unavailable, "restarting")
		}
		f.mu.Lock()
		answer := &orchestratorpb.WatchDeploymentResponse{Deployment: proto.CloneOf(f.find(r.GetDeployment()))}
		for _, e := range f.events {
			// One event for each answer, so that tests can break streams between any two.
			if e.GetDeployment() == r.GetDeployment() && e.GetSequence() > after && len(answer.GetEvents()) == 0 {
				answer.Events = append(answer.Events, e)
			}
		}
		f.mu.Unlock()
		if err := stream.Send(answer); err != nil {
			return err
		}
		after += int64(len(answer.GetEvents()))
		d := answer.GetDeployment()
		if d.GetFinishTime() != nil && after >= d.GetEventSequence() {
			return nil
		}
		if err := f.until(stream.Context(), func() bool { return f.find(d.GetId()).GetEventSequence() > after }); err != nil {
			return err
		}
	}
}

func (f *fake) StopDeployment(_ context.Context, r *orchestratorpb.StopDeploymentRequest) (*orchestratorpb.StopDeploymentResponse, error) {
	defer f.lock("StopDeployment")()
	f.stops = append(f.stops, r)
	d := f.find(r.GetDeployment())
	if r.GetStopType() == orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT {
		d.State, d.FinishTime = orchestratorpb.Deployment_STATE_STOPPED, at(20)
	} else {
		d.State, d.FinishTime = orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, at(20)
		d.Rollback = &orchestratorpb.Rollback{StartTime: at(19), SafeTime: at(19.2)}
	}
	d.Reason = r.GetReason()
	f.emit(d, 20, "ROLLBACK_REQUESTED", "stopped by a user")
	f.service(d.GetCluster(), d.GetService()).Deployment = ""
	return &orchestratorpb.StopDeploymentResponse{Deployment: proto.CloneOf(d)}, nil
}

func (f *fake) ContinueDeployment(_ context.Context, r *orchestratorpb.ContinueDeploymentRequest) (*orchestratorpb.ContinueDeploymentResponse, error) {
	defer f.lock("ContinueDeployment " + r.GetAction().String() + " " + r.GetHookId())()
	d := f.find(r.GetDeployment())
	if len(d.GetConditions()) == 0 {
		return nil, problem.New(problem.FailedPrecondition, "NOT_WAITING", "deployment %s waits for no ContinueDeployment", d.GetId())
	}
	d.Conditions = nil
	return &orchestratorpb.ContinueDeploymentResponse{Deployment: proto.CloneOf(d)}, nil
}

func (f *fake) PlanDeployment(_ context.Context, r *orchestratorpb.PlanDeploymentRequest) (*orchestratorpb.PlanDeploymentResponse, error) {
	defer f.lock("")()
	f.plans = append(f.plans, r)
	if f.plan != nil {
		return f.plan, nil
	}
	config := r.GetDeploymentConfiguration()
	if config == nil {
		config = f.service(r.GetCluster(), r.GetService()).GetDeploymentConfiguration()
	}
	shift := orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT
	return &orchestratorpb.PlanDeploymentResponse{
		Steps: []*orchestratorpb.PlanDeploymentResponse_Step{
			{LifecycleStage: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_SCALE_UP, Description: "SCALE_UP", SourceTasks: 4, TargetTasks: 4},
			{LifecycleStage: shift, Description: "10 % of production traffic moves", ProductionTrafficWeight: 10, TestTrafficWeight: 100, SourceTasks: 4, TargetTasks: 4},
			{Offset: durationpb.New(30e9), ExpectedOffset: durationpb.New(30e9), LifecycleStage: shift, Description: "all production traffic moves", ProductionTrafficWeight: 100, TestTrafficWeight: 100, SourceTasks: 4, TargetTasks: 4},
		},
		Duration: durationpb.New(30e9), ExpectedDuration: durationpb.New(30e9), PeakTasks: 8, MinimumHealthyTasks: 4, MaximumTasks: 8, FailureThreshold: 3,
		RollbackServiceRevision: "default/web/1", Warnings: []string{"Nothing stops a bad revision: no alarm is looked at."},
		DeploymentConfiguration: config,
	}, nil
}

func (f *fake) ExplainDeployment(_ context.Context, r *orchestratorpb.ExplainDeploymentRequest) (*orchestratorpb.ExplainDeploymentResponse, error) {
	defer f.lock("")()
	if d := f.find(r.GetDeployment()); d == nil || f.explanation.GetDeployment() != d.GetId() {
		return nil, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "there is no deployment %s", r.GetDeployment())
	}
	return f.explanation, nil
}
