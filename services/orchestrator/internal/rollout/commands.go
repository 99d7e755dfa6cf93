package rollout

import (
	"fmt"
	"time"
)

// Ended is a deployment that a command ended in favour of another.
type Ended struct {
	Deployment Deployment
	Events     []Event
}

// Command is what a user's command makes of the state. The events are those of the deployment at work afterwards.
type Command struct {
	Decision
	Ended *Ended
}

// NewService makes a service. previous is a deleted service of the same name, if there was one: what must only grow goes on.
func NewService(previous *Service, cluster, name string, spec Spec) State {
	s := Service{Cluster: cluster, Name: name, Phase: Active, Spec: spec}
	if previous != nil {
		s.Generation, s.RevisionCount = previous.Generation, previous.RevisionCount
		s.OrdinalCount, s.EventSequence = previous.OrdinalCount, previous.EventSequence
	}
	if lb := spec.LoadBalancer; lb != nil {
		s.Production = lb.weights(lb.TargetGroup, FullShare)
		if lb.TestListener != "" {
			s.Test = lb.weights(lb.TargetGroup, FullShare)
		}
	}
	return State{Service: s}
}

// DeployRequest is a user's wish for a deployment.
type DeployRequest struct {
	ID             string // of the new deployment
	TaskDefinition string // family:revision
	HasHealthCheck bool
	Config         Config
	Supersede      bool // stop the deployment at work and take its place
}

// Deploy begins a deployment.
func Deploy(s State, req DeployRequest, now time.Time) (Command, error) {
	if s.Service.Phase != Active {
		return Command{}, refuse("SERVICE_NOT_FOUND", nil, "service %s is deleted", s.Service.Key())
	}
	spec := s.Service.Spec
	spec.Config = req.Config
	if err := Invalid(spec.Validate()); err != nil {
		return Command{}, err
	}
	r := newCommand(s, now)
	var ended *Ended
	if r.Deployment != nil {
		if !req.Supersede {
			return Command{}, refuse("DEPLOYMENT_IN_PROGRESS", map[string]string{"deployment": r.Deployment.ID},
				"service %s has deployment %s at work (%s); wait for it, stop it, or ask to supersede it", s.Service.Key(), r.Deployment.ID, r.Deployment.State)
		}
		ended = r.supersede(req.ID)
	}
	r.Service.RevisionCount++
	r.Service.Spec.TaskDefinition, r.Service.Spec.HasHealthCheck = req.TaskDefinition, req.HasHealthCheck
	d := &Deployment{
		ID: req.ID, State: Pending, RolloutState: RolloutInProgress, Config: req.Config, CreateTime: r.now,
		Target: Revision{
			ID: fmt.Sprintf("%s/%d", r.Service.Key(), r.Service.RevisionCount), Number: r.Service.RevisionCount,
			TaskDefinition: req.TaskDefinition, HasHealthCheck: req.HasHealthCheck, Deployment: req.ID, CreateTime: r.now,
		},
		Alarms: AlarmWatch{Status: MonitorDisabled},
	}
	for _, set := range r.Service.TaskSets {
		if live, _, _ := set.live(); live > 0 || set.Count > 0 {
			d.Sources = append(d.Sources, set.Revision)
		}
	}
	if len(d.Sources) == 0 && d.Config.Strategy != Rolling {
		d.Config.Steps = AllAtOnce() // there is nothing to shift from
	}
	r.Deployment, r.conditions = d, nil
	return Command{Decision: r.decision(s), Ended: ended}, nil
}

// supersede stops the deployment at work; its tasks stay and drain as the new deployment goes on (ECS).
func (r *run) supersede(by string) *Ended {
	d := r.Deployment
	d.SupersededBy = by
	r.cancelHooks()
	r.endStage(StageStopped, "superseded by "+by)
	d.enter(Stopped, "superseded by "+by, r.now)
	d.Conditions, d.UpdateTime = nil, r.now
	r.emit(Warn, EventDeploymentStopped, map[string]string{"supersededBy": by}, "ECS deployment %s stopped: superseded by %s", d.ID, by)
	ended := &Ended{Deployment: *d, Events: r.events}
	r.events = nil
	if set := r.Service.taskSet(d.Target.ID); set != nil {
		set.Frozen = true
	}
	return ended
}

// Update is a user's change of a service. Nil parts stay as they are.
type Update struct {
	DesiredCount           *int
	Config                 *Config
	HealthCheckGracePeriod *time.Duration
	Deploy                 *DeployRequest
}

