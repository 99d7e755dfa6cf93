package rollout

import (
	"reflect"
	"slices"
	"strconv"
	"time"
)

// advanceStage does the work of the present stage of a traffic-shifting deployment and returns true when it went on to
// the next one.
func (r *run) advanceStage() bool {
	d := r.Deployment
	switch d.Stage {
	case "":
		r.enterStage(ReconcileService)
		return true
	case ReconcileService:
		return r.reconcile() && r.goOn()
	case PreScaleUp, PostScaleUp, PreProductionTrafficShift, PostProductionTrafficShift:
		return r.hooksDone() && r.goOn()
	case PostTestTrafficShift:
		return r.hooksDone() && r.ready() && r.goOn()
	case ScaleUp:
		return r.scaleUp() && r.goOn()
	case TestTrafficShift:
		return r.shiftTest(r.target().TargetGroup) && r.hooksDone() && r.goOn()
	case ProductionTrafficShift:
		return r.shiftStep() && r.goOn()
	case BakeTime:
		return r.bake() && r.goOn()
	case CleanUp:
		return r.cleanUp()
	}
	return false
}

func (r *run) target() *TaskSet { return r.Service.taskSet(r.Deployment.Target.ID) }

// goOn enters the stage that follows. A failed gate keeps the stage.
func (r *run) goOn() bool {
	d := r.Deployment
	if d.State != InProgress || d.Rollback != nil {
		return false
	}
	next := d.Stage.next()
	if d.Stage == ProductionTrafficShift && d.Step < len(d.Config.Steps) {
		next = PreProductionTrafficShift
	}
	r.enterStage(next)
	return true
}

// enterStage closes the stage before and opens the next. Stages in which there is nothing to do leave a record, no event.
func (r *run) enterStage(stage Stage) {
	d := r.Deployment
	r.endStage(StageSucceeded, "")
	d.Stage, d.StageTime = stage, r.now
	d.Hooks, d.HooksStarted = nil, false
	d.ShiftTime, d.BakeUntil = time.Time{}, time.Time{}
	switch stage {
	case PreProductionTrafficShift:
		if d.Rollback == nil {
			d.Step++
		}
	case ScaleUp, ProductionTrafficShift:
		d.ScaleUpDeadline = r.now.Add(d.Config.ScaleUpTimeout)
	}
	record := StageRecord{Stage: stage, Rollback: d.Rollback != nil, Start: r.now}
	if stage == PreProductionTrafficShift || stage == ProductionTrafficShift {
		record.Step = d.Step
	}
	d.History = append(d.History, record)
	if r.hasWork(stage) {
		detail := map[string]string{"lifecycleStage": string(stage)}
		if record.Step > 0 {
			detail["step"] = strconv.Itoa(record.Step)
		}
		r.emit(Info, EventStageStarted, detail, "%s", stage)
	}
}

// endStage closes the open record of the history.
func (r *run) endStage(outcome StageOutcome, why string) {
	d := r.Deployment
	if n := len(d.History); n > 0 && d.History[n-1].Outcome == "" {
		last := &d.History[n-1]
		last.End, last.Outcome, last.Reason = r.now, outcome, why
		if outcome == StageSucceeded && !r.hasWork(last.Stage) {
			last.Outcome = StageSkipped
		}
	}
}

func (r *run) hasWork(stage Stage) bool {
	d := r.Deployment
	if stage == ReconcileService { // the other stages are there for their hooks alone, too
		return r.mustReconcile()
	}
	for _, h := range d.Config.Hooks {
		if slices.Contains(h.Stages, stage) {
			return true
		}
	}
	lb := r.Service.Spec.LoadBalancer
	switch stage {
	case ScaleUp, CleanUp:
		return true
	case PostTestTrafficShift:
		return d.Config.ReadyWait > 0
	case BakeTime:
		return d.Config.BakeTime > 0 || d.Config.TerminationWait > 0 && !d.Config.KeepSource
	case TestTrafficShift:
		return lb != nil && lb.TestListener != ""
	case ProductionTrafficShift:
		return lb != nil
	}
	return false
}

// scaleUp brings the new revision to what its first step needs, in ECS the desired count; every task must be healthy before
// anything else happens.
func (r *run) scaleUp() bool {
	d := r.Deployment
	r.ensureSet(d.Target, r.Service.freeTargetGroup())
	return r.scaledUp(d.Config.Steps[0])
}

