package bench

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
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
)

// BenchmarkHealthChecks checks targets each second, which are addresses of one cheap server, a process of its own: HAProxy by itself,
// and the service over kept connections and over one for each check. It reports, of ten seconds, the checks that reached the server,
// the CPU of a check in user and kernel mode, and of the service the p99 of how late checks began. The CPU is that of HAProxy's
// process, and of this one, in which the service runs; PostgreSQL and the server are others.
//
// Limit: 5,000 targets over kept connections not above HAProxy, and 10,000 steady: all checks made, none late by a tenth of a second.
func BenchmarkHealthChecks(b *testing.B) {
	b.Run("HAProxy/targets=5000", func(b *testing.B) { benchHAProxyChecks(b, 5000) })
	for _, n := range []int{1000, 5000, 10_000} {
		b.Run(fmt.Sprintf("slipway/kept=true/targets=%d", n), func(b *testing.B) { benchChecks(b, n, true) })
	}
	for _, n := range []int{1000, 5000} { // 10,000 connections a second soon fill the table of a kernel that tracks them
		b.Run(fmt.Sprintf("slipway/kept=false/targets=%d", n), func(b *testing.B) { benchChecks(b, n, false) })
	}
}

func benchChecks(b *testing.B, n int, kept bool) {
	server := startTargets(b)
	cfg := app.Default()
	cfg.Listen.Addr, cfg.MetricsAddr, cfg.DatabaseURL = "127.0.0.1:0", freeAddress(b), postgrestest.URL(b)
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler))
	check(b, err)
	check(b, a.Start(b.Context()))
	defer a.Stop(context.Background())
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	check(b, err)
	defer conn.Close()
	registerChecked(b, healthcheckpb.NewTargetGroupServiceClient(conn), server, n, kept)
	for b.Loop() {
		before := readMetrics(b, cfg.MetricsAddr)
		reportChecks(b, server, func() time.Duration { return processCPU(b) })
		after := readMetrics(b, cfg.MetricsAddr)
		b.ReportMetric(after.lateness(before, 0.99)*1000, "lateness-p99-ms")
		b.ReportMetric((after.overdue-before.overdue)/(after.checks-before.checks)*100, "overdue-%")
		b.ReportMetric(after.failed-before.failed, "failed")
	}
}

// benchHAProxyChecks lets HAProxy do the same. Its version 2.6 opens a connection for each check; it can do no other.
func benchHAProxyChecks(b *testing.B, n int) {
	server, address := startTargets(b), freeAddress(b)
	var config strings.Builder
	fmt.Fprintf(&config, `global
  maxconn 1000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend f
  bind %s
  default_backend b
backend b
  option httpchk
  http-check send meth GET uri / ver HTTP/1.1 hdr Host targets hdr User-Agent bench
  http-check expect status 200
  default-server inter 1s fall 2 rise 5
`, address)
	for i := range n {
		fmt.Fprintf(&config, "  server s%d %s check\n", i, server.address(i))
	}
	pid := startHAProxy(b, config.String(), address)
	for server.answered() < 6*float64(n) {
		<-time.After(100 * time.Millisecond) // until checks are what it is busy with
	}
	for b.Loop() {
		reportChecks(b, server, func() time.Duration { return cpuOf(b, pid) })
	}
}

func reportChecks(b *testing.B, server *targets, cpu func() time.Duration) {
	b.Helper()
	begin, answered, used := time.Now(), server.answered(), cpu()
	<-time.After(checkedFor) // the span that is measured
	span, checks := time.Since(begin), server.answered()-answered
	b.ReportMetric(checks/span.Seconds(), "checks/s")
	b.ReportMetric(float64((cpu()-used).Microseconds())/checks, "cpu-µs/check")
	b.ReportMetric(0, "ns/op")
}

func registerChecked(b *testing.B, client healthcheckpb.TargetGroupServiceClient, server *targets, n int, kept bool) {
	b.Helper()
	_, err := client.CreateTargetGroup(b.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
		Name: "web", HealthCheck: &healthcheckpb.HealthCheck{Interval: durationpb.New(checkedInterval), Timeout: durationpb.New(checkedInterval), KeepAlive: kept},
	}})
	check(b, err)
	for from := 0; from < n; from += 1000 {
		req := &healthcheckpb.RegisterTargetsRequest{TargetGroup: "web"}
		for i := range 1000 {
			req.Targets = append(req.Targets, &healthcheckpb.Target{Id: fmt.Sprint("t", from+i), Address: server.address(from + i)})
		}
		_, err := client.RegisterTargets(b.Context(), req)
		check(b, err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	stream, err := client.WatchTargetHealth(ctx, &healthcheckpb.WatchTargetHealthRequest{})
	check(b, err)
	for healthy := map[string]bool{}; len(healthy) < n; {
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

// measured is what /metrics says.
type measured struct {
	checks, failed, overdue float64
	buckets                 map[float64]float64 // upper bound in seconds -> checks so far that began at most so late
}

func readMetrics(b *testing.B, address string) measured {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	check(b, err)
	resp, err := http.DefaultClient.Do(req)
	check(b, err)
	defer resp.Body.Close()
	m := measured{buckets: map[float64]float64{}}
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
			if !strings.Contains(name, `result="passed"`) {
				m.failed += value
			}
		case strings.HasPrefix(name, "slipway_healthcheck_check_overdue_total"):
			m.overdue += value
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
