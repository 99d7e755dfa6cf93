package grpcapi

import (
	"errors"
	"fmt"
	"strings"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/expression"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
)

// dynamoDB is the namespace whose missing data are always ignored (CloudWatch: treating missing data).
const dynamoDB = "AWS/DynamoDB"

// definitionOf reads a metric alarm and returns every rule that it breaks. Without violations the definition is whole.
func definitionOf(pb *alarmspb.MetricAlarm) (series.Definition, []alarm.Violation) {
	d := series.Definition{
		Definition: alarm.Definition{
			Name: pb.GetName(), Namespace: pb.GetNamespace(), Metric: pb.GetMetricName(), Dimensions: dimensionsOf(pb.GetDimensions()),
			Unit: pb.GetUnit(), Statistic: statisticOf(pb), Period: pb.GetPeriod().AsDuration(), EvaluationPeriods: int(pb.GetEvaluationPeriods()),
			DatapointsToAlarm: int(pb.GetDatapointsToAlarm()), Explicit: pb.GetDatapointsToAlarm() > 0, Threshold: pb.GetThreshold(),
			Comparison:       alarm.Comparison(strings.TrimPrefix(pb.GetComparisonOperator().String(), "COMPARISON_OPERATOR_")),
			Missing:          alarm.AsMissing,
			IgnoreLowSamples: pb.GetEvaluateLowSampleCountPercentile() == alarmspb.MetricAlarm_EVALUATE_LOW_SAMPLE_COUNT_PERCENTILE_IGNORE,
		},
		WallClock: pb.GetEvaluationWindow().GetType() == alarmspb.EvaluationWindow_TYPE_WALL_CLOCK,
		Offset:    pb.GetEvaluationWindow().GetUtcOffset().AsDuration(), WarmUp: pb.GetWarmUp().AsDuration(),
	}
	if d.DatapointsToAlarm == 0 {
		d.DatapointsToAlarm = d.EvaluationPeriods
	}
	if m := pb.GetTreatMissingData(); m != alarmspb.MetricAlarm_TREAT_MISSING_DATA_UNSPECIFIED {
		d.Missing = alarm.Missing(strings.TrimPrefix(m.String(), "TREAT_MISSING_DATA_"))
	}
	var broken []alarm.Violation
	if len(pb.GetMetrics()) > 0 {
		broken = mathOf(&d, pb)
	} else {
		d.Metrics = []series.Metric{{
			Namespace: d.Namespace, Name: d.Metric, Dimensions: d.Dimensions, Unit: d.Unit, Statistic: d.Statistic,
			Source: sourceOf(pb.GetSource()), Query: pb.GetSource().GetQuery(), Field: "alarm.",
		}}
		d.Computed = pb.GetSource().GetQuery() != ""
		if pb.GetPeriod() == nil {
			broken = append(broken, alarm.Violation{Field: "alarm.period", Rule: "is needed"})
		}
	}
	for _, m := range d.Metrics {
		if m.Namespace == dynamoDB {
			d.Missing = alarm.Ignore
		}
	}
	for _, v := range d.Validate() {
		if v.Field == "alarm.period" && len(pb.GetMetrics()) > 0 {
			v.Field = "alarm.metrics" // the period stands there
		}
		broken = append(broken, v)
	}
	return d, broken
}

// mathOf reads the queries of metric math.
func mathOf(d *series.Definition, pb *alarmspb.MetricAlarm) []alarm.Violation {
	var broken []alarm.Violation
	add := func(field, format string, args ...any) {
		broken = append(broken, alarm.Violation{Field: "alarm." + field, Rule: fmt.Sprintf(format, args...)})
	}
	if pb.GetNamespace() != "" || pb.GetMetricName() != "" || len(pb.GetDimensions()) > 0 || pb.GetUnit() != "" || d.Statistic != "" ||
		pb.GetPeriod() != nil || pb.GetSource() != nil {
		add("metrics", "is given in place of namespace, metric_name, dimensions, unit, the statistic, period and source, not with them")
	}
	d.Computed = true
	var queries []expression.Query
	for i, q := range pb.GetMetrics() {
		field := fmt.Sprintf("metrics[%d]", i)
		queries = append(queries, expression.Query{ID: q.GetId(), Expression: q.GetExpression(), ReturnData: q.GetReturnData()})
		stat := q.GetMetricStat()
		if (stat == nil) == (q.GetExpression() == "") {
			add(field, "has either metric_stat or expression")
			continue
		}
		if stat == nil {
			continue
		}
		period := stat.GetPeriod().AsDuration()
		if d.Period != 0 && period != d.Period {
			add(field+".metric_stat.period", "must be the same in every metric of the alarm: %s", d.Period)
		}
		d.Period = period
		if len(dimensionsOf(stat.GetDimensions())) != len(stat.GetDimensions()) {
			add(field+".metric_stat.dimensions", "must not name a dimension twice")
		}
		d.Metrics = append(d.Metrics, series.Metric{
			ID: q.GetId(), Namespace: stat.GetNamespace(), Name: stat.GetMetricName(), Dimensions: dimensionsOf(stat.GetDimensions()),
			Unit: stat.GetUnit(), Statistic: stat.GetStat(), Source: sourceOf(stat.GetSource()), Query: stat.GetSource().GetQuery(),
			Field: "alarm." + field + ".metric_stat.",
		})
	}
	if len(d.Metrics) == 0 {
		add("metrics", "needs a metric_stat at least")
	}
	set, err := expression.NewSet(queries)
	d.Math = set
	if err != nil {
		d.Math = nil
		broken = append(broken, mathViolations(pb, err)...)
	}
	return broken
}

// mathViolations are the errors of an expression.Set by field.
func mathViolations(pb *alarmspb.MetricAlarm, err error) []alarm.Violation {
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	var broken []alarm.Violation
	for _, err := range errs {
		field := "alarm.metrics"
		if e, ok := errors.AsType[*expression.Error](err); ok {
			for i, q := range pb.GetMetrics() {
				if q.GetId() == e.ID && e.ID != "" {
					field = fmt.Sprintf("alarm.metrics[%d]", i)
					if q.GetExpression() != "" {
						field += ".expression"
					}
				}
			}
		}
		broken = append(broken, alarm.Violation{Field: field, Rule: err.Error()})
	}
	return broken
}

func statisticOf(pb *alarmspb.MetricAlarm) string {
	switch pb.GetStatistic() {
	case alarmspb.MetricAlarm_STATISTIC_SAMPLE_COUNT:
		return alarm.SampleCount
	case alarmspb.MetricAlarm_STATISTIC_AVERAGE:
		return alarm.Average
	case alarmspb.MetricAlarm_STATISTIC_SUM:
		return alarm.Sum
	case alarmspb.MetricAlarm_STATISTIC_MINIMUM:
		return alarm.Minimum
	case alarmspb.MetricAlarm_STATISTIC_MAXIMUM:
		return alarm.Maximum
	}
	return pb.GetExtendedStatistic()
}

func sourceOf(pb *alarmspb.MetricSource) series.Source {
	switch pb.GetType() {
	case alarmspb.MetricSource_TYPE_PROMETHEUS:
		return series.Prometheus
	case alarmspb.MetricSource_TYPE_CLOUDWATCH:
		return series.CloudWatch
	}
	return series.Pushed
}
