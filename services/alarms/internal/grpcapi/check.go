package grpcapi

import (
	"fmt"
	"strings"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// nuls collects fields that hold a NUL: Postgres has no place for it, and package alarm separates with it.
type nuls []problem.Violation

func (n *nuls) check(field, value string) {
	if strings.ContainsRune(value, 0) {
		*n = append(*n, problem.Violation{Field: field, Rule: "must not contain the character U+0000"})
	}
}

func (n *nuls) dimensions(field string, list []*alarmspb.Dimension) {
	for i, d := range list {
		n.check(fmt.Sprintf("%s[%d].name", field, i), d.GetName())
		n.check(fmt.Sprintf("%s[%d].value", field, i), d.GetValue())
	}
}

func (n *nuls) err() error {
	if len(*n) == 0 {
		return nil
	}
	return problem.Violated(*n...)
}

func noNUL(field, value string) error {
	var n nuls
	n.check(field, value)
	return n.err()
}

// checkMetric checks a metric alarm: what it says, and that nothing in it is said twice or cannot be kept.
func checkMetric(pb *alarmspb.MetricAlarm, broken []alarm.Violation) error {
	var n nuls
	n.check("alarm.name", pb.GetName())
	n.check("alarm.description", pb.GetDescription())
	n.check("alarm.namespace", pb.GetNamespace())
	n.check("alarm.metric_name", pb.GetMetricName())
	n.check("alarm.unit", pb.GetUnit())
	n.dimensions("alarm.dimensions", pb.GetDimensions())
	for i, q := range pb.GetMetrics() {
		field := fmt.Sprintf("alarm.metrics[%d].metric_stat.", i)
		n.check(field+"namespace", q.GetMetricStat().GetNamespace())
		n.check(field+"metric_name", q.GetMetricStat().GetMetricName())
		n.check(field+"unit", q.GetMetricStat().GetUnit())
		n.dimensions(field+"dimensions", q.GetMetricStat().GetDimensions())
	}
	if pb.GetStatistic() != alarmspb.MetricAlarm_STATISTIC_UNSPECIFIED && pb.GetExtendedStatistic() != "" {
		n = append(n, problem.Violation{Field: "alarm.extended_statistic", Rule: "must not be set together with statistic"})
	}
	if len(dimensionsOf(pb.GetDimensions())) != len(pb.GetDimensions()) {
		n = append(n, problem.Violation{Field: "alarm.dimensions", Rule: "must not name a dimension twice"})
	}
	for _, v := range broken {
		n = append(n, problem.Violation(v))
	}
	return n.err()
}

func violated(broken []alarm.Violation) error {
	var n nuls
	for _, v := range broken {
		n = append(n, problem.Violation(v))
	}
	return n.err()
}
