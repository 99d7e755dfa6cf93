package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/slipway-deploy/slipway/platform/edge"
)

const (
	pipeBuffer    = 1 << 20 // bytes between the HTTP side and the gRPC server
	pipeNetwork   = "bufconn"
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// httpSide serves HTTP/1.1, and with TLS HTTP/2 too, by calling the gRPC server in the same process.
type httpSide struct {
	server *http.Server
	pipe   *bufconn.Listener
	conn   *grpc.ClientConn
}

// startHTTP serves what is no gRPC. What is registered is known by now.
func (s *Server) startHTTP() {
	pipe := bufconn.Listen(pipeBuffer)
	conn, err := grpc.NewClient("passthrough:///"+s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err == nil {
		var handler http.Handler
		handler, err = edge.Handler(s.grpc.GetServiceInfo(), conn, edge.Config{AllowedOrigins: s.origins, MaxBytes: maxMessage, Serving: s.serving})
		s.http = httpSide{pipe: pipe, conn: conn, server: &http.Server{
			Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
			HTTP2:    &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}}
	}
	if err != nil {
		s.log.Error("HTTP is not served", "addr", s.Addr(), "error", err)
		return
	}
	go func() { _ = s.grpc.Serve(pipe) }() // ends with the gRPC server
	go func() {
		if err := s.http.server.Serve(s.listener.http); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("HTTP server ended", "addr", s.Addr(), "error", err)
		}
	}()
}

func (s *Server) serving() bool {
	answer, err := s.health.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	return err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
}

// stop waits for the calls under way until ctx ends, then cuts them off.
func (h *httpSide) stop(ctx context.Context) {
	if h.server == nil {
		return
	}
	if err := h.server.Shutdown(ctx); err != nil {
		_ = h.server.Close()
	}
	_ = h.conn.Close()
}
