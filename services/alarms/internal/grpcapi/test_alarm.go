package grpcapi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
)

// TestAlarm evaluates an alarm on the data of the request.
func (s *Server) TestAlarm(_ context.Context, req *alarmspb.TestAlarmRequest) (*alarmspb.TestAlarmResponse, error) {
	return Try(req, s.ARN)
}

// Try evaluates an alarm on the data of the request, with the cores that the engine uses. arn gives an alarm's ARN, for reasons.
func Try(req *alarmspb.TestAlarmRequest, arn func(string) string) (*alarmspb.TestAlarmResponse, error) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if req.GetStartTime() != nil {
		if err := req.GetStartTime().CheckValid(); err != nil {
			return nil, problem.Invalid("start_time", "must be a time from year 1 to year 9999").Wrap(err)
		}
		start = req.GetStartTime().AsTime()
	}
	was := alarm.InsufficientData
	if req.GetInitialState() != alarmspb.MetricAlarm_STATE_UNSPECIFIED {
		was = alarm.State(strings.TrimPrefix(req.GetInitialState().String(), "STATE_"))
	}
	switch {
	case (req.GetAlarm() == nil) == (req.GetCompositeAlarm() == nil):
		return nil, problem.Invalid("alarm", "or composite_alarm is needed, and not both")
	case req.GetCompositeAlarm() != nil:
		return tryComposite(req, start, was, arn)
	case len(req.GetChildStates()) > 0:
		return nil, problem.Invalid("child_states", "go with composite_alarm")
	}
	d, broken := definitionOf(req.GetAlarm())
	if err := checkMetric(req.GetAlarm(), broken); err != nil {
		return nil, err
	}
	t, err := newTrial(req, d, start)
	if err != nil {
		return nil, err
	}
	return t.run(was, int(req.GetEvaluateFrom()))
}

// trial is an alarm and the data it is tried on, by metric and time.
type trial struct {
	series.Definition

	start    time.Time
	interval time.Duration
	count    int
	given    []map[time.Time]series.Value
	samples  []series.Buckets
}

func newTrial(req *alarmspb.TestAlarmRequest, d series.Definition, start time.Time) (*trial, error) {
	t := &trial{Definition: d, start: start, interval: d.Period}
	if req.GetInterval() != nil {
		t.interval = req.GetInterval().AsDuration()
	}
	if t.interval < time.Second || t.interval%time.Second != 0 || d.Period%t.interval != 0 {
		return nil, problem.Invalid("interval", "must be the alarm's period (%s) or a whole part of it, in whole seconds", d.Period)
	}
	if clock := start.Add(d.Offset); d.WallClock && !clock.Equal(alarm.Align(clock, t.interval)) {
		return nil, problem.Invalid("start_time", "must be the start of an interval on the alarm's clock")
	}
	for range d.Metrics {
		t.given, t.samples = append(t.given, map[time.Time]series.Value{}), append(t.samples, series.Buckets{})
	}
	if err := t.load(req); err != nil {
		return nil, err
	}
	if int(req.GetEvaluateFrom()) >= t.count {
		return nil, problem.Invalid("evaluate_from", "must be one of the %d periods, counted from 0", t.count)
	}
	return t, nil
}

