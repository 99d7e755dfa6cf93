// Package metrics is the port between the alarms service and a store of metrics that others feed: what it must tell so that an
// alarm can watch a metric that nobody pushes to Slipway. It knows no alarm and no transport. A driver lives in a folder of its
// own beside this file and passes the suite of metricstest.
package metrics

import (
	"context"
	"time"
)

// MaxPoints is the most points that one call asks for: what an alarm with a period of 10 seconds looks back over in a day.
const MaxPoints = 12_000

// Source reads metrics. Its methods are safe for concurrent use, and give up at a deadline of their own if ctx has none.
type Source interface {
	// Statistics returns the statistic of the query's metric for every period that has data, of those that start at from, at
	// from plus a period and so on, before to: at most one point a period, the oldest first, each with a finite value. A metric
	// without data, or unknown to the source, gives no points and no error.
	//
	// A problem is Invalid when the query breaks a rule or the source cannot compute it, Unavailable when the source does not
	// answer, answers in part, refuses the credentials or limits the rate; its message is one sentence that says which source.
	Statistics(ctx context.Context, q Query, from, to time.Time) ([]Point, error)
}

// Query names a statistic of one metric, in CloudWatch's terms or as an expression in the source's own language.
type Query struct {
	// Namespace is CloudWatch's namespace. A source without namespaces does not look at it.
	Namespace string
	// MetricName is the name of the metric, at most 255 characters. Empty if there is an Expr.
	MetricName string
	// Dimensions are the dimensions (CloudWatch) or labels (Prometheus) of the metric, at most 30.
	Dimensions map[string]string
	// Unit is CloudWatch's unit; data with another unit is another metric. A source without units does not look at it.
	Unit string
	// Statistic is a statistic as CloudWatch spells it: SampleCount, Average, Sum, Minimum, Maximum, p99, p99.9, tm90, TM(10%:90%),
	// tc90, ts90, wm90, IQM, PR(:300) and the like. Empty if there is an Expr.
	Statistic string
	// Period is the length of a period: 1, 5, 10 or 30 s (CloudWatch), 20 s, or a multiple of 60 s.
	Period time.Duration
	// Expr is an expression in the language of the source, e.g. PromQL. It gives one series and stands in place of the metric.
	Expr string
}

// Point is the statistic of one period.
type Point struct {
	// Time is the start of the period.
	Time time.Time
	// Value is the statistic, a finite number.
	Value float64
	// SampleCount is how many samples the value is made of, or 0 if the source does not say. Sources say it for percentiles.
	SampleCount float64
}
