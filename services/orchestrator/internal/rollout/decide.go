package rollout

import (
	"strings"
	"time"
)

// Decide says what the service's next state is, what the world should be and when to ask again.
func Decide(s State, o Observation, now time.Time) Decision {
	r := newRun(s, o, now)
	r.absorb()
	if o.Trouble != "" {
		r.wait(WaitService, time.Time{}, "", "%s", o.Trouble)
	}
	switch d := r.Deployment; {
	case r.Service.Phase == Draining:
		r.drainService()
	case r.Service.Phase == Inactive:
	case d == nil && r.dequeue():
		r.advance()
	case d == nil:
		r.steady()
	case d.State == StopRequested:
		r.endWithout(ManualStop, d.Reason, d.StopRollsBack)
	case d.State == RollbackRequested:
		d.RolloutState = RolloutFailed
		r.endStage(StageStopped, d.Reason)
		r.beginRollback(d.Reason)
	case d.Rollback != nil:
		r.advanceRollback()
	default:
		r.advance()
	}
	if r.Deployment == nil || r.Deployment.State.Terminal() {
		r.leaveEmptied()
	}
	return r.decision(s)
}

// advance takes a deployment as far as the facts allow.
func (r *run) advance() {
	d := r.Deployment
	if d.State == Pending && !r.start() {
		if lost, tooLong := r.alarmsLost(); tooLong {
			r.emit(Error, EventDeploymentFailed, map[string]string{"errorCode": string(AlarmActive)}, "%s", lost)
			r.endWithout(AlarmActive, lost+" for "+d.Config.Alarms.UnreadableTimeout.String(), false)
			return
		}
		r.scale(Envelope(r.Service.Spec.DesiredCount, d.Config.MinimumHealthyPercent, d.Config.MaximumPercent))
		return
	}
	if r.failed() {
		return
	}
	if d.Config.Strategy == Rolling {
		r.advanceRolling()
		return
	}
	if current := r.Service.taskSet(r.Service.Current); current != nil && d.Stage != CleanUp && current.Revision.ID != d.Target.ID {
		current.Count = r.Service.Spec.DesiredCount
	}
	for r.advanceStage() {
	}
	if d.State == InProgress && d.Rollback == nil {
		r.scale(r.envelope())
	}
}

// start begins a pending deployment, unless an alarm is in ALARM already.
func (r *run) start() bool {
	d := r.Deployment
	d.Alarms.Status = MonitorDisabled
	if d.Config.Alarms.Enable {
		if !r.alarmsAllowStart() {
			return false
		}
	}
	d.enter(InProgress, "ECS deployment "+d.ID+" in progress.", r.now)
	d.StartTime = r.now
	r.Service.Steady = false
	r.emit(Info, EventDeploymentInProgress, map[string]string{"serviceRevision": d.Target.ID}, "ECS deployment %s in progress.", d.ID)
	return true
}

// failed fails the deployment when one of its failure detection methods has tripped. The method that tripped says
// whether to roll back (ECS: deployment failure detection).
func (r *run) failed() bool {
	d := r.Deployment
	if d.Stage == CleanUp {
		return false
	}
	deadline := d.Deadline()
	lost, lostTooLong := r.alarmsLost()
	if limit, on := r.failureLimit(); on && d.Failures > 0 && d.Failures >= limit {
		d.BreakerTripped = true // the threshold may have come down with the desired count
	}
	switch {
	case d.BreakerTripped && d.Config.Strategy == Rolling:
		r.fail(HealthConstraints, "ECS deployment circuit breaker: tasks failed to start.", d.Config.CircuitBreaker.Rollback)
	case d.BreakerTripped:
		r.fail(HealthConstraints, "too many tasks of the new revision failed", true)
	case r.alarmTripped():
		r.fail(AlarmActive, "alarm in ALARM: "+strings.Join(d.Alarms.Triggered, ", "), d.Config.Alarms.Rollback)
	case lostTooLong:
		r.fail(AlarmActive, lost+" for "+d.Config.Alarms.UnreadableTimeout.String(), d.Config.Alarms.Rollback)
	case !deadline.IsZero() && !deadline.After(r.now) && r.healthKnown(): // time alone moves no traffic to who knows what
		r.fail(TimedOut, "the deployment did not end within "+d.Config.Timeout.String(), r.rollsBackOnTimeout())
	default:
		return false
	}
	return true
}

