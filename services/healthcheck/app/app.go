// Package app puts the healthcheck service together. It is the only package of the service that others may import.
package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/engine"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
)

const schema = "healthcheck"

// Config says where the service serves and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
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
	server *grpcserver.Server
	db     *postgres.DB
	engine *engine.Engine
	store  *store.Store
}

// New connects and migrates, but serves and checks nothing yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	server, err := grpcserver.New(log, cfg.Listen)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, healthcheck.FS); err != nil {
		server.Stop(ctx)
		return nil, err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log)
	if err != nil {
		server.Stop(ctx)
		return nil, err
	}
	st := store.New(db)
	a := &App{server: server, db: db, store: st, engine: engine.New(st, log)}
	server.Register(&healthcheckpb.TargetGroupService_ServiceDesc, &grpcapi.Server{Store: st, Engine: a.engine, Now: time.Now})
	return a, nil
}

// Start takes up what the store knows, checks and serves.
func (a *App) Start(ctx context.Context) error {
	checks, err := grpcapi.Checks(ctx, a.store)
	if err != nil {
		return err
	}
	if err := a.engine.Start(ctx, checks); err != nil {
		return err
	}
	a.server.Start()
	return nil
}

// Stop ends serving and checking; what is known is saved.
func (a *App) Stop(ctx context.Context) {
	a.server.Stop(ctx)
	a.engine.Stop()
	a.db.Close()
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }
