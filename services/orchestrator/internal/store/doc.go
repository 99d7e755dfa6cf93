// Package store keeps the orchestrator's state in Postgres. It decides nothing: a save is a compare-and-swap on a
// service's generation, and events are written in the transaction of the state they tell of.
package store

import (
	"github.com/slipway-deploy/slipway/platform/postgres"
)

// Store is the orchestrator's schema.
type Store struct{ db *postgres.DB }

// New returns a store on a migrated schema.
func New(db *postgres.DB) *Store { return &Store{db: db} }
