package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

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
// was still the one decided on. The others lost the compare-and-swap and are not changed.
func (s *Store) Save(ctx context.Context, changes []Change) (map[Key]bool, error) {
	var saved map[Key]bool
	err := s.db.InTx(ctx, func(tx pgx.Tx) error {
		var err error
		saved, err = s.SaveTx(ctx, tx, changes)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("save: %w", postgres.Classify(err))
	}
	return saved, nil
}

const swapServices = `
UPDATE services s
SET generation = n.generation, phase = n.phase, deployment = nullif(n.deployment, ''), state = n.state, update_time = $7
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::jsonb[])
  AS n (cluster, name, generation, phase, deployment, state)
WHERE s.cluster = n.cluster AND s.name = n.name AND s.generation = n.generation - 1
RETURNING s.cluster, s.name`

// SaveTx is Save inside a transaction.
func (s *Store) SaveTx(ctx context.Context, tx pgx.Tx, changes []Change) (map[Key]bool, error) {
	var clusters, names, phases, deployments []string
	var generations []int64
	var states [][]byte
	for _, c := range changes {
		state, err := json.Marshal(c.Next.Service)
		if err != nil {
			return nil, err
		}
		service := c.Next.Service
		clusters, names = append(clusters, service.Cluster), append(names, service.Name)
		generations, phases = append(generations, service.Generation), append(phases, string(service.Phase))
		deployments, states = append(deployments, atWork(c.Next)), append(states, state)
	}
	rows, err := tx.Query(ctx, swapServices, clusters, names, generations, phases, deployments, states, time.Now())
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
	return saved, s.saveDetails(ctx, tx, changes, saved)
}

func atWork(state rollout.State) string {
	if d := state.Deployment; d != nil && !d.State.Terminal() {
		return d.ID
	}
	return ""
}

// saveDetails writes the deployments and events of the services that were saved.
func (s *Store) saveDetails(ctx context.Context, tx pgx.Tx, changes []Change, saved map[Key]bool) error {
	var deployments deploymentRows
	var events eventRows
	for _, c := range changes {
		service := c.Next.Service
		if !saved[Key{service.Cluster, service.Name}] {
			continue
		}
		for i := range c.Ended {
			if err := deployments.add(service, &c.Ended[i].Deployment, false); err != nil {
				return err
			}
			events.add(service, c.Ended[i].Events)
		}
		if d := c.Next.Deployment; d != nil {
			if err := deployments.add(service, d, false); err != nil {
				return err
			}
		}
		for i := range service.Queue {
			if err := deployments.add(service, &service.Queue[i], true); err != nil {
				return err
			}
		}
		events.add(service, c.Events)
	}
	batch := &pgx.Batch{}
	deployments.queue(batch)
	events.queue(batch)
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, batch).Close()
}
