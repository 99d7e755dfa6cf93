// Package app puts the proxy together. It is the only package of the service that others may import.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/telemetry"
	"github.com/slipway-deploy/slipway/services/proxy/internal/dataplane"
	"github.com/slipway-deploy/slipway/services/proxy/internal/engine"
	"github.com/slipway-deploy/slipway/services/proxy/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
)

// App is a proxy.
type App struct {
	log       *slog.Logger
	server    *grpcserver.Server
	engine    *engine.Engine
	alarms    *grpc.ClientConn       // nil when metrics are not pushed
	pusher    *requestmetrics.Pusher // likewise
	telemetry *telemetry.Telemetry
	endpoint  *telemetry.Endpoint // nil when /metrics is not served
	stopPush  context.CancelFunc
	pushing   sync.WaitGroup
}

// New takes up the routes of before a restart and serves requests by them at once, whoever else is there; Start lets
// the proxy be controlled.
func New(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: log}
	defer func() {
		if err != nil {
			a.close(ctx)
		}
	}()
	if a.telemetry, err = telemetry.New("slipway-proxy", cfg.Version); err != nil {
		return nil, err
	}
	if cfg.MetricsAddr != "" {
		if a.endpoint, err = a.telemetry.Serve(cfg.MetricsAddr); err != nil {
			return nil, err
		}
	}
	if a.server, err = grpcserver.New(log, cfg.Listen); err != nil {
		return nil, err
	}
	registry := requestmetrics.NewRegistry()
	if cfg.Alarms.Target != "" {
		cfg.Alarms.Name = "alarms"
		if a.alarms, err = grpcclient.Dial(cfg.Alarms); err != nil {
			return nil, err
		}
		a.pusher = requestmetrics.NewPusher(registry, sink{alarmspb.NewAlarmServiceClient(a.alarms)}, cfg.MetricsPeriod, log)
	}
	a.engine, err = engine.New(engine.Config{
		Dir: cfg.RoutesDir, InsecureListeners: cfg.InsecureListeners, Log: log,
		Plane: dataplane.Config{
			ReadHeaderTimeout: cfg.ReadHeaderTimeout, ClientIdleTimeout: cfg.ClientIdleTimeout, MaxHeaderBytes: cfg.MaxHeaderBytes,
			DialTimeout: cfg.DialTimeout, ResponseHeaderTimeout: cfg.ResponseHeaderTimeout, TargetIdleTimeout: cfg.TargetIdleTimeout,
			Registry: registry,
		},
	})
	if err != nil {
		return nil, err
	}
	if err := a.observe(); err != nil {
		return nil, err
	}
	trafficpb.RegisterTrafficServiceServer(a.server, grpcapi.New(a.engine))
	return a, nil
}

// observe has /metrics tell what the data plane cut.
func (a *App) observe() error {
	_, err := a.telemetry.Meter("slipway/proxy").Int64ObservableCounter("slipway.proxy.cuts",
		metric.WithDescription("Requests, streams and upgraded connections that the end of a drain time cut."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(a.engine.Cuts())
			return nil
		}))
	if err != nil {
		return fmt.Errorf("make the metric of cuts: %w", err)
	}
	return nil
}

// Start lets the proxy be controlled and pushes its metrics.
func (a *App) Start(ctx context.Context) error {
	if a.pusher != nil {
		ctx, a.stopPush = context.WithCancel(context.WithoutCancel(ctx))
		a.pushing.Go(func() { a.pusher.Run(ctx) })
	}
	a.server.Start()
	return nil
}

// Stop refuses control and new requests, lets requests in flight end until ctx does, and cuts the rest. The routes stay
// on disk.
func (a *App) Stop(ctx context.Context) { a.close(ctx) }

// Addr is the address that the proxy is controlled on.
func (a *App) Addr() string { return a.server.Addr() }

func (a *App) close(ctx context.Context) {
	if a.server != nil {
		a.server.Stop(ctx)
	}
	if a.engine != nil {
		a.engine.Stop(ctx)
	}
	if a.stopPush != nil { // after the last request was counted
		a.stopPush()
		a.pushing.Wait()
	}
	if a.alarms != nil {
		_ = a.alarms.Close()
	}
	if a.endpoint != nil {
		if err := a.endpoint.Stop(ctx); err != nil {
			a.log.WarnContext(ctx, "the metrics endpoint had ended", "error", err)
		}
	}
	if a.telemetry != nil {
		if err := a.telemetry.Stop(ctx); err != nil {
			a.log.WarnContext(ctx, "the metrics could not be ended", "error", err)
		}
	}
}
