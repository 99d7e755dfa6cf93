package grpcapi

import (
	"google.golang.org/grpc"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/feed"
)

// WatchInvocations streams invocations: first a snapshot, then changes.
func (s *Server) WatchInvocations(req *hookspb.WatchInvocationsRequest, stream grpc.ServerStreamingServer[hookspb.WatchInvocationsResponse]) error {
	ctx := stream.Context()
	sub, err := s.feed.Subscribe(ctx, feed.Filter{Deployment: req.GetDeployment(), Service: req.GetService()})
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		changed, snapshot, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		resp := &hookspb.WatchInvocationsResponse{Snapshot: snapshot}
		for _, i := range changed {
			to, err := invocationTo(i)
			if err != nil {
				return err
			}
			resp.Invocations = append(resp.Invocations, to)
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}
