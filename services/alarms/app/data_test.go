package app_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

// The limits and messages of CloudWatch's PutMetricData.
func TestPutMetricDataRefusesWhatBreaksItsLimits(t *testing.T) {
	t.Parallel()
	s := started(t)
	const samples = "must be a number within +-2^360, and counts more than 0"
	for name, c := range map[string]struct {
		datum       *alarmspb.MetricDatum
		field, rule string
	}{
		"no value": {&alarmspb.MetricDatum{}, "value", "is needed, or values, or statistic_values"},
		"value and values": {
			&alarmspb.MetricDatum{Value: proto.Float64(1), Values: []float64{1}}, "values",
			"the parameters MetricData.member.2.Value and MetricData.member.2.Values are mutually exclusive and you have specified both",
		},
		"counts without values": {
			&alarmspb.MetricDatum{Values: []float64{1, 2}, Counts: []float64{1}}, "counts",
			"the parameters MetricData.member.2.Values and MetricData.member.2.Counts must be of the same size",
		},
		"a value and a set": {
			&alarmspb.MetricDatum{Value: proto.Float64(1), StatisticValues: set(1, 1, 1, 1)}, "statistic_values",
			"must not be set together with value or values",
		},
		"minimum above maximum": {&alarmspb.MetricDatum{StatisticValues: set(2, 3, 2, 1)}, "statistic_values.minimum", "must not be more than the maximum"},
		"endless samples": {
			&alarmspb.MetricDatum{StatisticValues: set(math.Inf(1), 3, 1, 2)}, "statistic_values",
			"must be numbers within +-2^360, and sample_count more than 0",
		},
		"not a number":   {&alarmspb.MetricDatum{Value: new(math.NaN())}, "value", samples},
		"infinite":       {&alarmspb.MetricDatum{Value: new(math.Inf(-1))}, "value", samples},
		"too large":      {&alarmspb.MetricDatum{Value: new(0x1p361)}, "value", samples},
		"no count":       {&alarmspb.MetricDatum{Values: []float64{1}, Counts: []float64{0}}, "value", samples},
		"endless counts": {&alarmspb.MetricDatum{Values: []float64{1}, Counts: []float64{1e300}}, "value", samples},
		"too old":        {at(-14*24*time.Hour - time.Minute), "timestamp", "must be at most two weeks ago and two hours ahead"},
		"too early":      {at(2*time.Hour + time.Minute), "timestamp", "must be at most two weeks ago and two hours ahead"},
		"no time":        {&alarmspb.MetricDatum{Value: proto.Float64(1), Timestamp: &timestamppb.Timestamp{Nanos: -1}}, "timestamp", "must be a valid time"},
		"NUL":            {&alarmspb.MetricDatum{Value: proto.Float64(1), Unit: "\x00"}, "unit", "must not contain the character U+0000"},
	} {
		c.datum.MetricName = "m"
		good := &alarmspb.MetricDatum{MetricName: "m", Value: proto.Float64(1)}
		_, err := s.PutMetricData(t.Context(), &alarmspb.PutMetricDataRequest{Namespace: "n", MetricData: []*alarmspb.MetricDatum{good, c.datum}})
		t.Log(name)
		wantInvalid(t, err, "metric_data[1]."+c.field, c.rule)
	}
	_, err := s.PutMetricData(t.Context(), &alarmspb.PutMetricDataRequest{Namespace: ":n", MetricData: []*alarmspb.MetricDatum{at(0)}})
	wantInvalid(t, err, "namespace", "must not begin with a colon")
	for _, datum := range []*alarmspb.MetricDatum{
		at(-14*24*time.Hour + time.Minute), at(2*time.Hour - time.Minute),
		{MetricName: "m", StatisticValues: set(2, 3, 1, 2)},
		{MetricName: "m", Values: []float64{0x1p360, -0x1p360}, Counts: []float64{0.5, 0x1p360}},
	} {
		_, err := s.PutMetricData(t.Context(), &alarmspb.PutMetricDataRequest{Namespace: "n", MetricData: []*alarmspb.MetricDatum{datum}})
		if err != nil {
			t.Errorf("%v: %v", datum, err)
		}
	}
}

func set(count, sum, minimum, maximum float64) *alarmspb.MetricDatum_StatisticSet {
	return &alarmspb.MetricDatum_StatisticSet{SampleCount: count, Sum: sum, Minimum: minimum, Maximum: maximum}
}

func at(ahead time.Duration) *alarmspb.MetricDatum {
	return &alarmspb.MetricDatum{MetricName: "m", Value: proto.Float64(1), Timestamp: timestamppb.New(time.Now().Add(ahead))}
}

func TestGetMetricStatisticsRefusesWhatBreaksItsLimits(t *testing.T) {
	t.Parallel()
	s := started(t)
	now := time.Now()
	for field, change := range map[string]func(*alarmspb.GetMetricStatisticsRequest){
		"period":   func(r *alarmspb.GetMetricStatisticsRequest) { r.Period = durationpb.New(time.Second) }, // 3600 datapoints
		"end_time": func(r *alarmspb.GetMetricStatisticsRequest) { r.EndTime = r.GetStartTime() },
		"start_time": func(r *alarmspb.GetMetricStatisticsRequest) {
			r.StartTime = &timestamppb.Timestamp{Seconds: math.MinInt64}
		},
	} {
		req := &alarmspb.GetMetricStatisticsRequest{
			Namespace: "n", MetricName: "m", StartTime: timestamppb.New(now.Add(-time.Hour)), EndTime: timestamppb.New(now), Period: durationpb.New(time.Minute),
		}
		change(req)
		_, err := s.GetMetricStatistics(t.Context(), req)
		wantInvalid(t, err, field, "")
	}
}
