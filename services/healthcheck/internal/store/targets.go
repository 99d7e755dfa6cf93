package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const ownerSQL = `SELECT id, service FROM targets WHERE target_group = $1 AND id = ANY ($2) AND service <> $3 ORDER BY id LIMIT 1`

const registerSQL = `
INSERT INTO targets AS t (target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time,
  flip_healthy, flip_description, flip_time)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
  $8::int[], $9::int[], $10::timestamptz[], $11::timestamptz[], $12::bool[], $13::text[], $14::timestamptz[])
ON CONFLICT (target_group, id) DO UPDATE SET address = excluded.address, state = excluded.state, reason = excluded.reason,
  description = excluded.description, successes = excluded.successes, failures = excluded.failures, state_time = excluded.state_time,
  check_time = excluded.check_time, drain_end = NULL, flip_healthy = excluded.flip_healthy,
  flip_description = excluded.flip_description, flip_time = excluded.flip_time
WHERE t.address <> excluded.address OR t.state = 'DRAINING'
RETURNING id`

// TargetsRegister adds targets of one group and one service and returns the ids of those that are new: one that is registered
// with the same address keeps what is known of it. The group must be locked. An id that belongs to another service is a
// FailedPrecondition problem with reason IN_USE.
func (s *Store) TargetsRegister(ctx context.Context, tx pgx.Tx, group, service string, targets []Target, now time.Time) ([]string, error) {
	if err := expire(ctx, tx, now); err != nil {
		return nil, err
	}
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.ID
	}
	var id, owner string
	err := tx.QueryRow(ctx, ownerSQL, group, ids, service).Scan(&id, &owner)
	if err == nil {
		return nil, problem.New(problem.FailedPrecondition, "IN_USE",
			"target %s of target group %s belongs to %s", id, group, ownerName(owner)).With("target", id)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("register targets: %w", postgres.Classify(err))
	}
	return collectIDs(ctx, tx, "register targets", registerSQL, columns(targets)...)
}

func ownerName(service string) string {
	if service == "" {
		return "no service: it is kept by hand"
	}
	return "service " + service
}

// Shard is the shard whose holder checks the target (package lease).
func (t Target) Shard() int { return lease.ShardOf(t.Group + "/" + t.ID) }

// Fence is the leases under which a replica saves what its checks found. The zero Fence is for what users report.
type Fence struct {
	Holder      string
	Shards      []int
	Generations []int64 // of each shard
}

const healthSQL = `
WITH held AS (
  SELECT l.shard FROM shard_leases l JOIN unnest($17::int[], $18::bigint[]) AS h (shard, generation) ON h.shard = l.shard AND h.generation = l.generation
  WHERE l.holder = $16 FOR KEY SHARE OF l
)
UPDATE targets t SET state = n.state, reason = n.reason, description = n.description, successes = n.successes, failures = n.failures,
  state_time = n.state_time, check_time = n.check_time, flip_healthy = n.flip_healthy, flip_description = n.flip_description,
  flip_time = n.flip_time
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
  $8::int[], $9::int[], $10::timestamptz[], $11::timestamptz[], $12::bool[], $13::text[], $14::timestamptz[], $15::int[])
  AS n (target_group, id, address, service, state, reason, description, successes, failures, state_time, check_time,
    flip_healthy, flip_description, flip_time, shard)
WHERE t.target_group = n.target_group AND t.id = n.id AND t.address = n.address AND t.service = n.service AND t.state <> 'DRAINING'
  AND ($16 = '' OR n.shard IN (SELECT shard FROM held))`

// HealthUpdate saves the health of many targets at once. Targets that are gone, drain, or have another address or service are
// left alone, and so are those whose shard is not leased as the fence says any more.
func (s *Store) HealthUpdate(ctx context.Context, targets []Target, f Fence) error {
	shards := make([]int, len(targets))
	for i, t := range targets {
		shards[i] = t.Shard()
	}
	return healthUpdate(ctx, s.db.Pool, targets, shards, f)
}

// HealthUpdateTx saves the health of a target in a transaction that has locked it.
func (s *Store) HealthUpdateTx(ctx context.Context, tx pgx.Tx, t Target) error {
	return healthUpdate(ctx, tx, []Target{t}, []int{t.Shard()}, Fence{})
}

// executor is a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func healthUpdate(ctx context.Context, on executor, targets []Target, shards []int, f Fence) error {
	args := append(columns(targets), shards, f.Holder, f.Shards, f.Generations)
	if _, err := on.Exec(ctx, healthSQL, args...); err != nil {
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
	flipHealthy, flipDescriptions, flipTimes := make([]bool, n), make([]string, n), make([]*time.Time, n)
	for i, t := range targets {
		groups[i], ids[i], addresses[i], services[i] = t.Group, t.ID, t.Address, t.Service
		states[i], reasons[i], descriptions[i] = string(t.Health.State), t.Health.Reason, t.Health.Description
		successes[i], failures[i] = int32(t.Health.Successes), int32(t.Health.Failures)
		stateTimes[i] = t.Health.StateTime
		if !t.Health.CheckTime.IsZero() {
			checkTimes[i] = &t.Health.CheckTime
		}
		flipHealthy[i], flipDescriptions[i] = t.Health.Flip.Healthy, t.Health.Flip.Description
		if !t.Health.Flip.Time.IsZero() {
			flipTimes[i] = &t.Health.Flip.Time
		}
	}
	return []any{
		groups, ids, addresses, services, states, reasons, descriptions, successes, failures, stateTimes, checkTimes,
		flipHealthy, flipDescriptions, flipTimes,
	}
}

const (
	drainSQL = `
UPDATE targets SET state = $4, reason = $5, description = $6, state_time = $7, drain_end = $8, flip_time = NULL
WHERE target_group = $1 AND service = $2 AND id = ANY ($3) AND state <> 'DRAINING' RETURNING id`
	removeSQL = `DELETE FROM targets WHERE target_group = $1 AND service = $2 AND id = ANY ($3) RETURNING id`
)

// TargetsDrain lets targets of a service drain until the given time and returns the ids of those that began to. Unknown ones,
// those of another service and those that drain already are left alone.
func (s *Store) TargetsDrain(ctx context.Context, tx pgx.Tx, group, service string, ids []string, now, until time.Time) ([]string, error) {
	h := verdict.Deregistered(verdict.Health{}, now)
	return collectIDs(ctx, tx, "drain targets", drainSQL, group, service, ids, h.State, h.Reason, h.Description, h.StateTime, until)
}

// TargetsRemove removes targets of a service at once and returns their ids. Unknown ones and those of another service are left
// alone.
func (s *Store) TargetsRemove(ctx context.Context, tx pgx.Tx, group, service string, ids []string) ([]string, error) {
	return collectIDs(ctx, tx, "deregister targets", removeSQL, group, service, ids)
}

func collectIDs(ctx context.Context, tx pgx.Tx, what, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, postgres.Classify(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, postgres.Classify(err))
	}
	return ids, nil
}

// TargetsExpire removes the targets whose draining has ended.
func (s *Store) TargetsExpire(ctx context.Context, now time.Time) error {
	return expire(ctx, s.db.Pool, now)
}

const expireSQL = `DELETE FROM targets WHERE drain_end <= $1`

func expire(ctx context.Context, on executor, now time.Time) error {
	if _, err := on.Exec(ctx, expireSQL, now); err != nil {
		return fmt.Errorf("remove drained targets: %w", postgres.Classify(err))
	}
	return nil
}
