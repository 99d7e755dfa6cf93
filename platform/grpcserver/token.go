package grpcserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func (s *Server) tokenUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.authenticate(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (s *Server) tokenStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := s.authenticate(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handler(srv, stream)
}

// authenticate compares the bearer token in constant time. Health checks need none: those who make them have no
// token, and the answer tells nothing else. The token is in no message and no log.
func (s *Server) authenticate(ctx context.Context, method string) error {
	if s.token == nil || isHealth(method) {
		return nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 1 {
		scheme, token, ok := strings.Cut(values[0], " ")
		sum := sha256.Sum256([]byte(token))
		if ok && strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 {
			return nil
		}
	}
	return problem.New(problem.Unauthenticated, "UNAUTHENTICATED",
		"the bearer token is missing or wrong: send the header authorization: Bearer <token>")
}

func isHealth(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") }
