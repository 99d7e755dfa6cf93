package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// crash ends n running tasks of a task set.
func (w *world) crash(taskSet string, n int) {
	for _, set := range w.state.Service.TaskSets {
		for _, task := range set.Tasks {
			if t := w.tasks[task.Name]; set.ID == taskSet && n > 0 && t != nil && !t.stopped {
				t.stopped = true
				n--
			}
		}
	}
}

// pass lets time go by whatever the deployment does.
func (w *world) pass(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := w.next(w.settle())
		if next.IsZero() || next.After(end) {
			w.now = end
			w.settle()
			return
		}
		w.now = next
	}
}

func (w *world) healthyOf(revision string) int {
	if set := w.state.Service.taskSet(revision); set != nil {
		return set.healthy()
	}
	return 0
}

// What dies during a rolling deployment is replaced with its own revision.
func TestOldTasksThatDieDuringARollingDeploymentAreReplaced(t *testing.T) {
	t.Parallel()
	w := begun(t, 4, config(Rolling, nil))
	w.behave = func(set string, _ int) behaviour {
		if set == "web-2" {
			return behaviour{Ready: 100 * time.Hour}
		}
		return behaviour{Ready: time.Second}
	}
	mustDeploy(t, w, "d-2", config(Rolling, nil), false)
	w.pass(10 * time.Second)
	w.crash("web-1", 3)
	w.pass(time.Minute)
	w.sound(t)
	if n := w.healthyOf("default/web/1"); n != 4 {
		t.Errorf("%d of 4 old tasks serve:\n%s", n, join(w.trace))
	}
}

// A desired count that grows before traffic moves is reached before it moves.
func TestCapacityIsThereBeforeTraffic(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) {
		c.Hooks = []Hook{{Pause: true, Stages: []Stage{PostScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback}}
	})
	w := begun(t, 2, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", c, false)
	w.pass(time.Minute)
	ten := 10
	w.try(UpdateService(w.state, Update{DesiredCount: &ten}, w.now))
	w.try(Continue(w.state, Answer{}, w.now))
	for w.state.Deployment != nil {
		next := w.next(w.settle())
		if w.state.Service.share("b") > 0 && w.healthyOf("default/web/2") < 10 {
			t.Fatalf("traffic moved to %d of 10 tasks", w.healthyOf("default/web/2"))
		}
		if next.IsZero() {
			break
		}
		w.now = next
	}
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != Successful {
		t.Error(d.Reason)
	}
}

// Tasks that got healthy before a failure say nothing about it: they do not set the count back.
func TestOnlyATaskThatGetsHealthyResetsTheCount(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 30 * time.Second} {
		c := config(Rolling, breaks)
		c.CircuitBreaker.ResetAfter = after
		w := begun(t, 10, c)
		w.behave = func(set string, n int) behaviour {
			if set != "web-2" || n <= 17 { // seven get healthy
				return behaviour{Ready: time.Second}
			}
			return behaviour{Ready: time.Hour, Exit: 2 * time.Second}
		}
		mustDeploy(t, w, "d-2", c, false)
		w.run(time.Hour)
		w.sound(t)
		if d := w.endedAs(t, "d-2"); !d.BreakerTripped || d.Failures != 5 {
			t.Errorf("reset after %s: %d failures, tripped %t (%s)", after, d.Failures, d.BreakerTripped, d.Reason)
		}
	}
}

// What a stopped deployment left behind follows the desired count, down to nothing.
func TestLeftoversFollowTheDesiredCount(t *testing.T) {
	t.Parallel()
	for _, headless := range []bool{false, true} {
		for desired, want := range map[int][2]int{6: {6, 4}, 2: {2, 2}, 0: {0, 0}} { // of the old and the aborted revision
			c := config(Canary, nil)
			w := newWorld(Spec{DesiredCount: 4, Config: c, LoadBalancer: testLoadBalancer()})
			if headless {
				w.state.Service.Spec.LoadBalancer = nil
			}
			mustDeploy(t, w, "d-1", c, false)
			w.run(time.Hour)
			mustDeploy(t, w, "d-2", c, false)
			w.pass(time.Minute)
			w.try(Stop(w.state, StopAbort, "", w.now))
			w.pass(time.Minute)
			w.try(UpdateService(w.state, Update{DesiredCount: &desired}, w.now))
			w.pass(10 * time.Minute)
			if got := [2]int{w.healthyOf("default/web/1"), w.healthyOf("default/web/2")}; got != want {
				t.Errorf("headless %t, desired count %d: %v, want %v", headless, desired, got, want)
			}
		}
	}
}

