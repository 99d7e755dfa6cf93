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

// activeChunk is how many states are read in one statement.
const activeChunk = 500

// ServicesActive returns the services that are not deleted and that are wanted, nil for all: what an engine works on. The states
// of the others are not read.
func (s *Store) ServicesActive(ctx context.Context, wanted func(Key) bool) ([]rollout.State, error) {
	standing, err := s.Standing(ctx)
	if err != nil {
		return nil, err
	}
	var clusters, names []string
	for key := range standing {
		if wanted == nil || wanted(key) {
			clusters, names = append(clusters, key.Cluster), append(names, key.Name)
		}
	}
	list := make([]rollout.State, 0, len(names))
	for len(names) > 0 {
		n := min(len(names), activeChunk)
		rows, err := s.reads.Query(ctx, selectAggregate+` JOIN unnest($1::text[], $2::text[]) AS wanted (cluster, name)
  ON s.cluster = wanted.cluster AND s.name = wanted.name
WHERE s.phase <> 'INACTIVE'`, clusters[:n], names[:n])
		if err != nil {
			return nil, fmt.Errorf("list active services: %w", postgres.Classify(err))
		}
		chunk, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (rollout.State, error) {
			a, err := scanAggregate(row)
			return a.State, err
		})
		if err != nil {
			return nil, fmt.Errorf("list active services: %w", postgres.Classify(err))
		}
		list, clusters, names = append(list, chunk...), clusters[n:], names[n:]
	}
	return list, nil
}

// Stand is how far a service has come.
type Stand struct {
	Generation int64
	Deployment string // at work; "" for none
}

// Standing returns how far each service has come that is not deleted.
func (s *Store) Standing(ctx context.Context) (map[Key]Stand, error) {
	rows, err := s.reads.Query(ctx, `SELECT cluster, name, generation, coalesce(deployment, '') FROM services WHERE phase <> 'INACTIVE'`)
	if err != nil {
		return nil, fmt.Errorf("list services: %w", postgres.Classify(err))
	}
	all := map[Key]Stand{}
	var key Key
	var stand Stand
	_, err = pgx.ForEachRow(rows, []any{&key.Cluster, &key.Name, &stand.Generation, &stand.Deployment}, func() error {
		all[key] = stand
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", postgres.Classify(err))
	}
	return all, nil
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
