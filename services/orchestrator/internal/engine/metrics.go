package engine

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Metrics measures the engine's work. The zero value measures nothing.
type Metrics struct {
	events metric.Int64Counter
	steps  metric.Float64Histogram
	stuck  metric.Int64Gauge
	shards metric.Int64Gauge
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (Metrics, error) {
	var m Metrics
	var errs [4]error
	m.events, errs[0] = meter.Int64Counter("slipway.orchestrator.events",
		metric.WithDescription("Events of deployments and services that were saved, by name."))
	m.steps, errs[1] = meter.Float64Histogram("slipway.orchestrator.step.duration", metric.WithUnit("s"),
		metric.WithDescription("How long it took to decide, persist and converge a change, by result."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	m.stuck, errs[2] = meter.Int64Gauge("slipway.orchestrator.deployments.stuck",
		metric.WithDescription("Deployments of this replica that have not ended and would never go on by themselves; there should be none."))
	m.shards, errs[3] = meter.Int64Gauge("slipway.orchestrator.shards",
		metric.WithDescription("Shards of services that this replica works on, of 64."))
	return m, errors.Join(errs[:]...)
}

func (m Metrics) saved(ctx context.Context, events []rollout.Event) {
	if m.events == nil {
		return
	}
	for _, e := range events {
		m.events.Add(ctx, 1, metric.WithAttributes(attribute.String("name", e.Name)))
	}
}

func (m Metrics) stepped(ctx context.Context, took time.Duration, err error) {
	if m.steps == nil {
		return
	}
	result := "done"
	if err != nil {
		result = "failed"
	}
	m.steps.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("result", result)))
}

func (m Metrics) swept(ctx context.Context, stuck, shards int) {
	if m.stuck == nil {
		return
	}
	m.stuck.Record(ctx, int64(stuck))
	m.shards.Record(ctx, int64(shards))
}
