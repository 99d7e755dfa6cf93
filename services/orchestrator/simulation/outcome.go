package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// arrive waits until the outside is as the state has it, and nothing is left over.
func (w *world) arrive() {
	why := ""
	for end := time.Now().Add(settleTime); time.Now().Before(end) && !w.over(); w.sleep(w.ctx, time.Second) {
		if why = w.difference(); why == "" {
			return
		}
	}
	w.trace.violated("4 converges", "%s after the last deployment: %s", settleTime, why)
}

// difference is what of the outside is not as the state has it; "" when all is.
func (w *world) difference() string {
	s := w.database.look().Service
	var want, run []string
	for _, set := range s.TaskSets {
		if !set.Frozen && len(set.Tasks) != set.Count {
			return fmt.Sprintf("task set %s has %d of %d tasks", set.ID, len(set.Tasks), set.Count)
		}
		for _, t := range set.Tasks {
			want = append(want, t.Name)
			if !t.Healthy && !set.Frozen {
				return "task " + t.Name + " is not healthy"
			}
		}
	}
	for name, t := range w.runtime.Tasks() {
		if t.State != runtime.Stopped {
			run = append(run, name)
		}
	}
	if !same(want, run) {
		return fmt.Sprintf("tasks %v run, and %v are wanted", run, want)
	}
	if w.plan.LoadBalancer {
		if why := w.differenceOfTargets(s, want); why != "" {
			return why
		}
	}
	open := ""
	w.hooks.Read(func(all []*hookspb.Invocation) {
		for _, i := range all {
			if i.GetOutcome() == hookspb.Invocation_OUTCOME_UNSPECIFIED {
				open = "invocation " + i.GetId() + " is still open"
			}
		}
	})
	return open
}

func (w *world) differenceOfTargets(s rollout.Service, want []string) string {
	applied, _ := w.plane().Routes(serviceName)
	if got := sharesOf(applied.Routes); got != sharesText(s.Production) {
		return "the data plane has " + got + ", and the state " + sharesText(s.Production)
	}
	var routed, checked []string
	for _, g := range applied.Routes.TargetGroups {
		for _, t := range g.Targets {
			routed = append(routed, t.ID)
		}
	}
	w.health.Read(func(all []*healthcheckpb.TargetHealth) {
		for _, t := range all {
			checked = append(checked, t.GetTarget().GetId())
		}
	})
	switch {
	case !same(routed, want):
		return fmt.Sprintf("the data plane has the targets %v, and the tasks are %v", routed, want)
	case !same(checked, want):
		return fmt.Sprintf("the targets %v are checked, and the tasks are %v", checked, want)
	}
	return ""
}

// same reports whether both have the same elements. It sorts them.
func same(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// outcome is how everything ended, without what the moment decides: names of tasks and times.
func (b *database) outcome() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	for _, id := range b.order {
		d := b.deployments[id]
		line := []string{id, string(d.State), string(d.ErrorCode)}
		for _, r := range d.History {
			if r.Stage != rollout.ReconcileService { // whether there was something to reconcile, the moment decides
				line = append(line, fmt.Sprintf("%s.%d=%s", r.Stage, r.Step, r.Outcome))
			}
		}
		if d.Config.Strategy != rollout.Rolling {
			line = append(line, fmt.Sprintf("failures=%t", d.Failures > 0))
		}
		lines = append(lines, strings.Join(line, " "))
	}
	shares := map[string]string{}
	stopped := slices.ContainsFunc(b.order, func(id string) bool { return b.deployments[id].State == rollout.Stopped })
	for _, set := range b.state.Service.TaskSets {
		if stopped || len(set.Tasks) == 0 && set.Count == 0 {
			continue // how many tasks there were when a deployment was stopped, the moment decides
		}
		shares[set.Revision.ID] = fmt.Sprintf("%s: %d tasks, %d of the traffic", set.Revision.ID, len(set.Tasks),
			share(b.state.Service.Production, set.TargetGroup))
	}
	for _, id := range slices.Sorted(maps.Keys(shares)) {
		lines = append(lines, shares[id])
	}
	return strings.Join(append(lines, "current "+b.state.Service.Current), "\n")
}
