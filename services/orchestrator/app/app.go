// Package app puts the orchestrator together. It is the only package of the service that others may import.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/feed"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const (
	schema      = "orchestrator"
	joinTimeout = 3 * time.Second
)

// App is a running orchestrator.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	feed    *feed.Feed
	leases  *lease.Leases
	leave   func() // ends the leases
	failed  chan error
	unread  func() // ends the feed
	kept    retention
	keep    func() // ends what deletes old deployments
	cleanup []func()
}

// New connects and migrates, but serves and works on nothing yet. What was set up is taken down when it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	a := &App{failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if a.server, err = grpcserver.New(log, cfg.Listen); err != nil {
		return nil, err
	}
	a.onClose(func() { a.server.Stop(context.Background()) })
	metrics, err := a.metrics(cfg)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, orchestrator.FS); err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log, postgres.Replicated(cfg.Lease))
	if err != nil {
		return nil, err
	}
	a.onClose(db.Close)
	name := cfg.replicaName()
	if err := cfg.admit(ctx, db, name, log); err != nil {
		return nil, err
	}
	a.leases = a.share(db, name, cfg, log)
	driver, err := newRuntime(cfg, func() (*grpc.ClientConn, error) { return a.dial("runtime", cfg.Remote) }, log)
	if err != nil {
		return nil, err
	}
	a.onClose(func() { _ = driver.Close() })
	if err := a.wire(cfg, store.New(db), driver, metrics, log); err != nil {
		return nil, err
	}
	return a, nil
}

// metrics serves /metrics when it is asked for.
func (a *App) metrics(cfg Config) (engine.Metrics, error) {
	if cfg.MetricsAddr == "" {
		return engine.Metrics{}, nil
	}
	t, err := telemetry.New("slipway-orchestrator", cfg.Version)
	if err != nil {
		return engine.Metrics{}, err
	}
	endpoint, err := t.Serve(cfg.MetricsAddr)
	if err != nil {
		return engine.Metrics{}, err
	}
	a.onClose(func() { _ = endpoint.Stop(context.Background()) })
	return engine.NewMetrics(t.Meter("slipway/orchestrator"))
}

// wire makes the engine and the handlers.
func (a *App) wire(cfg Config, st *store.Store, driver runtime.Runtime, metrics engine.Metrics, log *slog.Logger) error {
	hooks, err := a.dial("hooks", cfg.Hooks)
	if err != nil {
		return err
	}
	health, err := a.dial("healthcheck", cfg.Healthcheck)
	if err != nil {
		return err
	}
	alarms, err := a.dial("alarms", cfg.Alarms)
	if err != nil {
		return err
	}
	data, err := a.dataPlane(cfg)
	if err != nil {
		return err
	}
	a.kept = retention{store: st, keep: cfg.Retention, now: a.leases.Time, log: log}
	definitions := newContainerCache(st)
	a.engine = engine.New(engine.Config{
		Store: st, Leases: a.leases, Feed: st, Runtime: driver, Traffic: data,
		Health: healthcheckpb.NewTargetGroupServiceClient(health), Hooks: hookspb.NewHookServiceClient(hooks),
		Alarms: alarmspb.NewAlarmServiceClient(alarms), Containers: definitions.get, Now: a.leases.Time, Log: log,
		Metrics: metrics,
	})
	a.feed = feed.New(st, a.engine.Listen(engine.EventsKey).C, log)
	api := &grpcapi.Server{
		Store: st, Engine: a.engine, Feed: a.feed, Runtime: driver, Health: healthcheckpb.NewTargetGroupServiceClient(health),
		Hooks: hookspb.NewHookServiceClient(hooks), Now: a.leases.Time,
	}
	api.Register(a.server)
	return nil
}

func (a *App) dataPlane(cfg Config) (traffic.Traffic, error) {
	if cfg.DataPlane != nil {
		return cfg.DataPlane, nil
	}
	conn, err := a.dial("proxy", cfg.Traffic)
	if err != nil {
		return nil, err
	}
	return proxy.New(trafficpb.NewTrafficServiceClient(conn)), nil
}

func (a *App) dial(name string, cfg grpcclient.Config) (*grpc.ClientConn, error) {
	cfg.Name = name
	conn, err := grpcclient.Dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	a.onClose(func() { _ = conn.Close() })
	return conn, nil
}

// Start takes up what is at work and serves.
func (a *App) Start(ctx context.Context) error {
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	a.leave = goOn(ctx, a.leases.Run)
	a.unread = goOn(ctx, a.feed.Run)
	a.keep = goOn(ctx, a.kept.run)
	select {
	case <-a.leases.Joined():
	case <-time.After(joinTimeout): // the database has gone away since New; the API says so
	}
	a.server.Start()
	return nil
}

// goOn runs f until the function that it returns is called.
func goOn(ctx context.Context, f func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() { cancel(); <-done }
}

// Stop ends serving and working. Tasks go on, and so do deployments: at once where there is another replica, else at the next
// start.
func (a *App) Stop(ctx context.Context) {
	if a.leave != nil {
		a.leave()
	}
	a.server.Stop(ctx)
	if a.unread != nil {
		a.unread()
		a.keep()
	}
	a.engine.Stop()
	a.close()
}

// Failed has the reason why the program should end, if there is one: a runtime of its own, and another orchestrator that has its
// services by now.
func (a *App) Failed() <-chan error { return a.failed }

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }

func (a *App) onClose(f func()) { a.cleanup = append(a.cleanup, f) }

func (a *App) close() {
	for _, clean := range slices.Backward(a.cleanup) {
		clean()
	}
	a.cleanup = nil
}

// containerCache keeps what task definitions run; a registered revision never changes.
type containerCache struct {
	store *store.Store
	mu    sync.Mutex
	byTD  map[string][]runtime.Container
}

func newContainerCache(st *store.Store) *containerCache {
	return &containerCache{store: st, byTD: map[string][]runtime.Container{}}
}

func (c *containerCache) get(ctx context.Context, taskDefinition string) ([]runtime.Container, error) {
	c.mu.Lock()
	have, ok := c.byTD[taskDefinition]
	c.mu.Unlock()
	if ok {
		return have, nil
	}
	containers, err := grpcapi.Containers(ctx, c.store, taskDefinition)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byTD[taskDefinition] = containers
	return containers, nil
}
