package rollout

import (
	"slices"
	"time"
)

// beginRollback returns to the most recent revision that a deployment completed with. That one is no longer COMPLETED
// while it is rolled back to, so a deployment that supersedes the rollback and fails has nothing to return to
// (ECS: deployment circuit breaker).
func (r *run) beginRollback(why string) {
	d := r.Deployment
	completed := r.Service.Completed
	switch {
	case completed == nil:
		r.freeze(why + "; there is no COMPLETED service revision to roll back to")
		return
	case d.Config.Strategy == Rolling && completed.Revision.TaskDefinition == d.Target.TaskDefinition:
		r.freeze(why + "; the COMPLETED service revision " + completed.Revision.ID + " runs the same task definition, so its new tasks would fail alike")
		return
	}
	r.cancelHooks()
	d.enter(RollbackInProgress, why, r.now)
	d.Rollback = r.newRollback(why, *completed, d.Config)
	if d.Alarms.Status == Monitoring {
		d.Alarms.Status = MonitorComplete
	}
	r.Service.Completed = nil
	r.emit(Info, EventDeploymentInProgress, map[string]string{"serviceRevision": completed.Revision.ID, "rollback": "true"},
		"rolling back to %s of ECS deployment %s", completed.Revision.ID, completed.Deployment)
	d.Stage = ""
	r.advanceRollback()
}

// advanceRollback moves traffic back first, then the task sets, then the record.
func (r *run) advanceRollback() {
	d := r.Deployment
	back := r.ensureSet(d.Rollback.Revision, r.Service.rollbackTargetGroup(d))
	back.Count, back.Frozen = r.Service.Spec.DesiredCount, false
	if set := r.Service.taskSet(d.failing().ID); set != nil {
		set.Frozen = true
	}
	if d.Rollback.SafeTime.IsZero() && !d.Rollback.Deadline.After(r.now) {
		r.rollbackFailed()
		return
	}
	r.wakeAt(d.Rollback.Deadline)
	if d.Config.Strategy == Rolling {
		r.rollBackRolling()
		return
	}
	for r.rollBackStage() {
	}
	if !d.State.Terminal() {
		r.scale(r.envelope())
	}
}

// rollBackAnew begins a deployment that undoes the one that has just ended (CodeDeploy: redeploy and roll back).
func (r *run) rollBackAnew(why string) {
	d := r.Deployment
	completed := r.Service.Completed
	switch set := r.Service.taskSet(d.Target.ID); {
	case completed == nil:
		d.Reason += "; there is no COMPLETED service revision to roll back to"
		return
	case set == nil || len(set.Tasks) == 0 && (set.TargetGroup == "" || r.Service.share(set.TargetGroup) == 0):
		d.Reason += "; nothing of the new revision had begun, so there is nothing to roll back"
		return
	}
	back := Deployment{
		ID: d.ID + "-rollback", State: Pending, RolloutState: RolloutInProgress, Config: d.Config,
		Target: completed.Revision, RollbackOf: d.ID, Undoes: d.Target, CreateTime: r.now, StartTime: r.now,
		Alarms:   AlarmWatch{Status: MonitorDisabled},
		Rollback: r.newRollback(why, *completed, d.Config),
	}
	back.Config.Hooks, back.Config.AutoRollback, back.Config.Steps = nil, nil, AllAtOnce()
	back.Config.Alarms = DefaultAlarms()
	d.RollbackDeployment = back.ID
	r.retire()
	r.begin(back)
	r.Service.Completed = nil
	r.Deployment.enter(InProgress, "rolls back "+back.RollbackOf+": "+why, r.now)
	r.emit(Info, EventDeploymentInProgress, map[string]string{"serviceRevision": completed.Revision.ID, "rollbackOf": back.RollbackOf},
		"ECS deployment %s in progress: rolling back %s.", back.ID, back.RollbackOf)
}

func (r *run) newRollback(why string, to Completed, c Config) *Rollback {
	if set := r.Service.taskSet(to.Revision.ID); set != nil {
		set.Failures, set.NotBefore = 0, time.Time{} // its capacity comes first, whatever it failed at before
	}
	return &Rollback{
		Reason: why, Revision: to.Revision, Deployment: to.Deployment, StartTime: r.now, Deadline: r.now.Add(c.RollbackTimeout),
	}
}

// rollbackTargetGroup is where the old revision's tasks go when its task set no longer exists.
func (s *Service) rollbackTargetGroup(d *Deployment) string {
	lb := s.Spec.LoadBalancer
	if lb == nil {
		return ""
	}
	if d.Config.Strategy == Rolling {
		return s.productionTargetGroup()
	}
	if target := s.taskSet(d.failing().ID); target != nil && target.TargetGroup == lb.TargetGroup {
		return lb.AlternateTargetGroup
	}
	return lb.TargetGroup
}

func (r *run) rollBackRolling() {
	d := r.Deployment
	if !r.gathered() {
		r.scale(Envelope(r.Service.Spec.DesiredCount, d.Config.MinimumHealthyPercent, d.Config.MaximumPercent))
		return
	}
	r.moveTowards(d.Rollback.Revision)
	back := r.Service.taskSet(d.Rollback.Revision.ID)
	if d.Rollback.SafeTime.IsZero() && r.onlyServing(back) {
		d.Rollback.SafeTime = r.now
	}
	if r.arrived(back) {
		r.rolledBack()
		return
	}
	r.wait(WaitTasksHealthy, d.Rollback.Deadline, "the rollback fails", "%d of %d tasks of %s are healthy", back.healthy(), back.Count, back.Revision.ID)
}

