package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Claim is what a replica of the engine asks for.
type Claim struct {
	Owner string        // the replica
	Lease time.Duration // how long the claimed are its own, unless renewed
	Limit int
	// OnlyExpired claims only invocations whose deadline has passed: they need no call.
	OnlyExpired bool
	// Request is the JSON object that a new attempt sends.
	Request func(invocation.Invocation) (string, error)
}

// Claimed is an attempt that the claimer is to send; it is recorded already.
type Claimed struct {
	Invocation invocation.Invocation
	Request    string
	Remaining  time.Duration // until the deadline, by the database's clock
}

// The secrets are those that the hook has now: a receiver that was told the new ones need not know the old ones for as
// long as an invocation may last. Those it began with are for when the hook is gone or leads elsewhere.
const claimColumns = invocationColumns + `, coalesce(h.target_secrets, i.target_secrets) AS secrets,
    coalesce(a.request, '') AS request, i.deadline_time - now() AS remaining, now() AS at`

const claimFrom = ` FROM invocations i LEFT JOIN attempts a ON i.attempt_open AND a.invocation = i.id AND a.attempt = i.attempt
    LEFT JOIN hooks h ON h.name = i.hook AND h.target_kind = i.target_kind AND h.target_address = i.target_address`

type claimRow struct {
	invocationRow
	Secrets   []string
	Request   string
	Remaining time.Duration
	At        time.Time
}

const claimSQL = `
SELECT ` + claimColumns + claimFrom + `
WHERE i.end_time IS NULL AND i.due_time <= now() AND (i.lease_owner IS NULL OR i.lease_expire_time <= now())
ORDER BY i.due_time LIMIT @limit FOR UPDATE OF i SKIP LOCKED`

const claimExpiredSQL = `
SELECT ` + claimColumns + claimFrom + `
WHERE i.end_time IS NULL AND i.deadline_time <= now() AND (i.lease_owner IS NULL OR i.lease_expire_time <= now())
ORDER BY i.deadline_time LIMIT @limit FOR UPDATE OF i SKIP LOCKED`

// InvocationClaim takes invocations that are due and that nobody has in hand, decides them, and saves what was decided
// with each attempt to be sent, all in one transaction: what it returns may be sent, and nothing else. claimed counts
// the invocations it took, also those that need no call.
func (s *Store) InvocationClaim(ctx context.Context, c Claim) (calls []Claimed, claimed int, err error) {
	sql := claimSQL
	if c.OnlyExpired {
		sql = claimExpiredSQL
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"limit": c.Limit})
		if err != nil {
			return fmt.Errorf("claim invocations: %w", err)
		}
		due, err := pgx.CollectRows(rows, pgx.RowToStructByName[claimRow])
		if err != nil {
			return fmt.Errorf("claim invocations: %w", err)
		}
		claimed = len(due)
		calls = make([]Claimed, 0, claimed)
		b := &pgx.Batch{}
		for _, row := range due {
			call, err := s.queueDue(b, c, row)
			if err != nil {
				return err
			}
			if call != nil {
				calls = append(calls, *call)
			}
		}
		return send(ctx, tx, b, "claim invocations")
	})
	if err != nil {
		return nil, 0, err
	}
	return calls, claimed, nil
}

func (s *Store) queueDue(b *pgx.Batch, c Claim, row claimRow) (*Claimed, error) {
	before, err := row.invocation()
	if err != nil {
		return nil, err
	}
	d := invocation.Decide(before, invocation.Due{}, row.At)
	if !d.Call {
		queueClose(b, before, d, Reply{})
		return nil, s.queueSave(b, d.Next, lease{})
	}
	// An attempt that was recorded after this statement's snapshot has no request in it; made again it is the same.
	request := row.Request
	if request == "" {
		if request, err = c.Request(d.Next); err != nil {
			return nil, err
		}
	}
	if d.Next.Attempt != before.Attempt {
		queueAttempt(b, d.Next, request)
	}
	if err := s.queueSave(b, d.Next, lease{owner: c.Owner, span: c.Lease}); err != nil {
		return nil, err
	}
	d.Next.Hook.Target.Secrets = row.Secrets
	return &Claimed{Invocation: d.Next, Request: request, Remaining: row.Remaining}, nil
}

// Leased invocations are on their way; all others wait for their due time.
const (
	nextDueSQL = `
SELECT least((SELECT min(due_time) FROM invocations WHERE end_time IS NULL AND lease_owner IS NULL),
    (SELECT min(lease_expire_time) FROM invocations WHERE lease_owner IS NOT NULL)) - now()`
	nextDeadlineSQL = `SELECT min(deadline_time) - now() FROM invocations WHERE end_time IS NULL AND lease_owner IS NULL`
)

// InvocationNextDue returns how long it is until an invocation is due, or its deadline passes when only deadlines are
// asked for; not positive when one is due already, and false when there is none.
func (s *Store) InvocationNextDue(ctx context.Context, onlyDeadlines bool) (time.Duration, bool, error) {
	sql := nextDueSQL
	if onlyDeadlines {
		sql = nextDeadlineSQL
	}
	var wait *time.Duration
	if err := s.db.Pool.QueryRow(ctx, sql).Scan(&wait); err != nil {
		return 0, false, postgres.Classify(fmt.Errorf("read the next due time: %w", err))
	}
	if wait == nil {
		return 0, false, nil
	}
	return *wait, true, nil
}

const leaseRenewSQL = `
UPDATE invocations SET lease_expire_time = now() + @lease::interval WHERE lease_owner = @owner AND id = ANY(@ids)`

// LeaseRenew prolongs the leases that an owner still has.
func (s *Store) LeaseRenew(ctx context.Context, owner string, lease time.Duration, ids []string) error {
	_, err := s.exec(ctx, "renew leases", leaseRenewSQL, pgx.NamedArgs{"owner": owner, "lease": lease, "ids": ids})
	return err
}

const leaseReleaseSQL = `
WITH released AS (
    UPDATE invocations SET lease_owner = NULL, lease_expire_time = NULL WHERE lease_owner = @owner RETURNING id
) SELECT pg_notify(@channel, id) FROM released`

// LeaseRelease gives up all that an owner has in hand: it is due again at once, for anyone.
func (s *Store) LeaseRelease(ctx context.Context, owner string) error {
	_, err := s.exec(ctx, "release leases", leaseReleaseSQL, pgx.NamedArgs{"owner": owner, "channel": s.channel})
	return err
}
