// Package grpcapi serves slipway.traffic.v1.
package grpcapi

import (
	"context"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/traffic/wire"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/services/proxy/internal/engine"
)

// Server is the TrafficService.
type Server struct {
	trafficpb.UnimplementedTrafficServiceServer
	Engine *engine.Engine
}

// ApplyRoutes replaces a service's routes.
func (s *Server) ApplyRoutes(_ context.Context, req *trafficpb.ApplyRoutesRequest) (*trafficpb.ApplyRoutesResponse, error) {
	applied, err := s.Engine.Apply(req.GetGeneration(), wire.Routes(req.GetRoutes()))
	if err != nil {
		return nil, err
	}
	return &trafficpb.ApplyRoutesResponse{Applied: wire.AppliedPB(applied)}, nil
}

// DeleteRoutes removes a service's routes.
func (s *Server) DeleteRoutes(_ context.Context, req *trafficpb.DeleteRoutesRequest) (*trafficpb.DeleteRoutesResponse, error) {
	return &trafficpb.DeleteRoutesResponse{}, s.Engine.Delete(req.GetGeneration(), req.GetService())
}

// WatchRoutes streams a snapshot of what is in force, then changes.
func (s *Server) WatchRoutes(_ *trafficpb.WatchRoutesRequest, stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	sub := s.Engine.Hub().Subscribe(nil)
	defer sub.Close()
	for {
		changes, err := sub.Next(stream.Context())
		if err != nil {
			return err
		}
		resp := &trafficpb.WatchRoutesResponse{Snapshot: changes.Snapshot, RemovedServices: changes.Deleted}
		for _, applied := range changes.Set {
			resp.Services = append(resp.Services, wire.AppliedPB(applied))
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}