// UpdateService changes a service, and begins a deployment when asked to.
func UpdateService(s State, u Update, now time.Time) (Command, error) {
	if s.Service.Phase != Active {
		return Command{}, refuse("SERVICE_NOT_FOUND", nil, "service %s is deleted", s.Service.Key())
	}
	r := newCommand(s, now)
	spec := &r.Service.Spec
	if u.Config != nil {
		spec.Config = *u.Config
	}
	if u.HealthCheckGracePeriod != nil {
		spec.HealthCheckGracePeriod = *u.HealthCheckGracePeriod
	}
	if u.DesiredCount != nil && *u.DesiredCount != spec.DesiredCount {
		r.emit(Info, EventDesiredCountUpdated, nil, "desired count %d -> %d", spec.DesiredCount, *u.DesiredCount)
		spec.DesiredCount = *u.DesiredCount
	}
	if err := Invalid(spec.Validate()); err != nil {
		return Command{}, err
	}
	if u.Deploy == nil {
		return Command{Decision: r.decision(s)}, nil
	}
	changed := r.State
	events := r.events
	cmd, err := Deploy(changed, *u.Deploy, now)
	if cmd.Ended != nil && s.Deployment != nil {
		cmd.Ended.Events = append(events, cmd.Ended.Events...)
	} else {
		cmd.Events = append(events, cmd.Events...)
	}
	return cmd, err
}

// StopType is ECS's StopServiceDeploymentStopType.
type StopType string

// The ways to stop.
const (
	StopRollback StopType = "ROLLBACK"
	StopAbort    StopType = "ABORT"
)

// Stop ends the deployment at work. A rollback that is under way goes on, as in ECS.
func Stop(s State, how StopType, reason string, now time.Time) (Command, error) {
	if s.Deployment == nil {
		return Command{}, refuse("DEPLOYMENT_STATE", nil, "no deployment is at work")
	}
	r := newCommand(s, now)
	d := r.Deployment
	if reason == "" {
		reason = "stopped by a user"
	}
	switch {
	case d.State == RollbackRequested, d.State == RollbackInProgress && how == StopRollback:
		return Command{Decision: r.decision(s)}, nil
	case d.State == RollbackInProgress:
		return Command{}, refuse("DEPLOYMENT_STATE", map[string]string{"state": string(d.State)}, "deployment %s is rolling back and cannot be aborted", d.ID)
	case how == StopRollback && d.Stage == CleanUp:
		return Command{}, refuse("DEPLOYMENT_STATE", map[string]string{"state": string(d.State)},
			"deployment %s is stopping the old revision and cannot be rolled back any more; deploy the old task definition instead", d.ID)
	case how == StopRollback:
		d.enter(RollbackRequested, reason, r.now)
		r.emit(Warn, EventRollbackRequested, nil, "rollback requested: %s", reason)
	default:
		d.enter(StopRequested, reason, r.now)
		d.RolloutState = RolloutFailed
		r.freeze(reason)
	}
	return Command{Decision: r.decision(s)}, nil
}

// Continue answers a pause of the deployment at work. hookID may be empty when there is only one.
func Continue(s State, hookID string, rollback bool, now time.Time) (Command, error) {
	if s.Deployment == nil {
		return Command{}, refuse("NOT_WAITING", nil, "no deployment is at work")
	}
	r := newCommand(s, now)
	d := r.Deployment
	var found *HookRun
	waiting := 0
	for i := range d.Hooks {
		if h := &d.Hooks[i]; h.Status == HookAwaitingAction {
			waiting++
			if hookID == "" || h.ID == hookID {
				found = h
			}
		}
	}
	switch {
	case found == nil:
		return Command{}, refuse("NOT_WAITING", map[string]string{"state": string(d.State)},
			"deployment %s does not wait for ContinueDeployment%s", d.ID, named(hookID))
	case hookID == "" && waiting > 1:
		return Command{}, Invalid([]Violation{{"hook_id", fmt.Sprintf("is needed: deployment %s waits at %d pauses", d.ID, waiting)}})
	case rollback:
		found.Status, found.Reason = HookFailed, "rolled back by ContinueDeployment"
	default:
		found.Status, found.Reason = HookSucceeded, "continued by ContinueDeployment"
	}
	r.hookEnded(found)
	return Command{Decision: r.decision(s)}, nil
}

func named(hookID string) string {
	if hookID == "" {
		return ""
	}
	return " of hook " + hookID
}

// Delete drains the service. A desired count above 0 needs force, as in ECS.
func Delete(s State, force bool, now time.Time) (Command, error) {
	if s.Service.Phase != Active {
		return Command{Decision: Decision{Next: s}}, nil
	}
	if s.Service.Spec.DesiredCount > 0 && !force {
		return Command{}, refuse("IN_USE", map[string]string{"desiredCount": fmt.Sprint(s.Service.Spec.DesiredCount)},
			"service %s has a desired count of %d; set it to 0 or ask with force", s.Service.Key(), s.Service.Spec.DesiredCount)
	}
	r := newCommand(s, now)
	r.Service.Phase = Draining
	return Command{Decision: r.decision(s)}, nil
}

// newCommand begins a command: nothing is observed, and what was waited for stands until the next decision.
func newCommand(s State, now time.Time) *run {
	r := newRun(s, Observation{}, now)
	r.conditions = r.Service.Conditions
	if r.Deployment != nil {
		r.conditions = r.Deployment.Conditions
	}
	return r
}
