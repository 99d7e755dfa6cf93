package rollout

import (
	"strconv"
	"time"
)

// absorb takes the facts about tasks into the state: what runs, what is healthy, what stopped or fails its checks.
// Each failure is counted here, once: a stopped task leaves the state with its name, a failing one is marked.
func (r *run) absorb() {
	if !r.obs.Runtime.Known {
		r.wait(WaitService, time.Time{}, "", "the runtime cannot be reached")
		return
	}
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		kept := set.Tasks[:0]
		for _, task := range set.Tasks {
			if r.absorbTask(set, &task) {
				kept = append(kept, task)
			}
		}
		set.Tasks = kept
	}
}

// absorbTask returns false when the task has stopped.
func (r *run) absorbTask(set *TaskSet, task *Task) bool {
	fact, seen := r.obs.Runtime.Tasks[task.Name]
	if !seen && !task.RunningTime.IsZero() {
		fact, seen = TaskFact{State: TaskStopped, StopReason: "the runtime no longer knows it"}, true
	}
	if !seen {
		return true
	}
	switch fact.State {
	case TaskStopped:
		if !task.draining() && !task.Unhealthy {
			r.taskFailed(set, task, "stopped: "+fact.StopReason, !task.RunningTime.IsZero())
		}
		return false
	case TaskRunning:
		if task.RunningTime.IsZero() {
			task.RunningTime = r.now
			if r.brings(set) {
				r.Deployment.TaskRan = true
			}
		}
		if lb := r.Service.Spec.LoadBalancer; lb != nil && set.TargetGroup != "" {
			task.Address = lb.address(fact.Endpoints)
		}
	}
	if !task.draining() {
		r.absorbHealth(set, task, fact)
	}
	return true
}

// address picks the endpoint that takes the traffic: of the named container and port, or the first.
func (lb *LoadBalancer) address(endpoints []Endpoint) string {
	for _, e := range endpoints {
		if (lb.ContainerName == "" || lb.ContainerName == e.Container) &&
			(lb.ContainerPort == 0 || lb.ContainerPort == e.ContainerPort) {
			return e.Address
		}
	}
	return ""
}

func (r *run) absorbHealth(set *TaskSet, task *Task, fact TaskFact) {
	if fact.State != TaskRunning {
		task.Healthy, task.HealthyTime = false, time.Time{}
		return
	}
	healthy, failing, why := r.judge(set, task, fact)
	switch {
	case healthy:
		if !task.EverHealthy {
			r.taskHealthy(set, task)
		}
		task.Healthy, task.EverHealthy, task.Unhealthy = true, true, false
		r.prove(set, task)
	case failing:
		task.Healthy, task.HealthyTime = false, time.Time{}
		grace := task.RunningTime.Add(r.Service.Spec.HealthCheckGracePeriod)
		if grace.After(r.now) {
			r.wakeAt(grace)
		} else if !task.Unhealthy {
			task.Unhealthy = true
			r.taskFailed(set, task, "failed its health check: "+why, false)
		}
	case !r.obs.Health.Known:
		// What was known last stands.
	default:
		task.Healthy, task.HealthyTime = false, time.Time{}
	}
}

// judge tells whether a running task counts as healthy, or fails its checks. With a load balancer its target must be
// healthy, with a container health check its containers, with both both; with neither it must have run for the
// minimum healthy time (ECS: DeploymentConfiguration.minimumHealthyPercent).
func (r *run) judge(set *TaskSet, task *Task, fact TaskFact) (healthy, failing bool, why string) {
	checked, healthy := false, true
	if set.Revision.HasHealthCheck {
		checked = true
		healthy = fact.Health == ContainersHealthy
		if fact.Health == ContainersUnhealthy {
			return false, true, "its container health check fails"
		}
	}
	if set.TargetGroup != "" {
		checked = true
		target, known := r.obs.Health.Targets[TargetKey{set.TargetGroup, task.Name}]
		healthy = healthy && known && target.State == TargetHealthy
		if r.obs.Health.Known && target.State == TargetUnhealthy {
			return false, true, target.Description + " (target group " + set.TargetGroup + ")"
		}
	}
	if checked {
		return healthy, false, ""
	}
	proven := task.RunningTime.Add(r.config().MinimumHealthyTime)
	r.wakeAt(proven)
	return !proven.After(r.now), false, ""
}

func (r *run) taskHealthy(set *TaskSet, task *Task) {
	if r.brings(set) {
		r.emit(Info, EventTaskHealthy, map[string]string{"task": task.Name}, "task %s is healthy", task.Name)
	}
}

// brings reports whether the deployment at work is bringing the set live.
func (r *run) brings(set *TaskSet) bool {
	d := r.Deployment
	return d != nil && d.State == InProgress && d.Rollback == nil && set.Revision.ID == d.Target.ID
}

