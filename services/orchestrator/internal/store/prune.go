package store

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres"
)

const (
	pruneAtOnce = 1000
	// KeptDeployments is how many deployments of a service are kept whatever their age.
	KeptDeployments = 10
)

// A deployment that a service's state names is kept: one that completed may be what a rollback returns to.
const pruneDeployments = `
WITH old AS (
  SELECT d.id, d.cluster, d.service FROM deployments d JOIN services s ON s.cluster = d.cluster AND s.name = d.service
  WHERE d.create_time < $1 AND d.finish_time < $1
    AND (s.phase = 'INACTIVE' OR $2 = (SELECT count(*) FROM (SELECT FROM deployments n WHERE n.cluster = d.cluster AND n.service = d.service
      AND (n.create_time, n.id) > (d.create_time, d.id) LIMIT $2) newer))
    AND NOT jsonb_path_exists(s.state, '$.** ? (@ == $id)', jsonb_build_object('id', d.id))
  ORDER BY d.create_time, d.id LIMIT $3 FOR UPDATE OF d SKIP LOCKED
), events AS (
  DELETE FROM events e USING old WHERE e.deployment = old.id AND e.deployment <> ''
), revisions AS (
  DELETE FROM service_revisions r USING old WHERE r.cluster = old.cluster AND r.service = old.service AND r.deployment = old.id
)
DELETE FROM deployments d USING old WHERE d.id = old.id`

const pruneServiceEvents = `
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE deployment = '' AND time < $1 ORDER BY time LIMIT $2 FOR UPDATE SKIP LOCKED)`

// Prune deletes deployments that finished before a time, with their events and service revisions, and the events of services alone
// from before it, in portions, until ctx ends. It returns how many deployments it deleted.
func (s *Store) Prune(ctx context.Context, before time.Time) (deployments int64, err error) {
	deployments, err = s.portions(ctx, pruneDeployments, before, KeptDeployments, pruneAtOnce)
	if err == nil {
		_, err = s.portions(ctx, pruneServiceEvents, before, pruneAtOnce)
	}
	return deployments, err
}

// PruneRequests forgets answers from before a time.
func (s *Store) PruneRequests(ctx context.Context, before time.Time) error {
	for n := int64(1); n > 0; {
		var err error
		if n, err = once.Prune(ctx, s.db, before); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) portions(ctx context.Context, sql string, args ...any) (all int64, err error) {
	for {
		tag, err := s.db.Pool.Exec(ctx, sql, args...)
		if err != nil {
			return all, fmt.Errorf("delete what is kept no longer: %w", postgres.Classify(err))
		}
		all += tag.RowsAffected()
		if tag.RowsAffected() < pruneAtOnce {
			return all, nil
		}
	}
}
