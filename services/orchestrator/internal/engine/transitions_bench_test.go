package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const (
	benchServices = 512
	benchSpan     = 5 * time.Second
	benchClients  = 8
	benchBatch    = 256
	benchSteps    = 10
)

// BenchmarkTransitions is how many decisions a second become durable, with fsync on: of the engine, whose 512 services are in
// one canary of 10 steps of 1 ms after the other; of pgbench, which writes the same rows, 8 clients, one transition a transaction; and of a bare loop that
// writes them in batches of 256. The rows are copies of what the engine wrote, with as many events to each.
//
// Limits: 3 times pgbench, and 40 % of the bare loop.
func BenchmarkTransitions(b *testing.B) {
	pgbench := findPgbench(b)
	var engines, benches, loops []float64
	for b.Loop() {
		db := durable(b)
		engines = append(engines, engineTransitions(b, db))
		rows := sample(b, db)
		benches = append(benches, pgbenchTransitions(b, db, pgbench, rows.events))
		loops = append(loops, loopTransitions(b, db, rows))
	}
	for _, list := range [][]float64{engines, benches, loops} {
		slices.Sort(list)
	}
	middle := len(engines) / 2
	b.ReportMetric(engines[middle], "engine/s")
	b.ReportMetric(benches[middle], "pgbench/s")
	b.ReportMetric(loops[middle], "loop/s")
	b.ReportMetric(engines[middle]/benches[middle], "x-pgbench")
	b.ReportMetric(engines[middle]/loops[middle]*100, "%-of-loop")
	b.ReportMetric(0, "ns/op")
}

// durable is a database whose commits wait for the disk.
func durable(b *testing.B) *postgres.DB {
	b.Helper()
	dir, err := os.MkdirTemp("", "slipway-transitions-")
	must(b, err)
	must(b, os.Chmod(dir, 0o755))
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := postgresdev.Start(b.Context(), dir, slog.New(slog.DiscardHandler))
	must(b, err)
	b.Cleanup(func() { _ = server.Stop(context.WithoutCancel(b.Context())) })
	must(b, postgres.Migrate(b.Context(), server.URL(), "orchestrator", orchestrator.FS))
	db, err := postgres.Open(b.Context(), server.URL(), "orchestrator", slog.New(slog.DiscardHandler))
	must(b, err)
	b.Cleanup(db.Close)
	return db
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// engineTransitions lets an engine work on a canary in each service and returns how many generations it saved a second.
func engineTransitions(b *testing.B, db *postgres.DB) float64 {
	b.Helper()
	st := store.New(db)
	nobody, err := grpcclient.Dial(grpcclient.Config{Target: "127.0.0.1:1", Name: "nobody"}) // no service needs it
	must(b, err)
	defer nobody.Close()
	e := engine.New(engine.Config{
		Store: st, Runtime: runtimefake.New(), Traffic: trafficfake.New(), Health: healthcheckpb.NewTargetGroupServiceClient(nobody),
		Hooks: hookspb.NewHookServiceClient(nobody), Alarms: alarmspb.NewAlarmServiceClient(nobody), Containers: containers,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	config := rollout.DefaultConfig()
	config.MinimumHealthyTime = 0
	for i := range benchServices {
		createHeadless(b, st, fmt.Sprintf("s%d", i), config)
	}
	must(b, e.Start(b.Context()))
	defer e.Stop()
	waitFor(b, db, `SELECT NOT EXISTS (SELECT FROM services WHERE deployment IS NOT NULL)`)
	config.Strategy = rollout.Canary
	for i := range benchSteps {
		config.Steps = append(config.Steps, rollout.TrafficStep{Share: rollout.FullShare * (i + 1) / benchSteps, BakeTime: time.Millisecond})
	}
	begun := deployIdle(b, db, st, e, config)
	before, start := generations(b, db)-begun, time.Now()
	for time.Since(start) < benchSpan {
		begun += deployIdle(b, db, st, e, config)
		<-time.After(20 * time.Millisecond)
	}
	return float64(generations(b, db)-begun-before) / time.Since(start).Seconds()
}

// deployIdle begins a canary in each service that has none at work, all in one transaction, and returns how many.
func deployIdle(b *testing.B, db *postgres.DB, st *store.Store, e *engine.Engine, config rollout.Config) int64 {
	b.Helper()
	rows, err := db.Pool.Query(b.Context(), `SELECT name FROM services WHERE deployment IS NULL LIMIT $1`, benchBatch)
	must(b, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(b, err)
	var changes []store.Change
	for _, name := range names {
		row, err := st.ServiceGet(b.Context(), rollout.DefaultCluster, name)
		must(b, err)
		cmd, err := rollout.Deploy(row.State, rollout.DeployRequest{ID: fmt.Sprintf("%s-%d", name, row.State.Service.Generation), TaskDefinition: "web:1", Config: config}, time.Now())
		if err == nil {
			changes = append(changes, store.Change{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended})
		}
	}
	saved, err := st.Save(b.Context(), changes)
	must(b, err)
	for key := range saved {
		e.Wake(key)
	}
	return int64(len(saved))
}

func createHeadless(b *testing.B, st *store.Store, name string, config rollout.Config) {
	b.Helper()
	state := rollout.NewService(nil, rollout.DefaultCluster, name, rollout.Spec{TaskDefinition: "web:1", DesiredCount: 1, Config: config})
	state.Service.Generation++
	must(b, st.InTx(b.Context(), func(tx pgx.Tx) error {
		if err := st.ServiceInsert(b.Context(), tx, state.Service, []byte("spec"), time.Now()); err != nil {
			return err
		}
		return deployTx(b.Context(), st, tx, state, "first-"+name, config)
	}))
}

func deployTx(ctx context.Context, st *store.Store, tx pgx.Tx, state rollout.State, id string, config rollout.Config) error {
	cmd, err := rollout.Deploy(state, rollout.DeployRequest{ID: id, TaskDefinition: "web:1", Config: config}, time.Now())
	if err == nil {
		_, err = st.SaveTx(ctx, tx, []store.Change{{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended}})
	}
	return err
}

func generations(b *testing.B, db *postgres.DB) (sum int64) {
	b.Helper()
	must(b, db.Pool.QueryRow(b.Context(), `SELECT sum(generation)::bigint FROM services`).Scan(&sum))
	return sum
}

func waitFor(b *testing.B, db *postgres.DB, holds string) {
	b.Helper()
	for end, done := time.Now().Add(time.Minute), false; !done; {
		must(b, db.Pool.QueryRow(b.Context(), holds).Scan(&done))
		if time.Now().After(end) {
			b.Fatalf("never: %s", holds)
		}
		<-time.After(20 * time.Millisecond)
	}
}
