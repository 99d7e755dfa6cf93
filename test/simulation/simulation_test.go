package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/alarms/alarmsim"
	"github.com/slipway-deploy/slipway/services/healthcheck/healthsim"
	"github.com/slipway-deploy/slipway/services/hooks/hooksim"
	"github.com/slipway-deploy/slipway/services/orchestrator/simulation"
)

var (
	seeds = flag.Int("seeds", number("SLIPWAY_SIMULATION_SEEDS", 1000), "how many seeds TestSimulation plays")
	seed  = flag.Int64("seed", int64(number("SLIPWAY_SIMULATION_SEED", -1)), "the one seed that it plays")
	once  = flag.Bool("once", false, "stop at the first run that fails")
	story = flag.Bool("story", false, "print the whole story of the seed, also when all is well")
)

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// cores are the real cores of the other services.
func cores() simulation.Cores {
	return simulation.Cores{
		Hooks: func(handle func(*hookspb.Invocation) []simulation.Reply, changed func(*hookspb.Invocation)) simulation.Hooks {
			h := hooksim.New()
			h.Changed = changed
			h.Handle = func(call *hookspb.Invocation) (list []hooksim.Reply) {
				for _, r := range handle(call) {
					list = append(list, hooksim.Reply{After: r.After, Attempt: r.Attempt, Status: r.Status, Error: "500 Internal Server Error"})
				}
				return list
			}
			return h
		},
		TargetGroups: func(
			interval time.Duration, probe func(string) bool, changed func(*healthcheckpb.TargetHealth), removed func(*healthcheckpb.TargetRef),
		) simulation.TargetGroups {
			g := healthsim.New(interval)
			g.Probe, g.Changed, g.Removed = probe, changed, removed
			return g
		},
		Alarm: func(
			name string, period time.Duration, metric func(time.Time) (float64, bool), changed func(*alarmspb.MetricAlarm),
		) simulation.Alarm {
			a := alarmsim.New(name, period)
			a.Metric, a.Changed = metric, changed
			return a
		},
	}
}

var failed atomic.Bool // a run

// play runs a plan in a bubble of its own.
func play(t *testing.T, plan simulation.Plan) (r simulation.Result) {
	t.Helper()
	if *once && failed.Load() {
		t.Skip("a run has failed")
	}
	synctest.Test(t, func(t *testing.T) { r = simulation.Run(t.Context(), plan, cores()) })
	return r
}

// tell fails the test with what went wrong and the end of the story.
func tell(t *testing.T, r simulation.Result, wrong ...string) {
	t.Helper()
	failed.Store(true)
	lines := r.Trace
	if !*story {
		end := len(lines)
		if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "VIOLATION") }); i >= 0 {
			end = i + 1
		}
		lines = lines[max(0, end-60):end]
	}
	t.Errorf("seed %d (%s, %d replicas, leases %t):\n  %s\n\nreplay: go test ./test/simulation -run TestSimulation -seed %d -story\n\n%s",
		r.Plan.Seed, r.Plan.Kind, r.Plan.Replicas, r.Plan.Leases, strings.Join(wrong, "\n  "), r.Plan.Seed, strings.Join(lines, "\n"))
}

// TestSimulation plays seeds. Whatever goes wrong in them, the safety invariants hold at every save and every write, every
// deployment ends, and what infrastructure does has no part in how.
func TestSimulation(t *testing.T) { //nolint:tparallel // its seeds are; what they came to is printed when all have ended
	t.Parallel()
	if *seed >= 0 {
		playSeed(t, *seed, nil)
		return
	}
	sum := &summary{faults: map[simulation.Fault]int{}}
	t.Run("seeds", func(t *testing.T) {
		for n := range *seeds {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				playSeed(t, int64(n), sum)
			})
		}
	})
	sum.print(t)
}

func playSeed(t *testing.T, n int64, sum *summary) {
	t.Helper()
	plan := simulation.NewPlan(n)
	r := play(t, plan)
	sum.add(r)
	wrong := r.Violations
	if len(wrong) == 0 && plan.Kind == simulation.Infrastructure {
		calm := play(t, plan.Faultless())
		if len(calm.Violations) > 0 {
			tell(t, calm, append([]string{"without faults:"}, calm.Violations...)...)
			return
		}
		if calm.Outcome != r.Outcome {
			wrong = append(wrong, "it does not end as without faults:\n"+difference(calm.Outcome, r.Outcome))
		}
	}
	switch {
	case len(wrong) > 0:
		tell(t, r, wrong...)
	case *story:
		t.Log("\n" + strings.Join(r.Trace, "\n") + "\n" + r.Outcome)
	}
}

// summary is what all seeds together came to.
type summary struct {
	mu           sync.Mutex
	runs         int
	saves, calls int
	lasted       time.Duration
	faults       map[simulation.Fault]int
	faultsTotal  int
}

func (s *summary) add(r simulation.Result) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.saves, s.calls, s.lasted = s.saves+r.Saves, s.calls+r.Calls, s.lasted+r.Lasted
	for f, n := range r.Faults {
		s.faults[f] += n
		s.faultsTotal += n
	}
}

func (s *summary) print(t *testing.T) {
	t.Helper()
	text := fmt.Sprintf("%d runs, %d saves, %d calls, %s of virtual time, %d faults:", s.runs, s.saves, s.calls, s.lasted.Round(time.Hour), s.faultsTotal)
	for f, n := range s.faults {
		text += fmt.Sprintf(" %s %d;", f, n)
	}
	t.Log(text)
}

// difference is the lines that differ.
func difference(want, got string) string {
	var text strings.Builder
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		x, y := "", ""
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			fmt.Fprintf(&text, "\twant %s\n\tgot  %s\n", x, y)
		}
	}
	return text.String()
}

// A seed draws the same faults each time, by actor and count. The order in which goroutines run at one instant is not drawn, so
// that two runs of a seed may differ; this says how often they do.
func TestAReplayTellsTheSameStory(t *testing.T) {
	t.Parallel()
	const of = 60
	same, ends := 0, 0
	for n := range int64(of) {
		a, b := play(t, simulation.NewPlan(n)), play(t, simulation.NewPlan(n))
		if slices.Equal(slices.Sorted(slices.Values(a.Trace)), slices.Sorted(slices.Values(b.Trace))) { // at one instant the order is free
			same++
		}
		if a.Outcome == b.Outcome {
			ends++
		}
	}
	t.Logf("of %d seeds %d tell the same story twice, and %d end alike", of, same, ends)
	if ends < of*3/4 {
		t.Errorf("only %d of %d seeds end alike", ends, of)
	}
}
