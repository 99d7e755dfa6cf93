package engine_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// brokenStream is a source of facts that is lost while a deployment needs it.
type brokenStream struct {
	wire    func(w *world) *wire
	cut     func(w *world)
	config  rollout.Config
	at      rollout.Stage  // where the deployment is when it is lost, and stays
	begin   func(w *world) // before the deployment begins
	missed  func(w *world) // what happens that the stream would have told
	waits   string         // what is said to be waited for
	outcome string         // the event that comes of what was missed
	ends    rollout.DeploymentState
}

func brokenStreams() map[string]brokenStream {
	bake := baking(10 * time.Second)
	return map[string]brokenStream{
		"runtime": {
			wire: func(w *world) *wire { return w.runtime.wire }, cut: func(w *world) { w.runtime.cut() }, config: bake, at: rollout.BakeTime,
			missed: func(w *world) { w.runtime.Exit("web-1-1", 1) }, waits: "the runtime cannot be reached",
			outcome: rollout.EventTaskFailed, ends: rollout.Successful,
		},
		"data plane": {
			wire: func(w *world) *wire { return w.traffic.wire }, cut: func(w *world) { w.traffic.cut() }, config: blueGreen(), at: rollout.TestTrafficShift,
			begin: func(w *world) { w.traffic.cut() }, waits: "traffic weights to be in force", outcome: rollout.EventTrafficShifted, ends: rollout.Successful,
		},
		"healthcheck": {
			wire: func(w *world) *wire { return w.health.wire }, config: bake, at: rollout.BakeTime,
			cut:    func(w *world) { w.health.wire.cut(); w.health.feed.cut() },
			missed: func(w *world) { w.health.fail("web-a") }, waits: "the healthcheck service cannot be reached",
			outcome: rollout.EventTaskFailed, ends: rollout.Stopped,
		},
		"hooks": {
			wire: func(w *world) *wire { return w.hooks.wire }, config: withHook(blueGreen(), rollout.PostScaleUp), at: rollout.PostScaleUp,
			begin:  func(w *world) { w.hooks.state = hookspb.Invocation_STATE_IN_PROGRESS },
			cut:    func(w *world) { w.hooks.wire.cut(); w.hooks.feed.cut() },
			missed: func(w *world) { w.hooks.end() }, waits: "the hooks service cannot be reached",
			outcome: rollout.EventHookSucceeded, ends: rollout.Successful,
		},
		"alarms": {
			wire: func(w *world) *wire { return w.alarms.wire }, config: withAlarm(bake, "errors"), at: rollout.BakeTime,
			begin:  func(w *world) { w.alarms.set("errors", alarmspb.MetricAlarm_STATE_OK) },
			cut:    func(w *world) { w.alarms.wire.cut(); w.alarms.feed.cut() },
			missed: func(w *world) { w.alarms.set("errors", alarmspb.MetricAlarm_STATE_ALARM) }, waits: "the alarms service cannot be reached",
			outcome: rollout.EventDeploymentFailed, ends: rollout.Stopped,
		},
	}
}

func TestWhileAStreamIsBrokenNothingGoesOnByWhatItSaidAndASnapshotTellsWhatWasMissed(t *testing.T) {
	for name, s := range brokenStreams() {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				if s.begin != nil {
					s.begin(w)
					synctest.Wait()
				}
				w.create("web", s.config)
				w.engine.Wake(key("web"))
				pass(time.Second)
				if got := w.state("web").Deployment; got == nil || got.Stage != s.at {
					t.Fatalf("not at %s: %+v", s.at, got)
				}
				opened := s.wire(w).opens()
				s.cut(w)
				synctest.Wait()
				if s.missed != nil {
					s.missed(w)
				}
				pass(time.Minute)
				d := w.state("web").Deployment
				if d == nil || d.Stage != s.at || !w.waits("web", s.waits) || slices.Contains(w.happened("web-1"), s.outcome) {
					t.Fatalf("not waiting at %s for %q: %+v, %v", s.at, s.waits, d, w.happened("web-1"))
				}
				fewTries(t, s.wire(w).opens()-opened, time.Minute)
				s.wire(w).mend()
				w.within(time.Minute, "the deployment ends", func() bool { return w.deployment("web-1").State == s.ends })
				if !slices.Contains(w.happened("web-1"), s.outcome) {
					t.Errorf("%s did not come of the snapshot: %v", s.outcome, w.happened("web-1"))
				}
			})
		})
	}
}

// forgetful is a source that, while its stream is broken, loses what it had said.
type forgetful struct {
	wire    func(w *world) *wire
	cut     func(w *world)
	loses   func(w *world)
	noticed func(w *world) bool
}

