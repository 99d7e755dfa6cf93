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

func check(req *alarmspb.PutMetricAlarmRequest, d alarm.Definition) error {
	pb := req.GetAlarm()
	var broken nuls
	broken.check("request_id", req.GetRequestId())
	broken.check("alarm.name", pb.GetName())
	broken.check("alarm.description", pb.GetDescription())
	broken.check("alarm.namespace", pb.GetNamespace())
	broken.check("alarm.metric_name", pb.GetMetricName())
	broken.check("alarm.unit", pb.GetUnit())
	broken.dimensions("alarm.dimensions", pb.GetDimensions())
	for _, v := range d.Validate() {
		broken = append(broken, problem.Violation(v))
	}
	if pb.GetStatistic() != alarmspb.MetricAlarm_STATISTIC_UNSPECIFIED && pb.GetExtendedStatistic() != "" {
		broken = append(broken, problem.Violation{Field: "alarm.extended_statistic", Rule: "must not be set together with statistic"})
	}
	if len(d.Dimensions) != len(pb.GetDimensions()) {
		broken = append(broken, problem.Violation{Field: "alarm.dimensions", Rule: "must not name a dimension twice"})
	}
	return broken.err()
}
