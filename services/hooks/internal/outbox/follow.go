package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const notifySQL = `SELECT pg_notify(@channel, '')`

func (s *Store) notify(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, notifySQL, pgx.NamedArgs{"channel": s.channel}); err != nil {
		return fmt.Errorf("notify of deliveries: %w", err)
	}
	return nil
}

const (
	pingEvery   = 30 * time.Second // a connection that silently died is noticed after this
	pingTimeout = 5 * time.Second
)

// Follow calls changed once it listens, and then whenever any replica recorded deliveries, until ctx ends or the
// connection breaks.
func (s *Store) Follow(ctx context.Context, changed func()) error {
	acquired, err := s.db.Pool.Acquire(ctx)
	if err != nil {
		return postgres.Classify(fmt.Errorf("follow deliveries: %w", err))
	}
	conn := acquired.Hijack() // it has a LISTEN on it: not for the pool any more
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.Background(), pingTimeout)
		defer cancel()
		_ = conn.Close(closeCtx) // nothing is lost with it
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.channel}.Sanitize()); err != nil {
		return postgres.Classify(fmt.Errorf("follow deliveries: %w", err))
	}
	changed()
	for {
		if err := nextNotification(ctx, conn); err != nil {
			return postgres.Classify(fmt.Errorf("follow deliveries: %w", err))
		}
		changed()
	}
}

func nextNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		waitCtx, cancel := context.WithTimeout(ctx, pingEvery)
		_, err := conn.WaitForNotification(waitCtx)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
			return err
		}
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		err = conn.Ping(pingCtx)
		cancel()
		if err != nil {
			return err
		}
	}
}
