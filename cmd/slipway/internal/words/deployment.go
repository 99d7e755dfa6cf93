package words

import (
	"fmt"
	"strings"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Ended reports whether a deployment's state is a last one.
func Ended(s orchestratorpb.Deployment_State) bool {
	switch s {
	case orchestratorpb.Deployment_STATE_SUCCESSFUL, orchestratorpb.Deployment_STATE_STOPPED,
		orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, orchestratorpb.Deployment_STATE_ROLLBACK_FAILED:
		return true
	}
	return false
}

// Begin is when a deployment began, or was asked for when it has not begun.
func Begin(d *orchestratorpb.Deployment) time.Time {
	if d.GetStartTime() != nil {
		return d.GetStartTime().AsTime()
	}
	return d.GetCreateTime().AsTime()
}

// Elapsed is how long a deployment took, or takes until now. 0 before it was created.
func Elapsed(d *orchestratorpb.Deployment, now time.Time) time.Duration {
	if d.GetCreateTime() == nil && d.GetStartTime() == nil {
		return 0
	}
	if d.GetFinishTime() != nil {
		now = d.GetFinishTime().AsTime()
	}
	return max(0, now.Sub(Begin(d)))
}

// Source is the newest service revision that ran when the deployment began, or nil.
func Source(d *orchestratorpb.Deployment) *orchestratorpb.ServiceRevision {
	var newest *orchestratorpb.ServiceRevision
	for _, r := range d.GetSourceServiceRevisions() {
		if newest == nil || r.GetNumber() > newest.GetNumber() {
			newest = r
		}
	}
	return newest
}

// Definitions is the change of task definition: "web:3 -> web:4", or only the new one. Arrow is what stands between.
func Definitions(d *orchestratorpb.Deployment, arrow string) string {
	target := d.GetTargetServiceRevision().GetTaskDefinition()
	if source := Source(d); source != nil {
		return Clean(source.GetTaskDefinition() + " " + arrow + " " + target)
	}
	return Clean(target)
}

// Revisions is the change of service revision by number: "3 -> 4", or only the new one.
func Revisions(d *orchestratorpb.Deployment, arrow string) string {
	target := d.GetTargetServiceRevision().GetNumber()
	if source := Source(d); source != nil {
		return fmt.Sprintf("%d %s %d", source.GetNumber(), arrow, target)
	}
	return fmt.Sprint(target)
}

// RolledBackTo is the task definition that a rollback returns to, or the service revision's id.
func RolledBackTo(d *orchestratorpb.Deployment) string {
	id := d.GetRollback().GetServiceRevision()
	for _, r := range d.GetSourceServiceRevisions() {
		if r.GetId() == id {
			return Clean(r.GetTaskDefinition())
		}
	}
	return Clean(id)
}

// Outcome says in one sentence how a deployment ended, or where it stands.
func Outcome(d *orchestratorpb.Deployment, now time.Time) string {
	text := fmt.Sprintf("deployment %s %s after %s", Clean(d.GetId()), Enum(d.GetState()), Took(Elapsed(d, now)))
	var parts []string
	switch d.GetState() {
	case orchestratorpb.Deployment_STATE_SUCCESSFUL:
		parts = append(parts, Clean(d.GetTargetServiceRevision().GetTaskDefinition())+" is live")
	default:
		if d.GetReason() != "" {
			parts = append(parts, Sentence(d.GetReason()))
		}
	}
	if d.GetState() == orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL {
		parts = append(parts, RolledBackTo(d)+" serves again"+safe(d))
	}
	if by := d.GetSupersededBy(); by != "" {
		parts = append(parts, "superseded by "+Clean(by))
	}
	if by := d.GetRollbackDeployment(); by != "" {
		parts = append(parts, "rolled back by deployment "+Clean(by))
	}
	if len(parts) == 0 {
		return text
	}
	return text + ": " + strings.Join(parts, "; ")
}

// Safe is how long the rollback took until all production traffic was on the old revision; ok is false when there was
// no rollback or it did not get there.
func Safe(d *orchestratorpb.Deployment) (took time.Duration, ok bool) {
	r := d.GetRollback()
	if r.GetStartTime() == nil || r.GetSafeTime() == nil {
		return 0, false
	}
	return max(0, r.GetSafeTime().AsTime().Sub(r.GetStartTime().AsTime())), true
}

func safe(d *orchestratorpb.Deployment) string {
	if took, ok := Safe(d); ok {
		return ", with all production traffic " + Precise(took) + " after the rollback began"
	}
	return ""
}