// While the data plane has not heard that a task drains it sends it requests: the task is not stopped, however long that takes.
func TestATaskIsNotStoppedBeforeTheDataPlaneHasHeardOfIt(t *testing.T) {
	t.Parallel()
	c := config(Rolling, nil)
	w := begun(t, 2, c)
	delay := w.state.Service.Spec.LoadBalancer.DeregistrationDelay
	mustDeploy(t, w, "d-2", c, false)
	w.unknown["traffic"] = true
	w.pass(5 * time.Second)
	old := w.state.Service.TaskSets[0].Tasks
	i := slices.IndexFunc(old, Task.draining)
	if i < 0 {
		t.Fatalf("no task drains\n%s", join(w.trace))
	}
	task := old[i]
	for name, facts := range map[string]TrafficFacts{"not heard": {Known: true, Generation: task.DrainGeneration - 1}, "not known": {}} {
		late := w.now.Add(2 * delay)
		o := w.observe()
		o.Traffic = facts
		d := Decide(w.state, o, late)
		kept := d.Next.Service.TaskSets[0].Tasks
		if !slices.ContainsFunc(kept, func(x Task) bool { return x.Name == task.Name && x.DrainTime.After(late) }) {
			t.Errorf("%s: %+v", name, kept)
		}
		if !slices.ContainsFunc(d.Next.Deployment.Conditions, func(c Condition) bool { return c.Type == WaitTraffic }) {
			t.Errorf("%s: %+v", name, d.Next.Deployment.Conditions)
		}
		o.Traffic = TrafficFacts{Known: true, Generation: task.DrainGeneration}
		if d := Decide(d.Next, o, late.Add(delay)); slices.ContainsFunc(d.Next.Service.TaskSets[0].Tasks, func(x Task) bool { return x.Name == task.Name }) {
			t.Errorf("%s: heard, and the delay is over: %+v", name, d.Next.Service.TaskSets[0].Tasks)
		}
	}
}

// A service that is scaled to nothing in the middle of a shift, and up again, ends as if it had not been: its new revision is not
// taken for failed while its tasks start again.
func TestScaledToNothingAndUpAgainInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{500 * time.Millisecond, 2 * time.Second, time.Minute, 4 * time.Minute} {
		for _, gap := range []time.Duration{0, time.Second, 30 * time.Minute} {
			c := config(Canary, nil)
			w := newWorld(Spec{DesiredCount: 4, Config: c, LoadBalancer: testLoadBalancer()})
			mustDeploy(t, w, "d-1", c, false)
			w.run(time.Hour)
			mustDeploy(t, w, "d-2", c, false)
			w.pass(after)
			none, four := 0, 4
			w.try(UpdateService(w.state, Update{DesiredCount: &none}, w.now))
			w.pass(gap)
			w.try(UpdateService(w.state, Update{DesiredCount: &four}, w.now))
			w.pass(2 * time.Hour)
			w.sound(t)
			if d := w.endedAs(t, "d-2"); d.State != Successful || w.healthyOf("default/web/2") != 4 {
				t.Errorf("after %s, for %s: %s (%s), %d healthy\n%s", after, gap, d.State, d.Reason, w.healthyOf("default/web/2"), join(w.trace))
			}
		}
	}
}

func TestAServiceWithoutALoadBalancerShiftsNoTraffic(t *testing.T) {
	t.Parallel()
	c := config(Canary, nil)
	w := newWorld(Spec{DesiredCount: 2, Config: c})
	mustDeploy(t, w, "d-1", c, false)
	w.run(time.Hour)
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Hour)
	if said := w.says(EventTrafficShifted); len(said) > 0 {
		t.Errorf("%v", said)
	}
}

// ECS delays starts that come to nothing, not the replacement of tasks that were running.
func TestATaskThatWasRunningIsReplacedSoon(t *testing.T) {
	t.Parallel()
	w := begun(t, 1, config(Rolling, nil))
	w.behave = func(string, int) behaviour { return behaviour{Ready: time.Hour, Exit: 10 * time.Second} }
	w.crash("web-1", 1)
	started := w.started
	w.pass(time.Hour)
	if n := w.started - started; n < 3600/(10+15) {
		t.Errorf("%d starts in an hour", n)
	}
}

func TestAnAlarmThatCannotBeReadAtTheBeginningStopsTheDeployment(t *testing.T) {
	t.Parallel()
	c := config(Canary, func(c *Config) {
		c.Alarms = Alarms{
			Names: []string{"nobody"}, Enable: true, InitialPolicy: WaitForInitialAlarm, Unreadable: StopOnUnreadableAlarm, UnreadableTimeout: time.Minute,
		}
	})
	w := begun(t, 1, config(Canary, nil))
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != Stopped || d.ErrorCode != AlarmActive || !d.StartTime.IsZero() {
		t.Errorf("%s %s: %s", d.State, d.ErrorCode, d.Reason)
	}
}

