package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Aggregate is a service's state with what the store keeps beside it.
type Aggregate struct {
	State      rollout.State
	Spec       []byte // slipway.orchestrator.v1.Service as the user wrote it
	CreateTime time.Time
	UpdateTime time.Time
}

const selectAggregate = `
SELECT s.state, d.body, s.spec, s.create_time, s.update_time
FROM services s LEFT JOIN deployments d ON d.id = s.deployment`

// ServiceGet returns a service and the deployment at work on it.
func (s *Store) ServiceGet(ctx context.Context, cluster, name string) (Aggregate, error) {
	rows, err := s.reads.Query(ctx, selectAggregate+` WHERE s.cluster = $1 AND s.name = $2`, cluster, name)
	return oneAggregate(rows, err, cluster, name)
}

// ServiceLock is ServiceGet inside a transaction that no other writer of the service can overtake.
func (s *Store) ServiceLock(ctx context.Context, tx pgx.Tx, cluster, name string) (Aggregate, error) {
	// The lock first: a statement that waited for it would see the service as it is then, but the deployment joined to it as
	// it was when the statement began.
	if _, err := tx.Exec(ctx, `SELECT FROM services WHERE cluster = $1 AND name = $2 FOR UPDATE`, cluster, name); err != nil {
		return Aggregate{}, fmt.Errorf("lock service: %w", postgres.Classify(err))
	}
	rows, err := tx.Query(ctx, selectAggregate+` WHERE s.cluster = $1 AND s.name = $2`, cluster, name)
	return oneAggregate(rows, err, cluster, name)
}

func oneAggregate(rows pgx.Rows, err error, cluster, name string) (Aggregate, error) {
	if err != nil {
		return Aggregate{}, fmt.Errorf("get service: %w", postgres.Classify(err))
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAggregate)
	if errors.Is(err, pgx.ErrNoRows) {
		return Aggregate{}, problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "there is no service %s in cluster %s", name, cluster)
	}
	if err != nil {
		return Aggregate{}, fmt.Errorf("get service: %w", postgres.Classify(err))
	}
	return a, nil
}

func scanAggregate(row pgx.CollectableRow) (Aggregate, error) {
	var a Aggregate
	var service, deployment []byte
	if err := row.Scan(&service, &deployment, &a.Spec, &a.CreateTime, &a.UpdateTime); err != nil {
		return a, err
	}
	if err := json.Unmarshal(service, &a.State.Service); err != nil {
		return a, err
	}
	if deployment != nil {
		a.State.Deployment = &rollout.Deployment{}
		return a, json.Unmarshal(deployment, a.State.Deployment)
	}
	return a, nil
}

// ServicesActive returns every service that is not deleted: what the engine works on.
func (s *Store) ServicesActive(ctx context.Context) ([]rollout.State, error) {
	rows, err := s.reads.Query(ctx, selectAggregate+` WHERE s.phase <> 'INACTIVE' ORDER BY s.cluster, s.name`)
	if err != nil {
		return nil, fmt.Errorf("list active services: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (rollout.State, error) {
		a, err := scanAggregate(row)
		return a.State, err
	})
	if err != nil {
		return nil, fmt.Errorf("list active services: %w", postgres.Classify(err))
	}
	return list, nil
}

// ServicesList returns services by cluster and name, after a cluster and name.
func (s *Store) ServicesList(ctx context.Context, cluster string, after [2]string, limit int) ([]Aggregate, error) {
	rows, err := s.reads.Query(ctx, selectAggregate+`
WHERE ($1 = '' OR s.cluster = $1) AND (s.cluster, s.name) > ($2, $3) AND s.phase <> 'INACTIVE'
ORDER BY s.cluster, s.name LIMIT $4`, cluster, after[0], after[1], limit)
	if err != nil {
		return nil, fmt.Errorf("list services: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, scanAggregate)
	if err != nil {
		return nil, fmt.Errorf("list services: %w", postgres.Classify(err))
	}
	return list, nil
}

const insertService = `
INSERT INTO services (cluster, name, generation, phase, deployment, spec, state, create_time, update_time)
VALUES ($1, $2, $3, $4, NULL, $5, $6, $7, $7)
ON CONFLICT (cluster, name) DO UPDATE
SET generation = excluded.generation, phase = excluded.phase, deployment = NULL, spec = excluded.spec, state = excluded.state,
    create_time = excluded.create_time, update_time = excluded.update_time
WHERE services.phase = 'INACTIVE' AND services.generation < excluded.generation`

// ServiceInsert creates a service, or takes up a deleted one, before its first deployment is saved.
func (s *Store) ServiceInsert(ctx context.Context, tx pgx.Tx, service rollout.Service, spec []byte, now time.Time) error {
	state, err := json.Marshal(service)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, insertService, service.Cluster, service.Name, service.Generation, service.Phase, spec, state, now)
	if err != nil {
		return fmt.Errorf("create service: %w", postgres.Classify(err))
	}
	if tag.RowsAffected() == 0 {
		return problem.New(
			problem.AlreadyExists,
			"ALREADY_EXISTS",
			"service %s exists in cluster %s; use UpdateService or CreateDeployment",
			service.Name,
			service.Cluster,
		)
	}
	return nil
}

// ServiceSpecSet keeps the service as the user wrote it.
func (s *Store) ServiceSpecSet(ctx context.Context, tx pgx.Tx, cluster, name string, spec []byte) error {
	_, err := tx.Exec(ctx, `UPDATE services SET spec = $3 WHERE cluster = $1 AND name = $2`, cluster, name, spec)
	if err != nil {
		return fmt.Errorf("set service spec: %w", postgres.Classify(err))
	}
	return nil
}
