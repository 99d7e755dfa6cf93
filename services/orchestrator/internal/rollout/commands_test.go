package rollout

import (
	"errors"
	"testing"
	"time"
)

func refusal(t *testing.T, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not refused: %v", err)
	}
	return r
}

func TestASecondDeploymentIsRefusedAndNamesTheFirst(t *testing.T) {
	t.Parallel()
	w := begun(t, 1, config(Rolling, nil))
	mustDeploy(t, w, "d-2", config(Rolling, nil), false)
	r := refusal(t, w.deploy("d-3", "web:3", config(Rolling, nil), false))
	if r.Reason != "DEPLOYMENT_IN_PROGRESS" || r.Metadata["deployment"] != "d-2" {
		t.Errorf("%+v", r)
	}
}

func TestStopByState(t *testing.T) {
	t.Parallel()
	if _, err := Stop(begun(t, 1, config(Rolling, nil)).state, StopRollback, "", epoch); refusal(t, err).Reason != "DEPLOYMENT_STATE" {
		t.Error(err)
	}
	w := begun(t, 1, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
	cleaning := w.state.clone()
	cleaning.Deployment.State, cleaning.Deployment.Stage = InProgress, CleanUp
	if _, err := Stop(cleaning, StopRollback, "", w.now); refusal(t, err).Reason != "DEPLOYMENT_STATE" {
		t.Error("a rollback after CLEAN_UP began")
	}
	back := w.state.clone()
	back.Deployment.State, back.Deployment.Rollback = RollbackInProgress, &Rollback{}
	if cmd, err := Stop(back, StopRollback, "", w.now); err != nil || cmd.Next.Deployment.State != RollbackInProgress {
		t.Errorf("a rollback does not go on: %v", err)
	}
	if _, err := Stop(back, StopAbort, "", w.now); refusal(t, err).Reason != "DEPLOYMENT_STATE" {
		t.Error("a rollback was aborted")
	}
}

func TestContinueNeedsAPause(t *testing.T) {
	t.Parallel()
	w := begun(t, 1, config(Canary, nil))
	mustDeploy(t, w, "d-2", config(Canary, nil), false)
	if _, err := Continue(w.state, Answer{}, w.now); refusal(t, err).Reason != "NOT_WAITING" {
		t.Error(err)
	}
}

func TestDeleteNeedsForceWhileTasksAreWanted(t *testing.T) {
	t.Parallel()
	w := begun(t, 2, config(Rolling, nil))
	if _, err := Delete(w.state, false, w.now); refusal(t, err).Reason != "IN_USE" {
		t.Error(err)
	}
	w.try(Delete(w.state, true, w.now))
	for w.state.Service.Phase == Draining {
		wake := w.settle()
		if next := w.next(wake); w.state.Service.Phase == Draining && !next.IsZero() {
			w.now = next
		}
	}
	if w.state.Service.Phase != Inactive || len(w.tasks) > 0 {
		t.Errorf("%s with %d tasks", w.state.Service.Phase, len(w.tasks))
	}
	again := NewService(&w.state.Service, "default", "web", w.state.Service.Spec)
	if again.Service.Generation != w.state.Service.Generation || again.Service.OrdinalCount != w.state.Service.OrdinalCount {
		t.Error("a service that was created again begins its counters anew")
	}
}

// ECS: resetOnHealthyTask true counts failures in a row, false counts all.
func TestAHealthyTaskResetsTheFailureCountOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for reset, want := range map[bool]DeploymentState{true: Successful, false: RollbackSuccessful} {
		c := config(Rolling, func(c *Config) {
			c.CircuitBreaker = CircuitBreaker{Enable: true, Rollback: true, ResetOnHealthyTask: reset, Threshold: Threshold{Count, 3}}
		})
		w := begun(t, 1, c)
		begin := w.started
		kinds := []behaviour{{ExitAtOnce: true}, {ExitAtOnce: true}, {Ready: time.Second, Exit: 2 * time.Second}, {ExitAtOnce: true}, {Ready: time.Second}}
		c.BakeTime = time.Minute
		w.behave = func(_ string, n int) behaviour { return kinds[min(n-begin-1, len(kinds)-1)] }
		mustDeploy(t, w, "d-2", c, false)
		w.run(time.Hour)
		if len(w.ended) != 1 || w.ended[0].State != want {
			t.Errorf("reset %v: %+v", reset, w.ended)
		}
	}
}

// What the data plane said of a target before it began to drain does not end the drain.
func TestADrainEndsOnlyByAWordThatIsNewEnough(t *testing.T) {
	t.Parallel()
	w := begun(t, 1, config(Rolling, nil))
	zero := 0
	w.try(UpdateService(w.state, Update{DesiredCount: &zero}, w.now))
	o := w.observe()
	d := Decide(w.state, o, w.now) // begins to drain
	if task := d.Next.Service.TaskSets[0].Tasks[0]; !task.draining() {
		t.Fatal("the task does not drain")
	}
	o.Traffic.Drained = map[string]bool{"web-1-1": true}
	if again := Decide(d.Next, o, w.now); len(again.Next.Service.TaskSets[0].Tasks) == 0 {
		t.Error("the word of an earlier generation ended the drain")
	}
	o.Traffic.Generation = d.Next.Service.Generation
	if again := Decide(d.Next, o, w.now); len(again.Next.Service.TaskSets) > 0 && len(again.Next.Service.TaskSets[0].Tasks) > 0 {
		t.Error("a target with nothing in flight drains on")
	}
}

// Weights count as moved only when the data plane has acknowledged the generation they moved at.
func TestTrafficHasShiftedOnlyWhenItIsInForce(t *testing.T) {
	t.Parallel()
	w := begun(t, 1, config(BlueGreen, nil))
	mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
	w.settle()
	w.now = w.now.Add(time.Second) // green is healthy now
	o := w.observe()
	d := Decide(w.state, o, w.now)
	for range 10 {
		d = Decide(d.Next, o, w.now) // the data plane stays at the generation of before
	}
	if got := d.Next.Deployment.Stage; got != TestTrafficShift {
		t.Fatalf("went on to %s", got)
	}
	if c := d.Next.Deployment.Conditions; len(c) != 1 || c[0].Type != WaitTraffic {
		t.Errorf("waits for %+v", c)
	}
}
