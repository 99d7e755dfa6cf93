package simulation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/simulation"
)

type deployment = simulation.Deployment

// expect plays a plan and checks that no invariant is broken and that the outcome has each of the lines that begin so.
func expect(t *testing.T, plan simulation.Plan, lines ...string) {
	t.Helper()
	r := play(t, plan)
	wrong := r.Violations
	for _, want := range lines {
		if !strings.Contains("\n"+r.Outcome, "\n"+want) {
			wrong = append(wrong, fmt.Sprintf("want %q, got\n%s", want, r.Outcome))
		}
	}
	if len(wrong) > 0 {
		tell(t, r, wrong...)
	}
}

// fault is a kind of fault and where it strikes.
type fault struct {
	kind simulation.Fault
	at   string
}

// storms plays infrastructure seeds in which nothing but one kind of fault happens, and that often, and compares them with
// the same seeds without faults.
func storms(t *testing.T, seeds, replicas int, faults ...fault) {
	t.Helper()
	for _, f := range faults {
		t.Run(strings.TrimSpace(string(f.kind)+" "+f.at), func(t *testing.T) {
			t.Parallel()
			made := 0
			for n := range seeds {
				plan := simulation.NewPlan(int64(n * 2)) // even ones are of infrastructure
				plan.Only, plan.At, plan.Chance, plan.Budget = f.kind, f.at, 250, 60
				plan.Replicas, plan.Leases, plan.Skew = replicas, replicas > 1, make([]time.Duration, replicas)
				r := play(t, plan)
				calm := play(t, plan.Faultless())
				wrong := r.Violations
				if r.Outcome != calm.Outcome {
					wrong = append(wrong, "it does not end as without faults:\n"+difference(calm.Outcome, r.Outcome))
				}
				if len(wrong) > 0 {
					tell(t, r, wrong...)
				}
				for _, n := range r.Faults {
					made += n
				}
			}
			if made == 0 {
				t.Error("no fault was made")
			}
			t.Logf("%d faults in %d seeds", made, seeds)
		})
	}
}

// A process that is stopped at any call and woken after its lease finds that it holds nothing any more: its saves lose the
// compare-and-swap and its writes are refused by generation.
func TestAReplicaThatIsStoppedAndWokenDoesNoHarm(t *testing.T) {
	t.Parallel()
	storms(t, 40, 2, fault{kind: simulation.Paused}, fault{simulation.Paused, "save"}, fault{simulation.LeaseMoved, ""})
	storms(t, 40, 1, fault{kind: simulation.Paused})
}

// Work changes hands all the time between two replicas that hear late what happens: who takes over knows nothing yet.
func TestAReplicaThatTakesOverActsOnNothingOld(t *testing.T) {
	t.Parallel()
	for n := range 60 {
		plan := simulation.NewPlan(int64(n * 2))
		plan.Replicas, plan.Leases, plan.Skew = 2, true, make([]time.Duration, 2)
		plan.Only, plan.Chance, plan.Budget, plan.Moves = simulation.LateNews, 300, 400, 250
		r, calm := play(t, plan), play(t, plan.Faultless())
		wrong := r.Violations
		if r.Outcome != calm.Outcome {
			wrong = append(wrong, "it does not end as without faults:\n"+difference(calm.Outcome, r.Outcome))
		}
		if len(wrong) > 0 {
			tell(t, r, wrong...)
		}
	}
}

func TestADatabaseThatFailsInEveryWay(t *testing.T) {
	t.Parallel()
	storms(
		t, 40, 1,
		fault{simulation.Lost, "save"}, fault{simulation.AnswerLost, "save"}, fault{simulation.Delayed, "save"},
		fault{simulation.Late, "save"}, fault{simulation.Lost, "read"}, fault{simulation.Delayed, "read"},
		fault{simulation.CrashAfter, "save"}, fault{simulation.CrashBefore, "save"},
	)
}

func TestCallsAndObservationsThatAreLostLateOrDoubled(t *testing.T) {
	t.Parallel()
	storms(
		t, 30, 1,
		fault{kind: simulation.Lost}, fault{kind: simulation.AnswerLost}, fault{kind: simulation.Delayed}, fault{kind: simulation.Late},
		fault{kind: simulation.Doubled}, fault{kind: simulation.Broken}, fault{kind: simulation.LateNews}, fault{kind: simulation.DoubleNews},
	)
}

