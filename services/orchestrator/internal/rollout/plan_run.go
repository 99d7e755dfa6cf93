package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A plan is given up after so many decisions, and after so many tasks were looked at in all of them: some seconds of work.
const (
	planLimit     = 100_000
	planTaskLimit = 2_000_000
)

// planRun is a deployment in an ideal world, from its beginning to its end.
type planRun struct {
	state      State
	begin, now time.Time
	taskStart  time.Duration
	answersAll bool // people answer at once, also where the deployment would go on by itself

	steps    []PlanStep
	calls    []HookRun
	called   map[string]PlanCall
	ends     map[int]PlanStep // by the index of the history's record: how it stood at the end of the stage
	last     PlanStep         // how it stood after the decision before
	peak     int
	pauses   int
	endless  bool
	warnings []string
}

func newPlanRun(s State, begin time.Time, taskStart time.Duration) *planRun {
	r := &planRun{state: s.clone(), begin: begin, now: begin, taskStart: taskStart, called: map[string]PlanCall{}, ends: map[int]PlanStep{}}
	d := r.state.Deployment
	d.Config.Timeout = 0 // what stands still is told as such
	d.Config.ScaleUpTimeout += taskStart
	r.last = r.standing()
	return r
}

// run goes on until the deployment has ended, or would never end.
func (r *planRun) run() {
	looked := 0
	for range planLimit {
		decision := Decide(r.state, r.observe(desire(r.state)), r.now)
		r.take(decision)
		if d := r.state.Deployment; d == nil || d.State.Terminal() {
			return
		}
		answered := r.answer()
		next := r.next(decision.WakeAt)
		switch {
		case decision.Changed || answered:
		case next.IsZero():
			r.stuck()
			return
		default:
			r.now = next
		}
		if looked += r.last.SourceTasks + r.last.TargetTasks; looked > planTaskLimit {
			break
		}
	}
	r.endless = true
	r.warnings = append(r.warnings, fmt.Sprintf("the plan has more steps than are worked out; it ends after %s", r.now.Sub(r.begin)))
}

// take takes a decision over and records what changed.
func (r *planRun) take(decision Decision) {
	r.state = decision.Next
	d := r.state.Deployment
	if d == nil {
		return
	}
	now := r.standing()
	r.peak = max(r.peak, now.SourceTasks+now.TargetTasks)
	for i, h := range d.History {
		if _, known := r.ends[i]; !known && !h.End.IsZero() {
			r.ends[i] = r.endOf(h, now)
		}
	}
	for _, h := range d.Hooks {
		if _, known := r.called[h.ID]; !known {
			r.note(h, now)
		}
	}
	r.record(decision.Events, now)
	r.last = now
}

// endOf is how it stands at the end of a stage that has just ended. The same decision may have gone on to stages that follow.
func (r *planRun) endOf(h StageRecord, now PlanStep) PlanStep {
	d := r.state.Deployment
	end := r.last
	switch {
	case d.State.Terminal():
		return now
	case h.Stage == TestTrafficShift:
		end.TestWeight = now.TestWeight
	case h.Stage == ProductionTrafficShift && h.Step > 0 && r.state.Service.Spec.LoadBalancer != nil:
		end.ProductionWeight = d.Config.Steps[h.Step-1].Share
	}
	return end
}

// record adds a step for each event that a user would want to see in a plan.
func (r *planRun) record(events []Event, now PlanStep) {
	at := r.last
	for _, e := range events {
		if stage := e.Detail["lifecycleStage"]; stage != "" {
			at.Stage = Stage(stage)
		}
		if step, err := strconv.Atoi(e.Detail["step"]); err == nil {
			at.Step = step
		}
		switch e.Name {
		case EventTaskHealthy, EventTaskFailed, EventHookSucceeded, EventHookApproved, EventDeploymentInProgress:
			continue
		}
		step := now
		step.Stage, step.Step, step.Event, step.Description = at.Stage, at.Step, e.Name, e.Reason
		r.steps = append(r.steps, step)
	}
}

func (r *planRun) note(h HookRun, now PlanStep) {
	call := PlanCall{ID: h.ID, Hook: h.Hook, Offset: now.Offset, Timeout: h.Timeout, ProductionWeight: now.ProductionWeight}
	if h.Timeout > 0 {
		call.Then = thenOf(h.OnTime)
	}
	if h.Hook == "" {
		r.pauses++
		call.Quorum = max(h.Quorum, 1)
	} else {
		call.ReportBack = r.state.Deployment.Config.Hooks[h.Index].ReportBack
	}
	r.called[h.ID] = call
	r.calls = append(r.calls, h)
}