// scaledUp brings the new revision to what the step needs and returns true when every task of it is healthy.
func (r *run) scaledUp(step TrafficStep) bool {
	d := r.Deployment
	set := r.target()
	set.Count = step.Tasks(r.Service.Spec.DesiredCount)
	if r.obs.Runtime.Known && set.healthy() >= set.Count {
		return true
	}
	if !d.ScaleUpDeadline.After(r.now) {
		r.fail(TimedOut, "the new revision did not become healthy within "+d.Config.ScaleUpTimeout.String(), true)
		return false
	}
	r.wait(WaitTasksHealthy, d.ScaleUpDeadline, "the deployment is rolled back", "%d of %d tasks of %s are healthy", set.healthy(), set.Count, d.Target.ID)
	return false
}

// freeTargetGroup is the target group that has no production traffic.
func (s *Service) freeTargetGroup() string {
	lb := s.Spec.LoadBalancer
	if lb == nil {
		return ""
	}
	for _, name := range lb.targetGroups() {
		used := false
		for _, set := range s.TaskSets {
			used = used || set.TargetGroup == name
		}
		if !used {
			return name
		}
	}
	if s.share(lb.TargetGroup) == 0 {
		return lb.TargetGroup
	}
	return lb.AlternateTargetGroup
}

// shiftStep moves the step's share of production traffic, calls the stage's hooks, bakes and pauses.
func (r *run) shiftStep() bool {
	d := r.Deployment
	step := d.Config.Steps[d.Step-1]
	set := r.target()
	set.Count = step.Tasks(r.Service.Spec.DesiredCount)
	if !r.alive(step) {
		return false
	}
	if d.ShiftTime.IsZero() {
		if !r.scaledUp(step) { // the desired count may have grown, or a task died
			return false
		}
		share := r.shareOf(set, step)
		if !r.alarmsKnown() || !r.healthKnown() || !r.othersStopped() || !r.shiftProduction(set.TargetGroup, share) {
			return false
		}
		d.ShiftTime = r.now
		if r.Service.Spec.LoadBalancer != nil {
			r.emit(Info, EventTrafficShifted, map[string]string{"productionTrafficWeight": percent(share), "step": strconv.Itoa(d.Step)},
				"%s %% of production traffic is on %s", percent(share), d.Target.ID)
		}
	}
	if !r.hooksDone() {
		return false
	}
	until := d.ShiftTime.Add(step.BakeTime)
	d.BakeUntil = until
	if until.After(r.now) {
		r.wait(WaitBakeTime, until, "the next step follows", "the bake time of step %d (%s)", d.Step, step.BakeTime)
		return false
	}
	return (!step.Pause || r.stepContinued()) && r.alarmsKnown()
}

// alive reports whether a task of the new revision is healthy, or none is wanted. A new revision of which none is healthy any more
// has failed, but for one that was scaled up from nothing: it gets the time of a scale-up.
func (r *run) alive(step TrafficStep) bool {
	d, set := r.Deployment, r.target()
	switch {
	case set.Count == 0:
		return true
	case set.healthy() > 0:
		d.FromNone = false
		return true
	case d.FromNone:
		return r.scaledUp(step)
	}
	r.fail(HealthConstraints, "no task of the new revision is healthy", true)
	return false
}

// othersStopped holds traffic where tasks are healthy when the service is scaled to nothing, until they are told to stop.
func (r *run) othersStopped() bool {
	if r.Service.Spec.DesiredCount > 0 {
		return true
	}
	stopped := true
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if set.Revision.ID == r.Deployment.Target.ID {
			continue
		}
		if set.Count = 0; set.healthy() > 0 {
			stopped = false
			r.wait(WaitDrain, time.Time{}, "", "tasks of %s to stop: the desired count is 0", set.Revision.ID)
		}
	}
	return stopped
}

// shareOf is the share that a step gives to the new revision: its own, and what is there already where it would else go to
// a target group in which nothing is healthy.
func (r *run) shareOf(set *TaskSet, step TrafficStep) int {
	for i := range r.Service.TaskSets {
		if other := &r.Service.TaskSets[i]; other.TargetGroup != set.TargetGroup && other.healthy() > 0 {
			return step.Share
		}
	}
	return max(step.Share, r.Service.share(set.TargetGroup))
}

// shiftProduction gives the target group the share of production traffic, the rest to the other, and returns true once
// that is in force.
func (r *run) shiftProduction(targetGroup string, share int) bool {
	if r.Service.Spec.LoadBalancer == nil {
		return true
	}
	return r.shift(&r.Service.Production, targetGroup, share, "production")
}

// shiftTest gives the target group all test traffic and returns true once that is in force.
func (r *run) shiftTest(targetGroup string) bool {
	lb := r.Service.Spec.LoadBalancer
	if lb == nil || lb.TestListener == "" {
		return true
	}
	return r.shift(&r.Service.Test, targetGroup, FullShare, "test")
}

