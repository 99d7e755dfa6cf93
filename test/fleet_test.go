package test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
	runtimeapp "github.com/slipway-deploy/slipway/services/runtime/app"
)

// replica is one of several orchestrators, as a program of its own.
type replica struct {
	*process
	name  string
	api   orchestratorpb.DeploymentServiceClient
	watch orchestratorpb.EventServiceClient
}

// fleet is a system with orchestrators that share the work, and services that are deployed on and on.
type fleet struct {
	t        *testing.T
	s        *stack.Stack
	db       *pgxpool.Pool
	runtime  *runtimeapp.App
	replicas []*replica
	names    []string // of the services

	mu   sync.Mutex
	away map[*replica]bool   // calls to it do not count
	made map[string][]string // deployments, by service
}

const fleetServices = 12

func newFleet(t *testing.T, replicas int) *fleet {
	t.Helper()
	f := noFleet(t)
	for i := range replicas {
		f.add(fmt.Sprintf("replica-%d", i+1), "")
	}
	return f
}

// noFleet is a fleet without orchestrators yet.
func noFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, s: startStack(t, stack.Config{NoOrchestrator: true}), away: map[*replica]bool{}, made: map[string][]string{}}
	cfg := runtimeapp.Default()
	cfg.Listen, cfg.RuntimeDir = grpcserver.Config{Addr: "127.0.0.1:0"}, f.s.RuntimeDir
	var err error
	if f.runtime, err = runtimeapp.New(t.Context(), cfg, logs(t)); err != nil {
		t.Fatal(err)
	}
	if err := f.runtime.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.runtime.Stop(context.Background()) })
	if f.db, err = pgxpool.New(t.Context(), f.s.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.db.Close)
	return f
}

// add starts one more orchestrator, which reaches Postgres at a URL; "" for the usual one.
func (f *fleet) add(name, url string) *replica {
	f.t.Helper()
	log, err := os.Create(folder(f.t) + "/" + name + ".log")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if text, err := os.ReadFile(log.Name()); err == nil && f.t.Failed() {
			f.t.Logf("the log of %s:\n%s", name, text[max(len(text)-20000, 0):])
		}
	})
	r := &replica{process: &process{t: f.t, s: f.s, address: freeAddress(f.t), log: log, url: url}, name: name}
	r.args = []string{"-runtime", "remote", "-runtime-remote-target", f.runtime.Addr(), "-replica", name}
	r.start()
	f.t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGCONT)
		r.kill()
	})
	conn, err := grpcclient.Dial(grpcclient.Config{Target: r.address, Name: name})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	r.api, r.watch = orchestratorpb.NewDeploymentServiceClient(conn), orchestratorpb.NewEventServiceClient(conn)
	f.replicas = append(f.replicas, r)
	return r
}

func one[T any](f *fleet, sql string, args ...any) T {
	f.t.Helper()
	rows, err := f.db.Query(f.t.Context(), sql, args...)
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// shared waits until every replica named holds its share of the shards and nobody else any.
func (f *fleet) shared(names ...string) {
	f.t.Helper()
	eventually(f.t, func() bool {
		return one[bool](f, `SELECT bool_and(holder = ANY ($1)) AND count(DISTINCT holder) = cardinality($1::text[]) FROM orchestrator.shard_leases`, names)
	})
}

// heldBy is the services of a replica.
func (f *fleet) heldBy(name string) []string {
	f.t.Helper()
	var held []string
	for _, service := range f.names {
		shard := lease.ShardOf("default/" + service)
		if one[string](f, `SELECT holder FROM orchestrator.shard_leases WHERE shard = $1`, shard) == name {
			held = append(held, service)
		}
	}
	return held
}

// deploy begins a service's next deployment at any replica that answers, and waits for its end.
func (f *fleet) deploy(ctx context.Context, service string, n int) {
	f.until(f.t.Context(), func() bool { // the first one, which came with the service, may be at work
		return one[bool](f, `SELECT deployment IS NULL FROM orchestrator.services WHERE name = $1`, service)
	})
	id := ""
	f.until(ctx, func() bool {
		n++
		r := f.replicas[n%len(f.replicas)]
		if f.isAway(r) {
			return false
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		got, err := r.api.CreateDeployment(bounded, &orchestratorpb.CreateDeploymentRequest{Service: service, RequestId: fmt.Sprintf("%s-%d", service, len(f.madeOf(service)))})
		if id = got.GetDeployment().GetId(); err != nil {
			f.t.Logf("%s at %s: %v", service, r.name, err)
		}
		return err == nil
	})
	if id == "" {
		return
	}
	f.mu.Lock()
	f.made[service] = append(f.made[service], id)
	f.mu.Unlock()
	f.until(f.t.Context(), func() bool {
		return one[bool](f, `SELECT finish_time IS NOT NULL FROM orchestrator.deployments WHERE id = $1`, id)
	})
}

func (f *fleet) madeOf(service string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made[service]
}

// until polls until a condition holds or ctx ends.
func (f *fleet) until(ctx context.Context, holds func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (f *fleet) isAway(r *replica) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away[r]
}

func (f *fleet) setAway(r *replica, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away[r] = away
}

// begin creates the services and deploys each on and on until the function that it returns is called, which waits for the last.
func (f *fleet) begin() func() {
	f.t.Helper()
	e := env(f.t, stack.Addresses{
		Orchestrator: f.replicas[0].address, Hooks: f.s.Addresses.Hooks, Healthcheck: f.s.Addresses.Healthcheck, Alarms: f.s.Addresses.Alarms,
	})
	_, err := e.TaskDefinitions.RegisterTaskDefinition(f.t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: &orchestratorpb.TaskDefinition{
		Family: "sleeper", ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "app", Command: []string{"sleep", "600"}, Essential: new(true), StopTimeout: durationpb.New(time.Second),
		}},
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range fleetServices {
		name := fmt.Sprintf("sleeper%d", i)
		_, err := e.Services.CreateService(f.t.Context(), &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
			Name: name, TaskDefinition: "sleeper:1", DesiredCount: 1,
			DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{MinimumHealthyTime: durationpb.New(300 * time.Millisecond)},
		}})
		if err != nil {
			f.t.Fatal(err)
		}
		f.names = append(f.names, name)
	}
	ctx, stop := context.WithCancel(f.t.Context())
	var loops sync.WaitGroup
	for i, name := range f.names {
		loops.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				f.deploy(ctx, name, n)
			}
		})
	}
	return func() { stop(); loops.Wait() }
}

