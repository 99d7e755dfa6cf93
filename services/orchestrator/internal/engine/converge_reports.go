package engine

import (
	"context"
	"errors"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// convergeReports passes the runtime's word on the health of tasks to the target groups that live by it (type CONTAINER).
func (w *worker) convergeReports(ctx context.Context, service rollout.Service, d rollout.Desired) error {
	var errs []error
	for _, report := range w.reports(service.Key(), d) {
		report.Service, report.Generation = service.Key(), d.Generation
		_, err := w.engine.Health.SetCustomHealth(ctx, report)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reports is what the target groups do not show yet.
func (w *worker) reports(service string, d rollout.Desired) []*healthcheckpb.SetCustomHealthRequest {
	f := w.engine.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.tasks.known || !f.targets.known {
		return nil
	}
	var list []*healthcheckpb.SetCustomHealthRequest
	for _, group := range d.TargetGroups {
		for _, t := range group.Targets {
			shown := f.targets.by[group.TargetGroup][t.ID]
			if shown.GetType() != healthcheckpb.HealthCheck_TYPE_CONTAINER {
				continue
			}
			report := &healthcheckpb.SetCustomHealthRequest{TargetGroup: group.TargetGroup, TargetId: t.ID}
			switch health := f.tasks.by[service][t.ID].Health; {
			case health == runtime.Healthy && shown.GetState() != healthcheckpb.TargetHealth_STATE_HEALTHY:
				report.Status = healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY
			case health == runtime.Unhealthy && shown.GetState() != healthcheckpb.TargetHealth_STATE_UNHEALTHY:
				report.Status, report.Description = healthcheckpb.SetCustomHealthRequest_STATUS_UNHEALTHY, "Container health checks failed"
			default:
				continue
			}
			list = append(list, report)
		}
	}
	return list
}
