package dataplane

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// grpcTarget serves gRPC's health service: a unary call and an endless server stream.
func grpcTarget(t *testing.T) (string, *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		ss.SetTrailer(metadata.Pairs("x-trailer", "end"))
		return h(srv, ss)
	}))
	h := health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), h
}

func grpcClient(t *testing.T, address string) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestGRPCCallsComeWithTheirStatusAndTrailers(t *testing.T) {
	address, h := grpcTarget(t)
	h.SetServingStatus("known", healthpb.HealthCheckResponse_NOT_SERVING)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", traffic.GRPC, open(address))))
	c := grpcClient(t, b.address)
	res, err := c.Check(within(t), &healthpb.HealthCheckRequest{Service: "known"})
	if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v, %v", res, err)
	}
	if _, err := c.Check(within(t), &healthpb.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "unknown service") {
		t.Errorf("got %v", err)
	}
	if got := b.count("HTTPCode_Target_2XX_Count"); got != 2 {
		t.Errorf("%d answers were counted", got)
	}
}

func TestAGRPCStreamLivesThroughASwitchUntilItsDrainTime(t *testing.T) {
	old, h := grpcTarget(t)
	fresh, _ := grpcTarget(t)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", traffic.GRPC, open(old))))
	c := grpcClient(t, b.address)
	stream, err := c.Watch(within(t), &healthpb.HealthCheckRequest{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if res, err := stream.Recv(); err != nil || res.GetStatus() != want {
			t.Fatalf("got %v, %v, want %v", res, err, want)
		}
	}
	expect(healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
	b.apply(all(groupOf("blue", traffic.GRPC, draining(old, time.Now().Add(time.Hour)), open(fresh))))
	for range 5 {
		h.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
		expect(healthpb.HealthCheckResponse_SERVING)
		h.SetServingStatus("shop", healthpb.HealthCheckResponse_NOT_SERVING)
		expect(healthpb.HealthCheckResponse_NOT_SERVING)
		// The same connection of the client carries new calls to the new target, which does not know the service.
		if _, err := c.Check(within(t), &healthpb.HealthCheckRequest{Service: "shop"}); status.Code(err) != codes.NotFound {
			t.Fatalf("a new call got %v", err)
		}
	}
	b.apply(all(groupOf("blue", traffic.GRPC, draining(old, time.Now()), open(fresh))))
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "drain time") {
		t.Errorf("the stream ended with %v", err)
	}
	b.awaitDrained(old)
}

// resetting is a target whose streams all end with an error code of HTTP/2, before or after a response's header.
func resetting(t *testing.T, code http2.ErrCode, header bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
				framer := http2.NewFramer(nc, nc)
				_ = framer.WriteSettings()
				for {
					f, err := framer.ReadFrame()
					if err != nil {
						return
					}
					if _, ok := f.(*http2.HeadersFrame); !ok {
						continue
					}
					if header {
						var block bytes.Buffer
						e := hpack.NewEncoder(&block)
						_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
						_ = e.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
						_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Header().StreamID, BlockFragment: block.Bytes(), EndHeaders: true})
					}
					if code == http2.ErrCodeNo {
						return // and the connection with it
					}
					_ = framer.WriteRSTStream(f.Header().StreamID, code)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestAGRPCCallThatItsTargetBreaksOffEndsAsItWouldWithoutAProxy(t *testing.T) {
	for code, want := range map[http2.ErrCode]codes.Code{
		http2.ErrCodeNo:              codes.Unavailable, // a lost connection
		http2.ErrCodeCancel:          codes.Canceled,
		http2.ErrCodeInternal:        codes.Internal,
		http2.ErrCodeEnhanceYourCalm: codes.ResourceExhausted,
	} {
		for _, header := range []bool{false, true} {
			address := resetting(t, code, header)
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", traffic.GRPC, open(address))))
			for name, at := range map[string]string{"direct": address, "proxy": b.address} {
				_, err := grpcClient(t, at).Check(within(t), &healthpb.HealthCheckRequest{})
				if status.Code(err) != want {
					t.Errorf("%v, header %v, %s: %v, want %v", code, header, name, err, want)
				}
			}
		}
	}
}

func TestADeadlineThatEndsAtTheTargetFirstIsOneForTheClient(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	cancelled := http2.StreamError{Code: http2.ErrCodeCancel}
	for timeout, want := range map[string]codes.Code{"50m": codes.DeadlineExceeded, "1H": codes.Canceled, "": codes.Canceled, "x": codes.Canceled, "5x": codes.Canceled} {
		r.Header.Set("Grpc-Timeout", timeout)
		if got := grpcCode(cancelled, r, time.Now().Add(-time.Second)); got != want {
			t.Errorf("timeout %q: %v, want %v", timeout, got, want)
		}
	}
}

func TestAGRPCClientHearsThatThereIsNoTarget(t *testing.T) {
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", traffic.GRPC)))
	_, err := grpcClient(t, b.address).Check(within(t), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), `target group "blue" has no target`) {
		t.Errorf("got %v", err)
	}
}

func TestGRPCBidirectionalStreamsFlow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		ss.SetTrailer(metadata.Pairs("x-trailer", "end"))
		for {
			m := &healthpb.HealthCheckRequest{}
			if err := ss.RecvMsg(m); errors.Is(err, io.EOF) {
				return status.Error(codes.DataLoss, "100% of it: é")
			} else if err != nil {
				return err
			}
			if err := ss.SendMsg(m); err != nil {
				return err
			}
		}
	}))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", traffic.GRPC, open(l.Addr().String()))))
	conn, err := grpc.NewClient(b.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := conn.NewStream(within(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/any/Echo")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1<<20)
	for _, text := range []string{"a", "", long, "b"} {
		got := &healthpb.HealthCheckRequest{}
		if err := stream.SendMsg(&healthpb.HealthCheckRequest{Service: text}); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(got); err != nil || got.GetService() != text {
			t.Fatalf("%d bytes came back, %v", len(got.GetService()), err)
		}
	}
	_ = stream.CloseSend()
	err = stream.RecvMsg(&healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.DataLoss || status.Convert(err).Message() != "100% of it: é" {
		t.Errorf("the stream ended with %v", err)
	}
	if got := stream.Trailer().Get("x-trailer"); len(got) != 1 || got[0] != "end" {
		t.Errorf("trailers %v", stream.Trailer())
	}
}
