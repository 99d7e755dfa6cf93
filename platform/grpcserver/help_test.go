package grpcserver_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// traffic answers as each test says.
type traffic struct {
	trafficpb.UnimplementedTrafficServiceServer
	apply func(context.Context) error
	watch func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error
}

func (s *traffic) ApplyRoutes(ctx context.Context, _ *trafficpb.ApplyRoutesRequest) (*trafficpb.ApplyRoutesResponse, error) {
	if s.apply != nil {
		if err := s.apply(ctx); err != nil {
			return nil, err
		}
	}
	return &trafficpb.ApplyRoutesResponse{}, nil
}

func (s *traffic) WatchRoutes(_ *trafficpb.WatchRoutesRequest, stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	return s.watch(stream)
}

// alarms is only here for a stream whose request has rules.
type alarms struct {
	alarmspb.UnimplementedAlarmServiceServer
}

func (alarms) WatchAlarms(*alarmspb.WatchAlarmsRequest, grpc.ServerStreamingServer[alarmspb.WatchAlarmsResponse]) error {
	return nil
}

type bundle struct {
	server *grpcserver.Server
	conn   *grpc.ClientConn
	client trafficpb.TrafficServiceClient
	log    *logs
}

func setup(t *testing.T, impl *traffic, cfg grpcserver.Config) *bundle {
	t.Helper()
	b := &bundle{log: &logs{}}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	var err error
	b.server, err = grpcserver.New(slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), cfg)
	if err != nil {
		t.Fatal(err)
	}
	trafficpb.RegisterTrafficServiceServer(b.server, impl)
	alarmspb.RegisterAlarmServiceServer(b.server, alarms{})
	b.server.Start()
	t.Cleanup(func() { b.stop(t, time.Second) })
	b.conn, err = grpc.NewClient(b.server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	b.client = trafficpb.NewTrafficServiceClient(b.conn)
	return b
}

func (b *bundle) stop(t *testing.T, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	b.server.Stop(ctx)
}

// request is valid.
func request() *trafficpb.ApplyRoutesRequest {
	return &trafficpb.ApplyRoutesRequest{Generation: 1, Routes: &trafficpb.Routes{Service: "default/web"}}
}

// logs keeps what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
