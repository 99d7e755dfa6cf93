package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// Position is a reader's place in the order of all events.
type Position struct {
	Tx uint64
	ID int64
}

// After reports whether the place is behind another one.
func (p Position) After(other Position) bool {
	return p.Tx > other.Tx || p.Tx == other.Tx && p.ID > other.ID
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

// Selects reports whether the filter selects the event.
func (f EventFilter) Selects(e EventRow) bool {
	return (f.Cluster == "" || f.Cluster == e.Cluster) && (f.Service == "" || f.Service == e.Service) &&
		(f.Deployment == "" || f.Deployment == e.Event.Deployment) && (len(f.Names) == 0 || slices.Contains(f.Names, e.Event.Name))
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

// Mark is a service, and a deployment of it or "", that events tell of.
type Mark struct{ Cluster, Service, Deployment string }

// Only events of transactions that are as recent as the position are looked at, and each once, as in EventList.
const listMarks = `
SELECT DISTINCT cluster, service, deployment, pg_snapshot_xmin(pg_current_snapshot())::text FROM (
  SELECT cluster, service, deployment FROM events
  WHERE tx >= $1::text::xid8 AND tx < pg_snapshot_xmin(pg_current_snapshot())
) recent
UNION ALL SELECT '', '', '', pg_snapshot_xmin(pg_current_snapshot())::text`

// EventMarks returns what the events tell of that have become visible since a position, and the position for the next call.
func (s *Store) EventMarks(ctx context.Context, since Position) ([]Mark, Position, error) {
	rows, err := s.reads.Query(ctx, listMarks, strconv.FormatUint(since.Tx, 10))
	if err != nil {
		return nil, since, fmt.Errorf("follow events: %w", postgres.Classify(err))
	}
	var marks []Mark
	var mark Mark
	var end string
	_, err = pgx.ForEachRow(rows, []any{&mark.Cluster, &mark.Service, &mark.Deployment, &end}, func() error {
		if mark.Service != "" {
			marks = append(marks, mark)
		}
		return nil
	})
	if err != nil {
		return nil, since, fmt.Errorf("follow events: %w", postgres.Classify(err))
	}
	tx, err := strconv.ParseUint(end, 10, 64)
	return marks, Position{Tx: tx}, err
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
