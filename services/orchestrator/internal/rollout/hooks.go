package rollout

import (
	"fmt"
	"slices"
	"time"
)

// hooksDone calls the hooks of the present stage and returns true when all of them let the deployment go on. Hooks of
// one stage run in parallel; any that asks for it rolls the deployment back (ECS: lifecycle hooks).
func (r *run) hooksDone() bool {
	d := r.Deployment
	r.startHooks()
	done := true
	for i := range d.Hooks {
		h := &d.Hooks[i]
		if !h.ended() {
			r.settleHook(h)
		}
		done = done && h.ended()
	}
	if !done {
		return false
	}
	for _, h := range d.Hooks {
		if !r.passes(h) {
			return false
		}
	}
	return true
}

// passes reports whether an ended hook lets the deployment go on; when it does not, the deployment has failed.
func (r *run) passes(h HookRun) bool {
	d := r.Deployment
	if d.Rollback != nil {
		return true
	}
	rollback, why := h.verdict()
	switch {
	case h.Status == HookTimedOut && h.OnTime == onTimeoutStop:
		d.enter(StopRequested, "nobody continued the deployment in time", r.now)
		r.endWithout(TimedOut, "the deployment timed out while it waited for a notification (READY_WAIT)", false)
	case rollback && h.Status == HookTimedOut:
		r.fail(TimedOut, why, true)
	case rollback && h.Hook == "":
		r.fail(ManualStop, why, true)
	case rollback:
		r.fail(HookFailure, why, true)
	default:
		return true
	}
	return false
}

// startHooks asks for the hooks of the present stage, once.
func (r *run) startHooks() {
	d := r.Deployment
	if d.HooksStarted {
		return
	}
	d.HooksStarted = true
	for i, hook := range d.Config.Hooks {
		repeated := hook.FirstStepOnly && d.Step > 1
		undoes := d.Rollback == nil || !hook.Pause && d.wasAt(d.Stage) // what was not done need not be undone
		if slices.Contains(hook.Stages, d.Stage) && !repeated && undoes {
			r.startHook(i, hook)
		}
	}
}

func (r *run) startHook(index int, hook Hook) {
	d := r.Deployment
	name := hook.Hook
	if hook.Pause {
		name = fmt.Sprintf("pause-%d", index+1)
	}
	run := HookRun{
		ID: r.hookID(name), Hook: hook.Hook, Stage: d.Stage, Step: d.Step, Status: HookInProgress,
		OnTime: hook.TimeoutAction, Timeout: hook.Timeout, Expire: r.now.Add(hook.Timeout), Index: index,
	}
	event, what := EventHookInProgress, "hook "+name+" is called"
	if hook.Pause {
		run.Status, event, what = HookAwaitingAction, EventHookAwaitingAction, "waiting for ContinueDeployment"
		run.Quorum = hook.Quorum
	}
	d.Hooks = append(d.Hooks, run)
	r.emit(Info, event, run.detail(), "%s at %s", what, d.Stage)
}

// hookID is the invocation's identity: deployment, stage, step, hook, and whether it is part of the rollback.
func (r *run) hookID(name string) string {
	d := r.Deployment
	id := fmt.Sprintf("%s/%s/%d/%s", d.ID, d.Stage, d.Step, name)
	if d.Rollback != nil {
		id += "/rollback"
	}
	return id
}

// settleHook takes over how the hook's invocation stands. A pause ends by a user's word or by time.
func (r *run) settleHook(h *HookRun) {
	if h.Status == HookAwaitingAction {
		if !h.Expire.IsZero() && !h.Expire.After(r.now) {
			h.Status, h.Reason = HookTimedOut, "nobody answered in time"
			r.hookEnded(h)
			return
		}
		then := thenOf(h.OnTime)
		if h.Expire.IsZero() {
			then = "" // a step's pause has no end
		}
		r.wait(WaitContinue, h.Expire, then, "ContinueDeployment (hook %s)", h.ID)
		return
	}
	if !r.obs.Hooks.Known {
		r.wait(WaitService, time.Time{}, "", "the hooks service cannot be reached")
		return
	}
	fact, seen := r.obs.Hooks.Invocations[h.ID]
	if seen && fact.Status != HookInProgress && fact.Status != HookAwaitingAction {
		h.Status, h.Reason = fact.Status, fact.Reason
		if fact.Continue {
			h.OnTime = OnTimeoutContinue
		}
		r.hookEnded(h)
		return
	}
	expire, then := h.Expire, thenOf(h.OnTime)
	if back := r.Deployment.Rollback; back != nil {
		expire, then = back.Deadline, "the rollback goes on"
	}
	r.wait(WaitHook, expire, then, "hook %s at %s", h.Hook, h.Stage)
}

