package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func open(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, "things", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestOpenTakesEveryFormOfURL(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	full, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	bare := *full
	bare.RawQuery = ""
	long := *full
	long.Scheme, long.RawQuery = "postgresql", "sslmode=disable&search_path=public&application_name=mine&pool_max_conns=3"
	password, _ := full.User.Password()
	keywords := "host=" + full.Hostname() + " port=" + full.Port() + " user=" + full.User.Username() +
		" password=" + password + " dbname=" + strings.TrimPrefix(full.Path, "/")

	for _, url := range []string{full.String(), bare.String(), long.String(), keywords} {
		db := open(t, url)
		if got := scan[string](t, db.Pool, "SHOW search_path"); got != "things" {
			t.Errorf("%s: search_path is %s, want things", url, got)
		}
	}
	if got := scan[string](t, open(t, long.String()).Pool, "SHOW application_name"); got != "mine" {
		t.Errorf("application_name is %s, want the URL's", got)
	}
	if got := open(t, long.String()).Pool.Config().MaxConns; got != 3 {
		t.Errorf("the pool has at most %d connections, want the URL's 3", got)
	}
	if got := open(t, bare.String()).Pool.Config().MaxConns; got != 8 {
		t.Errorf("the pool has at most %d connections, want 8", got)
	}
}

func TestEverySessionIsBoundedAndUTC(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	for name, want := range map[string]string{
		"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min", "TimeZone": "UTC",
		"application_name": "slipway-things",
	} {
		if got := scan[string](t, db.Pool, "SELECT current_setting($1)", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if at := scan[time.Time](t, db.Pool, "SELECT timestamptz '2026-11-22 10:00:00+02'"); at.Location() != time.UTC || at.Hour() != 8 {
		t.Errorf("a timestamp arrives as %v, want 08:00 UTC", at)
	}
}

func TestASessionOfAReplicaEndsWhenItRestsInATransaction(t *testing.T) {
	db, err := postgres.Open(t.Context(), postgrestest.New(t, "things", things()).URL, "things", nil, postgres.Replicated(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if got := scan[string](t, db.Pool, "SHOW idle_in_transaction_session_timeout"); got != "3s" {
		t.Errorf("it ends after %s, want 3s", got)
	}
}

func TestOpenRefusesWhatIsNoURLWithoutShowingThePassword(t *testing.T) {
	for _, bad := range []string{"", "postgres://u:hunter2@h:notaport/x", "hunter2 is no DSN"} {
		_, err := postgres.Open(t.Context(), bad, "things", nil)
		if !errors.Is(err, problem.InvalidArgument) {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
		if strings.Contains(problem.As(err).Message, "hunter2") {
			t.Errorf("the message shows the password: %v", err)
		}
	}
}

func TestInTxCommitsOrLeavesNothing(t *testing.T) {
	db := postgrestest.New(t, "things", things())
	count := func() int { return scan[int](t, db.Pool, "SELECT count(*)::int FROM things") }
	insert := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO things (name) VALUES ('a')")
		return err
	}

	own := problem.New(problem.NotFound, "TASK_NOT_FOUND", "no task")
	err := db.InTx(t.Context(), func(tx pgx.Tx) error { return errors.Join(insert(tx), own) })
	if !errors.Is(err, problem.NotFound) || count() != 0 {
		t.Errorf("after a failed transaction: %v, %d rows; want not found, none", err, count())
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		_ = db.InTx(t.Context(), func(tx pgx.Tx) error {
			if err := insert(tx); err != nil {
				t.Error(err)
			}
			panic("defect")
		})
	}()
	if count() != 0 {
		t.Errorf("a panic left %d rows", count())
	}
	if err := db.InTx(t.Context(), insert); err != nil || count() != 1 {
		t.Errorf("after a good transaction: %v, %d rows; want 1", err, count())
	}
	if err := db.InTx(t.Context(), insert); !errors.Is(err, problem.AlreadyExists) {
		t.Errorf("the second insert: %v, want already exists", err)
	}
}
