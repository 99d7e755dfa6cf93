package rollout

import (
	"slices"
	"testing"
	"time"
)

// endedAs finds a deployment that has ended.
func (w *world) endedAs(t *testing.T, id string) Deployment {
	t.Helper()
	for _, d := range w.ended {
		if d.ID == id {
			return d
		}
	}
	t.Fatalf("deployment %s has not ended; the world saw:\n%s", id, join(w.trace))
	return Deployment{}
}

func join(lines []string) string {
	out := ""
	for _, line := range lines {
		out += line + "\n"
	}
	return out
}

func (w *world) sound(t *testing.T) {
	t.Helper()
	if len(w.problems) > 0 {
		t.Errorf("%v\n%s", w.problems, join(w.trace))
	}
}

func (w *world) says(name string) (reasons []string) {
	for _, e := range w.events {
		if e.Name == name {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

func breaks(c *Config) { c.CircuitBreaker.Enable, c.CircuitBreaker.Rollback = true, true }

// A process that gets healthy and dies again trips the circuit breaker unless a healthy instant resets its count, as in ECS.
func TestALimpingProcessTripsTheCircuitBreaker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after time.Duration
		state DeploymentState
	}{{30 * time.Second, RollbackSuccessful}, {0, Successful}} {
		limps := config(Rolling, breaks)
		limps.BakeTime = 2 * time.Minute
		limps.CircuitBreaker.ResetAfter = c.after
		w := begun(t, 2, limps)
		w.behave = func(set string, _ int) behaviour {
			if set == "web-2" {
				return behaviour{Ready: time.Second, Exit: 5 * time.Second}
			}
			return behaviour{Ready: time.Second}
		}
		mustDeploy(t, w, "d-2", limps, false)
		w.run(20 * time.Minute)
		w.sound(t)
		if d := w.endedAs(t, "d-2"); d.State != c.state {
			t.Errorf("reset after %s: %s %s (%s)", c.after, d.State, d.ErrorCode, d.Reason)
		}
	}
}

// ECS does not count exits of tasks that were running; Slipway does unless told not to.
func TestExitsAfterRunningCountUnlessIgnored(t *testing.T) {
	t.Parallel()
	for _, ignore := range []bool{false, true} {
		c := config(Rolling, func(c *Config) {
			c.CircuitBreaker.Enable, c.CircuitBreaker.IgnoreExits, c.Timeout = true, ignore, 30*time.Minute
		})
		w := newWorld(Spec{DesiredCount: 1, Config: c})
		w.behave = func(string, int) behaviour { return behaviour{Ready: time.Hour, Exit: 2 * time.Second} }
		mustDeploy(t, w, "d-1", c, false)
		w.run(time.Hour)
		if d := w.endedAs(t, "d-1"); d.BreakerTripped == ignore {
			t.Errorf("ignore exits %t: tripped %t after %d failures (%s)", ignore, d.BreakerTripped, d.Failures, d.Reason)
		}
	}
}

func TestFailuresDuringTheBakeTimeCountUnlessIgnored(t *testing.T) {
	t.Parallel()
	for _, ignore := range []bool{false, true} {
		c := config(Rolling, func(c *Config) {
			breaks(c)
			c.CircuitBreaker.IgnoreDuringBake = ignore
			c.CircuitBreaker.Threshold, c.BakeTime = Threshold{Count, 1}, 5*time.Minute
		})
		w := begun(t, 2, c)
		w.behave = func(set string, n int) behaviour {
			if set == "web-2" && n == 3 {
				return behaviour{Ready: time.Second, Exit: time.Minute}
			}
			return behaviour{Ready: time.Second}
		}
		mustDeploy(t, w, "d-2", c, false)
		w.run(time.Hour)
		w.sound(t)
		want := RollbackSuccessful
		if ignore {
			want = Successful
		}
		if d := w.endedAs(t, "d-2"); d.State != want {
			t.Errorf("ignore during bake %t: %s (%s)", ignore, d.State, d.Reason)
		}
	}
}

// The threshold follows the latest desired count, also down.
func TestTheThresholdComesDownWithTheDesiredCount(t *testing.T) {
	t.Parallel()
	c := config(Rolling, func(c *Config) {
		c.CircuitBreaker = CircuitBreaker{Enable: true, Threshold: Threshold{UnboundedPercent, 50}}
	})
	w := newWorld(Spec{DesiredCount: 10, Config: c, LoadBalancer: testLoadBalancer()})
	w.behave = func(_ string, n int) behaviour { return behaviour{Ready: time.Hour, ExitAtOnce: n <= 3} }
	mustDeploy(t, w, "d-1", c, false)
	w.run(time.Minute)
	if w.state.Deployment == nil || w.state.Deployment.Failures != 3 {
		t.Fatalf("3 of 5 failures must not trip it: %s", join(w.trace))
	}
	four := 4
	w.try(UpdateService(w.state, Update{DesiredCount: &four}, w.now))
	w.run(time.Minute)
	if d := w.endedAs(t, "d-1"); !d.BreakerTripped {
		t.Errorf("3 failures of 2: %s", d.Reason)
	}
}

// ECS's early success criteria: enough healthy tasks complete the deployment, with the old tasks gone before or after.
func TestEarlySuccess(t *testing.T) {
	t.Parallel()
	for _, deferred := range []bool{false, true} {
		c := config(Rolling, func(c *Config) {
			c.MinimumHealthyPercent = 50
			c.EarlySuccess = EarlySuccess{Enable: true, HealthyPercent: 80, Deferred: deferred}
		})
		w := begun(t, 10, config(Rolling, nil))
		w.behave = func(set string, n int) behaviour {
			if set == "web-2" && n > 18 { // the last two take their time
				return behaviour{Ready: 10 * time.Minute}
			}
			return behaviour{Ready: time.Second}
		}
		mustDeploy(t, w, "d-2", c, false)
		w.run(5 * time.Minute)
		w.sound(t)
		d := w.endedAs(t, "d-2")
		old := w.state.Service.taskSet("default/web/1")
		switch {
		case d.State != Successful:
			t.Errorf("deferred %t: %s", deferred, d.Reason)
		case !deferred && old != nil:
			t.Errorf("blocking: %d old tasks are left", len(old.Tasks))
		case deferred && (old == nil || len(old.Tasks) == 0):
			t.Error("deferred: no old task was left for later")
		}
		for range 100 { // the rest is ordinary scaling
			next := w.next(w.settle())
			if next.IsZero() {
				break
			}
			w.now = next
		}
		w.sound(t)
		if set := w.state.Service.taskSet("default/web/2"); set.healthy() != 10 || len(w.state.Service.TaskSets) != 1 {
			t.Errorf("deferred %t: %d of 10 healthy, %d task sets", deferred, set.healthy(), len(w.state.Service.TaskSets))
		}
	}
	for _, c := range [][3]int{{2, 50, 1}, {3, 50, 2}, {10, 80, 8}, {100, 90, 90}, {10, 100, 10}} {
		if got := (EarlySuccess{HealthyPercent: c[1]}).Required(c[0]); got != c[2] {
			t.Errorf("%d %% of %d: %d, want %d", c[1], c[0], got, c[2])
		}
	}
}

// A 10 % canary need not run at 100 %: capacity grows ahead of each step's weight, and the old revision keeps its own.
func TestCapacityFollowsTheWeight(t *testing.T) {
	t.Parallel()
	c := config(Steps, nil)
	if broken := (Options{MatchTrafficWeight: true}).Apply(&c); broken != nil {
		t.Fatal(broken)
	}
	w := begun(t, 10, c)
	mustDeploy(t, w, "d-2", c, false)
	peaks := map[int]int{}
	for w.state.Deployment != nil {
		next := w.next(w.settle())
		if d := w.state.Deployment; d != nil && d.Stage == ProductionTrafficShift && !d.ShiftTime.IsZero() {
			set := w.state.Service.taskSet(d.Target.ID)
			peaks[w.state.Service.share(set.TargetGroup)] = len(set.Tasks)
		}
		if next.IsZero() {
			break
		}
		w.now = next
	}
	w.sound(t)
	if want := map[int]int{100: 1, 500: 5}; peaks[100] != want[100] || peaks[500] != want[500] {
		t.Errorf("tasks by weight: %v, want %v", peaks, want)
	}
	if d := w.endedAs(t, "d-2"); d.State != Successful || w.state.Service.TaskSets[0].healthy() != 10 {
		t.Errorf("%s with %d tasks", d.State, w.state.Service.TaskSets[0].healthy())
	}
}

func TestInitialAlarmPolicies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy InitialAlarmPolicy
		again  bool // the alarm leaves ALARM and enters it again
		want   DeploymentState
	}{
		{WaitForInitialAlarm, false, ""},
		{IgnoreInitialAlarm, false, Successful},
		{IgnoreInitialAlarm, true, Successful},
		{WatchInitialAlarm, false, Successful},
		{WatchInitialAlarm, true, RollbackSuccessful},
	} {
		set := config(Canary, func(c *Config) {
			c.Alarms = Alarms{Names: []string{"alarm"}, Enable: true, Rollback: true}
		})
		set.Alarms.InitialPolicy = c.policy
		w := begun(t, 2, config(Canary, nil))
		w.alarms["alarm"] = AlarmInAlarm
		mustDeploy(t, w, "d-2", set, false)
		w.run(time.Minute)
		if c.again {
			w.alarms["alarm"] = AlarmOK
			w.settle()
			w.alarms["alarm"] = AlarmInAlarm
		}
		w.run(time.Hour)
		w.sound(t)
		if c.want == "" {
			if w.state.Deployment == nil || w.state.Deployment.State != Pending {
				t.Errorf("%s: it did not wait", c.policy)
			}
			continue
		}
		if d := w.endedAs(t, "d-2"); d.State != c.want || c.want != Successful && d.ErrorCode != AlarmActive {
			t.Errorf("%s, again %t: %s (%s)", c.policy, c.again, d.State, d.Reason)
		}
	}
}

