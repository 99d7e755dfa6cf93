package once_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func setup(t *testing.T) *postgres.DB {
	t.Helper()
	return postgrestest.New(t, "once", fstest.MapFS{
		"000001_once.up.sql":   {Data: []byte(once.DDL + "; CREATE TABLE made (name text);")},
		"000001_once.down.sql": {Data: []byte("DROP TABLE requests; DROP TABLE made;")},
	})
}

// create is a call as a service makes it: a row, and an answer that no second run would give again.
func create(ctx context.Context, db *postgres.DB, id, name string, run func() error) (string, error) {
	var answer *wrapperspb.StringValue
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var err error
		answer, err = once.Do(ctx, tx, "Create", id, wrapperspb.String(name), func() (*wrapperspb.StringValue, error) {
			if _, err := tx.Exec(ctx, "INSERT INTO made VALUES ($1)", name); err != nil {
				return nil, err
			}
			if err := run(); err != nil {
				return nil, err
			}
			return wrapperspb.String(fmt.Sprintf("%s at %s", name, time.Now())), nil
		})
		return err
	})
	return answer.GetValue(), err
}

func fine() error { return nil }

func made(t *testing.T, db *postgres.DB) int {
	t.Helper()
	var n int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM made").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheSameRequestGetsTheSameAnswer(t *testing.T) {
	db := setup(t)
	first, err := create(t.Context(), db, "id-1", "web", fine)
	if err != nil || first == "" {
		t.Fatalf("first: %q, %v", first, err)
	}
	second, err := create(t.Context(), db, "id-1", "web", fine)
	if err != nil || second != first {
		t.Errorf("second: %q, %v; want %q", second, err, first)
	}
	if n := made(t, db); n != 1 {
		t.Errorf("%d rows were made, want 1", n)
	}
	other, err := create(t.Context(), db, "id-2", "web", fine)
	if err != nil || other == first || made(t, db) != 2 {
		t.Errorf("another id: %q, %v, %d rows; want a run of its own", other, err, made(t, db))
	}
}

func TestAnotherRequestWithTheSameIDIsRefused(t *testing.T) {
	db := setup(t)
	if _, err := create(t.Context(), db, "id-1", "web", fine); err != nil {
		t.Fatal(err)
	}
	_, err := create(t.Context(), db, "id-1", "api", fine)
	if !errors.Is(err, problem.FailedPrecondition) || problem.ReasonOf(err) != once.ReasonReused {
		t.Errorf("error is %v, want REQUEST_ID_REUSED", err)
	}
	if n := made(t, db); n != 1 {
		t.Errorf("%d rows were made, want 1", n)
	}
}

func TestTheSameIDOfAnotherMethodIsAnotherRequest(t *testing.T) {
	db := setup(t)
	runs := 0
	for _, method := range []string{"Create", "Delete"} {
		err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := once.Do(t.Context(), tx, method, "id-1", wrapperspb.String("web"), func() (*emptypb.Empty, error) {
				runs++
				return &emptypb.Empty{}, nil
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("%d runs, want 2", runs)
	}
}

func TestWithoutAnIDEachCallRuns(t *testing.T) {
	db := setup(t)
	for range 2 {
		if _, err := create(t.Context(), db, "", "web", fine); err != nil {
			t.Fatal(err)
		}
	}
	if n := made(t, db); n != 2 {
		t.Errorf("%d rows were made, want 2", n)
	}
}

func TestAnEmptyAnswerIsAnAnswer(t *testing.T) {
	db := setup(t)
	for range 2 {
		err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			answer, err := once.Do(t.Context(), tx, "Delete", "id-1", wrapperspb.String("web"), func() (*emptypb.Empty, error) {
				return &emptypb.Empty{}, nil
			})
			if answer == nil {
				t.Error("the answer is nil")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	db := setup(t)
	refused := problem.New(problem.FailedPrecondition, "IN_USE", "not now")
	if _, err := create(t.Context(), db, "id-1", "web", func() error { return refused }); !errors.Is(err, problem.FailedPrecondition) {
		t.Fatalf("error is %v", err)
	}
	if answer, err := create(t.Context(), db, "id-1", "web", fine); err != nil || answer == "" {
		t.Errorf("the retry gives %q, %v; want an answer", answer, err)
	}
	if n := made(t, db); n != 1 {
		t.Errorf("%d rows were made, want 1", n)
	}
}

// concurrent runs the call twice at once with one id; the first ends as told only when the second waits for it.
func concurrent(t *testing.T, db *postgres.DB, end error) (answers []string, errs []error, runs int) {
	t.Helper()
	type result struct {
		answer string
		err    error
	}
	running, finish := make(chan struct{}), make(chan struct{})
	first, second := make(chan result, 1), make(chan result, 1)
	go func() {
		answer, err := create(t.Context(), db, "id-1", "web", func() error {
			close(running)
			<-finish
			return end
		})
		first <- result{answer, err}
	}()
	<-running
	secondRuns := 0
	go func() {
		answer, err := create(t.Context(), db, "id-1", "web", func() error {
			secondRuns++
			return nil
		})
		second <- result{answer, err}
	}()
	eventually(t, "the second call waits for the first", func() bool {
		var waits bool
		err := db.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO requests%')`).Scan(&waits)
		return err == nil && waits
	})
	close(finish)
	a, b := <-first, <-second
	return []string{a.answer, b.answer}, []error{a.err, b.err}, 1 + secondRuns
}

func TestConcurrentCallsWithOneIDRunOnce(t *testing.T) {
	db := setup(t)
	answers, errs, runs := concurrent(t, db, nil)
	if errs[0] != nil || errs[1] != nil {
		t.Fatalf("errors: %v", errs)
	}
	if runs != 1 || answers[0] == "" || answers[0] != answers[1] || made(t, db) != 1 {
		t.Errorf("%d runs, answers %q, %d rows; want 1 run, one answer, 1 row", runs, answers, made(t, db))
	}
}

func TestTheWaitingCallRunsWhenTheFirstFails(t *testing.T) {
	db := setup(t)
	_, errs, runs := concurrent(t, db, errors.New("first fails"))
	if errs[0] == nil || errs[1] != nil || runs != 2 || made(t, db) != 1 {
		t.Errorf("errors %v, %d runs, %d rows; want only the first to fail, 2 runs, 1 row", errs, runs, made(t, db))
	}
}

func TestPruneForgetsOldRequestsOnly(t *testing.T) {
	db := setup(t)
	for _, id := range []string{"old", "new"} {
		if _, err := create(t.Context(), db, id, "web", fine); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE requests SET create_time = now() - interval '2 days' WHERE request_id = 'old'"); err != nil {
		t.Fatal(err)
	}
	n, err := once.Prune(t.Context(), db, time.Now().Add(-24*time.Hour))
	if err != nil || n != 1 {
		t.Fatalf("Prune gives %d, %v; want 1", n, err)
	}
	if _, err := create(t.Context(), db, "new", "web", fine); err != nil || made(t, db) != 2 {
		t.Errorf("the new request: %v, %d rows; want it known still", err, made(t, db))
	}
	if _, err := create(t.Context(), db, "old", "web", fine); err != nil || made(t, db) != 3 {
		t.Errorf("the old request: %v, %d rows; want it forgotten", err, made(t, db))
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
