package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func TestOfADecisionWhoseSaveWasOvertakenNothingIsDone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		before := len(w.runtime.Orders())
		w.command("web", wanted(5))
		lost := w.generation("default/web") + 1 // what the engine will decide on 5 tasks with
		w.store.set(func(m *memory) { m.overtake = func() { w.command("web", wanted(3)) } })
		w.engine.Wake(key("web"))
		w.within(time.Second, "three tasks run", func() bool { return len(w.running("web")) == 3 })
		for _, order := range w.runtime.Orders()[before:] {
			if order.Generation == lost || len(order.Set.Tasks) > 3 {
				t.Errorf("the lost decision was acted on: %+v", order)
			}
		}
	})
}

func TestASaveWhoseAnswerWasLostIsNotMadeTwice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		w.store.set(func(m *memory) { m.lost = 1 })
		w.engine.Wake(key("web"))
		w.within(time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
		if n := count(w.happened("web-1"), rollout.EventDeploymentInProgress); n != 1 {
			t.Errorf("the deployment began %d times", n)
		}
		if got := w.running("web"); len(got) != 2 {
			t.Errorf("running: %v", got)
		}
	})
}

func TestTwoEnginesAtWorkOnOneServiceDoItsDeploymentOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		second := w.another()
		w.create("web", withHook(baking(time.Minute), rollout.PostScaleUp))
		w.start()
		if err := second.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.within(2*time.Minute, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
		// The store fails the test on a gap or a repeat in the events, the wires on a write that is not saved.
		if got := w.running("web"); !slices.Equal(got, []string{"web-1-1", "web-1-2"}) {
			t.Errorf("running: %v", got)
		}
		if n := w.hooks.known(); n != 1 {
			t.Errorf("%d invocations", n)
		}
	})
}

// What a worker has brought about is no longer so when another engine has been at work on the service.
func TestWhatAnotherEngineChangedIsBroughtAboutAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.plain("web")
		w.bring("web")
		second := w.another()
		if err := second.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()

		w.command("web", wanted(3)) // the first engine is not told, and so thinks that two tasks are listed
		second.Wake(key("web"))
		w.within(time.Second, "three tasks run", func() bool { return len(w.running("web")) == 3 })

		w.command("web", wanted(2))
		w.runtime.wire.failWith(errUnreachable)
		second.Wake(key("web"))
		w.within(time.Minute, "two tasks are wanted", func() bool { return len(w.state("web").Service.TaskSets[0].Tasks) == 2 })
		second.Stop() // before it could tell the runtime
		w.runtime.wire.failWith(nil)

		w.engine.Wake(key("web"))
		w.within(time.Minute, "two tasks run", func() bool { return len(w.running("web")) == 2 })
	})
}

func TestNothingIsDoneBeforeItIsSaved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", withHook(baking(time.Minute), rollout.PreScaleUp))
		writes := func() int {
			return len(w.runtime.wire.writes()) + len(w.traffic.wire.writes()) + len(w.health.wire.writes()) + len(w.hooks.wire.writes())
		}
		for step := range 3 {
			held := make(chan struct{})
			w.store.set(func(m *memory) { m.held = held })
			saves := w.store.saves()
			w.engine.Wake(key("web"))
			pass(time.Second)
			before := writes()
			pass(8 * time.Second) // the store answers within ten
			if step == 0 && before != 0 || writes() != before {
				t.Errorf("step %d: %d writes, then %d while the save was under way", step, before, writes())
			}
			w.store.set(func(m *memory) { m.held = nil })
			close(held)
			synctest.Wait()
			if w.store.saves() == saves {
				t.Errorf("step %d: nothing was saved", step)
			}
			w.command("web", wanted(3+step))
		}
		w.engine.Wake(key("web"))
		// Each write that arrives is checked against what is saved.
		w.within(2*time.Minute, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
	})
}

// stale is the receivers of writes, each with a way to show it a newer generation than the worker's.
func stale(w *world) map[string]struct {
	wire *wire
	see  func(generation int64) error
} {
	see := func(to *wire) func(int64) error {
		return func(generation int64) error {
			to.set(func(to *wire) { to.highest["default/web"] = generation })
			return nil
		}
	}
	return map[string]struct {
		wire *wire
		see  func(generation int64) error
	}{
		"runtime": {w.runtime.wire, func(generation int64) error {
			return w.runtime.Runtime.DeleteTaskSet(context.Background(), generation, "default/web", "none")
		}},
		"data plane": {w.traffic.wire, func(generation int64) error {
			return w.traffic.Fake.Delete(context.Background(), generation, "default/web")
		}},
		"healthcheck": {w.health.wire, see(w.health.wire)},
		"hooks":       {w.hooks.wire, see(w.hooks.wire)},
	}
}

func TestAWorkerWhoseWriteIsStaleLoadsTheStateAgain(t *testing.T) {
	for _, name := range []string{"runtime", "data plane", "healthcheck", "hooks"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.create("web", withHook(blueGreen(), rollout.PostScaleUp))
				receiver := stale(w)[name]
				var newer int64
				receiver.wire.set(func(to *wire) {
					to.once = func(string, int64) { // another engine went on and was heard before this write
						w.command("web", wanted(3))
						newer = w.generation("default/web")
						if err := receiver.see(newer); err != nil {
							t.Error(err)
						}
					}
				})
				w.engine.Wake(key("web"))
				w.within(time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
				if got := w.running("web"); len(got) != 3 {
					t.Errorf("running: %v, want the three of the newer state", got)
				}
				older := 0
				for _, write := range receiver.wire.writes() {
					if write.generation < newer {
						older++
					}
				}
				if older != 1 {
					t.Errorf("%d writes with an older generation, want the one that was refused", older)
				}
				if w.waits("web", "generation") {
					t.Errorf("the refusal is still shown: %+v", w.state("web").Service.Conditions)
				}
			})
		})
	}
}

// A receiver may have seen more than the store knows of, when the store was restored from a backup.
func TestARefusalThatLastsIsShownAndNotRepeatedWithoutEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		w.runtime.wire.failWith(problem.New(problem.Aborted, "STALE_GENERATION", "a newer generation has been seen"))
		w.engine.Wake(key("web"))
		pass(time.Minute)
		if !w.waits("web", "a newer generation has been seen") {
			t.Errorf("not shown: %+v", w.state("web").Deployment.Conditions)
		}
		fewTries(t, len(w.runtime.wire.writes()), time.Minute)
		w.runtime.wire.failWith(nil)
		w.within(10*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
	})
}

// fewTries checks that something was tried on and on, and with growing delays: 50 ms, doubling to 5 s.
func fewTries(t *testing.T, n int, during time.Duration) {
	t.Helper()
	least, most := int(during/(5*time.Second)), int(during/(5*time.Second))+12
	if n < least || n > most {
		t.Errorf("%d tries in %s, want %d to %d", n, during, least, most)
	}
}

func count(list []string, s string) (n int) {
	for _, other := range list {
		if other == s {
			n++
		}
	}
	return n
}
