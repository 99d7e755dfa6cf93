package metrics

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// The basic statistics, as CloudWatch spells them.
const (
	SampleCount = "SampleCount"
	Average     = "Average"
	Sum         = "Sum"
	Minimum     = "Minimum"
	Maximum     = "Maximum"
)

// Limits of a query.
const (
	// MaxDimensions is the most dimensions a metric has.
	MaxDimensions = 30
	// MaxNameLength is the most characters of a name, of a dimension's name and of a namespace.
	MaxNameLength = 255
	// MaxValueLength is the most characters of a dimension's value.
	MaxValueLength = 1024
	// MaxExprLength is the most characters of an expression.
	MaxExprLength = 10_240
)

const (
	number = `(\d+(\.\d{1,10})?)`
	bounds = `\(` + number + `?%?:` + number + `?%?\)`
)

var (
	percentile = regexp.MustCompile(`^p` + number + `$`)
	// statistics are those that are no percentile.
	statistics = regexp.MustCompile(`^(SampleCount|Average|Sum|Minimum|Maximum|IQM|(tm|tc|ts|wm)` + number + `|(PR|TM|TC|TS|WM)` + bounds + `)$`)
)

// Percentile returns the percentile that a statistic like "p99.9" asks for, from 0 to 100, and whether it is one.
func Percentile(statistic string) (float64, bool) {
	m := percentile.FindStringSubmatch(statistic)
	if m == nil {
		return 0, false
	}
	p, err := strconv.ParseFloat(m[1], 64)
	return p, err == nil && p <= 100
}

// Validate reports every broken rule of the query as one problem Invalid, with fields such as "metric_name", or nil.
func (q Query) Validate() error {
	var all []problem.Violation
	add := func(field, format string, args ...any) {
		all = append(all, problem.Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
	}
	switch {
	case q.Expr != "" && (q.MetricName != "" || q.Statistic != "" || len(q.Dimensions) > 0):
		add("expr", "is given in place of metric_name, dimensions and statistic, not with them")
	case len(q.Expr) > MaxExprLength:
		add("expr", "must have at most %d characters", MaxExprLength)
	case q.Expr == "":
		if q.MetricName == "" || len(q.MetricName) > MaxNameLength {
			add("metric_name", "must have 1 to %d characters", MaxNameLength)
		}
		if _, ok := Percentile(q.Statistic); !ok && !statistics.MatchString(q.Statistic) {
			add("statistic", "must be SampleCount, Average, Sum, Minimum, Maximum, p0 to p100, tm, tc, ts or wm with a number, IQM, "+
				"or PR, TM, TC, TS or WM with bounds like (10%%:90%%): not %q", q.Statistic)
		}
	}
	if len(q.Namespace) > MaxNameLength {
		add("namespace", "must have at most %d characters", MaxNameLength)
	}
	if len(q.Dimensions) > MaxDimensions {
		add("dimensions", "must be at most %d", MaxDimensions)
	}
	for name, value := range q.Dimensions {
		if name == "" || len(name) > MaxNameLength || value == "" || len(value) > MaxValueLength {
			add("dimensions", "must have names of 1 to %d and values of 1 to %d characters", MaxNameLength, MaxValueLength)
			break
		}
	}
	if q.Period < time.Second || q.Period%time.Second != 0 || q.Period > 7*24*time.Hour {
		add("period", "must be whole seconds, from 1 s to 7 days: not %s", q.Period)
	}
	if len(all) == 0 {
		return nil
	}
	return problem.Violated(all...)
}

// Periods returns how many periods of the query start before to, the first at from. It is for drivers: the problem is Invalid when
// the query breaks a rule, from is no whole second, or there are more than MaxPoints.
func (q Query) Periods(from, to time.Time) (int, error) {
	if err := q.Validate(); err != nil {
		return 0, err
	}
	if from.Nanosecond() != 0 {
		return 0, problem.Invalid("from", "must be a whole second")
	}
	if !to.After(from) {
		return 0, nil
	}
	count := (to.Sub(from) + q.Period - 1) / q.Period
	if count > MaxPoints {
		return 0, problem.Invalid("to", "must be at most %d periods after from, not %d", MaxPoints, count)
	}
	return int(count), nil
}
