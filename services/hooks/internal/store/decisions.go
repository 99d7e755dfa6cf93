package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

const invocationLockSQL = `SELECT ` + invocationColumns + ` FROM invocations i WHERE i.id = @id FOR UPDATE`

// InvocationLock returns one invocation with its row locked, and false when there is none.
func (s *Store) InvocationLock(ctx context.Context, tx pgx.Tx, id string) (invocation.Invocation, bool, error) {
	found, err := invocationsQuery(ctx, tx, invocationLockSQL, pgx.NamedArgs{"id": id})
	if err != nil || len(found) == 0 {
		return invocation.Invocation{}, false, err
	}
	return found[0], true, nil
}

const deploymentKnownSQL = `SELECT EXISTS (SELECT FROM invocations WHERE deployment = @deployment)`

// DeploymentKnown reports whether a hook was called for a deployment.
func (s *Store) DeploymentKnown(ctx context.Context, tx pgx.Tx, deployment string) (known bool, err error) {
	if err := tx.QueryRow(ctx, deploymentKnownSQL, pgx.NamedArgs{"deployment": deployment}).Scan(&known); err != nil {
		return false, postgres.Classify(fmt.Errorf("look for deployment %s: %w", deployment, err))
	}
	return known, nil
}

// InvocationApply decides what becomes of an invocation through an event, with its row locked, and saves it. The reply
// is what the event's attempt brought; when the event is ignored, the reply is recorded as ignored.
func (s *Store) InvocationApply(ctx context.Context, tx pgx.Tx, id string, e invocation.Event, attempt int, r Reply) (invocation.Decision, error) {
	before, found, err := s.InvocationLock(ctx, tx, id)
	if err != nil {
		return invocation.Decision{}, err
	}
	if !found {
		return invocation.Decision{}, notFound(id)
	}
	at, err := now(ctx, tx)
	if err != nil {
		return invocation.Decision{}, err
	}
	d := invocation.Decide(before, e, at)
	b := &pgx.Batch{}
	if d.Ignored != "" {
		queueIgnored(b, id, attempt, d.Ignored, r)
	}
	if !before.State.Terminal() && (d.Ignored == "" || d.Next.State != before.State) {
		if err := s.queueSave(b, d.Next, lease{}); err != nil {
			return d, err
		}
		queueClose(b, before, d, r)
	}
	return d, send(ctx, tx, b, "save invocation "+id)
}

// queueClose records how the current attempt ended, when it did.
func queueClose(b *pgx.Batch, before invocation.Invocation, d invocation.Decision, r Reply) {
	switch {
	case d.Next.Attempt == 0 || d.Next.Open:
	case d.Ignored == "" && (r != Reply{}):
		queueReply(b, before.ID, before.Attempt, r)
	case before.Open: // the deadline or CancelInvocation came first
		queueReply(b, before.ID, before.Attempt, Reply{Error: d.Next.Reason})
	}
}

const invocationSaveSQL = `
UPDATE invocations SET details = @details, returned = @returned, state = @state, outcome = @outcome, reason = @reason, attempt = @attempt,
    attempt_time = @attempt_time, attempt_open = @attempt_open, failures = @failures, next_attempt_time = @next_attempt_time,
    end_time = @end_time, due_time = @due_time, target_secrets = CASE WHEN @end_time::timestamptz IS NULL THEN target_secrets ELSE '{}' END,
    lease_owner = nullif(@lease_owner, ''), lease_expire_time = CASE WHEN @lease_owner = '' THEN NULL ELSE now() + @lease::interval END
WHERE id = @id`

// lease says who has an invocation in hand, and for how long.
type lease struct {
	owner string // "" for nobody
	span  time.Duration
}

// queueSave saves how an invocation stands, and tells the followers.
func (s *Store) queueSave(b *pgx.Batch, i invocation.Invocation, l lease) error {
	args, err := stateArgs(i)
	if err != nil {
		return err
	}
	args["lease_owner"], args["lease"] = l.owner, l.span
	b.Queue(invocationSaveSQL, args)
	b.Queue(notifySQL, pgx.NamedArgs{"channel": s.channel, "id": i.ID})
	return nil
}

// InvocationCancel ends an invocation that no one waits for any more; one that has ended is left as it is.
func (s *Store) InvocationCancel(ctx context.Context, id string, generation int64) (invocation.Invocation, error) {
	var canceled invocation.Invocation
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		i, err := invocationGet(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.fence(ctx, tx, i.Service, generation); err != nil {
			return err
		}
		d, err := s.InvocationApply(ctx, tx, id, invocation.Cancel{}, 0, Reply{})
		canceled = d.Next
		return err
	})
	return canceled, err
}

func send(ctx context.Context, tx pgx.Tx, b *pgx.Batch, what string) error {
	if b.Len() == 0 {
		return nil
	}
	// Close reads all results and returns the first error.
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return postgres.Classify(fmt.Errorf("%s: %w", what, err))
	}
	return nil
}
