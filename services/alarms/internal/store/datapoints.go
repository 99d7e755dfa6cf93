package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// Datapoint is the samples of one metric in one second.
type Datapoint struct {
	Metric alarm.Metric
	Time   time.Time
	Bucket alarm.Bucket
}

const insertDatapoints = `
INSERT INTO datapoints (metric, time, count, sum, minimum, maximum, values, origin)
SELECT metric, time, count, sum, minimum, maximum, values, $8
FROM unnest($1::bytea[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::jsonb[])
  AS p (metric, time, count, sum, minimum, maximum, values)`

// DatapointsAdd adds datapoints.
func (s *Store) DatapointsAdd(ctx context.Context, points []Datapoint) error {
	n := len(points)
	metrics, times, values := make([][]byte, n), make([]time.Time, n), make([]*string, n)
	counts, sums, mins, maxs := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, p := range points {
		metrics[i], times[i] = append([]byte(nil), p.Metric[:]...), p.Time
		counts[i], sums[i], mins[i], maxs[i] = p.Bucket.Count, p.Bucket.Sum, p.Bucket.Min, p.Bucket.Max
		if !p.Bucket.Opaque {
			values[i] = valuesJSON(p.Bucket.Values)
		}
	}
	if _, err := s.db.Pool.Exec(ctx, insertDatapoints, metrics, times, counts, sums, mins, maxs, values, s.origin); err != nil {
		return fmt.Errorf("save datapoints: %w", postgres.Classify(err))
	}
	return nil
}

func valuesJSON(values map[float64]float64) *string {
	pairs := make([][2]float64, 0, len(values))
	for v, n := range values {
		pairs = append(pairs, [2]float64{v, n})
	}
	body, err := json.Marshal(pairs)
	if err != nil {
		return nil // values are finite: PutMetricData refuses others
	}
	text := string(body)
	return &text
}

// Querier is a transaction or a pool.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// DatapointsRange returns a metric's datapoints from a time up to another, read through a transaction or, with nil, without one.
func (s *Store) DatapointsRange(ctx context.Context, q Querier, metric alarm.Metric, from, to time.Time) ([]Datapoint, error) {
	if q == nil {
		q = s.db.Pool
	}
	rows, err := q.Query(ctx, `
SELECT time, count, sum, minimum, maximum, values FROM datapoints WHERE metric = $1 AND time >= $2 AND time < $3 ORDER BY time`, metric[:], from, to)
	if err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Datapoint, error) { return datapoint(metric, row) })
	if err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	return list, nil
}

func datapoint(metric alarm.Metric, row pgx.CollectableRow, more ...any) (Datapoint, error) {
	p := Datapoint{Metric: metric}
	var values []byte
	b := &p.Bucket
	if err := row.Scan(append([]any{&p.Time, &b.Count, &b.Sum, &b.Min, &b.Max, &values}, more...)...); err != nil {
		return p, err
	}
	err := setValues(b, values)
	return p, err
}

// setValues reads a bucket's values.
func setValues(b *alarm.Bucket, values []byte) error {
	if values == nil {
		b.Opaque = true
		return nil
	}
	var pairs [][2]float64
	if err := json.Unmarshal(values, &pairs); err != nil {
		return err
	}
	b.Values = make(map[float64]float64, len(pairs))
	for _, pair := range pairs {
		b.Values[pair[0]] = pair[1]
	}
	return nil
}
