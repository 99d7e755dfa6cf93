package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Claim is what a replica of the engine asks for.
type Claim struct {
	Owner string        // the replica
	Lease time.Duration // how long the claimed lanes are its own, unless renewed
	Limit int
	Each  int      // at most so many lanes of one subscription
	Busy  []string // subscriptions whose calls are many enough
}

// Claimed is the first delivery of a lane, for the claimer to send.
type Claimed struct {
	Subscription subscription.Subscription
	Position     int64
	OrderKey     string
	EventID      string
	Envelope     string
	Subject      string
	EventTime    time.Time
	Progress     subscription.Progress
	At           time.Time // the database's time at the claim
}

const laneClaimSQL = `
WITH due AS (
    SELECT l.subscription, l.order_key FROM subscriptions s CROSS JOIN LATERAL (
        SELECT subscription, order_key, due_time FROM lanes
        WHERE subscription = s.name AND due_time <= now() AND (lease_owner IS NULL OR lease_expire_time <= now())
        ORDER BY due_time LIMIT @each FOR UPDATE SKIP LOCKED
    ) l WHERE NOT s.name = ANY(@busy) ORDER BY l.due_time LIMIT @limit
)
UPDATE lanes SET lease_owner = @owner, lease_expire_time = now() + @lease::interval FROM due
WHERE lanes.subscription = due.subscription AND lanes.order_key = due.order_key
RETURNING lanes.subscription, lanes.order_key`

type laneRow struct{ Subscription, OrderKey string }

const claimedSQL = `
SELECT ` + subscriptionColumnsOfS + `, d.position, d.order_key, d.event::text AS event_id, e.envelope, e.subject, e.event_time,
    d.attempts, d.expire_time, now() AS at
FROM unnest(@subscriptions::text[], @order_keys::text[]) AS l (subscription, order_key)
JOIN subscriptions s ON s.name = l.subscription
JOIN LATERAL (
    SELECT position, order_key, event, attempts, expire_time FROM deliveries
    WHERE subscription = l.subscription AND order_key = l.order_key AND state = 'PENDING' ORDER BY position LIMIT 1
) d ON true
JOIN events e ON e.id = d.event`

const subscriptionColumnsOfS = `s.name, s.pattern, s.format, s.target_kind, s.target_address, s.target_region, s.target_endpoint, s.keep_source,
    s.secrets, s.maximum_age, s.maximum_retries, s.call_timeout, s.version, s.create_time`

type claimedRow struct {
	subscriptionRow
	Position   int64
	OrderKey   string
	EventID    string
	Envelope   string
	Subject    string
	EventTime  time.Time
	Attempts   int
	ExpireTime time.Time
	At         time.Time
}

const laneDropSQL = `DELETE FROM lanes WHERE subscription = @subscription AND order_key = @order_key AND lease_owner = @owner`

// Claim takes lanes that are due and that nobody has in hand, and returns the first delivery of each. claimed counts
// the lanes, also those that turned out empty.
func (s *Store) Claim(ctx context.Context, c Claim) (list []Claimed, claimed int, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		lanes, err := collect[laneRow](ctx, tx, "claim lanes", laneClaimSQL, pgx.NamedArgs{
			"owner": c.Owner, "lease": c.Lease, "limit": c.Limit, "each": c.Each, "busy": append([]string{}, c.Busy...),
		})
		claimed = len(lanes)
		if err != nil || claimed == 0 {
			return err
		}
		names, keys := make([]string, claimed), make([]string, claimed)
		empty := make(map[laneRow]bool, claimed)
		for n, lane := range lanes {
			names[n], keys[n], empty[lane] = lane.Subscription, lane.OrderKey, true
		}
		rows, err := collect[claimedRow](ctx, tx, "claim deliveries", claimedSQL, pgx.NamedArgs{"subscriptions": names, "order_keys": keys})
		if err != nil {
			return err
		}
		list = make([]Claimed, len(rows))
		for n, row := range rows {
			list[n] = row.claimed()
			delete(empty, laneRow{row.Name, row.OrderKey})
		}
		b := &pgx.Batch{}
		for lane := range empty {
			b.Queue(laneDropSQL, pgx.NamedArgs{"subscription": lane.Subscription, "order_key": lane.OrderKey, "owner": c.Owner})
		}
		return sendBatch(ctx, tx, b, "drop empty lanes")
	})
	if err != nil {
		return nil, 0, err
	}
	return list, claimed, nil
}

func (r claimedRow) claimed() Claimed {
	return Claimed{
		Subscription: r.subscription().Subscription, Position: r.Position, OrderKey: r.OrderKey, EventID: r.EventID,
		Envelope: r.Envelope, Subject: r.Subject, EventTime: r.EventTime, At: r.At,
		Progress: subscription.Progress{Attempts: r.Attempts, Expire: r.ExpireTime},
	}
}

const nextDueSQL = `
SELECT least((SELECT min(due_time) FROM lanes WHERE lease_owner IS NULL AND NOT subscription = ANY(@busy)),
    (SELECT min(lease_expire_time) FROM lanes WHERE lease_owner IS NOT NULL)) - now()`

// NextDue returns how long it is until a lane is due, not positive when one is already, and false when there is none.
func (s *Store) NextDue(ctx context.Context, busy []string) (time.Duration, bool, error) {
	var wait *time.Duration
	if err := s.db.Pool.QueryRow(ctx, nextDueSQL, pgx.NamedArgs{"busy": append([]string{}, busy...)}).Scan(&wait); err != nil {
		return 0, false, postgres.Classify(fmt.Errorf("read the next due time: %w", err))
	}
	if wait == nil {
		return 0, false, nil
	}
	return *wait, true, nil
}

const lanesRenewSQL = `UPDATE lanes SET lease_expire_time = now() + @lease::interval WHERE lease_owner = @owner`

// LeaseRenew prolongs all that an owner has in hand.
func (s *Store) LeaseRenew(ctx context.Context, owner string, lease time.Duration) error {
	_, err := s.exec(ctx, "renew lanes", lanesRenewSQL, pgx.NamedArgs{"owner": owner, "lease": lease})
	return err
}

const lanesReleaseSQL = `
WITH released AS (
    UPDATE lanes SET lease_owner = NULL, lease_expire_time = NULL WHERE lease_owner = @owner RETURNING 1
) SELECT pg_notify(@channel, '') FROM released LIMIT 1`

// LeaseRelease gives up all that an owner has in hand: it is due again at once, for anyone.
func (s *Store) LeaseRelease(ctx context.Context, owner string) error {
	_, err := s.exec(ctx, "release lanes", lanesReleaseSQL, pgx.NamedArgs{"owner": owner, "channel": s.channel})
	return err
}
