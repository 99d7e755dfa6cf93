package grpcapi_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/feed"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// env is the API on a real server and a real database. Its engine stands still unless work is called: what is at work
// changes when a test saves it.
type env struct {
	t       *testing.T
	db      *postgres.DB
	store   *store.Store
	engine  *engine.Engine
	runtime *runtimefake.Runtime
	health  *targetGroups
	clock   *clock
	conn    *grpc.ClientConn

	Clusters        orchestratorpb.ClusterServiceClient
	TaskDefinitions orchestratorpb.TaskDefinitionServiceClient
	Configs         orchestratorpb.DeploymentConfigServiceClient
	Services        orchestratorpb.ServiceServiceClient
	Deployments     orchestratorpb.DeploymentServiceClient
	AppSpecs        orchestratorpb.AppSpecServiceClient
	Events          orchestratorpb.EventServiceClient
	Tasks           orchestratorpb.TaskServiceClient
}

func serve(t *testing.T) *env {
	t.Helper()
	return serveWith(t, &hooks{}, &alarms{})
}

func serveWith(t *testing.T, hooks hookspb.HookServiceClient, alarms alarmspb.AlarmServiceClient) *env {
	t.Helper()
	db := postgrestest.New(t, "orchestrator", orchestrator.FS)
	e := &env{
		t: t, db: db, store: store.New(db), runtime: runtimefake.New(), clock: &clock{now: epoch},
		health: &targetGroups{groups: map[string]*healthcheckpb.TargetGroup{}, said: make(chan *healthcheckpb.WatchTargetHealthResponse, 100)},
	}
	t.Cleanup(e.runtime.Close)
	e.engine = engine.New(engine.Config{
		Store: e.store, Runtime: e.runtime, Traffic: trafficfake.New(), Health: e.health, Hooks: hooks, Alarms: alarms,
		Containers: e.containers, Now: e.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	server, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	events := feed.New(e.store, e.engine.Listen(engine.EventsKey).C, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	read := make(chan struct{})
	go func() { defer close(read); events.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-read })
	api := &grpcapi.Server{Store: e.store, Engine: e.engine, Feed: events, Runtime: e.runtime, Health: e.health, Hooks: hooks, Now: e.clock.Now}
	api.Register(server)
	server.Start()
	t.Cleanup(func() { server.Stop(context.Background()) })
	e.dial(server.Addr())
	return e
}

func (e *env) dial(target string) {
	e.t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: target, Name: "orchestrator"})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	e.conn = conn
	e.Clusters = orchestratorpb.NewClusterServiceClient(conn)
	e.TaskDefinitions = orchestratorpb.NewTaskDefinitionServiceClient(conn)
	e.Configs = orchestratorpb.NewDeploymentConfigServiceClient(conn)
	e.Services = orchestratorpb.NewServiceServiceClient(conn)
	e.Deployments = orchestratorpb.NewDeploymentServiceClient(conn)
	e.AppSpecs = orchestratorpb.NewAppSpecServiceClient(e.conn)
	e.Events = orchestratorpb.NewEventServiceClient(conn)
	e.Tasks = orchestratorpb.NewTaskServiceClient(conn)
}

// work starts the engine, on the real clock.
func (e *env) work() {
	e.t.Helper()
	e.clock.real()
	if err := e.engine.Start(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(e.engine.Stop)
}

// ctx ends before the test does, so that a stream that says nothing fails the test and does not hang it.
func (e *env) ctx() context.Context {
	ctx, cancel := context.WithTimeout(e.t.Context(), 20*time.Second)
	e.t.Cleanup(cancel)
	return ctx
}

// clock stands still until it is moved or made real.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	live bool
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		return time.Now()
	}
	return c.now
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func (c *clock) real() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = true
}

// refused checks that err is a problem of the kind with the reason.
func refused(t *testing.T, what string, err error, kind problem.Kind, reason string) *problem.Error {
	t.Helper()
	p := problem.As(err)
	if !errors.Is(err, kind) || p == nil || p.Reason != reason {
		t.Errorf("%s: %v, want %v %s", what, err, kind, reason)
		return &problem.Error{}
	}
	return p
}

// must returns what a call answered.
func must[T any](t *testing.T) func(resp T, err error) T {
	return func(resp T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not in 15 s: %s", what)
		case <-tick.C:
		}
	}
}
