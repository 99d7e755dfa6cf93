// Package store keeps the orchestrator's state in Postgres. It decides nothing: a save is a compare-and-swap on a
// service's generation, and events are written in the transaction of the state they tell of.
package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// Store is the orchestrator's schema.
type Store struct {
	db    *postgres.DB
	reads reader
}

// reader is the pool or a transaction.
type reader interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// New returns a store on a migrated schema.
func New(db *postgres.DB) *Store { return &Store{db: db, reads: db.Pool} }

// In returns the store as the transaction sees it: what it reads, it reads on the transaction's connection. Whoever holds a
// transaction must read through it: when all connections of the pool are held so, a second one never comes.
func (s *Store) In(tx pgx.Tx) *Store { return &Store{db: s.db, reads: tx} }