// load takes the data of the metrics.
func (t *trial) load(req *alarmspb.TestAlarmRequest) error {
	switch {
	case t.Math == nil && len(req.GetSeries()) > 0:
		return problem.Invalid("series", "goes with metric math; an alarm on one metric has periods")
	case t.Math == nil && len(req.GetPeriods()) == 0:
		return problem.Invalid("periods", "must be one at least")
	case t.Math == nil:
		return t.fill(0, req.GetPeriods(), "periods")
	case len(req.GetPeriods()) > 0:
		return problem.Invalid("periods", "goes with an alarm on one metric; metric math has series")
	case len(req.GetSeries()) == 0:
		return problem.Invalid("series", "must be one at least")
	}
	for i, s := range req.GetSeries() {
		field := fmt.Sprintf("series[%d]", i)
		metric := -1
		for m := range t.Metrics {
			if t.Metrics[m].ID == s.GetId() {
				metric = m
			}
		}
		if metric < 0 {
			return problem.Invalid(field+".id", "must be the id of a metric of the alarm: not %q", s.GetId())
		}
		if err := t.fill(metric, s.GetPeriods(), field+".periods"); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) fill(metric int, periods []*alarmspb.TestAlarmRequest_Period, field string) error {
	t.count = max(t.count, len(periods))
	for i, p := range periods {
		at, field := t.at(i), fmt.Sprintf("%s[%d]", field, i)
		counts := p.GetCounts()
		switch {
		case p.Value != nil && len(p.GetSamples()) > 0:
			return problem.Invalid(field+".samples", "must not be set together with value")
		case len(counts) > 0 && len(counts) != len(p.GetSamples()):
			return problem.Invalid(field+".counts", "must be as many as samples")
		case p.Value != nil && t.interval == t.Period:
			t.given[metric][at] = series.Value{Value: p.GetValue(), Samples: sampleCount(p)}
			continue
		}
		b := &alarm.Bucket{}
		if p.Value != nil {
			b.Add(p.GetValue(), sampleCount(p))
		}
		for n, v := range p.GetSamples() {
			many := 1.0
			if len(counts) > 0 {
				many = counts[n]
			}
			if !finite(v, many) || many <= 0 {
				return problem.Invalid(field+".samples", "must be numbers within +-2^360, and counts more than 0")
			}
			b.Add(v, many)
		}
		if b.Count > 0 {
			t.samples[metric][at] = b
		}
	}
	return nil
}

// sampleCount is how many samples a value stands for: 1 if it does not say.
func sampleCount(p *alarmspb.TestAlarmRequest_Period) float64 {
	if p.GetSampleCount() == 0 {
		return 1
	}
	return p.GetSampleCount()
}

func (t *trial) at(i int) time.Time { return t.start.Add(time.Duration(i) * t.interval).UTC() }

// value is the statistic of a metric in the period from a time on.
func (t *trial) value(metric int, from time.Time) series.Value {
	if v, ok := t.given[metric][from.UTC()]; ok {
		return v
	}
	statistic := t.Metrics[metric].Statistic
	if t.Metrics[metric].Query != "" {
		statistic = alarm.Average // the source makes one value of what a test gives it
	}
	return series.Of(t.samples[metric].Between(from.UTC(), from.Add(t.Period).UTC(), t.interval), statistic)
}

// run evaluates at the end of each interval from one on.
func (t *trial) run(state alarm.State, from int) (*alarmspb.TestAlarmResponse, error) {
	resp := &alarmspb.TestAlarmResponse{EvaluationRange: int32(t.Range())}
	if p, ok := t.Percentile(); ok {
		resp.RequiredSampleCount = alarm.MinSamples(p)
	}
	warm := t.start.Add(t.WarmUp)
	for i := from; i < t.count; i++ {
		now := t.at(i + 1)
		verdict := alarm.Verdict{State: state, Kept: true, Reason: "State kept: the alarm is in its warm-up until " + warm.Format(time.RFC3339) + "."}
		if !now.Before(warm) {
			end := now
			if t.WallClock {
				end = t.End(now)
			}
			points, err := t.Points(end, t.value)
			if err != nil {
				return nil, err
			}
			verdict = alarm.Evaluate(t.Definition.Definition, state, points, now)
		}
		state = verdict.State
		resp.Evaluations = append(resp.Evaluations, &alarmspb.TestAlarmResponse_Evaluation{
			Period: int32(i), Time: timestamppb.New(now), State: statePB(string(state)), Kept: verdict.Kept,
			StateReason: verdict.Reason, StateReasonData: verdict.Data,
		})
	}
	return resp, nil
}