// standing is how traffic and tasks stand.
func (r *planRun) standing() PlanStep {
	s, d := &r.state.Service, r.state.Deployment
	step := PlanStep{Offset: r.now.Sub(r.begin), Stage: d.Stage, Step: d.Step}
	for i := range s.TaskSets {
		set := &s.TaskSets[i]
		if set.Revision.ID != d.Target.ID {
			step.SourceTasks += len(set.Tasks)
			continue
		}
		step.TargetTasks += len(set.Tasks)
		if set.TargetGroup != "" {
			step.ProductionWeight, step.TestWeight = s.share(set.TargetGroup), shareOf(s.Test, set.TargetGroup)
		}
	}
	if d.Config.Strategy == Rolling { // traffic goes where the healthy tasks are
		step.ProductionWeight = s.rollingShare(d.Target.ID)
		step.TestWeight = min(step.TestWeight, step.ProductionWeight)
	}
	return step
}

// rollingShare is the part of the service's healthy tasks that is of the revision, in tenths of a percent.
func (s *Service) rollingShare(revision string) int {
	of, all := 0, 0
	for i := range s.TaskSets {
		n := s.TaskSets[i].healthy()
		all += n
		if s.TaskSets[i].Revision.ID == revision {
			of += n
		}
	}
	if all == 0 {
		return 0
	}
	return (of*FullShare + all/2) / all
}

func shareOf(weights []Weight, targetGroup string) int {
	for _, w := range weights {
		if w.TargetGroup == targetGroup {
			return w.Share
		}
	}
	return 0
}

// answer lets people continue what waits for them, and reports whether somebody did.
func (r *planRun) answer() (answered bool) {
	for _, h := range slices.Clone(r.state.Deployment.Hooks) {
		byItself := h.OnTime == OnTimeoutContinue && !h.Expire.IsZero()
		if h.Status != HookAwaitingAction || byItself && !r.answersAll {
			continue
		}
		for person := range max(h.Quorum, 1) {
			decision, err := Continue(r.state, Answer{HookID: h.ID, Approver: fmt.Sprintf("person %d", person+1)}, r.now)
			if err != nil {
				break
			}
			r.take(decision)
			answered = true
		}
	}
	return answered
}

// next is when something changes by itself: time alone, or a task that gets ready.
func (r *planRun) next(wake time.Time) time.Time {
	for i := range r.state.Service.TaskSets {
		for _, t := range r.state.Service.TaskSets[i].Tasks {
			if ready := t.CreateTime.Add(r.taskStart); !t.EverHealthy && ready.After(r.now) && (wake.IsZero() || ready.Before(wake)) {
				wake = ready
			}
		}
	}
	return wake
}

// stuck notes that the deployment would not end, and what it would wait for.
func (r *planRun) stuck() {
	r.endless = true
	for _, c := range r.state.Deployment.Conditions {
		r.warnings = append(r.warnings, fmt.Sprintf("after %s it stands still: %s", r.now.Sub(r.begin), c.Message))
	}
}

func (r *planRun) took() time.Duration { return r.now.Sub(r.begin) }

// stages is what the deployment went through, with the calls in each stage.
func (r *planRun) stages() []PlanStage {
	d := r.state.Deployment
	if d == nil {
		return nil
	}
	var list []PlanStage
	if d.Config.Strategy == Rolling {
		list = append(list, r.rollingWork())
	}
	for i, h := range d.History {
		if h.Outcome == StageSkipped {
			continue
		}
		stage := PlanStage{Stage: h.Stage, Step: h.Step, Start: h.Start.Sub(r.begin)}
		switch {
		case h.Stage == BakeTime:
			stage.BakeTime = d.Config.BakeTime
		case h.Stage == ProductionTrafficShift && h.Step > 0:
			stage.BakeTime = d.Config.Steps[h.Step-1].BakeTime
		}
		r.close(&stage, h.End, r.ends[i])
		for _, c := range r.calls {
			if c.Stage == h.Stage && (h.Step == 0 || c.Step == h.Step) {
				stage.Calls = append(stage.Calls, r.called[c.ID])
			}
		}
		list = append(list, stage)
	}
	return list
}

// rollingWork is the part of a rolling deployment before its bake time, which is no stage in ECS.
func (r *planRun) rollingWork() PlanStage {
	d := r.state.Deployment
	var stage PlanStage
	if len(d.History) == 0 {
		r.close(&stage, time.Time{}, r.standing())
		return stage
	}
	end := r.standing()
	for _, s := range r.steps {
		if s.Stage == "" {
			end = s
		}
	}
	end.ProductionWeight = FullShare
	r.close(&stage, d.History[0].Start, end)
	return stage
}

func (r *planRun) close(stage *PlanStage, end time.Time, at PlanStep) {
	if end.IsZero() {
		end, stage.Open = r.now, true
	}
	stage.End = end.Sub(r.begin)
	stage.ProductionWeight, stage.TestWeight = at.ProductionWeight, at.TestWeight
	stage.SourceTasks, stage.TargetTasks = at.SourceTasks, at.TargetTasks
}
