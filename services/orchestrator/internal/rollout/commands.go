package rollout

import (
	"fmt"
	"time"
)

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

// Update is a user's change of a service. Nil parts stay as they are.
type Update struct {
	DesiredCount           *int
	Config                 *Config
	Concurrency            *Concurrency
	LoadBalancer           *LoadBalancer // with the same target groups, listeners and container
	HealthCheckGracePeriod *time.Duration
	Deploy                 *DeployRequest
}

// UpdateService changes a service, and begins a deployment when asked to.
func UpdateService(s State, u Update, now time.Time) (Decision, error) {
	if s.Service.Phase != Active {
		return Decision{}, refuse("SERVICE_NOT_FOUND", nil, "service %s is deleted", s.Service.Key())
	}
	r := newCommand(s, now)
	spec := &r.Service.Spec
	if u.Config != nil {
		spec.Config = *u.Config
	}
	if lb := u.LoadBalancer; lb != nil {
		if !spec.LoadBalancer.leadsWhere(lb) {
			const rule = "its target groups, listeners and container cannot be changed: delete and create the service"
			return Decision{}, Invalid([]Violation{{"load_balancer", rule}})
		}
		spec.LoadBalancer = lb
	}
	if u.Concurrency != nil {
		spec.Concurrency = *u.Concurrency
	}
	if u.HealthCheckGracePeriod != nil {
		spec.HealthCheckGracePeriod = *u.HealthCheckGracePeriod
	}
	if u.DesiredCount != nil && *u.DesiredCount != spec.DesiredCount {
		r.emit(Info, EventDesiredCountUpdated, map[string]string{"desiredCount": fmt.Sprint(*u.DesiredCount)},
			"desired count %d -> %d", spec.DesiredCount, *u.DesiredCount)
		if r.Deployment == nil && r.Service.anyFrozen() {
			r.Service.rescale(spec.DesiredCount, *u.DesiredCount)
		}
		if d := r.Deployment; d != nil && spec.DesiredCount == 0 {
			d.FromNone, d.ScaleUpDeadline = true, r.now.Add(d.Config.ScaleUpTimeout)
		}
		spec.DesiredCount = *u.DesiredCount
	}
	if err := Invalid(spec.Validate()); err != nil {
		return Decision{}, err
	}
	if u.Deploy == nil {
		return r.decision(s), nil
	}
	return r.deploy(s, *u.Deploy)
}

// Delete drains the service. A desired count above 0 needs force, as in ECS.
func Delete(s State, force bool, now time.Time) (Decision, error) {
	if s.Service.Phase != Active {
		return Decision{Next: s}, nil
	}
	if s.Service.Spec.DesiredCount > 0 && !force {
		return Decision{}, refuse("IN_USE", map[string]string{"desiredCount": fmt.Sprint(s.Service.Spec.DesiredCount)},
			"service %s has a desired count of %d; set it to 0 or ask with force", s.Service.Key(), s.Service.Spec.DesiredCount)
	}
	r := newCommand(s, now)
	r.Service.Phase = Draining
	return r.decision(s), nil
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

// leadsWhere reports whether both lead from the same listeners to the same place.
func (lb *LoadBalancer) leadsWhere(other *LoadBalancer) bool {
	return lb != nil && lb.TargetGroup == other.TargetGroup && lb.AlternateTargetGroup == other.AlternateTargetGroup &&
		lb.ContainerName == other.ContainerName && lb.ContainerPort == other.ContainerPort &&
		lb.ProductionListener == other.ProductionListener && lb.TestListener == other.TestListener
}
