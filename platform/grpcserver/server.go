// Package grpcserver is a gRPC server as every Slipway service runs it: reflection (v1, v1alpha), health, request
// validation (protovalidate), problems as statuses, panics caught, calls logged and measured, an optional bearer
// token and TLS, and on the same port the same methods for those who speak Connect, gRPC-Web or JSON over HTTP (package
// edge). It knows no service.
package grpcserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
)

const (
	maxMessage  = 64 << 20         // bytes, received or sent
	minPing     = 5 * time.Second  // clients may ping each 10 s; below this they are cut off
	pingAfter   = 30 * time.Second // of silence, to find dead clients
	pingTimeout = 10 * time.Second
)

// Server is one listener with one set of services. Register all, then Start.
type Server struct {
	log      *slog.Logger
	listener *split
	grpc     *grpc.Server
	http     httpSide
	origins  []string
	health   *health.Server
	token    *[sha256.Size]byte // hash of the wanted token; nil for none
	validate protovalidate.Validator

	stopping chan struct{} // closed when Stop begins
	served   chan struct{} // closed when Serve has returned
	stopOnce sync.Once
	mu       sync.Mutex
	started  bool
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// New binds the listener at once, so that a taken port is told before anything else starts. The server answers
// only after Start. A configuration that would serve other machines without TLS and token is refused; see
// Config.
func New(log *slog.Logger, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make the request validator: %w", err)
	}
	s := &Server{
		log: log, validate: validator, health: health.NewServer(),
		stopping: make(chan struct{}), served: make(chan struct{}),
	}
	if cfg.Token != "" {
		sum := sha256.Sum256([]byte(cfg.Token))
		s.token = &sum
	}
	listener, err := cfg.listen()
	if err != nil {
		return nil, err
	}
	s.listener, s.origins = listener, cfg.AllowedOrigins
	s.grpc = grpc.NewServer(s.options()...)
	healthgrpc.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus("", healthgrpc.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
			return !isHealth(info.FullMethodName)
		}))),
		// Outermost first: what is logged is what the caller gets.
		grpc.ChainUnaryInterceptor(s.logUnary, s.statusUnary, s.recoverUnary, s.tokenUnary, s.validateUnary),
		grpc.ChainStreamInterceptor(s.logStream, s.statusStream, s.recoverStream, s.tokenStream, s.validateStream),
	}
}

// Register adds a service; its health is reported under the service's full name.
func (s *Server) Register(desc *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(desc, impl)
	s.health.SetServingStatus(desc.ServiceName, healthgrpc.HealthCheckResponse_NOT_SERVING)
}

// RegisterService is Register, for the generated Register functions.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) { s.Register(desc, impl) }

// Start serves in the background. Starting twice, or after Stop, does nothing.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.isStopping() {
		return
	}
	s.started = true
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, healthgrpc.HealthCheckResponse_SERVING)
	}
	s.health.SetServingStatus("", healthgrpc.HealthCheckResponse_SERVING)
	reflection.Register(s.grpc)
	go s.listener.run()
	s.startHTTP()
	go func() {
		defer close(s.served)
		if err := s.grpc.Serve(s.listener.grpc); err != nil && !errors.Is(err, grpc.ErrServerStopped) && !s.isStopping() {
			s.log.Error("gRPC server ended", "addr", s.Addr(), "error", err)
		}
	}()
	s.log.Info("serving gRPC", "addr", s.Addr())
}

// Addr is where the server listens, with the real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetServing tells health checkers whether a service, or with the empty name the whole server, is up to work.
func (s *Server) SetServing(service string, serving bool) {
	status := healthgrpc.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthgrpc.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(service, status)
}

// Stop reports NOT_SERVING, refuses new calls, ends the context of streams (they would never end by themselves;
// their clients reopen elsewhere), waits for the calls under way until ctx ends, then cuts them off. It returns
// when no handler runs any more. Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) {
	s.stopOnce.Do(func() {
		s.health.Shutdown()
		s.mu.Lock()
		close(s.stopping)
		started := s.started
		s.mu.Unlock()
		if !started {
			_ = s.listener.Close()
			s.grpc.Stop()
			return
		}
		_ = s.listener.Close()
		graceful := make(chan struct{})
		go func() {
			defer close(graceful)
			var both sync.WaitGroup
			both.Go(func() { s.http.stop(ctx) })
			both.Go(s.grpc.GracefulStop)
			both.Wait()
		}()
		select {
		case <-graceful:
		case <-ctx.Done():
			s.log.Warn("calls under way were cut off", "addr", s.Addr())
			s.grpc.Stop()
			<-graceful
		}
		<-s.served
	})
}

func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
