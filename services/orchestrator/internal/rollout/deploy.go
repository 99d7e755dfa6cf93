package rollout

import (
	"fmt"
	"time"
)

// DeployRequest is a user's wish for a deployment.
type DeployRequest struct {
	ID             string // of the new deployment
	TaskDefinition string // family:revision
	HasHealthCheck bool
	Config         Config
	Supersede      bool // stop the deployment at work and take its place, whatever the service's concurrency says
}

// Deploy begins a deployment, or lets it wait for its turn.
func Deploy(s State, req DeployRequest, now time.Time) (Decision, error) {
	if s.Service.Phase != Active {
		return Decision{}, refuse("SERVICE_NOT_FOUND", nil, "service %s is deleted", s.Service.Key())
	}
	spec := s.Service.Spec
	spec.Config = req.Config
	if err := Invalid(spec.Validate()); err != nil {
		return Decision{}, err
	}
	return newCommand(s, now).deploy(s, req)
}

// deploy makes the deployment: it begins when none is at work, else the service's concurrency says what becomes of it.
func (r *run) deploy(s State, req DeployRequest) (Decision, error) {
	mode := r.Service.Spec.Concurrency.Mode
	switch {
	case r.Deployment == nil && len(r.Service.Queue) == 0:
		r.begin(r.newDeployment(req))
	case req.Supersede || mode == SupersedeMode:
		r.withdrawAll("superseded by " + req.ID)
		if r.Deployment != nil {
			r.supersede(req.ID)
		}
		r.begin(r.newDeployment(req))
	case mode == Queue || mode == Coalesce:
		if mode == Coalesce {
			r.withdrawAll("superseded by " + req.ID)
		}
		if limit := r.Service.Spec.Concurrency.limit(); len(r.Service.Queue) >= limit {
			return Decision{}, refuse("DEPLOYMENT_IN_PROGRESS", map[string]string{"queued": fmt.Sprint(limit)},
				"%s wait already for service %s, as many as may; stop one of them, or ask to supersede", deployments(limit), r.Service.Key())
		}
		r.enqueue(r.newDeployment(req))
	default:
		at := r.Deployment
		return Decision{}, refuse("DEPLOYMENT_IN_PROGRESS", map[string]string{"deployment": at.ID},
			"service %s has deployment %s at work (%s); wait for it, stop it, or ask to supersede it", s.Service.Key(), at.ID, at.State)
	}
	return r.decision(s), nil
}

// newDeployment gives the deployment its service revision; it has not begun.
func (r *run) newDeployment(req DeployRequest) Deployment {
	r.Service.RevisionCount++
	number := r.Service.RevisionCount
	return Deployment{
		ID: req.ID, State: Pending, RolloutState: RolloutInProgress, Config: req.Config, CreateTime: r.now,
		Target: Revision{
			ID: fmt.Sprintf("%s/%d", r.Service.Key(), number), Number: number,
			TaskDefinition: req.TaskDefinition, HasHealthCheck: req.HasHealthCheck, Deployment: req.ID, CreateTime: r.now,
		},
		Alarms: AlarmWatch{Status: MonitorDisabled},
	}
}

// begin puts the deployment to work.
func (r *run) begin(d Deployment) {
	r.Service.Spec.TaskDefinition, r.Service.Spec.HasHealthCheck = d.Target.TaskDefinition, d.Target.HasHealthCheck
	r.Service.Deferred = false
	for _, set := range r.Service.TaskSets {
		if live, _, _ := set.live(); live > 0 || set.Count > 0 {
			d.Sources = append(d.Sources, set.Revision)
		}
	}
	if len(d.Sources) == 0 && d.Config.Strategy != Rolling {
		d.Config.Steps = AllAtOnce() // there is nothing to shift from
	}
	d.Conditions, d.UpdateTime = nil, r.now
	r.Deployment, r.conditions = &d, nil
}

// supersede stops the deployment at work; its tasks stay and drain as the new deployment goes on (ECS).
func (r *run) supersede(by string) {
	d := r.Deployment
	d.SupersededBy = by
	r.cancelHooks()
	r.endStage(StageStopped, "superseded by "+by)
	d.enter(Stopped, "superseded by "+by, r.now)
	d.Conditions = nil
	r.emit(Warn, EventDeploymentStopped, map[string]string{"supersededBy": by}, "ECS deployment %s stopped: superseded by %s", d.ID, by)
	if set := r.Service.taskSet(d.Target.ID); set != nil {
		set.Frozen = true
	}
	r.retire()
}

// retire moves the deployment at work, which has ended, out of the state: another takes its place in the same decision.
// Its events go with it; those of the service alone stay.
func (r *run) retire() {
	ended := Ended{Deployment: *r.Deployment}
	ended.Deployment.UpdateTime = r.now
	ended.Events, r.events = split(r.events, r.Deployment.ID)
	r.ended = append(r.ended, ended)
	r.Deployment = nil
}

func split(events []Event, deployment string) (of, others []Event) {
	for _, e := range events {
		if e.Deployment == deployment {
			of = append(of, e)
		} else {
			others = append(others, e)
		}
	}
	return of, others
}
