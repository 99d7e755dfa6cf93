package app_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

// BenchmarkInvocations measures whole invocations, from InvokeHook to the recorded result of a gRPC handler.
func BenchmarkInvocations(b *testing.B) {
	a, err := app.New(b.Context(), testConfig(postgrestest.URL(b)), logger())
	if err == nil {
		err = a.Start(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	defer a.Stop(context.Background())
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := hookspb.NewHookServiceClient(conn)
	address, stop := benchHandler(b)
	defer stop()
	hook := grpcHook(address)
	hook.Name = "smoke"
	if _, err := client.RegisterHook(b.Context(), &hookspb.RegisterHookRequest{Hook: hook}); err != nil {
		b.Fatal(err)
	}
	stream, err := client.WatchInvocations(b.Context(), &hookspb.WatchInvocationsRequest{})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				i := invocation(fmt.Sprint("d-1/", n))
				i.Service = fmt.Sprint("default/s", n%100)
				if _, err := client.InvokeHook(b.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: i}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	for ended := map[string]bool{}; len(ended) < b.N && !b.Failed(); {
		resp, err := stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range resp.GetInvocations() {
			if i.GetEndTime() != nil {
				ended[i.GetId()] = true
			}
		}
	}
	callers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "invocations/s")
}

func benchHandler(b *testing.B) (address string, stop func()) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, &grpcHandler{answer: respond(hookspb.HookStatus_HOOK_STATUS_SUCCEEDED)})
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), server.Stop
}
