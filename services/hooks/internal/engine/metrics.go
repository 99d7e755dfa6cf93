package engine

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Metrics measures calls. The zero value measures nothing.
type Metrics struct {
	calls metric.Float64Histogram
}

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (Metrics, error) {
	calls, err := meter.Float64Histogram("slipway.hooks.call.duration", metric.WithUnit("s"),
		metric.WithDescription("How long calls of hook handlers took, by kind of target and by what came back."))
	if err != nil {
		return Metrics{}, fmt.Errorf("make the instruments of calls: %w", err)
	}
	return Metrics{calls: calls}, nil
}

func (m Metrics) attempted(ctx context.Context, kind invocation.TargetKind, r handler.Reply, took time.Duration) {
	if m.calls == nil {
		return
	}
	m.calls.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("target", string(kind)), attribute.String("result", result(r))))
}

// result has few values: what a handler answers in its own words is not for a label.
func result(r handler.Reply) string {
	a, answered := r.Event.(invocation.Answered)
	if !answered {
		return "NO_ANSWER"
	}
	switch status := a.Answer.Status; status {
	case invocation.AnswerSucceeded, invocation.AnswerFailed, invocation.AnswerInProgress:
		if a.Answer.Broken == "" {
			return status
		}
	}
	return "NOT_UNDERSTOOD"
}
