package grpcapi

import (
	"context"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// Limits of CloudWatch's PutMetricData and GetMetricStatistics.
const (
	maxAge        = 14 * 24 * time.Hour
	maxAhead      = 2 * time.Hour
	maxStatistics = 1440
)

// maxValue is CloudWatch's; Slipway bounds counts by it too, so that no sum overflows.
const maxValue = 0x1p360

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.Abs(v) > maxValue {
			return false
		}
	}
	return true
}

// recentRequests remembers the ids of the last pushes, so that one that is sent again does not count twice. Samples wait in
// memory to be saved in batches, and so do these.
type recentRequests struct {
	mu   sync.Mutex
	seen map[string]bool
	ring [4096]string
	at   int
}

// first reports whether the id has not been seen lately, and remembers it. Without an id every push is a first.
func (r *recentRequests) first(id string) bool {
	if id == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		return false
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	delete(r.seen, r.ring[r.at])
	r.ring[r.at], r.seen[id] = id, true
	r.at = (r.at + 1) % len(r.ring)
	return true
}

// PutMetricData takes samples. They are saved in batches; alarms see them at once.
func (s *Server) PutMetricData(_ context.Context, req *alarmspb.PutMetricDataRequest) (*alarmspb.PutMetricDataResponse, error) {
	if strings.HasPrefix(req.GetNamespace(), ":") {
		return nil, problem.Invalid("namespace", "must not begin with a colon")
	}
	now := s.Now().UTC()
	points := make([]store.Datapoint, 0, len(req.GetMetricData()))
	var broken nuls
	broken.check("namespace", req.GetNamespace())
	for i, d := range req.GetMetricData() {
		field := fmt.Sprintf("metric_data[%d]", i)
		broken.check(field+".metric_name", d.GetMetricName())
		broken.check(field+".unit", d.GetUnit())
		broken.dimensions(field+".dimensions", d.GetDimensions())
		point, violation := datapointOf(req.GetNamespace(), d, i, now)
		if violation != nil {
			broken = append(broken, *violation)
		}
		points = append(points, point)
		if d.GetUnit() != "" { // an alarm without a unit sees samples of every unit
			point.Metric = alarm.MetricOf(req.GetNamespace(), d.GetMetricName(), dimensionsOf(d.GetDimensions()), "")
			points = append(points, point)
		}
	}
	if err := broken.err(); err != nil {
		return nil, err
	}
	if s.recent.first(req.GetRequestId()) {
		s.Engine.Push(points)
	}
	return &alarmspb.PutMetricDataResponse{}, nil
}

func datapointOf(namespace string, d *alarmspb.MetricDatum, index int, now time.Time) (store.Datapoint, *problem.Violation) {
	broken := func(field, rule string, args ...any) *problem.Violation {
		return &problem.Violation{Field: fmt.Sprintf("metric_data[%d].%s", index, field), Rule: fmt.Sprintf(rule, args...)}
	}
	p := store.Datapoint{Time: now, Metric: alarm.MetricOf(namespace, d.GetMetricName(), dimensionsOf(d.GetDimensions()), d.GetUnit())}
	if d.GetTimestamp() != nil {
		p.Time = d.GetTimestamp().AsTime()
	}
	set, samples := d.GetStatisticValues(), d.Value != nil || len(d.GetValues()) > 0
	switch {
	case d.GetTimestamp() != nil && !d.GetTimestamp().IsValid():
		return p, broken("timestamp", "must be a valid time")
	case p.Time.Before(now.Add(-maxAge)) || p.Time.After(now.Add(maxAhead)):
		return p, broken("timestamp", "must be at most two weeks ago and two hours ahead")
	case d.Value != nil && len(d.GetValues()) > 0:
		return p, broken("values", "the parameters MetricData.member.%[1]d.Value and MetricData.member.%[1]d.Values are mutually exclusive"+
			" and you have specified both", index+1)
	case set != nil && samples:
		return p, broken("statistic_values", "must not be set together with value or values")
	case len(d.GetCounts()) > 0 && len(d.GetCounts()) != len(d.GetValues()):
		return p, broken("counts", "the parameters MetricData.member.%[1]d.Values and MetricData.member.%[1]d.Counts must be of the same size", index+1)
	case set == nil && !samples:
		return p, broken("value", "is needed, or values, or statistic_values")
	case set != nil && (!finite(set.GetSampleCount(), set.GetSum(), set.GetMinimum(), set.GetMaximum()) || set.GetSampleCount() <= 0):
		return p, broken("statistic_values", "must be numbers within +-2^360, and sample_count more than 0")
	case set != nil && set.GetMinimum() > set.GetMaximum():
		return p, broken("statistic_values.minimum", "must not be more than the maximum")
	case set != nil:
		p.Bucket.AddSet(set.GetSampleCount(), set.GetSum(), set.GetMinimum(), set.GetMaximum())
		return p, nil
	case !addSamples(&p.Bucket, d):
		return p, broken("value", "must be a number within +-2^360, and counts more than 0")
	}
	return p, nil
}