// The clocks of replicas differ by what lease.Leases.Time leaves of any error.
func TestClocksThatDifferNeitherCutNorDoubleABakeTime(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		plan := simulation.NewPlan(int64(n * 2))
		plan.Only, plan.Chance, plan.Budget = simulation.LeaseMoved, 500, 60
		plan.Replicas, plan.Leases, plan.Skew = 2, true, []time.Duration{-250 * time.Millisecond, 250 * time.Millisecond}
		r := play(t, plan)
		calm := play(t, plan.Faultless())
		wrong := r.Violations
		if r.Outcome != calm.Outcome {
			wrong = append(wrong, difference(calm.Outcome, r.Outcome))
		}
		if longer := r.Lasted - calm.Lasted; longer > 3*time.Minute {
			wrong = append(wrong, fmt.Sprintf("it takes %s longer than with one clock", longer))
		}
		if len(wrong) > 0 {
			tell(t, r, wrong...)
		}
	}
}

func TestHooksAtTheirWorst(t *testing.T) {
	t.Parallel()
	rolledBack := "d-2 ROLLBACK_SUCCESSFUL HOOK_EXECUTION_FAILURE"
	for mood, want := range map[simulation.Mood]string{
		simulation.Succeeds: "d-2 SUCCESSFUL", simulation.Fails: rolledBack, simulation.AsksTwice: "d-2 SUCCESSFUL",
		simulation.Silent: rolledBack, simulation.AnswersTwice: "d-2 SUCCESSFUL", simulation.AnswersLate: "d-2 SUCCESSFUL",
		simulation.OtherAttempt: "d-2 SUCCESSFUL", simulation.Errors: "d-2 SUCCESSFUL",
	} {
		for _, stage := range []string{"PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"} {
			for _, strategy := range []string{"BLUE_GREEN", "CANARY"} {
				t.Run(fmt.Sprintf("%s at %s of %s", mood, stage, strategy), func(t *testing.T) {
					t.Parallel()
					expect(t, simulation.Story(2, simulation.Settings{Strategy: strategy, Hooks: []string{stage}}, deployment{ID: "d-2", Hooks: mood}), "d-1 SUCCESSFUL", want)
				})
			}
		}
	}
}

// A user stops a deployment while its hook does not answer: nobody waits for it any more, and it is canceled.
func TestHooksThatAreGivenUpAreCanceled(t *testing.T) {
	t.Parallel()
	for _, what := range []string{simulation.ActStop, simulation.ActAbort, simulation.ActDeploy} {
		for save := 1; save <= 12; save++ {
			s := simulation.Settings{Hooks: []string{"PRE_SCALE_UP", "POST_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT"}}
			acts := []simulation.Act{{Save: save, What: what}}
			expect(t, simulation.Story(1, s, deployment{ID: "d-2", Hooks: simulation.Silent, Acts: acts}, deployment{ID: "d-3"}), "d-3 SUCCESSFUL")
		}
	}
}

func TestAlarmsAtTheirWorst(t *testing.T) {
	t.Parallel()
	for mood, want := range map[simulation.Mood]string{
		simulation.Quiet: "d-2 SUCCESSFUL", simulation.NoData: "d-2 SUCCESSFUL", simulation.BurnsBefore: "d-2 SUCCESSFUL",
		simulation.BurnsAtBake: "d-2 ROLLBACK_SUCCESSFUL ALARM_ACTIVE", simulation.Flaps: "d-2 ROLLBACK_SUCCESSFUL ALARM_ACTIVE",
	} {
		for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR", "STEPS"} {
			t.Run(fmt.Sprintf("%s, %s", mood, strategy), func(t *testing.T) {
				t.Parallel()
				s := simulation.Settings{Strategy: strategy, Bake: 5 * time.Minute, Alarms: true}
				expect(t, simulation.Story(2, s, deployment{ID: "d-2", Alarm: mood}), "d-1 SUCCESSFUL", want)
			})
		}
	}
}

// Each act of a user, before and right after each save of a deployment: every race that there can be with the engine.
func TestUsersAtEveryMoment(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "STEPS"} {
		for _, what := range simulation.Acts() {
			t.Run(strategy+", "+what, func(t *testing.T) {
				t.Parallel()
				s := simulation.Settings{Strategy: strategy, Bake: time.Minute, Hooks: []string{"POST_SCALE_UP"}}
				if strategy == "ROLLING" {
					s.Hooks = nil
				}
				saves := play(t, simulation.Story(2, s, deployment{ID: "d-2"})).Saves
				for save := 1; save <= saves; save++ {
					for _, before := range []bool{false, true} {
						acts := []simulation.Act{{Save: save, Before: before, What: what}}
						expect(t, simulation.Story(2, s, deployment{ID: "d-2", Acts: acts}, deployment{ID: "d-3"}), "d-1 SUCCESSFUL", "d-3 SUCCESSFUL")
					}
				}
				t.Logf("%d runs", 2*saves)
			})
		}
	}
}

