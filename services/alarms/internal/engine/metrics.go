package engine

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// Metrics measures evaluations. The zero value measures nothing.
type Metrics struct {
	evaluations metric.Int64Counter
	changes     metric.Int64Counter
	failures    metric.Int64Counter
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (Metrics, error) {
	evaluations, err := meter.Int64Counter("slipway.alarms.evaluations", metric.WithDescription("Evaluations of alarms."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of evaluations: %w", err)
	}
	changes, err := meter.Int64Counter("slipway.alarms.state.changes", metric.WithDescription("Changes of alarms' states, by the new state."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of evaluations: %w", err)
	}
	failures, err := meter.Int64Counter("slipway.alarms.source.failures", metric.WithDescription("Questions to sources of metrics that got no answer."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of evaluations: %w", err)
	}
	return Metrics{evaluations: evaluations, changes: changes, failures: failures}, nil
}

func (m Metrics) evaluated(ctx context.Context) {
	if m.evaluations != nil {
		m.evaluations.Add(ctx, 1)
	}
}

func (m Metrics) changed(ctx context.Context, state alarm.State) {
	if m.changes != nil {
		m.changes.Add(ctx, 1, metric.WithAttributes(attribute.String("state", string(state))))
	}
}

func (m Metrics) unread(ctx context.Context) {
	if m.failures != nil {
		m.failures.Add(ctx, 1)
	}
}
