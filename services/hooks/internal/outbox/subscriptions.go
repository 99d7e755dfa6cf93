package outbox

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// MaxSubscriptions bounds how many there are, as each event is matched with each: EventBridge has 300 rules for a bus.
const MaxSubscriptions = 300

// Subscription is a subscription that is stored.
type Subscription struct {
	subscription.Subscription
	CreateTime  time.Time
	Etag        string // changes with each change of the definition
	Pending     int64  // read by SubscriptionGet only
	DeadLetters int64  // read by SubscriptionGet only
}

type subscriptionRow struct {
	Name           string
	Pattern        string
	Format         string
	TargetKind     string
	TargetAddress  string
	TargetRegion   string
	TargetEndpoint string
	KeepSource     bool
	Secrets        []string
	MaximumAge     time.Duration
	MaximumRetries int
	CallTimeout    time.Duration
	Version        int64
	CreateTime     time.Time
}

func (r subscriptionRow) subscription() Subscription {
	return Subscription{
		Subscription: subscription.Subscription{
			Name: r.Name, Pattern: r.Pattern, Format: subscription.Format(r.Format),
			Target: subscription.Target{
				Kind: subscription.TargetKind(r.TargetKind), Address: r.TargetAddress, Region: r.TargetRegion,
				Endpoint: r.TargetEndpoint, KeepSource: r.KeepSource, Secrets: r.Secrets,
			},
			MaximumAge: r.MaximumAge, MaximumRetries: r.MaximumRetries, CallTimeout: r.CallTimeout,
		},
		CreateTime: r.CreateTime, Etag: strconv.FormatInt(r.Version, 10),
	}
}

const subscriptionColumns = `name, pattern, format, target_kind, target_address, target_region, target_endpoint, keep_source, secrets,
    maximum_age, maximum_retries, call_timeout, version, create_time`

const subscriptionPutSQL = `
INSERT INTO subscriptions (name, pattern, format, target_kind, target_address, target_region, target_endpoint, keep_source, secrets,
    maximum_age, maximum_retries, call_timeout, create_time)
VALUES (@name, @pattern, @format, @target_kind, @target_address, @target_region, @target_endpoint, @keep_source, @secrets,
    @maximum_age, @maximum_retries, @call_timeout, now())
ON CONFLICT (name) DO UPDATE SET pattern = excluded.pattern, format = excluded.format, target_kind = excluded.target_kind,
    target_address = excluded.target_address, target_region = excluded.target_region, target_endpoint = excluded.target_endpoint,
    keep_source = excluded.keep_source, secrets = excluded.secrets, maximum_age = excluded.maximum_age,
    maximum_retries = excluded.maximum_retries, call_timeout = excluded.call_timeout, version = excluded.version
RETURNING ` + subscriptionColumns

const (
	lanesDropSQL = `DELETE FROM lanes WHERE subscription = @name`
	// What waits goes to the new target, at once.
	lanesMakeSQL = `
INSERT INTO lanes (subscription, order_key, due_time)
SELECT DISTINCT subscription, order_key, now() FROM deliveries WHERE subscription = @name AND state = 'PENDING'
ON CONFLICT (subscription, order_key) DO UPDATE SET due_time = now()`
)

// SubscriptionPut creates a subscription or replaces its definition. check sees the present one, nil when there is
// none, and returns what is put.
func (s *Store) SubscriptionPut(
	ctx context.Context, tx pgx.Tx, name, etag string, check func(*Subscription) (subscription.Subscription, error),
) (Subscription, error) {
	if _, err := lockPositions(ctx, tx, 0); err != nil {
		return Subscription{}, err
	}
	current, err := subscriptionOne(ctx, tx, name)
	switch {
	case err == nil && etag != "" && current.Etag != etag:
		return Subscription{}, problem.New(problem.Aborted, ReasonStaleEtag, "etag %s of subscription %s is not the current one", etag, name)
	case err != nil && (problem.As(err) == nil || problem.As(err).Reason != ReasonSubscriptionNotFound || etag != ""):
		return Subscription{}, err
	}
	before := &current
	if err != nil {
		before = nil
		if err := roomForOneMore(ctx, tx); err != nil {
			return Subscription{}, err
		}
	}
	put, err := check(before)
	if err != nil {
		return Subscription{}, err
	}
	rows, err := collect[subscriptionRow](ctx, tx, "put subscription "+name, subscriptionPutSQL, pgx.NamedArgs{
		"name": put.Name, "pattern": put.Pattern, "format": string(put.Format), "target_kind": string(put.Target.Kind),
		"target_address": put.Target.Address, "target_region": put.Target.Region, "target_endpoint": put.Target.Endpoint,
		"keep_source": put.Target.KeepSource, "secrets": append([]string{}, put.Target.Secrets...),
		"maximum_age": put.MaximumAge, "maximum_retries": put.MaximumRetries, "call_timeout": put.CallTimeout,
	})
	if err != nil {
		return Subscription{}, err
	}
	lanes := lanesMakeSQL
	if put.Target.Kind == subscription.GRPCStream {
		lanes = lanesDropSQL
	}
	if _, err := tx.Exec(ctx, lanes, pgx.NamedArgs{"name": name}); err != nil {
		return Subscription{}, fmt.Errorf("put subscription %s: %w", name, err)
	}
	return rows[0].subscription(), s.notify(ctx, tx)
}

