package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// want checks the kind, the reason, that the cause is still there, and the constraint.
func want(t *testing.T, err error, kind problem.Kind, reason, constraint string) {
	t.Helper()
	p := problem.As(err)
	if p == nil || p.Kind != kind || p.Reason != reason || p.Cause == nil {
		t.Fatalf("got %#v (%v), want %v %s with a cause", p, err, kind, reason)
	}
	if p.Metadata["constraint"] != constraint || (constraint != "") != (p.Metadata["table"] == "things") {
		t.Errorf("metadata is %v, want constraint %q", p.Metadata, constraint)
	}
}

func exec(t *testing.T, db *postgres.DB, sql string, args ...any) error {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), sql, args...)
	return postgres.Classify(err)
}

func mustExec(t *testing.T, db *postgres.DB, sql string, args ...any) {
	t.Helper()
	if err := exec(t, db, sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestClassifyNamesABrokenConstraint(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	mustExec(t, db, "INSERT INTO owners VALUES ('ann')")
	mustExec(t, db, "INSERT INTO things (name, owner) VALUES ('a', 'ann')")

	want(t, exec(t, db, "INSERT INTO things (name) VALUES ('a')"), problem.AlreadyExists, "ALREADY_EXISTS", "things_name_key")
	want(t, exec(t, db, "DELETE FROM owners"), problem.FailedPrecondition, "IN_USE", "things_owner_fkey")
	want(t, exec(t, db, "INSERT INTO things (name, owner) VALUES ('b', 'bob')"), problem.Aborted, "CONFLICT", "things_owner_fkey")
}

func TestClassifyCallsALostRaceAborted(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	mustExec(t, db, "INSERT INTO things (name) VALUES ('a'), ('b')")

	t.Run("serialization failure", func(t *testing.T) {
		tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		scan[int](t, tx, "SELECT n FROM things WHERE name = 'a'")
		mustExec(t, db, "UPDATE things SET n = n + 1 WHERE name = 'a'")
		_, err = tx.Exec(t.Context(), "UPDATE things SET n = n + 1 WHERE name = 'a'")
		want(t, postgres.Classify(err), problem.Aborted, "CONFLICT", "")
	})

	t.Run("deadlock", func(t *testing.T) {
		other := make(chan error, 1)
		bothHold := make(chan struct{})
		lock := func(ctx context.Context, tx pgx.Tx, name string) error {
			_, err := tx.Exec(ctx, "UPDATE things SET n = n + 1 WHERE name = $1", name)
			return err
		}
		firstHolds := make(chan struct{})
		go func() {
			other <- db.InTx(t.Context(), func(tx pgx.Tx) error {
				<-firstHolds
				if err := lock(t.Context(), tx, "b"); err != nil {
					return err
				}
				close(bothHold)
				return lock(t.Context(), tx, "a")
			})
		}()
		err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			if err := lock(t.Context(), tx, "a"); err != nil {
				return err
			}
			close(firstHolds)
			<-bothHold
			return lock(t.Context(), tx, "b")
		})
		want(t, errors.Join(err, <-other), problem.Aborted, "CONFLICT", "")
	})

	t.Run("lock timeout", func(t *testing.T) {
		tx, err := db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		if _, err := tx.Exec(t.Context(), "SELECT FROM things WHERE name = 'a' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		err = db.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SET LOCAL lock_timeout = '20ms'; UPDATE things SET n = 0 WHERE name = 'a'")
			return err
		})
		want(t, err, problem.Aborted, "CONFLICT", "")
	})
}

func TestClassifyTellsTimeFromTrouble(t *testing.T) {
	db := postgrestest.New(t, "things", things())

	err := db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(60)")
		return err
	})
	want(t, err, problem.DeadlineExceeded, "", "")

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = db.Pool.Exec(ctx, "SELECT pg_sleep(60)")
	want(t, postgres.Classify(err), problem.DeadlineExceeded, "", "")

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = db.Pool.Exec(ctx, "SELECT 1")
	want(t, postgres.Classify(err), problem.Canceled, "", "")
}

func TestClassifyCallsALostConnectionUnavailable(t *testing.T) {
	db := postgrestest.New(t, "things", things())

	t.Run("session ended by the server", func(t *testing.T) {
		err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
			return err
		})
		want(t, err, problem.Unavailable, "DATABASE_UNAVAILABLE", "")
	})

	t.Run("use of a connection that broke", func(t *testing.T) {
		err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			pid := scan[int](t, tx, "SELECT pg_backend_pid()")
			mustExec(t, db, "SELECT pg_terminate_backend($1)", pid)
			for range 2 { // the first finds the connection broken, the second closed
				_, err := tx.Exec(t.Context(), "SELECT 1")
				want(t, postgres.Classify(err), problem.Unavailable, "DATABASE_UNAVAILABLE", "")
			}
			return io.EOF
		})
		want(t, err, problem.Unavailable, "DATABASE_UNAVAILABLE", "")
	})

	t.Run("no server", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := listener.Addr()
		_ = listener.Close()
		_, err = postgres.Open(t.Context(), fmt.Sprintf("postgres://u:secret@%s/x", addr), "things", nil)
		want(t, err, problem.Unavailable, "DATABASE_UNAVAILABLE", "")
	})

	t.Run("closed pool", func(t *testing.T) {
		db, err := postgres.Open(t.Context(), db.URL, "things", nil)
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		want(t, exec(t, db, "SELECT 1"), problem.Unavailable, "DATABASE_UNAVAILABLE", "")
	})
}

func TestClassifyLeavesTheRestAlone(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	if postgres.Classify(nil) != nil {
		t.Error("nil becomes an error")
	}
	var name string
	err := db.Pool.QueryRow(t.Context(), "SELECT name FROM things").Scan(&name)
	if got := postgres.Classify(err); !errors.Is(got, pgx.ErrNoRows) || problem.As(got) != nil {
		t.Errorf("no rows becomes %v", got)
	}
	own := fmt.Errorf("load: %w", problem.New(problem.NotFound, "TASK_NOT_FOUND", "no task").Wrap(context.Canceled))
	if got := postgres.Classify(own); got != own { //nolint:errorlint // the very same value
		t.Errorf("a problem becomes %v", got)
	}
	if got := exec(t, db, "SELECT nonsense"); got == nil || problem.As(got) != nil {
		t.Errorf("a defect in SQL becomes %v, want an error that is no problem", got)
	}
}
