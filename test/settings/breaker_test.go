package settings

import (
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const (
	bounded   = orchestratorpb.ThresholdConfiguration_TYPE_BOUNDED_PERCENT
	unbounded = orchestratorpb.ThresholdConfiguration_TYPE_UNBOUNDED_PERCENT
	count     = orchestratorpb.ThresholdConfiguration_TYPE_COUNT
)

// broken tasks never run.
func broken() *fake.Behavior { return &fake.Behavior{FailToStart: "no such image"} }

// rollingWith is a rolling configuration with a circuit breaker.
func rollingWith(b *orchestratorpb.DeploymentCircuitBreaker) *config {
	c := envelope(100, 200)
	c.DeploymentCircuitBreaker = b
	return c
}

// The three types of threshold_configuration, and what nothing means.
func TestThresholds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		desired int32
		breaker *orchestratorpb.DeploymentCircuitBreaker
		want    int32
	}{
		"default":                  {1, &orchestratorpb.DeploymentCircuitBreaker{Enable: true, Rollback: true}, 3},
		"bounded, at least 3":      {2, breaker(bounded, 50), 3},
		"bounded, half":            {7, breaker(bounded, 50), 4},
		"unbounded, rounded up":    {3, breaker(unbounded, 50), 2},
		"unbounded, one":           {1, breaker(unbounded, 1), 1},
		"a count":                  {4, breaker(count, 2), 2},
		"a count above all others": {1, breaker(count, 4), 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: c.desired})
			d := s.ends(s.deploy(broken(), rollingWith(c.breaker)), rollbackSuccessful)
			f := d.GetTaskFailures()
			if f.GetThreshold() != c.want || f.GetFailureCount() != c.want || f.GetStatus() != orchestratorpb.TaskFailures_STATUS_TRIGGERED {
				t.Errorf("tripped at %v, want %d", f, c.want)
			}
		})
	}
}

// enable and rollback are separate: without rollback everything stays where it is.
func TestBreakerWithoutRollback(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2})
	b := breaker(count, 1)
	b.Rollback = false
	d := s.ends(s.deploy(broken(), rollingWith(b)), stopped)
	if d.GetRolloutState() != orchestratorpb.Deployment_ROLLOUT_STATE_FAILED || d.GetRollback() != nil || len(s.runs(1, 2)) != 2 {
		t.Errorf("ended as %s, rollback %v", d.GetRolloutState(), d.GetRollback())
	}
	off := breaker(count, 1)
	off.Enable = false
	id := s.deploy(broken(), rollingWith(off))
	s.until(id, "two failed starts", func(*deployment) bool { return len(s.events(id, "TASK_FAILED")) > 1 })
	if d := s.deployment(id); d.GetState() != inProgress || d.GetTaskFailures().GetStatus() != orchestratorpb.TaskFailures_STATUS_DISABLED {
		t.Errorf("a breaker that is off made it %s, %v", d.GetState(), d.GetTaskFailures())
	}
}

// reset_on_healthy_task: a task that becomes healthy sets the count to 0, or not.
func TestResetOnHealthyTask(t *testing.T) {
	t.Parallel()
	for name, resets := range map[string]bool{"resets": true, "adds up": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 2, checked: true})
			b := breaker(count, 3)
			b.ResetOnHealthyTask, b.ResetAfter = &resets, seconds(0)
			id := s.deploy(&fake.Behavior{}, rollingWith(b))
			tasks := s.runs(2, 2)
			system.tasks.Exit(tasks[0], 1)
			s.counts(id, 1)
			s.health(runtime.Healthy, tasks[1])
			s.until(id, "a healthy task", func(*deployment) bool { return len(s.events(id, "TASK_HEALTHY")) == 1 })
			want := map[bool]int32{true: 0, false: 1}[resets]
			s.counts(id, want)
			system.tasks.Exit(s.runs(2, 2)[1], 1)
			s.counts(id, want+1)
		})
	}
}

// counts waits for the number of failed tasks.
func (v *service) counts(id string, n int32) {
	v.t.Helper()
	v.until(id, "the count of failed tasks", func(d *deployment) bool { return d.GetTaskFailures().GetFailureCount() == n })
}

