package grpcserver

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/edge"
)

func (s *Server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	began := time.Now()
	resp, err := handler(ctx, req)
	s.logCall(ctx, info.FullMethod, began, err)
	return resp, err
}

func (s *Server) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	began := time.Now()
	err := handler(srv, stream)
	s.logCall(stream.Context(), info.FullMethod, began, err)
	return err
}

// logCall writes one line for each call: the caller's own mistakes at info, ours at warn, the rest at debug.
func (s *Server) logCall(ctx context.Context, method string, began time.Time, err error) {
	st := status.Convert(err)
	level := levelOf(st.Code())
	if isHealth(method) || strings.HasPrefix(method, "/grpc.reflection.") {
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", st.Code().String()), slog.Duration("took", time.Since(began)),
	}
	if addr := callerOf(ctx); addr != "" {
		attrs = append(attrs, slog.String("peer", addr))
	}
	if st.Code() != codes.OK {
		attrs = append(attrs, slog.String("error", st.Message()))
	}
	s.log.LogAttrs(ctx, level, "call", attrs...)
}

// callerOf is the address that the call came from. A call over HTTP comes through the pipe, and package edge says from where;
// others cannot say so.
func callerOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if p.Addr.Network() == pipeNetwork {
		if hops := metadata.ValueFromIncomingContext(ctx, edge.Caller); len(hops) > 0 {
			return hops[len(hops)-1]
		}
	}
	return p.Addr.String()
}

func levelOf(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.Canceled:
		return slog.LevelDebug
	case codes.Internal, codes.Unknown, codes.DataLoss, // their cause has a line of its own, at error
		codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
