package rollout

import "time"

// mustReconcile reports whether the service must be brought back to one revision before a target group is free for
// the new one.
func (r *run) mustReconcile() bool { return len(r.Deployment.Sources) > 1 || r.split() }

// reconcile brings the service back to one revision (ECS: RECONCILE_SERVICE, whose hooks are called only when there were
// several).
func (r *run) reconcile() bool {
	if !r.mustReconcile() {
		return true
	}
	keep := r.keeper()
	if keep != nil && !r.gather(keep, func(set *TaskSet) bool { return set.Revision.ID != keep.Revision.ID }) {
		return false
	}
	return len(r.Deployment.Sources) <= 1 || r.hooksDone()
}

// gathered reports whether all tasks and all traffic are in one target group, in which a rolling deployment then moves,
// and does what is needed for it: what superseded a shift of traffic finds both target groups in use.
func (r *run) gathered() bool {
	if r.split() {
		keep := r.keeper()
		return r.gather(keep, func(set *TaskSet) bool { return set.TargetGroup != keep.TargetGroup })
	}
	home := r.Service.productionTargetGroup()
	for i := range r.Service.TaskSets {
		r.Service.TaskSets[i].TargetGroup = home // one that is empty may have been in the other
	}
	return true
}

// split reports whether tasks or production traffic are in both target groups.
func (r *run) split() bool {
	s := &r.Service
	if s.Spec.LoadBalancer == nil {
		return false
	}
	home := s.productionTargetGroup()
	for i := range s.TaskSets {
		if set := &s.TaskSets[i]; set.TargetGroup != home && len(set.Tasks) > 0 {
			return true
		}
	}
	return len(s.TaskSets) > 0 && s.share(home) < FullShare
}

// keeper is the task set that serves best: one with enough healthy tasks before one without, and of two such the service's
// own revision; else the one with most healthy tasks. While none is healthy anywhere, traffic stays with the tasks that have it:
// the data plane may fail open to them.
func (r *run) keeper() *TaskSet {
	var keep *TaskSet
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if keep == nil || r.servesBetter(set, keep) {
			keep = set
		}
	}
	return keep
}

func (r *run) servesBetter(a, b *TaskSet) bool {
	enough := max(r.quorum(), 1) // also when none is wanted: traffic stays where tasks are healthy
	own := a.Revision.ID == r.Service.Current
	switch aEnough, bEnough := a.healthy() >= enough, b.healthy() >= enough; {
	case aEnough != bEnough:
		return aEnough
	case !aEnough && a.healthy() != b.healthy():
		return a.healthy() > b.healthy()
	case a.healthy() == 0 && r.failsOpenTo(a) != r.failsOpenTo(b):
		return r.failsOpenTo(a) > r.failsOpenTo(b)
	default:
		return own
	}
}

// failsOpenTo is the share of production traffic that tasks of the set would get when none is healthy.
func (r *run) failsOpenTo(set *TaskSet) int {
	if live, _, _ := set.live(); live == 0 || set.TargetGroup == "" {
		return 0
	}
	return r.Service.share(set.TargetGroup)
}

// gather gives the task set all traffic and then stops the task sets that are to go.
func (r *run) gather(keep *TaskSet, goes func(*TaskSet) bool) bool {
	keep.Count, keep.Frozen = r.Service.Spec.DesiredCount, false
	if keep.TargetGroup != "" && (!r.healthKnown() || !r.shiftProduction(keep.TargetGroup, FullShare) || !r.shiftTest(keep.TargetGroup)) {
		return false
	}
	done := true
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if goes(set) {
			set.Count = 0
			done = done && r.gone(set)
		}
	}
	if !done {
		r.wait(WaitTasksHealthy, time.Time{}, "", "the service to be brought back to %s", keep.Revision.ID)
	}
	return done
}
