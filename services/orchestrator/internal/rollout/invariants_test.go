package rollout

import "reflect"

// check asserts the safety invariants over one decision.
func (w *world) check(before State, d Decision) {
	if !reflect.DeepEqual(Decide(before, w.observe(), w.now), d) {
		w.fail("the same input gave two decisions")
	}
	w.by = d.Next.Deployment
	w.checkWeights(before.Service, d.Next.Service)
	w.checkCapacity(before.Service, d.Next.Service)
	w.checkServing(before.Service, d.Next.Service)
	w.checkGates(before, d.Next)
	w.checkHooks(d)
	dep := d.Next.Deployment
	if dep != nil && !dep.State.Terminal() && !d.Changed && d.WakeAt.IsZero() && len(dep.Conditions) == 0 {
		w.fail("deployment %s waits for nothing in particular", dep.ID)
	}
}

// Weights sum to 100 %, and none is raised for a target group without a healthy target while another has one.
func (w *world) checkWeights(before, after Service) {
	for _, weights := range [][]Weight{after.Production, after.Test} {
		sum := 0
		for _, x := range weights {
			sum += x.Share
		}
		if len(weights) > 0 && sum != FullShare {
			w.fail("weights sum to %d", sum)
		}
	}
	blind := w.unknown["runtime"] || w.unknown["health"] // a rollback then goes by what was known last
	shifts := w.by != nil && w.by.Stage == ProductionTrafficShift && w.by.Rollback == nil
	if after.Spec.DesiredCount == 0 && !shifts || blind && w.by != nil && w.by.Rollback != nil {
		return
	}
	for _, x := range after.Production {
		if x.Share > before.share(x.TargetGroup) && w.healthyIn(after, x.TargetGroup) == 0 && w.healthyIn(after, "") > 0 {
			w.fail("traffic goes to %s, which has no healthy target", x.TargetGroup)
		}
	}
}

// No act takes the last healthy task of a target group that keeps production traffic, unless none need be healthy.
func (w *world) checkServing(before, after Service) {
	if after.Phase != Active || w.lower(after) == 0 {
		return
	}
	for _, x := range after.Production {
		if x.Share > 0 && before.share(x.TargetGroup) > 0 && w.healthyIn(before, x.TargetGroup) > 0 && w.healthyIn(after, x.TargetGroup) == 0 {
			w.fail("the last healthy task of %s, which has %d of the traffic, is taken", x.TargetGroup, x.Share)
		}
	}
}

func (w *world) healthyIn(s Service, targetGroup string) int {
	n := 0
	for _, set := range s.TaskSets {
		for _, t := range set.Tasks {
			if (targetGroup == "" || set.TargetGroup == targetGroup) && !t.draining() && w.healthy(t.Name) {
				n++
			}
		}
	}
	return n
}

// No act takes healthy capacity under the minimum.
func (w *world) checkCapacity(before, after Service) {
	if after.Phase != Active {
		return
	}
	lower, upper := w.envelope(after)
	had, has := w.healthyIn(before, ""), w.healthyIn(after, "")
	if has < had && has < lower {
		w.fail("healthy tasks %d -> %d, minimum %d", had, has, lower)
	}
	total := 0
	for _, set := range after.TaskSets {
		total += len(set.Tasks)
	}
	if d := w.by; d != nil && d.Config.Strategy == Rolling && total > upper && total > count(before) {
		w.fail("%d tasks, maximum %d", total, upper)
	}
}

func (w *world) envelope(s Service) (lower, upper int) {
	c := s.Spec.Config
	if d := w.by; d != nil {
		c = d.Config
	}
	return Envelope(s.Spec.DesiredCount, c.MinimumHealthyPercent, c.MaximumPercent)
}

func (w *world) lower(s Service) int {
	lower, _ := w.envelope(s)
	return lower
}

func count(s Service) int {
	n := 0
	for _, set := range s.TaskSets {
		n += len(set.Tasks)
	}
	return n
}

// Production traffic reaches the new revision only after its scale-up and the hooks before it.
func (w *world) checkGates(before, after State) {
	d := after.Deployment
	if d == nil || d.Rollback != nil || d.Config.Strategy == Rolling || len(d.Sources) == 0 || len(d.Sources) > 1 {
		return
	}
	target := after.Service.taskSet(d.Target.ID)
	if target == nil || after.Service.share(target.TargetGroup) <= before.Service.share(target.TargetGroup) {
		return
	}
	passed := map[Stage]bool{}
	for _, r := range d.History {
		passed[r.Stage] = r.Outcome == StageSucceeded || r.Outcome == StageSkipped
	}
	for _, stage := range []Stage{PreScaleUp, ScaleUp, PostScaleUp, TestTrafficShift, PostTestTrafficShift, PreProductionTrafficShift} {
		if !passed[stage] {
			w.fail("production traffic moved before %s was passed", stage)
		}
	}
}

// A hook has one identity.
func (w *world) checkHooks(d Decision) {
	seen := map[string]bool{}
	for _, call := range d.Desired.Hooks {
		if seen[call.ID] {
			w.fail("hook %s is asked for twice", call.ID)
		}
		seen[call.ID] = true
		if stage, known := w.ids[call.ID]; known && stage != call.Stage {
			w.fail("hook %s stands for two stages", call.ID)
		}
		w.ids[call.ID] = call.Stage
	}
}
