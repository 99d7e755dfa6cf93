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

// BenchmarkAlarms evaluates 1,000 alarms, each of a metric of its own that gets one sample a period, at periods of 10 s. It reports
// the CPU of this process (the service and the client that pushes; Postgres is another) for one evaluation. An alarm is evaluated
// at each sample and at each end of a period.
func BenchmarkAlarms(b *testing.B) {
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
		cpu, evaluations = processCPU(b)-cpu, readEvaluations(b, cfg.MetricsAddr)-evaluations
		b.ReportMetric(float64(cpu.Nanoseconds())/evaluations, "cpu-ns/evaluation")
		b.ReportMetric(evaluations/time.Since(begin).Seconds(), "evaluations/s")
		b.ReportMetric(cpu.Seconds()/time.Since(begin).Seconds()*100, "cpu-%")
	}
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
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	check(b, err)
	resp, err := http.DefaultClient.Do(req)
	check(b, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "slipway_alarms_evaluations_total") {
			value, err := strconv.ParseFloat(text, 64)
			check(b, err)
			return value
		}
	}
	check(b, lines.Err())
	b.Fatal("no slipway_alarms_evaluations_total in /metrics")
	return 0
}
