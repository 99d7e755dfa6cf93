package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Keep says how long what is done with is kept.
type Keep struct {
	Delivered   time.Duration // deliveries that were made, and events that nobody subscribed to
	DeadLetters time.Duration
	Limit       int // dead letters of one subscription
}

const (
	prunePastSQL = `
DELETE FROM deliveries WHERE position IN (SELECT position FROM deliveries
    WHERE end_time < now() - CASE state WHEN 'DELIVERED' THEN @delivered::interval ELSE @dead::interval END ORDER BY end_time LIMIT @limit)`
	pruneManySQL = `
DELETE FROM deliveries WHERE position IN (SELECT position FROM (
    SELECT position, row_number() OVER (PARTITION BY subscription ORDER BY position DESC) AS n FROM deliveries WHERE state = 'DEAD_LETTER'
) counted WHERE n > @most LIMIT @limit)`
	pruneEventsSQL = `
DELETE FROM events WHERE id IN (SELECT id FROM events e WHERE create_time < now() - @delivered::interval
    AND NOT EXISTS (SELECT FROM deliveries d WHERE d.event = e.id) ORDER BY create_time LIMIT @limit)`
)

// Prune deletes some of what is kept no longer, at most limit of each kind, and returns whether there may be more.
func (s *Store) Prune(ctx context.Context, k Keep, limit int) (more bool, err error) {
	args := pgx.NamedArgs{"delivered": k.Delivered, "dead": k.DeadLetters, "most": k.Limit, "limit": limit}
	for _, sql := range []string{prunePastSQL, pruneManySQL, pruneEventsSQL} {
		n, err := s.exec(ctx, "prune events", sql, args)
		if err != nil {
			return false, err
		}
		more = more || n >= int64(limit)
	}
	return more, nil
}
