// Package app puts the alarms service together. It is the only package of the service that others may import.
package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const (
	schema      = "alarms"
	joinTimeout = 3 * time.Second
)

// App is a running alarms service.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	leases  *lease.Leases
	leave   func() // ends the leases
	log     *slog.Logger
	cleanup []func(context.Context)
}

// New connects and migrates, but serves and evaluates nothing yet. What was set up is taken down when it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: log}
	if err := a.setUp(ctx, cfg); err != nil {
		a.close(context.WithoutCancel(ctx))
		return nil, err
	}
	return a, nil
}

func (a *App) setUp(ctx context.Context, cfg Config) error {
	var err error
	if a.server, err = grpcserver.New(a.log, cfg.Listen); err != nil {
		return err
	}
	a.onClose(a.server.Stop)
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, alarms.FS); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, a.log, postgres.Replicated(cfg.Lease))
	if err != nil {
		return err
	}
	a.onClose(func(context.Context) { db.Close() })
	metrics, err := a.metrics(cfg)
	if err != nil {
		return err
	}
	sources, err := a.open(ctx, cfg.Sources)
	if err != nil {
		return err
	}
	name := cfg.Replica
	if name == "" {
		name = lease.RandomName()
	}
	a.leases = lease.New(db, lease.Config{
		Holder: name, Duration: cfg.Lease, Log: a.log,
		Acquired: func(shards []int) { a.engine.Acquired(shards) },
		Lost:     func(shards []int) { a.engine.Lost(shards) },
		Told:     func(message string) { a.engine.Told(message) },
	})
	st := store.New(db).As(name)
	a.engine = engine.New(engine.Config{
		Store: st, Leases: a.leases, Others: st, Decode: grpcapi.Decode, Sources: sources, ARN: cfg.Place.ARN, Retention: cfg.Retention,
		Now: a.leases.Time, Log: a.log, Metrics: metrics,
	})
	a.server.Register(&alarmspb.AlarmService_ServiceDesc, &grpcapi.Server{Store: st, Engine: a.engine, Now: a.leases.Time, ARN: cfg.Place.ARN})
	return nil
}

// metrics serves /metrics when it is asked for.
func (a *App) metrics(cfg Config) (engine.Metrics, error) {
	if cfg.MetricsAddr == "" {
		return engine.Metrics{}, nil
	}
	t, err := telemetry.New("slipway-alarms", cfg.Version)
	if err != nil {
		return engine.Metrics{}, err
	}
	a.onClose(func(ctx context.Context) { _ = t.Stop(ctx) }) // nothing is exported that could be lost
	endpoint, err := t.Serve(cfg.MetricsAddr)
	if err != nil {
		return engine.Metrics{}, err
	}
	a.onClose(func(ctx context.Context) {
		if err := endpoint.Stop(ctx); err != nil {
			a.log.Warn("the metrics endpoint had ended", "error", err)
		}
	})
	return engine.NewMetrics(t.Meter("slipway/alarms"))
}

// Start takes up what the store knows, evaluates and serves. After an error, Stop takes down what was set up.
func (a *App) Start(ctx context.Context) error {
	if err := a.engine.Load(ctx); err != nil {
		return err
	}
	a.engine.Start(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	left := make(chan struct{})
	go func() {
		defer close(left)
		a.leases.Run(ctx)
	}()
	a.leave = func() { cancel(); <-left }
	select {
	case <-a.leases.Joined():
	case <-time.After(joinTimeout): // the database has gone away since New; the API says so
	}
	a.server.Start()
	return nil
}

// Stop ends evaluating, so that other replicas go on at once, and serving; what waits is saved.
func (a *App) Stop(ctx context.Context) {
	if a.leave != nil {
		a.engine.Yield(ctx)
		a.leave()
	}
	a.server.Stop(ctx)
	a.engine.Stop()
	a.close(ctx)
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }

func (a *App) onClose(f func(context.Context)) { a.cleanup = append(a.cleanup, f) }

func (a *App) close(ctx context.Context) {
	for _, f := range slices.Backward(a.cleanup) {
		f(ctx)
	}
	a.cleanup = nil
}
