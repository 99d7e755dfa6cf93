// Package series gives the points that a metric alarm is judged by: samples in spans of time, made into statistics, and metric math
// over them. It knows which spans an alarm looks at and when. It is pure: no clock, no I/O; the engine and TestAlarm feed it alike.
package series

import (
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/expression"
)

// Source is where the data of a metric come from.
type Source string

// The sources.
const (
	Pushed     Source = "PUSHED"
	Prometheus Source = "PROMETHEUS"
	CloudWatch Source = "CLOUDWATCH"
)

// Metric is one metric of an alarm.
type Metric struct {
	ID              string // in metric math; empty for an alarm on one metric
	Namespace, Name string
	Dimensions      map[string]string
	Unit            string
	Statistic       string
	Source          Source
	Query           string // in the source's language, in place of the rest
	Field           string // where it stands in the alarm, for violations: "alarm." or "alarm.metrics[0].metric_stat."
}

// Key is the identity of the metric's pushed samples.
func (m Metric) Key() alarm.Metric { return alarm.MetricOf(m.Namespace, m.Name, m.Dimensions, m.Unit) }

// Definition is a metric alarm with what it is evaluated on.
type Definition struct {
	alarm.Definition

	Metrics []Metric
	Math    *expression.Set // nil for an alarm on one metric

	WallClock bool          // periods begin where the clock's do; otherwise they end at each evaluation
	Offset    time.Duration // how far that clock is ahead of UTC
	WarmUp    time.Duration // after its definition the alarm is not evaluated for so long
}

// Fetched reports whether some of the data come from a source that has to be asked.
func (d Definition) Fetched() bool {
	for _, m := range d.Metrics {
		if m.Source != Pushed {
			return true
		}
	}
	return false
}

// The time between two evaluations (CloudWatch: evaluating an alarm).
const (
	usual   = time.Minute
	fast    = 10 * time.Second // of periods of less than a minute
	hourly  = time.Hour        // of alarms that look at more than a day
	oblique = 5 * time.Minute  // of such alarms when their clock is not ahead by whole hours
	longest = 24 * time.Hour
)

// Step is the time from one evaluation to the next, and the span in which samples are gathered: a minute, 10 s for shorter periods (or
// the period, if that is shorter still) and an hour for an alarm that looks at more than a day.
func (d Definition) Step() time.Duration {
	switch {
	case time.Duration(d.EvaluationPeriods)*d.Period > longest && d.Offset%hourly != 0:
		return oblique
	case time.Duration(d.EvaluationPeriods)*d.Period > longest:
		return hourly
	case d.Period < usual:
		return min(d.Period, fast)
	}
	return usual
}

// End is where the newest whole period ends at a time.
func (d Definition) End(now time.Time) time.Time {
	if d.WallClock {
		return alarm.Align(now.Add(d.Offset), d.Period).Add(-d.Offset)
	}
	return alarm.Align(now, d.Step())
}

// NextEnd is where the period that follows End ends.
func (d Definition) NextEnd(now time.Time) time.Time {
	if d.WallClock {
		return d.End(now).Add(d.Period)
	}
	return d.End(now).Add(d.Step())
}

// Start is where the oldest period of the range begins whose newest ends at end.
func (d Definition) Start(end time.Time) time.Time {
	return end.Add(-time.Duration(d.Range()) * d.Period)
}
