package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const trafficService = "slipway.traffic.v1.TrafficService"

func TestReflectionOfBothVersionsListsTheServices(t *testing.T) {
	b := setup(t, &traffic{}, grpcserver.Config{})

	v1, err := reflectionv1.NewServerReflectionClient(b.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := v1.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := v1.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{trafficService, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}

	alpha, err := reflectionalpha.NewServerReflectionClient(b.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := alpha.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := alpha.Recv(); !errors.Is(err, io.EOF) { // without v1alpha it would be Unimplemented
		t.Errorf("v1alpha: %v, want the end of the stream", err)
	}
}

func TestHealthFollowsTheServersLife(t *testing.T) {
	b := setup(t, &traffic{}, grpcserver.Config{})
	client := healthgrpc.NewHealthClient(b.conn)
	for _, name := range []string{"", trafficService} {
		got, err := client.Check(t.Context(), &healthgrpc.HealthCheckRequest{Service: name})
		if err != nil || got.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v; want SERVING", name, got, err)
		}
	}
	b.server.SetServing(trafficService, false)
	got, err := client.Check(t.Context(), &healthgrpc.HealthCheckRequest{Service: trafficService})
	if err != nil || got.GetStatus() != healthgrpc.HealthCheckResponse_NOT_SERVING {
		t.Errorf("after SetServing(false): %v, %v", got, err)
	}
}

func TestATokenIsAskedForAndNeverShown(t *testing.T) {
	const token = "open-sesame-4711"
	b := setup(t, &traffic{watch: func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error { return nil }}, grpcserver.Config{Token: token})
	watch := func(ctx context.Context) error {
		stream, err := b.client.WatchRoutes(ctx, &trafficpb.WatchRoutesRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for header, want := range map[string]codes.Code{
		"":                      codes.Unauthenticated,
		"Bearer wrong":          codes.Unauthenticated,
		"Bearer " + token + "x": codes.Unauthenticated,
		"Bearer":                codes.Unauthenticated,
		token:                   codes.Unauthenticated,
		"Basic " + token:        codes.Unauthenticated,
		"Bearer " + token:       codes.OK,
		"bearer " + token:       codes.OK,
	} {
		ctx := t.Context()
		if header != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", header)
		}
		if _, err := b.client.ApplyRoutes(ctx, request()); status.Code(err) != want {
			t.Errorf("unary with %q: %v, want %v", header, err, want)
		} else if strings.Contains(status.Convert(err).Message(), token) {
			t.Errorf("the message shows the token: %v", err)
		}
		err := watch(ctx)
		if got := status.Code(err); want == codes.Unauthenticated && got != want {
			t.Errorf("stream with %q: %v, want %v", header, err, want)
		} else if want == codes.OK && err.Error() != "EOF" {
			t.Errorf("stream with %q: %v, want its end", header, err)
		}
	}
	// Those who check health have no token.
	if _, err := healthgrpc.NewHealthClient(b.conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil {
		t.Errorf("health without token: %v", err)
	}
	if strings.Contains(b.log.String(), token) {
		t.Errorf("the log shows the token: %s", b.log)
	}
}

func TestAnInvalidRequestWithoutTheTokenIsUnauthenticated(t *testing.T) {
	b := setup(t, &traffic{}, grpcserver.Config{Token: "open-sesame"})
	if _, err := b.client.ApplyRoutes(t.Context(), &trafficpb.ApplyRoutesRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("error is %v: strangers learn the rules", err)
	}
}

func TestStopLetsACallEndAndEndsStreams(t *testing.T) {
	inCall, finish := make(chan struct{}), make(chan struct{})
	b := setup(t, &traffic{
		apply: func(context.Context) error {
			close(inCall)
			<-finish
			return nil
		},
		watch: func(s grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
			if err := s.Send(&trafficpb.WatchRoutesResponse{Snapshot: true}); err != nil {
				return err
			}
			<-s.Context().Done()
			return s.Context().Err()
		},
	}, grpcserver.Config{})
	stream, err := b.client.WatchRoutes(t.Context(), &trafficpb.WatchRoutesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	call := make(chan error, 1)
	go func() {
		_, err := b.client.ApplyRoutes(t.Context(), request())
		call <- err
	}()
	<-inCall
	stopped := make(chan struct{})
	go func() {
		b.stop(t, time.Minute)
		close(stopped)
	}()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v, want Unavailable", err)
	}
	select {
	case <-stopped:
		t.Error("Stop does not wait for the call")
	default:
	}
	close(finish)
	if err := <-call; err != nil {
		t.Errorf("the call under way ends with %v", err)
	}
	<-stopped
	if _, err := net.DialTimeout("tcp", b.server.Addr(), time.Second); err == nil {
		t.Error("the stopped server still listens")
	}
}

func TestStopIsBounded(t *testing.T) {
	inCall := make(chan struct{})
	b := setup(t, &traffic{apply: func(ctx context.Context) error {
		close(inCall)
		<-ctx.Done() // ends only when it is cut off
		return ctx.Err()
	}}, grpcserver.Config{})
	call := make(chan error, 1)
	go func() {
		_, err := b.client.ApplyRoutes(t.Context(), request())
		call <- err
	}()
	<-inCall
	began := time.Now()
	b.stop(t, 50*time.Millisecond)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	if err := <-call; err == nil {
		t.Error("the call that was cut off ends well")
	}
	b.stop(t, 50*time.Millisecond) // again
}

func TestAServerThatNeverStartedFreesItsPort(t *testing.T) {
	s, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(t.Context())
	s.Start() // too late: nothing happens
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = listener.Close()
}

func TestATakenPortIsOneClearSentence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	addr := listener.Addr().String()
	_, err = grpcserver.New(nil, grpcserver.Config{Addr: addr})
	if want := addr + " is in use by another program: stop it or choose another address"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestOtherMachinesNeedTLSAndAToken(t *testing.T) {
	tls := grpcserver.Config{TLSCert: "c.pem", TLSKey: "k.pem", Token: "t"}
	for addr, loopback := range map[string]bool{
		"127.0.0.1:7001": true, "localhost:7001": true, "[::1]:7001": true,
		"0.0.0.0:7001": false, ":7001": false, "[::]:7001": false, "192.0.2.1:7001": false, "example.com:7001": false,
	} {
		cfg := grpcserver.Config{Addr: addr}
		if err := cfg.Validate(); (err == nil) != loopback {
			t.Errorf("%s in plain: %v", addr, err)
		}
		cfg.Insecure = true
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s with leave: %v", addr, err)
		}
		safe := tls
		safe.Addr = addr
		if err := safe.Validate(); err != nil {
			t.Errorf("%s with TLS and token: %v", addr, err)
		}
		safe.Token = ""
		if err := safe.Validate(); (err == nil) != loopback {
			t.Errorf("%s with TLS, no token: %v", addr, err)
		}
	}
	err := grpcserver.Config{Addr: "nonsense", TLSCert: "c.pem"}.Validate()
	if p := problem.As(err); !errors.Is(err, problem.InvalidArgument) || len(p.Violations) != 2 {
		t.Errorf("two broken rules: %v, want both", err)
	}
}

func TestATextWithNULIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{}, grpcserver.Config{})
	for field, req := range map[string]*trafficpb.ApplyRoutesRequest{
		"routes.service":               {Routes: &trafficpb.Routes{Service: "a\x00"}},
		"routes.target_groups[1].name": {Routes: &trafficpb.Routes{Service: "a", TargetGroups: []*trafficpb.TargetGroup{{Name: "a"}, {Name: "\x00"}}}},
		"routes.listeners[0].address":  {Routes: &trafficpb.Routes{Service: "a", Listeners: []*trafficpb.Listener{{Address: "x\x00:1"}}}},
	} {
		_, err := b.client.ApplyRoutes(t.Context(), req)
		if !strings.Contains(fmt.Sprint(err), field+": must not contain the character U+0000") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
