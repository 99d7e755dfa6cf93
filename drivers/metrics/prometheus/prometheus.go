// Package prometheus reads metrics from a Prometheus server, or one that speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).
//
// A query is PromQL (Expr), evaluated at the end of each period: `sum(rate(errors_total[1m]))`. It gives one series or none.
// A plain selector has the last sample of the last five minutes (Prometheus' look-back), so a metric that stops flowing goes missing
// five minutes late: better write last_over_time(x[1m]).
//
// Or a query is a metric in CloudWatch's terms. MetricName is the metric, Dimensions are labels that a series must have; it may have
// more. Namespace and Unit are not looked at. The statistic is of all the samples of all those series in the period, start included
// and end excluded:
//
//	SampleCount   sum(count_over_time(x[P]))
//	Average       sum(sum_over_time(x[P])) / sum(count_over_time(x[P]))
//	Sum           sum(sum_over_time(x[P]))
//	Minimum       min(min_over_time(x[P]))
//	Maximum       max(max_over_time(x[P]))
//	pNN           quantile_over_time(0.NN, x[P]), of one series only; Prometheus interpolates between two samples
//
// Samples are what was scraped, so this fits gauges; counters and histograms need PromQL with rate or histogram_quantile.
// Trimmed means and the like (tm, tc, ts, wm, IQM, PR) have no function in PromQL and are refused.
package prometheus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/drivers/metrics/internal/bounded"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 64 << 20
	// pageSize is less than the 11,000 points of a series that Prometheus gives at once.
	pageSize = 10_000
)

// Config is how to reach the server.
type Config struct {
	// URL is the server's address, e.g. http://127.0.0.1:9090 or https://user:password@metrics.example/prometheus.
	URL string
	// Token is sent as a bearer token, if it is not empty.
	Token string
	// CACert is a file with certificates in PEM to trust in place of the system's.
	CACert string
	// Timeout bounds one call of Statistics; 0 is 10 s.
	Timeout time.Duration
}

// Source is a Prometheus server.
type Source struct {
	api     v1.API
	client  api.Client
	name    string
	timeout time.Duration
}

var _ metrics.Source = (*Source)(nil)

// New returns the source without connecting to it. A problem is Invalid and names the setting.
func New(cfg Config) (*Source, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, problem.Invalid("url", "must be the address of a Prometheus server, like http://127.0.0.1:9090")
	}
	base := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http documents it
	if cfg.CACert != "" {
		pem, err := os.ReadFile(cfg.CACert)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, problem.Invalid("ca_cert", "must be a readable file with a certificate in PEM: %s", cfg.CACert).Wrap(err)
		}
		base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	transport := authorized{base: bounded.Transport{Base: base, Limit: maxAnswer}, token: cfg.Token, user: u.User}
	bare := *u
	bare.User = nil
	client, err := api.NewClient(api.Config{Address: bare.String(), RoundTripper: transport})
	if err != nil {
		return nil, problem.Invalid("url", "must be the address of a Prometheus server").Wrap(err)
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &Source{api: v1.NewAPI(client), client: client, name: "Prometheus at " + bare.String(), timeout: timeout}, nil
}

// Close lets go of idle connections.
func (s *Source) Close() {
	if c, ok := s.client.(api.CloseIdler); ok {
		c.CloseIdleConnections()
	}
}

// Statistics reads the points; see metrics.Source.
func (s *Source) Statistics(ctx context.Context, q metrics.Query, from, to time.Time) ([]metrics.Point, error) {
	count, err := q.Periods(from, to)
	if err != nil || count == 0 {
		return nil, err
	}
	text, err := promQL(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	points, err := s.series(ctx, text, q, from, count)
	if err != nil {
		return nil, err
	}
	if _, ok := metrics.Percentile(q.Statistic); ok && len(points) > 0 {
		samples, err := s.series(ctx, samplesOf(q), q, from, count)
		if err != nil {
			return nil, err
		}
		return withSamples(points, samples), nil
	}
	if q.Statistic == metrics.SampleCount {
		return withSamples(points, points), nil
	}
	return points, nil
}

// series evaluates PromQL at the end of each period. A range of samples includes its end, so that is a millisecond, which is
// Prometheus' resolution, before the next period.
func (s *Source) series(ctx context.Context, text string, q metrics.Query, from time.Time, count int) ([]metrics.Point, error) {
	var points []metrics.Point
	for first := 0; first < count; first += pageSize {
		last := min(first+pageSize, count) - 1
		start := from.Add(time.Duration(first) * q.Period)
		at := v1.Range{
			Start: start.Add(q.Period - time.Millisecond), Step: q.Period,
			End: from.Add(time.Duration(last)*q.Period + q.Period - time.Millisecond),
		}
		value, warnings, err := s.api.QueryRange(ctx, text, at)
		if err != nil {
			return nil, s.sentence(ctx, text, err)
		}
		if len(warnings) > 0 {
			return nil, problem.New(problem.Unavailable, "", "%s answered with a warning: %s", s.name, warnings[0])
		}
		page, err := s.read(value, text, start, q.Period)
		if err != nil {
			return nil, err
		}
		points = append(points, page...)
	}
	return points, nil
}

func (s *Source) read(value model.Value, text string, start time.Time, period time.Duration) ([]metrics.Point, error) {
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, problem.New(problem.Unavailable, "", "%s answered with a %s in place of a series", s.name, value.Type())
	}
	switch {
	case len(matrix) == 0:
		return nil, nil
	case len(matrix) > 1:
		return nil, problem.Invalid("expr", "must give one series, and gives %d: aggregate them, as with sum, max or avg: %s", len(matrix), text)
	case len(matrix[0].Histograms) > 0:
		return nil, problem.Invalid("expr", "must give numbers, and gives histograms: use histogram_quantile or the like: %s", text)
	}
	var points []metrics.Point
	for _, pair := range matrix[0].Values {
		if v := float64(pair.Value); finite(v) {
			since := pair.Timestamp.Time().Sub(start)
			points = append(points, metrics.Point{Time: start.Add(since - since%period).UTC(), Value: v})
		}
	}
	return points, nil
}

func withSamples(points, samples []metrics.Point) []metrics.Point {
	counts := make(map[int64]float64, len(samples))
	for _, p := range samples {
		counts[p.Time.Unix()] = p.Value
	}
	for i := range points {
		points[i].SampleCount = counts[points[i].Time.Unix()]
	}
	return points
}
