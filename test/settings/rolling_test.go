package settings

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// minimum_healthy_percent is rounded up and maximum_percent down; no more and no fewer tasks are ever there.
func TestRollingStaysInItsEnvelope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		desired, minimum, maximum int32
		least, most               int
	}{
		"new first": {4, 100, 150, 4, 6}, "old first": {4, 50, 100, 2, 4}, "both rounded": {3, 66, 133, 2, 3}, "recreate": {1, 0, 100, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: c.desired})
			s.ends(s.deploy(s.good(), envelope(c.minimum, c.maximum)), successful)
			if least, most := s.span(); least < c.least || most > c.most {
				t.Errorf("%d to %d tasks were there, want %d to %d", least, most, c.least, c.most)
			}
		})
	}
}

// An envelope that allows neither a start nor a stop is told, and fails nothing.
func TestRollingTellsOfADeadlock(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 3})
	id := s.deploy(s.good(), envelope(100, 125))
	s.stands(id, orchestratorpb.Condition_TYPE_DEADLOCK)
	if told := s.events(id, "DEPLOYMENT_DEADLOCK"); len(told) != 1 {
		t.Errorf("told %q", told)
	}
	if d := s.deployment(id); d.GetState() != inProgress {
		t.Errorf("is %s", d.GetState())
	}
}

// Without a check a task counts as healthy after minimum_healthy_time, 40 s if nothing else is said.
func TestMinimumHealthyTime(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1})
	plan, err := system.Deployments.PlanDeployment(t.Context(), &orchestratorpb.PlanDeploymentRequest{Service: s.name, DeploymentConfiguration: &config{}})
	if err != nil || plan.GetDuration().AsDuration() != 40*time.Second {
		t.Errorf("a deployment takes %s (%v), want 40 s", plan.GetDuration().AsDuration(), err)
	}
	c := envelope(100, 200)
	c.MinimumHealthyTime = seconds(0.3)
	d := s.ends(s.deploy(s.good(), c), successful)
	if took := d.GetFinishTime().AsTime().Sub(d.GetStartTime().AsTime()); took < 300*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

// The desired count changes in the middle: the deployment ends with the latest.
func TestDesiredCountChangesInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int32{"up": 4, "down": 1, "to none": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 2, checked: true})
			id := s.deploy(&fake.Behavior{}, nil) // running, and not healthy
			s.health(runtime.Healthy, s.runs(2, 2)[:1]...)
			s.runs(1, 1)
			s.scale(n)
			eventually(t, "the new revision to be complete", func() (bool, any) {
				for _, task := range s.alive(2) {
					system.tasks.SetHealth(task, runtime.Healthy)
				}
				d := s.deployment(id)
				return d.GetFinishTime() != nil, d
			})
			s.ends(id, successful)
			s.runs(2, int(n))
			s.runs(0, int(n))
		})
	}
}

// force_new_deployment deploys the same task definition again.
func TestForcedNewDeployment(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2})
	before := s.get()
	got, err := system.Services.UpdateService(t.Context(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: s.name}, ForceNewDeployment: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := s.ends(got.GetDeployment().GetId(), successful)
	if d.GetTargetServiceRevision().GetTaskDefinition() != before.GetTaskDefinition() || d.GetTargetServiceRevision().GetId() == before.GetServiceRevision() {
		t.Errorf("deployed %v over %v", d.GetTargetServiceRevision(), before.GetServiceRevision())
	}
	if s.runs(2, 2); len(s.alive(1)) != 0 {
		t.Errorf("tasks of the old revision are left: %v", s.alive(1))
	}
}

// Failing checks of a task count only after health_check_grace_period.
func TestHealthCheckGracePeriod(t *testing.T) {
	t.Parallel()
	t.Run("within", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, checked: true, grace: time.Hour})
		id := s.deploy(&fake.Behavior{Health: runtime.Unhealthy}, nil)
		task := s.runs(2, 1)
		s.stands(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY)
		s.health(runtime.Healthy, task...)
		d := s.ends(id, successful)
		if n := d.GetTaskFailures().GetFailureCount(); n != 0 || !slices.Equal(s.runs(2, 1), task) {
			t.Errorf("%d failures; %v was replaced by %v", n, task, s.alive(2))
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, checked: true})
		id := s.deploy(&fake.Behavior{Health: runtime.Unhealthy}, &config{
			DeploymentCircuitBreaker: breaker(orchestratorpb.ThresholdConfiguration_TYPE_COUNT, 1),
		})
		if d := s.ends(id, rollbackSuccessful); d.GetTaskFailures().GetFailureCount() != 1 {
			t.Errorf("counted %v", d.GetTaskFailures())
		}
	})
}

