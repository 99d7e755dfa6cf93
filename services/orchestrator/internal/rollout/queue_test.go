package rollout

import (
	"slices"
	"testing"
	"time"
)

func withConcurrency(t *testing.T, mode ConcurrencyMode, limit int) *world {
	t.Helper()
	w := begun(t, 1, config(BlueGreen, nil))
	c := Concurrency{Mode: mode, QueueLimit: limit}
	w.try(UpdateService(w.state, Update{Concurrency: &c}, w.now))
	w.ended = nil
	return w
}

func (w *world) order() (ids []string) {
	for _, d := range w.ended {
		ids = append(ids, d.ID+" "+string(d.State))
	}
	return ids
}

func TestDeploymentsWaitForTheirTurnInOrder(t *testing.T) {
	t.Parallel()
	w := withConcurrency(t, Queue, 2)
	for _, id := range []string{"d-2", "d-3", "d-4"} {
		mustDeploy(t, w, id, config(BlueGreen, nil), false)
	}
	if err := w.deploy("d-5", "web:5", config(BlueGreen, nil), false); refusal(t, err).Reason != "DEPLOYMENT_IN_PROGRESS" {
		t.Errorf("a third that waits: %v", err)
	}
	if first := w.state.Service.Queue[0]; first.State != Pending || first.Target.Number != 3 || first.Conditions[0].Type != WaitQueue {
		t.Errorf("the first in the queue: %+v", first)
	}
	w.run(time.Hour)
	w.sound(t)
	if got, want := w.order(), []string{"d-2 SUCCESSFUL", "d-3 SUCCESSFUL", "d-4 SUCCESSFUL"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if w.state.Service.Spec.TaskDefinition != "web:4" {
		t.Errorf("the service runs %s", w.state.Service.Spec.TaskDefinition)
	}
}

func TestOnlyTheNewestWaits(t *testing.T) {
	t.Parallel()
	w := withConcurrency(t, Coalesce, 0)
	for _, id := range []string{"d-2", "d-3", "d-4"} {
		mustDeploy(t, w, id, config(BlueGreen, nil), false)
	}
	w.run(time.Hour)
	w.sound(t)
	if got, want := w.order(), []string{"d-3 STOPPED", "d-2 SUCCESSFUL", "d-4 SUCCESSFUL"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSupersedingEndsAllThatWait(t *testing.T) {
	t.Parallel()
	for _, mode := range []ConcurrencyMode{Queue, SupersedeMode} {
		w := withConcurrency(t, mode, 0)
		mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
		if mode == Queue {
			mustDeploy(t, w, "d-3", config(BlueGreen, nil), false)
		}
		mustDeploy(t, w, "d-4", config(BlueGreen, nil), mode == Queue)
		w.run(time.Hour)
		w.sound(t)
		want := []string{"d-3 STOPPED", "d-2 STOPPED", "d-4 SUCCESSFUL"}
		if mode == SupersedeMode {
			want = want[1:]
		}
		if got := w.order(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}

func TestADeploymentThatWaitsCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	w := withConcurrency(t, Queue, 0)
	for _, id := range []string{"d-2", "d-3", "d-4"} {
		mustDeploy(t, w, id, config(BlueGreen, nil), false)
	}
	w.try(Withdraw(w.state, "d-3", "not needed", w.now))
	if _, err := Withdraw(w.state, "d-2", "", w.now); refusal(t, err).Reason != "DEPLOYMENT_STATE" {
		t.Errorf("withdrew what is at work: %v", err)
	}
	w.run(time.Hour)
	w.sound(t)
	if got, want := w.order(), []string{"d-3 STOPPED", "d-2 SUCCESSFUL", "d-4 SUCCESSFUL"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if w.ended[0].Reason != "not needed" || w.ended[0].FinishTime.IsZero() {
		t.Errorf("%+v", w.ended[0])
	}
}

// What waits goes with a deleted service.
func TestADeletedServiceEndsWhatWaits(t *testing.T) {
	t.Parallel()
	w := withConcurrency(t, Queue, 0)
	mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
	mustDeploy(t, w, "d-3", config(BlueGreen, nil), false)
	w.try(Delete(w.state, true, w.now))
	w.run(time.Hour)
	w.sound(t)
	if got, want := w.order(), []string{"d-3 STOPPED", "d-2 STOPPED"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