func TestUnreadableAlarmPolicies(t *testing.T) {
	t.Parallel()
	for policy, want := range map[UnreadableAlarmPolicy]DeploymentState{
		WaitForUnreadableAlarm: "", StopOnUnreadableAlarm: RollbackSuccessful, IgnoreUnreadableAlarm: Successful,
	} {
		for _, how := range []string{"service", "source"} {
			c := config(Canary, func(c *Config) {
				c.Alarms = Alarms{
					Names: []string{"alarm"}, Enable: true, Rollback: true, InitialPolicy: WaitForInitialAlarm, Unreadable: policy, UnreadableTimeout: time.Minute,
				}
			})
			w := begun(t, 2, config(Canary, nil))
			w.alarms["alarm"] = AlarmOK
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			if how == "service" {
				w.unknown["alarms"] = true
			} else {
				w.alarms["alarm"] = AlarmUnreadable
			}
			w.run(time.Hour)
			w.sound(t)
			switch d := w.state.Deployment; {
			case want == "" && (d == nil || len(d.Conditions) == 0):
				t.Errorf("%s, %s: it does not wait visibly", policy, how)
			case want != "" && w.endedAs(t, "d-2").State != want:
				t.Errorf("%s, %s: %s", policy, how, w.endedAs(t, "d-2").Reason)
			}
		}
	}
}

