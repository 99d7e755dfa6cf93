package rollout

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever tasks, hooks, alarms and users do, no invariant is broken, and a deployment whose faults cease ends.
func TestSafetyInvariantsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		config := drawConfig(t, "config")
		desired := rapid.IntRange(0, 6).Draw(t, "desired")
		w := newWorld(Spec{DesiredCount: desired, Config: config, LoadBalancer: drawLoadBalancer(t), HealthCheckGracePeriod: time.Second})
		w.state.Service.Spec.Concurrency.Mode = rapid.SampledFrom([]ConcurrencyMode{Reject, SupersedeMode, Queue, Coalesce}).Draw(t, "concurrency")
		w.alarms["alarm"] = AlarmOK
		if err := w.deploy("d-1", "web:1", config, false); err != nil {
			t.Fatal(err)
		}
		w.run(time.Hour)
		for i := range rapid.IntRange(1, 3).Draw(t, "deployments") {
			deployOver(t, w, fmt.Sprintf("d-%d", i+2))
		}
		ceaseFaults(w)
		w.run(30 * time.Hour)
		report(t, w)
		if d := w.state.Deployment; d != nil && len(d.Conditions) == 0 {
			t.Fatalf("deployment %s neither ended nor says what it waits for: %s", d.ID, d.State)
		}
	})
}

// deployOver begins a deployment, lets faults and users loose on it for a while, and goes on.
func deployOver(t *rapid.T, w *world, id string) {
	config := drawConfig(t, "config "+id)
	kinds := rapid.SliceOfN(rapid.SampledFrom([]behaviour{
		{Ready: time.Second},
		{Ready: time.Second},
		{Ready: 2 * time.Second, Exit: 5 * time.Second},
		{ExitAtOnce: true},
		{Unhealthy: true, Ready: time.Second},
		{Ready: time.Second, Sick: 3 * time.Second, Exit: 6 * time.Second},
	}), 1, 4).Draw(t, "behaviours")
	w.behave = func(_ string, n int) behaviour { return kinds[n%len(kinds)] }
	answer := rapid.SampledFrom([]InvocationFact{
		{Status: HookSucceeded, Continue: true}, {Status: HookSucceeded, Continue: true}, {Status: HookFailed}, {Status: HookTimedOut},
	}).Draw(t, "hook answer")
	w.hook = func(DesiredInvocation) InvocationFact { return answer }
	supersede := rapid.Bool().Draw(t, "supersede")
	if err := w.deploy(id, "web:"+id, config, supersede); err != nil && w.state.Deployment == nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(0, 12).Draw(t, "acts") {
		act(t, w)
		report(t, w)
	}
}

// act is one thing that happens while a deployment is at work.
func act(t *rapid.T, w *world) {
	wake := w.settle()
	switch rapid.SampledFrom([]string{"time", "time", "time", "crash", "lose", "find", "alarm", "calm", "stop", "abort", "continue", "rescale"}).Draw(t, "act") {
	case "time":
		if next := w.next(wake); !next.IsZero() {
			w.now = next
		}
	case "crash":
		for _, set := range w.state.Service.TaskSets {
			for _, task := range set.Tasks {
				if wt := w.tasks[task.Name]; wt != nil && !wt.stopped {
					wt.stopped = true
					return
				}
			}
		}
	case "lose":
		w.unknown[rapid.SampledFrom([]string{"runtime", "health", "traffic", "hooks", "alarms"}).Draw(t, "source")] = true
	case "find":
		clear(w.unknown)
	case "alarm":
		w.alarms["alarm"] = rapid.SampledFrom([]AlarmState{AlarmInAlarm, AlarmInAlarm, AlarmUnreadable}).Draw(t, "alarm state")
	case "calm":
		w.alarms["alarm"] = AlarmOK
	case "stop":
		w.try(Stop(w.state, rapid.SampledFrom([]StopType{StopDefault, StopRollback}).Draw(t, "stop type"), "", w.now))
	case "abort":
		w.try(Stop(w.state, StopAbort, "", w.now))
	case "continue":
		w.try(Continue(w.state, Answer{Rollback: rapid.Bool().Draw(t, "back"), Approver: "ann"}, w.now))
	case "rescale":
		n := rapid.IntRange(0, 6).Draw(t, "count")
		w.try(UpdateService(w.state, Update{DesiredCount: &n}, w.now))
	}
}

func (w *world) try(d Decision, err error) {
	if err == nil {
		w.save(d)
	}
}

func ceaseFaults(w *world) {
	clear(w.unknown)
	w.alarms["alarm"] = AlarmOK
	w.behave = func(string, int) behaviour { return behaviour{Ready: time.Second} }
	w.hook = func(DesiredInvocation) InvocationFact { return InvocationFact{Status: HookSucceeded, Continue: true} }
	for _, task := range w.tasks {
		task.behave.Exit, task.behave.Unhealthy, task.behave.Sick = 0, false, 0
	}
}

