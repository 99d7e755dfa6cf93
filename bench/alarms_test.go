package bench

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

const (
	evaluatedAlarms = 1000
	evaluatedPeriod = 10 * time.Second
	evaluatedFor    = 30 * time.Second // measured: three ends of periods
)

// BenchmarkAlarms evaluates 1,000 alarms, each of a metric of its own that gets one sample a period, at periods of 10 s, and in the same
// run lets Prometheus evaluate 1,000 alerting rules on as many series as often. It reports the CPU that one alarm takes in a period: of
// this process (the service and the client that pushes; PostgreSQL is another), and of Prometheus with its scrape. An alarm is evaluated
// at each sample and at each end of a period.
//
// Limit: not above Prometheus.
func BenchmarkAlarms(b *testing.B) {
	b.Run("slipway", benchAlarms)
	b.Run("Prometheus", func(b *testing.B) {
		p := startPrometheus(b, evaluatedAlarms)
		for b.Loop() {
			cpu, evaluations := cpuOf(b, p.pid), p.evaluations(b)
			begin := time.Now()
			<-time.After(evaluatedFor) // the span that is measured
			reportAlarms(b, cpuOf(b, p.pid)-cpu, p.evaluations(b)-evaluations, time.Since(begin))
		}
	})
}

func benchAlarms(b *testing.B) {
	cfg := app.Default()
	cfg.Listen.Addr, cfg.MetricsAddr, cfg.DatabaseURL = "127.0.0.1:0", freeAddress(b), postgrestest.URL(b)
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler))
	check(b, err)
	defer a.Stop(context.Background())
	check(b, a.Start(b.Context()))
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	check(b, err)
	defer conn.Close()
	client := alarmspb.NewAlarmServiceClient(conn)
	for i := range evaluatedAlarms {
		putEvaluated(b, client, i)
	}
	for b.Loop() {
		cpu, evaluations := processCPU(b), readEvaluations(b, cfg.MetricsAddr)
		begin := time.Now()
		for time.Since(begin) < evaluatedFor {
			pushEvaluated(b, client)
			<-time.After(evaluatedPeriod) // the span that is measured
		}
		reportAlarms(b, processCPU(b)-cpu, readEvaluations(b, cfg.MetricsAddr)-evaluations, time.Since(begin))
	}
}

func reportAlarms(b *testing.B, cpu time.Duration, evaluations float64, span time.Duration) {
	b.Helper()
	periods := span.Seconds() / evaluatedPeriod.Seconds()
	b.ReportMetric(float64(cpu.Microseconds())/periods/evaluatedAlarms, "cpu-µs/alarm-period")
	b.ReportMetric(float64(cpu.Microseconds())/evaluations, "cpu-µs/evaluation")
	b.ReportMetric(evaluations/span.Seconds(), "evaluations/s")
	b.ReportMetric(0, "ns/op")
}

func putEvaluated(b *testing.B, client alarmspb.AlarmServiceClient, i int) {
	b.Helper()
	_, err := client.PutMetricAlarm(b.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: &alarmspb.MetricAlarm{
		Name: fmt.Sprint("a", i), Namespace: "bench", MetricName: fmt.Sprint("m", i), Statistic: alarmspb.MetricAlarm_STATISTIC_SUM,
		Period: durationpb.New(evaluatedPeriod), EvaluationPeriods: 3, DatapointsToAlarm: 2, Threshold: 1,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		TreatMissingData:   alarmspb.MetricAlarm_TREAT_MISSING_DATA_NOT_BREACHING,
	}})
	check(b, err)
}

func pushEvaluated(b *testing.B, client alarmspb.AlarmServiceClient) {
	b.Helper()
	req := &alarmspb.PutMetricDataRequest{Namespace: "bench"}
	for i := range evaluatedAlarms {
		value := 1.0
		req.MetricData = append(req.MetricData, &alarmspb.MetricDatum{MetricName: fmt.Sprint("m", i), Value: &value})
	}
	_, err := client.PutMetricData(b.Context(), req)
	check(b, err)
}

// processCPU is the CPU time of this process so far, in user and kernel mode.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func readEvaluations(b *testing.B, address string) float64 {
	b.Helper()
	return metricSum(b, address, "slipway_alarms_evaluations_total")
}

// metricSum adds up the series of a metric that /metrics has; 0 when nothing listens there.
func metricSum(b *testing.B, address, metric string) (sum float64) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	check(b, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if strings.HasPrefix(lines.Text(), metric) && at > 0 {
			value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
			check(b, err)
			sum += value
		}
	}
	check(b, lines.Err())
	return sum
}
