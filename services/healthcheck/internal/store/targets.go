package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const putTargets = `
INSERT INTO targets AS t (target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::int[], $10::timestamptz[], $11::timestamptz[])
ON CONFLICT (target_group, id) DO UPDATE SET address = excluded.address, service = excluded.service, state = excluded.state,
  reason = excluded.reason, description = excluded.description, successes = excluded.successes, failures = excluded.failures,
  state_time = excluded.state_time, check_time = excluded.check_time
WHERE t.address <> excluded.address OR t.service <> excluded.service`

// TargetsRegister adds targets. One that is registered with the same address and service keeps what is known of it.
func (s *Store) TargetsRegister(ctx context.Context, tx pgx.Tx, targets []Target) error {
	_, err := tx.Exec(ctx, putTargets, columns(targets)...)
	if err != nil {
		return fmt.Errorf("register targets: %w", postgres.Classify(err))
	}
	return nil
}

const updateHealth = `
UPDATE targets t SET state = n.state, reason = n.reason, description = n.description, successes = n.successes, failures = n.failures,
  state_time = n.state_time, check_time = n.check_time
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::int[], $10::timestamptz[], $11::timestamptz[])
  AS n (target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time)
WHERE t.target_group = n.target_group AND t.id = n.id AND t.address = n.address`

// HealthUpdate saves the health of many targets at once. Targets that are gone, or have another address, are left alone.
func (s *Store) HealthUpdate(ctx context.Context, targets []Target) error {
	if _, err := s.db.Pool.Exec(ctx, updateHealth, columns(targets)...); err != nil {
		return fmt.Errorf("save target health: %w", postgres.Classify(err))
	}
	return nil
}

func columns(targets []Target) []any {
	n := len(targets)
	groups, ids, addresses, services := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	states, reasons, descriptions := make([]string, n), make([]string, n), make([]string, n)
	successes, failures := make([]int32, n), make([]int32, n)
	stateTimes, checkTimes := make([]time.Time, n), make([]*time.Time, n)
	for i, t := range targets {
		groups[i], ids[i], addresses[i], services[i] = t.Group, t.ID, t.Address, t.Service
		states[i], reasons[i], descriptions[i] = string(t.Health.State), t.Health.Reason, t.Health.Description
		successes[i], failures[i] = int32(t.Health.Successes), int32(t.Health.Failures)
		stateTimes[i] = t.Health.StateTime
		if !t.Health.CheckTime.IsZero() {
			checkTimes[i] = &t.Health.CheckTime
		}
	}
	return []any{groups, ids, addresses, services, states, reasons, descriptions, successes, failures, stateTimes, checkTimes}
}

// TargetsDelete removes targets; unknown ones are no error.
func (s *Store) TargetsDelete(ctx context.Context, tx pgx.Tx, group string, ids []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM targets WHERE target_group = $1 AND id = ANY ($2)`, group, ids); err != nil {
		return fmt.Errorf("deregister targets: %w", postgres.Classify(err))
	}
	return nil
}

// TargetsAll returns every target.
func (s *Store) TargetsAll(ctx context.Context) ([]Target, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time FROM targets`)
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Target, error) {
		var t Target
		var check *time.Time
		h := verdict.Health{}
		err := row.Scan(&t.Group, &t.ID, &t.Address, &t.Service, &h.State, &h.Reason, &h.Description, &h.Successes, &h.Failures, &h.StateTime, &check)
		if check != nil {
			h.CheckTime = *check
		}
		t.Health = h
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", postgres.Classify(err))
	}
	return list, nil
}
