package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const leaveTimeout = 2 * time.Second

// Run takes part until ctx ends, then gives everything back at once. It has a connection of its own: a pool that is exhausted
// costs no lease.
func (l *Leases) Run(ctx context.Context) {
	delay := time.Duration(0)
	for ctx.Err() == nil {
		began := l.cfg.Now()
		err := l.takePart(ctx)
		if ctx.Err() != nil {
			break
		}
		l.shorten()
		if delay = min(2*delay+l.cfg.Duration/64, l.cfg.Duration/4); l.cfg.Now().Sub(began) > l.cfg.Duration {
			delay = l.cfg.Duration / 64
		}
		l.cfg.Log.Warn("leases cannot be renewed; trying again", "cause", err, "delay", delay)
		select {
		case <-ctx.Done():
		case <-time.After(l.within(delay)):
		}
		l.expire()
	}
	l.leave(ctx)
}

// within bounds a wait so that the end of the leases is not missed.
func (l *Leases) within(wait time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members == 0 {
		return wait
	}
	return max(min(wait, l.deadline.Sub(l.cfg.Now())), 0)
}

// shorten ends the leases earlier of a replica that lost its session: from half of a lease after it renewed, others may take it for
// dead.
func (l *Leases) shorten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end := l.asked.Add(l.cfg.Duration / 2); end.Before(l.deadline) {
		l.deadline = end
	}
}

func (l *Leases) connect(ctx context.Context) (*pgx.Conn, error) {
	config := l.db.Pool.Config().ConnConfig.Copy()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", postgres.Classify(err))
	}
	return conn, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// takePart renews and takes leases on one connection until it breaks.
func (l *Leases) takePart(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, l.within(l.cfg.Duration/2))
	defer cancel()
	conn, err := l.connect(opening)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(opening, "LISTEN "+pgx.Identifier{l.channel}.Sanitize()); err != nil {
		return fmt.Errorf("listen for leases: %w", postgres.Classify(err))
	}
	present := false
	for {
		if present, err = l.bePresent(ctx, conn, present); err != nil {
			return err
		}
		next, err := l.beat(ctx, conn)
		if err != nil {
			return err
		}
		if err := l.listen(ctx, conn, next); err != nil {
			return err
		}
	}
}

// bePresent takes the lock that tells the others that the replica's session is there. It may fail while one of them looks.
func (l *Leases) bePresent(ctx context.Context, conn *pgx.Conn, present bool) (bool, error) {
	if present {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Duration/2)
	defer cancel()
	args := pgx.NamedArgs{"channel": l.channel, "holder": l.cfg.Holder}
	if err := conn.QueryRow(ctx, presentSQL, args).Scan(&present); err != nil {
		return false, fmt.Errorf("be present: %w", postgres.Classify(err))
	}
	return present, nil
}

// listen passes messages on, and returns when it is time to renew or another replica has come, gone or given something back.
func (l *Leases) listen(ctx context.Context, conn *pgx.Conn, wait time.Duration) error {
	until := time.Now().Add(wait)
	for {
		waiting, cancel := context.WithDeadline(ctx, until)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil && n.Payload != "":
			l.cfg.Told(n.Payload)
		case err == nil && n.PID != conn.PgConn().PID():
			return nil
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) && !conn.IsClosed():
			return nil
		default:
			return fmt.Errorf("listen for leases: %w", postgres.Classify(err))
		}
	}
}

// leave gives everything back. Where that fails the leases end by themselves.
func (l *Leases) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	l.mu.Lock()
	shards := slices.Sorted(maps.Keys(l.held))
	l.members = 0
	l.mu.Unlock()
	generations := l.drop(shards)
	conn, err := l.connect(ctx)
	if err == nil {
		defer closeConn(conn)
		err = l.release(ctx, conn, shards, generations, true)
	}
	if err != nil {
		l.cfg.Log.Warn("leases were not given back; they run out", "cause", err)
	}
}

// Tell sends a message to every replica that takes part. It only wakes: a message may be missed.
func (l *Leases) Tell(ctx context.Context, message string) error {
	if _, err := l.db.Pool.Exec(ctx, "SELECT pg_notify($1, $2)", l.channel, message); err != nil {
		return fmt.Errorf("tell other replicas: %w", postgres.Classify(err))
	}
	return nil
}
