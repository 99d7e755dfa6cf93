package outbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Streamed is a delivery for a stream.
type Streamed struct {
	Position int64
	EventID  string
	Envelope string
	Subject  string
	Attempts int // this time counted
}

const streamNextSQL = `
WITH sent AS (
    UPDATE deliveries SET attempts = attempts + 1 WHERE position IN (
        SELECT position FROM deliveries WHERE subscription = @name AND state = 'PENDING' AND position > @after AND expire_time > now()
        ORDER BY position LIMIT greatest(@most - (
            SELECT count(*) FROM deliveries WHERE subscription = @name AND state = 'PENDING' AND position <= @after
        ), 0)
    ) AND state = 'PENDING' RETURNING position, event, attempts
)
SELECT sent.position, sent.event::text AS event_id, e.envelope, e.subject, sent.attempts
FROM sent JOIN events e ON e.id = sent.event ORDER BY sent.position`

// StreamNext returns the deliveries after a position, in their order, and counts an attempt for each. With those up to
// the position that are not acknowledged they are at most `most`. Positions are committed in their order, so nothing
// comes later with a lower one.
func (s *Store) StreamNext(ctx context.Context, name string, after int64, most int) (subscription.Subscription, []Streamed, error) {
	of, err := subscriptionOne(ctx, s.db.Pool, name)
	if err != nil || of.Target.Kind != subscription.GRPCStream {
		return of.Subscription, nil, err
	}
	list, err := collect[Streamed](ctx, s.db.Pool, "read a stream's deliveries", streamNextSQL, pgx.NamedArgs{"name": name, "after": after, "most": most})
	return of.Subscription, list, err
}

const streamAckSQL = `
WITH done AS (
    UPDATE deliveries d SET state = 'DELIVERED', end_time = now(), reason = '' FROM subscriptions s
    WHERE s.name = d.subscription AND s.target_kind = 'GRPC_STREAM'
        AND d.subscription = @name AND d.state = 'PENDING' AND d.position <= @position AND d.attempts > 0
    RETURNING 1
), told AS (SELECT pg_notify(@channel, '') FROM done LIMIT 1)
SELECT (SELECT count(*) FROM done) AS count, (SELECT count(*) FROM told) AS told`

// StreamAck marks what a stream has sent, up to a position, as delivered, and returns how many there were.
func (s *Store) StreamAck(ctx context.Context, name string, position int64) (int64, error) {
	type counts struct{ Count, Told int64 }
	rows, err := collect[counts](ctx, s.db.Pool, "acknowledge deliveries", streamAckSQL,
		pgx.NamedArgs{"name": name, "position": position, "channel": s.channel})
	if err != nil {
		return 0, err
	}
	return rows[0].Count, nil
}

const streamExpireSQL = `
UPDATE deliveries d SET state = 'DEAD_LETTER', end_time = now(),
    reason = CASE WHEN d.attempts = 0 THEN 'nobody took it from the stream in time' ELSE 'it was not acknowledged in time' END
FROM subscriptions s WHERE s.name = d.subscription AND s.target_kind = 'GRPC_STREAM' AND d.state = 'PENDING' AND d.expire_time <= now()`

// StreamExpire makes dead letters of what nobody took from a stream in time.
func (s *Store) StreamExpire(ctx context.Context) (int64, error) {
	return s.exec(ctx, "expire the deliveries of streams", streamExpireSQL, pgx.NamedArgs{})
}
