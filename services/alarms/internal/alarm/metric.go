package alarm

import (
	"crypto/sha256"
	"sort"
	"strings"
)

// Metric is a metric's identity: namespace, name, dimensions and unit (CloudWatch: a unit is part of it).
type Metric [sha256.Size]byte

// MetricOf returns the identity.
func MetricOf(namespace, name string, dimensions map[string]string, unit string) Metric {
	parts := []string{namespace, name, unit}
	keys := make([]string, 0, len(dimensions))
	for k := range dimensions {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		parts = append(parts, k, dimensions[k])
	}
	return sha256.Sum256([]byte(strings.Join(parts, "\x00")))
}

// MetricID is the identity of the metric that the alarm watches.
func (d Definition) MetricID() Metric {
	return MetricOf(d.Namespace, d.Metric, d.Dimensions, d.Unit)
}

// Early reports whether a period that has not ended may already count as breaching: more samples can only make its
// statistic breach more. An alarm on a sum of errors need not wait for the period to end. (A sum only while no sample is negative:
// the caller looks.)
func (d Definition) Early() bool {
	switch d.Statistic {
	case Sum, SampleCount, Maximum:
		return d.Comparison == Greater || d.Comparison == GreaterOrEqual
	case Minimum:
		return d.Comparison == Less || d.Comparison == LessOrEqual
	}
	return false
}

// Breaches reports whether a value breaches the threshold.
func (d Definition) Breaches(value float64) bool { return d.Comparison.breaches(value, d.Threshold) }