func (r *run) shift(weights *[]Weight, targetGroup string, share int, listener string) bool {
	want := r.Service.Spec.LoadBalancer.weights(targetGroup, share)
	if !equalWeights(*weights, want) {
		*weights = want
		r.setShiftGeneration()
	}
	if r.inForce() {
		return r.settled(listener)
	}
	problem := r.obs.Traffic.Problem
	if problem == "" {
		problem = "the data plane to acknowledge generation " + strconv.FormatInt(r.shiftGeneration(), 10)
	}
	r.wait(WaitTraffic, time.Time{}, "", "%s traffic weights to be in force: %s", listener, problem)
	return false
}

// settled reports whether the requests follow the weights that the data plane has: some load balancers take their time (ECS waits
// 10 minutes with a Network Load Balancer).
func (r *run) settled(listener string) bool {
	d, delay := r.Deployment, r.Service.Spec.LoadBalancer.SettleDelay
	if d == nil || delay == 0 {
		return true
	}
	if d.InForceTime.IsZero() {
		d.InForceTime = r.now
	}
	until := d.InForceTime.Add(delay)
	if !until.After(r.now) {
		return true
	}
	r.wait(WaitTraffic, until, "the stage goes on", "%s traffic to follow its new weights (settle_delay %s)", listener, delay)
	return false
}

func (r *run) setShiftGeneration() {
	if d := r.Deployment; d != nil {
		d.ShiftGeneration, d.InForceTime = r.generation, time.Time{}
	}
}

func (r *run) shiftGeneration() int64 {
	if d := r.Deployment; d != nil {
		return d.ShiftGeneration
	}
	return 0
}

// inForce reports whether the data plane has acknowledged the weights moved last, and the targets that there are.
func (r *run) inForce() bool {
	return r.obs.Traffic.Known && !r.routesChanged() && r.obs.Traffic.Generation >= max(r.shiftGeneration(), r.Service.RoutesGeneration)
}

// routesChanged reports whether this decision changes what the data plane serves.
func (r *run) routesChanged() bool {
	lb := r.Service.Spec.LoadBalancer
	return lb != nil && r.Service.Phase == Active && !reflect.DeepEqual(r.before.Service.routes(lb), r.Service.routes(lb))
}

// weights gives the target group its share and the other one the rest.
func (lb *LoadBalancer) weights(targetGroup string, share int) []Weight {
	names := lb.targetGroups()
	if len(names) == 1 {
		return []Weight{{names[0], FullShare}}
	}
	weights := make([]Weight, 0, len(names))
	for _, name := range names {
		if name == targetGroup {
			weights = append(weights, Weight{name, share})
		} else {
			weights = append(weights, Weight{name, FullShare - share})
		}
	}
	return weights
}

func equalWeights(a, b []Weight) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// bake keeps both revisions for the bake time.
func (r *run) bake() bool {
	d := r.Deployment
	if d.BakeUntil.IsZero() {
		d.BakeUntil = r.now.Add(d.Config.BakeTime)
	}
	r.target().Count = r.Service.Spec.DesiredCount
	if !r.alive(TrafficStep{}) {
		return false
	}
	if d.BakeUntil.After(r.now) {
		r.wait(WaitBakeTime, d.BakeUntil, "the old revision is stopped", "the bake time of %s", d.Config.BakeTime)
		return false
	}
	if lower := r.quorum(); r.target().healthy() < lower {
		r.wait(WaitTasksHealthy, time.Time{}, "", "%d of at least %d tasks of %s are healthy before the old revision is stopped",
			r.target().healthy(), lower, d.Target.ID)
		return false
	}
	return r.alarmsKnown() && r.healthKnown() && r.terminationDue()
}

// cleanUp stops the old revisions; then the deployment is done.
func (r *run) cleanUp() bool {
	r.target().Count = r.Service.Spec.DesiredCount
	done := true
	for i := range r.Service.TaskSets {
		set := &r.Service.TaskSets[i]
		if set.Revision.ID == r.Deployment.Target.ID {
			continue
		}
		if r.Deployment.Config.KeepSource {
			set.Frozen = true
			set.Count, _, _ = set.live()
			continue
		}
		set.Count = 0
		done = done && r.gone(set)
	}
	if !done {
		r.wait(WaitDrain, time.Time{}, "", "tasks of the old revision to drain and stop")
		return false
	}
	r.succeed()
	return false
}

func (r *run) healthKnown() bool {
	if !r.obs.Runtime.Known {
		return false // absorb said so
	}
	if r.Service.Spec.LoadBalancer == nil || r.obs.Health.Known {
		return true
	}
	r.wait(WaitService, time.Time{}, "", "the healthcheck service cannot be reached")
	return false
}

func percent(share int) string {
	return strconv.FormatFloat(float64(share)/10, 'f', -1, 64)
}
