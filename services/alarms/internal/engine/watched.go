package engine

import (
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const maxEvaluations = time.Minute // an alarm is looked at this often at the least

// watched is an alarm in memory; Engine.mu guards it.
type watched struct {
	Alarm
	mine    bool             // this replica evaluates it
	seen    store.Snapshot   // with leases: the datapoints of others that are in buckets
	keys    []alarm.Metric   // of a metric alarm, by metric
	buckets []series.Buckets // likewise: the pushed samples of the evaluation range
	state   *fetching        // nil if all data are pushed
	due     time.Time
}

func newWatched(d Definition, stored store.Alarm) *watched {
	w := &watched{Alarm: Alarm{Definition: d, Stored: stored}}
	if d.Metric == nil {
		return w
	}
	for _, m := range d.Metric.Metrics {
		w.keys = append(w.keys, m.Key())
		w.buckets = append(w.buckets, series.Buckets{})
	}
	if d.Metric.Fetched() {
		w.state = &fetching{}
	}
	return w
}

// add takes samples of one of the alarm's metrics.
func (w *watched) add(p store.Datapoint) {
	d := w.Definition.Metric
	for i, key := range w.keys {
		if key == p.Metric && d.Metrics[i].Source == series.Pushed {
			w.buckets[i].Add(p.Time, d.Step(), d.Metrics[i].Statistic, p.Bucket)
		}
	}
}

// matters reports whether samples of a time may change the state now: those of periods that are over, or of the present one if it may
// count early. An alarm with a source of its own waits for its answer.
func (w *watched) matters(at, now time.Time) bool {
	d := w.Definition.Metric
	return w.state == nil && (d.Math == nil && d.Early() || at.Before(d.End(now)))
}

// next is when a metric alarm is evaluated again: at the end of the step, when the newest period is whole.
func (w *watched) next(now time.Time) time.Time {
	d := w.Definition.Metric
	if d == nil {
		return now.Add(maxEvaluations)
	}
	return alarm.Align(now, d.Step()).Add(d.Step())
}

// points is the evaluation range, oldest first. The present period is left out until it has ended, unless what came in
// already breaches and nothing more can undo that. Buckets are given up one period after they leave the range, for late data.
func (w *watched) points(now time.Time) ([]alarm.Point, error) {
	d := w.Definition.Metric
	end := d.End(now)
	if w.state != nil {
		end = w.state.end
	} else if w.early(d.NextEnd(now)) {
		end = d.NextEnd(now)
	}
	for _, b := range w.buckets {
		b.Forget(d.Start(end).Add(-d.Period))
	}
	return d.Points(end, func(metric int, from time.Time) series.Value {
		m := d.Metrics[metric]
		if m.Source == series.Pushed {
			return series.Of(w.buckets[metric].Between(from, from.Add(d.Period), d.Step()), m.Statistic)
		}
		if v, ok := w.state.values[metric][from.UTC()]; ok {
			return v
		}
		return series.Value{Missing: true}
	})
}

// early reports whether the period that ends at a time, which is not over yet, breaches already and can only breach more.
func (w *watched) early(end time.Time) bool {
	d := w.Definition.Metric
	if d.Math != nil || !d.Early() {
		return false
	}
	b := w.buckets[0].Between(end.Add(-d.Period), end, d.Step())
	if d.Statistic == alarm.Sum && b.Min < 0 {
		return false
	}
	v := series.Of(b, d.Statistic)
	return !v.Missing && d.Breaches(v.Value)
}
