package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheReadyWait(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) { c.ReadyWait = 10 * time.Minute })
	for _, answer := range []string{"continue", "rollback", "nobody"} {
		w := begun(t, 2, config(BlueGreen, nil))
		mustDeploy(t, w, "d-2", c, false)
		w.run(time.Minute)
		d := w.state.Deployment
		if d == nil || d.Stage != PostTestTrafficShift || w.state.Service.share("a") != FullShare {
			t.Fatalf("it does not wait before production traffic: %s", join(w.trace))
		}
		if _, err := Continue(w.state, Answer{Wait: TerminationWait}, w.now); err == nil {
			t.Error("the wrong wait was continued")
		}
		want := Successful
		switch answer {
		case "continue":
			w.try(Continue(w.state, Answer{Wait: ReadyWait}, w.now))
		case "rollback":
			w.try(Continue(w.state, Answer{Rollback: true}, w.now))
			want = RollbackSuccessful
		case "nobody":
			want = Stopped
		}
		w.run(time.Hour)
		w.sound(t)
		d2 := w.endedAs(t, "d-2")
		if d2.State != want || want == Stopped && (d2.ErrorCode != TimedOut || w.state.Service.share("a") != FullShare) {
			t.Errorf("%s: %s %s (%s)", answer, d2.State, d2.ErrorCode, d2.Reason)
		}
	}
}

func TestTheTerminationWait(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) { c.TerminationWait = time.Hour })
	for _, early := range []bool{false, true} {
		w := begun(t, 2, config(BlueGreen, nil))
		mustDeploy(t, w, "d-2", c, false)
		w.run(30 * time.Minute)
		if d := w.state.Deployment; d == nil || d.Stage != BakeTime || w.state.Service.taskSet("default/web/1").healthy() != 2 {
			t.Fatalf("the old revision is not kept: %s", join(w.trace))
		}
		if early {
			w.try(Continue(w.state, Answer{Wait: TerminationWait}, w.now))
		}
		w.run(20 * time.Minute)
		if over := w.state.Deployment == nil; over != early {
			t.Errorf("early %t: over %t", early, over)
		}
		w.run(time.Hour)
		w.sound(t)
		if d := w.endedAs(t, "d-2"); d.State != Successful || w.state.Service.taskSet("default/web/1") != nil {
			t.Errorf("%s: %s", d.State, d.Reason)
		}
	}
}

// KEEP_ALIVE: the old tasks go on without traffic, the next deployment clears them away.
func TestTheOldRevisionCanBeKept(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) { c.KeepSource = true })
	w := begun(t, 2, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Hour)
	if d := w.endedAs(t, "d-2"); d.State != Successful || w.state.Service.taskSet("default/web/1").healthy() != 2 {
		t.Fatalf("%s: %s", d.State, d.Reason)
	}
	three := 3
	w.try(UpdateService(w.state, Update{DesiredCount: &three}, w.now))
	for range 20 {
		w.now = w.now.Add(time.Second)
		w.settle()
	}
	if set := w.state.Service.taskSet("default/web/2"); set.healthy() != 3 || w.state.Service.taskSet("default/web/1").healthy() != 2 {
		t.Errorf("the desired count of 3 gave %d tasks, and kept %d", set.healthy(), w.state.Service.taskSet("default/web/1").healthy())
	}
	mustDeploy(t, w, "d-3", config(BlueGreen, nil), false)
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-3"); d.State != Successful || len(w.state.Service.TaskSets) != 1 || w.state.Service.TaskSets[0].healthy() != 3 {
		t.Errorf("%s: %s, %d task sets", d.State, d.Reason, len(w.state.Service.TaskSets))
	}
}

