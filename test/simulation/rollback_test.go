package simulation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/simulation"
)

// The stable revision itself falls ill, then a deployment fails whose rollback so has nothing healthy to return to. It ends, and a
// fix can be shipped.
func TestAFixShipsThoughNothingIsHealthy(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR"} {
		for _, broken := range []simulation.Mood{simulation.ExitsSoon, simulation.NoStart, simulation.Hangs, simulation.DiesLate} {
			for _, supersede := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, supersede %t", strategy, broken, supersede), func(t *testing.T) {
					t.Parallel()
					plan := simulation.Story(2, simulation.Settings{Strategy: strategy, Bake: 5 * time.Minute},
						deployment{ID: "d-2", Tasks: broken}, deployment{ID: "d-3", Supersede: supersede})
					plan.Deployments[0].Tasks = simulation.Sickens
					expect(t, plan, "d-3 SUCCESSFUL")
				})
			}
		}
	}
}

// The first deployment fails: there is nothing to return to.
func TestAFirstDeploymentThatFailsEnds(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN"} {
		for _, broken := range []simulation.Mood{simulation.ExitsSoon, simulation.NoStart, simulation.Hangs} {
			t.Run(fmt.Sprintf("%s, %s", strategy, broken), func(t *testing.T) {
				t.Parallel()
				plan := simulation.Story(2, simulation.Settings{Strategy: strategy}, deployment{ID: "d-2"})
				plan.Deployments[0].Tasks = broken
				expect(t, plan, "d-1 STOPPED", "d-2 SUCCESSFUL")
			})
		}
	}
}
