package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// A goroutine that outlives its engine would outlive the bubble, which fails the test.
func TestStopEndsEveryGoroutineWhateverItWaitsFor(t *testing.T) {
	waits := map[string]func(w *world){
		"nothing":         func(*world) {},
		"time":            func(w *world) { w.create("web", baking(time.Hour)) },
		"the runtime":     func(w *world) { w.create("web", blueGreen()); w.runtime.wire.hang("default/web") },
		"the data plane":  func(w *world) { w.create("web", blueGreen()); w.traffic.wire.hang("default/web") },
		"the healthcheck": func(w *world) { w.create("web", blueGreen()); w.health.wire.hang("default/web") },
		"a hook": func(w *world) {
			w.create("web", withHook(blueGreen(), rollout.PreScaleUp))
			w.hooks.wire.hang("default/web")
		},
		"a save":            func(w *world) { w.create("web", blueGreen()); w.store.held = make(chan struct{}) },
		"a repeated save":   func(w *world) { w.create("web", blueGreen()); w.store.unsavable = key("web") },
		"a repeated stream": func(w *world) { w.health.wire.cut(); w.health.feed.cut() },
	}
	for name, begin := range waits {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				begin(w)
				if name != "nothing" && name != "a repeated stream" {
					w.engine.Wake(key("web"))
				}
				pass(time.Second)
				began := time.Now()
				w.engine.Stop()
				if took := time.Since(began); took != 0 {
					t.Errorf("stopped after %s", took)
				}
				tries := w.store.calls()
				w.engine.Wake(key("web"))
				pass(time.Minute)
				if w.store.calls() != tries {
					t.Error("something works after Stop")
				}
			})
		})
	}
}

func TestStopReturnsWhenTheLastGoroutineHasEnded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		w.runtime.wire.deaf = true
		w.runtime.wire.hang("default/web")
		w.engine.Wake(key("web"))
		pass(time.Second)
		stopped := make(chan struct{})
		go func() {
			w.engine.Stop()
			close(stopped)
		}()
		pass(time.Minute)
		select {
		case <-stopped:
			t.Error("stopped while a call was under way")
		default:
		}
		w.runtime.wire.release("default/web")
		<-stopped
	})
}

func TestAnEngineThatWasNotStartedCanBeStopped(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) { w.engine.Stop() })
}

func remove(s rollout.State) (rollout.Decision, error) { return rollout.Delete(s, true, time.Now()) }

func (w *world) gone(name string) bool {
	_, routed := w.traffic.Routes("default/" + name)
	return w.state(name).Service.Phase == rollout.Inactive && !w.engine.Works(key(name)) && len(w.running(name)) == 0 && !routed
}

func TestAServiceThatWasDeletedIsLetGoOf(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.live("other", blueGreen())
		w.command("web", remove)
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the service is gone", func() bool { return w.gone("web") })
		if got := w.health.targets("web-a"); len(got) != 0 {
			t.Errorf("targets left: %v", got)
		}
		if !w.engine.Works(key("other")) {
			t.Error("the other service was let go of too")
		}
		w.restart()
		if w.engine.Works(key("web")) {
			t.Error("the next engine works on it")
		}
	})
}

func TestAServiceThatIsCreatedAgainIsWorkedOnAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.command("web", remove)
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the service is gone", func() bool { return w.gone("web") })

		old := w.state("web").Service
		w.deploy(rollout.NewService(&old, old.Cluster, old.Name, old.Spec), "web-again", blueGreen())
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the deployment is done", func() bool { return w.deployment("web-again").State == rollout.Successful })
	})
}

func TestTheRoutesOfAServiceDeletedWhileTheDataPlaneWasAwayAreTakenDownWhenItIsBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.traffic.cut()
		synctest.Wait()
		w.command("web", remove)
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the service is deleted", func() bool { return w.state("web").Service.Phase == rollout.Inactive })
		pass(time.Minute)
		w.traffic.wire.mend()
		w.within(time.Minute, "the service is gone", func() bool { return w.gone("web") })
	})
}

func TestTheRoutesOfAServiceWhoseEngineEndedAsItWasDeletedAreTakenDownByTheNext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.traffic.wire.failWith(errUnreachable)
		w.command("web", remove)
		w.engine.Wake(key("web"))
		w.within(time.Minute, "the service is deleted", func() bool { return w.state("web").Service.Phase == rollout.Inactive })
		w.traffic.wire.failWith(nil)
		w.engine.Stop()
		if _, routed := w.traffic.Routes("default/web"); !routed {
			t.Fatal("the routes are gone already")
		}
		w.restart()
		w.within(time.Minute, "the service is gone", func() bool { return w.gone("web") })
	})
}

func TestTheRoutesOfAServiceThatTheStoreDoesNotKnowAreLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		foreign := traffic.Routes{
			Service:      "default/foreign",
			Listeners:    []traffic.Listener{{Name: "production", Address: "127.0.0.1:80", Forward: []traffic.WeightedTargetGroup{{TargetGroup: "f", Weight: 1000}}}},
			TargetGroups: []traffic.TargetGroup{{Name: "f"}},
		}
		if err := w.traffic.Fake.Apply(t.Context(), 7, foreign); err != nil {
			t.Fatal(err)
		}
		w.start()
		pass(time.Minute)
		if _, routed := w.traffic.Routes("default/foreign"); !routed {
			t.Error("taken down")
		}
		if w.engine.Works(key("foreign")) {
			t.Error("the engine goes on looking for it")
		}
	})
}

func TestReadersAreToldOfAChangeOnceItIsSaved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		held := make(chan struct{})
		w.store.held = held
		listeners := []*watch.Listener[string]{w.engine.Listen("deployment:web-1"), w.engine.Listen(engine.EventsKey)}
		w.engine.Wake(key("web"))
		pass(time.Second)
		for _, l := range listeners {
			if l.Count() != 0 {
				t.Error("readers were told while the save was under way")
			}
		}
		w.store.set(func(m *memory) { m.held = nil })
		close(held)
		w.within(time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
		for _, l := range listeners {
			if l.Count() == 0 {
				t.Error("readers were not told")
			}
		}
	})
}
