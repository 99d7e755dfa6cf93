package grpcserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/internal/rpcstatus"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const reasonInternal = "INTERNAL"

// panicError is a handler's panic with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return "panic in a handler" }

func (s *Server) statusUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	if err != nil {
		return nil, s.toStatus(ctx, info.FullMethod, err).Err()
	}
	return resp, nil
}

func (s *Server) statusStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	handled := make(chan struct{})
	defer close(handled)
	go func() {
		select {
		case <-s.stopping:
			cancel(errStopping())
		case <-handled:
		}
	}()
	err := handler(srv, &contextStream{ServerStream: stream, ctx: ctx})
	if err == nil {
		return nil
	}
	// A handler that ends because the server stops says "canceled"; its client must read "try again".
	if stop := problem.As(context.Cause(ctx)); stop != nil && problem.As(err) == nil && errors.Is(err, context.Canceled) {
		err = stop
	}
	return s.toStatus(ctx, info.FullMethod, err).Err()
}

func errStopping() error {
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the server is stopping; call again")
}

// contextStream is a stream whose context ends when the server stops.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // grpc.ServerStream.Context is how a stream hands it out
}

func (s *contextStream) Context() context.Context { return s.ctx }

// toStatus is the one place where an error becomes a status. What no problem, status or context explains is
// masked: the caller gets an id, the log the cause under that id.
func (s *Server) toStatus(ctx context.Context, method string, err error) *status.Status {
	if p := problem.As(err); p != nil {
		if p.Kind == problem.Internal {
			id := s.logInternal(ctx, method, err)
			p = p.With("id", id)
		}
		return rpcstatus.FromProblem(p)
	}
	if st := rpcstatus.In(err); st != nil {
		return st
	}
	switch {
	case errors.Is(err, context.Canceled):
		return rpcstatus.FromProblem(problem.New(problem.Canceled, "", "the call was canceled"))
	case errors.Is(err, context.DeadlineExceeded):
		return rpcstatus.FromProblem(problem.New(problem.DeadlineExceeded, "", "the call did not end in time"))
	}
	id := s.logInternal(ctx, method, err)
	return rpcstatus.FromProblem(problem.New(problem.Internal, reasonInternal,
		"internal error; the service's log has the cause under id %s", id).With("id", id))
}

func (s *Server) logInternal(ctx context.Context, method string, err error) string {
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	id := hex.EncodeToString(raw)
	attrs := []slog.Attr{slog.String("id", id), slog.String("method", method), slog.String("error", err.Error())}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.Any("panic", p.value), slog.String("stack", string(p.stack)))
	}
	s.log.LogAttrs(ctx, slog.LevelError, "internal error", attrs...)
	return id
}

func (s *Server) recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if value := recover(); value != nil {
			resp, err = nil, &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return handler(ctx, req)
}

func (s *Server) recoverStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return handler(srv, stream)
}
