package grpcserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// secureClient is an HTTP client that offers h2 and http/1.1, or only the latter.
func secureClient(trusts *tls.Config, http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: trusts.Clone(), ForceAttemptHTTP2: http2}}
}

func TestWithTLSBrowsersGetHTTP2(t *testing.T) {
	t.Parallel()
	cert, key, trusts := certificate(t)
	b := setup(t, &traffic{}, grpcserver.Config{TLSCert: cert, TLSKey: key})
	for want, client := range map[string]*http.Client{"HTTP/2.0": secureClient(trusts, true), "HTTP/1.1": secureClient(trusts, false)} {
		resp, err := client.Get("https://" + b.server.Addr() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.Proto != want || resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s, want %s", resp.Proto, resp.Status, want)
		}
	}
}

func TestPlainHTTPOnATLSPortIsToldSo(t *testing.T) {
	t.Parallel()
	cert, key, _ := certificate(t)
	b := setup(t, &traffic{}, grpcserver.Config{TLSCert: cert, TLSKey: key})
	status, text, _ := post(t, http.MethodGet, "http://"+b.server.Addr()+"/healthz", "")
	if status != http.StatusBadRequest || !strings.Contains(text, "use https://") {
		t.Errorf("%d %s", status, text)
	}
}

// Clients that offer http/1.1 beside h2 reach gRPC through net/http; reflection is a stream in both directions.
func TestReflectionWorksThroughHTTP2(t *testing.T) {
	t.Parallel()
	cert, key, trusts := certificate(t)
	b := setup(t, &traffic{}, grpcserver.Config{TLSCert: cert, TLSKey: key})
	for name, option := range map[string]connect.ClientOption{"gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(), "Connect, JSON": connect.WithProtoJSON()} {
		client := connect.NewClient[reflectionv1.ServerReflectionRequest, reflectionv1.ServerReflectionResponse](
			secureClient(trusts, true), "https://"+b.server.Addr()+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", option)
		stream := client.CallBidiStream(t.Context())
		for range 2 {
			if err := stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
				t.Fatal(name, err)
			}
			answer, err := stream.Receive()
			if err != nil || len(answer.GetListServicesResponse().GetService()) < 4 {
				t.Fatalf("%s: %v, %v", name, answer, err)
			}
		}
		if err := stream.CloseRequest(); err != nil {
			t.Error(name, err)
		}
		if _, err := stream.Receive(); err == nil || !strings.Contains(err.Error(), io.EOF.Error()) {
			t.Errorf("%s: the stream ended with %v", name, err)
		}
		_ = stream.CloseResponse()
	}
}

func TestAWatcherOverHTTP2ThatGoesAwayFreesItsHandler(t *testing.T) {
	t.Parallel()
	cert, key, trusts := certificate(t)
	freed := make(chan struct{}, 3)
	b := setup(t, &traffic{watch: func(stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		defer func() { freed <- struct{}{} }()
		return endless(stream)
	}}, grpcserver.Config{TLSCert: cert, TLSKey: key})
	for name, options := range map[string][]connect.ClientOption{"connect": nil, "gRPC-Web": {connect.WithGRPCWeb()}, "gRPC": {connect.WithGRPC()}} {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := webClient(secureClient(trusts, true), "https://"+b.server.Addr(), options...).watch.
			CallServerStream(ctx, connect.NewRequest(&trafficpb.WatchRoutesRequest{}))
		if err != nil || !stream.Receive() {
			t.Fatal(name, err)
		}
		cancel()
		select {
		case <-freed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the handler goes on", name)
		}
		_ = stream.Close()
	}
}

// endless sends one message and waits for the end of its context.
func endless(stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	if err := stream.Send(&trafficpb.WatchRoutesResponse{Snapshot: true}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}
