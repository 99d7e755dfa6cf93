package app_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

const (
	ok    = alarmspb.MetricAlarm_STATE_OK
	alarm = alarmspb.MetricAlarm_STATE_ALARM
)

func TestErrorsRaiseAnAlarmThatARestartKeeps(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	s := start(t, url)
	s.put(errors5xx("web-5xx"))
	s.await("web-5xx", ok)
	s.push(2, "")
	raised := s.await("web-5xx", alarm)
	if !strings.HasPrefix(raised.GetStateReason(), "Threshold Crossed: 1 datapoint [2.0 (") {
		t.Error(raised.GetStateReason())
	}
	s.push(3, "")
	s.stop()

	s = start(t, url)
	kept := s.await("web-5xx", alarm)
	if kept.GetStateReason() != raised.GetStateReason() || !kept.GetStateUpdateTime().AsTime().Equal(raised.GetStateUpdateTime().AsTime().Truncate(time.Microsecond)) {
		t.Errorf("kept %v, want %v", kept, raised)
	}
	want := []string{"Alarm updated from OK to ALARM", "Alarm updated from INSUFFICIENT_DATA to OK", `Alarm "web-5xx" created`}
	if got := s.history("web-5xx"); !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	if got := s.sum(); got != 5 {
		t.Errorf("a sum of %v was kept, want 5", got)
	}
}

// sum is what is saved of the metric in the last hours.
func (s *service) sum() float64 {
	s.t.Helper()
	now := time.Now()
	resp, err := s.GetMetricStatistics(s.t.Context(), &alarmspb.GetMetricStatisticsRequest{
		Namespace: namespace, MetricName: metric, Dimensions: errors5xx("").GetDimensions(), Period: durationpb.New(time.Minute),
		StartTime: timestamppb.New(now.Add(-time.Hour)), EndTime: timestamppb.New(now.Add(time.Hour)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	total := 0.0
	for _, d := range resp.GetDatapoints() {
		total += d.GetSum()
	}
	return total
}

func TestAPushThatIsSentAgainCountsOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	s := start(t, url)
	s.push(1, "r")
	s.push(1, "r")
	s.push(1, "other")
	s.stop() // saves
	if got := start(t, url).sum(); got != 2 {
		t.Errorf("a sum of %v, want 2", got)
	}
}

func TestAlarmsWithAndWithoutAUnitSeeASampleWithOne(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.put(errors5xx("any"))
	for _, unit := range []string{"Count", "Bytes"} {
		a := errors5xx(unit)
		a.Unit = unit
		s.put(a)
	}
	value := 1.0
	_, err := s.PutMetricData(t.Context(), &alarmspb.PutMetricDataRequest{Namespace: namespace, MetricData: []*alarmspb.MetricDatum{
		{MetricName: metric, Dimensions: errors5xx("").GetDimensions(), Value: &value, Unit: "Count"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.await("any", alarm)
	s.await("Count", alarm)
	s.await("Bytes", ok)
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	cfg := app.Default()
	cfg.Listen.Addr, cfg.MetricsAddr, cfg.DatabaseURL = "127.0.0.1:0", address, postgrestest.URL(t)
	if _, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("a taken address: %v", err)
	}
	_ = l.Close()
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `service_name="slipway-alarms"`) {
		t.Errorf("%s, %v", body, err)
	}
}
