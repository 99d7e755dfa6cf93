package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Begin is an invocation to begin.
type Begin struct {
	Generation int64
	Spec       invocation.Spec
	Hook       string // name
}

const invocationInsertSQL = `
INSERT INTO invocations (id, service, deployment, lifecycle_stage, step, execution, details, returned, timeout, timeout_action, contract,
    hook, target_kind, target_address, target_tls, target_qualifier, target_args, target_secrets, call_timeout, max_attempts,
    state, outcome, reason, attempt, attempt_time, attempt_open, failures, next_attempt_time, deadline_time, create_time, end_time, due_time)
VALUES (@id, @service, @deployment, @lifecycle_stage, @step, @execution, @details, @returned, @timeout, @timeout_action, @contract,
    @hook, @target_kind, @target_address, @target_tls, @target_qualifier, @target_args, @target_secrets, @call_timeout, @max_attempts,
    @state, @outcome, @reason, @attempt, @attempt_time, @attempt_open, @failures, @next_attempt_time, @deadline_time, @create_time, @end_time, @due_time)`

// InvocationBegin begins an invocation and returns it. An id that exists already returns the invocation as it stands,
// whatever else is asked for; only another hook, service, deployment, stage or step with the id is refused.
func (s *Store) InvocationBegin(ctx context.Context, b Begin) (invocation.Invocation, error) {
	var begun invocation.Invocation
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		if err := s.fence(ctx, tx, b.Spec.Service, b.Generation); err != nil {
			return err
		}
		var err error
		begun, err = invocationGet(ctx, tx, b.Spec.ID)
		if errors.Is(err, problem.NotFound) {
			if err := s.insert(ctx, tx, b); err != nil {
				return err
			}
			begun, err = invocationGet(ctx, tx, b.Spec.ID)
			return err
		}
		if err != nil {
			return err
		}
		return sameIdentity(begun, b)
	})
	return begun, err
}

func sameIdentity(begun invocation.Invocation, b Begin) error {
	for _, part := range []struct{ name, have, asked string }{
		{"hook", begun.Hook.Name, b.Hook},
		{"service", begun.Service, b.Spec.Service},
		{"deployment", begun.Deployment, b.Spec.Deployment},
		{"lifecycle_stage", begun.Stage, b.Spec.Stage},
		{"step", strconv.Itoa(begun.Step), strconv.Itoa(b.Spec.Step)},
	} {
		if part.have != part.asked {
			return problem.New(problem.FailedPrecondition, ReasonRequestIDReused,
				"invocation %s was begun before with the %s %s, not %s", begun.ID, part.name, part.have, part.asked).
				With("invocation", begun.ID).With("field", part.name)
		}
	}
	return nil
}

func (s *Store) insert(ctx context.Context, tx pgx.Tx, b Begin) error {
	hook, err := hookOne(ctx, tx, b.Hook, hookGetSQL, pgx.NamedArgs{"name": b.Hook})
	if err != nil {
		return err
	}
	at, err := now(ctx, tx)
	if err != nil {
		return err
	}
	if b.Spec.Carried, err = carried(ctx, tx, b.Spec.Deployment, b.Hook); err != nil {
		return err
	}
	i, err := invocation.New(b.Spec, hook.Hook, at)
	if err != nil {
		return err
	}
	args, err := specArgs(i)
	if err != nil {
		return err
	}
	state, err := stateArgs(i)
	if err != nil {
		return err
	}
	maps.Copy(args, state)
	if _, err := tx.Exec(ctx, invocationInsertSQL, args); err != nil {
		return fmt.Errorf("begin invocation %s: %w", i.ID, err)
	}
	return s.notify(ctx, tx, i.ID)
}

// What an invocation was begun with is in what it has returned, so the newest has all.
const carriedSQL = `
SELECT returned FROM invocations WHERE deployment = @deployment AND hook = @hook ORDER BY create_time DESC, id DESC LIMIT 1`

// carried is what a hook has returned in a deployment until now.
func carried(ctx context.Context, tx pgx.Tx, deployment, hook string) (invocation.Details, error) {
	var returned []byte
	err := tx.QueryRow(ctx, carriedSQL, pgx.NamedArgs{"deployment": deployment, "hook": hook}).Scan(&returned)
	if noRows(err) {
		return nil, nil
	}
	var details invocation.Details
	if err == nil {
		err = json.Unmarshal(returned, &details)
	}
	if err != nil {
		return nil, fmt.Errorf("what hook %s returned in %s: %w", hook, deployment, err)
	}
	return details, nil
}

const invocationGetSQL = `SELECT ` + invocationColumns + ` FROM invocations i WHERE i.id = @id`

