package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// scale_up_timeout: a new revision that does not get healthy is rolled back.
func TestScaleUpTimeout(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	d := s.ends(s.deploy(&fake.Behavior{}, &config{Strategy: blueGreen, ScaleUpTimeout: seconds(1)}), rollbackSuccessful)
	if d.GetErrorCode() != "TIMEOUT" || len(s.events(d.GetId(), "TRAFFIC_SHIFTED")) > 1 {
		t.Errorf("ended with %s after %q", d.GetErrorCode(), s.events(d.GetId(), "TRAFFIC_SHIFTED"))
	}
}

// timeout counts active time: what a person takes does not eat it.
func TestTimeoutCountsActiveTime(t *testing.T) {
	t.Parallel()
	t.Run("at work", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		c := with(blueGreen)
		c.Timeout, c.BakeTime = seconds(1), seconds(3600)
		if d := s.ends(s.deploy(s.good(), c), rollbackSuccessful); d.GetErrorCode() != "TIMEOUT" {
			t.Errorf("ended with %s", d.GetErrorCode())
		}
	})
	t.Run("paused", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		c := with(blueGreen, pauseAt(postScale))
		c.Timeout = seconds(2)
		id := s.deploy(s.good(), c)
		s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
		began := s.deployment(id).GetStartTime().AsTime()
		eventually(t, "3 s to pass", func() (bool, any) { return time.Since(began) > 3*time.Second, nil })
		s.resume(id, "", 0)
		s.ends(id, successful)
	})
	t.Run("rolling without a method that rolls back", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, checked: true})
		c := envelope(100, 200)
		c.Timeout = seconds(1)
		s.ends(s.deploy(&fake.Behavior{}, c), stopped)
	})
}

// rollback_timeout: a rollback that cannot be made ends, and says what still serves.
func TestRollbackTimeout(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, checked: true})
	c := envelope(0, 100) // the old task stops before the new one starts
	c.DeploymentCircuitBreaker, c.RollbackTimeout = breaker(count, 1), seconds(1)
	system.tasks.Script(s.name+":1", fake.Behavior{}) // and does not get healthy again
	d := s.ends(s.deploy(broken(), c), rollbackFailed)
	if !strings.Contains(d.GetReason(), "serve") || d.GetRollback().GetTimeToSafe() != nil {
		t.Errorf("ended with %q, safe after %v", d.GetReason(), d.GetRollback().GetTimeToSafe())
	}
}

// A rollback restores the capacity of the old revision before its weight, and tells how long it took to be safe.
func TestRollbackRestoresCapacityBeforeWeight(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2, balanced: true})
	c := with(blueGreen, pauseAt(postShift))
	id := s.deploy(s.good(), c)
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	system.tasks.Script(s.name+":1", fake.Behavior{}) // a new task of the old revision is not healthy by itself
	for _, task := range s.runs(1, 2) {
		system.tasks.Exit(task, 1)
	}
	s.runs(1, 2)
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	s.stands(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY)
	if d := s.deployment(id); s.weight(d) != 100 || len(s.alive(2)) != 2 {
		t.Errorf("%g %% of the traffic and %d tasks are left on the only healthy revision", s.weight(d), len(s.alive(2)))
	}
	s.health(runtime.Healthy, s.runs(1, 2)...)
	if d := s.ends(id, rollbackSuccessful); d.GetRollback().GetTimeToSafe() == nil {
		t.Error("the time to safe is not told")
	}
	s.runs(2, 0)
}

// A hook that hangs in a rollback whose traffic is back does not hold it for longer than rollback_timeout.
func TestHangingHookInARollback(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	h := newHandler(t, s.name, says(goesOn))
	c := with(blueGreen, pauseAt(postShift), at(h, testShift))
	c.LifecycleHooks[1].Timeout, c.LifecycleHooks[1].TimeoutAction = seconds(1), continues
	c.RollbackTimeout = seconds(2)
	id := s.deploy(s.good(), c)
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	s.ends(id, rollbackSuccessful)
}
