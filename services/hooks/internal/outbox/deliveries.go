package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Delivery is one event on its way to one subscription.
type Delivery struct {
	Position     int64
	Subscription string
	EventID      string
	DetailType   string
	Source       string
	EventTime    time.Time
	OrderKey     string
	State        string
	Attempts     int
	Reason       string
	CreateTime   time.Time
	NextTime     *time.Time
	ExpireTime   time.Time
	EndTime      *time.Time
	Envelope     string
}

// DeliveryFilter selects deliveries. Zero fields select all.
type DeliveryFilter struct {
	Subscription string
	State        subscription.State
	EventID      string
}

// Only the first of a lane has a time; the others wait for it.
const deliveryListSQL = `
SELECT d.position, d.subscription, d.event::text AS event_id, e.detail_type, e.source, e.event_time, d.order_key, d.state, d.attempts, d.reason,
    d.create_time, l.due_time AS next_time, d.expire_time, d.end_time, e.envelope
FROM deliveries d JOIN events e ON e.id = d.event
LEFT JOIN lanes l ON d.state = 'PENDING' AND l.lease_owner IS NULL AND l.subscription = d.subscription AND l.order_key = d.order_key
    AND NOT EXISTS (SELECT FROM deliveries f WHERE f.subscription = d.subscription AND f.order_key = d.order_key AND f.state = 'PENDING'
        AND f.position < d.position)
WHERE (@subscription = '' OR d.subscription = @subscription) AND (@state = '' OR d.state = @state)
    AND (@event = '' OR d.event::text = @event) AND d.position < @before
ORDER BY d.position DESC LIMIT @limit`

// DeliveryList returns deliveries, newest first, those before a position.
func (s *Store) DeliveryList(ctx context.Context, f DeliveryFilter, before int64, limit int) ([]Delivery, error) {
	return collect[Delivery](ctx, s.db.Pool, "list deliveries", deliveryListSQL, pgx.NamedArgs{
		"subscription": f.Subscription, "state": string(f.State), "event": f.EventID, "before": before, "limit": limit,
	})
}

// Redelivery selects what is sent again. Zero fields select all.
type Redelivery struct {
	Subscription string
	EventIDs     []string
	From, Before time.Time // of the event
	Delivered    bool      // not only dead letters
}

const redeliverySelectSQL = `
SELECT d.position, d.subscription, d.order_key, s.target_kind FROM deliveries d JOIN events e ON e.id = d.event
JOIN subscriptions s ON s.name = d.subscription
WHERE (d.state = 'DEAD_LETTER' OR @delivered AND d.state = 'DELIVERED') AND (@subscription = '' OR d.subscription = @subscription)
    AND (cardinality(@events::text[]) = 0 OR d.event::text = ANY(@events::text[]))
    AND (@from::timestamptz IS NULL OR e.event_time >= @from) AND (@before::timestamptz IS NULL OR e.event_time < @before)
ORDER BY d.position FOR UPDATE OF d`

const redeliverySaveSQL = `
UPDATE deliveries d SET position = @position, state = 'PENDING', attempts = 0, reason = '', create_time = now(), end_time = NULL,
    expire_time = now() + s.maximum_age
FROM subscriptions s WHERE s.name = d.subscription AND d.position = @was`

type redeliveryRow struct {
	Position                           int64
	Subscription, OrderKey, TargetKind string
}

// Redeliver sends again: behind what waits already, in their order, with all their attempts. It returns how many.
func (s *Store) Redeliver(ctx context.Context, tx pgx.Tx, r Redelivery) (int64, error) {
	if _, err := lockPositions(ctx, tx, 0); err != nil {
		return 0, err
	}
	rows, err := collect[redeliveryRow](ctx, tx, "select deliveries", redeliverySelectSQL, pgx.NamedArgs{
		"subscription": r.Subscription, "events": append([]string{}, r.EventIDs...), "from": orNull(r.From), "before": orNull(r.Before),
		"delivered": r.Delivered,
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	position, err := lockPositions(ctx, tx, len(rows))
	if err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	for n, row := range rows {
		if row.TargetKind != string(subscription.GRPCStream) {
			b.Queue(laneInsertSQL, pgx.NamedArgs{"subscription": row.Subscription, "order_key": row.OrderKey})
		}
		b.Queue(redeliverySaveSQL, pgx.NamedArgs{"position": position + int64(n) + 1, "was": row.Position})
	}
	if err := sendBatch(ctx, tx, b, "redeliver"); err != nil {
		return 0, fmt.Errorf("of %d deliveries: %w", len(rows), err)
	}
	return int64(len(rows)), s.notify(ctx, tx)
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
