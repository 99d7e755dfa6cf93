package simulation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/simulation"
)

// crashStories go through every kind of step.
func crashStories() map[string]simulation.Plan {
	type d = simulation.Deployment
	all := []string{"PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"}
	return map[string]simulation.Plan{
		"rolling":                  simulation.Story(2, simulation.Settings{Strategy: "ROLLING", Bake: time.Minute}, d{ID: "d-2"}),
		"rolling, circuit breaker": simulation.Story(2, simulation.Settings{Strategy: "ROLLING"}, d{ID: "d-2", Tasks: simulation.ExitsSoon}),
		"blue/green with hooks":    simulation.Story(1, simulation.Settings{Bake: time.Minute, Hooks: all}, d{ID: "d-2"}),
		"blue/green, a hook fails": simulation.Story(1, simulation.Settings{Hooks: []string{"POST_PRODUCTION_TRAFFIC_SHIFT"}}, d{ID: "d-2", Hooks: simulation.Fails}),
		"canary, alarm in bake":    simulation.Story(2, simulation.Settings{Strategy: "CANARY", Bake: 5 * time.Minute, Alarms: true}, d{ID: "d-2", Alarm: simulation.BurnsAtBake}),
		"steps with a pause":       simulation.Story(1, simulation.Settings{Strategy: "STEPS"}, d{ID: "d-2"}),
		"linear, tasks fail":       simulation.Story(1, simulation.Settings{Strategy: "LINEAR"}, d{ID: "d-2", Tasks: simulation.ExitsSoon}),
	}
}

// TestACrashAtEveryCallChangesNothing kills the only process at each of its calls to the outside, before and after the call is
// carried out: between observe, decide, persist and converge there is no other point that the outside could tell. The next
// process ends every deployment as it ends without a crash.
func TestACrashAtEveryCallChangesNothing(t *testing.T) {
	t.Parallel()
	for name, story := range crashStories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calm := play(t, story)
			if len(calm.Violations) > 0 {
				tell(t, calm, calm.Violations...)
				return
			}
			for at := 1; at <= calm.Calls; at++ {
				for _, after := range []bool{false, true} {
					plan := story
					plan.CrashAt, plan.CrashAfter = at, after
					t.Run(fmt.Sprintf("call %d, after %t", at, after), func(t *testing.T) {
						r := play(t, plan)
						wrong := r.Violations
						if r.Outcome != calm.Outcome {
							wrong = append(wrong, "it does not end as without a crash:\n"+difference(calm.Outcome, r.Outcome))
						}
						if len(wrong) > 0 {
							tell(t, r, wrong...)
						}
					})
				}
			}
			t.Logf("%d crashes", 2*calm.Calls)
		})
	}
}
