package rollout

import "time"

// steady keeps a service at its desired count while no deployment is at work: stopped and failing tasks are replaced
// with their own revision. What a stopped deployment left behind is kept as it is.
func (r *run) steady() {
	s := &r.Service
	current := s.taskSet(s.Current)
	switch {
	case s.Deferred && current != nil:
		r.finishDeferred(current)
		return
	case len(s.TaskSets) == 1 && !s.TaskSets[0].Frozen:
		s.TaskSets[0].Count = s.Spec.DesiredCount
	case current != nil && !s.anyFrozen():
		current.Count = s.Spec.DesiredCount
	}
	for i := range s.TaskSets {
		if set := &s.TaskSets[i]; set.Frozen {
			live, _, _ := set.live()
			set.Count = min(set.Count, live) // what is gone stays gone
		}
	}
	c := s.Spec.Config
	r.scale(Envelope(s.Spec.DesiredCount, c.MinimumHealthyPercent, c.MaximumPercent))
	r.tellSteady()
}

// finishDeferred does what a deployment left to do that completed early: the rest of the new tasks start and the old ones
// stop, as in any rolling deployment (ECS: early success criteria with deferred cleanup).
func (r *run) finishDeferred(current *TaskSet) {
	r.moveTowards(current.Revision)
	r.Service.Deferred = !r.arrived(r.Service.taskSet(current.Revision.ID))
	r.tellSteady()
}

// rescale lets what a stopped deployment left behind follow the desired count: fewer tasks are wanted of every task set, more of
// the one that may start tasks.
func (s *Service) rescale(from, to int) {
	for i := range s.TaskSets {
		set := &s.TaskSets[i]
		switch {
		case to < from:
			set.Count = min(set.Count, to)
		case !set.Frozen:
			set.Count = min(set.Count+to-from, to)
		}
	}
}

func (s *Service) anyFrozen() bool {
	for _, set := range s.TaskSets {
		if set.Frozen {
			return true
		}
	}
	return false
}

func (r *run) tellSteady() {
	if !r.obs.Runtime.Known {
		return // what was known last stands, so that a restart tells nothing twice
	}
	steady, up := len(r.Service.TaskSets) > 0, 0
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		live, healthy, _ := set.live()
		steady = steady && live == set.Count && healthy == set.Count && len(set.Tasks) == live
		up += healthy
	}
	steady = steady && up >= r.Service.Spec.DesiredCount
	if steady && !r.Service.Steady {
		r.emit(Info, EventSteadyState, nil, "service %s has reached a steady state", r.Service.Name)
	}
	r.Service.Steady = steady
}

// leaveEmptied takes production traffic from a target group in which no task is left and none will start, while tasks of the
// other are healthy: a stopped deployment left it behind, and nobody is at work who would move it. It goes where traffic is already,
// or to the service's own revision, never to one that has not passed its gates.
func (r *run) leaveEmptied() {
	lb := r.Service.Spec.LoadBalancer
	if lb == nil || r.Service.Phase != Active {
		return
	}
	left, healthy := map[string]int{}, map[string]int{} // by target group
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		live, up, _ := set.live()
		left[set.TargetGroup] += max(live, set.Count)
		if r.Service.share(set.TargetGroup) > 0 || set.Revision.ID == r.Service.Current {
			healthy[set.TargetGroup] += up
		}
	}
	for _, x := range r.Service.Production {
		for _, to := range lb.targetGroups() {
			if x.Share == 0 || left[x.TargetGroup] > 0 || healthy[to] == 0 {
				continue
			}
			r.Service.Production = lb.weights(to, FullShare)
			r.setShiftGeneration()
			r.emit(Warn, EventTrafficWithdrawn, map[string]string{"targetGroup": x.TargetGroup, "productionTrafficWeight": percent(x.Share)},
				"target group %s has no task left; its %s %% of production traffic moves to %s", x.TargetGroup, percent(x.Share), to)
			return
		}
	}
}

// drainService stops everything of a deleted service.
func (r *run) drainService() {
	r.withdrawAll("the service was deleted")
	if d := r.Deployment; d != nil {
		r.cancelHooks()
		r.endStage(StageStopped, "the service was deleted")
		if d.Rollback != nil {
			d.Rollback.FinishTime = r.now
		}
		d.enter(Stopped, "the service was deleted", r.now)
		r.emit(Warn, EventDeploymentStopped, nil, "ECS deployment %s stopped: the service was deleted", d.ID)
	}
	done := true
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		set.Count = 0
		done = done && r.gone(set)
	}
	r.scale(0, noUpperBound)
	if done {
		r.Service.Phase = Inactive
		r.Service.TaskSets, r.Service.Current, r.Service.Completed = nil, "", nil
		r.Service.Production, r.Service.Test = nil, nil
		if r.Deployment == nil {
			r.emit(Info, EventServiceDeleted, nil, "service %s is deleted", r.Service.Name)
		}
		return
	}
	r.wait(WaitDrain, time.Time{}, "", "tasks to drain and stop")
}
