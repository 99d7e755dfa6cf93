package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Change is a decision to be saved: the next state, whose generation is one above the saved one, and its events.
type Change struct {
	Next   rollout.State
	Events []rollout.Event
	Ended  []rollout.Ended // deployments that ended and are not in Next
}

// Key names a service.
type Key struct{ Cluster, Name string }

// Save writes many services' changes in one transaction, each with its events, and returns the services whose generation
// was still the one decided on. The others lost the compare-and-swap and are not changed; so are those that somebody else is
// changing at this moment, for one must not hold up all.
//
// It is one statement: a program that is stopped while it saves leaves no lock behind.
func (s *Store) Save(ctx context.Context, changes []Change) (map[Key]bool, error) {
	saved, err := save(ctx, s.db.Pool, changes)
	if err != nil {
		return nil, fmt.Errorf("save: %w", postgres.Classify(err))
	}
	return saved, nil
}

// SaveTx is Save inside a transaction.
func (s *Store) SaveTx(ctx context.Context, tx pgx.Tx, changes []Change) (map[Key]bool, error) {
	return save(ctx, tx, changes)
}

// The rows of deployments and events keep their order: a superseded deployment ends before the next is at work, and events are read
// in the order of their ids.
const saveSQL = `
WITH wanted AS (
  SELECT * FROM unnest(@clusters::text[], @names::text[], @generations::bigint[], @phases::text[], @deployments::text[], @states::jsonb[])
    AS n (cluster, name, generation, phase, deployment, state)
), free AS (
  SELECT s.cluster, s.name FROM services s JOIN wanted n ON s.cluster = n.cluster AND s.name = n.name AND s.generation = n.generation - 1
  FOR NO KEY UPDATE OF s SKIP LOCKED
), swapped AS (
  UPDATE services s
  SET generation = n.generation, phase = n.phase, deployment = nullif(n.deployment, ''), state = n.state, update_time = now()
  FROM wanted n JOIN free f ON f.cluster = n.cluster AND f.name = n.name
  WHERE s.cluster = n.cluster AND s.name = n.name AND s.generation = n.generation - 1
  RETURNING s.cluster, s.name
), ended_or_at_work AS (
  INSERT INTO deployments (id, cluster, service, generation, state, rollout_state, body, create_time, finish_time, queued)
  SELECT d.id, d.cluster, d.service, d.generation, d.state, d.rollout_state, d.body, d.create_time, d.finish_time, d.queued
  FROM unnest(@d_ids::text[], @d_clusters::text[], @d_services::text[], @d_generations::bigint[], @d_states::text[], @d_rollouts::text[],
      @d_bodies::jsonb[], @d_created::timestamptz[], @d_finished::timestamptz[], @d_queued::boolean[])
    WITH ORDINALITY AS d (id, cluster, service, generation, state, rollout_state, body, create_time, finish_time, queued, place)
  JOIN swapped s ON s.cluster = d.cluster AND s.name = d.service ORDER BY d.place
  ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, state = excluded.state, rollout_state = excluded.rollout_state,
    body = excluded.body, finish_time = excluded.finish_time, queued = excluded.queued
), revisions AS (
  INSERT INTO service_revisions (cluster, service, number, task_definition, deployment, create_time)
  SELECT r.cluster, r.service, r.number, r.task_definition, r.deployment, r.create_time
  FROM unnest(@r_clusters::text[], @r_services::text[], @r_numbers::bigint[], @r_definitions::text[], @r_deployments::text[], @r_created::timestamptz[])
    AS r (cluster, service, number, task_definition, deployment, create_time)
  JOIN swapped s ON s.cluster = r.cluster AND s.name = r.service
  ON CONFLICT DO NOTHING
), happened AS (
  INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time)
  SELECT e.cluster, e.service, e.deployment, e.sequence, e.type, e.name, e.reason, e.detail, e.time
  FROM unnest(@e_clusters::text[], @e_services::text[], @e_deployments::text[], @e_sequences::bigint[], @e_types::text[], @e_names::text[],
      @e_reasons::text[], @e_details::jsonb[], @e_times::timestamptz[])
    WITH ORDINALITY AS e (cluster, service, deployment, sequence, type, name, reason, detail, time, place)
  JOIN swapped s ON s.cluster = e.cluster AND s.name = e.service ORDER BY e.place
)
SELECT cluster, name FROM swapped`

func save(ctx context.Context, db reader, changes []Change) (map[Key]bool, error) {
	args, err := saveArgs(changes)
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, saveSQL, args)
	if err != nil {
		return nil, err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	if err != nil {
		return nil, err
	}
	saved := make(map[Key]bool, len(keys))
	for _, k := range keys {
		saved[k] = true
	}
	return saved, nil
}

func atWork(state rollout.State) string {
	if d := state.Deployment; d != nil && !d.State.Terminal() {
		return d.ID
	}
	return ""
}

// saveArgs is the rows of all changes, by column.
func saveArgs(changes []Change) (pgx.NamedArgs, error) {
	var clusters, names, phases, atWorks []string
	var generations []int64
	var states [][]byte
	var d deploymentRows
	var e eventRows
	for _, c := range changes {
		service := c.Next.Service
		state, err := json.Marshal(service)
		if err != nil {
			return nil, err
		}
		clusters, names = append(clusters, service.Cluster), append(names, service.Name)
		generations, phases = append(generations, service.Generation), append(phases, string(service.Phase))
		atWorks, states = append(atWorks, atWork(c.Next)), append(states, state)
		if err := d.addAll(c); err != nil {
			return nil, err
		}
		for i := range c.Ended {
			e.add(service, c.Ended[i].Events)
		}
		e.add(service, c.Events)
	}
	r := d.first
	return pgx.NamedArgs{
		"clusters": clusters, "names": names, "generations": generations, "phases": phases, "deployments": atWorks, "states": states,
		"d_ids": d.ids, "d_clusters": d.clusters, "d_services": d.services, "d_generations": d.generations, "d_states": d.states,
		"d_rollouts": d.rollouts, "d_bodies": d.bodies, "d_created": d.created, "d_finished": d.finished, "d_queued": d.queued,
		"r_clusters": r.clusters, "r_services": r.services, "r_numbers": r.numbers, "r_definitions": r.taskDefinitions,
		"r_deployments": r.deployments, "r_created": r.created,
		"e_clusters": e.clusters, "e_services": e.services, "e_deployments": e.deployments, "e_sequences": e.sequences, "e_types": e.types,
		"e_names": e.names, "e_reasons": e.reasons, "e_details": e.details, "e_times": e.times,
	}, nil
}

// addAll adds the deployments of a change: those that ended, the one at work, those that wait.
func (r *deploymentRows) addAll(c Change) error {
	for i := range c.Ended {
		if err := r.add(c.Next.Service, &c.Ended[i].Deployment, false); err != nil {
			return err
		}
	}
	if d := c.Next.Deployment; d != nil {
		if err := r.add(c.Next.Service, d, false); err != nil {
			return err
		}
	}
	for i := range c.Next.Service.Queue {
		if err := r.add(c.Next.Service, &c.Next.Service.Queue[i], true); err != nil {
			return err
		}
	}
	return nil
}
