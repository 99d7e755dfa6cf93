// Package cloudwatch reads metrics from Amazon CloudWatch, or from an emulator that speaks its protocol (Smithy RPC v2 with CBOR),
// by GetMetricData. Each call of Statistics is one request, and one more for each further page.
//
// A query is a metric with its namespace, dimensions, unit and statistic: all of CloudWatch's, passed on as they are. Or it is
// an expression (Expr): a Metrics Insights query, or metric math with SEARCH; it gives one series or none. Percentiles are read with
// their sample count, which CloudWatch bills as a second metric.
//
// Credentials come from the SDK's chain: environment, shared files, the role of the task or machine. Throttled and failed
// requests are sent again, three times in all, with growing pauses, within the deadline.
package cloudwatch

import (
	"context"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/drivers/metrics/internal/bounded"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	defaultTimeout = 15 * time.Second
	maxAnswer      = 64 << 20
	maxPages       = 100
	maxAttempts    = 3
	maxPause       = 2 * time.Second // between attempts
	// The ids of the two queries in a request.
	valueID  = "value"
	sampleID = "samples"
)

// Config is how to reach CloudWatch.
type Config struct {
	// Region is the AWS region, e.g. eu-central-1; empty is the one of the SDK's chain (AWS_REGION, the shared files).
	Region string
	// Endpoint is another address than the region's, e.g. http://127.0.0.1:4566 of an emulator.
	Endpoint string
	// Timeout bounds one call of Statistics, with all its pages and retries; 0 is 15 s.
	Timeout time.Duration
}

// Source is CloudWatch in one region.
type Source struct {
	client  *api.Client
	name    string
	timeout time.Duration
}

var _ metrics.Source = (*Source)(nil)

// New reads the SDK's settings and returns the source without connecting to it. A problem is Invalid and names the setting.
func New(ctx context.Context, cfg Config) (*Source, error) { return newSource(ctx, cfg, maxPause) }

func newSource(ctx context.Context, cfg Config, pause time.Duration) (*Source, error) {
	if u, err := url.Parse(cfg.Endpoint); cfg.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, problem.Invalid("endpoint", "must be an address like http://127.0.0.1:4566: not %q", cfg.Endpoint)
	}
	sdk, err := config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
		o.Region = cfg.Region
		return nil
	})
	if err != nil {
		return nil, problem.New(problem.InvalidArgument, problem.InvalidField, "the settings of the AWS SDK cannot be read: %s", err).Wrap(err)
	}
	if sdk.Region == "" {
		return nil, problem.Invalid("region", "must be given, here or as AWS_REGION")
	}
	s := &Source{name: "CloudWatch in " + sdk.Region, timeout: cfg.Timeout}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	s.client = api.NewFromConfig(sdk, func(o *api.Options) {
		o.HTTPClient = bounded.Client{Base: o.HTTPClient, Limit: maxAnswer}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, pause })
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
			s.name += " at " + cfg.Endpoint
		}
	})
	return s, nil
}

// Statistics reads the points; see metrics.Source.
func (s *Source) Statistics(ctx context.Context, q metrics.Query, from, to time.Time) ([]metrics.Point, error) {
	count, err := q.Periods(from, to)
	if err != nil || count == 0 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request := &api.GetMetricDataInput{
		StartTime: aws.Time(from), EndTime: aws.Time(from.Add(time.Duration(count) * q.Period)),
		ScanBy: types.ScanByTimestampAscending, MetricDataQueries: queries(q),
	}
	r := reading{source: s, from: from, period: q.Period, count: count, values: map[string]map[int]float64{}}
	for range maxPages {
		answer, err := s.client.GetMetricData(ctx, request)
		if err != nil {
			return nil, s.sentence(ctx, err)
		}
		if err := r.page(answer); err != nil {
			return nil, err
		}
		if aws.ToString(answer.NextToken) == "" {
			return r.points(q.Statistic)
		}
		request.NextToken = answer.NextToken
	}
	return nil, problem.New(problem.Unavailable, "", "%s answered with more than %d pages", s.name, maxPages)
}

