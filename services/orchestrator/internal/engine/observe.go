package engine

import (
	"strings"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// observe gathers what is known that bears on the service.
func (e *Engine) observe(s rollout.State) rollout.Observation {
	f := e.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	key := s.Service.Key()
	o := rollout.Observation{
		Trouble: f.troubleOf(key),
		Runtime: rollout.RuntimeFacts{Known: f.tasks.known, Tasks: make(map[string]rollout.TaskFact, len(f.tasks.by[key]))},
	}
	for name, task := range f.tasks.by[key] {
		o.Runtime.Tasks[name] = taskFact(task)
	}
	f.observeTraffic(&o, s)
	if d := s.Deployment; d != nil {
		o.Hooks = rollout.HookFacts{Known: f.calls.known, Invocations: map[string]rollout.InvocationFact{}}
		for id, call := range f.calls.by[key] {
			if call.GetDeployment() == d.ID {
				o.Hooks.Invocations[id] = invocationFact(call)
			}
		}
		o.Alarms = rollout.AlarmFacts{Known: f.alarms.known, States: map[string]rollout.AlarmState{}}
		for _, name := range d.Config.Alarms.Names {
			if alarm, ok := f.alarms.by[name]; ok {
				o.Alarms.States[name] = alarm.state
			}
		}
	}
	return o
}

func (f *facts) observeTraffic(o *rollout.Observation, s rollout.State) {
	lb := s.Service.Spec.LoadBalancer
	if lb == nil {
		return
	}
	o.Health = rollout.HealthFacts{Known: f.targets.known, Targets: map[rollout.TargetKey]rollout.TargetFact{}}
	for _, group := range []string{lb.TargetGroup, lb.AlternateTargetGroup} {
		for id, t := range f.targets.by[group] {
			o.Health.Targets[rollout.TargetKey{TargetGroup: group, ID: id}] = rollout.TargetFact{
				State: rollout.TargetState(targetState(t.GetState())), Description: t.GetDescription(),
			}
		}
	}
	key := s.Service.Key()
	applied := f.applied.by[key]
	o.Traffic = rollout.TrafficFacts{Known: f.applied.known, Generation: applied.Generation, Problem: applied.Problem}
	o.Traffic.Drained = make(map[string]bool, len(applied.Drained))
	for _, id := range applied.Drained {
		o.Traffic.Drained[id] = true
	}
}

func taskFact(t runtime.Task) rollout.TaskFact {
	fact := rollout.TaskFact{
		TaskSet: t.TaskSet, State: rollout.TaskState(t.State), Health: rollout.ContainerHealth(t.Health),
		StopTime: t.StopTime, StopReason: t.StopReason,
	}
	for _, e := range t.Endpoints {
		fact.Endpoints = append(fact.Endpoints, rollout.Endpoint(e))
	}
	return fact
}

func invocationFact(call *hookspb.Invocation) rollout.InvocationFact {
	fact := rollout.InvocationFact{
		Status: rollout.HookInProgress, Reason: call.GetReason(),
		Continue: call.GetOutcome() == hookspb.Invocation_OUTCOME_CONTINUE,
	}
	switch call.GetState() {
	case hookspb.Invocation_STATE_SUCCEEDED:
		fact.Status = rollout.HookSucceeded
	case hookspb.Invocation_STATE_FAILED, hookspb.Invocation_STATE_CANCELED:
		fact.Status = rollout.HookFailed
	case hookspb.Invocation_STATE_TIMED_OUT:
		fact.Status = rollout.HookTimedOut
	}
	return fact
}

func targetState(s healthcheckpb.TargetHealth_State) string {
	return strings.TrimPrefix(s.String(), "STATE_")
}
