package engine

import (
	"testing"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func TestAlarmFacts(t *testing.T) {
	const (
		ok    = alarmspb.MetricAlarm_STATE_OK
		alarm = alarmspb.MetricAlarm_STATE_ALARM
		fine  = alarmspb.MetricAlarm_EVALUATION_STATE_UNSPECIFIED
		warm  = alarmspb.MetricAlarm_EVALUATION_STATE_IN_WARM_UP
		lost  = alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_ERROR
		fails = alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_FAILURE
	)
	for _, c := range []struct {
		state      alarmspb.MetricAlarm_State
		evaluation alarmspb.MetricAlarm_EvaluationState
		want       rollout.AlarmState
		reason     string
	}{
		{ok, fine, rollout.AlarmOK, "low"},
		{ok, warm, rollout.AlarmOK, "low"},
		{ok, lost, rollout.AlarmUnreadable, "no answer"},
		{ok, fails, rollout.AlarmUnreadable, "no answer"},
		{alarm, fine, rollout.AlarmInAlarm, "low"},
		{alarm, lost, rollout.AlarmInAlarm, "low"},
	} {
		for kind, a := range map[string]watchedAlarm{
			"metric": &alarmspb.MetricAlarm{
				State: c.state, StateReason: "low", EvaluationState: c.evaluation, EvaluationStateReason: "no answer",
			},
			"composite": &alarmspb.CompositeAlarm{
				State: c.state, StateReason: "low", EvaluationState: c.evaluation, EvaluationStateReason: "no answer",
			},
		} {
			got := alarmFactOf(a)
			if got.state != c.want || got.evidence.Reason != c.reason {
				t.Errorf("%s alarm, %v and %v: %s, %q, want %s, %q", kind, c.state, c.evaluation, got.state, got.evidence.Reason, c.want, c.reason)
			}
		}
	}
}