// rollsBackOnTimeout says whether a deployment whose time is over is rolled back: a rolling one when a failure detection method
// of its would be, others always.
func (r *run) rollsBackOnTimeout() bool {
	c := r.Deployment.Config
	return c.Strategy != Rolling || c.CircuitBreaker.Enable && c.CircuitBreaker.Rollback || c.Alarms.Enable && c.Alarms.Rollback
}

// fail ends the attempt to bring the new revision live.
func (r *run) fail(code ErrorCode, why string, rollback bool) {
	d := r.Deployment
	d.RolloutState, d.ErrorCode = RolloutFailed, code
	r.emit(Error, EventDeploymentFailed, map[string]string{"errorCode": string(code)}, "%s", why)
	r.endStage(StageFailed, why)
	switch {
	case d.Config.AutoRollback != nil:
		event := OnFailure
		if code == AlarmActive {
			event = OnStopOnAlarm
		}
		r.endWithout(code, why, d.Config.AutoRollback.on(event))
	case rollback:
		r.beginRollback(why)
	default:
		r.freeze(why)
	}
}

// endWithout ends the deployment where it is. A rollback is then a deployment of its own, as in CodeDeploy.
func (r *run) endWithout(code ErrorCode, why string, rollback bool) {
	r.Deployment.RolloutState, r.Deployment.ErrorCode = RolloutFailed, code
	r.freeze(why)
	if rollback {
		r.rollBackAnew(why)
	}
}

// freeze leaves everything as it is, starts nothing any more and ends the deployment.
func (r *run) freeze(why string) {
	d := r.Deployment
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		set.Count, _, _ = set.live()
		set.Frozen = set.Frozen || set.Revision.ID == d.Target.ID
	}
	r.cancelHooks()
	r.endStage(StageStopped, why)
	d.enter(Stopped, why+"; "+r.serving(), r.now)
	r.emit(Warn, EventDeploymentStopped, nil, "ECS deployment %s stopped: %s", d.ID, d.Reason)
}

// succeed makes the target the service's revision.
func (r *run) succeed() {
	d := r.Deployment
	r.endStage(StageSucceeded, "")
	d.RolloutState = RolloutCompleted
	if d.Alarms.Status == Monitoring {
		d.Alarms.Status = MonitorComplete
	}
	r.Service.Current = d.Target.ID
	r.Service.Completed = &Completed{Revision: d.Target, Deployment: d.ID}
	r.Service.Deferred = d.Config.Strategy == Rolling && d.Config.EarlySuccess.Enable
	d.enter(Successful, "ECS deployment "+d.ID+" completed.", r.now)
	r.emit(Info, EventDeploymentCompleted, map[string]string{"serviceRevision": d.Target.ID}, "ECS deployment %s completed.", d.ID)
}

// serving says in words what serves production traffic now.
func (r *run) serving() string {
	var parts []string
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if n := set.healthy(); n > 0 && (set.TargetGroup == "" || r.Service.share(set.TargetGroup) > 0) {
			parts = append(parts, tasks(n)+" of "+set.Revision.ID)
		}
	}
	if len(parts) == 0 {
		return "nothing serves"
	}
	return strings.Join(parts, " and ") + " still serve"
}

// ensureSet returns the revision's task set, and makes it when it does not exist.
func (r *run) ensureSet(revision Revision, targetGroup string) *TaskSet {
	if set := r.Service.taskSet(revision.ID); set != nil {
		return set
	}
	r.Service.TaskSets = append(r.Service.TaskSets, TaskSet{
		ID: r.Service.taskSetID(revision.Number), Revision: revision, TargetGroup: targetGroup,
	})
	return &r.Service.TaskSets[len(r.Service.TaskSets)-1]
}

// envelope bounds what scale may do outside rolling deployments, which have room for a second full set.
func (r *run) envelope() (lower, upper int) {
	lower, _ = Envelope(r.Service.Spec.DesiredCount, r.config().MinimumHealthyPercent, 100)
	return lower, noUpperBound
}

// quorum is how many tasks of a revision must be healthy before it takes over from another: the minimum healthy percent,
// and never none.
func (r *run) quorum() int {
	lower, _ := r.envelope()
	return max(lower, min(1, r.Service.Spec.DesiredCount))
}
