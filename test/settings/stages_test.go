package settings

import (
	"slices"
	"strings"
	"sync"
	"testing"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// hookable is every stage at which hooks are called, in order.
func hookable() []orchestratorpb.LifecycleStage {
	var stages []orchestratorpb.LifecycleStage
	for n := range int32(len(orchestratorpb.LifecycleStage_name)) {
		switch stage := orchestratorpb.LifecycleStage(n); stage {
		case orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_UNSPECIFIED, orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_SCALE_UP,
			orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME, orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_CLEAN_UP:
		default:
			stages = append(stages, stage)
		}
	}
	return stages
}

func (h *handler) stages() []string {
	var stages []string
	for _, call := range h.asked() {
		stages = append(stages, call.GetLifecycleStage())
	}
	return stages
}

// Hooks are called at every stage in order, the two shift stages for each step; RECONCILE_SERVICE only when several revisions run.
func TestEveryStage(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true, mode: orchestratorpb.DeploymentConcurrency_MODE_SUPERSEDE})
	h := newHandler(t, s.name, says(succeeded))
	c := stepsOf(&orchestratorpb.TrafficStep{Percent: 50}, &orchestratorpb.TrafficStep{Percent: 100})
	c.LifecycleHooks = []*orchestratorpb.LifecycleHook{at(h, hookable()...)}
	s.ends(s.deploy(s.good(), c), successful)
	want := []string{
		"PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT",
		"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT",
	}
	if got := h.stages(); !slices.Equal(got, want) {
		t.Errorf("called at %v, want %v", got, want)
	}
	paused := s.deploy(s.good(), with(blueGreen, pauseAt(postScale)))
	s.stands(paused, orchestratorpb.Condition_TYPE_CONTINUE)
	s.ends(s.deploy(s.good(), c), successful)
	if got := h.stages()[len(want):]; len(got) == 0 || got[0] != "RECONCILE_SERVICE" {
		t.Errorf("over two revisions it is called at %v", got)
	}
	s.ends(paused, stopped)
	s.runs(0, 1)
}

// Hooks of one stage are called at the same time, and all of them are waited for.
func TestHooksOfAStageRunInParallel(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	var called sync.WaitGroup
	called.Add(2)
	meet := func(int, *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
		called.Done()
		called.Wait() // for the other one
		return &hookspb.HandleHookResponse{HookStatus: succeeded}
	}
	a, b := newHandler(t, s.name+"-a", meet), newHandler(t, s.name+"-b", meet)
	s.ends(s.deploy(s.good(), with(blueGreen, at(a, postScale), at(b, postScale))), successful)
}

// report_back: the hook is called once, and its report decides; a second report is refused.
func TestReportBack(t *testing.T) {
	t.Parallel()
	const reportSucceeded, reportFailed = hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_SUCCEEDED, hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_FAILED
	for name, c := range map[string]struct {
		report hookspb.LifecycleEventStatus
		want   orchestratorpb.Deployment_State
	}{"succeeded": {reportSucceeded, successful}, "failed": {reportFailed, rollbackSuccessful}, "never": {0, rollbackSuccessful}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1, balanced: true})
			h := newHandler(t, s.name, says(0)) // what it answers does not count
			hook := at(h, postScale)
			hook.ReportBack = true
			if c.report == 0 {
				hook.Timeout = seconds(1)
			}
			id := s.deploy(s.good(), with(blueGreen, hook))
			eventually(t, "the call", func() (bool, any) { return len(h.asked()) == 1, nil })
			call := h.asked()[0]
			if call.GetContract() != hookspb.Contract_CONTRACT_CODEDEPLOY || call.GetDeploymentId() != id || call.GetExecutionDetails() != nil {
				t.Errorf("called with %v", call)
			}
			report := func() error {
				_, err := hookspb.NewLifecycleEventServiceClient(system.hooks).PutLifecycleEventHookExecutionStatus(t.Context(),
					&hookspb.PutLifecycleEventHookExecutionStatusRequest{DeploymentId: id, LifecycleEventHookExecutionId: call.GetExecutionId(), Status: c.report})
				return err
			}
			if c.report != 0 {
				if err := report(); err != nil {
					t.Fatal(err)
				}
				if p := problem.As(report()); p == nil || p.Reason != "LIFECYCLE_EVENT_ALREADY_COMPLETED" {
					t.Errorf("a second report: %v", p)
				}
			}
			s.ends(id, c.want)
			if len(h.asked()) != 1 {
				t.Errorf("called %d times", len(h.asked()))
			}
		})
	}
}

// A step has at least the capacity of the one before, all of it with all the traffic, and in tenths of a percent.
func TestCapacitiesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	step := func(percent, capacity float64) *orchestratorpb.TrafficStep {
		return &orchestratorpb.TrafficStep{Percent: percent, CapacityPercent: &capacity}
	}
	for place, list := range map[string][]*orchestratorpb.TrafficStep{
		"steps[1]": {step(10, 50), step(50, 20)},
		"steps[2]": {step(10, 50), step(50, 60), step(100, 80)},
		"steps[0]": {step(10, 0.05)},
	} {
		_, err := s.try(s.good(), stepsOf(list...))
		refused(t, err, "deployment_configuration.steps_configuration."+place+".capacity_percent")
	}
	rolls := &config{TargetCapacity: orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT}
	_, err := s.try(s.good(), rolls)
	refused(t, err, "deployment_configuration.target_capacity")
}

// A rollback is told with its reason and its revision, and its history has the stages that it went through again.
func TestHistoryOfARollback(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	id := s.deploy(s.good(), with(blueGreen, pauseAt(postShift)))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	d := s.ends(id, rollbackSuccessful)
	var back []string
	for _, h := range d.GetHistory() {
		if h.GetRollback() {
			back = append(back, strings.TrimPrefix(h.GetLifecycleStage().String(), "LIFECYCLE_STAGE_"))
		}
	}
	if want := []string{"PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT", "CLEAN_UP"}; !slices.Equal(back, want) {
		t.Errorf("went back through %v, want %v", back, want)
	}
	if r := d.GetRollback(); r.GetServiceRevision() != d.GetSourceServiceRevisions()[0].GetId() || r.GetReason() == "" || r.GetTimeToSafe() == nil {
		t.Errorf("the rollback is %v", r)
	}
}
