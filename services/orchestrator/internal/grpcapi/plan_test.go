package grpcapi_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// A plan says what would be, and leaves no trace: neither in the database nor with the engine.
func TestAPlanSavesNothing(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	second := e.register("web")
	shift := &config{BakeTime: seconds(60)}
	canary(shift, 10, seconds(300))
	before := e.dump()
	plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{
		Service: "web", TaskDefinition: "web", DeploymentConfiguration: shift,
	}))
	if after := e.dump(); after != before {
		t.Errorf("the plan changed\n%s\nto\n%s", before, after)
	}
	if got := plan.GetDuration().AsDuration().Seconds(); got != 360 {
		t.Errorf("the plan takes %v s, want 300 s of canary and 60 s of bake time", got)
	}
	var weights []float64
	for i, step := range plan.GetSteps() {
		if n := len(weights); n == 0 || weights[n-1] != step.GetProductionTrafficWeight() {
			weights = append(weights, step.GetProductionTrafficWeight())
		}
		if i > 0 && step.GetOffset().AsDuration() < plan.GetSteps()[i-1].GetOffset().AsDuration() || step.GetDescription() == "" {
			t.Errorf("step %d: %v", i, step)
		}
	}
	if len(weights) != 3 || weights[0] != 0 || weights[1] != 10 || weights[2] != 100 {
		t.Errorf("production traffic goes %v, want 0, 10, 100", weights)
	}
	if plan.GetRollbackServiceRevision() != "default/web/1" || plan.GetPeakTasks() != 2 || len(plan.GetWarnings()) != 0 {
		t.Errorf("%v", plan)
	}
	made := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{
		Service: "web", TaskDefinition: "web", DeploymentConfiguration: shift,
	})).GetDeployment()
	if !proto.Equal(made.GetDeploymentConfiguration(), plan.GetDeploymentConfiguration()) {
		t.Errorf("planned\n%v, made\n%v", plan.GetDeploymentConfiguration(), made.GetDeploymentConfiguration())
	}
	if made.GetTargetServiceRevision().GetTaskDefinition() != "web:2" || second.GetRevision() != 2 {
		t.Errorf("deploys %v", made.GetTargetServiceRevision())
	}
}

// The service's own configuration and task definition are planned with when the request has none, and a busy service is told.
func TestAPlanForABusyServiceWarns(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.DeploymentConfiguration = &config{MinimumHealthyPercent: proto.Int32(50)}
	running := e.create(service).GetDeployment().GetId()
	before := e.dump()
	plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{Service: "web"}))
	if len(plan.GetWarnings()) == 0 || !strings.Contains(plan.GetWarnings()[0], running) {
		t.Errorf("warnings %q do not name %s", plan.GetWarnings(), running)
	}
	if plan.GetDeploymentConfiguration().GetMinimumHealthyPercent() != 50 {
		t.Errorf("planned with %v", plan.GetDeploymentConfiguration())
	}
	if after := e.dump(); after != before {
		t.Errorf("the plan changed\n%s\nto\n%s", before, after)
	}
	_, err := e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{Service: "web"})
	if p := refused(t, "a busy service", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS"); p.Metadata["deployment"] != running {
		t.Errorf("names %q, want %s", p.Metadata["deployment"], running)
	}
	next := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
		&orchestratorpb.CreateDeploymentRequest{Service: "web", Supersede: true})).GetDeployment().GetId()
	if old := e.deployment(running); old.GetState() != orchestratorpb.Deployment_STATE_STOPPED || old.GetSupersededBy() != next {
		t.Errorf("superseded by %s: %v %q", next, old.GetState(), old.GetSupersededBy())
	}
}

type planResponse = orchestratorpb.PlanDeploymentResponse

func (e *env) plan(req *orchestratorpb.PlanDeploymentRequest) *planResponse {
	e.t.Helper()
	return must[*planResponse](e.t)(e.Deployments.PlanDeployment(e.ctx(), req))
}

// A plan for a service that does not exist tells the envelope, the thresholds, the weights and the timeline of a configuration.
func TestAPlanNeedsNoService(t *testing.T) {
	t.Parallel()
	e := serve(t)
	before := e.dump()
	count := func(n int32, c *config) *planResponse {
		return e.plan(&orchestratorpb.PlanDeploymentRequest{DesiredCount: &n, DeploymentConfiguration: c})
	}
	p := count(7, &config{MinimumHealthyPercent: proto.Int32(50), MaximumPercent: proto.Int32(150)})
	if p.GetMinimumHealthyTasks() != 4 || p.GetMaximumTasks() != 10 || p.GetMayStopFirst() != 3 || p.GetMayStartFirst() != 3 || p.GetDeadlock() || p.GetPeakTasks() != 10 {
		t.Errorf("%v", p)
	}
	p = count(3, &config{MaximumPercent: proto.Int32(125)})
	if !p.GetDeadlock() || !strings.Contains(p.GetDeadlockReason(), "neither") || p.GetDuration() != nil || p.GetStages()[0].GetEndOffset() != nil {
		t.Errorf("%v", p)
	}
	p = count(25, &config{DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true, Rollback: true}})
	if p.GetFailureThreshold() != 13 || !p.GetFailures()[0].GetRollback() || p.GetFailures()[0].GetServiceRevision() != "default/imagined/1" {
		t.Errorf("%v", p)
	}
	linear := &config{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR, LinearConfiguration: &orchestratorpb.LinearConfiguration{
		StepPercent: new(33.3), StepBakeTime: seconds(60),
	}}
	if p = count(1, linear); !slices.Equal(p.GetProductionTrafficWeights(), []float64{33.3, 66.6, 99.9, 100}) || p.GetStepBakeCount() != 3 || p.GetDuration().AsDuration() != 3*time.Minute {
		t.Errorf("%v", p)
	}
	if after := e.dump(); after != before {
		t.Errorf("the plans changed\n%s\nto\n%s", before, after)
	}
	if !proto.Equal(p, count(1, linear)) {
		t.Error("the same plan is not the same answer")
	}
	_, err := e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{})
	names(t, "no service", err, "desired_count", "needed")
	linear.LinearConfiguration.StepPercent = new(2.9)
	_, err = e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{DesiredCount: proto.Int32(1), DeploymentConfiguration: linear})
	names(t, "imagined", err, "deployment_configuration.linear_configuration.step_percent", "3")
}

