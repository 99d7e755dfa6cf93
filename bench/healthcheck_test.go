package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/healthcheck/app"
)

const (
	checkedInterval = time.Second
	checkedFor      = 10 * time.Second // measured, when all are healthy
	targetServer    = "SLIPWAY_BENCH_TARGET_SERVER"
)

// BenchmarkHealthChecks checks targets each second against one local HTTP server, a process of its own, a connection
// for each check. It reports what the service did in ten seconds: checks/s, the p99 of how late checks began, and the CPU of
// this process (the service; Postgres and the server are others) for 1000 checks.
func BenchmarkHealthChecks(b *testing.B) {
	for _, targets := range []int{1000, 3000, 10_000} {
		b.Run(fmt.Sprint("targets=", targets), func(b *testing.B) { benchChecks(b, targets) })
	}
}

func benchChecks(b *testing.B, targets int) {
	address := startTargetServer(b)
	cfg := app.Default()
	cfg.Listen.Addr, cfg.MetricsAddr, cfg.DatabaseURL = "127.0.0.1:0", freeAddress(b), postgrestest.URL(b)
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler))
	check(b, err)
	check(b, a.Start(b.Context()))
	defer a.Stop(context.Background())
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	check(b, err)
	defer conn.Close()
	registerChecked(b, healthcheckpb.NewTargetGroupServiceClient(conn), address, targets)
	for b.Loop() {
		before := readMetrics(b, cfg.MetricsAddr)
		<-time.After(checkedFor) // the span that is measured
		after := readMetrics(b, cfg.MetricsAddr)
		checks := after.checks - before.checks
		b.ReportMetric(checks/after.at.Sub(before.at).Seconds(), "checks/s")
		b.ReportMetric(after.lateness(before, 0.99)*1000, "lateness-p99-ms")
		b.ReportMetric((after.cpu-before.cpu)*1000/checks*1000, "cpu-ms/1000checks")
		b.ReportMetric((after.overdue-before.overdue)/checks*100, "overdue-%")
	}
}

func registerChecked(b *testing.B, client healthcheckpb.TargetGroupServiceClient, address string, targets int) {
	b.Helper()
	_, err := client.CreateTargetGroup(b.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
		Name: "web", HealthCheck: &healthcheckpb.HealthCheck{Interval: durationpb.New(checkedInterval), Timeout: durationpb.New(checkedInterval)},
	}})
	check(b, err)
	for from := 0; from < targets; from += 1000 {
		req := &healthcheckpb.RegisterTargetsRequest{TargetGroup: "web"}
		for i := range 1000 {
			req.Targets = append(req.Targets, &healthcheckpb.Target{Id: fmt.Sprint("t", from+i), Address: address})
		}
		_, err := client.RegisterTargets(b.Context(), req)
		check(b, err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	stream, err := client.WatchTargetHealth(ctx, &healthcheckpb.WatchTargetHealthRequest{})
	check(b, err)
	for healthy := map[string]bool{}; len(healthy) < targets; {
		resp, err := stream.Recv()
		check(b, err)
		for _, h := range resp.GetTargets() {
			if h.GetState() == healthcheckpb.TargetHealth_STATE_HEALTHY {
				healthy[h.GetTarget().GetId()] = true
			} else {
				delete(healthy, h.GetTarget().GetId())
			}
		}
	}
}

// startTargetServer runs this test program as the server that is checked, so that its CPU is not the service's.
func startTargetServer(b *testing.B) string {
	b.Helper()
	program, err := os.Executable()
	check(b, err)
	server := exec.CommandContext(b.Context(), program, "-test.run", "^TestTargetServer$")
	server.Env = append(os.Environ(), targetServer+"=1")
	out, err := server.StdoutPipe()
	check(b, err)
	stdin, err := server.StdinPipe() // it ends with this
	check(b, err)
	check(b, server.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(b, err)
	return strings.TrimSpace(line)
}

// TestTargetServer is the server that BenchmarkHealthChecks starts.
func TestTargetServer(t *testing.T) {
	if os.Getenv(targetServer) == "" {
		t.Skip("runs as a part of BenchmarkHealthChecks")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// measured is what /metrics says.
type measured struct {
	at                   time.Time
	checks, cpu, overdue float64
	buckets              map[float64]float64 // upper bound in seconds -> checks so far that began at most so late
}

func readMetrics(b *testing.B, address string) measured {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	check(b, err)
	resp, err := http.DefaultClient.Do(req)
	check(b, err)
	defer resp.Body.Close()
	m := measured{at: time.Now(), buckets: map[float64]float64{}}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		switch {
		case strings.HasPrefix(name, "slipway_healthcheck_check_duration_seconds_count"):
			m.checks += value
		case strings.HasPrefix(name, "slipway_healthcheck_check_overdue_total"):
			m.overdue += value
		case name == "process_cpu_seconds_total":
			m.cpu = value
		case strings.HasPrefix(name, "slipway_healthcheck_check_lateness_seconds_bucket"):
			_, bound, _ := strings.Cut(name, `le="`)
			limit, err := strconv.ParseFloat(strings.TrimRight(bound, `"}`), 64)
			check(b, err)
			m.buckets[limit] += value
		}
	}
	check(b, lines.Err())
	return m
}

// lateness is the upper bound of the bucket that a quantile of the checks since before lies in, in seconds.
func (m measured) lateness(before measured, quantile float64) float64 {
	all := m.buckets[math.Inf(1)] - before.buckets[math.Inf(1)]
	found := math.Inf(1)
	for limit, count := range m.buckets {
		if count-before.buckets[limit] >= quantile*all {
			found = min(found, limit)
		}
	}
	return found
}
