package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const notifySQL = `SELECT pg_notify(@channel, @id)`

func (s *Store) notify(ctx context.Context, tx pgx.Tx, id string) error {
	if _, err := tx.Exec(ctx, notifySQL, pgx.NamedArgs{"channel": s.channel, "id": id}); err != nil {
		return fmt.Errorf("notify of %s: %w", id, err)
	}
	return nil
}

const (
	pingEvery   = 30 * time.Second // a connection that silently died is noticed after this
	pingTimeout = 5 * time.Second
)

// InvocationFollow calls changed with the id of every invocation that is saved by any replica, from before it calls
// listening, until ctx ends or the connection breaks. A notification says that there is something to read, not what.
func (s *Store) InvocationFollow(ctx context.Context, listening func() error, changed func(id string)) error {
	acquired, err := s.db.Pool.Acquire(ctx)
	if err != nil {
		return postgres.Classify(fmt.Errorf("follow invocations: %w", err))
	}
	conn := acquired.Hijack() // it has a LISTEN on it: not for the pool any more
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.channel}.Sanitize()); err != nil {
		return postgres.Classify(fmt.Errorf("follow invocations: %w", err))
	}
	if err := listening(); err != nil {
		return err
	}
	for {
		id, err := nextNotification(ctx, conn)
		if err != nil {
			return postgres.Classify(fmt.Errorf("follow invocations: %w", err))
		}
		changed(id)
	}
}

func nextNotification(ctx context.Context, conn *pgx.Conn) (string, error) {
	for {
		waitCtx, cancel := context.WithTimeout(ctx, pingEvery)
		n, err := conn.WaitForNotification(waitCtx)
		cancel()
		switch {
		case err == nil:
			return n.Payload, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
			return "", err
		}
		if err := ping(ctx, conn); err != nil {
			return "", err
		}
	}
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}
