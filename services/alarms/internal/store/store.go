// Package store keeps alarms, their history and pushed metrics in Postgres. It decides nothing.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// Store is the alarms service's schema.
type Store struct{ db *postgres.DB }

// New returns a store on a migrated schema.
func New(db *postgres.DB) *Store { return &Store{db: db} }

// InTx runs f in a transaction.
func (s *Store) InTx(ctx context.Context, f func(pgx.Tx) error) error { return s.db.InTx(ctx, f) }

// Alarm is an alarm as it is kept.
type Alarm struct {
	Name              string
	Definition        []byte
	State             string
	Reason            string
	ReasonData        string
	StateTime         time.Time
	ConfigurationTime time.Time
}

// The types of history items.
const (
	ConfigurationUpdate = "CONFIGURATION_UPDATE"
	StateUpdate         = "STATE_UPDATE"
)

// HistoryItem is one thing that happened to an alarm.
type HistoryItem struct {
	ID                  int64
	Alarm               string
	Time                time.Time
	Type, Summary, Data string
}

const columns = `name, definition, state, state_reason, state_reason_data, state_time, configuration_time`

// AlarmPut creates an alarm or replaces its definition; the state is kept. It returns the alarm as it is now and whether it is new.
func (s *Store) AlarmPut(ctx context.Context, tx pgx.Tx, a Alarm) (Alarm, bool, error) {
	old, err := s.alarm(ctx, tx, a.Name)
	created := errors.Is(err, problem.NotFound)
	switch {
	case created:
	case err != nil:
		return a, false, err
	default:
		old.Definition, old.ConfigurationTime = a.Definition, a.ConfigurationTime
		a = old
	}
	_, err = tx.Exec(ctx, `
INSERT INTO alarms (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, configuration_time = excluded.configuration_time`,
		a.Name, a.Definition, a.State, a.Reason, a.ReasonData, a.StateTime, a.ConfigurationTime)
	if err != nil {
		return a, created, fmt.Errorf("put alarm: %w", postgres.Classify(err))
	}
	return a, created, nil
}

func (s *Store) alarm(ctx context.Context, tx pgx.Tx, name string) (Alarm, error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM alarms WHERE name = $1 FOR UPDATE`, name)
	if err != nil {
		return Alarm{}, fmt.Errorf("get alarm: %w", postgres.Classify(err))
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Alarm])
	if errors.Is(err, pgx.ErrNoRows) {
		return a, NoAlarm(name)
	}
	if err != nil {
		return a, fmt.Errorf("get alarm: %w", postgres.Classify(err))
	}
	return a, nil
}

// AlarmLock returns an alarm that no other writer can change until the transaction ends.
func (s *Store) AlarmLock(ctx context.Context, tx pgx.Tx, name string) (Alarm, error) {
	return s.alarm(ctx, tx, name)
}

// NoAlarm is the problem of an alarm that does not exist.
func NoAlarm(name string) error {
	return problem.New(problem.NotFound, "ALARM_NOT_FOUND", "there is no alarm %s; create it with PutMetricAlarm", name)
}

// AlarmsAll returns every alarm.
func (s *Store) AlarmsAll(ctx context.Context) ([]Alarm, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT `+columns+` FROM alarms ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Alarm])
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", postgres.Classify(err))
	}
	return list, nil
}

// AlarmsDelete deletes alarms; when one does not exist none is deleted.
func (s *Store) AlarmsDelete(ctx context.Context, tx pgx.Tx, names []string) error {
	for _, name := range names {
		if _, err := s.alarm(ctx, tx, name); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM alarms WHERE name = ANY ($1)`, names); err != nil {
		return fmt.Errorf("delete alarms: %w", postgres.Classify(err))
	}
	return nil
}

// StateSave saves a change of state with its history item. An alarm that is gone is left alone.
func (s *Store) StateSave(ctx context.Context, tx pgx.Tx, a Alarm, item HistoryItem) error {
	tag, err := tx.Exec(ctx, `UPDATE alarms SET state = $2, state_reason = $3, state_reason_data = $4, state_time = $5 WHERE name = $1`,
		a.Name, a.State, a.Reason, a.ReasonData, a.StateTime)
	if err != nil {
		return fmt.Errorf("save alarm state: %w", postgres.Classify(err))
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return s.HistoryAdd(ctx, tx, item)
}

// HistoryAdd adds a history item.
func (s *Store) HistoryAdd(ctx context.Context, tx pgx.Tx, item HistoryItem) error {
	_, err := tx.Exec(ctx, `INSERT INTO alarm_history (alarm, time, type, summary, data) VALUES ($1, $2, $3, $4, $5)`,
		item.Alarm, item.Time, item.Type, item.Summary, item.Data)
	if err != nil {
		return fmt.Errorf("add alarm history: %w", postgres.Classify(err))
	}
	return nil
}

// HistoryList returns history, newest first, below an id (0 for all).
func (s *Store) HistoryList(ctx context.Context, name string, below int64, limit int) ([]HistoryItem, error) {
	rows, err := s.db.Pool.Query(ctx, `
SELECT id, alarm, time, type, summary, data FROM alarm_history
WHERE ($1 = '' OR alarm = $1) AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, name, below, limit)
	if err != nil {
		return nil, fmt.Errorf("list alarm history: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[HistoryItem])
	if err != nil {
		return nil, fmt.Errorf("list alarm history: %w", postgres.Classify(err))
	}
	return list, nil
}

// Datapoint is the samples of one metric in one second.
type Datapoint struct {
	Metric alarm.Metric
	Time   time.Time
	Bucket alarm.Bucket
}

const insertDatapoints = `
INSERT INTO datapoints (metric, time, count, sum, minimum, maximum, values)
SELECT * FROM unnest($1::bytea[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::jsonb[])`

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
	if _, err := s.db.Pool.Exec(ctx, insertDatapoints, metrics, times, counts, sums, mins, maxs, values); err != nil {
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

// DatapointsRange returns a metric's datapoints from a time up to another.
func (s *Store) DatapointsRange(ctx context.Context, metric alarm.Metric, from, to time.Time) ([]Datapoint, error) {
	rows, err := s.db.Pool.Query(ctx, `
SELECT time, count, sum, minimum, maximum, values FROM datapoints WHERE metric = $1 AND time >= $2 AND time < $3 ORDER BY time`, metric[:], from, to)
	if err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Datapoint, error) {
		p := Datapoint{Metric: metric}
		var values []byte
		b := &p.Bucket
		if err := row.Scan(&p.Time, &b.Count, &b.Sum, &b.Min, &b.Max, &values); err != nil {
			return p, err
		}
		if values == nil {
			b.Opaque = true
			return p, nil
		}
		var pairs [][2]float64
		if err := json.Unmarshal(values, &pairs); err != nil {
			return p, err
		}
		b.Values = make(map[float64]float64, len(pairs))
		for _, pair := range pairs {
			b.Values[pair[0]] = pair[1]
		}
		return p, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read datapoints: %w", postgres.Classify(err))
	}
	return list, nil
}

// DatapointsPrune deletes datapoints before a time.
func (s *Store) DatapointsPrune(ctx context.Context, before time.Time) error {
	if _, err := s.db.Pool.Exec(ctx, `DELETE FROM datapoints WHERE time < $1`, before); err != nil {
		return fmt.Errorf("prune datapoints: %w", postgres.Classify(err))
	}
	return nil
}