const subscriptionCountSQL = `SELECT count(*) FROM subscriptions`

func roomForOneMore(ctx context.Context, tx pgx.Tx) error {
	var n int
	if err := tx.QueryRow(ctx, subscriptionCountSQL).Scan(&n); err != nil {
		return fmt.Errorf("count subscriptions: %w", err)
	}
	if n >= MaxSubscriptions {
		return problem.New(problem.ResourceExhausted, ReasonLimitExceeded, "there are %d subscriptions, which is the most there may be", n).
			With("limit", "subscriptions")
	}
	return nil
}

const subscriptionGetSQL = `SELECT ` + subscriptionColumns + ` FROM subscriptions WHERE name = @name`

func subscriptionOne(ctx context.Context, q querier, name string) (Subscription, error) {
	rows, err := collect[subscriptionRow](ctx, q, "subscription "+name, subscriptionGetSQL, pgx.NamedArgs{"name": name})
	if err != nil {
		return Subscription{}, err
	}
	if len(rows) == 0 {
		return Subscription{}, notFound(name)
	}
	return rows[0].subscription(), nil
}

func notFound(name string) error {
	return problem.New(problem.NotFound, ReasonSubscriptionNotFound, "there is no subscription %s", name).With("subscription", name)
}

const subscriptionCountsSQL = `
SELECT count(*) FILTER (WHERE state = 'PENDING'), count(*) FILTER (WHERE state = 'DEAD_LETTER')
FROM deliveries WHERE subscription = @name AND state <> 'DELIVERED'`

// SubscriptionGet returns one subscription with its counts.
func (s *Store) SubscriptionGet(ctx context.Context, name string) (Subscription, error) {
	found, err := subscriptionOne(ctx, s.db.Pool, name)
	if err != nil {
		return Subscription{}, err
	}
	err = s.db.Pool.QueryRow(ctx, subscriptionCountsSQL, pgx.NamedArgs{"name": name}).Scan(&found.Pending, &found.DeadLetters)
	if err != nil {
		return Subscription{}, postgres.Classify(fmt.Errorf("count the deliveries of %s: %w", name, err))
	}
	return found, nil
}

const subscriptionListSQL = `SELECT ` + subscriptionColumns + ` FROM subscriptions WHERE name > @after ORDER BY name LIMIT @limit`

// SubscriptionList returns subscriptions by name, those after a name.
func (s *Store) SubscriptionList(ctx context.Context, after string, limit int) ([]Subscription, error) {
	rows, err := collect[subscriptionRow](ctx, s.db.Pool, "list subscriptions", subscriptionListSQL, pgx.NamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, err
	}
	found := make([]Subscription, len(rows))
	for n, r := range rows {
		found[n] = r.subscription()
	}
	return found, nil
}

const subscriptionDeleteSQL = `DELETE FROM subscriptions WHERE name = @name`

// SubscriptionDelete deletes a subscription with its deliveries.
func (s *Store) SubscriptionDelete(ctx context.Context, tx pgx.Tx, name string) error {
	if _, err := lockPositions(ctx, tx, 0); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, subscriptionDeleteSQL, pgx.NamedArgs{"name": name})
	if err != nil {
		return fmt.Errorf("delete subscription %s: %w", name, err)
	}
	if tag.RowsAffected() == 0 {
		return notFound(name)
	}
	return s.notify(ctx, tx) // streams of it end
}
