// Package metricstest is what every driver of metrics.Source must do, whatever it speaks. A driver's test loads the samples of
// Data into its store and calls Run.
package metricstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Start is the start of the first period of the data.
var Start = time.Date(2025, 3, 1, 10, 0, 0, 0, time.UTC)

// The names of the data.
const (
	Namespace = "slipway"
	// Latency has samples at the edges of periods and a gap; two series, told apart by Route.
	Latency = "latency"
	// Steady has a sample every minute for LongPeriods.
	Steady = "steady"
	// Route is a dimension of Latency: /buy or /look.
	Route = "route"
	// LongPeriods is more than a page of any source.
	LongPeriods = 11_500
)

// Series is the samples of one metric, oldest first.
type Series struct {
	Name       string
	Dimensions map[string]string
	Samples    []Sample
}

// Sample is one value.
type Sample struct {
	Time  time.Time
	Value float64
}

// Data returns what a driver's store must have.
func Data() []Series {
	at := func(seconds float64, value float64) Sample {
		return Sample{Time: Start.Add(time.Duration(seconds * float64(time.Second))), Value: value}
	}
	steady := Series{Name: Steady, Dimensions: map[string]string{"app": "web"}}
	for i := range LongPeriods {
		steady.Samples = append(steady.Samples, at(float64(i*60+30), float64(i)))
	}
	return []Series{
		{Name: Latency, Dimensions: map[string]string{Route: "/buy"}, Samples: []Sample{
			at(0, 10), at(15, 20), at(59, 60), // a sample at the start belongs to the period
			at(60, 100), // and one at its end to the next
			// nothing from 120 s to 180 s
			at(180, 7), at(239.5, 9),
		}},
		{Name: Latency, Dimensions: map[string]string{Route: "/look"}, Samples: []Sample{at(30, 5000)}},
		steady,
	}
}

// Run runs the suite. The source has the data of Data.
func Run(t *testing.T, source metrics.Source) {
	b := bed{source: source}
	t.Run("the statistics of each period", b.statistics)
	t.Run("a percentile says its samples", b.percentile)
	t.Run("only periods from the first to before the last", b.window)
	t.Run("longer periods", b.longer)
	t.Run("more points than a page", b.pages)
	t.Run("no data is no error", b.nothing)
	t.Run("a query that breaks a rule is invalid", b.invalid)
	t.Run("a caller that gave up gets an error", b.canceled)
	t.Run("many at once", b.concurrent)
}

type bed struct{ source metrics.Source }

func query(statistic string) metrics.Query {
	return metrics.Query{
		Namespace: Namespace, MetricName: Latency, Dimensions: map[string]string{Route: "/buy"},
		Statistic: statistic, Period: time.Minute,
	}
}

func minute(n int) time.Time { return Start.Add(time.Duration(n) * time.Minute) }

// read reads the points as "minute:value" from Start.
func (b bed) read(t *testing.T, q metrics.Query, from, to time.Time) string {
	t.Helper()
	points, err := b.source.Statistics(t.Context(), q, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range points {
		out = append(out, fmt.Sprintf("%g:%.6g", p.Time.Sub(Start).Minutes(), p.Value))
	}
	return strings.Join(out, " ")
}

func (b bed) statistics(t *testing.T) {
	for statistic, want := range map[string]string{
		metrics.SampleCount: "0:3 1:1 3:2", metrics.Average: "0:30 1:100 3:8", metrics.Sum: "0:90 1:100 3:16",
		metrics.Minimum: "0:10 1:100 3:7", metrics.Maximum: "0:60 1:100 3:9", "p50": "0:20 1:100 3:8",
	} {
		if got := b.read(t, query(statistic), minute(0), minute(5)); got != want {
			t.Errorf("%s: %s, want %s", statistic, got, want)
		}
	}
}

func (b bed) percentile(t *testing.T) {
	points, err := b.source.Statistics(t.Context(), query("p50"), minute(0), minute(5))
	if err != nil || len(points) != 3 || points[0].SampleCount != 3 || points[2].SampleCount != 2 {
		t.Fatalf("got %+v %v", points, err)
	}
}

func (b bed) window(t *testing.T) {
	if got := b.read(t, query(metrics.Sum), minute(1), minute(3)); got != "1:100" {
		t.Errorf("minutes 1 and 2: %s", got)
	}
	if got := b.read(t, query(metrics.Sum), minute(3), minute(4)); got != "3:16" {
		t.Errorf("minute 3: %s", got)
	}
	if got := b.read(t, query(metrics.Sum), minute(3), minute(3)); got != "" {
		t.Errorf("no time at all: %s", got)
	}
}

func (b bed) longer(t *testing.T) {
	q := query(metrics.Sum)
	q.Period = 2 * time.Minute
	if got := b.read(t, q, minute(0), minute(4)); got != "0:190 2:16" {
		t.Errorf("two minutes each: %s", got)
	}
}

func (b bed) pages(t *testing.T) {
	q := query(metrics.Sum)
	q.MetricName, q.Dimensions = Steady, map[string]string{"app": "web"}
	points, err := b.source.Statistics(t.Context(), q, minute(0), minute(LongPeriods))
	if err != nil || len(points) != LongPeriods {
		t.Fatalf("%d points, %v", len(points), err)
	}
	for i, p := range points {
		if !p.Time.Equal(minute(i)) || p.Value != float64(i) {
			t.Fatalf("point %d is %+v", i, p)
		}
	}
}

func (b bed) nothing(t *testing.T) {
	q := query(metrics.Average)
	q.MetricName = "unheard_of"
	if got := b.read(t, q, minute(0), minute(5)); got != "" {
		t.Errorf("an unknown metric: %s", got)
	}
	if got := b.read(t, query(metrics.Average), minute(-10), minute(0)); got != "" {
		t.Errorf("before the data: %s", got)
	}
}

func (b bed) invalid(t *testing.T) {
	for field, change := range map[string]func(*metrics.Query){
		"metric_name": func(q *metrics.Query) { q.MetricName = "" },
		"statistic":   func(q *metrics.Query) { q.Statistic = "p101" },
		"period":      func(q *metrics.Query) { q.Period = 0 },
		"expr":        func(q *metrics.Query) { q.Expr = "up" },
		"dimensions":  func(q *metrics.Query) { q.Dimensions = map[string]string{"": "x"} },
	} {
		q := query(metrics.Sum)
		change(&q)
		_, err := b.source.Statistics(t.Context(), q, minute(0), minute(5))
		var p *problem.Error
		isField := func(v problem.Violation) bool { return v.Field == field }
		if !errors.As(err, &p) || p.Kind != problem.InvalidArgument || !slices.ContainsFunc(p.Violations, isField) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := b.source.Statistics(t.Context(), query(metrics.Sum), minute(0), minute(metrics.MaxPoints+1)); !errors.Is(err, problem.InvalidArgument) {
		t.Errorf("too many points: %v", err)
	}
}

func (b bed) canceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if points, err := b.source.Statistics(ctx, query(metrics.Sum), minute(0), minute(5)); !errors.Is(err, problem.Canceled) {
		t.Errorf("got %v %v", points, err)
	}
}

func (b bed) concurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			points, err := b.source.Statistics(t.Context(), query(metrics.Maximum), minute(0), minute(5))
			if err != nil || len(points) != 3 {
				t.Errorf("got %v %v", points, err)
			}
		})
	}
	wg.Wait()
}
