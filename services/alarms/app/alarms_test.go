package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestDescribeAlarmsByPageNamePrefixAndState(t *testing.T) {
	t.Parallel()
	s := started(t)
	for _, name := range []string{"b2", "a1", "b1", "a2", "b3"} {
		s.put(errors5xx(name))
		s.await(name, ok)
	}
	_, err := s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "b2", State: alarm, StateReason: "drill"})
	if err != nil {
		t.Fatal(err)
	}
	first, next := s.describe(&alarmspb.DescribeAlarmsRequest{PageSize: 2})
	second, next2 := s.describe(&alarmspb.DescribeAlarmsRequest{PageSize: 2, PageToken: next})
	third, end := s.describe(&alarmspb.DescribeAlarmsRequest{PageSize: 2, PageToken: next2})
	if got := fmt.Sprintf("%v %v %v %q", first, second, third, end); got != `[a1 a2] [b1 b2] [b3] ""` {
		t.Error(got)
	}
	for _, c := range []struct {
		req  *alarmspb.DescribeAlarmsRequest
		want []string
	}{
		{&alarmspb.DescribeAlarmsRequest{AlarmNames: []string{"b1", "none", "a2"}}, []string{"a2", "b1"}},
		{&alarmspb.DescribeAlarmsRequest{AlarmNamePrefix: "b"}, []string{"b1", "b2", "b3"}},
		{&alarmspb.DescribeAlarmsRequest{State: alarm}, []string{"b2"}},
		{&alarmspb.DescribeAlarmsRequest{State: ok, AlarmNamePrefix: "b"}, []string{"b1", "b3"}},
	} {
		if got, _ := s.describe(c.req); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.req, got, c.want)
		}
	}
	_, err = s.DescribeAlarms(t.Context(), &alarmspb.DescribeAlarmsRequest{AlarmNames: []string{"a1"}, AlarmNamePrefix: "b"})
	wantInvalid(t, err, "alarm_name_prefix", "")
	_, err = s.DescribeAlarms(t.Context(), &alarmspb.DescribeAlarmsRequest{PageToken: "?"})
	wantInvalid(t, err, "page_token", "")
}

// What is sent again with its request_id gets the same answer and changes nothing, neither in the store nor in memory.
func TestARepeatedRequestChangesNothing(t *testing.T) {
	t.Parallel()
	s := started(t)
	ctx := t.Context()
	put := &alarmspb.PutMetricAlarmRequest{RequestId: "put", Alarm: errors5xx("a")}
	first, err := s.PutMetricAlarm(ctx, put)
	if err != nil {
		t.Fatal(err)
	}
	changed := errors5xx("a")
	changed.Threshold = 7
	changed.Etag = first.GetAlarm().GetEtag()
	s.put(changed)
	again, err := s.PutMetricAlarm(ctx, put)
	if err != nil || again.GetAlarm().GetEtag() != first.GetAlarm().GetEtag() {
		t.Errorf("the answer is another: %v, %v", again, err)
	}
	if a := s.await("a", ok); a.GetThreshold() != 7 {
		t.Errorf("put again: threshold %v", a.GetThreshold())
	}
	set := &alarmspb.SetAlarmStateRequest{RequestId: "set", AlarmName: "a", State: alarm}
	if _, err := s.SetAlarmState(ctx, set); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetAlarmState(ctx, &alarmspb.SetAlarmStateRequest{AlarmName: "a", State: ok}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetAlarmState(ctx, set); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.describe(&alarmspb.DescribeAlarmsRequest{State: alarm}); len(got) > 0 {
		t.Errorf("set again: %q", got)
	}
	del := &alarmspb.DeleteAlarmsRequest{RequestId: "del", AlarmNames: []string{"a"}}
	if _, err := s.DeleteAlarms(ctx, del); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.describe(&alarmspb.DescribeAlarmsRequest{}); len(got) > 0 {
		t.Errorf("deleted: %q", got)
	}
	s.put(errors5xx("a"))
	if _, err := s.DeleteAlarms(ctx, del); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.describe(&alarmspb.DescribeAlarmsRequest{}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("deleted again: %q", got)
	}
	put.Alarm.Threshold = 8
	_, err = s.PutMetricAlarm(ctx, put)
	wantReason(t, err, "REQUEST_ID_REUSED")
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if p := problem.As(err); p == nil || p.Reason != reason {
		t.Errorf("%v, want %s", err, reason)
	}
}

func TestAnAlarmThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(errors5xx("a"))
	_, err := s.DeleteAlarms(t.Context(), &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{"a", "b"}})
	wantReason(t, err, "ALARM_NOT_FOUND")
	_, err = s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "b", State: ok})
	wantReason(t, err, "ALARM_NOT_FOUND")
	stale := errors5xx("a")
	stale.Etag = "0"
	_, err = s.PutMetricAlarm(t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: stale})
	wantReason(t, err, "STALE_ETAG")
	if got, _ := s.describe(&alarmspb.DescribeAlarmsRequest{}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q are there", got)
	}
}

// Changes that race leave in memory what the store holds.
func TestMemoryFollowsTheStoreWhenChangesRace(t *testing.T) {
	t.Parallel()
	s := started(t)
	done := make(chan error, 16)
	for i := range cap(done) {
		go func() {
			a := errors5xx("a")
			a.Threshold = float64(i)
			_, err := s.PutMetricAlarm(context.WithoutCancel(t.Context()), &alarmspb.PutMetricAlarmRequest{Alarm: a})
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	known := s.await("a", ok)
	resp, err := s.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "a", State: ok}) // answers from the store
	if err != nil || resp.GetAlarm().GetThreshold() != known.GetThreshold() {
		t.Errorf("memory has threshold %v, the store %v, %v", known.GetThreshold(), resp.GetAlarm().GetThreshold(), err)
	}
}

func TestTheCharacterNULIsRefused(t *testing.T) {
	t.Parallel()
	s := started(t)
	ctx := t.Context()
	const nul, rule = "a\x00b", "must not contain the character U+0000"
	for field, change := range map[string]func(*alarmspb.PutMetricAlarmRequest){
		"request_id":                func(r *alarmspb.PutMetricAlarmRequest) { r.RequestId = nul },
		"alarm.name":                func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Name = nul },
		"alarm.description":         func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Description = nul },
		"alarm.namespace":           func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Namespace = nul },
		"alarm.metric_name":         func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.MetricName = nul },
		"alarm.unit":                func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Unit = nul },
		"alarm.dimensions[0].name":  func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Dimensions[0].Name = nul },
		"alarm.dimensions[0].value": func(r *alarmspb.PutMetricAlarmRequest) { r.Alarm.Dimensions[0].Value = nul },
	} {
		req := &alarmspb.PutMetricAlarmRequest{Alarm: errors5xx("a")}
		change(req)
		_, err := s.PutMetricAlarm(ctx, req)
		wantInvalid(t, err, field, rule)
	}
	_, err := s.SetAlarmState(ctx, &alarmspb.SetAlarmStateRequest{AlarmName: nul, State: ok, StateReason: nul})
	wantInvalid(t, err, "alarm_name", rule)
	wantInvalid(t, err, "state_reason", rule)
	_, err = s.DeleteAlarms(ctx, &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{"a", nul}})
	wantInvalid(t, err, "alarm_names[1]", rule)
	_, err = s.DescribeAlarmHistory(ctx, &alarmspb.DescribeAlarmHistoryRequest{AlarmName: nul})
	wantInvalid(t, err, "alarm_name", rule)
}
