package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

const laneLockSQL = `SELECT lease_owner = @owner FROM lanes WHERE subscription = @subscription AND order_key = @order_key FOR UPDATE`

const (
	deliveryPendingSQL = `SELECT attempts, expire_time FROM deliveries WHERE position = @position AND state = 'PENDING' FOR UPDATE`
	deliverySaveSQL    = `
UPDATE deliveries SET state = @state, attempts = @attempts, reason = @reason, end_time = CASE WHEN @state = 'PENDING' THEN NULL ELSE now() END
WHERE position = @position`
	laneFreeSQL = `
UPDATE lanes SET due_time = @due, lease_owner = NULL, lease_expire_time = NULL
WHERE subscription = @subscription AND order_key = @order_key`
	laneOtherSQL = `
SELECT EXISTS (SELECT FROM deliveries WHERE subscription = @subscription AND order_key = @order_key AND state = 'PENDING')`
)

// Settle decides what becomes of a claimed delivery and lets go of its lane. decide gets the database's time. A delivery
// that was settled by another replica meanwhile is left as it is; then the verdict is the zero one.
func (s *Store) Settle(
	ctx context.Context, owner string, c Claimed, decide func(p subscription.Progress, now time.Time) subscription.Verdict,
) (v subscription.Verdict, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		v, err = settle(ctx, tx, owner, c, decide)
		return err
	})
	return v, err
}

func settle(
	ctx context.Context, tx pgx.Tx, owner string, c Claimed, decide func(p subscription.Progress, now time.Time) subscription.Verdict,
) (v subscription.Verdict, err error) {
	lane := pgx.NamedArgs{"subscription": c.Subscription.Name, "order_key": c.OrderKey, "owner": owner}
	var mine *bool // NULL when nobody has it
	if err := tx.QueryRow(ctx, laneLockSQL, lane).Scan(&mine); err != nil && !noRows(err) {
		return v, fmt.Errorf("lock a lane of %s: %w", c.Subscription.Name, err)
	}
	at, err := now(ctx, tx)
	if err != nil {
		return v, err
	}
	var p subscription.Progress
	err = tx.QueryRow(ctx, deliveryPendingSQL, pgx.NamedArgs{"position": c.Position}).Scan(&p.Attempts, &p.Expire)
	switch {
	case err == nil:
		v = decide(p, at)
		_, err := tx.Exec(ctx, deliverySaveSQL, pgx.NamedArgs{
			"position": c.Position, "state": string(v.State), "attempts": v.Attempts, "reason": v.Reason,
		})
		if err != nil {
			return v, fmt.Errorf("save a delivery of %s: %w", c.Subscription.Name, err)
		}
	case !noRows(err):
		return v, fmt.Errorf("read a delivery of %s: %w", c.Subscription.Name, err)
	}
	if mine == nil || !*mine {
		return v, nil // another replica has the lane in hand by now
	}
	return v, letGo(ctx, tx, lane, v, at)
}

// letGo frees the lane for the next attempt or for its next delivery, or drops it when there is neither.
func letGo(ctx context.Context, tx pgx.Tx, lane pgx.NamedArgs, v subscription.Verdict, at time.Time) error {
	lane["due"] = at
	more := v.State == subscription.Pending
	if more {
		lane["due"] = v.Next
	} else if err := tx.QueryRow(ctx, laneOtherSQL, lane).Scan(&more); err != nil {
		return fmt.Errorf("look for the next delivery: %w", err)
	}
	sql := laneFreeSQL
	if !more {
		sql = laneDropSQL
	}
	if _, err := tx.Exec(ctx, sql, lane); err != nil {
		return fmt.Errorf("let go of a lane: %w", err)
	}
	return nil
}
