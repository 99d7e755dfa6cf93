package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Hook is a registered hook.
type Hook struct {
	invocation.Hook
	CreateTime time.Time
	Etag       string // changes with each change of the definition
}

type hookRow struct {
	Name            string
	TargetKind      string
	TargetAddress   string
	TargetTLS       bool `db:"target_tls"`
	TargetQualifier string
	TargetArgs      []string
	TargetSecrets   []string
	CallTimeout     time.Duration
	MaxAttempts     int
	Version         int64
	CreateTime      time.Time
}

func (r hookRow) hook() Hook {
	return Hook{
		Hook: invocation.Hook{
			Name: r.Name,
			Target: invocation.Target{
				Kind: invocation.TargetKind(r.TargetKind), Address: r.TargetAddress, TLS: r.TargetTLS, Secrets: r.TargetSecrets,
				Qualifier: r.TargetQualifier, Args: r.TargetArgs,
			},
			CallTimeout: r.CallTimeout,
			MaxAttempts: r.MaxAttempts,
		},
		CreateTime: r.CreateTime,
		Etag:       strconv.FormatInt(r.Version, 10),
	}
}

const hookColumns = `name, target_kind, target_address, target_tls, target_qualifier, target_args, target_secrets, call_timeout, max_attempts,
    version, create_time`

// The secrets of an endpoint that stays the same stay, too, when the definition has none: it was read without them.
const hookPutSQL = `
INSERT INTO hooks (name, target_kind, target_address, target_tls, target_qualifier, target_args, target_secrets, call_timeout, max_attempts, create_time)
VALUES (@name, @target_kind, @target_address, @target_tls, @target_qualifier, @target_args, @target_secrets, @call_timeout, @max_attempts, now())
ON CONFLICT (name) DO UPDATE SET target_kind = excluded.target_kind, target_address = excluded.target_address,
    target_tls = excluded.target_tls, target_qualifier = excluded.target_qualifier, target_args = excluded.target_args,
    target_secrets = CASE WHEN ` + secretsStay + ` THEN hooks.target_secrets ELSE excluded.target_secrets END,
    call_timeout = excluded.call_timeout, max_attempts = excluded.max_attempts,
    version = CASE WHEN (hooks.target_kind, hooks.target_address, hooks.target_tls, hooks.target_qualifier, hooks.target_args,
            hooks.call_timeout, hooks.max_attempts)
        = (excluded.target_kind, excluded.target_address, excluded.target_tls, excluded.target_qualifier, excluded.target_args,
            excluded.call_timeout, excluded.max_attempts)
        AND (hooks.target_secrets = excluded.target_secrets OR ` + secretsStay + `)
        THEN hooks.version ELSE excluded.version END
RETURNING ` + hookColumns

const secretsStay = `(@keep_secrets::boolean AND hooks.target_kind = excluded.target_kind AND hooks.target_address = excluded.target_address)`

// HookPut creates a hook or replaces its definition. A set etag must be the current one. With keepSecrets the secrets of
// a target that stays the same stay.
func (s *Store) HookPut(ctx context.Context, tx pgx.Tx, h invocation.Hook, etag string, keepSecrets bool) (Hook, error) {
	if etag != "" {
		current, err := hookLock(ctx, tx, h.Name)
		if err != nil {
			return Hook{}, err
		}
		if current.Etag != etag {
			return Hook{}, problem.New(problem.Aborted, ReasonStaleEtag, "etag %s of hook %s is not the current one", etag, h.Name)
		}
	}
	args := targetArgs(h)
	args["name"], args["keep_secrets"] = h.Name, keepSecrets
	return hookOne(ctx, tx, h.Name, hookPutSQL, args)
}

// targetArgs are the columns that hooks and invocations have in common.
func targetArgs(h invocation.Hook) pgx.NamedArgs {
	return pgx.NamedArgs{
		"target_kind": string(h.Target.Kind), "target_address": h.Target.Address, "target_tls": h.Target.TLS,
		"target_qualifier": h.Target.Qualifier, "target_args": append([]string{}, h.Target.Args...),
		"target_secrets": append([]string{}, h.Target.Secrets...), "call_timeout": h.CallTimeout, "max_attempts": h.MaxAttempts,
	}
}

const hookLockSQL = `SELECT ` + hookColumns + ` FROM hooks WHERE name = @name FOR UPDATE`

func hookLock(ctx context.Context, tx pgx.Tx, name string) (Hook, error) {
	return hookOne(ctx, tx, name, hookLockSQL, pgx.NamedArgs{"name": name})
}

const hookGetSQL = `SELECT ` + hookColumns + ` FROM hooks WHERE name = @name`

// HookGet returns one hook.
func (s *Store) HookGet(ctx context.Context, name string) (Hook, error) {
	return hookOne(ctx, s.db.Pool, name, hookGetSQL, pgx.NamedArgs{"name": name})
}

const hookListSQL = `SELECT ` + hookColumns + ` FROM hooks WHERE name > @after ORDER BY name LIMIT @limit`

// HookList returns hooks by name, those after a name.
func (s *Store) HookList(ctx context.Context, after string, limit int) ([]Hook, error) {
	rows, err := s.db.Pool.Query(ctx, hookListSQL, pgx.NamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("list hooks: %w", err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[hookRow])
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("list hooks: %w", err))
	}
	hooks := make([]Hook, len(found))
	for i, r := range found {
		hooks[i] = r.hook()
	}
	return hooks, nil
}

const hookDeleteSQL = `DELETE FROM hooks WHERE name = @name RETURNING ` + hookColumns

// HookDelete deletes a hook. Invocations that run keep the definition they began with.
func (s *Store) HookDelete(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := hookOne(ctx, tx, name, hookDeleteSQL, pgx.NamedArgs{"name": name})
	return err
}

// querier is a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func hookOne(ctx context.Context, q querier, name, sql string, args pgx.NamedArgs) (Hook, error) {
	rows, err := q.Query(ctx, sql, args)
	if err != nil {
		return Hook{}, postgres.Classify(fmt.Errorf("hook %s: %w", name, err))
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[hookRow])
	if noRows(err) {
		return Hook{}, problem.New(problem.NotFound, ReasonHookNotFound, "there is no hook %s", name).With("hook", name)
	}
	if err != nil {
		return Hook{}, postgres.Classify(fmt.Errorf("hook %s: %w", name, err))
	}
	return row.hook(), nil
}
