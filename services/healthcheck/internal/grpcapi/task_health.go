package grpcapi

import (
	"context"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
)

// TestTaskHealth says what the health of an imagined task would be, by the same rule as the runtimes.
func (s *Server) TestTaskHealth(_ context.Context, req *healthcheckpb.TestTaskHealthRequest) (*healthcheckpb.TestTaskHealthResponse, error) {
	containers := make([]runtime.CheckedContainer, len(req.GetContainers()))
	for i, c := range req.GetContainers() {
		containers[i] = runtime.CheckedContainer{
			Essential: c.Essential == nil || c.GetEssential(), HasCheck: c.GetHasHealthCheck(),
			Health: runtime.Health(strings.TrimPrefix(c.GetHealth().String(), "HEALTH_")),
		}
	}
	health := runtime.TaskHealth(containers)
	return &healthcheckpb.TestTaskHealthResponse{Health: healthcheckpb.Health(healthcheckpb.Health_value["HEALTH_"+string(health)])}, nil
}