func report(t *rapid.T, w *world) {
	if len(w.problems) > 0 {
		for _, line := range w.trace {
			t.Log(line)
		}
		t.Fatal(w.problems)
	}
}

func drawLoadBalancer(t *rapid.T) *LoadBalancer {
	if rapid.IntRange(0, 3).Draw(t, "headless") == 0 {
		return nil
	}
	return testLoadBalancer()
}

func testLoadBalancer() *LoadBalancer {
	return &LoadBalancer{
		TargetGroup: "a", AlternateTargetGroup: "b", ProductionListener: "127.0.0.1:80", TestListener: "127.0.0.1:81",
		DeregistrationDelay: 10 * time.Second,
	}
}

func drawConfig(t *rapid.T, name string) Config {
	c := DefaultConfig()
	c.Strategy = rapid.SampledFrom([]Strategy{Rolling, BlueGreen, Canary, Linear, Steps}).Draw(t, name)
	c.MinimumHealthyPercent = rapid.SampledFrom([]int{0, 50, 75, 100}).Draw(t, "minimum")
	c.MaximumPercent = rapid.SampledFrom([]int{100, 150, 200}).Draw(t, "maximum")
	c.BakeTime = rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "bake")
	c.ScaleUpTimeout, c.RollbackTimeout, c.MinimumHealthyTime = time.Minute, 10*time.Minute, time.Second
	c.Alarms = Alarms{Names: []string{"alarm"}, Enable: rapid.Bool().Draw(t, "alarms"), Rollback: rapid.Bool().Draw(t, "alarm rollback"), InitialPolicy: WaitForInitialAlarm}
	c.Timeout = rapid.SampledFrom([]time.Duration{0, 20 * time.Second, time.Hour}).Draw(t, "timeout")
	c.Alarms.InitialPolicy = rapid.SampledFrom([]InitialAlarmPolicy{WaitForInitialAlarm, WatchInitialAlarm, IgnoreInitialAlarm}).Draw(t, "initial alarm")
	c.Alarms.Unreadable = rapid.SampledFrom([]UnreadableAlarmPolicy{WaitForUnreadableAlarm, StopOnUnreadableAlarm, IgnoreUnreadableAlarm}).Draw(t, "unreadable")
	drawOptions(t, &c)
	switch c.Strategy {
	case Rolling:
		c.CircuitBreaker.ResetAfter = rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "reset after")
		c.CircuitBreaker.IgnoreExits = rapid.Bool().Draw(t, "ignore exits")
		c.CircuitBreaker.IgnoreLateStarts = rapid.Bool().Draw(t, "ignore late starts")
		c.CircuitBreaker.Enable = rapid.Bool().Draw(t, "breaker")
		c.CircuitBreaker.Rollback = rapid.Bool().Draw(t, "breaker rollback")
		return c
	case BlueGreen:
		c.Steps = AllAtOnce()
	case Canary:
		c.Steps = CanarySteps(100, 5*time.Second)
	case Linear:
		c.Steps = LinearSteps(300, 2*time.Second)
	case Steps:
		c.Steps = CompleteSteps([]TrafficStep{{Share: 100, BakeTime: time.Second}, {Share: 500, BakeTime: time.Second, Pause: rapid.Bool().Draw(t, "pause")}})
	}
	if rapid.Bool().Draw(t, "match weight") {
		(Options{
			MatchTrafficWeight: true, ReadyWait: c.ReadyWait, KeepSource: c.KeepSource, TerminationWait: c.TerminationWait, AutoRollback: c.AutoRollback,
			StopOnReadyTimeout: c.ReadyWait > 0,
		}).Apply(&c)
	}
	if rapid.Bool().Draw(t, "hooks") {
		c.Hooks = []Hook{{
			Hook: "smoke", Stages: []Stage{PostScaleUp, TestTrafficShift, PreProductionTrafficShift, PostProductionTrafficShift},
			Timeout: time.Minute, TimeoutAction: OnTimeoutRollback,
		}}
	}
	return c
}

func drawOptions(t *rapid.T, c *Config) {
	if rapid.IntRange(0, 2).Draw(t, "options") > 0 {
		return
	}
	if c.Strategy == Rolling {
		c.EarlySuccess = EarlySuccess{Enable: true, HealthyPercent: 100, Deferred: rapid.Bool().Draw(t, "deferred")}
		if c.MinimumHealthyPercent <= 75 {
			c.EarlySuccess.HealthyPercent = 75
		}
		return
	}
	c.ReadyWait = rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "ready wait")
	c.KeepSource = rapid.Bool().Draw(t, "keep")
	if !c.KeepSource {
		c.TerminationWait = rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "termination wait")
	}
	if rapid.Bool().Draw(t, "auto rollback") {
		c.AutoRollback = &AutoRollback{
			Enabled: true, Events: rapid.SampledFrom([][]RollbackEvent{{OnFailure}, {OnFailure, OnStopOnAlarm, OnStopOnRequest}}).Draw(t, "events"),
		}
	}
}
