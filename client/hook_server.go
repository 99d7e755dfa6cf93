package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// stopTimeout is how long calls under way may take when ServeHooks ends.
const stopTimeout = 10 * time.Second

// ServeHooks answers lifecycle hooks on the listener with the handler until the context ends. Calls under way may then
// take 10 s to end; those that take longer are cut off, their contexts end, and the hooks service makes them again. It
// returns nil when the context has ended, and the listener is closed in any case.
//
// Register a hook with the address, once, with Hooks.RegisterHook, and name it in the deployment configuration of a service.
//
// The hooks service sends no credentials: let no one else reach the listener. A hook with tls set is called with TLS, the
// certificate checked with the system's authorities; give the certificate as grpc.Creds. Reflection and health are served
// too, so grpcurl works on the address.
func ServeHooks(ctx context.Context, l net.Listener, h HookHandler, opts ...grpc.ServerOption) error {
	return serveHooks(ctx, stopTimeout, l, h, opts...)
}

func serveHooks(ctx context.Context, patience time.Duration, l net.Listener, h HookHandler, opts ...grpc.ServerOption) error {
	server := grpc.NewServer(opts...)
	hookspb.RegisterHookHandlerServiceServer(server, NewHookServer(h))
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	served, ended := make(chan error, 1), make(chan struct{})
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		server.Stop()
		return fmt.Errorf("serve hooks on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	go func() {
		defer close(ended)
		server.GracefulStop() // it waits for handlers that heed no context, too
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		server.Stop()
	}
	return nil
}

// NewHookServer is the handler for a gRPC server of your own: hookspb.RegisterHookHandlerServiceServer takes it.
func NewHookServer(h HookHandler) hookspb.HookHandlerServiceServer { return hookServer{handle: h} }

type hookServer struct {
	hookspb.UnimplementedHookHandlerServiceServer
	handle HookHandler
}

// HandleHook calls the handler.
func (s hookServer) HandleHook(ctx context.Context, req *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	result, err := s.answer(ctx, invocationFrom(req))
	if err != nil {
		return nil, err
	}
	response, err := result.response()
	if err != nil {
		return Failed("%s", err).response()
	}
	return response, nil
}

// answer is the handler's result, or a status that makes the hooks service call again.
func (s hookServer) answer(ctx context.Context, i Invocation) (Result, error) {
	result, err := s.call(ctx, i)
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return Result{}, status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, Unavailable):
		return Result{}, status.Error(codes.Unavailable, cut(err.Error()))
	default:
		return Failed("%s", err), nil
	}
}

// call calls the handler and makes a panic a failure: it would come again with each attempt.
func (s hookServer) call(ctx context.Context, i Invocation) (result Result, err error) {
	defer func() {
		if value := recover(); value != nil {
			//nolint:sloglint // as net/http: a panic that no one sees is worse than one in the program's default log
			slog.ErrorContext(ctx, "a hook handler panicked", "invocation", i.ID, "attempt", i.Attempt, "panic", value, "stack", string(debug.Stack()))
			result, err = Failed("the handler panicked: %v", value), nil
		}
	}()
	return s.handle(ctx, i)
}