// A deployment supersedes one that bakes, and one that rolls back.
func TestADeploymentTakesThePlaceOfOneInBakeOrRollback(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR"} {
		for _, tasks := range []simulation.Mood{simulation.Good, simulation.ExitsSoon, simulation.DiesLate} {
			t.Run(fmt.Sprintf("%s, %s", strategy, tasks), func(t *testing.T) {
				t.Parallel()
				s := simulation.Settings{Strategy: strategy, Bake: 5 * time.Minute}
				for seed := range 10 {
					plan := simulation.Story(2, s, deployment{ID: "d-2", Tasks: tasks}, deployment{ID: "d-3", Supersede: true})
					plan.Seed = int64(seed)
					expect(t, plan, "d-1 SUCCESSFUL", "d-3 SUCCESSFUL")
				}
			})
		}
	}
}

// The new revision cannot be brought up, in every way; the old one must serve in the end.
func TestTasksThatFailInEveryWay(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR", "STEPS"} {
		for _, mood := range []simulation.Mood{simulation.ExitsSoon, simulation.NoStart, simulation.Limps, simulation.Hangs} {
			for _, some := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, some %t", strategy, mood, some), func(t *testing.T) {
					t.Parallel()
					want := []string{"d-2 ROLLBACK_SUCCESSFUL", "d-3 SUCCESSFUL"}
					if some {
						want = want[1:] // the good half may be enough
					}
					plan := simulation.Story(4, simulation.Settings{Strategy: strategy, Bake: 5 * time.Minute},
						deployment{ID: "d-2", Tasks: mood, Some: some}, deployment{ID: "d-3"})
					expect(t, plan, want...)
				})
			}
		}
	}
}

// Tasks that fail only once traffic is on them: healthy capacity is watched at every save and every write.
func TestTasksThatDieInBake(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR", "STEPS"} {
		for _, mood := range []simulation.Mood{simulation.DiesLate, simulation.Sickens} {
			for desired := range 4 {
				t.Run(fmt.Sprintf("%d tasks, %s, %s", desired+1, strategy, mood), func(t *testing.T) {
					t.Parallel()
					s := simulation.Settings{Strategy: strategy, Bake: 5 * time.Minute, Minimum: 50 * (1 + desired%2)}
					expect(t, simulation.Story(desired+1, s, deployment{ID: "d-2", Tasks: mood}, deployment{ID: "d-3"}), "d-3 SUCCESSFUL")
				})
			}
		}
	}
}

// The smallest share, on one task and on many.
func TestTheSmallestShare(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"CANARY", "STEPS"} {
		for _, desired := range []int{1, 2, 300} {
			t.Run(fmt.Sprintf("%d tasks, %s", desired, strategy), func(t *testing.T) {
				t.Parallel()
				expect(t, simulation.Story(desired, simulation.Settings{Strategy: strategy, Least: true}, deployment{ID: "d-2"}), "d-2 SUCCESSFUL")
			})
		}
	}
}

// A storm of deployments of one service: each supersedes the one before.
func TestAStormOfDeployments(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			var acts []simulation.Act
			for n := range 200 {
				acts = append(acts, simulation.Act{Save: 2 + n/20, Before: n%2 == 0, What: simulation.ActDeploy})
			}
			expect(t, simulation.Story(2, simulation.Settings{Strategy: strategy}, deployment{ID: "d-2", Acts: acts}, deployment{ID: "d-3"}), "d-3 SUCCESSFUL")
		})
	}
}

// The data plane starts anew and has no routes: it is told them again, and nothing moves on what it no longer has in force.
func TestADataPlaneThatForgetsItsRoutes(t *testing.T) {
	t.Parallel()
	for n := range 60 {
		plan := simulation.NewPlan(int64(n * 2))
		plan.Budget, plan.Replicas, plan.Leases, plan.Skew, plan.Forgets = 0, 1, false, make([]time.Duration, 1), 4
		r, calm := play(t, plan), play(t, plan.Faultless())
		wrong := r.Violations
		if r.Outcome != calm.Outcome {
			wrong = append(wrong, "it does not end as without faults:\n"+difference(calm.Outcome, r.Outcome))
		}
		if len(wrong) > 0 {
			tell(t, r, wrong...)
		}
	}
}

// The data plane goes on serving and cannot be told anything for a minute, over and over: what it still sends requests to is not stopped.
func TestADataPlaneThatCannotBeReached(t *testing.T) {
	t.Parallel()
	for n := range 60 {
		plan := simulation.NewPlan(int64(n * 2))
		plan.Budget, plan.Replicas, plan.Leases, plan.Skew, plan.CutOff = 0, 1, false, make([]time.Duration, 1), time.Minute
		r, calm := play(t, plan), play(t, plan.Faultless())
		wrong := r.Violations
		if r.Outcome != calm.Outcome {
			wrong = append(wrong, "it does not end as without faults:\n"+difference(calm.Outcome, r.Outcome))
		}
		if len(wrong) > 0 {
			tell(t, r, wrong...)
		}
	}
}
