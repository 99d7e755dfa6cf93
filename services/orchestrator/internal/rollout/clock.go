package rollout

import "time"

// stopClock keeps account of the time in which the deployment waits for a person: a pause, an approval, CodeDeploy's two
// waits. No deadline of the deployment counts it.
func (r *run) stopClock() {
	d := r.Deployment
	if d == nil {
		return
	}
	waits := false
	for _, h := range d.Hooks {
		waits = waits || h.Status == HookAwaitingAction
	}
	switch {
	case waits && d.PausedSince.IsZero():
		d.PausedSince = r.now
	case !waits && !d.PausedSince.IsZero():
		d.Paused += r.now.Sub(d.PausedSince)
		d.PausedSince = time.Time{}
	}
	r.wakeAt(d.deadlineIfActive())
}

func (d *Deployment) deadlineIfActive() time.Time {
	if d.State != InProgress || d.Rollback != nil || d.Stage == CleanUp {
		return time.Time{}
	}
	return d.Deadline()
}
