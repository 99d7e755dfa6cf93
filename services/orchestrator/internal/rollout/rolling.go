package rollout

import "time"

// advanceRolling moves task by task inside the envelope: new tasks start while the upper bound allows it, old ones stop
// as new ones become healthy, or ahead of them down to the lower bound when nothing can start otherwise.
func (r *run) advanceRolling() {
	d := r.Deployment
	if d.Stage != BakeTime && !r.gathered() {
		r.scale(Envelope(r.Service.Spec.DesiredCount, d.Config.MinimumHealthyPercent, d.Config.MaximumPercent))
		return
	}
	r.ensureSet(d.Target, r.Service.productionTargetGroup())
	if d.Stage != BakeTime {
		r.moveTowards(d.Target)
		if !r.moved() {
			return
		}
		r.enterStage(BakeTime)
		d.BakeUntil = r.now.Add(d.Config.BakeTime)
	}
	baking := d.BakeUntil.After(r.now)
	early := d.Config.EarlySuccess
	if early.Enable && (baking || early.Deferred) {
		r.moveTowards(d.Target)
	} else {
		r.onlyTarget()
	}
	switch {
	case baking:
		r.wait(WaitBakeTime, d.BakeUntil, "the deployment completes", "the bake time of %s", d.Config.BakeTime)
	case !early.Deferred && !r.cleaned(r.target()):
		r.wait(WaitDrain, time.Time{}, "", "tasks of the old revision to drain and stop")
	case r.moved() && r.alarmsKnown(): // still, at the end of the bake time
		r.succeed()
	}
}

// onlyTarget keeps the new revision at the desired count and stops what is left of others.
func (r *run) onlyTarget() {
	c := r.Deployment.Config
	for i := range r.Service.TaskSets {
		r.Service.TaskSets[i].Count = 0
	}
	r.target().Count = r.Service.Spec.DesiredCount
	r.scale(Envelope(r.Service.Spec.DesiredCount, c.MinimumHealthyPercent, c.MaximumPercent))
}

// moved reports whether the new revision has taken over: it has all its tasks and nothing else is left, or as many of them
// are healthy as the early success criteria ask for.
func (r *run) moved() bool {
	d := r.Deployment
	target := r.target()
	done := r.arrived(target)
	if early := d.Config.EarlySuccess; early.Enable {
		desired := r.Service.Spec.DesiredCount
		done = r.obs.Runtime.Known && target.healthy() >= max(early.Required(desired), min(1, desired))
	}
	if !done {
		r.wait(WaitTasksHealthy, time.Time{}, "", "%d of %d tasks of %s are healthy", target.healthy(), target.Count, d.Target.ID)
		return false
	}
	if r.Service.Spec.LoadBalancer != nil && !r.inForce() {
		r.wait(WaitTraffic, time.Time{}, "", "the data plane to serve from the tasks of %s", d.Target.ID)
		return false
	}
	return true
}

// moveTowards scales the revision's task set to the desired count and all others to nothing, inside the envelope.
func (r *run) moveTowards(revision Revision) {
	desired := r.Service.Spec.DesiredCount
	c := r.config()
	lower, upper := Envelope(desired, c.MinimumHealthyPercent, c.MaximumPercent)
	target := r.Service.taskSet(revision.ID)
	target.Count, target.Frozen = desired, false
	_, up, good := target.live()
	room := upper - r.existing()
	blocked := desired-good > max(room, 0) // some new tasks find no room
	left := max(desired-up, 0)             // old tasks to keep until new ones are healthy
	if blocked {
		left = max(lower-up, 0)
	}
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if set.Revision.ID == revision.ID {
			continue
		}
		keep, _, _ := set.live()
		if !set.Frozen {
			keep = max(keep, set.Count) // what died is replaced with its own revision
		}
		set.Count = min(keep, left)
		left -= set.Count
	}
	before := len(r.events)
	r.scale(lower, upper)
	r.checkDeadlock(blocked && len(r.events) == before, lower, upper)
}

// checkDeadlock tells once when the envelope allows neither a start nor a stop (ECS: service event messages).
func (r *run) checkDeadlock(stuck bool, lower, upper int) {
	d := r.Deployment
	listed := 0
	for i := range r.Service.TaskSets {
		listed += len(r.Service.TaskSets[i].Tasks)
		for _, t := range r.Service.TaskSets[i].Tasks {
			// What is on its way will make room.
			stuck = stuck && !t.draining() && (t.Healthy || t.Unhealthy)
		}
	}
	total := r.existing()
	if !stuck || d == nil || total < upper || total > listed || !r.obs.Runtime.Known {
		return
	}
	r.wait(WaitDeadlock, time.Time{}, "",
		"the deployment configuration allows neither a start nor a stop: at least %d tasks must stay healthy and at most %d may exist",
		lower, upper)
	if !d.Deadlocked {
		d.Deadlocked = true
		r.emit(Warn, EventDeadlock, nil, "unable to stop or start tasks during a deployment because of the deployment configuration: "+
			"update minimumHealthyPercent (%d) or maximumPercent (%d)",
			d.Config.MinimumHealthyPercent, d.Config.MaximumPercent)
	}
}

// arrived reports whether the set has all its tasks healthy and nothing of any other set is left.
func (r *run) arrived(target *TaskSet) bool {
	live, healthy, _ := target.live()
	if !r.obs.Runtime.Known || healthy < target.Count || live != target.Count || len(target.Tasks) != live {
		return false
	}
	return r.cleaned(target)
}

// cleaned reports whether nothing of any other set is left.
func (r *run) cleaned(target *TaskSet) bool {
	for i := range r.Service.TaskSets {
		if set := &r.Service.TaskSets[i]; set.ID != target.ID && !r.gone(set) {
			return false
		}
	}
	return true
}

// productionTargetGroup is the target group that has most of the production traffic.
func (s *Service) productionTargetGroup() string {
	if s.Spec.LoadBalancer == nil {
		return ""
	}
	best := Weight{TargetGroup: s.Spec.LoadBalancer.TargetGroup}
	for _, w := range s.Production {
		if w.Share > best.Share {
			best = w
		}
	}
	return best.TargetGroup
}