// CodeDeploy: a rollback is a deployment of its own, linked both ways, for the events that ask for it.
func TestARollbackCanBeADeploymentOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause  string
		events []RollbackEvent
		code   ErrorCode
		back   bool
	}{
		{"hook", []RollbackEvent{OnFailure}, HookFailure, true},
		{"hook", []RollbackEvent{OnStopOnAlarm, OnStopOnRequest}, HookFailure, false},
		{"alarm", []RollbackEvent{OnStopOnAlarm}, AlarmActive, true},
		{"alarm", []RollbackEvent{OnFailure}, AlarmActive, false},
		{"stop", []RollbackEvent{OnStopOnRequest}, ManualStop, true},
		{"stop", []RollbackEvent{OnFailure, OnStopOnAlarm}, ManualStop, false},
	} {
		set := config(Canary, func(s *Config) {
			s.AutoRollback = &AutoRollback{Enabled: true, Events: c.events}
			s.Alarms = Alarms{Names: []string{"alarm"}, Enable: true, InitialPolicy: WaitForInitialAlarm}
		})
		if c.cause == "hook" {
			set.Hooks = []Hook{{Hook: "smoke", Stages: []Stage{ProductionTrafficShift}, Timeout: time.Minute}}
		}
		w := begun(t, 2, config(Canary, nil))
		w.alarms["alarm"] = AlarmOK
		w.hook = func(DesiredInvocation) InvocationFact { return InvocationFact{Status: HookFailed, Reason: "no"} }
		mustDeploy(t, w, "d-2", set, false)
		w.run(30 * time.Second)
		switch c.cause {
		case "alarm":
			w.alarms["alarm"] = AlarmInAlarm
		case "stop":
			w.try(Stop(w.state, StopDefault, "", w.now))
		}
		w.run(time.Hour)
		w.sound(t)
		failed := w.endedAs(t, "d-2")
		if failed.State != Stopped || failed.ErrorCode != c.code || (failed.RollbackDeployment != "") != c.back {
			t.Errorf("%s %v: %s %s, rolled back by %q (%s)", c.cause, c.events, failed.State, failed.ErrorCode, failed.RollbackDeployment, failed.Reason)
			continue
		}
		if !c.back {
			if w.state.Service.share("b") != 100 {
				t.Errorf("%s: without a rollback the weights stay: %v", c.cause, w.state.Service.Production)
			}
			continue
		}
		back := w.endedAs(t, failed.RollbackDeployment)
		if back.State != Successful || back.RollbackOf != "d-2" || w.state.Service.share("a") != FullShare || back.Rollback.SafeTime.IsZero() {
			t.Errorf("%s: the rollback is %s of %q (%s), weights %v", c.cause, back.State, back.RollbackOf, back.Reason, w.state.Service.Production)
		}
		if done := w.state.Service.Completed; done == nil || done.Revision.ID != "default/web/1" || w.state.Service.Spec.TaskDefinition != "web:1" {
			t.Errorf("%s: after the rollback %+v is completed", c.cause, done)
		}
	}
}

func TestAPauseMayNeedSeveralPeople(t *testing.T) {
	t.Parallel()
	c := config(BlueGreen, func(c *Config) {
		c.Hooks = []Hook{{Pause: true, Stages: []Stage{PostScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback, Quorum: 2}}
	})
	w := begun(t, 1, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", c, false)
	w.run(time.Minute)
	if _, err := Continue(w.state, Answer{}, w.now); refusal(t, err).Violations[0].Field != "approver" {
		t.Errorf("a nameless answer: %v", err)
	}
	for _, who := range []string{"ann", "ann"} {
		w.try(Continue(w.state, Answer{Approver: who}, w.now))
		w.run(time.Minute)
		if w.state.Deployment == nil {
			t.Fatal("one person was enough")
		}
	}
	w.try(Continue(w.state, Answer{Approver: "bob"}, w.now))
	w.run(time.Hour)
	w.sound(t)
	if d := w.endedAs(t, "d-2"); d.State != Successful {
		t.Error(d.Reason)
	}
	if said := w.says(EventHookApproved); !slices.Equal(said, []string{"continued by ann (1 of 2)"}) {
		t.Errorf("%v", said)
	}
}

// CodeDeploy's BeforeAllowTraffic is called once, ECS's PRE_PRODUCTION_TRAFFIC_SHIFT before every step.
func TestAHookCanBeForTheFirstStepOnly(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		c := config(Steps, func(c *Config) {
			c.Hooks = []Hook{{Hook: "smoke", Stages: []Stage{PreProductionTrafficShift}, Timeout: time.Minute, FirstStepOnly: once, ReportBack: once}}
		})
		w := begun(t, 1, config(Steps, nil))
		calls := 0
		w.hook = func(call DesiredInvocation) InvocationFact {
			calls++
			if call.ReportBack != once {
				t.Errorf("report back %t, want %t", call.ReportBack, once)
			}
			return InvocationFact{Status: HookSucceeded, Continue: true}
		}
		mustDeploy(t, w, "d-2", c, false)
		w.run(time.Hour)
		w.sound(t)
		if want := map[bool]int{false: 3, true: 1}[once]; calls != want {
			t.Errorf("once %t: %d calls, want %d", once, calls, want)
		}
	}
}

// A rolling deployment is not rolled back to what has just failed: its tasks would fail alike.
func TestNoRollbackToAnIdenticalRevision(t *testing.T) {
	t.Parallel()
	w := begun(t, 2, config(Rolling, breaks))
	w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-2"} }
	if err := w.deploy("d-2", "web:1", config(Rolling, breaks), false); err != nil {
		t.Fatal(err)
	}
	w.run(time.Hour)
	w.sound(t)
	d := w.endedAs(t, "d-2")
	if d.State != Stopped || !strings.Contains(d.Reason, "runs the same task definition") || w.state.Service.taskSet("default/web/1").healthy() != 2 {
		t.Errorf("%s: %s", d.State, d.Reason)
	}
}