// A failing task is replaced with its own revision, old or new, while a deployment is at work.
func TestFailingTasksAreReplacedWithTheirOwnRevision(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*service, string){
		"checks": func(s *service, task string) { s.health(runtime.Unhealthy, task) },
		"exit":   func(_ *service, task string) { system.tasks.Exit(task, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 2, checked: true})
			id := s.deploy(&fake.Behavior{}, nil)
			s.runs(2, 2)
			lost := s.runs(1, 2)[0]
			fail(s, lost)
			eventually(t, "a replacement of the old revision", func() (bool, any) {
				old := s.alive(1)
				return len(old) == 2 && !slices.Contains(old, lost), old
			})
			fail(s, s.runs(2, 2)[0])
			eventually(t, "a replacement of the new revision", func() (bool, any) {
				for _, task := range s.alive(2) {
					system.tasks.SetHealth(task, runtime.Healthy)
				}
				d := s.deployment(id)
				return d.GetFinishTime() != nil, d
			})
			s.ends(id, successful)
		})
	}
}

// bake_time keeps an eye on the alarms after the last task is healthy.
func TestBakeTimeOfARollingDeployment(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1})
	c := envelope(100, 200)
	c.BakeTime = seconds(0.5)
	id := s.deploy(s.good(), c)
	s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
	d := s.ends(id, successful)
	if took := d.GetFinishTime().AsTime().Sub(d.GetStartTime().AsTime()); took < 500*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

// With early success criteria a deployment is done with a part of its tasks healthy, and the old ones stop before or after that.
func TestEarlySuccessCriteria(t *testing.T) {
	t.Parallel()
	type cleanup = orchestratorpb.EarlySuccessCriteria_SourceServiceRevisionCleanup
	for name, c := range map[string]struct {
		cleanup cleanup
		left    int // of the old revision when it has completed
	}{
		"blocking": {orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_BLOCKING, 0},
		"deferred": {orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_DEFERRED, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 4, checked: true})
			early := envelope(50, 200)
			percent := int32(50)
			early.EarlySuccessCriteria = &orchestratorpb.EarlySuccessCriteria{Enable: true, HealthyPercent: &percent, SourceServiceRevisionCleanup: c.cleanup}
			id := s.deploy(&fake.Behavior{}, early)
			s.health(runtime.Healthy, s.runs(2, 4)[:1]...)
			s.stands(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY)
			s.health(runtime.Healthy, s.runs(2, 4)[1:2]...)
			s.ends(id, successful)
			if left := len(s.alive(1)); left < c.left && len(s.alive(2)) < 4 {
				t.Errorf("%d old tasks are left, want %d", left, c.left)
			}
			s.health(runtime.Healthy, s.runs(2, 4)[2:]...)
			s.runs(1, 0)
		})
	}
	s := begin(t, setup{desired: 1})
	low := int32(50)
	_, err := s.try(s.good(), &config{EarlySuccessCriteria: &orchestratorpb.EarlySuccessCriteria{
		Enable: true, HealthyPercent: &low, SourceServiceRevisionCleanup: orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_BLOCKING,
	}})
	refused(t, err, "deployment_configuration.early_success_criteria.healthy_percent")
}

// A task with a load balancer and a container health check counts as healthy when both say so.
func TestBothChecksMustPass(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"target first": "target", "containers first": "containers"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1, balanced: true, targets: healthcheckpb.HealthCheck_TYPE_CUSTOM, notReady: true})
			s.report(s.runs(1, 1)[0])
			s.ends(s.first(), successful)
			id := s.deploy(&fake.Behavior{}, &config{})
			task := s.runs(2, 1)[0]
			pass := map[string]func(){"target": func() { s.report(task) }, "containers": func() { s.health(runtime.Healthy, task) }}
			pass[first]()
			delete(pass, first)
			s.stands(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY)
			if told := s.events(id, "TASK_HEALTHY"); len(told) != 0 {
				t.Errorf("healthy by one check: %q", told)
			}
			for _, other := range pass {
				other()
			}
			s.ends(id, successful)
		})
	}
}

// report says that a target is healthy, as soon as it is registered.
func (v *service) report(task string) {
	v.t.Helper()
	eventually(v.t, "the target to be registered", func() (bool, any) {
		_, err := system.TargetGroups.SetCustomHealth(v.t.Context(), &healthcheckpb.SetCustomHealthRequest{
			TargetGroup: v.balance.GetTargetGroup(), TargetId: task, Status: healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY,
		})
		return err == nil, err
	})
}

// An old revision whose tasks all fail, and whose replacements never get healthy, does not keep a good one out.
func TestBrokenTasksMakeRoom(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, checked: true})
	system.tasks.Script(s.name+":1", fake.Behavior{})
	s.health(runtime.Unhealthy, s.runs(1, 1)...)
	eventually(t, "a replacement", func() (bool, any) {
		tasks := s.alive(1)
		return len(tasks) > 0 && tasks[len(tasks)-1] != s.name+"-1-1", tasks
	})
	s.ends(s.deploy(s.good(), nil), successful)
	s.runs(0, 1)
}
