package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const targetsSQL = `
SELECT target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time, drain_end,
  flip_healthy, flip_description, flip_time FROM targets`

// TargetsAll returns every target.
func (s *Store) TargetsAll(ctx context.Context) ([]Target, error) {
	return collect(s.db.Pool.Query(ctx, targetsSQL))
}

// TargetsOf returns the targets of a group.
func (s *Store) TargetsOf(ctx context.Context, group string) ([]Target, error) {
	return collect(s.db.Pool.Query(ctx, targetsSQL+` WHERE target_group = $1`, group))
}

// Targets returns those of some targets that exist; the ids are those in the groups at the same places.
func (s *Store) Targets(ctx context.Context, groups, ids []string) ([]Target, error) {
	return collect(s.db.Pool.Query(ctx, targetsSQL+` WHERE (target_group, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, groups, ids))
}

// TargetLock returns a target that no other writer can change until the transaction ends, and false when it does not exist.
func (s *Store) TargetLock(ctx context.Context, tx pgx.Tx, group, id string) (Target, bool, error) {
	list, err := collect(tx.Query(ctx, targetsSQL+` WHERE target_group = $1 AND id = $2 FOR UPDATE`, group, id))
	if err != nil || len(list) == 0 {
		return Target{}, false, err
	}
	return list[0], true, nil
}

func collect(rows pgx.Rows, err error) ([]Target, error) {
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", postgres.Classify(err))
	}
	return list, nil
}

func scan(row pgx.CollectableRow) (Target, error) {
	var t Target
	var check, drain, flip *time.Time
	h := &t.Health
	err := row.Scan(&t.Group, &t.ID, &t.Address, &t.Service, &h.State, &h.Reason, &h.Description, &h.Successes, &h.Failures, &h.StateTime, &check, &drain,
		&h.Flip.Healthy, &h.Flip.Description, &flip)
	for _, at := range []struct {
		from *time.Time
		to   *time.Time
	}{{check, &h.CheckTime}, {drain, &t.DrainEnd}, {flip, &h.Flip.Time}} {
		if at.from != nil {
			*at.to = *at.from
		}
	}
	return t, err
}

// Gate lets one transaction after the other change what it guards, among all replicas: each locks target groups, services and
// targets in an order of its own.
func (s *Store) Gate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.targets', 0))`); err != nil {
		return fmt.Errorf("wait for other changes: %w", postgres.Classify(err))
	}
	return nil
}
