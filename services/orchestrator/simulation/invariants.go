package simulation

import (
	"fmt"
	"slices"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// check asserts the invariants of a save. The lock is held.
func (b *database) check(before rollout.State, c store.Change, user bool) {
	after := c.Next
	b.recovered(before.Service, after.Service)
	b.checkWeights(before.Service, after.Service)
	b.checkFailures(before, c)
	if user {
		return
	}
	b.checkTimers(before, after)
	b.checkShift(c)
	b.checkCapacity(before, after)
	b.checkGates(before, after)
}

// Weights sum to 100 %, and none is raised for a target group without a healthy target while another has one.
func (b *database) checkWeights(before, after rollout.Service) {
	for _, weights := range [][]rollout.Weight{after.Production, after.Test} {
		sum := 0
		for _, x := range weights {
			sum += x.Share
		}
		if len(weights) > 0 && sum != rollout.FullShare {
			b.w.trace.violated("1 weights", "they sum to %d", sum)
		}
	}
	for _, x := range after.Production {
		if after.Spec.DesiredCount == 0 {
			break // nobody is to serve
		}
		if x.Share > share(before.Production, x.TargetGroup) && healthyIn(after, x.TargetGroup) == 0 && healthyIn(after, "") > 0 {
			b.w.trace.violated("1 weights", "%s gets %d and has no healthy target, while another has", x.TargetGroup, x.Share)
		}
	}
}

func share(weights []rollout.Weight, group string) int {
	for _, x := range weights {
		if x.TargetGroup == group {
			return x.Share
		}
	}
	return 0
}

func healthyIn(s rollout.Service, group string) (n int) {
	for _, set := range s.TaskSets {
		for _, t := range set.Tasks {
			if (group == "" || set.TargetGroup == group) && t.Healthy && t.DrainTime.IsZero() {
				n++
			}
		}
	}
	return n
}

// Traffic is told to be shifted when the data plane has the weights, and not before.
func (b *database) checkShift(c store.Change) {
	applied, there := b.w.plane().Routes(serviceName)
	told := slices.ContainsFunc(c.Events, func(e rollout.Event) bool { return e.Name == rollout.EventTrafficShifted })
	if !told || !there || len(c.Next.Service.Production) == 0 {
		return
	}
	if has, want := sharesOf(applied.Routes), sharesText(c.Next.Service.Production); has != want {
		b.w.trace.violated("3 gates", "traffic is told to be shifted (%s) while the data plane has %s", want, has)
	}
}

// No act takes healthy capacity under the minimum.
func (b *database) checkCapacity(before, after rollout.State) {
	if after.Service.Phase != rollout.Active {
		return
	}
	c := after.Service.Spec.Config
	if after.Deployment != nil {
		c = after.Deployment.Config
	}
	lower, _ := rollout.Envelope(after.Service.Spec.DesiredCount, c.MinimumHealthyPercent, c.MaximumPercent)
	tasks := b.w.runtime.Tasks()
	kept, taken, up := map[string]bool{}, []string(nil), 0
	for _, set := range after.Service.TaskSets {
		for _, t := range set.Tasks {
			kept[t.Name] = t.DrainTime.IsZero()
			if lately, _ := b.w.up(tasks, t.Name); lately && kept[t.Name] {
				up++
			}
		}
	}
	for _, set := range before.Service.TaskSets {
		for _, t := range set.Tasks {
			if _, surely := b.w.up(tasks, t.Name); surely && t.Healthy && t.DrainTime.IsZero() && !kept[t.Name] {
				taken = append(taken, t.Name)
			}
		}
	}
	if len(taken) > 0 && min(up, healthyIn(after.Service, "")) < lower {
		b.w.trace.violated("2 capacity", "%v are taken, which leaves %d healthy (%d by the state), minimum %d",
			taken, up, healthyIn(after.Service, ""), lower)
	}
}

// Production traffic reaches a new revision only after its scale-up and the hooks before it.
func (b *database) checkGates(before, after rollout.State) {
	d := after.Deployment
	if d == nil || d.Rollback != nil || d.Config.Strategy == rollout.Rolling || len(d.Sources) != 1 {
		return
	}
	i := slices.IndexFunc(after.Service.TaskSets, func(s rollout.TaskSet) bool { return s.Revision.ID == d.Target.ID })
	if i < 0 {
		return
	}
	group := after.Service.TaskSets[i].TargetGroup
	if share(after.Service.Production, group) <= share(before.Service.Production, group) {
		return
	}
	passed := map[rollout.Stage]bool{}
	for _, r := range d.History {
		passed[r.Stage] = r.Outcome == rollout.StageSucceeded || r.Outcome == rollout.StageSkipped
	}
	gates := []rollout.Stage{
		rollout.PreScaleUp, rollout.ScaleUp, rollout.PostScaleUp, rollout.TestTrafficShift, rollout.PostTestTrafficShift, rollout.PreProductionTrafficShift,
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	for _, stage := range gates {
		if !passed[stage] {
			b.w.trace.violated("3 gates", "production traffic moves to %s before %s is passed", group, stage)
		}
		for _, h := range d.Config.Hooks {
			step := 0
			if stage == rollout.PreProductionTrafficShift {
				step = d.Step
			}
			id := fmt.Sprintf("%s/%s/%d/%s", d.ID, stage, step, h.Hook)
			if slices.Contains(h.Stages, stage) && !h.Pause && b.w.outcomes[id] != hookspb.Invocation_OUTCOME_CONTINUE.String() {
				b.w.trace.violated("3 gates", "production traffic moves to %s while hook %s has the outcome %q", group, id, b.w.outcomes[id])
			}
		}
	}
	tasks := b.w.runtime.Tasks()
	b.w.mu.Unlock()
	defer b.w.mu.Lock()
	for _, t := range after.Service.TaskSets[i].Tasks {
		if lately, _ := b.w.up(tasks, t.Name); lately {
			return
		}
	}
	if after.Service.Spec.DesiredCount > 0 {
		b.w.trace.violated("3 gates", "production traffic moves to %s, in which no task is healthy", group)
	}
}
