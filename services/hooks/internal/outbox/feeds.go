package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// ErrLeaseLost says that another replica reads the feed now.
var ErrLeaseLost = errors.New("another replica reads the feed")

// Feed is where a feed has been read to.
type Feed struct {
	Token      string    // "" when nothing was read yet
	CreateTime time.Time // when it was made; there were no subscriptions before
}

const feedLeaseSQL = `
INSERT INTO event_feeds (name, lease_owner, lease_expire_time) VALUES (@name, @owner, now() + @lease::interval)
ON CONFLICT (name) DO UPDATE SET lease_owner = excluded.lease_owner, lease_expire_time = excluded.lease_expire_time
WHERE event_feeds.lease_owner IS NULL OR event_feeds.lease_owner = @owner OR event_feeds.lease_expire_time <= now()
RETURNING token, create_time`

// FeedLease takes or prolongs the lease of a feed: only its owner records what the feed brings. It returns false while
// another replica has it.
func (s *Store) FeedLease(ctx context.Context, name, owner string, lease time.Duration) (f Feed, mine bool, err error) {
	err = s.db.Pool.QueryRow(ctx, feedLeaseSQL, pgx.NamedArgs{"name": name, "owner": owner, "lease": lease}).Scan(&f.Token, &f.CreateTime)
	if noRows(err) {
		return Feed{}, false, nil
	}
	if err != nil {
		return Feed{}, false, postgres.Classify(fmt.Errorf("lease feed %s: %w", name, err))
	}
	return f, true, nil
}

const feedReleaseSQL = `UPDATE event_feeds SET lease_owner = NULL, lease_expire_time = NULL WHERE name = @name AND lease_owner = @owner`

// FeedRelease gives a feed up, so that another replica takes it at once.
func (s *Store) FeedRelease(ctx context.Context, name, owner string) error {
	_, err := s.exec(ctx, "release feed "+name, feedReleaseSQL, pgx.NamedArgs{"name": name, "owner": owner})
	return err
}

// Batch is what a feed brought.
type Batch struct {
	Feed, Owner string
	Token       string // to go on from
	Events      []event.Event
}

const feedPlaceSQL = `UPDATE event_feeds SET token = @token WHERE name = @name AND lease_owner = @owner`

// Record records events, a delivery for each subscription that each matches, and where the feed goes on, all or
// nothing. An event that was recorded before is left as it is. It returns how many deliveries there are to make, and
// ErrLeaseLost when the feed is another's now.
func (s *Store) Record(ctx context.Context, b Batch) (deliveries int, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockPositions(ctx, tx, 0); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, feedPlaceSQL, pgx.NamedArgs{"name": b.Feed, "owner": b.Owner, "token": b.Token})
		if err != nil {
			return fmt.Errorf("save the place in feed %s: %w", b.Feed, err)
		}
		if tag.RowsAffected() == 0 {
			return ErrLeaseLost
		}
		deliveries, err = s.fanOut(ctx, tx, b.Events)
		return err
	})
	return deliveries, err
}

const subscribersSQL = `SELECT name, pattern, version, target_kind, maximum_age FROM subscriptions ORDER BY name`

type subscriberRow struct {
	Name       string
	Pattern    string
	Version    int64
	TargetKind string
	MaximumAge time.Duration
}

const eventInsertSQL = `
INSERT INTO events (id, source, detail_type, order_key, subject, envelope, event_time)
VALUES (@id, @source, @detail_type, @order_key, @subject, @envelope, @event_time) ON CONFLICT (id) DO NOTHING`

// fanOut records events and who is to have them.
func (s *Store) fanOut(ctx context.Context, tx pgx.Tx, events []event.Event) (int, error) {
	if len(events) == 0 {
		return 0, nil
	}
	subscribers, err := collect[subscriberRow](ctx, tx, "read subscriptions", subscribersSQL, pgx.NamedArgs{})
	if err != nil {
		return 0, err
	}
	s.filters.keep(subscribers)
	var wanted []wantedDelivery
	for _, e := range events {
		envelope, err := e.EventBridge()
		if err != nil {
			return 0, err
		}
		tag, err := tx.Exec(ctx, eventInsertSQL, pgx.NamedArgs{
			"id": e.ID, "source": e.Source, "detail_type": e.Type, "order_key": e.OrderKey, "subject": e.Subject,
			"envelope": string(envelope), "event_time": e.Time,
		})
		if err != nil {
			return 0, fmt.Errorf("record event %s: %w", e.ID, err)
		}
		if tag.RowsAffected() == 0 {
			continue // recorded before
		}
		for _, subscriber := range subscribers {
			// An error means that another release checked the pattern; who subscribes so gets nothing until it is put again.
			if ok, err := s.filters.match(subscriber, envelope); ok && err == nil {
				wanted = append(wanted, wantedDelivery{subscriber: subscriber, event: e})
			}
		}
	}
	if len(wanted) == 0 {
		return 0, nil
	}
	if err := insertDeliveries(ctx, tx, wanted); err != nil {
		return 0, err
	}
	return len(wanted), s.notify(ctx, tx)
}

type wantedDelivery struct {
	subscriber subscriberRow
	event      event.Event
}

const (
	deliveryInsertSQL = `
INSERT INTO deliveries (position, subscription, event, order_key, state, expire_time)
VALUES (@position, @subscription, @event, @order_key, 'PENDING', now() + @maximum_age::interval)`
	laneInsertSQL = `
INSERT INTO lanes (subscription, order_key, due_time) VALUES (@subscription, @order_key, now())
ON CONFLICT (subscription, order_key) DO UPDATE SET due_time = lanes.due_time`
)

// insertDeliveries takes each lane's lock before its delivery is inserted: whoever empties the lane meanwhile either
// comes before, and the lane is made anew, or comes after and finds the delivery.
func insertDeliveries(ctx context.Context, tx pgx.Tx, wanted []wantedDelivery) error {
	position, err := lockPositions(ctx, tx, len(wanted))
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, w := range wanted {
		if w.subscriber.TargetKind != string(subscription.GRPCStream) {
			b.Queue(laneInsertSQL, pgx.NamedArgs{"subscription": w.subscriber.Name, "order_key": w.event.OrderKey})
		}
		position++
		b.Queue(deliveryInsertSQL, pgx.NamedArgs{
			"position": position, "subscription": w.subscriber.Name, "event": w.event.ID, "order_key": w.event.OrderKey,
			"maximum_age": w.subscriber.MaximumAge,
		})
	}
	return sendBatch(ctx, tx, b, "record deliveries")
}

func sendBatch(ctx context.Context, tx pgx.Tx, b *pgx.Batch, what string) error {
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
