package engine

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// Metrics measures checks. The zero value measures nothing.
type Metrics struct {
	checks   metric.Float64Histogram
	lateness metric.Float64Histogram
	overdue  metric.Int64Counter
	unsaved  metric.Int64Counter
	results  map[outcome]metric.MeasurementOption
}

// outcome is what checks are told apart by.
type outcome struct {
	of     verdict.Type
	result string
}

const (
	passed       = "passed"
	failed       = "failed"
	inconclusive = "inconclusive"
)

// NewMetrics makes the instruments.
func NewMetrics(meter metric.Meter) (Metrics, error) {
	var m Metrics
	var errs [4]error
	m.checks, errs[0] = meter.Float64Histogram("slipway.healthcheck.check.duration", metric.WithUnit("s"),
		metric.WithDescription("How long checks of targets took, by type and result."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120))
	m.lateness, errs[1] = meter.Float64Histogram("slipway.healthcheck.check.lateness", metric.WithUnit("s"),
		metric.WithDescription("How long after its time a check began."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .015, .02, .025, .03, .04, .05, .075, .1, .15, .2, .3, .5, 1, 2.5, 5, 10))
	m.overdue, errs[2] = meter.Int64Counter("slipway.healthcheck.check.overdue",
		metric.WithDescription("Checks that began later than a tenth of their interval after their time."))
	m.unsaved, errs[3] = meter.Int64Counter("slipway.healthcheck.target.refused",
		metric.WithDescription("Target healths that the database refused; the targets are checked all the same."))
	m.results = map[outcome]metric.MeasurementOption{} // making an attribute set costs as much as the rest of a measurement
	for _, of := range []verdict.Type{verdict.HTTP, verdict.HTTPS, verdict.TCP, verdict.GRPC} {
		for _, result := range []string{passed, failed, inconclusive} {
			m.results[outcome{of, result}] = metric.WithAttributeSet(attribute.NewSet(attribute.String("type", string(of)), attribute.String("result", result)))
		}
	}
	return m, errors.Join(errs[:]...)
}

func (m Metrics) began(ctx context.Context, lateness time.Duration, overdue bool) {
	if m.lateness == nil {
		return
	}
	m.lateness.Record(ctx, lateness.Seconds())
	if overdue {
		m.overdue.Add(ctx, 1)
	}
}

func (m Metrics) ended(ctx context.Context, c verdict.Check, r verdict.Result, took time.Duration) {
	if m.checks == nil {
		return
	}
	result := failed
	switch {
	case r.OK:
		result = passed
	case r.Inconclusive:
		result = inconclusive
	}
	m.checks.Record(ctx, took.Seconds(), m.results[outcome{c.Type, result}])
}

func (m Metrics) refused(ctx context.Context) {
	if m.unsaved != nil {
		m.unsaved.Add(ctx, 1)
	}
}
