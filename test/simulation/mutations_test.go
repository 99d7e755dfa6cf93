package simulation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mutation is a bug made on purpose: in a file, a text that is there once gives way to another.
type mutation struct{ bug, file, from, to string }

const (
	core      = "services/orchestrator/internal/rollout/"
	engine    = "services/orchestrator/internal/engine/"
	simWorld  = "services/orchestrator/simulation/"
	simHooks  = "services/hooks/hooksim/hooksim.go"
	simHealth = "services/healthcheck/healthsim/healthsim.go"
	drivers   = "drivers/"
)

var mutations = []mutation{
	{"the compare-and-swap is dropped", simWorld + "database.go", "if c.Next.Service.Generation != b.generation+1 {", "if false {"},
	{"a lost compare-and-swap is taken for a save", engine + "committer.go", "case !saved[store.Key{Cluster: service.Cluster, Name: service.Name}]:", "case !saved[store.Key{Cluster: service.Cluster, Name: service.Name}] && false:"},
	{"a worker keeps the state that was overtaken", engine + "worker.go", "	if errors.Is(err, problem.Aborted) {\n		w.state = nil", "	if errors.Is(err, problem.Aborted) {"},
	{"the outside is ordered before the decision is persisted", engine + "worker.go", "	if d.Changed {\n		if err := w.persist(ctx, d); err != nil {", "	w.converge(d.Next.Service, d.Desired)\n	if d.Changed {\n		if err := w.persist(ctx, d); err != nil {"},
	{"a decision is not persisted", engine + "worker.go", "err := w.engine.committer.save(ctx, store.Change{Next: d.Next, Events: d.Events, Ended: d.Ended})", "err := error(nil)"},
	{"an event is forgotten", engine + "worker.go", "Events: d.Events, Ended: d.Ended", "Events: d.Events[:max(0, len(d.Events)-1)], Ended: d.Ended"},
	{"the bake time begins anew when the state is loaded", engine + "worker.go", "	w.state = &a.State\n", "	w.state = &a.State\n	if d := w.state.Deployment; d != nil {\n		d.BakeUntil = time.Time{}\n	}\n"},
	{"the count of failures begins anew when the state is loaded", engine + "worker.go", "	w.state = &a.State\n", "	w.state = &a.State\n	if d := w.state.Deployment; d != nil {\n		d.Failures = 0\n	}\n"},
	{"a failed step is not tried again", engine + "worker.go", "next = w.engine.Now().Add(w.delay)", "next = time.Time{}"},
	{"an order that failed is not repeated", engine + "lane.go", "	case l.next == nil:\n		l.next = &o", "	case l.next == nil:"},
	{"what another process told the outside counts as told", engine + "lane.go", "anew: w.anew", "anew: false"},
	{"a source that is lost is taken for known", engine + "sources.go", "func() { f.tasks.known = false }", "func() { f.tasks.by = nil }"},
	{"who takes over acts on what was heard before", engine + "replicas.go", "		e.reopen(e.ctx)\n", ""},
	{"writes carry the next generation", engine + "converge.go", "w.engine.Runtime.EnsureTaskSet(ctx, generation, ", "w.engine.Runtime.EnsureTaskSet(ctx, generation+1, "},
	{"task sets that are no longer wanted are forgotten", engine + "converge.go", "		if wanted[id] {", "		if wanted[id] || true {"},
	{"a repeated invocation has a new identity", engine + "converge_services.go", "Id: call.ID, ", "Id: call.ID + service.Key() + string(rune('a'+service.Generation%26)), "},
	{"an invocation that is given up is not canceled", engine + "converge_services.go", "	for _, id := range w.unwanted(service.Key(), d.Hooks) {", "	for _, id := range w.unwanted(service.Key(), d.Hooks)[:0] {"},
	{"targets are not deregistered", engine + "converge_services.go", "		if len(deregister) > 0 {", "		if false {"},
	{"the runtime takes older generations", drivers + "runtime/fake/fake.go", "	return runtime.CheckGeneration(service, generation, r.generations[service])", "	return nil"},
	{"the data plane takes older generations", drivers + "traffic/fake/fake.go", "	if generation < s.generation {", "	if false {"},
	{"the hooks service takes older generations", simHooks, "	if generation < h.generations[service] {", "	if false {"},
	{"the healthcheck service takes older generations", simHealth, "	if generation < g.generations[service] {", "	if false {"},
	{"clocks that are 10 minutes off are used as they are", simWorld + "plan.go", "-250*time.Millisecond, 250*time.Millisecond", "-10*time.Minute, 10*time.Minute"},
	{"weights are lowered before others are raised", core + "shift.go", "weights = append(weights, Weight{name, FullShare - share})", "weights = append(weights, Weight{name, 0})"},
	{"traffic moves although nothing of the new revision is healthy", core + "shift.go", "	if r.obs.Runtime.Known && set.healthy() >= set.Count {", "	if r.obs.Runtime.Known {"},
	{"traffic that moved is not waited for", core + "shift.go", "	if r.inForce() {\n		return r.settled(listener)", "	if r.inForce() || true {\n		return r.settled(listener)"},
	{"the hooks' gate is skipped", core + "shift.go", "	case PreScaleUp, PostScaleUp, PreProductionTrafficShift, PostProductionTrafficShift:\n		return r.hooksDone() && r.goOn()", "	case PreScaleUp, PostScaleUp, PreProductionTrafficShift, PostProductionTrafficShift:\n		r.hooksDone()\n		return r.goOn()"},
	{"a hook in progress is taken for done", core + "hooks.go", "		done = done && h.ended()", "		done = done && (h.ended() || true)"},
	{"the bake time is skipped", core + "shift.go", "	if d.BakeUntil.After(r.now) {", "	if false {"},
	{"the bake time begins anew with every decision", core + "shift.go", "	if d.BakeUntil.IsZero() {", "	if true {"},
	{"alarms are not looked at", core + "decide.go", "	case r.alarmTripped():", "	case false:"},
	{"a failure is counted twice", core + "health.go", "d.Failures, d.FailureTime = d.Failures+1, r.now", "d.Failures, d.FailureTime = d.Failures+2, r.now"},
	{"a task that stopped is counted each time it is seen", core + "health.go", "			r.taskFailed(set, task, \"stopped: \"+fact.StopReason, !task.RunningTime.IsZero())\n		}\n		return false", "			r.taskFailed(set, task, \"stopped: \"+fact.StopReason, !task.RunningTime.IsZero())\n		}\n		return true"},
	{"a source that is not known is taken for a fact", core + "health.go", "	case !r.obs.Health.Known:", "	case false:"},
	{"healthy tasks are stopped whatever is left", core + "scale.go", "	case serves || c.serving < lower && c.all <= lower:\n		return false", "	case false:\n		return false"},
	{"tasks are stopped before they have drained", core + "scale.go", "	case heard && r.obs.Traffic.Drained[task.Name], over", "	case true, heard && r.obs.Traffic.Drained[task.Name], over"},
	{"a drain ends by time although the data plane has not heard of it", core + "scale.go", "over && (heard || r.Service.Phase != Active):", "over:"},
	{"a rollback does not bring the traffic back", core + "rollback.go", "	if !r.shiftProduction(back.TargetGroup, FullShare) {\n		return false\n	}", ""},
	{"a failed deployment is not ended", core + "decide.go", "	if limit, on := r.failureLimit(); on && d.Failures > 0 && d.Failures >= limit {", "	d.BreakerTripped = false\n	if limit, on := r.failureLimit(); false && on && d.Failures >= limit {"},
}

