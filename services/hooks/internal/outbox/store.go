// Package outbox keeps events, subscriptions and deliveries in Postgres. An event, the place in the feed that it came
// from, and a delivery for each subscription that it matches are recorded in one transaction: what was recorded is
// delivered, however often programs die meanwhile. Whatever depends on time is compared with the database's clock, so
// replicas whose clocks differ agree. It stores what package subscription decided; it decides nothing itself.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Reasons of slipway.errors.v1.Reason that this package gives.
const (
	ReasonStaleEtag            = "STALE_ETAG"
	ReasonLimitExceeded        = "LIMIT_EXCEEDED"
	ReasonSubscriptionNotFound = "SUBSCRIPTION_NOT_FOUND"
)

// Store is the part of the hooks service's schema that is about events.
type Store struct {
	db      *postgres.DB
	channel string // of notifications; database-wide, so it names the schema
	filters *filters
}

// New returns a store over a migrated database.
func New(db *postgres.DB, compile subscription.Compiler) *Store {
	return &Store{db: db, channel: db.Schema + "_deliveries", filters: newFilters(compile)}
}

// InTx runs f in one transaction.
func (s *Store) InTx(ctx context.Context, f func(pgx.Tx) error) error { return s.db.InTx(ctx, f) }

const positionsSQL = `UPDATE delivery_positions SET position = position + @n RETURNING position`

// lockPositions gives out n positions and returns the one before the first. It holds a lock to the transaction's end,
// so positions are committed in their order, and subscriptions do not change while events find theirs.
func lockPositions(ctx context.Context, tx pgx.Tx, n int) (int64, error) {
	var last int64
	if err := tx.QueryRow(ctx, positionsSQL, pgx.NamedArgs{"n": n}).Scan(&last); err != nil {
		return 0, fmt.Errorf("give out positions: %w", err)
	}
	return last - int64(n), nil
}

const nowSQL = `SELECT now()`

func now(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	var t time.Time
	if err := tx.QueryRow(ctx, nowSQL).Scan(&t); err != nil {
		return t, fmt.Errorf("read the time: %w", err)
	}
	return t, nil
}

func (s *Store) exec(ctx context.Context, what, sql string, args pgx.NamedArgs) (int64, error) {
	tag, err := s.db.Pool.Exec(ctx, sql, args)
	if err != nil {
		return 0, postgres.Classify(fmt.Errorf("%s: %w", what, err))
	}
	return tag.RowsAffected(), nil
}

// querier is a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func collect[T any](ctx context.Context, q querier, what, sql string, args pgx.NamedArgs) ([]T, error) {
	rows, err := q.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("%s: %w", what, err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("%s: %w", what, err))
	}
	return found, nil
}

func noRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
