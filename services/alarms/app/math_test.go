package app_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

func (s *service) pushTo(name, unit string, value float64, ago time.Duration) {
	s.t.Helper()
	datum := at(-ago)
	datum.MetricName, datum.Unit, datum.Value = name, unit, &value
	if _, err := s.PutMetricData(s.t.Context(), &alarmspb.PutMetricDataRequest{Namespace: "n", MetricData: []*alarmspb.MetricDatum{datum}}); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnAlarmOnMetricMath(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(ratio(50))
	s.pushTo("requests", "", 10, 2*time.Minute)
	s.await("ratio", ok)
	s.pushTo("errors", "", 9, 2*time.Minute)
	raised := s.await("ratio", alarm)
	if len(raised.GetMetrics()) != 3 || raised.GetMetrics()[2].GetExpression() != "100 * e / r" {
		t.Error(raised)
	}
}

func TestMetricMathThatIsRefused(t *testing.T) {
	t.Parallel()
	s := started(t)
	for _, c := range []struct {
		field  string
		change func(*alarmspb.MetricAlarm)
	}{
		{"alarm.metrics", func(a *alarmspb.MetricAlarm) { a.Namespace = "n" }},
		{"alarm.metrics", func(a *alarmspb.MetricAlarm) { a.Metrics[2].ReturnData = false }},
		{"alarm.metrics[2].expression", func(a *alarmspb.MetricAlarm) { a.Metrics[2].Expression = "e / z" }},
		{"alarm.metrics[2].expression", func(a *alarmspb.MetricAlarm) { a.Metrics[2].Expression = "ANOMALY_DETECTION_BAND(e)" }},
		{"alarm.metrics[2]", func(a *alarmspb.MetricAlarm) { a.Metrics[2].Expression = "" }},
		{"alarm.metrics[1].metric_stat.period", func(a *alarmspb.MetricAlarm) { a.Metrics[1].MetricStat.Period = durationpb.New(time.Hour) }},
		{"alarm.metrics[1].metric_stat.stat", func(a *alarmspb.MetricAlarm) { a.Metrics[1].MetricStat.Stat = "p101" }},
		{"alarm.metrics[1]", func(a *alarmspb.MetricAlarm) { a.Metrics[1].Id = "e" }},
	} {
		a := ratio(1)
		c.change(a)
		_, err := s.PutMetricAlarm(t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: a})
		wantInvalid(t, err, c.field, "")
	}
}

// A unit is part of a metric: an alarm with one sees only samples that have it, an alarm without sees all.
func TestUnitsTellMetricsApart(t *testing.T) {
	t.Parallel()
	s := started(t)
	for name, unit := range map[string]string{"any": "", "seconds": "Seconds", "bytes": "Bytes"} {
		a := errors5xx(name)
		a.Namespace, a.MetricName, a.Dimensions, a.Unit = "n", "m", nil, unit
		s.put(a)
		s.await(name, ok)
	}
	s.pushTo("m", "Seconds", 1, 0)
	s.await("any", alarm)
	s.await("seconds", alarm)
	s.pushTo("m", "", 1, 0)
	if names, _ := s.describe(&alarmspb.DescribeAlarmsRequest{State: ok}); len(names) != 1 || names[0] != "bytes" {
		t.Errorf("OK are %q", names)
	}
}
