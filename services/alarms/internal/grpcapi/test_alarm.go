package grpcapi

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// TestAlarm evaluates a definition over a synthetic series.
func (s *Server) TestAlarm(_ context.Context, req *alarmspb.TestAlarmRequest) (*alarmspb.TestAlarmResponse, error) {
	d := definitionOf(req.GetAlarm())
	if err := check(&alarmspb.PutMetricAlarmRequest{Alarm: req.GetAlarm()}, d); err != nil {
		return nil, err
	}
	if int(req.GetEvaluateFrom()) >= len(req.GetPeriods()) {
		return nil, problem.Invalid("evaluate_from", "must be one of the %d periods, counted from 0", len(req.GetPeriods()))
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if req.GetStartTime() != nil {
		if err := req.GetStartTime().CheckValid(); err != nil {
			return nil, problem.Invalid("start_time", "must be a time from year 1 to year 9999").Wrap(err)
		}
		start = req.GetStartTime().AsTime()
	}
	points, err := testPoints(d, start, req.GetPeriods())
	if err != nil {
		return nil, err
	}
	resp := &alarmspb.TestAlarmResponse{EvaluationRange: int32(d.Range())}
	if p, ok := d.Percentile(); ok {
		resp.RequiredSampleCount = alarm.MinSamples(p)
	}
	state := alarm.InsufficientData
	if was := req.GetInitialState(); was != alarmspb.MetricAlarm_STATE_UNSPECIFIED {
		state = alarm.State(was.String()[len("STATE_"):])
	}
	lead := d.Range() - 1 // missing points before the first period
	for i := int(req.GetEvaluateFrom()); i < len(req.GetPeriods()); i++ {
		verdict := alarm.Evaluate(d, state, points[i:i+lead+1])
		state = verdict.State
		resp.Evaluations = append(resp.Evaluations, &alarmspb.TestAlarmResponse_Evaluation{
			Period: int32(i), Time: timestamppb.New(start.Add(time.Duration(i+1) * d.Period)), State: statePB(string(state)), Kept: verdict.Kept,
			StateReason: verdict.Reason, StateReasonData: verdict.Data,
		})
	}
	return resp, nil
}

// testPoints is the series with as many missing points before it as an evaluation looks back.
func testPoints(d alarm.Definition, start time.Time, periods []*alarmspb.TestAlarmRequest_Period) ([]alarm.Point, error) {
	lead := d.Range() - 1
	points := make([]alarm.Point, 0, lead+len(periods))
	for i := -lead; i < len(periods); i++ {
		point := alarm.Point{Time: start.Add(time.Duration(i) * d.Period), Missing: true}
		if i >= 0 {
			if err := fill(&point, d, periods[i], fmt.Sprintf("periods[%d]", i)); err != nil {
				return nil, err
			}
		}
		points = append(points, point)
	}
	return points, nil
}

// fill gives a point the statistic of its period.
func fill(point *alarm.Point, d alarm.Definition, period *alarmspb.TestAlarmRequest_Period, field string) error {
	switch {
	case period.Value != nil && len(period.GetSamples()) > 0:
		return problem.Invalid(field+".samples", "must not be set together with value")
	case period.Value != nil:
		point.Value, point.Samples, point.Missing = period.GetValue(), max(period.GetSampleCount(), 1), false
	case len(period.GetSamples()) > 0:
		var b alarm.Bucket
		for _, sample := range period.GetSamples() {
			b.Add(sample, 1)
		}
		value, known := b.Statistic(d)
		point.Value, point.Samples, point.Missing = value, b.Count, !known
	}
	return nil
}
