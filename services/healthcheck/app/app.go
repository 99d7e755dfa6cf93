// Package app puts the healthcheck service together. It is the only package of the service that others may import.
package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/engine"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const schema = "healthcheck"

// Config says where the service serves and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	Version     string            `flag:"-"`
}

// Default is the configuration with the service's usual address.
func Default() Config { return Config{Listen: grpcserver.Config{Addr: "127.0.0.1:7003"}} }

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	return errors.Join(errs...)
}

// App is a running healthcheck service.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	log     *slog.Logger
	cleanup []func(context.Context)
}

// New connects and migrates, but serves and checks nothing yet. What was set up is taken down when it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: log}
	defer func() {
		if err != nil {
			a.Stop(context.WithoutCancel(ctx))
			a = nil
		}
	}()
	if a.server, err = grpcserver.New(log, cfg.Listen); err != nil {
		return nil, err
	}
	a.onStop(a.server.Stop)
	metrics, err := a.metrics(cfg)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, healthcheck.FS); err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log)
	if err != nil {
		return nil, err
	}
	a.onStop(func(context.Context) { db.Close() })
	st := store.New(db)
	groups := func(ctx context.Context) (map[string]verdict.Check, error) { return grpcapi.Checks(ctx, st) }
	a.engine = engine.New(engine.Config{Store: st, Log: log, Groups: groups, Metrics: metrics})
	a.onStop(a.engine.Stop)
	a.onStop(a.server.Stop) // first: what is under way still uses the engine
	a.server.Register(&healthcheckpb.TargetGroupService_ServiceDesc, &grpcapi.Server{Store: st, Engine: a.engine, Now: time.Now})
	return a, nil
}

// metrics serves /metrics when it is asked for.
func (a *App) metrics(cfg Config) (engine.Metrics, error) {
	if cfg.MetricsAddr == "" {
		return engine.Metrics{}, nil
	}
	t, err := telemetry.New("slipway-healthcheck", cfg.Version)
	if err != nil {
		return engine.Metrics{}, err
	}
	endpoint, err := t.Serve(cfg.MetricsAddr)
	if err != nil {
		return engine.Metrics{}, err
	}
	a.onStop(func(ctx context.Context) {
		if err := endpoint.Stop(ctx); err != nil {
			a.log.Warn("the metrics endpoint had ended", "cause", err)
		}
	})
	return engine.NewMetrics(t.Meter("slipway/healthcheck"))
}

// Start takes up what the store knows, checks and serves. When it fails, everything is stopped.
func (a *App) Start(ctx context.Context) error {
	if err := a.engine.Start(ctx); err != nil {
		a.Stop(context.WithoutCancel(ctx))
		return err
	}
	a.server.Start()
	return nil
}

// Stop ends serving and checking; what is known is saved. It may be called again.
func (a *App) Stop(ctx context.Context) {
	for _, f := range slices.Backward(a.cleanup) {
		f(ctx)
	}
	a.cleanup = nil
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }

func (a *App) onStop(f func(context.Context)) { a.cleanup = append(a.cleanup, f) }
