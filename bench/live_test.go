package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// liveDeployments is how many deployments wait at a pause; SLIPWAY_BENCH_LIVE sets another number.
func liveDeployments() int {
	if n, err := strconv.Atoi(os.Getenv("SLIPWAY_BENCH_LIVE")); err == nil && n > 0 {
		return n
	}
	return 10_000
}

const (
	finished = 100_000
)

// paused is a canary that waits for a person at 10 %, and then goes to 100 % in four steps.
func paused() *configuration {
	c := fourSteps()
	c.StepsConfiguration.Steps[0].Pause = true
	return c
}

// Limits: 512 MB for the engine with 10,000 live deployments and 100,000 finished ones, and 100 ms (p99) from a traffic step in
// force to the next. The memory is that of the whole program, with all services, the tasks and the clients in it.
func BenchmarkLive(b *testing.B) {
	n := liveDeployments()
	f := newFleet(b)
	f.populate("web", n, paused())
	check(b, each(n, func(i int) error {
		_, err := f.deployments.CreateDeployment(b.Context(), &orchestratorpb.CreateDeploymentRequest{Service: fmt.Sprintf("web-%d", i)})
		return err
	}))
	f.waits(n)
	f.finish(finished)
	b.ResetTimer()
	var overhead []time.Duration
	for i := 0; b.Loop(); i = (i + 1) % n {
		overhead = append(overhead, f.resume(fmt.Sprintf("web-%d", i))...)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
	b.ReportMetric(float64(m.Sys)/1e6, "from-the-system-MB")
	report(b, "step-overhead", overhead)
}

// waits returns when so many deployments wait at a pause.
func (f *fleet) waits(n int) {
	f.b.Helper()
	f.until(`SELECT count(*) >= $1 FROM orchestrator.events WHERE name = 'HOOK_AWAITING_ACTION'`, n)
}

func (f *fleet) until(holds string, args ...any) {
	f.b.Helper()
	ctx, cancel := context.WithTimeout(f.b.Context(), 15*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, f.database)
	check(f.b, err)
	defer func() { _ = conn.Close(ctx) }()
	for done := false; !done; {
		check(f.b, conn.QueryRow(ctx, holds, args...).Scan(&done))
		if !done {
			<-time.After(200 * time.Millisecond)
		}
	}
}

// finish copies finished deployments until there are n.
func (f *fleet) finish(n int) {
	f.b.Helper()
	ctx, cancel := context.WithTimeout(f.b.Context(), 5*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, f.database)
	check(f.b, err)
	defer func() { _ = conn.Close(ctx) }()
	var columns string
	check(f.b, conn.QueryRow(ctx, `
SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
WHERE table_schema = 'orchestrator' AND table_name = 'deployments' AND column_name <> 'id' AND is_generated = 'NEVER'`).Scan(&columns))
	_, err = conn.Exec(ctx, fmt.Sprintf(`
INSERT INTO orchestrator.deployments (id, %[1]s)
SELECT 'd-copy-' || c.n || '-' || d.id, %[1]s FROM (SELECT id, %[1]s FROM orchestrator.deployments WHERE state = 'SUCCESSFUL' LIMIT 1000) d,
  generate_series(1, $1::int / 1000) AS c (n)`, columns), n)
	check(f.b, err)
}

// resume continues a deployment and returns the time from each traffic step in force to the next.
func (f *fleet) resume(service string) []time.Duration {
	f.b.Helper()
	list, err := f.deployments.ListDeployments(f.b.Context(), &orchestratorpb.ListDeploymentsRequest{Cluster: "default", Service: service, PageSize: 1})
	check(f.b, err)
	id := list.GetDeployments()[0].GetId()
	ctx, cancel := context.WithTimeout(f.b.Context(), time.Minute)
	defer cancel()
	stream, err := f.deployments.WatchDeployment(ctx, &orchestratorpb.WatchDeploymentRequest{Deployment: id})
	check(f.b, err)
	_, err = f.deployments.ContinueDeployment(ctx, &orchestratorpb.ContinueDeploymentRequest{Deployment: id})
	check(f.b, err)
	var last time.Time
	var took []time.Duration
	for {
		m, err := stream.Recv()
		check(f.b, err)
		for _, e := range m.GetEvents() {
			if e.GetName() != "TRAFFIC_SHIFTED" {
				continue
			}
			at := e.GetTime().AsTime()
			if !last.IsZero() && e.GetDetail()["step"] != "2" { // before the second it waited
				took = append(took, at.Sub(last))
			}
			last = at
		}
		if m.GetDeployment().GetFinishTime() != nil {
			return took
		}
	}
}
