package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func newAlarmsDescribe(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "describe NAME",
		Short:   "Show an alarm: its state, why, and when it goes to ALARM",
		Example: `  slipway alarms describe web-5xx`,
		Args:    exactly("NAME"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.describeAlarm(cmd, args[0]) },
	}
}

func (c *cli) describeAlarm(cmd *cobra.Command, name string) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	all, err := describeAlarms(ctx, a, []string{name})
	if err != nil {
		return err
	}
	if len(all.GetAlarms())+len(all.GetCompositeAlarms()) == 0 {
		return problem.New(problem.NotFound, "ALARM_NOT_FOUND", "there is no alarm %s", name)
	}
	return c.show(all, func() error {
		for _, alarm := range all.GetAlarms() {
			if err := c.lines(c.metricAlarm(alarm)); err != nil {
				return err
			}
		}
		for _, alarm := range all.GetCompositeAlarms() {
			if err := c.lines(c.compositeAlarm(alarm)); err != nil {
				return err
			}
		}
		return nil
	})
}

// lines writes pairs of a name and a text; those without a text are left out.
func (c *cli) lines(pairs [][2]string) error {
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.out, "%-14s  %s\n", p[0], words.Clean(p[1])); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) metricAlarm(a *alarmspb.MetricAlarm) [][2]string {
	n, m := a.GetEvaluationPeriods(), a.GetDatapointsToAlarm()
	if m == 0 {
		m = n
	}
	operator := map[alarmspb.MetricAlarm_ComparisonOperator]string{
		alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_OR_EQUAL_TO_THRESHOLD: ">=", alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD: ">",
		alarmspb.MetricAlarm_COMPARISON_OPERATOR_LESS_THAN_THRESHOLD: "<", alarmspb.MetricAlarm_COMPARISON_OPERATOR_LESS_THAN_OR_EQUAL_TO_THRESHOLD: "<=",
	}[a.GetComparisonOperator()]
	statistic, period := a.GetExtendedStatistic(), a.GetPeriod()
	if a.GetStatistic() != 0 {
		statistic = words.Enum(a.GetStatistic())
	}
	what := []string{strings.TrimSpace(statistic + " " + metricOf(a))}
	for _, d := range a.GetDimensions() {
		what = append(what, d.GetName()+"="+d.GetValue())
	}
	for _, q := range a.GetMetrics() {
		if stat := q.GetMetricStat(); stat != nil {
			period = stat.GetPeriod()
			what = append(what, fmt.Sprintf("%s: %s %s/%s", q.GetId(), stat.GetStat(), stat.GetNamespace(), stat.GetMetricName()))
		}
	}
	return [][2]string{
		{"alarm", a.GetName()},
		{"description", a.GetDescription()},
		{"state", words.Enum(a.GetState()) + " since " + words.Time(a.GetStateUpdateTime(), c.now(), c.now().Location())},
		{"reason", a.GetStateReason()},
		{"not evaluated", a.GetEvaluationStateReason()},
		{"watches", strings.Join(what, ", ")},
		{"in ALARM when", fmt.Sprintf("%d of %d periods of %s are %s %v", m, n, words.Length(period), operator, a.GetThreshold())},
		{"missing data", words.Enum(max(a.GetTreatMissingData(), alarmspb.MetricAlarm_TREAT_MISSING_DATA_MISSING))},
	}
}

func (c *cli) compositeAlarm(a *alarmspb.CompositeAlarm) [][2]string {
	return [][2]string{
		{"alarm", a.GetName()},
		{"description", a.GetDescription()},
		{"state", words.Enum(a.GetState()) + " since " + words.Time(a.GetStateUpdateTime(), c.now(), c.now().Location())},
		{"reason", a.GetStateReason()},
		{"not evaluated", a.GetEvaluationStateReason()},
		{"in ALARM when", a.GetAlarmRule()},
		{"suppressor", a.GetActionsSuppressor()},
		{"actions", a.GetActionsSuppressedReason()},
	}
}
