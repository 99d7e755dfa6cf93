package rollout

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Decision is what Decide answers: the state to persist, the world to converge to and when to decide again.
type Decision struct {
	Next    State
	Changed bool    // Next is not the state that was decided on: persist it before converging
	Events  []Event // of the service and of the deployment at work
	Ended   []Ended // deployments that ended and are not in Next
	Desired Desired
	WakeAt  time.Time // zero when time alone changes nothing
}

// Ended is a deployment that ended in favour of another, or before its turn came.
type Ended struct {
	Deployment Deployment
	Events     []Event
}

// Event is something that happened to a deployment, or to the service outside deployments.
type Event struct {
	Deployment string // "" for the service alone
	Sequence   int64  // from 1 in each deployment, and in each service for events of the service alone
	Type       EventType
	Name       string
	Reason     string
	Detail     map[string]string
	Time       time.Time
}

// EventType is ECS's eventType.
type EventType string

// The types of event.
const (
	Info  EventType = "INFO"
	Warn  EventType = "WARN"
	Error EventType = "ERROR"
)

// The names of events. Those that begin with SERVICE_ or HOOK_ are ECS's.
const (
	EventDeploymentInProgress = "SERVICE_DEPLOYMENT_IN_PROGRESS"
	EventDeploymentCompleted  = "SERVICE_DEPLOYMENT_COMPLETED"
	EventDeploymentFailed     = "SERVICE_DEPLOYMENT_FAILED"
	EventDeploymentStopped    = "SERVICE_DEPLOYMENT_STOPPED"
	EventDeploymentQueued     = "SERVICE_DEPLOYMENT_QUEUED"
	EventTaskStartImpaired    = "SERVICE_TASK_START_IMPAIRED"
	EventSteadyState          = "SERVICE_STEADY_STATE"
	EventDesiredCountUpdated  = "SERVICE_DESIRED_COUNT_UPDATED"
	EventHookInProgress       = "HOOK_IN_PROGRESS"
	EventHookAwaitingAction   = "HOOK_AWAITING_ACTION"
	EventHookApproved         = "HOOK_APPROVED"
	EventHookSucceeded        = "HOOK_SUCCEEDED"
	EventHookFailed           = "HOOK_FAILED"
	EventHookTimedOut         = "HOOK_TIMED_OUT"
	EventStageStarted         = "LIFECYCLE_STAGE_STARTED"
	EventTrafficShifted       = "TRAFFIC_SHIFTED"
	EventTrafficWithdrawn     = "TRAFFIC_WITHDRAWN"
	EventTasksStarted         = "TASKS_STARTED"
	EventTasksStopped         = "TASKS_STOPPED"
	EventTaskHealthy          = "TASK_HEALTHY"
	EventTaskFailed           = "TASK_FAILED"
	EventDeadlock             = "DEPLOYMENT_DEADLOCK"
	EventRollbackRequested    = "ROLLBACK_REQUESTED"
	EventStopRequested        = "STOP_REQUESTED"
	EventServiceDeleted       = "SERVICE_DELETED"
)

// run is one decision in the making: a copy of the state that is changed, and what comes of it.
type run struct {
	State
	before     State // as it was
	obs        Observation
	now        time.Time
	generation int64 // that the changed state will be saved with
	events     []Event
	ended      []Ended
	wake       time.Time
	conditions []Condition
}

func newRun(s State, o Observation, now time.Time) *run {
	return &run{State: s.clone(), before: s, obs: o, now: now.UTC().Round(0), generation: s.Service.Generation + 1}
}

// decision closes the run: conditions get the time since when they hold, and a changed state its generation.
func (r *run) decision(prev State) Decision {
	r.prune()
	r.stopClock()
	r.settleConditions(prev)
	if r.routesChanged() {
		r.Service.RoutesGeneration = r.generation
	}
	changed := len(r.events) > 0 || len(r.ended) > 0 || !reflect.DeepEqual(normal(prev), normal(r.State))
	if changed {
		r.Service.Generation = r.generation
		if r.Deployment != nil {
			r.Deployment.UpdateTime = r.now
		}
	}
	return Decision{Next: r.State, Changed: changed, Events: r.events, Ended: r.ended, Desired: desire(r.State), WakeAt: r.wake}
}

// normal makes nil and empty slices alike, so that a state that went through JSON is not taken for a changed one.
func normal(s State) State {
	n := s.clone()
	for i := range n.Service.TaskSets {
		n.Service.TaskSets[i].Tasks = orNil(n.Service.TaskSets[i].Tasks)
	}
	n.Service.TaskSets = orNil(n.Service.TaskSets)
	n.Service.Production, n.Service.Test = orNil(n.Service.Production), orNil(n.Service.Test)
	n.Service.Conditions, n.Service.Queue = orNil(n.Service.Conditions), orNil(n.Service.Queue)
	if d := n.Deployment; d != nil {
		d.Sources, d.Hooks = orNil(d.Sources), orNil(d.Hooks)
		d.Conditions, d.History = orNil(d.Conditions), orNil(d.History)
		d.Alarms.Triggered, d.Alarms.Ignored = orNil(d.Alarms.Triggered), orNil(d.Alarms.Ignored)
	}
	return n
}

func orNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// emit records an event of the deployment at work, or of the service when there is none.
func (r *run) emit(kind EventType, name string, detail map[string]string, format string, args ...any) {
	r.emitOf(r.Deployment, kind, name, detail, format, args...)
}

func (r *run) emitOf(d *Deployment, kind EventType, name string, detail map[string]string, format string, args ...any) {
	e := Event{Type: kind, Name: name, Reason: fmt.Sprintf(format, args...), Detail: detail, Time: r.now}
	if d != nil {
		d.EventSequence++
		e.Deployment, e.Sequence = d.ID, d.EventSequence
	} else {
		r.Service.EventSequence++
		e.Sequence = r.Service.EventSequence
	}
	r.events = append(r.events, e)
}

// wakeAt asks for a decision at t at the latest.
func (r *run) wakeAt(t time.Time) {
	if t.After(r.now) && (r.wake.IsZero() || t.Before(r.wake)) {
		r.wake = t
	}
}

// wait records what is waited for. until may be zero.
func (r *run) wait(kind ConditionType, until time.Time, then, format string, args ...any) {
	c := Condition{Type: kind, Message: fmt.Sprintf(format, args...), Since: r.now, Until: until, Then: then}
	for _, have := range r.conditions {
		if have.Type == kind && have.Message == c.Message {
			return
		}
	}
	r.conditions = append(r.conditions, c)
	if !until.IsZero() {
		r.wakeAt(until)
	}
}

// settleConditions keeps the time since when a condition holds while its kind does not change.
func (r *run) settleConditions(prev State) {
	before := prev.Service.Conditions
	if prev.Deployment != nil {
		before = append(slices.Clip(before), prev.Deployment.Conditions...)
	}
	for i := range r.conditions {
		for _, old := range before {
			if old.Type == r.conditions[i].Type {
				r.conditions[i].Since = old.Since
			}
		}
	}
	r.Service.Conditions = nil
	switch d := r.Deployment; {
	case d == nil:
		r.Service.Conditions = r.conditions
	case d.State.Terminal():
		d.Conditions = nil
	default:
		d.Conditions = r.conditions
	}
}
