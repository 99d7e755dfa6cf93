package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

func TestWhileTheStoreCannotBeReachedADeploymentWaits(t *testing.T) {
	for name, loaded := range map[string]bool{"at its first load": false, "at a save": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.create("web", withHook(baking(10*time.Second), rollout.PostScaleUp))
				if loaded {
					w.engine.Wake(key("web"))
					pass(time.Second)
				}
				w.store.set(func(m *memory) { m.down, m.tries = errDatabase, 0 })
				w.engine.Wake(key("web"))
				writes := len(w.runtime.Orders())
				pass(time.Minute)
				fewTries(t, w.store.calls(), time.Minute)
				if n := len(w.runtime.Orders()); n != writes {
					t.Errorf("%d orders while nothing could be saved", n-writes)
				}
				w.store.set(func(m *memory) { m.down = nil })
				w.within(20*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
			})
		})
	}
}

func TestAnEngineThatCannotLoadDoesNotStartAndMayBeStartedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create("web", blueGreen())
		w.store.down = errDatabase
		if err := w.engine.Start(t.Context()); err == nil {
			t.Fatal("started")
		}
		w.engine.Wake(key("web"))
		if w.engine.Works(key("web")) {
			t.Error("an engine that did not start works")
		}
		w.store.down = nil
		w.start()
		w.within(time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
	})
}

func TestAServiceThatCannotBeSavedStopsNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.store.unsavable = key("bad")
		held := make(chan struct{})
		w.store.held = held // so that the saves of all gather behind the first
		for _, name := range []string{"first", "bad", "good"} {
			w.create(name, blueGreen())
			w.engine.Wake(key(name))
			pass(time.Millisecond)
		}
		w.store.set(func(m *memory) { m.held = nil })
		close(held)
		pass(10 * time.Millisecond) // before anything is tried again
		for _, name := range []string{"first-1", "good-1"} {
			if got := w.deployment(name).State; got != rollout.Successful {
				t.Errorf("%s is %s", name, got)
			}
		}
		if got := w.deployment("bad-1").State; got != rollout.Pending {
			t.Errorf("the one that cannot be saved is %s", got)
		}
		w.store.set(func(m *memory) { m.unsavable = store.Key{} })
		w.within(10*time.Second, "all are done", func() bool { return w.deployment("bad-1").State == rollout.Successful })
	})
}

func TestATaskSetThatCouldNotBeDeletedIsDeletedLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.deploy(w.state("web"), "web-2", withHook(blueGreen(), rollout.PostScaleUp))
		refused := problem.New(problem.Unavailable, "", "the runtime is away")
		w.runtime.refuseDeletes(refused)
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the deployment is done", func() bool { return w.deployment("web-2").State == rollout.Successful })
		pass(time.Second)
		deleted := func() bool {
			return slices.ContainsFunc(w.runtime.Orders(), func(o order) bool { return o.Deleted && o.Set.ID == "web-1" })
		}
		if deleted() {
			t.Fatal("deleted, though it was refused")
		}
		w.runtime.refuseDeletes(nil)
		w.within(10*time.Second, "the old task set is deleted", deleted)
	})
}
