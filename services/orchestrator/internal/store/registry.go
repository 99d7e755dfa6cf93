package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// InTx runs f in a transaction.
func (s *Store) InTx(ctx context.Context, f func(pgx.Tx) error) error { return s.db.InTx(ctx, f) }

// Cluster is a name space for services.
type Cluster struct {
	Name       string
	CreateTime time.Time
}

// ClusterCreate creates a cluster, or returns the existing one.
func (s *Store) ClusterCreate(ctx context.Context, tx pgx.Tx, name string, now time.Time) (Cluster, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO clusters (name, create_time) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, now); err != nil {
		return Cluster{}, fmt.Errorf("create cluster: %w", postgres.Classify(err))
	}
	c := Cluster{Name: name}
	if err := tx.QueryRow(ctx, `SELECT create_time FROM clusters WHERE name = $1`, name).Scan(&c.CreateTime); err != nil {
		return c, fmt.Errorf("create cluster: %w", postgres.Classify(err))
	}
	return c, nil
}

// ClusterCheck returns a problem when there is no such cluster.
func (s *Store) ClusterCheck(ctx context.Context, name string) error {
	var found bool
	if err := s.reads.QueryRow(ctx, `SELECT EXISTS (SELECT FROM clusters WHERE name = $1)`, name).Scan(&found); err != nil {
		return fmt.Errorf("get cluster: %w", postgres.Classify(err))
	}
	if !found {
		return problem.New(problem.NotFound, "CLUSTER_NOT_FOUND", "there is no cluster %s; create it with CreateCluster", name)
	}
	return nil
}

// ClusterList returns clusters by name, after a name.
func (s *Store) ClusterList(ctx context.Context, after string, limit int) ([]Cluster, error) {
	rows, err := s.reads.Query(ctx, `SELECT name, create_time FROM clusters WHERE name > $1 ORDER BY name LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Cluster])
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", postgres.Classify(err))
	}
	return list, nil
}

// TaskDefinition is a registered task definition.
type TaskDefinition struct {
	Family       string
	Revision     int32
	Definition   []byte // slipway.orchestrator.v1.TaskDefinition
	RegisterTime time.Time
}

// TaskDefinitionRegister gives the family's next revision to a definition. Registrations of one family queue up.
func (s *Store) TaskDefinitionRegister(ctx context.Context, tx pgx.Tx, family string, definition []byte, now time.Time) (TaskDefinition, error) {
	t := TaskDefinition{Family: family, Definition: definition, RegisterTime: now}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, family); err != nil {
		return t, fmt.Errorf("register task definition: %w", postgres.Classify(err))
	}
	err := tx.QueryRow(ctx, `
INSERT INTO task_definitions (family, revision, definition, register_time)
SELECT $1, coalesce(max(revision), 0) + 1, $2, $3 FROM task_definitions WHERE family = $1
RETURNING revision`, family, definition, now).Scan(&t.Revision)
	if err != nil {
		return t, fmt.Errorf("register task definition: %w", postgres.Classify(err))
	}
	return t, nil
}

// TaskDefinitionGet returns a revision of a family, or the latest for revision 0.
func (s *Store) TaskDefinitionGet(ctx context.Context, family string, revision int32) (TaskDefinition, error) {
	rows, err := s.reads.Query(ctx, `
SELECT family, revision, definition, register_time FROM task_definitions
WHERE family = $1 AND ($2 = 0 OR revision = $2) ORDER BY revision DESC LIMIT 1`, family, revision)
	if err != nil {
		return TaskDefinition{}, fmt.Errorf("get task definition: %w", postgres.Classify(err))
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[TaskDefinition])
	if errors.Is(err, pgx.ErrNoRows) {
		name := family
		if revision > 0 {
			name = fmt.Sprintf("%s:%d", family, revision)
		}
		return t, problem.New(problem.NotFound, "TASK_DEFINITION_NOT_FOUND", "there is no task definition %s; register it with RegisterTaskDefinition", name)
	}
	if err != nil {
		return t, fmt.Errorf("get task definition: %w", postgres.Classify(err))
	}
	return t, nil
}

// TaskDefinitionList returns task definitions by family and newest first, after a family and revision.
func (s *Store) TaskDefinitionList(ctx context.Context, family, afterFamily string, afterRevision int32, limit int) ([]TaskDefinition, error) {
	rows, err := s.reads.Query(ctx, `
SELECT family, revision, definition, register_time FROM task_definitions
WHERE ($1 = '' OR family = $1) AND (family > $2 OR (family = $2 AND revision < $3))
ORDER BY family, revision DESC LIMIT $4`, family, afterFamily, afterRevision, limit)
	if err != nil {
		return nil, fmt.Errorf("list task definitions: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[TaskDefinition])
	if err != nil {
		return nil, fmt.Errorf("list task definitions: %w", postgres.Classify(err))
	}
	return list, nil
}

// DeploymentConfigCreate keeps a named deployment configuration.
func (s *Store) DeploymentConfigCreate(ctx context.Context, tx pgx.Tx, name string, config []byte, now time.Time) error {
	tag, err := tx.Exec(ctx, `INSERT INTO deployment_configs (name, config, create_time) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, name, config, now)
	if err != nil {
		return fmt.Errorf("create deployment configuration: %w", postgres.Classify(err))
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.AlreadyExists, "ALREADY_EXISTS", "deployment configuration %s exists", name)
	}
	return nil
}

// DeploymentConfigList returns the custom deployment configurations by name.
func (s *Store) DeploymentConfigList(ctx context.Context) ([][]byte, error) {
	rows, err := s.reads.Query(ctx, `SELECT config FROM deployment_configs ORDER BY name LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("list deployment configurations: %w", postgres.Classify(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("list deployment configurations: %w", postgres.Classify(err))
	}
	return list, nil
}

// DeploymentConfigGet returns a custom deployment configuration.
func (s *Store) DeploymentConfigGet(ctx context.Context, name string) ([]byte, error) {
	var config []byte
	err := s.reads.QueryRow(ctx, `SELECT config FROM deployment_configs WHERE name = $1`, name).Scan(&config)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "DEPLOYMENT_CONFIGURATION_NOT_FOUND",
			"there is no deployment configuration %s; ListDeploymentConfigs shows those that exist", name)
	}
	if err != nil {
		return nil, fmt.Errorf("get deployment configuration: %w", postgres.Classify(err))
	}
	return config, nil
}
