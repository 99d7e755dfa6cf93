package grpcserver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

const (
	applyPath = "/slipway.traffic.v1.TrafficService/ApplyRoutes"
	applyJSON = `{"generation":"1","routes":{"service":"default/web"}}`
)

// A proxy may add headers that gRPC's metadata cannot hold; the call must not fail for that.
func TestHeadersReachTheHandlerIfMetadataCanHoldThem(t *testing.T) {
	t.Parallel()
	var got metadata.MD
	b := setup(t, &traffic{apply: func(ctx context.Context) error {
		got, _ = metadata.FromIncomingContext(ctx)
		return nil
	}}, grpcserver.Config{})
	code, text, _ := post(t, http.MethodPost, "http://"+b.server.Addr()+applyPath, applyJSON, "Content-Type", "application/json",
		"Traceparent", "00-1", "X-Raw-Bin", "AQI=", "X-City", "Zürich", "X-A!b", "x", "Cookie", "secret=1")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	for name, want := range map[string]string{"traceparent": "00-1", "x-raw-bin": "\x01\x02", "x-city": "", "x-a!b": "", "cookie": ""} {
		if v := strings.Join(got.Get(name), ","); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
}

func TestTheLogSaysWhereACallOverHTTPCameFrom(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{}, grpcserver.Config{})
	post(t, http.MethodPost, "http://"+b.server.Addr()+applyPath, applyJSON, "Content-Type", "application/json", "X-Forwarded-For", "192.0.2.7")
	if log := b.log.String(); !strings.Contains(log, "peer=127.0.0.1:") {
		t.Errorf("over HTTP: %s", log)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "192.0.2.8")
	if _, err := b.client.ApplyRoutes(ctx, request()); err != nil {
		t.Fatal(err)
	}
	if log := b.log.String(); strings.Contains(log, "peer=192.0.2.") {
		t.Errorf("a caller says what its address is: %s", log)
	}
}

func TestTheDeadlineOfACallOverHTTPReachesTheHandler(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{apply: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}, grpcserver.Config{})
	code, text, _ := post(t, http.MethodPost, "http://"+b.server.Addr()+applyPath, applyJSON, "Content-Type", "application/json", "Connect-Timeout-Ms", "50")
	if code != http.StatusGatewayTimeout || !strings.Contains(text, "deadline_exceeded") {
		t.Errorf("%d %s", code, text)
	}
}

// While Stop waits for a call over HTTP, and that call goes on to its end, gRPC clients are refused.
func TestStopWaitsForHTTPAndRefusesNewCallsOverGRPC(t *testing.T) {
	t.Parallel()
	in, finish := make(chan struct{}, 1000), make(chan struct{})
	b := setup(t, &traffic{apply: func(ctx context.Context) error {
		in <- struct{}{}
		select {
		case <-finish:
		case <-ctx.Done():
		}
		return nil
	}}, grpcserver.Config{})
	if _, err := healthgrpc.NewHealthClient(b.conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil { // so that there is a connection
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := webClient(&http.Client{}, "http://"+b.server.Addr()).apply.CallUnary(t.Context(), connect.NewRequest(request()))
		ended <- err
	}()
	<-in
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.stop(t, 20*time.Second)
	}()
	deadline := time.Now().Add(5 * time.Second)
	for err := error(nil); status.Code(err) != codes.Unavailable; {
		if time.Now().After(deadline) {
			t.Fatalf("the server takes calls while it stops: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err = b.client.ApplyRoutes(ctx, request())
		cancel()
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	<-stopped
}
