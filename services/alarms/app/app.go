// Package app puts the alarms service together. It is the only package of the service that others may import.
package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const schema = "alarms"

// Config says where the service serves and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	Retention   time.Duration     `flag:"retention" env:"SLIPWAY_RETENTION" default:"168h" help:"how long pushed datapoints are kept"`
}

// Default is the configuration with the service's usual address.
func Default() Config {
	return Config{Listen: grpcserver.Config{Addr: "127.0.0.1:7004"}, Retention: 7 * 24 * time.Hour}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	if c.Retention < time.Hour {
		errs = append(errs, errors.New("retention: must be at least 1h"))
	}
	return errors.Join(errs...)
}

// App is a running alarms service.
type App struct {
	server *grpcserver.Server
	db     *postgres.DB
	engine *engine.Engine
	api    *grpcapi.Server
}

// New connects and migrates, but serves and evaluates nothing yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	server, err := grpcserver.New(log, cfg.Listen)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, alarms.FS); err != nil {
		server.Stop(ctx)
		return nil, err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log)
	if err != nil {
		server.Stop(ctx)
		return nil, err
	}
	st := store.New(db)
	e := engine.New(st, cfg.Retention, log)
	api := &grpcapi.Server{Store: st, Engine: e, Now: time.Now}
	server.Register(&alarmspb.AlarmService_ServiceDesc, api)
	return &App{server: server, db: db, engine: e, api: api}, nil
}

// Start takes up what the store knows, evaluates and serves.
func (a *App) Start(ctx context.Context) error {
	if err := a.api.Load(ctx); err != nil {
		return err
	}
	a.engine.Start(ctx)
	a.server.Start()
	return nil
}

// Stop ends serving and evaluating; what waits is saved.
func (a *App) Stop(ctx context.Context) {
	a.server.Stop(ctx)
	a.engine.Stop()
	a.db.Close()
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }
