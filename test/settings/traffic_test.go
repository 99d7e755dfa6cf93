package settings

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func stepsOf(list ...*orchestratorpb.TrafficStep) *config {
	return &config{Strategy: steps, StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: list}}
}

// Weights have a granularity of 0.1 %, and nothing finer.
func TestWeightsOfATenthOfAPercent(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	percent := 0.1
	c := &config{Strategy: canary, CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: &percent, CanaryBakeTime: seconds(3600)}}
	id := s.deploy(s.good(), c)
	s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
	if got := s.weight(s.deployment(id)); got != 0.1 {
		t.Errorf("the canary has %g %%", got)
	}
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	s.ends(id, rollbackSuccessful)
	for field, wrong := range map[string]float64{"canary_configuration.canary_percent": 0.05, "linear_configuration.step_percent": 2.9} {
		c := &config{Strategy: canary, CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: &wrong}}
		if field != "canary_configuration.canary_percent" {
			c = &config{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR, LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: &wrong}}
		}
		_, err := s.try(s.good(), c)
		refused(t, err, "deployment_configuration."+field)
	}
}

// Each step has its own bake time and its own pause.
func TestStepsBakeAndPauseEachForItself(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	id := s.deploy(s.good(), stepsOf(
		&orchestratorpb.TrafficStep{Percent: 12.5, BakeTime: seconds(0.4)},
		&orchestratorpb.TrafficStep{Percent: 50, Pause: true},
		&orchestratorpb.TrafficStep{Percent: 99.9},
	))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	if d := s.deployment(id); d.GetStep() != 2 || s.weight(d) != 50 || d.GetStepCount() != 4 {
		t.Errorf("waits at step %d of %d with %g %%", d.GetStep(), d.GetStepCount(), s.weight(d))
	}
	s.resume(id, "", 0)
	d := s.ends(id, successful)
	if shifts := s.events(id, "TRAFFIC_SHIFTED"); len(shifts) != 4 {
		t.Errorf("shifted %q", shifts)
	}
	for _, h := range d.GetHistory() {
		took := h.GetEndTime().AsTime().Sub(h.GetStartTime().AsTime())
		if h.GetLifecycleStage() == shift && h.GetStep() == 1 && took < 400*time.Millisecond {
			t.Errorf("step 1 took %s", took)
		}
	}
}

// The capacity of the new revision is separate from its weight: full, as its share, or as the step says.
func TestCapacityAtEachStep(t *testing.T) {
	t.Parallel()
	quarter := 25.0
	pause := func(percent float64) *orchestratorpb.TrafficStep {
		return &orchestratorpb.TrafficStep{Percent: percent, Pause: true}
	}
	own := pause(10)
	own.CapacityPercent = &quarter
	for name, c := range map[string]struct {
		capacity orchestratorpb.TargetCapacity
		first    *orchestratorpb.TrafficStep
		tasks    [2]int // at 10 % and at 50 %
	}{
		"full":          {orchestratorpb.TargetCapacity_TARGET_CAPACITY_FULL, pause(10), [2]int{8, 8}},
		"by weight":     {orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT, pause(10), [2]int{1, 4}},
		"of the step":   {orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT, own, [2]int{2, 4}},
		"not told":      {0, pause(10), [2]int{8, 8}},
		"a step's only": {0, own, [2]int{2, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 8, balanced: true})
			config := stepsOf(c.first, pause(50))
			config.TargetCapacity = c.capacity
			id := s.deploy(s.good(), config)
			for step := range 2 {
				d := s.until(id, "the pause", func(d *deployment) bool { return int(d.GetStep()) == step+1 && hook(d, "") != nil })
				if got := len(s.alive(2)); got != c.tasks[step] || len(s.alive(1)) != 8 {
					t.Errorf("at %g %% %d new tasks and %d old ones, want %d and 8", s.weight(d), got, len(s.alive(1)), c.tasks[step])
				}
				s.resume(id, hook(d, "").GetHookId(), 0)
			}
			s.ends(id, successful)
			s.runs(2, 8)
		})
	}
}

// A step gets its traffic only when the tasks that it needs are healthy, also when the desired count went up since.
func TestNoTrafficAheadOfCapacity(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2, balanced: true})
	id := s.deploy(&fake.Behavior{}, with(blueGreen, pauseAt(postScale)))
	s.health(runtime.Healthy, s.runs(2, 2)...)
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.scale(4)
	s.resume(id, "", 0)
	tasks := s.runs(2, 4)
	s.stands(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY)
	if d := s.deployment(id); s.weight(d) != 0 {
		t.Errorf("%g %% of the traffic is on 2 of 4 tasks", s.weight(d))
	}
	for _, task := range tasks {
		system.tasks.SetHealth(task, runtime.Healthy)
	}
	s.ends(id, successful)
}

// The desired count changes at each stage of a shift, also to none.
func TestDesiredCountChangesDuringAShift(t *testing.T) {
	t.Parallel()
	for _, n := range []int32{4, 1, 0} {
		for name, stage := range map[string]orchestratorpb.LifecycleStage{"before": postScale, "in the middle": preShift, "after": postShift} {
			t.Run(fmt.Sprintf("%s to %d", name, n), func(t *testing.T) {
				t.Parallel()
				s := begin(t, setup{desired: 2, balanced: true})
				c := stepsOf(&orchestratorpb.TrafficStep{Percent: 50})
				c.LifecycleHooks = []*orchestratorpb.LifecycleHook{pauseAt(stage)}
				id := s.deploy(s.good(), c)
				s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
				s.scale(n)
				eventually(t, "the deployment to end", func() (bool, any) {
					d := s.deployment(id)
					if h := hook(d, ""); h != nil {
						s.resume(id, h.GetHookId(), 0)
					}
					return d.GetFinishTime() != nil, d
				})
				s.ends(id, successful)
				s.runs(0, int(n))
			})
		}
	}
}

// After a deployment that was stopped in the middle the desired count still says how many tasks there are.
func TestDesiredCountAfterAStoppedDeployment(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2, balanced: true})
	id := s.deploy(s.good(), stepsOf(&orchestratorpb.TrafficStep{Percent: 50, Pause: true}))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT)
	if d := s.ends(id, stopped); s.weight(d) != 50 || len(s.alive(0)) != 4 {
		t.Errorf("%g %% of the traffic and %d tasks are left", s.weight(d), len(s.alive(0)))
	}
	s.scale(0)
	s.runs(0, 0)
}

// settle_delay: a stage that moves traffic waits until the load balancer's requests follow, also on the way back.
func TestSettleDelay(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	refused(t, s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.SettleDelay = seconds(3601) }), "service.load_balancer.settle_delay")
	if err := s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.SettleDelay = seconds(0.5) }); err != nil {
		t.Fatal(err)
	}
	id := s.deploy(s.good(), stepsOf(&orchestratorpb.TrafficStep{Percent: 50, Pause: true}))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	d := s.ends(id, rollbackSuccessful)
	settled := 0
	for _, h := range d.GetHistory() {
		if h.GetLifecycleStage() != shift {
			continue
		}
		settled++
		if took := h.GetEndTime().AsTime().Sub(h.GetStartTime().AsTime()); took < 500*time.Millisecond {
			t.Errorf("step %d, rollback %t: took %s", h.GetStep(), h.GetRollback(), took)
		}
	}
	if settled != 2 || d.GetRollback().GetTimeToSafe().AsDuration() < 500*time.Millisecond {
		t.Errorf("%d shifts, safe after %s", settled, d.GetRollback().GetTimeToSafe().AsDuration())
	}
}
