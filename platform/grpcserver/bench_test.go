package grpcserver_test

import (
	"log/slog"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// BenchmarkUnary is one native gRPC call, by several callers over one connection.
func BenchmarkUnary(b *testing.B) {
	s, err := grpcserver.New(slog.New(slog.DiscardHandler), grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	trafficpb.RegisterTrafficServiceServer(s, &traffic{})
	s.Start()
	defer s.Stop(b.Context())
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	client := trafficpb.NewTrafficServiceClient(conn)
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.ApplyRoutes(b.Context(), request()); err != nil {
				b.Error(err)
			}
		}
	})
}