// The other strategies have a limit of task failures of their own.
func TestTheTaskFailureLimitIsASetting(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) { c.FailureLimit = Threshold{Count, 5}; c.ScaleUpTimeout = time.Hour })
	w := begun(t, 2, c)
	w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-2"} }
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.Failures != 5 || d.State != RollbackSuccessful {
		t.Errorf("%d failures, %s", d.Failures, d.State)
	}
	if !slices.Contains(w.says(EventTaskFailed), "task web-2-3 stopped: exit code 1 (failed tasks: 1/5)") {
		t.Errorf("events: %v", w.says(EventTaskFailed))
	}
}

// No time is lost to people: a pause stops the deployment's clock.
func TestADeadlineCountsActiveTime(t *testing.T) {
	t.Parallel()
	c := config(Steps, func(c *Config) {
		c.Steps = CompleteSteps([]TrafficStep{{Share: 100, BakeTime: time.Minute, Pause: true}, {Share: 500, BakeTime: time.Minute}})
		c.Timeout = 3 * time.Minute
	})
	w := begun(t, 2, c)
	mustDeploy(t, w, "d-2", c, false)
	w.run(2 * time.Hour)
	if w.state.Deployment == nil || w.state.Deployment.State != InProgress {
		t.Fatalf("it did not wait for a person: %s", join(w.trace))
	}
	w.now = w.now.Add(5 * time.Hour)
	w.try(Continue(w.state, Answer{}, w.now))
	w.run(2 * time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != Successful || d.Paused < 5*time.Hour {
		t.Errorf("%s (%s), paused %s", d.State, d.Reason, d.Paused)
	}
	c.Timeout = time.Minute
	mustDeploy(t, w, "d-3", c, false)
	w.run(2 * time.Hour)
	if d := w.endedAs(t, "d-3"); d.State != RollbackSuccessful || d.ErrorCode != TimedOut {
		t.Errorf("%s %s (%s)", d.State, d.ErrorCode, d.Reason)
	}
}
