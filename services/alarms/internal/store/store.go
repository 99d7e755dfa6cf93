// Package store keeps alarms, their history and pushed metrics in Postgres. It decides nothing.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Store is the alarms service's schema.
type Store struct {
	db     *postgres.DB
	origin string
}

// New returns a store on a migrated schema.
func New(db *postgres.DB) *Store { return &Store{db: db} }

// As returns the store of a replica, whose name is on the datapoints that it adds.
func (s *Store) As(replica string) *Store { return &Store{db: s.db, origin: replica} }

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
	Kind              string     // Metric or Composite
	SuppressorLeft    *time.Time // when a composite alarm's suppressor left ALARM last
	EvaluationState   string     // what is wrong with evaluating it, by the replica that does
	EvaluationReason  string
}

// Fence is the lease under which a replica saves. The zero Fence is for what users change.
type Fence struct {
	Holder     string
	Shard      int
	Generation int64
}

// The kinds of alarms.
const (
	Metric    = "METRIC"
	Composite = "COMPOSITE"
)

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

const columns = `name, definition, state, state_reason, state_reason_data, state_time, configuration_time, kind, suppressor_left_time,
  evaluation_state, evaluation_reason`

// AlarmPut creates an alarm or replaces its definition; the state is kept. It returns the alarm as it is now and whether it is new.
func (s *Store) AlarmPut(ctx context.Context, tx pgx.Tx, a Alarm) (Alarm, bool, error) {
	old, err := s.AlarmLock(ctx, tx, a.Name)
	created := errors.Is(err, problem.NotFound)
	switch {
	case created:
	case err != nil:
		return a, false, err
	case old.Kind != a.Kind:
		return a, false, problem.New(problem.AlreadyExists, "ALREADY_EXISTS", "there is a %s alarm %s; delete it or choose another name",
			strings.ToLower(old.Kind), a.Name)
	default:
		old.Definition, old.ConfigurationTime = a.Definition, a.ConfigurationTime
		a = old
	}
	_, err = tx.Exec(ctx, `
INSERT INTO alarms (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, configuration_time = excluded.configuration_time`,
		a.Name, a.Definition, a.State, a.Reason, a.ReasonData, a.StateTime, a.ConfigurationTime, a.Kind, a.SuppressorLeft,
		a.EvaluationState, a.EvaluationReason)
	if err != nil {
		return a, created, fmt.Errorf("put alarm: %w", postgres.Classify(err))
	}
	return a, created, nil
}

func one(name string, rows pgx.Rows, err error) (Alarm, error) {
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
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM alarms WHERE name = $1 FOR UPDATE`, name)
	return one(name, rows, err)
}

// Alarm returns an alarm.
func (s *Store) Alarm(ctx context.Context, name string) (Alarm, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT `+columns+` FROM alarms WHERE name = $1`, name)
	return one(name, rows, err)
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
		if _, err := s.AlarmLock(ctx, tx, name); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM alarms WHERE name = ANY ($1)`, names); err != nil {
		return fmt.Errorf("delete alarms: %w", postgres.Classify(err))
	}
	return nil
}

// fenced holds for a replica whose lease is in force, and keeps it in force until the transaction ends; and for users.
const fenced = ` AND ($2 = '' OR EXISTS (SELECT FROM shard_leases WHERE shard = $3 AND generation = $4 AND holder = $2 FOR KEY SHARE))`

// StateSave saves a change of state with its history item; without one (it has no type) only what stands beside the state. An alarm
// that is gone, or that another replica evaluates by now, is left alone.
func (s *Store) StateSave(ctx context.Context, tx pgx.Tx, a Alarm, item HistoryItem, f Fence) error {
	if item.Type == "" {
		_, err := tx.Exec(ctx, `UPDATE alarms SET suppressor_left_time = $5, evaluation_state = $6, evaluation_reason = $7 WHERE name = $1`+fenced,
			a.Name, f.Holder, f.Shard, f.Generation, a.SuppressorLeft, a.EvaluationState, a.EvaluationReason)
		if err != nil {
			return fmt.Errorf("save alarm: %w", postgres.Classify(err))
		}
		return nil
	}
	tag, err := tx.Exec(ctx, `
UPDATE alarms SET state = $5, state_reason = $6, state_reason_data = $7, state_time = $8, evaluation_state = $9, evaluation_reason = $10
WHERE name = $1`+fenced,
		a.Name, f.Holder, f.Shard, f.Generation, a.State, a.Reason, a.ReasonData, a.StateTime, a.EvaluationState, a.EvaluationReason)
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