// The expected times go by what the service's tasks needed, by the request, or by the default.
func TestAPlanExpectsTasksToNeedWhatTheyNeeded(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	e.save("web", func(s *rollout.State) []rollout.Event {
		s.Service.TaskSets[0].Tasks[0].HealthyTime = epoch.Add(42 * time.Second)
		return nil
	})
	e.register("web")
	shift := &config{
		Alarms:         &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"web-5xx"}, Enable: true, Rollback: true},
		LifecycleHooks: []*orchestratorpb.LifecycleHook{hook(preScaleUp), {Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{preScaleUp}, Quorum: 2}},
	}
	canary(shift, 10, seconds(300))
	req := &orchestratorpb.PlanDeploymentRequest{Service: "web", TaskDefinition: "web:2", DeploymentConfiguration: shift}
	p := e.plan(req)
	if p.GetTaskStartSource() != orchestratorpb.TaskStartSource_TASK_START_SOURCE_HISTORY || p.GetTaskStartSamples() != 1 || p.GetTaskStartTime().AsDuration() != 42*time.Second {
		t.Errorf("%v", p)
	}
	if d, x := p.GetDuration().AsDuration(), p.GetExpectedDuration().AsDuration(); d != 5*time.Minute || x != d+42*time.Second {
		t.Errorf("takes %s, expected %s", d, x)
	}
	calls := p.GetStages()[0].GetCalls()
	if p.GetPauseCount() != 1 || len(calls) != 2 || calls[0].GetHook() != "check" || calls[0].GetHookId() != "d-planned/PRE_SCALE_UP/0/check" ||
		!calls[1].GetPause() || calls[1].GetQuorum() != 2 || calls[1].GetTimeout().AsDuration() != 24*time.Hour || calls[1].GetThen() != "the deployment is rolled back" {
		t.Errorf("%v", calls)
	}
	causes := map[orchestratorpb.PlannedFailure_Cause]bool{}
	for _, f := range p.GetFailures() {
		causes[f.GetCause()] = f.GetRollback() && f.GetServiceRevision() == "default/web/1"
	}
	for cause := range orchestratorpb.PlannedFailure_Cause_name {
		c := orchestratorpb.PlannedFailure_Cause(cause)
		if want := c != orchestratorpb.PlannedFailure_CAUSE_UNSPECIFIED && c != orchestratorpb.PlannedFailure_CAUSE_UNREADABLE_ALARM; causes[c] != want {
			t.Errorf("%v: told %t, want %t", c, causes[c], want)
		}
	}
	if !slices.Equal(p.GetAlarmNames(), []string{"web-5xx"}) {
		t.Errorf("alarms %v", p.GetAlarmNames())
	}
	req.TaskStartTime = seconds(90)
	if p = e.plan(req); p.GetTaskStartSource() != orchestratorpb.TaskStartSource_TASK_START_SOURCE_REQUEST || p.GetExpectedDuration().AsDuration() != 390*time.Second {
		t.Errorf("%v", p)
	}
	none := e.plan(&orchestratorpb.PlanDeploymentRequest{DesiredCount: proto.Int32(2), DeploymentConfiguration: &config{BakeTime: seconds(60)}})
	if none.GetTaskStartSource() != orchestratorpb.TaskStartSource_TASK_START_SOURCE_DEFAULT || none.GetExpectedDuration().AsDuration() != 70*time.Second {
		t.Errorf("%v", none)
	}
	req.TaskStartTime = seconds(3601)
	_, err := e.Deployments.PlanDeployment(e.ctx(), req)
	names(t, "too long", err, "task_start_time", "3600")
}

// A first deployment has nothing to return to, and says so.
func TestAPlanOfAFirstDeploymentHasNothingToReturnTo(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	service.DeploymentConfiguration = &config{DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true, Rollback: true}}
	e.create(service)
	p := e.plan(&orchestratorpb.PlanDeploymentRequest{Service: "web"})
	if f := p.GetFailures()[0]; p.GetRollbackServiceRevision() != "" || f.GetRollback() || !strings.Contains(f.GetThen(), "nothing to return to") {
		t.Errorf("%v", p)
	}
}
