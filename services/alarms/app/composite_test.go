package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
)

func (s *service) putComposite(a *alarmspb.CompositeAlarm) (*alarmspb.CompositeAlarm, error) {
	resp, err := s.PutCompositeAlarm(s.t.Context(), &alarmspb.PutCompositeAlarmRequest{CompositeAlarm: a})
	return resp.GetCompositeAlarm(), err
}

func (s *service) mustComposite(name, rule string) {
	s.t.Helper()
	if _, err := s.putComposite(&alarmspb.CompositeAlarm{Name: name, AlarmRule: rule}); err != nil {
		s.t.Fatal(err)
	}
}

// awaitComposite watches a composite alarm until it is as wanted.
func (s *service) awaitComposite(name string, is func(*alarmspb.CompositeAlarm) bool) *alarmspb.CompositeAlarm {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	stream, err := s.WatchAlarms(ctx, &alarmspb.WatchAlarmsRequest{AlarmNames: []string{name}})
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			s.t.Fatalf("%s did not become as wanted: %v", name, err)
		}
		for _, a := range resp.GetCompositeAlarms() {
			if is(a) {
				return a
			}
		}
	}
}

func in(state alarmspb.MetricAlarm_State) func(*alarmspb.CompositeAlarm) bool {
	return func(a *alarmspb.CompositeAlarm) bool { return a.GetState() == state }
}

func TestACompositeAlarmFollowsItsChildren(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	s := start(t, url)
	s.put(errors5xx("web-5xx"))
	s.await("web-5xx", ok)
	quiet := errors5xx("in maintenance")
	quiet.MetricName = "maintenance"
	s.put(quiet)
	s.await("in maintenance", ok)
	s.mustComposite("web-bad", `ALARM(web-5xx) AND NOT ALARM("in maintenance")`)
	s.mustComposite("page", "ALARM(web-bad)")
	s.awaitComposite("page", in(ok))
	s.push(2, "")
	bad := s.awaitComposite("web-bad", in(alarm))
	if !strings.HasPrefix(bad.GetStateReason(), "arn:aws:cloudwatch:local:000000000000:alarm:web-5xx transitioned to ALARM at ") {
		t.Error(bad.GetStateReason())
	}
	if !strings.HasPrefix(bad.GetStateReasonData(), `{"triggeringAlarms":[{"arn":"arn:aws:cloudwatch:local:000000000000:alarm:`) {
		t.Error(bad.GetStateReasonData())
	}
	s.awaitComposite("page", in(alarm))
	s.stop()

	s = start(t, url)
	s.awaitComposite("page", in(alarm))
	if got := s.history("page"); len(got) != 3 || got[0] != "Alarm updated from OK to ALARM" || got[2] != `Alarm "page" created` {
		t.Errorf("history %q", got)
	}
	_, err := s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "in maintenance", State: alarm, StateReason: "drill"})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitComposite("page", in(ok))
}

func TestCompositeAlarmsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(errors5xx("a"))
	s.mustComposite("c1", "ALARM(a)")
	s.mustComposite("c2", "ALARM(c1)")
	const field = "composite_alarm.alarm_rule"
	for rule, want := range map[string]string{
		"ALARM(c2)":           "leads back to the alarm itself: c1 -> c2 -> c1",
		"ALARM(none)":         "refers to the alarm none, which does not exist; put it first",
		"ALARM(a) OR":         "at character 12: expected (, NOT, TRUE, FALSE, ALARM(, OK(, INSUFFICIENT_DATA( or AT_LEAST(, found the end of the rule",
		"ALARM(c1)":           "refers to the alarm itself: c1 -> c1",
		"NOT ALARM(c2) OR OK": "",
	} {
		_, err := s.putComposite(&alarmspb.CompositeAlarm{Name: "c1", AlarmRule: rule})
		wantInvalid(t, err, field, want)
	}
	_, err := s.putComposite(&alarmspb.CompositeAlarm{Name: "c3", AlarmRule: "TRUE", ActionsSuppressor: "a"})
	wantInvalid(t, err, "composite_alarm.actions_suppressor_wait_period", "is needed with actions_suppressor")
	_, err = s.putComposite(&alarmspb.CompositeAlarm{Name: "a", AlarmRule: "TRUE"})
	wantReason(t, err, "ALREADY_EXISTS")
	_, err = s.PutMetricAlarm(t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: errors5xx("c1")})
	wantReason(t, err, "ALREADY_EXISTS")
	// The way out of a circle, as in CloudWatch: a rule of FALSE refers to nobody.
	s.mustComposite("c1", "FALSE")
	s.mustComposite("c1", "ALARM(a)")
}

