// Package app puts the healthcheck service together. It is the only package of the service that others may import.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/engine"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const (
	schema      = "healthcheck"
	joinTimeout = 3 * time.Second
	minLease    = 500 * time.Millisecond
	maxLease    = time.Minute
)

// Config says where the service serves and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	Lease       time.Duration     `flag:"lease-duration" env:"SLIPWAY_LEASE_DURATION" help:"after which another replica checks the targets of one that died"`
	Replica     string            `flag:"replica" env:"SLIPWAY_REPLICA" help:"name of this replica, different from the others'; empty: the machine's and a random one"`
	Version     string            `flag:"-"`
}

// Default is the configuration with the service's usual address.
func Default() Config {
	return Config{Listen: grpcserver.Config{Addr: "127.0.0.1:7003"}, Lease: lease.DefaultDuration}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	if c.Lease < minLease || c.Lease > maxLease {
		errs = append(errs, fmt.Errorf("lease-duration: must be %s to %s, is %s", minLease, maxLease, c.Lease))
	}
	return errors.Join(errs...)
}

// App is a running healthcheck service.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	leases  *lease.Leases
	leave   func() // ends the leases
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
	db, err := postgres.Open(ctx, cfg.DatabaseURL, schema, log, postgres.Replicated(cfg.Lease))
	if err != nil {
		return nil, err
	}
	a.onStop(func(context.Context) { db.Close() })
	st := store.New(db)
	groups := func(ctx context.Context) (map[string]verdict.Check, error) { return grpcapi.Checks(ctx, st) }
	a.leases = lease.New(db, lease.Config{
		Holder: cmp.Or(cfg.Replica, lease.RandomName()), Duration: cfg.Lease, Log: log,
		Acquired: func(shards []int) { a.engine.Acquired(shards) },
		Lost:     func(shards []int) { a.engine.Lost(shards) },
		Told:     func(message string) { a.engine.Told(message) },
	})
	a.engine = engine.New(engine.Config{Store: st, Leases: a.leases, Now: a.leases.Time, Log: log, Groups: groups, Metrics: metrics})
	a.onStop(a.engine.Stop)
	a.onStop(a.server.Stop) // before: what is under way still uses the engine
	a.server.Register(&healthcheckpb.TargetGroupService_ServiceDesc, &grpcapi.Server{Store: st, Engine: a.engine, Now: a.leases.Time})
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

// Stop ends checking, so that other replicas go on at once, and serving; what is known is saved. It may be called again.
func (a *App) Stop(ctx context.Context) {
	if a.leave != nil {
		a.engine.Yield(ctx)
		a.leave()
		a.leave = nil
	}
	for _, f := range slices.Backward(a.cleanup) {
		f(ctx)
	}
	a.cleanup = nil
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }

func (a *App) onStop(f func(context.Context)) { a.cleanup = append(a.cleanup, f) }