// reset_after: a task that gets healthy and dies again soon does not take back the failures before it.
func TestResetAfter(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, checked: true})
	limping := rollingWith(breaker(count, 3))
	limping.BakeTime = seconds(3600) // reset_after is 30 s
	id := s.deploy(s.good(), limping)
	for n := range int32(3) {
		system.tasks.Exit(s.runs(2, 1)[0], 1)
		s.until(id, "the count of failed tasks", func(d *deployment) bool { return d.GetTaskFailures().GetFailureCount() == n+1 })
	}
	s.ends(id, rollbackSuccessful)
}

// A task that was healthy before the failure does not take it back.
func TestTasksHealthyLongAgoResetNothing(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 3, checked: true})
	b := breaker(count, 2)
	b.ResetAfter = seconds(0)
	id := s.deploy(&fake.Behavior{}, rollingWith(b))
	s.health(runtime.Healthy, s.runs(2, 3)[:2]...)
	s.until(id, "two healthy tasks", func(*deployment) bool { return len(s.events(id, "TASK_HEALTHY")) == 2 })
	for range 2 {
		tasks := s.runs(2, 3)
		system.tasks.Exit(tasks[len(tasks)-1], 1)
		eventually(t, "the failure to be counted", func() (bool, any) {
			now := s.alive(2)
			return len(now) == 3 && now[2] != tasks[2] || s.deployment(id).GetRollback() != nil, now
		})
	}
	if d := s.ends(id, rollbackSuccessful); d.GetTaskFailures().GetFailureCount() != 2 {
		t.Errorf("tripped at %v", d.GetTaskFailures())
	}
}

// count_exits_after_running, which ECS has not.
func TestCountExitsAfterRunning(t *testing.T) {
	t.Parallel()
	for name, counts := range map[string]bool{"counted": true, "as in ECS": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1})
			c := rollingWith(breaker(count, 2))
			c.MinimumHealthyTime = seconds(3600)
			c.DeploymentCircuitBreaker.CountExitsAfterRunning = &counts
			id := s.deploy(s.good(), c)
			for range 2 {
				task := s.runs(2, 1)[0]
				system.tasks.Exit(task, 1)
				s.until(id, "the exit to be seen", func(d *deployment) bool {
					return strings.Contains(strings.Join(s.events(id, "TASK_FAILED"), "\n"), task+" ")
				})
			}
			if counts {
				s.ends(id, rollbackSuccessful)
			} else if d := s.deployment(id); d.GetState() != inProgress || d.GetTaskFailures().GetFailureCount() != 0 {
				t.Errorf("is %s with %v", d.GetState(), d.GetTaskFailures())
			}
		})
	}
}

// count_failed_starts_after_running: in ECS the circuit breaker's second stage does not count them.
func TestCountFailedStartsAfterRunning(t *testing.T) {
	t.Parallel()
	for name, counts := range map[string]bool{"counted": true, "as in ECS": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1})
			off, b := false, breaker(count, 2)
			b.CountExitsAfterRunning, b.CountFailedStartsAfterRunning = &off, &counts
			c := rollingWith(b)
			c.MinimumHealthyTime = seconds(3600)
			id := s.deploy(s.good(), c)
			task := s.runs(2, 1)[0]
			system.tasks.Script(s.name+":2", *broken())
			system.tasks.Exit(task, 1)
			if counts {
				s.ends(id, rollbackSuccessful)
				return
			}
			d := s.until(id, "four failures", func(*deployment) bool { return len(s.events(id, "TASK_FAILED")) > 3 })
			if d.GetState() != inProgress || d.GetTaskFailures().GetFailureCount() != 0 {
				t.Errorf("is %s with %v", d.GetState(), d.GetTaskFailures())
			}
		})
	}
}

// count_failures_during_bake.
func TestCountFailuresDuringBake(t *testing.T) {
	t.Parallel()
	for name, counts := range map[string]bool{"counted": true, "not counted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1})
			c := rollingWith(breaker(count, 1))
			c.BakeTime = seconds(3600)
			c.DeploymentCircuitBreaker.CountFailuresDuringBake = &counts
			id := s.deploy(s.good(), c)
			s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
			system.tasks.Exit(s.runs(2, 1)[0], 1)
			if counts {
				s.ends(id, rollbackSuccessful)
				return
			}
			s.until(id, "the exit to be seen", func(*deployment) bool { return len(s.events(id, "TASK_FAILED")) == 1 })
			s.runs(2, 1)
			if d := s.deployment(id); d.GetState() != inProgress {
				t.Errorf("is %s", d.GetState())
			}
		})
	}
}

// The threshold follows the latest desired count, and trips at once when it falls to the count.
func TestThresholdFollowsTheDesiredCount(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 8, checked: true})
	id := s.deploy(&fake.Behavior{}, rollingWith(breaker(unbounded, 50)))
	for n := range int32(2) {
		system.tasks.Exit(s.runs(2, 8)[0], 1)
		s.counts(id, n+1)
	}
	if f := s.deployment(id).GetTaskFailures(); f.GetThreshold() != 4 {
		t.Errorf("with 8 tasks: %v", f)
	}
	s.scale(4)
	if d := s.ends(id, rollbackSuccessful); d.GetTaskFailures().GetThreshold() != 2 {
		t.Errorf("with 4 tasks: %v", d.GetTaskFailures())
	}
}

// The documented trace: D2 fails and D1 is rolled back to; D3 takes its place while that goes on, fails, and has nothing to
// return to.
func TestNothingToRollBackToWhileTheTargetIsBeingRolledBackTo(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, checked: true, mode: orchestratorpb.DeploymentConcurrency_MODE_SUPERSEDE})
	recreate := envelope(0, 100)
	recreate.DeploymentCircuitBreaker = breaker(count, 1)
	system.tasks.Script(s.name+":1", fake.Behavior{}) // D1's tasks do not become healthy again by themselves
	d2 := s.deploy(broken(), recreate)
	s.until(d2, "the rollback", func(d *deployment) bool { return d.GetState() == rollbackInProgress })
	d3 := s.deploy(broken(), recreate)
	if d := s.ends(d3, stopped); d.GetRollback() != nil || d.GetRolloutState() != orchestratorpb.Deployment_ROLLOUT_STATE_FAILED {
		t.Errorf("D3: %v", d)
	}
	if d := s.ends(d2, stopped); d.GetSupersededBy() != d3 {
		t.Errorf("D2: %v", d)
	}
}

// The first deployment of a service has nothing to roll back to: it is stopped, and nothing is touched.
func TestFirstDeploymentCannotBeRolledBack(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, notReady: true, behaviour: broken(), config: rollingWith(breaker(count, 1))})
	d := s.ends(s.first(), stopped)
	if !strings.Contains(d.GetReason(), "no COMPLETED service revision") || d.GetRollback() != nil {
		t.Errorf("ended with %q", d.GetReason())
	}
}

// first is the service's first deployment.
func (v *service) first() string {
	v.t.Helper()
	got, err := system.Deployments.ListDeployments(v.t.Context(), &orchestratorpb.ListDeploymentsRequest{Service: v.name})
	if err != nil || len(got.GetDeployments()) == 0 {
		v.t.Fatalf("no deployment: %v", err)
	}
	return got.GetDeployments()[len(got.GetDeployments())-1].GetId()
}

// A forced deployment of the same task definition that fails is not rolled back: its old revision would fail alike.
func TestNoRollbackToAnIdenticalRevision(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, config: rollingWith(breaker(count, 1))})
	system.tasks.Script(s.name+":1", *broken())
	got, err := system.Services.UpdateService(t.Context(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: s.name}, ForceNewDeployment: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ends(got.GetDeployment().GetId(), stopped)
	if len(s.alive(1)) != 1 {
		t.Error("the task that served is gone")
	}
}

// Traffic-shifting strategies refuse the circuit breaker and have a limit of their own.
func TestTaskFailureLimit(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2, balanced: true})
	_, err := s.try(s.good(), &config{Strategy: blueGreen, DeploymentCircuitBreaker: breaker(count, 2)})
	refused(t, err, "deployment_configuration.deployment_circuit_breaker")
	d := s.ends(s.deploy(broken(), &config{Strategy: blueGreen}), rollbackSuccessful)
	if f := d.GetTaskFailures(); f.GetThreshold() != 3 || f.GetFailureCount() != 3 {
		t.Errorf("by default: %v", f)
	}
	one := &config{Strategy: blueGreen, TaskFailureLimit: &orchestratorpb.ThresholdConfiguration{Type: count, Value: 1}}
	if d := s.ends(s.deploy(broken(), one), rollbackSuccessful); d.GetTaskFailures().GetThreshold() != 1 {
		t.Errorf("with a limit: %v", d.GetTaskFailures())
	}
}