func TestAnAlarmThatACompositeAlarmNeedsStays(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(errors5xx("a"))
	s.put(errors5xx("s"))
	_, err := s.putComposite(&alarmspb.CompositeAlarm{
		Name: "c", AlarmRule: "ALARM(a)", ActionsSuppressor: "s",
		ActionsSuppressorWaitPeriod: durationpb.New(time.Minute), ActionsSuppressorExtensionPeriod: durationpb.New(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "s"} {
		_, err := s.DeleteAlarms(t.Context(), &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{name}})
		wantReason(t, err, "IN_USE")
	}
	if names, _ := s.describe(&alarmspb.DescribeAlarmsRequest{ChildrenOfAlarmName: "c"}); !slices.Equal(names, []string{"a", "s"}) {
		t.Errorf("children %q", names)
	}
	resp, err := s.DescribeAlarms(t.Context(), &alarmspb.DescribeAlarmsRequest{ParentsOfAlarmName: "a"})
	if err != nil || len(resp.GetAlarms()) != 0 || len(resp.GetCompositeAlarms()) != 1 || resp.GetCompositeAlarms()[0].GetName() != "c" {
		t.Errorf("parents %v, %v", resp, err)
	}
	resp, err = s.DescribeAlarms(t.Context(), &alarmspb.DescribeAlarmsRequest{
		AlarmTypes: []alarmspb.DescribeAlarmsRequest_AlarmType{alarmspb.DescribeAlarmsRequest_ALARM_TYPE_METRIC_ALARM},
	})
	if err != nil || len(resp.GetAlarms()) != 2 || len(resp.GetCompositeAlarms()) != 0 {
		t.Errorf("metric alarms %v, %v", resp, err)
	}
	if _, err := s.DeleteAlarms(t.Context(), &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{"a", "s", "c"}}); err != nil {
		t.Error(err)
	}
	if got := s.history("c"); len(got) == 0 || got[0] != `Alarm "c" deleted` {
		t.Errorf("history %q", got)
	}
}

func TestASuppressorIsShown(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(errors5xx("a"))
	s.await("a", ok)
	quiet := errors5xx("quiet")
	quiet.MetricName = "quiet"
	s.put(quiet)
	s.await("quiet", ok)
	_, err := s.putComposite(&alarmspb.CompositeAlarm{
		Name: "c", AlarmRule: "ALARM(a)", ActionsSuppressor: "quiet",
		ActionsSuppressorWaitPeriod: durationpb.New(time.Hour), ActionsSuppressorExtensionPeriod: durationpb.New(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitComposite("c", in(ok))
	s.push(1, "")
	by := func(want alarmspb.CompositeAlarm_SuppressedBy) func(*alarmspb.CompositeAlarm) bool {
		return func(a *alarmspb.CompositeAlarm) bool {
			return a.GetState() == alarm && a.GetActionsSuppressedBy() == want && a.GetActionsSuppressedReason() != ""
		}
	}
	s.awaitComposite("c", by(alarmspb.CompositeAlarm_SUPPRESSED_BY_WAIT_PERIOD))
	if _, err := s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "quiet", State: alarm}); err != nil {
		t.Fatal(err)
	}
	s.awaitComposite("c", by(alarmspb.CompositeAlarm_SUPPRESSED_BY_ALARM))
	if _, err := s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "quiet", State: ok}); err != nil {
		t.Fatal(err)
	}
	s.awaitComposite("c", by(alarmspb.CompositeAlarm_SUPPRESSED_BY_EXTENSION_PERIOD))
}
