package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// eventRows gathers events for one statement.
type eventRows struct {
	clusters, services, deployments, types, names, reasons []string
	sequences                                              []int64
	details                                                [][]byte
	times                                                  []time.Time
}

func (r *eventRows) add(service rollout.Service, events []rollout.Event) {
	for _, e := range events {
		detail, _ := json.Marshal(e.Detail) //nolint:errchkjson // a map of strings always marshals
		if e.Detail == nil {
			detail = []byte("{}")
		}
		r.clusters, r.services, r.deployments = append(r.clusters, service.Cluster), append(r.services, service.Name), append(r.deployments, e.Deployment)
		r.sequences, r.types = append(r.sequences, e.Sequence), append(r.types, string(e.Type))
		r.names, r.reasons = append(r.names, e.Name), append(r.reasons, e.Reason)
		r.details, r.times = append(r.details, detail), append(r.times, e.Time)
	}
}

const insertEvents = `
INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::timestamptz[])`

func (r *eventRows) queue(batch *pgx.Batch) {
	if len(r.names) > 0 {
		batch.Queue(insertEvents, r.clusters, r.services, r.deployments, r.sequences, r.types, r.names, r.reasons, r.details, r.times)
	}
}

// Position is a reader's place in the order of all events.
type Position struct {
	Tx uint64
	ID int64
}

// EventRow is an event with its place.
type EventRow struct {
	Position         Position
	Cluster, Service string
	Event            rollout.Event
}

// EventFilter selects events. Zero fields select all.
type EventFilter struct {
	Cluster, Service, Deployment string
	Names                        []string
}

const selectEvents = `SELECT tx::text AS position, id, cluster, service, deployment, sequence, type, name, reason, detail, time FROM events`

// Only rows below the oldest open transaction are read, so that none can appear later at an earlier place.
const listEvents = selectEvents + `
WHERE ($1 = '' OR cluster = $1) AND ($2 = '' OR service = $2) AND ($3 = '' OR deployment = $3)
  AND (cardinality($4::text[]) = 0 OR name = ANY ($4))
  AND (tx, id) > ($5::text::xid8, $6) AND tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY tx, id LIMIT $7`

// EventList returns events after a position, oldest first.
func (s *Store) EventList(ctx context.Context, f EventFilter, after Position, limit int) ([]EventRow, error) {
	names := f.Names
	if names == nil {
		names = []string{}
	}
	rows, err := s.reads.Query(ctx, listEvents, f.Cluster, f.Service, f.Deployment, names, strconv.FormatUint(after.Tx, 10), after.ID, limit)
	return collectEvents(rows, err)
}

// EventsOfDeployment returns a deployment's events after a sequence, in order.
func (s *Store) EventsOfDeployment(ctx context.Context, deployment string, after int64, limit int) ([]EventRow, error) {
	rows, err := s.reads.Query(
		ctx,
		selectEvents+` WHERE deployment = $1 AND deployment <> '' AND sequence > $2 ORDER BY sequence LIMIT $3`,
		deployment,
		after,
		limit,
	)
	return collectEvents(rows, err)
}

// EventEnd returns the position after every event that is visible now.
func (s *Store) EventEnd(ctx context.Context) (Position, error) {
	var tx string
	err := s.reads.QueryRow(ctx, `SELECT pg_snapshot_xmin(pg_current_snapshot())::text`).Scan(&tx)
	if err != nil {
		return Position{}, fmt.Errorf("find the last event: %w", postgres.Classify(err))
	}
	n, err := strconv.ParseUint(tx, 10, 64)
	return Position{Tx: n}, err
}

func collectEvents(rows pgx.Rows, err error) ([]EventRow, error) {
	if err != nil {
		return nil, fmt.Errorf("list events: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (EventRow, error) {
		var e EventRow
		var tx string
		var detail []byte
		err := row.Scan(&tx, &e.Position.ID, &e.Cluster, &e.Service, &e.Event.Deployment, &e.Event.Sequence,
			&e.Event.Type, &e.Event.Name, &e.Event.Reason, &detail, &e.Event.Time)
		if err != nil {
			return e, err
		}
		if e.Position.Tx, err = strconv.ParseUint(tx, 10, 64); err != nil {
			return e, err
		}
		return e, json.Unmarshal(detail, &e.Event.Detail)
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", postgres.Classify(err))
	}
	return list, nil
}