// onlyServing reports whether the set serves and no task of another set is in service.
func (r *run) onlyServing(back *TaskSet) bool {
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if live, _, _ := set.live(); set.Revision.ID != back.Revision.ID && live > 0 {
			return false
		}
	}
	return back.healthy() >= r.quorum()
}

// rollBackStage runs the two shift stages again, with reversed weights, and then stops the new revision's tasks. There is
// no stage of its own for a rollback (ECS: how blue/green deployments work).
func (r *run) rollBackStage() bool {
	d := r.Deployment
	back := r.Service.taskSet(d.Rollback.Revision.ID)
	switch d.Stage {
	case "":
		r.enterStage(ProductionTrafficShift)
		return true
	case ProductionTrafficShift:
		if !r.productionBack(back) || !r.rollbackHooksDone() {
			return false
		}
		r.enterStage(TestTrafficShift)
		return true
	case TestTrafficShift:
		if !r.shiftTest(back.TargetGroup) || !r.rollbackHooksDone() {
			return false
		}
		r.enterStage(CleanUp)
		return true
	}
	done := true
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if set.Revision.ID != back.Revision.ID {
			set.Count = 0
			done = done && r.gone(set)
		}
	}
	if done {
		r.endStage(StageSucceeded, "")
		r.rolledBack()
	} else {
		r.wait(WaitDrain, time.Time{}, "", "tasks of the new revision to drain and stop")
	}
	return false
}

// rollbackHooksDone calls the hooks of a shift again. They do not hold a rollback beyond its deadline: traffic is back already.
func (r *run) rollbackHooksDone() bool {
	if d := r.Deployment; !d.Rollback.Deadline.After(r.now) {
		d.Hooks, d.HooksStarted = nil, true
	}
	return r.hooksDone()
}

// wasAt reports whether the deployment went into the stage on its way forward.
func (d *Deployment) wasAt(stage Stage) bool {
	return slices.ContainsFunc(d.History, func(s StageRecord) bool { return s.Stage == stage && !s.Rollback })
}

// productionBack restores the old revision's capacity, then its weight. When the new revision serves nothing, one
// healthy task of the old one is enough to take the traffic.
func (r *run) productionBack(back *TaskSet) bool {
	d := r.Deployment
	need := r.quorum()
	if target := r.Service.taskSet(d.failing().ID); target == nil || target.healthy() == 0 {
		need = min(need, 1)
	}
	if r.Service.share(back.TargetGroup) < FullShare && back.healthy() < need {
		r.wait(WaitTasksHealthy, d.Rollback.Deadline, "the rollback fails", "%d of %d tasks of %s to be healthy before it takes the traffic",
			back.healthy(), need, back.Revision.ID)
		return false
	}
	if !r.shiftProduction(back.TargetGroup, FullShare) {
		return false
	}
	if d.Rollback.SafeTime.IsZero() {
		d.Rollback.SafeTime = r.now
		if r.Service.Spec.LoadBalancer != nil && (d.wasAt(ProductionTrafficShift) || d.RollbackOf != "") {
			r.emit(Info, EventTrafficShifted, map[string]string{"productionTrafficWeight": "0", "rollback": "true"},
				"100 %% of production traffic is back on %s", back.Revision.ID)
		}
	}
	return true
}

func (r *run) rolledBack() {
	d := r.Deployment
	d.Rollback.FinishTime = r.now
	r.Service.Current = d.Rollback.Revision.ID
	r.Service.Spec.TaskDefinition, r.Service.Spec.HasHealthCheck = d.Rollback.Revision.TaskDefinition, d.Rollback.Revision.HasHealthCheck
	r.Service.Completed = &Completed{Revision: d.Rollback.Revision, Deployment: d.Rollback.Deployment}
	if d.RollbackOf != "" {
		d.RolloutState = RolloutCompleted
		d.enter(Successful, "rolled back "+d.RollbackOf, r.now)
	} else {
		d.enter(RollbackSuccessful, d.Rollback.Reason, r.now)
	}
	r.emit(Info, EventDeploymentCompleted, map[string]string{"serviceRevision": d.Rollback.Revision.ID, "rollback": "true"},
		"ECS deployment %s completed.", d.Rollback.Deployment)
}

// rollbackFailed gives up and touches nothing that serves.
func (r *run) rollbackFailed() {
	d := r.Deployment
	d.Rollback.FinishTime = r.now
	r.endStage(StageFailed, "the rollback took too long")
	r.cancelHooks()
	if set := r.Service.taskSet(d.failing().ID); set != nil {
		set.Frozen = false
	}
	to := RollbackFailed
	if d.RollbackOf != "" {
		to, d.RolloutState, d.ErrorCode = Stopped, RolloutFailed, TimedOut
	}
	d.enter(to, "the rollback did not end within "+d.Config.RollbackTimeout.String()+"; "+r.serving(), r.now)
	r.emit(Error, EventDeploymentFailed, map[string]string{"rollback": "true"}, "%s", d.Reason)
}
