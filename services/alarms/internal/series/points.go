package series

import (
	"fmt"
	"math"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/expression"
)

// Value is the statistic of a metric in a span of time; Missing if there is none.
type Value struct {
	Value, Samples float64
	Missing        bool
}

// Points are the periods of the evaluation range whose newest ends at end, oldest first. read returns the statistic of the metric with
// the index in the period from a time on.
func (d Definition) Points(end time.Time, read func(metric int, from time.Time) Value) ([]alarm.Point, error) {
	points := make([]alarm.Point, d.Range())
	start := d.Start(end)
	for i := range points {
		points[i].Time = start.Add(time.Duration(i) * d.Period)
	}
	if d.Math == nil {
		for i := range points {
			v := read(0, points[i].Time)
			points[i].Value, points[i].Samples, points[i].Missing = v.Value, v.Samples, v.Missing
		}
		return points, nil
	}
	grid := expression.Grid{Start: start, Period: d.Period, Count: len(points)}
	inputs := make(map[string]expression.Series, len(d.Metrics))
	for m, metric := range d.Metrics {
		series := grid.Empty()
		for i := range points {
			if v := read(m, points[i].Time); !v.Missing {
				series[i] = v.Value
			}
		}
		inputs[metric.ID] = series
	}
	result, err := d.Math.Eval(grid, inputs)
	if err != nil {
		return nil, fmt.Errorf("compute %s: %w", d.Math.Returns(), err)
	}
	for i := range points {
		points[i].Value, points[i].Missing = result[i], expression.IsMissing(result[i])
		if points[i].Missing || math.IsInf(points[i].Value, 0) {
			points[i].Value, points[i].Missing = 0, true
		}
	}
	return points, nil
}

// Buckets is the samples of one metric, gathered in spans of time by their starts.
type Buckets map[time.Time]*alarm.Bucket

// Add adds samples of a time, gathered in spans of step. A statistic that does not need every single sample lets go of them.
func (b Buckets) Add(at time.Time, step time.Duration, statistic string, samples alarm.Bucket) {
	if !alarm.Extended(statistic) {
		samples.Values = nil // a busy metric has many
	}
	at = alarm.Align(at, step)
	if b[at] == nil {
		b[at] = &alarm.Bucket{}
	}
	b[at].Merge(samples)
}

// Between is the samples from a time up to another. Both are on the borders of steps.
func (b Buckets) Between(from, to time.Time, step time.Duration) alarm.Bucket {
	if to.Sub(from) == step {
		if one := b[from]; one != nil {
			return *one
		}
		return alarm.Bucket{}
	}
	var all alarm.Bucket
	for at := from; at.Before(to); at = at.Add(step) {
		if one := b[at]; one != nil {
			all.Merge(*one)
		}
	}
	return all
}

// Forget gives up samples from before a time.
func (b Buckets) Forget(before time.Time) {
	for at := range b {
		if at.Before(before) {
			delete(b, at)
		}
	}
}

// Of is the statistic of samples.
func Of(samples alarm.Bucket, statistic string) Value {
	value, ok := samples.Statistic(alarm.Definition{Statistic: statistic})
	if !ok || math.IsNaN(value) || math.IsInf(value, 0) {
		return Value{Missing: true}
	}
	return Value{Value: value, Samples: samples.Count}
}
