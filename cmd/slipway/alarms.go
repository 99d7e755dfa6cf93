package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

func newAlarms(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alarms",
		Short: "List alarms, describe or test them, set one for a drill, show what happened to one",
		Example: `  slipway alarms
  slipway alarms describe web-5xx
  slipway alarms set web-5xx ALARM --reason drill
  slipway alarms history web-5xx
  slipway alarms test alarms.test.yaml`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listAlarms(cmd) },
	}
	cmd.AddCommand(newAlarmsList(c), newAlarmsDescribe(c), newAlarmsSet(c), newAlarmsHistory(c), newAlarmsTest(c))
	return cmd
}

func newAlarmsList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List alarms", Example: "  slipway alarms list", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listAlarms(cmd) },
	}
}

func (c *cli) listAlarms(cmd *cobra.Command) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	all, err := describeAlarms(ctx, a, nil)
	if err != nil {
		return err
	}
	return c.show(all, func() error {
		t := table.New("ALARM", "STATE", "SINCE", "METRIC", "REASON")
		for _, alarm := range all.GetAlarms() {
			t.Row(alarm.GetName(), words.Enum(alarm.GetState()), words.Time(alarm.GetStateUpdateTime(), c.now(), c.now().Location()),
				metricOf(alarm), reasonOf(alarm.GetStateReason(), alarm.GetEvaluationStateReason()))
		}
		for _, alarm := range all.GetCompositeAlarms() {
			t.Row(alarm.GetName(), words.Enum(alarm.GetState()), words.Time(alarm.GetStateUpdateTime(), c.now(), c.now().Location()),
				alarm.GetAlarmRule(), reasonOf(alarm.GetStateReason(), alarm.GetEvaluationStateReason()))
		}
		return t.Write(c.out)
	})
}

// describeAlarms returns alarms of both kinds, by name; without names all.
func describeAlarms(ctx context.Context, a *api, names []string) (*alarmspb.DescribeAlarmsResponse, error) {
	all := &alarmspb.DescribeAlarmsResponse{}
	list, err := pages(0, func(token string) ([]*alarmspb.MetricAlarm, string, error) {
		r, err := a.alarms.DescribeAlarms(ctx, &alarmspb.DescribeAlarmsRequest{AlarmNames: names, PageSize: 100, PageToken: token})
		all.CompositeAlarms = append(all.CompositeAlarms, r.GetCompositeAlarms()...)
		return r.GetAlarms(), r.GetNextPageToken(), err
	})
	all.Alarms = list
	return all, err
}

// metricOf is what an alarm watches, in short.
func metricOf(a *alarmspb.MetricAlarm) string {
	for _, q := range a.GetMetrics() {
		if q.GetReturnData() && q.GetExpression() != "" {
			return q.GetExpression()
		}
	}
	if query := a.GetSource().GetQuery(); query != "" {
		return query
	}
	return a.GetNamespace() + "/" + a.GetMetricName()
}

// reasonOf is why an alarm is in its state, and what keeps it from being evaluated.
func reasonOf(reason, trouble string) string {
	if trouble == "" {
		return reason
	}
	return "NOT EVALUATED: " + trouble
}

func newAlarmsSet(c *cli) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "set NAME STATE",
		Short:   "Set an alarm to OK, ALARM or INSUFFICIENT_DATA until its next evaluation",
		Example: `  slipway alarms set web-5xx ALARM --reason drill`,
		Args:    exactly("NAME", "STATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "STATE_" + strings.ReplaceAll(strings.ToUpper(args[1]), "-", "_")
			state, ok := alarmspb.MetricAlarm_State_value[name]
			if !ok || state == 0 {
				return usagef(cmd, "STATE is OK, ALARM or INSUFFICIENT_DATA, not %q", args[1])
			}
			a, err := c.connect()
			if err != nil {
				return err
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			r, err := a.alarms.SetAlarmState(ctx, &alarmspb.SetAlarmStateRequest{
				RequestId: requestID(), AlarmName: args[0], State: alarmspb.MetricAlarm_State(state), StateReason: reason,
			})
			if err != nil {
				return err
			}
			return c.show(r, func() error {
				name, state := words.Clean(args[0]), words.Enum(alarmspb.MetricAlarm_State(state))
				_, err := fmt.Fprintf(c.out, "alarm %s is %s until its next evaluation\n", name, state)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "set by hand", "why, for the record")
	return cmd
}

func newAlarmsHistory(c *cli) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "history [NAME]",
		Short:   "Show what happened to an alarm, or to all, newest first",
		Example: `  slipway alarms history web-5xx`,
		Args:    atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			return c.alarmHistory(cmd, strings.Join(args, ""), limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many items to list")
	return cmd
}

func (c *cli) alarmHistory(cmd *cobra.Command, name string, limit int) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	items, err := pages(limit, func(token string) ([]*alarmspb.AlarmHistoryItem, string, error) {
		r, err := a.alarms.DescribeAlarmHistory(ctx, &alarmspb.DescribeAlarmHistoryRequest{
			AlarmName: name, PageSize: int32(min(limit, 100)), PageToken: token,
		})
		return r.GetItems(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return c.show(&alarmspb.DescribeAlarmHistoryResponse{Items: items}, func() error {
		t := table.New("TIME", "ALARM", "TYPE", "WHAT HAPPENED")
		for _, item := range items {
			t.Row(c.clock(item.GetTime().AsTime()), item.GetAlarmName(), words.Enum(item.GetType()), item.GetSummary())
		}
		return t.Write(c.out)
	})
}
