package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	migrateTimeout = 10 * time.Minute // for a caller whose ctx has no deadline
	finishTimeout  = 3 * time.Second  // for the migration at work when ctx ends
	gatePoll       = 50 * time.Millisecond
	historyTable   = "schema_migrations"
)

// Migrate creates the schema and brings it to the newest of files, golang-migrate's NNNNNN_title.up.sql and
// .down.sql in the root of the file system. Any number of processes may call it at once: one works, the others
// wait. A schema that a newer release has migrated further is left as it is.
func Migrate(ctx context.Context, url, schema string, files fs.FS) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	config, err := migrationConfig(url, schema)
	if err != nil {
		return err
	}
	gate, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return problem.New(problem.Unavailable, ReasonUnavailable, "the database at %s cannot be reached", address(config)).Wrap(err)
	}
	defer closeGate(gate)
	if err := enterGate(ctx, gate, schema); err != nil {
		return fmt.Errorf("wait for the migration of schema %s: %w", schema, Classify(err))
	}
	if _, err := gate.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
		return fmt.Errorf("create schema %s: %w", schema, Classify(err))
	}
	if err := migrateUp(ctx, gate, config, schema, files); err != nil {
		return fmt.Errorf("migrate schema %s: %w", schema, err)
	}
	return nil
}

// migrationConfig is a connection without the statement timeout: an index may take long.
func migrationConfig(url, schema string) (*pgx.ConnConfig, error) {
	pool, err := poolConfig(url, schema)
	if err != nil {
		return nil, err
	}
	config := pool.ConnConfig
	config.RuntimeParams["application_name"] = "slipway-migrate-" + schema
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["lock_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	return config, nil
}

// enterGate polls for an advisory lock that the gate's connection holds until it ends. golang-migrate's own lock
// waits inside pg_advisory_lock, where the waiter's snapshot and a CREATE INDEX CONCURRENTLY deadlock.
func enterGate(ctx context.Context, gate *pgx.Conn, schema string) error {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte("slipway migrate " + schema))
	key := int64(sum.Sum64())
	ticker := time.NewTicker(gatePoll)
	defer ticker.Stop()
	for {
		var entered bool
		if err := gate.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&entered); err != nil {
			return err
		}
		if entered {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func closeGate(gate *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_ = gate.Close(ctx) // the lock ends with the connection, whatever Close says
}

func migrateUp(ctx context.Context, gate *pgx.Conn, config *pgx.ConnConfig, schema string, files fs.FS) error {
	steps, err := iofs.New(files, ".")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	var session atomic.Uint32 // process id of the migrating session
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		session.Store(conn.PgConn().PID())
		return nil
	}))
	defer func() { _ = db.Close() }()
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{SchemaName: schema, MigrationsTable: historyTable})
	if err != nil {
		_ = steps.Close()
		return Classify(err)
	}
	m, err := migrate.NewWithInstance("iofs", steps, "pgx5", driver)
	if err != nil {
		_ = steps.Close()
		_ = driver.Close()
		return err
	}
	defer func() { _, _ = m.Close() }() // closes steps and driver; both only read by now
	if err := startable(m, steps); err != nil {
		if errors.Is(err, errNewer) {
			return nil
		}
		return err
	}
	return up(ctx, m, func() { cancelSession(gate, session.Load()) })
}

var errNewer = errors.New("the schema is newer than this program")

// startable refuses a half-done schema and reports errNewer for one that is ahead of the files.
func startable(m *migrate.Migrate, steps source.Driver) error {
	version, dirty, err := m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		return nil
	}
	if err != nil {
		return Classify(err)
	}
	if dirty {
		return problem.New(problem.FailedPrecondition, "", "migration %d failed halfway: undo what it did by hand, then set version %d "+
			"and dirty = false in table %s (a development database can simply be deleted)", version, version-1, historyTable)
	}
	newest, err := newestVersion(steps)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if version > newest {
		return errNewer
	}
	return nil
}

func newestVersion(steps source.Driver) (uint, error) {
	version, err := steps.First()
	for err == nil {
		var next uint
		if next, err = steps.Next(version); err == nil {
			version = next
		}
	}
	if errors.Is(err, fs.ErrNotExist) && version > 0 {
		return version, nil
	}
	return version, err
}

// up applies what is missing. When ctx ends, the migration at work may finish for a while, then it is canceled and
// left marked as half-done.
func up(ctx context.Context, m *migrate.Migrate, cancel func()) error {
	done := make(chan error, 1)
	go func() { done <- m.Up() }()
	select {
	case err := <-done:
		return upResult(err)
	case <-ctx.Done():
	}
	m.GracefulStop <- true
	select {
	case err := <-done:
		return errors.Join(ctx.Err(), upResult(err))
	case <-time.After(finishTimeout):
		cancel()
		return errors.Join(ctx.Err(), upResult(<-done))
	}
}

// cancelSession ends a session's statement from the gate's connection.
func cancelSession(gate *pgx.Conn, session uint32) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := gate.Exec(ctx, "SELECT pg_terminate_backend($1::int)", int64(session)); err != nil {
		_ = gate.Close(ctx)
	}
}

func upResult(err error) error {
	if errors.Is(err, migrate.ErrNoChange) {
		return nil
	}
	return Classify(err)
}