// events is how many events services have, by service.
func (f *fleet) events(services []string) map[string]int64 {
	f.t.Helper()
	rows, err := f.db.Query(f.t.Context(), `SELECT service, count(*) FROM orchestrator.events WHERE service = ANY ($1) GROUP BY service`, services)
	if err != nil {
		f.t.Fatal(err)
	}
	counts := map[string]int64{}
	var service string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&service, &n}, func() error { counts[service] = n; return nil }); err != nil {
		f.t.Fatal(err)
	}
	return counts
}

// failsOver has a replica fail and returns how long it took until the first and the last of its services went on.
func (f *fleet) failsOver(r *replica, fail func()) (first, last time.Duration) {
	f.t.Helper()
	services := f.heldBy(r.name)
	if len(services) == 0 {
		f.t.Fatalf("%s has no service", r.name)
	}
	f.setAway(r, true)
	began := time.Now()
	fail()
	before := f.events(services)
	waiting := slices.Clone(services)
	eventually(f.t, func() bool {
		now := f.events(waiting)
		waiting = slices.DeleteFunc(waiting, func(service string) bool { return now[service] > before[service] })
		if first == 0 && len(waiting) < len(services) {
			first = time.Since(began)
		}
		return len(waiting) == 0
	})
	last = time.Since(began)
	return first, last
}

// check ends a test: every deployment is done, once, and what runs is what should.
func (f *fleet) check() {
	f.t.Helper()
	f.mu.Lock()
	made := slices.Concat(slices.Collect(maps.Values(f.made))...)
	f.mu.Unlock()
	if bad := one[int64](f, `SELECT count(*) FROM orchestrator.deployments WHERE state <> 'SUCCESSFUL'`); bad > 0 {
		f.t.Errorf("%d deployments did not succeed", bad)
	}
	if done := one[int64](f, `SELECT count(*) FROM orchestrator.deployments WHERE id = ANY ($1)`, made); done != int64(len(made)) {
		f.t.Errorf("%d of %d deployments are known", done, len(made))
	}
	if gaps := one[int64](f, `SELECT count(*) FROM (SELECT FROM orchestrator.events GROUP BY service, deployment HAVING max(sequence) <> count(*)) gaps`); gaps > 0 {
		f.t.Errorf("the events of %d deployments have a gap", gaps)
	}
	twice := one[int64](f, `SELECT count(*) FROM (SELECT FROM orchestrator.events WHERE name IN ('SERVICE_DEPLOYMENT_COMPLETED', 'SERVICE_DEPLOYMENT_IN_PROGRESS')
		GROUP BY deployment, name HAVING count(*) > 1) twice`)
	if twice > 0 {
		f.t.Errorf("%d deployments began or ended twice", twice)
	}
	conn, err := grpcclient.Dial(grpcclient.Config{Target: f.runtime.Addr(), Name: "runtime"})
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	eventually(f.t, func() bool {
		ctx, cancel := context.WithCancel(f.t.Context())
		defer cancel()
		stream, err := runtimepb.NewRuntimeServiceClient(conn).WatchTasks(ctx, &runtimepb.WatchTasksRequest{})
		if err != nil {
			return false
		}
		snapshot, err := stream.Recv()
		return err == nil && len(snapshot.GetTasks()) == fleetServices // each service's one task, and nothing else
	})
	f.t.Logf("%d deployments", len(made))
}