// prove takes back earlier failures once a task has stayed healthy for long enough. In ECS the first healthy instant does, and
// a process that limps from start to start never trips the circuit breaker.
func (r *run) prove(set *TaskSet, task *Task) {
	if task.HealthyTime.IsZero() {
		task.HealthyTime = r.now
	}
	breaker := r.config().CircuitBreaker
	due := task.HealthyTime.Add(breaker.ResetAfter)
	if due.After(r.now) {
		if set.Failures > 0 || r.brings(set) && r.Deployment.Failures > 0 {
			r.wakeAt(due)
		}
		return
	}
	if set.Failures > 0 && due.After(set.FailureTime) { // of later failures it says nothing
		set.Failures, set.NotBefore = 0, time.Time{}
	}
	d := r.Deployment
	if r.brings(set) && d.Config.Strategy == Rolling && breaker.ResetOnHealthyTask && !d.BreakerTripped && due.After(d.FailureTime) {
		d.Failures = 0
	}
}

// taskFailed counts a failure against the deployment at work when the task is of its target revision. Unlike in ECS, an
// exit after RUNNING counts, unless the configuration says otherwise (aws/containers-roadmap#1206).
func (r *run) taskFailed(set *TaskSet, task *Task, why string, exited bool) {
	set.Failures, set.FailureTime = set.Failures+1, r.now
	delay := startDelay(set.Failures)
	if !task.RunningTime.IsZero() {
		delay = min(delay, maxRestartDelay)
	}
	set.NotBefore = r.now.Add(delay)
	detail := map[string]string{"task": task.Name, "taskSet": set.ID}
	d := r.Deployment
	counts := r.brings(set) && !d.BreakerTripped && d.Stage != CleanUp && r.breakerCounts(!task.RunningTime.IsZero(), exited)
	if counts {
		d.Failures, d.FailureTime = d.Failures+1, r.now
	}
	limit, on := 0, false
	if counts {
		limit, on = r.failureLimit()
	}
	if on {
		detail["failureCount"], detail["threshold"] = strconv.Itoa(d.Failures), strconv.Itoa(limit)
		r.emit(Warn, EventTaskFailed, detail, "task %s %s (failed tasks: %d/%d)", task.Name, why, d.Failures, limit)
		d.BreakerTripped = d.Failures >= limit
	} else {
		r.emit(Warn, EventTaskFailed, detail, "task %s %s", task.Name, why)
	}
	if set.Failures == impairedAfter && task.RunningTime.IsZero() {
		r.emit(Warn, EventTaskStartImpaired, map[string]string{"taskSet": set.ID},
			"service %s is unable to consistently start tasks successfully", r.Service.Name)
	}
}

// breakerCounts says whether the circuit breaker counts the failure; the other strategies' limit counts every one.
func (r *run) breakerCounts(ran, exited bool) bool {
	c := r.Deployment.Config
	if c.Strategy != Rolling {
		return true
	}
	breaker := c.CircuitBreaker
	switch {
	case exited && breaker.IgnoreExits, !ran && r.Deployment.TaskRan && breaker.IgnoreLateStarts:
		return false
	}
	return r.Deployment.Stage != BakeTime || !breaker.IgnoreDuringBake
}

func (r *run) failureLimit() (limit int, on bool) {
	return r.Deployment.FailureLimit(r.Service.Spec.DesiredCount)
}

// FailureLimit is how many failed tasks fail the deployment, and whether they do. The circuit breaker is for rolling
// deployments alone, as in ECS; the others have the default threshold as a limit of their own.
func (d *Deployment) FailureLimit(desired int) (limit int, on bool) {
	if d.Config.Strategy == Rolling {
		return d.Config.CircuitBreaker.Threshold.For(desired), d.Config.CircuitBreaker.Enable
	}
	if limit := d.Config.FailureLimit; limit.Value > 0 {
		return limit.For(desired), true
	}
	return DefaultThreshold().For(desired), true
}

// The delay before a task that came to nothing is replaced doubles to ECS's longest (service throttle logic). One that had been
// running is replaced sooner: ECS does not throttle those.
const (
	firstStartDelay = 250 * time.Millisecond
	maxStartDelay   = 27 * time.Minute
	maxRestartDelay = 15 * time.Second
	impairedAfter   = 5 // starts in a row that came to nothing before that is told
)

func startDelay(failures int) time.Duration {
	delay := firstStartDelay
	for range failures - 1 {
		if delay *= 2; delay >= maxStartDelay {
			return maxStartDelay
		}
	}
	return delay
}

// config is what tasks are judged by: the deployment's configuration, or the service's when none is at work.
func (r *run) config() Config {
	if r.Deployment != nil {
		return r.Deployment.Config
	}
	return r.Service.Spec.Config
}