// witnesses are the tests that mutations are shown to. The first that fails ends it.
const witnesses = "TestSimulation|TestHooks|TestAlarms|TestTasks|TestACrash|TestAReplica|TestADataPlane"

var violation = regexp.MustCompile(`(?m)^ {2,}((?:\d|it does not end|want ").*)$`)

// TestMutations makes each bug in a copy, by an overlay, and checks that the simulation finds it. It takes minutes: it runs when
// SLIPWAY_MUTATIONS is set (make mutations).
func TestMutations(t *testing.T) {
	if os.Getenv("SLIPWAY_MUTATIONS") == "" {
		t.Skip("SLIPWAY_MUTATIONS is not set")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	none := mutation{bug: "none", file: simWorld + "doc.go", from: "package simulation\n", to: "package simulation\n"}
	if out, failed := none.run(t, root, "-run", witnesses, "./test/simulation", "-seeds", "300", "-once"); failed {
		t.Fatalf("the witnesses fail without any bug:\n%s", out)
	}
	found := 0
	for _, m := range mutations {
		t.Run(m.bug, func(t *testing.T) {
			began := time.Now()
			out, failed := m.run(t, root, "-run", witnesses, "./test/simulation", "-seeds", "300", "-once")
			if !failed { // the packages' own tests are witnesses too
				out, failed = m.run(t, root, "-failfast", "./"+core, "./"+engine)
			}
			rule := violation.FindStringSubmatch(out)
			switch {
			case !failed:
				t.Errorf("not found: %s", m.bug)
			case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
				t.Errorf("does not compile:\n%s", out)
			case rule == nil:
				found++
				t.Logf("| %s | %s | %s |", m.bug, firstFailure(out), time.Since(began).Round(time.Second))
			default:
				found++
				t.Logf("| %s | %s: %.120s | %s |", m.bug, firstFailure(out), rule[1], time.Since(began).Round(time.Second))
			}
		})
	}
	t.Logf("%d of %d found", found, len(mutations))
}

// run runs tests with the mutation in place.
func (m mutation) run(t *testing.T, root string, args ...string) (out string, failed bool) {
	t.Helper()
	file := filepath.Join(root, m.file)
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(body, []byte(m.from)); n != 1 {
		t.Fatalf("%s has the text %d times, want once: %s", m.file, n, m.from)
	}
	mutant := filepath.Join(t.TempDir(), filepath.Base(file))
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{file: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{mutant: bytes.Replace(body, []byte(m.from), []byte(m.to), 1), overlay: replace} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-vet=off", "-count=1", "-timeout", "4m", "-overlay", overlay}, args...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "SLIPWAY_MUTATIONS=")
	answer, err := cmd.CombinedOutput()
	return string(answer), err != nil
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

func firstFailure(out string) string {
	names := failure.FindAllStringSubmatch(out, -1)
	if len(names) == 0 {
		return fmt.Sprintf("%.80q", out)
	}
	return names[len(names)-1][1]
}

// Every mutation still finds its place.
func TestMutationsApply(t *testing.T) {
	t.Parallel()
	for _, m := range mutations {
		body, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(body, []byte(m.from)); n != 1 {
			t.Errorf("%s: %s has the text %d times, want once:\n%s", m.bug, m.file, n, m.from)
		}
	}
}
