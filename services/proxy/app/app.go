// Package app puts the proxy together. It is the only package of the service that others may import.
package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/services/proxy/internal/dataplane"
	"github.com/slipway-deploy/slipway/services/proxy/internal/engine"
	"github.com/slipway-deploy/slipway/services/proxy/internal/grpcapi"
	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
	"github.com/slipway-deploy/slipway/services/proxy/internal/routefile"
)

// Config says where the proxy is controlled, where it keeps its routes and whom it tells its metrics.
type Config struct {
	Listen        grpcserver.Config `flag:"" env:""`
	RoutesFile    string            `flag:"routes-dir" env:"SLIPWAY_ROUTES_DIR" default:"/var/lib/slipway/proxy" help:"folder of the routes in force"`
	Alarms        grpcclient.Config `flag:"alarms" env:"SLIPWAY_ALARMS"`
	MetricsPeriod time.Duration     `flag:"metrics-period" env:"SLIPWAY_METRICS_PERIOD" default:"1s" help:"how often request metrics are pushed"`
}

// Default is the configuration with the usual addresses.
func Default() Config {
	return Config{
		Listen: grpcserver.Config{Addr: "127.0.0.1:7005"}, Alarms: grpcclient.Config{Target: "127.0.0.1:7004"}, MetricsPeriod: time.Second,
	}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	if c.RoutesFile == "" {
		errs = append(errs, errors.New("routes-dir: is needed"))
	}
	if c.MetricsPeriod < 100*time.Millisecond {
		errs = append(errs, errors.New("metrics-period: must be at least 100ms"))
	}
	return errors.Join(errs...)
}

// App is a running proxy.
type App struct {
	server   *grpcserver.Server
	store    *routefile.Store
	engine   *engine.Engine
	alarms   *grpc.ClientConn
	pusher   *requestmetrics.Pusher
	stopPush context.CancelFunc
	pushing  sync.WaitGroup
}

// New takes up the routes of before a restart and serves their requests at once; it is not controlled before Start.
func New(ctx context.Context, cfg Config, log *slog.Logger) (a *App, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a = &App{}
	defer func() {
		if err != nil {
			a.close(ctx)
		}
	}()
	if a.server, err = grpcserver.New(log, cfg.Listen); err != nil {
		return nil, err
	}
	if a.store, err = routefile.Open(cfg.RoutesFile); err != nil {
		return nil, err
	}
	cfg.Alarms.Name = "alarms"
	if a.alarms, err = grpcclient.Dial(cfg.Alarms); err != nil {
		return nil, err
	}
	registry := requestmetrics.NewRegistry()
	if a.engine, err = engine.New(a.store, dataplane.Config{Registry: registry, Log: log}, log); err != nil {
		return nil, err
	}
	a.pusher = requestmetrics.NewPusher(registry, sink{alarmspb.NewAlarmServiceClient(a.alarms)}, cfg.MetricsPeriod, log)
	a.server.Register(&trafficpb.TrafficService_ServiceDesc, &grpcapi.Server{Engine: a.engine})
	return a, nil
}

// Start lets the proxy be controlled and pushes its metrics.
func (a *App) Start(ctx context.Context) error {
	ctx, a.stopPush = context.WithCancel(context.WithoutCancel(ctx))
	a.pushing.Go(func() { a.pusher.Run(ctx) })
	a.server.Start()
	return nil
}

// Stop ends serving; requests in flight may end until ctx does.
func (a *App) Stop(ctx context.Context) {
	if a.stopPush != nil {
		a.stopPush()
		a.pushing.Wait()
	}
	a.close(ctx)
}

func (a *App) close(ctx context.Context) {
	if a.server != nil {
		a.server.Stop(ctx)
	}
	if a.engine != nil {
		a.engine.Close(ctx)
	}
	if a.alarms != nil {
		_ = a.alarms.Close()
	}
	if a.store != nil {
		_ = a.store.Close()
	}
}

// Addr is the address it is controlled on.
func (a *App) Addr() string { return a.server.Addr() }

// sink pushes metrics to the alarms service.
type sink struct{ client alarmspb.AlarmServiceClient }

func (s sink) PutMetricData(ctx context.Context, requestID, namespace string, data []requestmetrics.Datum) error {
	req := &alarmspb.PutMetricDataRequest{RequestId: requestID, Namespace: namespace}
	for _, d := range data {
		pb := &alarmspb.MetricDatum{MetricName: d.Name, Timestamp: timestamppb.New(d.Time), Values: d.Values, Counts: d.Counts, Unit: d.Unit}
		for _, dimension := range d.Dimensions {
			pb.Dimensions = append(pb.Dimensions, &alarmspb.Dimension{Name: dimension.Name, Value: dimension.Value})
		}
		req.MetricData = append(req.MetricData, pb)
	}
	_, err := s.client.PutMetricData(ctx, req)
	return err
}
