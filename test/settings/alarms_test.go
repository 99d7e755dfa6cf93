package settings

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// alarm makes an alarm that keeps the state which the test gives it.
func (v *service) alarm(state alarmspb.MetricAlarm_State) string {
	v.t.Helper()
	_, err := system.Alarms.PutMetricAlarm(v.t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: &alarmspb.MetricAlarm{
		Name: v.name, Namespace: "test", MetricName: v.name, Statistic: alarmspb.MetricAlarm_STATISTIC_SUM,
		Period: durationpb.New(time.Minute), EvaluationPeriods: 1, Threshold: 1,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		TreatMissingData:   alarmspb.MetricAlarm_TREAT_MISSING_DATA_IGNORE,
	}})
	if err != nil {
		v.t.Fatal(err)
	}
	v.becomes(state)
	if state == isAlarm {
		v.noticed()
	}
	return v.name
}

// noticed waits until the orchestrator knows that the alarm is in ALARM, which it hears of in a stream: a deployment of another
// service waits for the alarm, or began before and ends of it.
func (v *service) noticed() {
	v.t.Helper()
	other := begin(v.t, setup{desired: 1})
	id := other.deploy(other.good(), watching(rolling, v.name, false))
	other.until(id, "ALARM to be noticed", func(d *deployment) bool {
		waits := func(c *orchestratorpb.Condition) bool { return c.GetType() == orchestratorpb.Condition_TYPE_ALARM }
		return d.GetErrorCode() == "ALARM_ACTIVE" || slices.ContainsFunc(d.GetConditions(), waits)
	})
	if other.deployment(id).GetFinishTime() == nil {
		other.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT)
	}
}

func (v *service) becomes(state alarmspb.MetricAlarm_State) {
	v.t.Helper()
	_, err := system.Alarms.SetAlarmState(v.t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: v.name, State: state, StateReason: "test"})
	if err != nil {
		v.t.Fatal(err)
	}
}

const (
	isOK    = alarmspb.MetricAlarm_STATE_OK
	isAlarm = alarmspb.MetricAlarm_STATE_ALARM
)

// watching is a configuration that looks at an alarm, also in a long bake time.
func watching(strategy orchestratorpb.DeploymentConfiguration_Strategy, alarm string, rollback bool) *config {
	return &config{
		Strategy: strategy, BakeTime: seconds(3600), MinimumHealthyTime: seconds(0),
		Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{alarm}, Enable: true, Rollback: rollback},
	}
}

// An alarm that goes off in the bake time fails the deployment, whose alarms.rollback says what then.
func TestAlarmInTheBakeTime(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]orchestratorpb.DeploymentConfiguration_Strategy{"rolling": rolling, "blue green": blueGreen} {
		for how, rollback := range map[string]bool{"rolled back": true, "left": false} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				s := begin(t, setup{desired: 1, balanced: true})
				c := watching(strategy, s.alarm(isOK), rollback)
				if strategy == rolling { // the circuit breaker's rollback is its own
					c.DeploymentCircuitBreaker = breaker(count, 1)
				}
				id := s.deploy(s.good(), c)
				s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
				s.becomes(isAlarm)
				d := s.ends(id, map[bool]orchestratorpb.Deployment_State{true: rollbackSuccessful, false: stopped}[rollback])
				if d.GetErrorCode() != "ALARM_ACTIVE" || d.GetAlarms().GetStatus() != orchestratorpb.TaskFailures_STATUS_TRIGGERED ||
					len(d.GetAlarms().GetTriggeredAlarmNames()) != 1 {
					t.Errorf("ended with %s, %v", d.GetErrorCode(), d.GetAlarms())
				}
			})
		}
	}
}