func queries(q metrics.Query) []types.MetricDataQuery {
	if q.Expr != "" {
		return []types.MetricDataQuery{{Id: aws.String(valueID), Expression: aws.String(q.Expr), Period: aws.Int32(int32(q.Period.Seconds()))}}
	}
	stats := map[string]string{valueID: q.Statistic}
	ids := []string{valueID}
	if _, ok := metrics.Percentile(q.Statistic); ok {
		stats[sampleID] = metrics.SampleCount
		ids = append(ids, sampleID)
	}
	var all []types.MetricDataQuery
	for _, id := range ids {
		metric := &types.Metric{MetricName: aws.String(q.MetricName), Dimensions: dimensions(q)}
		if q.Namespace != "" {
			metric.Namespace = aws.String(q.Namespace)
		}
		all = append(all, types.MetricDataQuery{Id: aws.String(id), ReturnData: aws.Bool(true), MetricStat: &types.MetricStat{
			Metric: metric, Period: aws.Int32(int32(q.Period.Seconds())), Stat: aws.String(stats[id]), Unit: types.StandardUnit(q.Unit),
		}})
	}
	return all
}

func dimensions(q metrics.Query) []types.Dimension {
	var all []types.Dimension
	for name, value := range q.Dimensions {
		all = append(all, types.Dimension{Name: aws.String(name), Value: aws.String(value)})
	}
	slices.SortFunc(all, func(a, b types.Dimension) int {
		if *a.Name < *b.Name {
			return -1
		}
		return 1
	})
	return all
}

// reading gathers the pages of an answer.
type reading struct {
	source *Source
	from   time.Time
	period time.Duration
	count  int
	label  *string
	// partial is set when the last page says that there is more than it has.
	partial bool
	values  map[string]map[int]float64 // by id and period
}

func (r *reading) page(answer *api.GetMetricDataOutput) error {
	for _, m := range answer.Messages {
		return problem.New(problem.Unavailable, "", "%s answered in part: %s: %s", r.source.name, aws.ToString(m.Code), aws.ToString(m.Value))
	}
	r.partial = false
	for _, result := range answer.MetricDataResults {
		r.partial = r.partial || result.StatusCode == types.StatusCodePartialData
		id, label := aws.ToString(result.Id), aws.ToString(result.Label)
		if result.StatusCode == types.StatusCodeInternalError || result.StatusCode == types.StatusCodeForbidden {
			return problem.New(problem.Unavailable, "", "%s could not read the metric: %s%s", r.source.name, result.StatusCode, said(result.Messages))
		}
		if id == valueID && r.label != nil && *r.label != label {
			return problem.Invalid("expr", "must give one series, and gives %q and %q: aggregate them", *r.label, label)
		}
		if id == valueID {
			r.label = &label
		}
		if r.values[id] == nil {
			r.values[id] = map[int]float64{}
		}
		for i := range min(len(result.Timestamps), len(result.Values)) {
			since := result.Timestamps[i].Sub(r.from)
			if at := int(since / r.period); since >= 0 && at < r.count && finite(result.Values[i]) {
				r.values[id][at] = result.Values[i]
			}
		}
	}
	return nil
}

func (r *reading) points(statistic string) ([]metrics.Point, error) {
	if r.partial {
		return nil, problem.New(problem.Unavailable, "", "%s answered in part and has no further page", r.source.name)
	}
	var points []metrics.Point
	for i := range r.count {
		v, ok := r.values[valueID][i]
		if !ok {
			continue
		}
		p := metrics.Point{Time: r.from.Add(time.Duration(i) * r.period).UTC(), Value: v, SampleCount: r.values[sampleID][i]}
		if statistic == metrics.SampleCount {
			p.SampleCount = v
		}
		points = append(points, p)
	}
	return points, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
