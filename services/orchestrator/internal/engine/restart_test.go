package engine_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func TestANewEngineAsksForTheSameAgainAndNothingChanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		pass(time.Minute)
		orders, routes, tasks, sets := w.runtime.Orders(), w.traffic.Applies(), w.runtime.Tasks(), w.state("web").Service.TaskSets
		registered := len(w.health.wire.writes())
		w.restart()
		pass(time.Minute)

		ordered := w.runtime.Orders()[len(orders):]
		if len(ordered) != 1 || !reflect.DeepEqual(ordered[0].Set, orders[len(orders)-1].Set) {
			t.Errorf("ordered %+v, want %+v once more", ordered, orders[len(orders)-1])
		}
		applied := w.traffic.Applies()[len(routes):]
		if len(applied) == 0 {
			t.Error("the routes were not applied again")
		}
		for _, a := range applied {
			if !reflect.DeepEqual(a.Routes, routes[len(routes)-1].Routes) {
				t.Errorf("applied %+v, want %+v", a.Routes, routes[len(routes)-1].Routes)
			}
		}
		if got := w.runtime.Tasks(); !reflect.DeepEqual(got, tasks) {
			t.Errorf("tasks %+v, want %+v", got, tasks)
		}
		if got := w.state("web").Service.TaskSets; !reflect.DeepEqual(got, sets) {
			t.Errorf("task sets %+v, want %+v", got, sets)
		}
		if n := len(w.health.wire.writes()) - registered; n != 0 {
			t.Errorf("%d registrations of targets that the healthcheck service shows", n)
		}
	})
}

// An engine that ends between persist and converge leaves the rest to the next one.
func TestWhatWasSavedAndNotDoneIsDoneByTheNextEngine(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", withHook(blueGreen(), rollout.PostScaleUp))
		for _, wire := range []*wire{w.runtime.wire, w.traffic.wire, w.health.wire, w.hooks.wire} {
			wire.failWith(errUnreachable)
			w.engine.Wake(key("web"))
			pass(time.Second)
			w.engine.Stop()
			wire.failWith(nil)
			w.engine = w.another()
			w.engine.Wake(key("web")) // says nothing to an engine that does not run
			w.start()
		}
		w.within(time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
		if got := w.running("web"); !slices.Equal(got, []string{"web-1-1", "web-1-2"}) {
			t.Errorf("running: %v", got)
		}
	})
}