// initial_alarm_policy: what an alarm means that is in ALARM before the deployment begins.
func TestInitialAlarmPolicy(t *testing.T) {
	t.Parallel()
	t.Run("wait", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		id := s.deploy(s.good(), watching(rolling, s.alarm(isAlarm), true))
		s.stands(id, orchestratorpb.Condition_TYPE_ALARM)
		if d := s.deployment(id); d.GetState() != pending || len(s.alive(2)) != 0 {
			t.Errorf("is %s with %d new tasks", d.GetState(), len(s.alive(2)))
		}
		s.becomes(isOK)
		s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
		s.becomes(isAlarm)
		s.ends(id, rollbackSuccessful)
	})
	t.Run("ignore", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		c := watching(rolling, s.alarm(isAlarm), true)
		c.BakeTime, c.Alarms.InitialAlarmPolicy = seconds(0.5), orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_IGNORE
		id := s.deploy(s.good(), c)
		s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
		s.becomes(isOK)
		s.becomes(isAlarm)
		if d := s.ends(id, successful); d.GetAlarms().GetStatus() != orchestratorpb.TaskFailures_STATUS_DISABLED {
			t.Errorf("alarms are %s", d.GetAlarms().GetStatus())
		}
	})
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		c := watching(rolling, s.alarm(isAlarm), true)
		c.Alarms.InitialAlarmPolicy = orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_WATCH
		id := s.deploy(s.good(), c)
		s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
		before := s.deployment(id).GetUpdateTime().AsTime()
		s.becomes(isOK)
		s.until(id, "OK to be seen", func(d *deployment) bool { return d.GetUpdateTime().AsTime().After(before) })
		s.becomes(isAlarm)
		s.ends(id, rollbackSuccessful)
	})
}

// A rolling deployment that looks at alarms bakes for 5 minutes unless it says otherwise: ECS computes a time, generally less.
func TestBakeTimeByDefault(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1})
	for _, enabled := range []bool{true, false} {
		c := watching(rolling, "nobody", true)
		c.BakeTime, c.Alarms.Enable = nil, enabled
		plan, err := system.Deployments.PlanDeployment(t.Context(), &orchestratorpb.PlanDeploymentRequest{Service: s.name, DeploymentConfiguration: c})
		want := map[bool]time.Duration{true: 5 * time.Minute}[enabled]
		if got := plan.GetDeploymentConfiguration().GetBakeTime().AsDuration(); err != nil || got != want {
			t.Errorf("with alarms %t it bakes for %s (%v), want %s", enabled, got, err, want)
		}
	}
}

// unreadable_alarm_policy: what an alarm means that cannot be read, here one that does not exist.
func TestUnreadableAlarmPolicy(t *testing.T) {
	t.Parallel()
	t.Run("wait", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		id := s.deploy(s.good(), watching(rolling, "nobody", true))
		s.stands(id, orchestratorpb.Condition_TYPE_ALARM)
		if got := s.deployment(id); got.GetState() != pending {
			t.Errorf("is %s", got.GetState())
		}
	})
	t.Run("continue", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		c := watching(rolling, "nobody", true)
		c.BakeTime, c.Alarms.UnreadableAlarmPolicy = seconds(0), orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_CONTINUE
		s.ends(s.deploy(s.good(), c), successful)
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		c := watching(rolling, s.alarm(isOK), true)
		c.Alarms.UnreadableAlarmPolicy, c.Alarms.UnreadableAlarmTimeout = orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_STOP, seconds(0.2)
		id := s.deploy(s.good(), c)
		s.stands(id, orchestratorpb.Condition_TYPE_BAKE_TIME)
		if _, err := system.Alarms.DeleteAlarms(t.Context(), &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{s.name}}); err != nil {
			t.Fatal(err)
		}
		s.ends(id, rollbackSuccessful)
	})
	t.Run("stop before the start", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1})
		c := watching(rolling, "nobody", true)
		c.Alarms.UnreadableAlarmPolicy, c.Alarms.UnreadableAlarmTimeout = orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_STOP, seconds(0.2)
		s.until(s.deploy(s.good(), c), "the deployment to end", func(d *deployment) bool { return d.GetFinishTime() != nil })
	})
}