// addSamples adds a datum's samples, if they are numbers.
func addSamples(b *alarm.Bucket, d *alarmspb.MetricDatum) bool {
	values, counts := d.GetValues(), d.GetCounts()
	if d.Value != nil {
		values = []float64{d.GetValue()}
	}
	for i, v := range values {
		n := 1.0
		if len(counts) > 0 {
			n = counts[i]
		}
		if !finite(v, n) || n <= 0 {
			return false
		}
		b.Add(v, n)
	}
	return true
}

// GetMetricStatistics returns a metric by period.
func (s *Server) GetMetricStatistics(ctx context.Context, req *alarmspb.GetMetricStatisticsRequest) (*alarmspb.GetMetricStatisticsResponse, error) {
	from, to, period := req.GetStartTime().AsTime(), req.GetEndTime().AsTime(), req.GetPeriod().AsDuration()
	if !req.GetStartTime().IsValid() || !req.GetEndTime().IsValid() {
		return nil, problem.Invalid("start_time", "and end_time must be valid times")
	}
	if period < time.Second || period%time.Second != 0 {
		return nil, problem.Invalid("period", "must be whole seconds")
	}
	if !from.Before(to) {
		return nil, problem.Invalid("end_time", "must be after start_time")
	}
	if n := int64(to.Sub(from) / period); n > maxStatistics {
		return nil, problem.Invalid("period", "You have requested up to %d datapoints, which exceeds the limit of %d", n, maxStatistics)
	}
	metric := alarm.MetricOf(req.GetNamespace(), req.GetMetricName(), dimensionsOf(req.GetDimensions()), "")
	list, err := s.Store.DatapointsRange(ctx, nil, metric, from, to)
	if err != nil {
		return nil, err
	}
	byPeriod := map[time.Time]*alarm.Bucket{}
	for _, p := range list {
		at := alarm.Align(p.Time, period)
		if byPeriod[at] == nil {
			byPeriod[at] = &alarm.Bucket{}
		}
		byPeriod[at].Merge(p.Bucket)
	}
	resp := &alarmspb.GetMetricStatisticsResponse{}
	for at, b := range byPeriod {
		resp.Datapoints = append(resp.Datapoints, &alarmspb.GetMetricStatisticsResponse_Datapoint{
			Timestamp: timestamppb.New(at), SampleCount: b.Count, Sum: b.Sum, Average: b.Sum / b.Count, Minimum: b.Min, Maximum: b.Max,
		})
	}
	sort.Slice(resp.GetDatapoints(), func(i, j int) bool {
		return resp.GetDatapoints()[i].GetTimestamp().AsTime().Before(resp.GetDatapoints()[j].GetTimestamp().AsTime())
	})
	return resp, nil
}
