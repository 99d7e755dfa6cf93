package engine

import (
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

const maxEvaluations = time.Minute // an alarm is looked at this often at the least

// watched is an alarm in memory with the buckets of its evaluation range; Engine.mu guards it.
type watched struct {
	Alarm
	metric  alarm.Metric
	buckets map[time.Time]*alarm.Bucket // by period
	due     time.Time
}

func (w *watched) add(at time.Time, b alarm.Bucket) {
	if _, ok := w.Definition.Percentile(); !ok {
		b.Values = nil // percentiles alone need them; a busy metric has many
	}
	period := alarm.Align(at, w.Definition.Period)
	if w.buckets[period] == nil {
		w.buckets[period] = &alarm.Bucket{}
	}
	w.buckets[period].Merge(b)
}

// next is the end of the present period, when its statistic is whole; at least once a minute.
func (w *watched) next(now time.Time) time.Time {
	end := alarm.Align(now, w.Definition.Period).Add(w.Definition.Period)
	if limit := now.Add(maxEvaluations); end.After(limit) {
		return limit
	}
	return end
}

// points is the evaluation range, oldest first. The present period is left out until it has ended, unless what came in
// already breaches and nothing more can undo that. Buckets are given up one period after they leave the range, for the range
// begins a period later while the present period counts.
func (w *watched) points(now time.Time) []alarm.Point {
	d := w.Definition
	last := alarm.Align(now, d.Period)
	if b := w.buckets[last]; b == nil || !d.Early() || d.Statistic == alarm.Sum && b.Min < 0 || !breaches(d, *b) {
		last = last.Add(-d.Period)
	}
	first := last.Add(-time.Duration(d.Range()-1) * d.Period)
	for at := range w.buckets {
		if at.Before(first.Add(-d.Period)) {
			delete(w.buckets, at)
		}
	}
	points := make([]alarm.Point, 0, d.Range())
	for at := first; !at.After(last); at = at.Add(d.Period) {
		p := alarm.Point{Time: at, Missing: true}
		if b := w.buckets[at]; b != nil {
			if value, ok := b.Statistic(d); ok {
				p.Value, p.Samples, p.Missing = value, b.Count, false
			}
		}
		points = append(points, p)
	}
	return points
}

func breaches(d alarm.Definition, b alarm.Bucket) bool {
	value, ok := b.Statistic(d)
	return ok && d.Breaches(value)
}
