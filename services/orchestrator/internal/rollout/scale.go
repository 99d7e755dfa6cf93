package rollout

import (
	"slices"
	"strconv"
	"time"
)

const noUpperBound = 1 << 30

// live returns how many tasks of the set are asked to run and do not drain, and how many of them count as healthy.
func (s *TaskSet) live() (live, healthy, good int) {
	for _, t := range s.Tasks {
		if t.draining() {
			continue
		}
		live++
		if t.Healthy {
			healthy++
		}
		if !t.Unhealthy {
			good++
		}
	}
	return live, healthy, good
}

func (s *TaskSet) healthy() int {
	_, healthy, _ := s.live()
	return healthy
}

// existing counts every task of the service that may take resources: asked for, draining, or still stopping
// (ECS's guide counts STOPPING tasks toward maximumPercent; so does this, to be safe).
func (r *run) existing() int {
	n := 0
	listed := map[string]bool{}
	for i := range r.Service.TaskSets {
		for _, t := range r.Service.TaskSets[i].Tasks {
			listed[t.Name] = true
			n++
		}
	}
	for name, fact := range r.obs.Runtime.Tasks {
		if fact.State != TaskStopped && !listed[name] {
			n++
		}
	}
	return n
}

// gone reports whether nothing of the set runs, drains or stops any more.
func (r *run) gone(set *TaskSet) bool {
	if set == nil {
		return true
	}
	if len(set.Tasks) > 0 || !r.obs.Runtime.Known {
		return false
	}
	for _, fact := range r.obs.Runtime.Tasks {
		if fact.TaskSet == set.ID && fact.State != TaskStopped {
			return false
		}
	}
	return true
}

// scale moves every task set towards its Count. No act of it takes the number of healthy tasks under lower or the
// number of existing tasks over upper.
func (r *run) scale(lower, upper int) {
	if !r.obs.Runtime.Known {
		return
	}
	r.endDrains()
	if r.Service.Phase == Active && !r.healthKnown() {
		lower = noUpperBound // what is healthy is hearsay: nothing that may be healthy is stopped
	}
	up := r.capacity()
	total := r.existing()
	full := total >= upper && r.missing()
	for i := range r.Service.TaskSets {
		r.stopSurplus(&r.Service.TaskSets[i], &up, lower, full)
	}
	total = r.existing()
	for i := range r.Service.TaskSets {
		total += r.startMissing(&r.Service.TaskSets[i], upper-total)
	}
}

// missing reports whether a task set wants a task that it does not have.
func (r *run) missing() bool {
	return slices.ContainsFunc(r.Service.TaskSets, func(s TaskSet) bool {
		_, _, good := s.live()
		return !s.Frozen && good < s.Count
	})
}

// capacity is how many tasks are healthy: in all, and where production traffic goes.
type capacity struct{ all, serving int }

func (r *run) capacity() (up capacity) {
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		up.all += set.healthy()
		if r.serves(set) {
			up.serving += set.healthy()
		}
	}
	return up
}

func (r *run) serves(set *TaskSet) bool {
	return set.TargetGroup == "" || r.Service.share(set.TargetGroup) > 0
}

// less takes a healthy task away, unless that leaves fewer than lower: of those that serve when it does, else of all.
func (c *capacity) less(serves bool, lower int) bool {
	switch {
	case serves && c.serving > lower:
		c.serving--
	case serves || c.serving < lower && c.all <= lower:
		return false
	}
	c.all--
	return true
}

// stopSurplus stops tasks over the set's Count, and failing tasks once they are replaced or stand in the way of their
// replacement. A failing task does not count as healthy, so stopping it takes nothing away.
func (r *run) stopSurplus(set *TaskSet, healthy *capacity, lower int, full bool) {
	_, up, good := set.live()
	stopped, serves := 0, r.serves(set)
	for _, i := range stopOrder(set.Tasks) {
		task := &set.Tasks[i]
		switch {
		case task.Unhealthy && (!task.EverHealthy || up >= set.Count || full):
			full = false
		case !task.Unhealthy && good > set.Count && (!task.Healthy || healthy.less(serves, lower)):
			good--
		default:
			continue
		}
		stopped++
		r.drain(task)
	}
	if stopped > 0 {
		set.Tasks = slices.DeleteFunc(set.Tasks, func(t Task) bool { return t.Name == "" })
		r.emit(Info, EventTasksStopped, map[string]string{"taskSet": set.ID, "count": strconv.Itoa(stopped)},
			"stopping %s of task set %s", tasks(stopped), set.ID)
	}
}

