package engine_test

import (
	"testing"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// wires is the ways to what a worker calls, by what they lead to.
func (w *world) wires() map[string]*wire {
	return map[string]*wire{"runtime": w.runtime.wire, "data plane": w.traffic.wire, "healthcheck": w.health.wire, "hooks": w.hooks.wire}
}

func TestACallThatHangsHoldsUpNoOtherService(t *testing.T) {
	for _, name := range []string{"runtime", "data plane", "healthcheck", "hooks"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				config := withHook(blueGreen(), rollout.PostScaleUp)
				w.create("slow", config)
				w.wires()[name].hang("default/slow")
				w.engine.Wake(key("slow"))
				pass(time.Second)

				w.create("quick", config)
				w.engine.Wake(key("quick"))
				pass(100 * time.Millisecond)
				if got := w.deployment("quick-1").State; got != rollout.Successful {
					t.Errorf("the other service's deployment is %s after 100 ms", got)
				}

				pass(10 * time.Second) // the call is given up after five
				if !w.waits("slow", "no answer in time") {
					t.Errorf("not shown: %+v", w.state("slow").Deployment)
				}
				pass(time.Minute)
				if n := len(w.wires()[name].writes()); n > 40 {
					t.Errorf("%d calls of what does not answer in a minute", n)
				}
				w.wires()[name].release("default/slow")
				w.within(10*time.Second, "the deployment is done", func() bool { return w.deployment("slow-1").State == rollout.Successful })
			})
		})
	}
}

func TestASaveThatHangsIsGivenUpAndTheDeploymentGoesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		held := make(chan struct{})
		w.store.held = held
		w.engine.Wake(key("web"))
		pass(time.Minute)
		if n := w.store.calls(); n > 10 {
			t.Errorf("%d calls of a store that does not answer in a minute", n)
		}
		if got := len(w.runtime.Orders()); got != 0 {
			t.Errorf("%d orders while nothing was saved", got)
		}
		w.store.set(func(m *memory) { m.held = nil })
		w.within(20*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
	})
}

// What an alarm asks for is decided and ordered at once, whoever does not answer.
func TestACallThatHangsDelaysNoAlarm(t *testing.T) {
	for _, name := range []string{"runtime", "data plane", "healthcheck", "hooks"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.live("web", blueGreen())
				w.alarms.set("errors", alarmspb.MetricAlarm_STATE_OK)
				w.wires()[name].hang("default/web")
				config := withHook(withAlarm(baking(time.Hour), "errors"), rollout.PreScaleUp)
				w.deploy(w.state("web"), "web-2", config)
				w.engine.Wake(key("web"))
				pass(12 * time.Second) // a call is under way or is waited out
				w.alarms.set("errors", alarmspb.MetricAlarm_STATE_ALARM)
				pass(50 * time.Millisecond)
				if d := w.deployment("web-2"); d.Rollback == nil {
					t.Errorf("no rollback after 50 ms: %s at %s", d.State, d.Stage)
				}
				w.wires()[name].release("default/web")
				w.within(30*time.Second, "it is rolled back", func() bool { return w.deployment("web-2").State == rollout.RollbackSuccessful })
			})
		})
	}
}