func TestWhatTheSnapshotOfANewStreamLacksIsGone(t *testing.T) {
	sources := map[string]forgetful{
		"runtime": {
			wire: func(w *world) *wire { return w.runtime.wire }, cut: func(w *world) { w.runtime.cut() },
			loses: func(w *world) {
				_ = w.runtime.Runtime.DeleteTaskSet(w.t.Context(), w.generation("default/web"), "default/web", "web-1")
			},
			noticed: func(w *world) bool { return slices.Equal(w.running("web"), []string{"web-1-3", "web-1-4"}) },
		},
		"data plane": {
			wire: func(w *world) *wire { return w.traffic.wire }, cut: func(w *world) { w.traffic.cut() },
			loses: func(w *world) { _ = w.traffic.Fake.Delete(w.t.Context(), w.generation("default/web"), "default/web") },
			noticed: func(w *world) bool {
				_, routed := w.traffic.Routes("default/web")
				return routed
			},
		},
		"healthcheck": {
			wire: func(w *world) *wire { return w.health.wire }, cut: func(w *world) { w.health.wire.cut(); w.health.feed.cut() },
			loses:   func(w *world) { w.health.create("web-a") },
			noticed: func(w *world) bool { return len(w.health.targets("web-a")) == 2 },
		},
		"hooks": {
			wire: func(w *world) *wire { return w.hooks.wire }, cut: func(w *world) { w.hooks.wire.cut(); w.hooks.feed.cut() },
			loses:   func(w *world) { w.hooks.forget() },
			noticed: func(w *world) bool { return w.hooks.known() == 1 && len(w.hooks.asked()) == 2 },
		},
		"alarms": {
			wire: func(w *world) *wire { return w.alarms.wire }, cut: func(w *world) { w.alarms.wire.cut(); w.alarms.feed.cut() },
			loses:   func(w *world) { w.alarms.forget() },
			noticed: func(w *world) bool { return w.waits("web", "alarm errors does not exist") },
		},
	}
	for name, s := range sources {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.hooks.state = hookspb.Invocation_STATE_IN_PROGRESS
				w.alarms.set("errors", alarmspb.MetricAlarm_STATE_OK)
				at := rollout.PreProductionTrafficShift // its hook holds the deployment
				if name == "alarms" {
					at, w.hooks.state = rollout.PreScaleUp, hookspb.Invocation_STATE_SUCCEEDED
				}
				w.create("web", withHook(withAlarm(baking(time.Minute), "errors"), at))
				w.engine.Wake(key("web"))
				pass(time.Second)
				s.cut(w)
				synctest.Wait()
				s.loses(w)
				pass(time.Second)
				if s.noticed(w) {
					t.Error("noticed before the stream was there again")
				}
				s.wire(w).mend()
				w.within(2*time.Minute, "it is noticed", func() bool { return s.noticed(w) })
			})
		})
	}
}

func TestAStreamThatLastedIsOpenedAgainAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		for range 3 {
			pass(time.Minute)
			opened := w.health.wire.opens()
			w.health.feed.cut()
			pass(100 * time.Millisecond)
			if n := w.health.wire.opens() - opened; n != 1 {
				t.Errorf("opened %d times in 100 ms, want once", n)
			}
		}
	})
}

func TestATargetGroupThatVanishedIsShownAndTheDeploymentGoesOnWhenItIsBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.create("web", blueGreen())
		w.health.vanish("web-a")
		w.engine.Wake(key("web"))
		pass(time.Minute)
		if d := w.deployment("web-1"); d.Stage != rollout.ScaleUp || !w.waits("web", "there is no target group web-a") {
			t.Errorf("not waiting for the target group: %+v", d)
		}
		fewTries(t, len(w.health.wire.writes()), time.Minute)
		w.health.create("web-a")
		w.within(6*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
	})
}

func TestATargetGroupThatVanishesUnderAServiceCostsItNoTask(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		before := w.running("web")
		w.health.vanish("web-a")
		pass(time.Minute)
		if !w.waits("web", "there is no target group web-a") {
			t.Errorf("not shown: %+v", w.state("web").Service.Conditions)
		}
		w.health.create("web-a")
		w.within(6*time.Second, "the service is steady again", func() bool { return w.state("web").Service.Steady })
		if got := w.running("web"); !slices.Equal(got, before) || !slices.Equal(w.health.targets("web-a"), before) {
			t.Errorf("running %v with targets %v, want %v", got, w.health.targets("web-a"), before)
		}
		if w.waits("web", "there is no target group") {
			t.Error("the condition stands though the target group is back")
		}
	})
}

// Nothing that is observed changes here when the trouble is over.
func TestTroubleThatIsOverIsNotShownAnyMore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.live("web", blueGreen())
		w.runtime.wire.failWith(problem.New(problem.Unavailable, "", "the runtime is full"))
		w.restart()
		pass(time.Minute)
		if !w.waits("web", "the runtime is full") {
			t.Fatalf("not shown: %+v", w.state("web").Service.Conditions)
		}
		w.runtime.wire.failWith(nil)
		pass(10 * time.Second)
		if w.waits("web", "the runtime is full") {
			t.Error("still shown")
		}
	})
}
