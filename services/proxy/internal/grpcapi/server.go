// Package grpcapi serves slipway.traffic.v1 from the engine. It converts and decides nothing.
package grpcapi

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/wire"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// DataPlane is what the server serves.
type DataPlane interface {
	traffic.Traffic
	// Applied is what is in force for a service; false when it has no routes.
	Applied(service string) (traffic.Applied, bool)
}

// Server is the TrafficService.
type Server struct {
	trafficpb.UnimplementedTrafficServiceServer
	plane DataPlane
}

var _ trafficpb.TrafficServiceServer = (*Server)(nil)

// New returns the TrafficService of the data plane.
func New(plane DataPlane) *Server { return &Server{plane: plane} }

// ApplyRoutes replaces the routes of one service.
func (s *Server) ApplyRoutes(ctx context.Context, req *trafficpb.ApplyRoutesRequest) (*trafficpb.ApplyRoutesResponse, error) {
	routes := wire.Routes(req.GetRoutes())
	if err := s.plane.Apply(ctx, req.GetGeneration(), routes); err != nil {
		return nil, inRequest(err)
	}
	resp := &trafficpb.ApplyRoutesResponse{}
	if applied, ok := s.plane.Applied(routes.Service); ok {
		resp.Applied = wire.AppliedPB(applied)
	}
	return resp, nil
}

// DeleteRoutes removes the routes of one service.
func (s *Server) DeleteRoutes(ctx context.Context, req *trafficpb.DeleteRoutesRequest) (*trafficpb.DeleteRoutesResponse, error) {
	if err := s.plane.Delete(ctx, req.GetGeneration(), req.GetService()); err != nil {
		return nil, err
	}
	return &trafficpb.DeleteRoutesResponse{}, nil
}

// WatchRoutes streams what is in force: first a snapshot of every service, then changes.
func (s *Server) WatchRoutes(_ *trafficpb.WatchRoutesRequest, stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	err := s.plane.Watch(ctx, func(u traffic.Update) {
		resp := &trafficpb.WatchRoutesResponse{Snapshot: u.Snapshot, RemovedServices: u.Removed}
		for _, applied := range u.Services {
			resp.Services = append(resp.Services, wire.AppliedPB(applied))
		}
		if err := stream.Send(resp); err != nil {
			cancel(err)
		}
	})
	if err != nil {
		return err
	}
	return context.Cause(ctx)
}

// inRequest names fields as the request has them: the port's routes are its field "routes".
func inRequest(err error) error {
	p := problem.As(err)
	if p == nil || len(p.Violations) == 0 {
		return err
	}
	violations := make([]problem.Violation, len(p.Violations))
	for i, v := range p.Violations {
		if v.Field != "generation" && !strings.HasPrefix(v.Field, "routes.") {
			v.Field = "routes." + v.Field
		}
		violations[i] = v
	}
	return problem.Violated(violations...)
}
