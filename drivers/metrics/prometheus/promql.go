package prometheus

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/platform/problem"
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// promQL is the query in PromQL.
func promQL(q metrics.Query) (string, error) {
	if q.Expr != "" {
		return q.Expr, nil
	}
	for name := range q.Dimensions {
		if !labelName.MatchString(name) || strings.HasPrefix(name, "__") {
			return "", problem.Invalid("dimensions", "must have names that are Prometheus labels (letters, digits and underscores): not %q", name)
		}
	}
	x := selector(q)
	switch q.Statistic {
	case metrics.SampleCount:
		return samplesOf(q), nil
	case metrics.Average:
		return fmt.Sprintf("sum(sum_over_time(%s)) / sum(count_over_time(%s))", x, x), nil
	case metrics.Sum:
		return fmt.Sprintf("sum(sum_over_time(%s))", x), nil
	case metrics.Minimum:
		return fmt.Sprintf("min(min_over_time(%s))", x), nil
	case metrics.Maximum:
		return fmt.Sprintf("max(max_over_time(%s))", x), nil
	}
	if p, ok := metrics.Percentile(q.Statistic); ok {
		return fmt.Sprintf("quantile_over_time(%s, %s)", strconv.FormatFloat(p/100, 'f', -1, 64), x), nil
	}
	return "", problem.Invalid("statistic", "must be SampleCount, Average, Sum, Minimum, Maximum or a percentile with Prometheus, not %s: "+
		"write PromQL for others", q.Statistic)
}

func samplesOf(q metrics.Query) string { return fmt.Sprintf("sum(count_over_time(%s))", selector(q)) }

// selector is the samples of the metric in one period. The name is a matcher, so that it may have any characters.
func selector(q metrics.Query) string {
	matchers := []string{"__name__=" + strconv.Quote(q.MetricName)}
	for _, name := range slices.Sorted(maps.Keys(q.Dimensions)) {
		matchers = append(matchers, name+"="+strconv.Quote(q.Dimensions[name]))
	}
	return fmt.Sprintf("{%s}[%ds]", strings.Join(matchers, ","), int64(q.Period.Seconds()))
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
