package proxy_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	"github.com/slipway-deploy/slipway/drivers/traffic/traffictest"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/services/proxy/app"
)

// running is a proxy and the driver's connection to it.
type running struct {
	app    *app.App
	conn   *grpc.ClientConn
	driver *proxy.Driver
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	a, err := app.New(t.Context(), app.Config{
		Listen: grpcserver.Config{Addr: "127.0.0.1:0"}, RoutesDir: dir, MetricsPeriod: time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr(), Name: "proxy"})
	if err != nil {
		t.Fatal(err)
	}
	return &running{app: a, conn: conn, driver: proxy.New(trafficpb.NewTrafficServiceClient(conn))}
}

// stop ends the proxy at once, with whatever is in flight.
func (r *running) stop() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.conn.Close()
	r.app.Stop(now)
}

func TestConformance(t *testing.T) {
	traffictest.Run(t, traffictest.Harness{Open: func(t *testing.T) traffictest.Plane {
		dir := t.TempDir()
		r := start(t, dir)
		t.Cleanup(func() { r.stop() })
		return traffictest.Plane{
			Traffic: r.driver,
			Restart: func(t *testing.T) traffic.Traffic {
				t.Helper()
				r.stop()
				r = start(t, dir)
				return r.driver
			},
		}
	}})
}
