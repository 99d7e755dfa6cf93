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

// deploymentRows gathers deployments for one statement. A superseded deployment comes before the one in its place, so
// that never two are at work.
type deploymentRows struct {
	ids, clusters, services, states, rollouts []string
	generations                               []int64
	queued                                    []bool
	bodies                                    [][]byte
	created                                   []time.Time
	finished                                  []*time.Time
	first                                     revisionRows // of new ones
}

// revisionRows gathers the service revisions of new deployments.
type revisionRows struct {
	clusters, services, taskDefinitions, deployments []string
	numbers                                          []int64
	created                                          []time.Time
}

func (r *deploymentRows) add(service rollout.Service, d *rollout.Deployment, queued bool) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	r.ids, r.clusters, r.services = append(r.ids, d.ID), append(r.clusters, service.Cluster), append(r.services, service.Name)
	r.states, r.rollouts = append(r.states, string(d.State)), append(r.rollouts, string(d.RolloutState))
	r.generations, r.bodies, r.created = append(r.generations, service.Generation), append(r.bodies, body), append(r.created, d.CreateTime)
	r.finished, r.queued = append(r.finished, orNull(d.FinishTime)), append(r.queued, queued)
	if d.State == rollout.Pending {
		f := &r.first
		f.clusters, f.services, f.numbers = append(f.clusters, service.Cluster), append(f.services, service.Name), append(f.numbers, d.Target.Number)
		f.taskDefinitions, f.deployments = append(f.taskDefinitions, d.Target.TaskDefinition), append(f.deployments, d.ID)
		f.created = append(f.created, d.Target.CreateTime)
	}
	return nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// DeploymentRow is a deployment with the service it belongs to.
type DeploymentRow struct {
	Cluster, Service string
	Generation       int64
	Deployment       rollout.Deployment
}

const selectDeployment = `SELECT cluster, service, generation, body FROM deployments`

func scanDeployment(row pgx.CollectableRow) (DeploymentRow, error) {
	var d DeploymentRow
	var body []byte
	if err := row.Scan(&d.Cluster, &d.Service, &d.Generation, &body); err != nil {
		return d, err
	}
	return d, json.Unmarshal(body, &d.Deployment)
}

// DeploymentGet returns a deployment.
func (s *Store) DeploymentGet(ctx context.Context, id string) (DeploymentRow, error) {
	rows, err := s.reads.Query(ctx, selectDeployment+` WHERE id = $1`, id)
	if err != nil {
		return DeploymentRow{}, fmt.Errorf("get deployment: %w", postgres.Classify(err))
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDeployment)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "there is no deployment %s", id)
	}
	if err != nil {
		return d, fmt.Errorf("get deployment: %w", postgres.Classify(err))
	}
	return d, nil
}

// DeploymentFilter selects deployments. Zero fields select all.
type DeploymentFilter struct {
	Cluster, Service string
	States           []string
	After, Before    time.Time // of creation
	OlderThan        time.Time // the place in the list, with OlderThanID
	OlderThanID      string
}

const listDeployments = selectDeployment + `
WHERE ($1 = '' OR cluster = $1) AND ($2 = '' OR service = $2) AND (cardinality($3::text[]) = 0 OR state = ANY ($3))
  AND ($4::timestamptz IS NULL OR create_time > $4) AND ($5::timestamptz IS NULL OR create_time < $5)
  AND ($6::timestamptz IS NULL OR (create_time, id) < ($6, $7))
ORDER BY create_time DESC, id DESC LIMIT $8`

// DeploymentList returns deployments, newest first.
func (s *Store) DeploymentList(ctx context.Context, f DeploymentFilter, limit int) ([]DeploymentRow, error) {
	states := f.States
	if states == nil {
		states = []string{}
	}
	rows, err := s.reads.Query(
		ctx,
		listDeployments,
		f.Cluster,
		f.Service,
		states,
		orNull(f.After),
		orNull(f.Before),
		orNull(f.OlderThan),
		f.OlderThanID,
		limit,
	)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, scanDeployment)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", postgres.Classify(err))
	}
	return list, nil
}

// Revision is a row of a service's revisions.
type Revision struct {
	Number         int64
	TaskDefinition string
	Deployment     string
	CreateTime     time.Time
}

// RevisionList returns a service's revisions, newest first, below a number (0 for all).
func (s *Store) RevisionList(ctx context.Context, cluster, service string, below int64, limit int) ([]Revision, error) {
	rows, err := s.reads.Query(ctx, `
SELECT number, task_definition, deployment, create_time FROM service_revisions
WHERE cluster = $1 AND service = $2 AND ($3 = 0 OR number < $3) ORDER BY number DESC LIMIT $4`, cluster, service, below, limit)
	if err != nil {
		return nil, fmt.Errorf("list service revisions: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Revision])
	if err != nil {
		return nil, fmt.Errorf("list service revisions: %w", postgres.Classify(err))
	}
	return list, nil
}
