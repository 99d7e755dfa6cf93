package grpcclient_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// traffic answers as each test says and counts the calls that reach it.
type traffic struct {
	trafficpb.UnimplementedTrafficServiceServer
	apply func(context.Context) (*trafficpb.ApplyRoutesResponse, error)
	watch func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error
	calls atomic.Int64
}

func (s *traffic) ApplyRoutes(ctx context.Context, _ *trafficpb.ApplyRoutesRequest) (*trafficpb.ApplyRoutesResponse, error) {
	s.calls.Add(1)
	if s.apply == nil {
		return &trafficpb.ApplyRoutesResponse{}, nil
	}
	return s.apply(ctx)
}

func (s *traffic) WatchRoutes(_ *trafficpb.WatchRoutesRequest, stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	s.calls.Add(1)
	return s.watch(stream)
}

// failing is a traffic whose unary call and stream end with err.
func failing(err error) *traffic {
	return &traffic{
		apply: func(context.Context) (*trafficpb.ApplyRoutesResponse, error) { return nil, err },
		watch: func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error { return err },
	}
}

func serve(t *testing.T, impl *traffic, cfg grpcserver.Config) *grpcserver.Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := grpcserver.New(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	trafficpb.RegisterTrafficServiceServer(s, impl)
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		s.Stop(ctx)
	})
	return s
}

type client struct{ trafficpb.TrafficServiceClient }

func dial(t *testing.T, cfg grpcclient.Config) client {
	t.Helper()
	conn, err := grpcclient.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{trafficpb.NewTrafficServiceClient(conn)}
}

func connect(t *testing.T, impl *traffic) client {
	t.Helper()
	return dial(t, grpcclient.Config{Target: serve(t, impl, grpcserver.Config{}).Addr(), Name: "proxy"})
}

func (c client) apply(ctx context.Context) error {
	_, err := c.ApplyRoutes(ctx, &trafficpb.ApplyRoutesRequest{Generation: 1, Routes: &trafficpb.Routes{Service: "default/web"}})
	return err
}

// watchOnce opens a stream and receives once.
func (c client) watchOnce(ctx context.Context) error {
	stream, err := c.WatchRoutes(ctx, &trafficpb.WatchRoutesRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}