// stopOrder returns the indexes of tasks that do not drain: failing ones first, then those not healthy, then the youngest.
func stopOrder(list []Task) []int {
	var order []int
	for i := range list {
		if !list[i].draining() {
			order = append(order, i)
		}
	}
	rank := func(t Task) int {
		switch {
		case t.Unhealthy:
			return 0
		case !t.Healthy:
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := rank(list[a]) - rank(list[b]); d != 0 {
			return d
		}
		return b - a
	})
	return order
}

// drain takes a task out of service: it gets no new requests, and is stopped when nothing is in flight any more or
// its deregistration delay has passed. A task that never took traffic is stopped at once: its name is emptied and the
// caller removes it.
func (r *run) drain(task *Task) {
	lb := r.Service.Spec.LoadBalancer
	if lb == nil || task.Address == "" || !task.EverHealthy {
		task.Name = ""
		return
	}
	task.Healthy = false
	task.DrainTime = r.now.Add(lb.DeregistrationDelay)
	task.DrainGeneration = r.generation
	r.wakeAt(task.DrainTime)
}

// endDrains removes the tasks that have drained; the runtime then stops them.
func (r *run) endDrains() {
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		kept := set.Tasks[:0]
		for _, task := range set.Tasks {
			if !task.draining() || !r.drained(&task) {
				kept = append(kept, task)
			}
		}
		set.Tasks = kept
	}
}

// drained reports whether nothing is in flight to the task any more, or its time is over. It is not over while the data plane has
// not heard of it and still sends it requests: what began last then has the delay again.
func (r *run) drained(task *Task) bool {
	heard := r.obs.Traffic.Known && r.obs.Traffic.Generation >= task.DrainGeneration
	over := !task.DrainTime.After(r.now)
	switch {
	case heard && r.obs.Traffic.Drained[task.Name], over && (heard || r.Service.Phase != Active):
		return true
	case heard || r.Service.Phase != Active:
		r.wait(WaitDrain, task.DrainTime, "what is still in flight is cut", "requests in flight to draining tasks")
		return false
	case over && r.deregistrationDelay() > 0:
		task.DrainTime = r.now.Add(r.deregistrationDelay())
	}
	r.wait(WaitTraffic, time.Time{}, "", "the data plane to take draining tasks out of service")
	return false
}

func (r *run) deregistrationDelay() time.Duration {
	if lb := r.Service.Spec.LoadBalancer; lb != nil {
		return lb.DeregistrationDelay
	}
	return 0
}

// startMissing starts tasks up to the set's Count, at most room of them, and returns how many.
func (r *run) startMissing(set *TaskSet, room int) int {
	_, _, good := set.live()
	n := min(set.Count-good, room)
	if n <= 0 || set.Frozen {
		return 0
	}
	if set.NotBefore.After(r.now) {
		r.wait(WaitTaskStart, set.NotBefore, "another task is started",
			"the delay after %s of task set %s came to nothing", tasks(set.Failures), set.ID)
		return 0
	}
	for range n {
		r.Service.OrdinalCount++
		name := set.ID + "-" + strconv.FormatInt(r.Service.OrdinalCount, 10)
		set.Tasks = append(set.Tasks, Task{Name: name, CreateTime: r.now})
	}
	r.emit(Info, EventTasksStarted, map[string]string{"taskSet": set.ID, "count": strconv.Itoa(n)},
		"starting %s of task set %s", tasks(n), set.ID)
	return n
}

// prune forgets task sets of which nothing is left and that nothing refers to.
func (r *run) prune() {
	r.Service.TaskSets = slices.DeleteFunc(r.Service.TaskSets, func(s TaskSet) bool {
		if s.Count > 0 || !r.gone(&s) {
			return false
		}
		if r.Service.Phase != Active {
			return true
		}
		d := r.Deployment
		if d == nil || d.State.Terminal() {
			return s.Revision.ID != r.Service.Current && r.Service.Current != ""
		}
		return s.Revision.ID != d.Target.ID && (d.Rollback == nil || s.Revision.ID != d.Rollback.Revision.ID) &&
			(d.Stage == CleanUp || d.Config.Strategy == Rolling || s.Revision.ID != r.Service.Current)
	})
}

func tasks(n int) string {
	if n == 1 {
		return "1 task"
	}
	return strconv.Itoa(n) + " tasks"
}
