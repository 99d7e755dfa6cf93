package delivery

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Metrics measures deliveries. The zero value measures nothing.
type Metrics struct {
	calls   metric.Float64Histogram
	letters metric.Int64Counter
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (Metrics, error) {
	calls, err := meter.Float64Histogram("slipway.events.call.duration", metric.WithUnit("s"),
		metric.WithDescription("How long sending an event took, by kind of target and by whether it was taken."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of deliveries: %w", err)
	}
	letters, err := meter.Int64Counter("slipway.events.dead_letters",
		metric.WithDescription("Events that were given up, by kind of target."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of deliveries: %w", err)
	}
	return Metrics{calls: calls, letters: letters}, nil
}

func (m Metrics) sent(ctx context.Context, kind subscription.TargetKind, r event.Result, took time.Duration) {
	if m.calls == nil {
		return
	}
	result := "FAILED"
	switch {
	case r.Delivered:
		result = "DELIVERED"
	case r.Final:
		result = "REFUSED"
	}
	m.calls.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("target", string(kind)), attribute.String("result", result)))
}

func (m Metrics) dead(ctx context.Context, kind subscription.TargetKind) {
	if m.letters != nil {
		m.letters.Add(ctx, 1, metric.WithAttributes(attribute.String("target", string(kind))))
	}
}
