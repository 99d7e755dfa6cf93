package rollout

import (
	"slices"
	"strconv"
	"time"
)

func (c Concurrency) limit() int {
	if c.QueueLimit > 0 {
		return c.QueueLimit
	}
	return DefaultQueueLimit
}

// enqueue lets the deployment wait for those before it.
func (r *run) enqueue(d Deployment) {
	d.Reason, d.UpdateTime = "waits for the deployments before it", r.now
	d.Conditions = []Condition{{Type: WaitQueue, Message: d.Reason, Since: r.now, Then: "it begins"}}
	r.emitOf(&d, Info, EventDeploymentQueued, nil, "ECS deployment %s waits for the deployments before it.", d.ID)
	r.Service.Queue = append(r.Service.Queue, d)
}

// dequeue puts the deployment to work that has waited longest, and reports whether there was one.
func (r *run) dequeue() bool {
	if len(r.Service.Queue) == 0 {
		return false
	}
	next := r.Service.Queue[0]
	r.Service.Queue = slices.Clone(r.Service.Queue[1:])
	next.Reason = ""
	r.begin(next)
	return true
}

// withdrawAll ends every deployment that waits.
func (r *run) withdrawAll(why string) {
	for len(r.Service.Queue) > 0 {
		r.withdraw(0, why)
	}
}

// withdraw ends a deployment that waits; nothing of it has begun.
func (r *run) withdraw(i int, why string) {
	d := r.Service.Queue[i]
	r.Service.Queue = slices.Delete(slices.Clone(r.Service.Queue), i, i+1)
	d.enter(Stopped, why, r.now)
	d.Conditions, d.UpdateTime, d.ErrorCode = nil, r.now, ManualStop
	r.emitOf(&d, Warn, EventDeploymentStopped, nil, "ECS deployment %s stopped before its turn: %s", d.ID, why)
	ended := Ended{Deployment: d}
	ended.Events, r.events = split(r.events, d.ID)
	r.ended = append(r.ended, ended)
}

// Withdraw ends a deployment that waits for its turn.
func Withdraw(s State, id, reason string, now time.Time) (Decision, error) {
	i := slices.IndexFunc(s.Service.Queue, func(d Deployment) bool { return d.ID == id })
	if i < 0 {
		return Decision{}, refuse("DEPLOYMENT_STATE", nil, "deployment %s does not wait for its turn", id)
	}
	if reason == "" {
		reason = "stopped by a user"
	}
	r := newCommand(s, now)
	r.withdraw(i, reason)
	return r.decision(s), nil
}

// Waits reports whether the deployment waits for its turn.
func (s *Service) Waits(deployment string) bool {
	return slices.ContainsFunc(s.Queue, func(d Deployment) bool { return d.ID == deployment })
}

// Deployment finds a deployment that the decision changed or kept.
func (d Decision) Deployment(id string) (Deployment, bool) {
	if at := d.Next.Deployment; at != nil && at.ID == id {
		return *at, true
	}
	for _, ended := range d.Ended {
		if ended.Deployment.ID == id {
			return ended.Deployment, true
		}
	}
	for _, waiting := range d.Next.Service.Queue {
		if waiting.ID == id {
			return waiting, true
		}
	}
	return Deployment{}, false
}

func deployments(n int) string {
	if n == 1 {
		return "1 deployment"
	}
	return strconv.Itoa(n) + " deployments"
}
