package engine

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// alarmFact is what a deployment needs to know of an alarm.
type alarmFact struct {
	state    rollout.AlarmState
	evidence rollout.AlarmEvidence
}

// watchedAlarm is what metric alarms and composite alarms have in common.
type watchedAlarm interface {
	GetState() alarmspb.MetricAlarm_State
	GetStateReason() string
	GetStateUpdateTime() *timestamppb.Timestamp
	GetEvaluationState() alarmspb.MetricAlarm_EvaluationState
	GetEvaluationStateReason() string
}

// alarmFactOf returns an alarm's fact. An alarm that could not be evaluated keeps the state it was last found in: ALARM
// still counts, any other says nothing of now.
func alarmFactOf(a watchedAlarm) alarmFact {
	f := alarmFact{
		state:    rollout.AlarmState(strings.TrimPrefix(a.GetState().String(), "STATE_")),
		evidence: rollout.AlarmEvidence{Reason: a.GetStateReason(), Since: timeOf(a.GetStateUpdateTime())},
	}
	switch a.GetEvaluationState() {
	case alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_ERROR, alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_FAILURE:
		if f.state != rollout.AlarmInAlarm {
			f.state, f.evidence.Reason = rollout.AlarmUnreadable, a.GetEvaluationStateReason()
		}
	case alarmspb.MetricAlarm_EVALUATION_STATE_UNSPECIFIED, alarmspb.MetricAlarm_EVALUATION_STATE_PARTIAL_DATA,
		alarmspb.MetricAlarm_EVALUATION_STATE_IN_WARM_UP:
	}
	return f
}
