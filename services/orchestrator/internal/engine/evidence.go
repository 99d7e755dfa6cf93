package engine

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Evidence returns what is known that bears on the state's deployment, and why alarms and hooks stand as they do. It has no
// events: the store does.
func (e *Engine) Evidence(s rollout.State) rollout.Evidence {
	ev := rollout.Evidence{
		Observation: e.observe(s), Alarms: map[string]rollout.AlarmEvidence{}, Invocations: map[string]rollout.InvocationEvidence{},
	}
	d := s.Deployment
	if d == nil {
		return ev
	}
	f := e.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, name := range d.Config.Alarms.Names {
		if alarm, ok := f.alarms.by[name]; ok {
			ev.Alarms[name] = alarm.evidence
		}
	}
	for id, call := range f.calls.by[s.Service.Key()] {
		if call.GetDeployment() == d.ID {
			ev.Invocations[id] = rollout.InvocationEvidence{
				Attempt: int(call.GetAttempt()), Next: timeOf(call.GetNextAttemptTime()), Since: timeOf(call.GetCreateTime()),
			}
		}
	}
	return ev
}

// timeOf is the time, zero when there is none.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
