package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

const (
	patience  = 20 * time.Second
	namespace = "AWS/ApplicationELB"
	metric    = "HTTPCode_Target_5XX_Count"
)

// service is a running alarms service and a client of it.
type service struct {
	alarmspb.AlarmServiceClient
	t    *testing.T
	app  *app.App
	stop func()
}

func start(t *testing.T, url string) *service {
	t.Helper()
	return startWith(t, url, func(*app.Config) {})
}

func startWith(t *testing.T, url string, change func(*app.Config)) *service {
	t.Helper()
	cfg := app.Default()
	cfg.Listen.Addr, cfg.DatabaseURL = "127.0.0.1:0", url
	change(&cfg)
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		_ = conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		a.Stop(ctx)
	}
	t.Cleanup(stop)
	return &service{AlarmServiceClient: alarmspb.NewAlarmServiceClient(conn), t: t, app: a, stop: stop}
}

func started(t *testing.T) *service {
	t.Helper()
	return start(t, postgrestest.URL(t))
}

// errors5xx is an alarm on any 5xx of a target group; its period is long, so that only data change its state.
func errors5xx(name string) *alarmspb.MetricAlarm {
	return &alarmspb.MetricAlarm{
		Name: name, Namespace: namespace, MetricName: metric, Dimensions: []*alarmspb.Dimension{{Name: "TargetGroup", Value: "web-b"}},
		Statistic: alarmspb.MetricAlarm_STATISTIC_SUM, Period: durationpb.New(time.Hour), EvaluationPeriods: 1, Threshold: 0,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		TreatMissingData:   alarmspb.MetricAlarm_TREAT_MISSING_DATA_NOT_BREACHING,
	}
}

func (s *service) put(a *alarmspb.MetricAlarm) *alarmspb.MetricAlarm {
	s.t.Helper()
	resp, err := s.PutMetricAlarm(s.t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: a})
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.GetAlarm()
}

func (s *service) push(value float64, requestID string) {
	s.t.Helper()
	_, err := s.PutMetricData(s.t.Context(), &alarmspb.PutMetricDataRequest{RequestId: requestID, Namespace: namespace, MetricData: []*alarmspb.MetricDatum{
		{MetricName: metric, Dimensions: errors5xx("").GetDimensions(), Value: &value},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// await watches an alarm until it is in the state, and returns it.
func (s *service) await(name string, state alarmspb.MetricAlarm_State) *alarmspb.MetricAlarm {
	s.t.Helper()
	return s.awaitAlarm(name, func(a *alarmspb.MetricAlarm) bool { return a.GetState() == state })
}

// awaitAlarm watches an alarm until it is as wanted, and returns it.
func (s *service) awaitAlarm(name string, is func(*alarmspb.MetricAlarm) bool) *alarmspb.MetricAlarm {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	stream, err := s.WatchAlarms(ctx, &alarmspb.WatchAlarmsRequest{AlarmNames: []string{name}})
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			s.t.Fatalf("%s did not become as wanted: %v", name, err)
		}
		for _, a := range resp.GetAlarms() {
			if is(a) {
				return a
			}
		}
	}
}

func (s *service) describe(req *alarmspb.DescribeAlarmsRequest) (names []string, next string) {
	s.t.Helper()
	resp, err := s.DescribeAlarms(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range resp.GetAlarms() {
		names = append(names, a.GetName())
	}
	return names, resp.GetNextPageToken()
}

func (s *service) history(name string) (summaries []string) {
	s.t.Helper()
	resp, err := s.DescribeAlarmHistory(s.t.Context(), &alarmspb.DescribeAlarmHistoryRequest{AlarmName: name})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, item := range resp.GetItems() {
		summaries = append(summaries, item.GetSummary())
	}
	return summaries
}

// wantInvalid checks that an error names the field and, when given, the rule.
func wantInvalid(t *testing.T, err error, field, rule string) {
	t.Helper()
	p := problem.As(err)
	if p == nil || p.Kind.Error() != problem.InvalidArgument.Error() {
		t.Errorf("%v, want %s of %s", err, codes.InvalidArgument, field)
		return
	}
	for _, v := range p.Violations {
		if v.Field == field && (rule == "" || v.Rule == rule) {
			return
		}
	}
	t.Errorf("%s %s: %s", field, rule, fmt.Sprint(p.Violations))
}