// InvocationGet returns one invocation.
func (s *Store) InvocationGet(ctx context.Context, id string) (invocation.Invocation, error) {
	return invocationGet(ctx, s.db.Pool, id)
}

func invocationGet(ctx context.Context, q querier, id string) (invocation.Invocation, error) {
	found, err := invocationsQuery(ctx, q, invocationGetSQL, pgx.NamedArgs{"id": id})
	if err != nil {
		return invocation.Invocation{}, err
	}
	if len(found) == 0 {
		return invocation.Invocation{}, notFound(id)
	}
	return found[0], nil
}

func notFound(id string) error {
	return problem.New(problem.NotFound, ReasonInvocationNotFound, "there is no invocation %s", id).With("invocation", id)
}

// Page selects invocations, newest first.
type Page struct {
	Deployment, Hook string    // "" for all
	Service          string    // "" for all
	BeforeTime       time.Time // with BeforeID the last one of the page before; zero for the first page
	BeforeID         string
	Limit            int
}

const (
	invocationListSQL   = `SELECT ` + invocationColumns + ` FROM invocations i WHERE true`
	ofDeployment        = ` AND i.deployment = @deployment`
	ofHook              = ` AND i.hook = @hook`
	ofService           = ` AND i.service = @service`
	afterPage           = ` AND (i.create_time, i.id) < (@before_time, @before_id)`
	invocationListOrder = ` ORDER BY i.create_time DESC, i.id DESC LIMIT @limit`
)

// InvocationList returns a page of invocations.
func (s *Store) InvocationList(ctx context.Context, p Page) ([]invocation.Invocation, error) {
	return invocationsQuery(ctx, s.db.Pool, p.sql(), pgx.NamedArgs{
		"deployment": p.Deployment, "hook": p.Hook, "service": p.Service, "before_time": p.BeforeTime, "before_id": p.BeforeID, "limit": p.Limit,
	})
}

// sql has only the conditions that are asked for, so that each kind of list uses its index.
func (p Page) sql() string {
	sql := invocationListSQL
	if p.Deployment != "" {
		sql += ofDeployment
	}
	if p.Hook != "" {
		sql += ofHook
	}
	if p.Service != "" {
		sql += ofService
	}
	if !p.BeforeTime.IsZero() {
		sql += afterPage
	}
	return sql + invocationListOrder
}

const invocationByIDsSQL = `SELECT ` + invocationColumns + ` FROM invocations i WHERE i.id = ANY(@ids)`

// InvocationByIDs returns the invocations that exist.
func (s *Store) InvocationByIDs(ctx context.Context, ids []string) ([]invocation.Invocation, error) {
	return invocationsQuery(ctx, s.db.Pool, invocationByIDsSQL, pgx.NamedArgs{"ids": ids})
}

const invocationRecentSQL = `SELECT ` + invocationColumns + ` FROM invocations i WHERE i.end_time IS NULL
UNION ALL SELECT ` + invocationColumns + ` FROM invocations i WHERE i.end_time > now() - @window::interval`

// InvocationRecent returns the invocations that have not ended, and those that ended within the window.
func (s *Store) InvocationRecent(ctx context.Context, window time.Duration) ([]invocation.Invocation, error) {
	return invocationsQuery(ctx, s.db.Pool, invocationRecentSQL, pgx.NamedArgs{"window": window})
}

const invocationOfDeploymentSQL = `SELECT ` + invocationColumns + ` FROM invocations i WHERE i.deployment = @deployment`

// InvocationOfDeployment returns all invocations of a deployment.
func (s *Store) InvocationOfDeployment(ctx context.Context, deployment string) ([]invocation.Invocation, error) {
	return invocationsQuery(ctx, s.db.Pool, invocationOfDeploymentSQL, pgx.NamedArgs{"deployment": deployment})
}

const invocationPruneSQL = `
DELETE FROM invocations WHERE id IN (
    SELECT id FROM invocations WHERE end_time < now() - @retention::interval ORDER BY end_time LIMIT @limit FOR UPDATE SKIP LOCKED)`

// InvocationPrune deletes up to limit invocations that ended longer ago than the retention, and returns how many.
func (s *Store) InvocationPrune(ctx context.Context, retention time.Duration, limit int) (int64, error) {
	return s.exec(ctx, "prune invocations", invocationPruneSQL, pgx.NamedArgs{"retention": retention, "limit": limit})
}

func invocationsQuery(ctx context.Context, q querier, sql string, args pgx.NamedArgs) ([]invocation.Invocation, error) {
	rows, err := q.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("read invocations: %w", err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[invocationRow])
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("read invocations: %w", err))
	}
	invocations := make([]invocation.Invocation, len(found))
	for n, r := range found {
		if invocations[n], err = r.invocation(); err != nil {
			return nil, err
		}
	}
	return invocations, nil
}