// CodeDeploy: a failure of BeforeInstall has nothing to roll back.
func TestNothingIsRolledBackBeforeAnythingBegan(t *testing.T) {
	t.Parallel()
	c := config(Canary, func(c *Config) {
		c.AutoRollback = &AutoRollback{Enabled: true, Events: []RollbackEvent{OnFailure}}
		c.Hooks = []Hook{{Hook: "prepare", Stages: []Stage{PreScaleUp}, Timeout: time.Minute}}
	})
	w := begun(t, 1, config(Canary, nil))
	w.hook = func(DesiredInvocation) InvocationFact { return InvocationFact{Status: HookFailed} }
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.RollbackDeployment != "" || !strings.Contains(d.Reason, "nothing to roll back") || w.state.Service.Completed == nil {
		t.Errorf("rolled back by %q: %s", d.RollbackDeployment, d.Reason)
	}
}

// A hook does not hold a rollback beyond its deadline.
func TestAHookDoesNotHoldARollbackForEver(t *testing.T) {
	t.Parallel()
	c := config(Canary, func(c *Config) {
		c.Hooks = []Hook{{Hook: "slow", Stages: []Stage{TestTrafficShift}, Timeout: 24 * time.Hour, TimeoutAction: OnTimeoutRollback}}
	})
	w := begun(t, 2, config(Canary, nil))
	calls := 0
	w.hook = func(DesiredInvocation) InvocationFact {
		calls++
		if calls == 1 {
			return InvocationFact{Status: HookSucceeded, Continue: true}
		}
		return InvocationFact{Status: HookInProgress}
	}
	mustDeploy(t, w, "d-2", c, false)
	w.pass(time.Minute)
	w.try(Stop(w.state, StopRollback, "", w.now))
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != RollbackSuccessful || calls != 2 || d.FinishTime.Sub(d.Rollback.StartTime) > 11*time.Minute {
		t.Errorf("%s after %s and %d calls", d.State, d.FinishTime.Sub(d.Rollback.StartTime), calls)
	}
}

// What never was is not undone: no hook of a shift is called, and nothing is said of traffic.
func TestARollbackUndoesOnlyWhatWasDone(t *testing.T) {
	t.Parallel()
	c := config(Canary, func(c *Config) {
		c.Hooks = []Hook{
			{Pause: true, Stages: []Stage{PreScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback},
			{Hook: "shift", Stages: []Stage{TestTrafficShift, ProductionTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback},
		}
	})
	w := begun(t, 2, config(Canary, nil))
	w.hook = func(call DesiredInvocation) InvocationFact {
		t.Errorf("hook %s is called", call.ID)
		return InvocationFact{Status: HookSucceeded, Continue: true}
	}
	mustDeploy(t, w, "d-2", c, false)
	w.pass(time.Minute)
	before := len(w.says(EventTrafficShifted))
	w.try(Stop(w.state, StopRollback, "", w.now))
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != RollbackSuccessful || len(w.says(EventTrafficShifted)) != before {
		t.Errorf("%s: %v", d.State, w.says(EventTrafficShifted))
	}
}

// What a stopped deployment left behind is kept, but for traffic to a target group in which no task is left.
func TestTrafficLeavesATargetGroupThatIsEmptied(t *testing.T) {
	t.Parallel()
	c := config(Canary, nil)
	w := begun(t, 4, c)
	mustDeploy(t, w, "d-2", c, false)
	w.pass(time.Minute)
	w.try(Stop(w.state, StopAbort, "", w.now))
	w.settle()
	share := w.state.Service.share("b")
	if share == 0 {
		t.Fatal("the canary was stopped before it had traffic")
	}
	w.crash("web-2", 3)
	w.pass(time.Minute)
	if now := w.state.Service.share("b"); now != share {
		t.Errorf("one task is left and %d of the traffic, not %d", now, share)
	}
	w.crash("web-2", 1)
	w.pass(time.Minute)
	w.sound(t)
	if now := w.state.Service.share("a"); now != FullShare || len(w.says(EventTrafficWithdrawn)) != 1 {
		t.Errorf("%d of the traffic is where tasks are: %v", now, w.says(EventTrafficWithdrawn))
	}
}

// Traffic never goes to a revision that has not passed its gates, though nothing else is left.
func TestTrafficStaysAwayFromARevisionThatWasStoppedBeforeItsGates(t *testing.T) {
	t.Parallel()
	w := begun(t, 2, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", config(BlueGreen, func(c *Config) {
		c.Hooks = []Hook{{Pause: true, Stages: []Stage{PostScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback}}
	}), false)
	w.pass(time.Minute)
	w.behave = func(string, int) behaviour { return behaviour{ExitAtOnce: true} }
	w.crash("web-1", 2)
	w.pass(time.Minute)
	w.try(Stop(w.state, StopAbort, "", w.now))
	w.pass(time.Minute)
	w.sound(t)
	if w.healthyOf("default/web/2") != 2 || w.state.Service.share("b") != 0 {
		t.Errorf("%d tasks that nobody approved have %d of the traffic", w.healthyOf("default/web/2"), w.state.Service.share("b"))
	}
}
