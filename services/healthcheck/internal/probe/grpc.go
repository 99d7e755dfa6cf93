package probe

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// grpc calls the health protocol, or any method with an empty message; the code that the target answers decides.
func (p *Prober) grpc(ctx context.Context, c verdict.Check, address string) verdict.Result {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithUserAgent(userAgent))
	if err != nil {
		return failed(verdict.FailedHealthChecks, "Health checks failed: %s", err)
	}
	defer conn.Close()
	answer := &grpc_health_v1.HealthCheckResponse{}
	var header, trailer metadata.MD
	options := []grpc.CallOption{grpc.Header(&header), grpc.Trailer(&trailer)}
	if c.Path == verdict.HealthPath {
		err = conn.Invoke(ctx, c.Path, &grpc_health_v1.HealthCheckRequest{}, answer, options...)
	} else {
		err = conn.Invoke(ctx, c.Path, &emptypb.Empty{}, &emptypb.Empty{}, options...)
	}
	if ctx.Err() != nil {
		return failed(verdict.Timeout, "Request timed out")
	}
	if err != nil && len(header) == 0 && len(trailer) == 0 {
		// The client makes codes of its own, UNAVAILABLE for a closed port; a server's answer has metadata, if only its type.
		return failed(verdict.FailedHealthChecks, "Health checks failed: %s", status.Convert(err).Message())
	}
	code := status.Code(err)
	matcher, bad := verdict.ParseMatcher(c.Matcher, 0, 99)
	if bad != nil || !matcher.Matches(int(code)) {
		return failed(verdict.ResponseCodeMismatch, "Health checks failed with these codes: [%d]", code)
	}
	if c.Path == verdict.HealthPath && err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return failed(verdict.FailedHealthChecks, "Health checks failed: the target says %s", answer.GetStatus())
	}
	return verdict.Result{OK: true}
}
