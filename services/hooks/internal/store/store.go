// Package store keeps hooks, invocations and their attempts in Postgres. Whatever depends on time is compared with the
// database's clock, so replicas whose clocks differ agree. It stores what package invocation decided, in the
// transaction in which it was decided; it decides nothing itself.
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
)

// Reasons of slipway.errors.v1.Reason that this package gives.
const (
	ReasonHookNotFound       = "HOOK_NOT_FOUND"
	ReasonInvocationNotFound = "INVOCATION_NOT_FOUND"
	ReasonStaleGeneration    = "STALE_GENERATION"
	ReasonStaleEtag          = "STALE_ETAG"
	ReasonRequestIDReused    = "REQUEST_ID_REUSED"
)

// Store is the hooks service's schema.
type Store struct {
	db      *postgres.DB
	channel string // of notifications; database-wide, so it names the schema
}

// New returns a store over a migrated database.
func New(db *postgres.DB) *Store { return &Store{db: db, channel: db.Schema + "_invocations"} }

// InTx runs f in one transaction.
func (s *Store) InTx(ctx context.Context, f func(pgx.Tx) error) error { return s.db.InTx(ctx, f) }

const fenceSQL = `
INSERT INTO service_generations (service, generation) VALUES (@service, @generation)
ON CONFLICT (service) DO UPDATE SET generation = excluded.generation
WHERE service_generations.generation <= excluded.generation`

// fence remembers the highest generation of a service and refuses a lower one. It locks the service's row, so calls
// for one service take their turns.
func (s *Store) fence(ctx context.Context, tx pgx.Tx, service string, generation int64) error {
	tag, err := tx.Exec(ctx, fenceSQL, pgx.NamedArgs{"service": service, "generation": generation})
	if err != nil {
		return fmt.Errorf("fence %s: %w", service, err)
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.Aborted, ReasonStaleGeneration, "a newer generation of service %s has been seen than %d", service, generation).
			With("service", service)
	}
	return nil
}

const nowSQL = `SELECT now()`

func now(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	var t time.Time
	if err := tx.QueryRow(ctx, nowSQL).Scan(&t); err != nil {
		return t, fmt.Errorf("read the time: %w", err)
	}
	return t, nil
}

// RequestPrune forgets some of the request ids that were used before a time, and returns how many.
func (s *Store) RequestPrune(ctx context.Context, before time.Time) (int64, error) {
	return once.Prune(ctx, s.db, before)
}

func (s *Store) exec(ctx context.Context, what, sql string, args pgx.NamedArgs) (int64, error) {
	tag, err := s.db.Pool.Exec(ctx, sql, args)
	if err != nil {
		return 0, postgres.Classify(fmt.Errorf("%s: %w", what, err))
	}
	return tag.RowsAffected(), nil
}

func noRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