func thenOf(action TimeoutAction) string {
	switch action {
	case OnTimeoutContinue:
		return "the deployment goes on"
	case onTimeoutStop:
		return "the deployment is stopped"
	default:
		return "the deployment is rolled back"
	}
}

func (r *run) hookEnded(h *HookRun) {
	kind, name := Info, EventHookSucceeded
	switch h.Status {
	case HookFailed:
		kind, name = Error, EventHookFailed
	case HookTimedOut:
		kind, name = Warn, EventHookTimedOut
	}
	what := h.Hook
	if what == "" {
		what = "pause"
	}
	text := fmt.Sprintf("hook %s %s", what, h.Status)
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	r.emit(kind, name, h.detail(), "%s", text)
}

// detail is what events tell of a hook, by the names of "ECS Hook State Change".
func (h HookRun) detail() map[string]string {
	detail := map[string]string{"hookId": h.ID, "lifecycleStage": string(h.Stage), "hookType": "HOOK"}
	if h.Hook == "" {
		detail["hookType"] = "PAUSE"
	}
	if !h.Expire.IsZero() {
		detail["expiresAt"] = h.Expire.Format(time.RFC3339)
	}
	return detail
}

// verdict tells whether an ended hook asks for a rollback.
func (h HookRun) verdict() (rollback bool, why string) {
	name := h.Hook
	if name == "" {
		name = "pause"
	}
	switch h.Status {
	case HookFailed:
		return true, "hook " + name + " failed at " + string(h.Stage) + reasonSuffix(h.Reason)
	case HookTimedOut:
		return h.OnTime != OnTimeoutContinue, "hook " + name + " timed out at " + string(h.Stage)
	}
	return false, ""
}

func reasonSuffix(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// stepContinued waits for ContinueDeployment after a step that pauses. The pause has no end.
func (r *run) stepContinued() bool {
	return r.continued(r.hookID("pause"), 0, "", fmt.Sprintf("after step %d", r.Deployment.Step))
}

// ready is CodeDeploy's deployment ready option: a person says when production traffic may move.
func (r *run) ready() bool {
	d := r.Deployment
	return d.Config.ReadyWait == 0 || r.continued(waitID(d.ID, ReadyWait), d.Config.ReadyWait, onTimeoutStop, "before production traffic moves")
}

// terminationDue is CodeDeploy's termination wait: a person may end it, and else time does.
func (r *run) terminationDue() bool {
	d := r.Deployment
	if d.Config.TerminationWait == 0 || d.Config.KeepSource {
		return true
	}
	return r.continued(waitID(d.ID, TerminationWait), d.Config.TerminationWait, OnTimeoutContinue, "before the old revision is stopped")
}

// continued is a pause that no hook of the configuration asks for. It returns true once it lets the deployment go on.
func (r *run) continued(id string, timeout time.Duration, onTime TimeoutAction, when string) bool {
	d := r.Deployment
	i := slices.IndexFunc(d.Hooks, func(h HookRun) bool { return h.ID == id })
	if i < 0 {
		h := HookRun{ID: id, Stage: d.Stage, Step: d.Step, Status: HookAwaitingAction, OnTime: onTime, Timeout: timeout, Index: -1}
		if timeout > 0 {
			h.Expire = r.now.Add(timeout)
		}
		d.Hooks = append(d.Hooks, h)
		i = len(d.Hooks) - 1
		r.emit(Info, EventHookAwaitingAction, h.detail(), "waiting for ContinueDeployment %s", when)
	}
	if h := &d.Hooks[i]; !h.ended() {
		r.settleHook(h)
	}
	return d.Hooks[i].ended() && r.passes(d.Hooks[i])
}

// cancelHooks gives up the hooks of the present stage: what is no longer desired is canceled.
func (r *run) cancelHooks() { r.Deployment.Hooks, r.Deployment.HooksStarted = nil, false }

// desiredHooks is the invocations that have been asked for and have not ended.
func (s *State) desiredHooks() []DesiredInvocation {
	d := s.Deployment
	var list []DesiredInvocation
	for _, h := range d.Hooks {
		if h.Status != HookInProgress {
			continue
		}
		call := DesiredInvocation{
			ID: h.ID, Hook: h.Hook, Deployment: d.ID, Stage: h.Stage, Step: h.Step, TargetRevision: d.Target.ID,
			Details: d.Config.Hooks[h.Index].Details, Timeout: h.Timeout, TimeoutAction: h.OnTime,
			ReportBack: d.Config.Hooks[h.Index].ReportBack,
		}
		switch h.Stage {
		case TestTrafficShift:
			call.TestWeights = s.Service.percents(s.Service.Test)
		case PreProductionTrafficShift, ProductionTrafficShift:
			call.ProductionWeights = s.Service.percents(s.Service.Production)
		}
		list = append(list, call)
	}
	return list
}
