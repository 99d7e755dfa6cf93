// Package app puts the hooks service together. It is the only package of the service that others may import.
package app

import (
	"context"
	"crypto/x509"
	"log/slog"
	"slices"
	"sync"
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/migrations/hooks"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/hooks/internal/delivery"
	"github.com/slipway-deploy/slipway/services/hooks/internal/engine"
	"github.com/slipway-deploy/slipway/services/hooks/internal/feed"
	"github.com/slipway-deploy/slipway/services/hooks/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

const schema = "hooks"

// App is a running hooks service.
type App struct {
	server  *grpcserver.Server
	engine  *engine.Engine
	feed    *feed.Feed
	events  *events
	log     *slog.Logger
	cleanup []func(context.Context)

	eventMetrics delivery.Metrics

	stopFeed context.CancelFunc
	feeding  sync.WaitGroup
}

// New connects and migrates, but serves and calls nothing yet. What was set up is taken down when it fails.
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
	if err := postgres.Migrate(ctx, cfg.DatabaseURL, schema, hooks.FS); err != nil {
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
	return a.wire(cfg, db, metrics)
}

// metrics serves /metrics when it is asked for.
func (a *App) metrics(cfg Config) (engine.Metrics, error) {
	if cfg.MetricsAddr == "" {
		return engine.Metrics{}, nil
	}
	t, err := telemetry.New("slipway-hooks", cfg.Version)
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
	if a.eventMetrics, err = delivery.NewMetrics(t.Meter("slipway/hooks")); err != nil {
		return engine.Metrics{}, err
	}
	return engine.NewMetrics(t.Meter("slipway/hooks"))
}

// wire makes the engine, the feed and the handlers.
func (a *App) wire(cfg Config, db *postgres.DB, metrics engine.Metrics) error {
	st := store.New(db)
	var roots *x509.CertPool // the system's, unless more are given
	if cfg.HandlerCA != "" {
		var err error
		if roots, err = cfg.roots(); err != nil {
			return err
		}
	}
	grace := cfg.Grace
	if grace == 0 {
		grace = -1 // the engine's zero is its default
	}
	handlers := cfg.handlers()
	handlers.RootCAs = roots
	a.engine = engine.New(engine.Config{
		Workers: cfg.Workers, Lease: cfg.Lease, Grace: grace, Retention: cfg.Retention,
		Breaker: engine.BreakerConfig{Failures: cfg.Failures, Open: cfg.Open}, Now: time.Now, Log: a.log, Metrics: metrics,
	}, st, handler.NewCaller(handlers, a.log))
	a.feed = feed.New(feed.Config{Window: cfg.Window, Changed: a.engine.Wake, Now: time.Now}, st, a.log)
	api := grpcapi.New(grpcapi.Config{Store: st, Feed: a.feed, Wake: a.engine.Wake, Rules: cfg.rules(), Log: a.log})
	hookspb.RegisterHookServiceServer(a.server, api)
	hookspb.RegisterLifecycleEventServiceServer(a.server, api)
	a.events = newEvents(cfg, db, st, a, roots)
	return nil
}

// Start takes up what is due and serves.
func (a *App) Start(ctx context.Context) error {
	feedCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stopFeed = stop
	a.feeding.Go(func() { a.feed.Run(feedCtx) })
	a.engine.Start()
	if err := a.events.start(); err != nil {
		return err
	}
	a.server.Start()
	return nil
}

// Stop ends serving and calling. Invocations go on at the next start.
func (a *App) Stop(ctx context.Context) {
	a.server.Stop(ctx)
	a.engine.Stop(ctx)
	a.events.end(ctx)
	if a.stopFeed != nil {
		a.stopFeed()
	}
	a.feeding.Wait()
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
