package rollout

import (
	"fmt"
	"slices"
	"time"
)

// StopType is ECS's StopServiceDeploymentStopType.
type StopType string

// The ways to stop. StopDefault rolls back, unless an auto rollback configuration says otherwise.
const (
	StopDefault  StopType = ""
	StopRollback StopType = "ROLLBACK"
	StopAbort    StopType = "ABORT"
)

// Stop ends the deployment at work. A rollback that is under way goes on, as in ECS.
func Stop(s State, how StopType, reason string, now time.Time) (Decision, error) {
	if s.Deployment == nil {
		return Decision{}, refuse("DEPLOYMENT_STATE", nil, "no deployment is at work")
	}
	r := newCommand(s, now)
	d := r.Deployment
	if reason == "" {
		reason = "stopped by a user"
	}
	onRequest := d.Config.AutoRollback
	switch {
	case d.State == RollbackRequested, d.State == StopRequested, d.Rollback != nil && how != StopAbort:
		return r.decision(s), nil
	case d.Rollback != nil:
		return Decision{}, refuse("DEPLOYMENT_STATE", map[string]string{"state": string(d.State)}, "deployment %s is rolling back and cannot be aborted", d.ID)
	case how == StopDefault && onRequest != nil:
		r.requestStop(reason, onRequest.on(OnStopOnRequest))
	case how != StopAbort && d.Stage == CleanUp:
		return Decision{}, refuse("DEPLOYMENT_STATE", map[string]string{"state": string(d.State)},
			"deployment %s is stopping the old revision and cannot be rolled back any more; deploy the old task definition instead", d.ID)
	case how != StopAbort:
		d.enter(RollbackRequested, reason, r.now)
		d.ErrorCode = ManualStop
		r.emit(Warn, EventRollbackRequested, nil, "rollback requested: %s", reason)
	default:
		r.requestStop(reason, false)
	}
	return r.decision(s), nil
}

// requestStop asks the deployment to stop where it is, which the next decision does.
func (r *run) requestStop(reason string, rollBack bool) {
	d := r.Deployment
	d.enter(StopRequested, reason, r.now)
	d.ErrorCode, d.StopRollsBack = ManualStop, rollBack
	r.emit(Warn, EventStopRequested, nil, "stop requested: %s", reason)
}

// The waits of CodeDeploy's ContinueDeployment.
const (
	ReadyWait       = "READY_WAIT"
	TerminationWait = "TERMINATION_WAIT"
)

// Answer is what a person says to a pause.
type Answer struct {
	HookID   string // may be empty when there is only one
	Wait     string // instead of HookID: ReadyWait or TerminationWait
	Rollback bool
	Approver string // needed by a quorum
}

func (a Answer) to(h HookRun, deployment string) bool {
	switch {
	case a.Wait != "":
		return h.ID == waitID(deployment, a.Wait)
	default:
		return a.HookID == "" || h.ID == a.HookID
	}
}

func waitID(deployment, wait string) string { return deployment + "/" + wait }

// Continue answers a pause of the deployment at work.
func Continue(s State, answer Answer, now time.Time) (Decision, error) {
	if s.Deployment == nil {
		return Decision{}, refuse("NOT_WAITING", nil, "no deployment is at work")
	}
	r := newCommand(s, now)
	d := r.Deployment
	var found *HookRun
	waiting := 0
	for i := range d.Hooks {
		if h := &d.Hooks[i]; h.Status == HookAwaitingAction {
			waiting++
			if answer.to(*h, d.ID) {
				found = h
			}
		}
	}
	switch {
	case found == nil || d.State == StopRequested:
		return Decision{}, refuse("NOT_WAITING", map[string]string{"state": string(d.State)},
			"deployment %s does not wait for ContinueDeployment%s", d.ID, named(answer.HookID+answer.Wait))
	case answer.HookID+answer.Wait == "" && waiting > 1:
		return Decision{}, Invalid([]Violation{{"hook_id", fmt.Sprintf("is needed: deployment %s waits at %d pauses", d.ID, waiting)}})
	case answer.Rollback:
		found.Status, found.Reason = HookFailed, "rolled back by ContinueDeployment"+by(answer.Approver)
	default:
		if err := r.approve(found, answer.Approver); err != nil || found.Status == HookAwaitingAction {
			return r.decision(s), err
		}
	}
	r.hookEnded(found)
	return r.decision(s), nil
}

// approve counts a person who continues a pause, each once, and ends the pause when there are enough.
func (r *run) approve(h *HookRun, approver string) error {
	needed := max(h.Quorum, 1)
	if needed > 1 {
		if approver == "" {
			return Invalid([]Violation{{"approver", fmt.Sprintf("is needed: %d people must continue this pause, and each counts once", needed)}})
		}
		if slices.Contains(h.Approvers, approver) {
			return nil
		}
	}
	if approver != "" {
		h.Approvers = append(h.Approvers, approver)
	}
	if needed > 1 && len(h.Approvers) < needed {
		r.emit(Info, EventHookApproved, map[string]string{"hookId": h.ID, "approver": approver},
			"continued by %s (%d of %d)", approver, len(h.Approvers), needed)
		return nil
	}
	h.Status, h.Reason = HookSucceeded, "continued by ContinueDeployment"+by(approver)
	return nil
}

func by(approver string) string {
	if approver == "" {
		return ""
	}
	return " of " + approver
}

func named(hookID string) string {
	if hookID == "" {
		return ""
	}
	return " of hook " + hookID
}
