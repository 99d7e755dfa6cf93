package engine_test

import (
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func TestAWorkerSleepsUntilTheVeryTimeThatTheDecisionNamed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", baking(10*time.Minute))
		w.engine.Wake(key("web"))
		pass(time.Minute)
		until := w.deployment("web-1").BakeUntil
		if left := time.Until(until); left != 9*time.Minute {
			t.Fatalf("%s of the bake time are left", left)
		}
		looked, tried := w.asked.Load(), w.store.calls()
		pass(time.Until(until) - time.Millisecond)
		if n := w.asked.Load() - looked; n != 0 {
			t.Errorf("looked at the clock %d times while there was nothing to do", n)
		}
		if n := w.store.calls() - tried; n != 0 {
			t.Errorf("called the store %d times while there was nothing to do", n)
		}
		if got := w.deployment("web-1").State; got != rollout.InProgress {
			t.Errorf("%s before the bake time was over", got)
		}
		pass(time.Millisecond)
		if d := w.deployment("web-1"); d.State != rollout.Successful || !d.FinishTime.Equal(until) {
			t.Errorf("%s at %s, want SUCCESSFUL at %s", d.State, d.FinishTime, until)
		}
	})
}

func TestAnObservationIsActedOnAtOnceThoughTheWorkerSleeps(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", baking(10*time.Minute))
		w.engine.Wake(key("web"))
		pass(time.Minute)
		w.runtime.Exit("web-1-1", 1)
		pass(time.Millisecond)
		if n := count(w.happened("web-1"), rollout.EventTaskFailed); n != 1 {
			t.Errorf("the failure of a task was counted %d times within 1 ms", n)
		}
	})
}

func TestARestartNeitherLosesABakeTimeNorBeginsItAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", baking(10*time.Minute))
		w.engine.Wake(key("web"))
		pass(4 * time.Minute)
		until := w.deployment("web-1").BakeUntil
		w.engine.Stop()
		pass(3 * time.Minute)
		w.restart()
		w.within(time.Hour, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
		if got := w.deployment("web-1").FinishTime; !got.Equal(until) {
			t.Errorf("done at %s, want %s", got, until)
		}
	})
}

func TestABakeTimeThatEndsWhileNoEngineRunsIsOverAtTheStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", baking(time.Minute))
		w.engine.Wake(key("web"))
		pass(time.Second)
		w.engine.Stop()
		pass(time.Hour)
		w.restart()
		if got := w.deployment("web-1").State; got != rollout.Successful {
			t.Errorf("%s", got)
		}
	})
}
