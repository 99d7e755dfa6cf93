// Package store keeps target groups and the health of targets in Postgres. It decides nothing.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// Store is the healthcheck service's schema.
type Store struct{ db *postgres.DB }

// New returns a store on a migrated schema.
func New(db *postgres.DB) *Store { return &Store{db: db} }

// InTx runs f in a transaction.
func (s *Store) InTx(ctx context.Context, f func(pgx.Tx) error) error { return s.db.InTx(ctx, f) }

// Group is a target group as it is kept.
type Group struct {
	Name       string
	Definition []byte
	CreateTime time.Time
}

// Target is a target with what is known of its health.
type Target struct {
	Group, ID, Address, Service string
	Health                      verdict.Health
	DrainEnd                    time.Time // when a draining target is gone; zero for others
}

// GroupInsert creates a target group and reports whether it is new.
func (s *Store) GroupInsert(ctx context.Context, tx pgx.Tx, g Group) (bool, error) {
	const insert = `INSERT INTO target_groups (name, definition, create_time) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	tag, err := tx.Exec(ctx, insert, g.Name, g.Definition, g.CreateTime)
	if err != nil {
		return false, fmt.Errorf("create target group: %w", postgres.Classify(err))
	}
	return tag.RowsAffected() == 1, nil
}

// GroupUpdate replaces a target group's definition.
func (s *Store) GroupUpdate(ctx context.Context, tx pgx.Tx, name string, definition []byte) error {
	if _, err := tx.Exec(ctx, `UPDATE target_groups SET definition = $2 WHERE name = $1`, name, definition); err != nil {
		return fmt.Errorf("modify target group: %w", postgres.Classify(err))
	}
	return nil
}

// GroupLock returns a target group that no other writer can change until the transaction ends.
func (s *Store) GroupLock(ctx context.Context, tx pgx.Tx, name string) (Group, error) {
	rows, err := tx.Query(ctx, `SELECT name, definition, create_time FROM target_groups WHERE name = $1 FOR UPDATE`, name)
	return oneGroup(rows, err, name)
}

// GroupGet returns a target group.
func (s *Store) GroupGet(ctx context.Context, name string) (Group, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT name, definition, create_time FROM target_groups WHERE name = $1`, name)
	return oneGroup(rows, err, name)
}

func oneGroup(rows pgx.Rows, err error, name string) (Group, error) {
	if err != nil {
		return Group{}, fmt.Errorf("get target group: %w", postgres.Classify(err))
	}
	g, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Group])
	if errors.Is(err, pgx.ErrNoRows) {
		return g, NoGroup(name)
	}
	if err != nil {
		return g, fmt.Errorf("get target group: %w", postgres.Classify(err))
	}
	return g, nil
}

// NoGroup is the problem of a target group that does not exist.
func NoGroup(name string) error {
	return problem.New(problem.NotFound, "TARGET_GROUP_NOT_FOUND", "there is no target group %s; create it with CreateTargetGroup", name)
}

// GroupList returns target groups by name, after a name.
func (s *Store) GroupList(ctx context.Context, after string, limit int) ([]Group, error) {
	rows, err := s.db.Pool.Query(ctx, `SELECT name, definition, create_time FROM target_groups WHERE name > $1 ORDER BY name LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list target groups: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Group])
	if err != nil {
		return nil, fmt.Errorf("list target groups: %w", postgres.Classify(err))
	}
	return list, nil
}

// GroupDelete deletes a target group without registered targets; those that still drain go with it.
func (s *Store) GroupDelete(ctx context.Context, tx pgx.Tx, name string) error {
	var targets int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM targets WHERE target_group = $1 AND state <> 'DRAINING'`, name).Scan(&targets); err != nil {
		return fmt.Errorf("delete target group: %w", postgres.Classify(err))
	}
	if targets > 0 {
		return problem.New(problem.FailedPrecondition, "IN_USE", "target group %s has %d registered targets; deregister them first", name, targets)
	}
	for _, statement := range []string{`DELETE FROM targets WHERE target_group = $1`, `DELETE FROM target_groups WHERE name = $1`} {
		if _, err := tx.Exec(ctx, statement, name); err != nil {
			return fmt.Errorf("delete target group: %w", postgres.Classify(err))
		}
	}
	return nil
}

// Fence refuses a generation of a service that is lower than one seen before. Targets kept by hand have no service.
func (s *Store) Fence(ctx context.Context, tx pgx.Tx, service string, generation int64) error {
	if service == "" {
		return nil
	}
	tag, err := tx.Exec(ctx, `
INSERT INTO service_generations AS g (service, generation) VALUES ($1, $2)
ON CONFLICT (service) DO UPDATE SET generation = excluded.generation WHERE g.generation <= excluded.generation`, service, generation)
	if err != nil {
		return fmt.Errorf("check the generation: %w", postgres.Classify(err))
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.Aborted, "STALE_GENERATION", "service %s is past generation %d", service, generation)
	}
	return nil
}

// RequestsPrune forgets some of the answers that are older than the given time; the rest goes with the next calls.
func (s *Store) RequestsPrune(ctx context.Context, before time.Time) error {
	_, err := once.Prune(ctx, s.db, before)
	return err
}
