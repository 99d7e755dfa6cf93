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
	"github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const schema = "orchestrator"

// App is a running orchestrator.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	cleanup []func()
}

// New connects and migrates, but serves and works on nothing yet. What was set up is taken down when it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	a := &App{}
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
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log)
	if err != nil {
		return nil, err
	}
	a.onClose(db.Close)
	driver, err := newRuntime(cfg, log)
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
	data, err := a.dial("proxy", cfg.Traffic)
	if err != nil {
		return err
	}
	definitions := newContainerCache(st)
	a.engine = engine.New(engine.Config{
		Store: st, Runtime: driver, Traffic: proxy.New(trafficpb.NewTrafficServiceClient(data)),
		Health: healthcheckpb.NewTargetGroupServiceClient(health), Hooks: hookspb.NewHookServiceClient(hooks),
		Alarms: alarmspb.NewAlarmServiceClient(alarms), Containers: definitions.get, Now: time.Now, Log: log,
		Metrics: metrics,
	})
	api := &grpcapi.Server{
		Store: st, Engine: a.engine, Runtime: driver, Health: healthcheckpb.NewTargetGroupServiceClient(health),
		Hooks: hookspb.NewHookServiceClient(hooks), Now: time.Now,
	}
	api.Register(a.server)
	return nil
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
	a.server.Start()
	return nil
}

// Stop ends serving and working. Tasks go on, and so do deployments at the next start.
func (a *App) Stop(ctx context.Context) {
	a.server.Stop(ctx)
	a.engine.Stop()
	a.close()
}

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
