package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// Snapshot is which transactions a reader has seen, in PostgreSQL's own writing, "xmin:xmax:xip,...".
type Snapshot struct {
	text       string
	xmin, xmax uint64
	open       map[uint64]bool
}

// Zero reports whether it is no snapshot.
func (s Snapshot) Zero() bool { return s.text == "" }

// sees reports whether rows of a transaction are in it. Rows of before there were replicas have none.
func (s Snapshot) sees(tx *int64) bool {
	if tx == nil {
		return true
	}
	n := uint64(*tx)
	return n < s.xmin || n < s.xmax && !s.open[n]
}

func snapshotOf(text string) (Snapshot, error) {
	s := Snapshot{text: text, open: map[uint64]bool{}}
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return s, fmt.Errorf("%q is no snapshot", text)
	}
	var err error
	if s.xmin, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return s, err
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil || parts[2] == "" {
		return s, err
	}
	for part := range strings.SplitSeq(parts[2], ",") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return s, err
		}
		s.open[n] = true
	}
	return s, nil
}

// SnapshotNow is what a reader sees now.
func (s *Store) SnapshotNow(ctx context.Context) (Snapshot, error) {
	var text string
	if err := s.db.Pool.QueryRow(ctx, `SELECT pg_current_snapshot()::text`).Scan(&text); err != nil {
		return Snapshot{}, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	return snapshotOf(text)
}

// DatapointsSeen returns a metric's datapoints from a time up to another that this replica added or that are in the snapshot: what
// others add after it, DatapointsSince returns.
func (s *Store) DatapointsSeen(ctx context.Context, metric alarm.Metric, from, to time.Time, seen Snapshot) ([]Datapoint, error) {
	rows, err := s.db.Pool.Query(ctx, `
SELECT time, count, sum, minimum, maximum, values, origin, tx FROM datapoints
WHERE metric = $1 AND time >= $2 AND time < $3 ORDER BY time`, metric[:], from, to)
	if err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	defer rows.Close()
	var list []Datapoint
	for rows.Next() {
		var origin string
		var tx *int64
		p, err := datapoint(metric, rows, &origin, &tx)
		if err != nil {
			return nil, err
		}
		if origin == s.origin || seen.sees(tx) {
			list = append(list, p)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	return list, nil
}

// Arrived is a datapoint that another replica added.
type Arrived struct {
	Datapoint
	tx int64
}

// SeenIn reports whether it is in a snapshot.
func (a Arrived) SeenIn(s Snapshot) bool { return s.sees(&a.tx) }

const datapointsSince = `
SELECT metric, tx, time, count, sum, minimum, maximum, values, pg_current_snapshot()::text FROM datapoints
WHERE tx >= pg_snapshot_xmin($1::pg_snapshot)::text::bigint AND NOT pg_visible_in_snapshot(tx::text::xid8, $1::pg_snapshot) AND origin <> $2
UNION ALL SELECT none.metric, none.tx, none.time, none.count, none.sum, none.minimum, none.maximum, none.values, pg_current_snapshot()::text
FROM (SELECT) always LEFT JOIN datapoints none ON false`

// DatapointsSince returns what other replicas added that is not in a snapshot, each once, and the snapshot for the next call.
func (s *Store) DatapointsSince(ctx context.Context, since Snapshot) ([]Arrived, Snapshot, error) {
	rows, err := s.db.Pool.Query(ctx, datapointsSince, since.text, s.origin)
	if err != nil {
		return nil, since, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	defer rows.Close()
	var list []Arrived
	var next string
	for rows.Next() {
		var a Arrived
		var metric, values []byte
		var tx *int64
		var at *time.Time
		var n [4]*float64
		if err := rows.Scan(&metric, &tx, &at, &n[0], &n[1], &n[2], &n[3], &values, &next); err != nil {
			return nil, since, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
		}
		if tx == nil {
			continue
		}
		a.tx, a.Time, a.Metric = *tx, *at, alarm.Metric(metric)
		a.Bucket.Count, a.Bucket.Sum, a.Bucket.Min, a.Bucket.Max = *n[0], *n[1], *n[2], *n[3]
		if err := setValues(&a.Bucket, values); err != nil {
			return nil, since, err
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, since, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	end, err := snapshotOf(next)
	return list, end, err
}

// Stand is what may change of an alarm, without what it is.
type Stand struct {
	Name              string
	StateTime         time.Time
	ConfigurationTime time.Time
	SuppressorLeft    *time.Time
	EvaluationState   string
	EvaluationReason  string
}

// Standing returns how every alarm stands.
func (s *Store) Standing(ctx context.Context) ([]Stand, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT name, state_time, configuration_time, suppressor_left_time, evaluation_state, evaluation_reason FROM alarms`)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Stand])
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", postgres.Classify(err))
	}
	return list, nil
}
