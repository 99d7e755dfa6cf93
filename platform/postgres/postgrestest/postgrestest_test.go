package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

func migrations(table string) fstest.MapFS {
	return fstest.MapFS{
		"000001_t.up.sql":   {Data: []byte("CREATE TABLE " + table + " (n int);")},
		"000001_t.down.sql": {Data: []byte("DROP TABLE " + table + ";")},
	}
}

// testOf stands for a test that may fail without failing this one.
type testOf struct {
	testing.TB
	failed   bool
	logged   strings.Builder
	cleanups []func()
}

func (t *testOf) Helper()                    {}
func (t *testOf) Failed() bool               { return t.failed }
func (t *testOf) Cleanup(f func())           { t.cleanups = append(t.cleanups, f) }
func (t *testOf) Logf(f string, args ...any) { fmt.Fprintf(&t.logged, f+"\n", args...) }
func (t *testOf) Errorf(f string, args ...any) {
	t.failed = true
	t.Logf(f, args...)
}

func (t *testOf) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

func shared(t *testing.T) *server {
	t.Helper()
	s, err := sharedServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(t *testing.T, s *server) []string {
	t.Helper()
	var all []string
	err := s.do(t.Context(), func(conn *pgx.Conn) error {
		var err error
		all, err = databases(t.Context(), conn)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func databaseOf(db *postgres.DB) string { return db.Pool.Config().ConnConfig.Database }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	a, b := New(t, "own", migrations("things")), New(t, "own", migrations("things"))
	if _, err := a.Pool.Exec(t.Context(), "INSERT INTO things VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.Pool.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil || n != 0 {
		t.Errorf("the other test sees %d rows, %v", n, err)
	}
	if err := postgres.Migrate(t.Context(), a.URL, "own", migrations("things")); err != nil {
		t.Errorf("the copy is not as migrated: %v", err)
	}
}

func TestADatabaseIsDroppedWhenItsTestPasses(t *testing.T) {
	inner := &testOf{TB: t}
	name := databaseOf(New(inner, "own", migrations("things")))
	if !slices.Contains(names(t, shared(t)), name) {
		t.Fatalf("there is no database %s", name)
	}
	inner.end()
	if slices.Contains(names(t, shared(t)), name) || inner.logged.Len() > 0 {
		t.Errorf("after the test: log %q, databases %v", inner.logged.String(), names(t, shared(t)))
	}
}

func TestADatabaseIsKeptAndNamedWhenItsTestFails(t *testing.T) {
	inner := &testOf{TB: t}
	db := New(inner, "own", migrations("things"))
	inner.failed = true
	inner.end()
	if !strings.Contains(inner.logged.String(), db.URL) {
		t.Errorf("the log does not name %s: %s", db.URL, inner.logged.String())
	}
	conn, err := pgx.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatalf("the kept database: %v", err)
	}
	_ = conn.Close(t.Context())
	if err := shared(t).drop(t.Context(), databaseOf(db)); err != nil {
		t.Error(err)
	}
}

func TestAForgottenConnectionFailsItsTestAndHangsNothing(t *testing.T) {
	inner := &testOf{TB: t}
	db := New(inner, "own", migrations("things"))
	conn, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	began := time.Now()
	inner.end()
	if took := time.Since(began); !inner.failed || took > time.Minute {
		t.Errorf("failed: %v after %v", inner.failed, took)
	}
	if err := shared(t).drop(t.Context(), databaseOf(db)); err != nil {
		t.Error(err)
	}
}

func TestChangedMigrationsMakeAnotherTemplate(t *testing.T) {
	s := shared(t)
	before, err := s.template(t.Context(), "changing", migrations("before"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.template(t.Context(), "changing", migrations("before"))
	if err != nil || again != before {
		t.Errorf("the same migrations give %s, %v; want %s", again, err, before)
	}
	after, err := s.template(t.Context(), "changing", migrations("after"))
	if err != nil || after == before {
		t.Errorf("other migrations give %s, %v", after, err)
	}
	if all := names(t, s); s.private != nil && !slices.Contains(all, before) {
		t.Errorf("the template that this program uses was dropped: %v", all)
	}

	// The next program on this server does not know the old ones.
	s.templates = map[string]bool{after: true}
	if _, err := s.template(t.Context(), "changing", migrations("later")); err != nil {
		t.Fatal(err)
	}
	if all := names(t, s); s.private != nil && (slices.Contains(all, before) || !slices.Contains(all, after)) {
		t.Errorf("of an outdated and a used template, these are left: %v", all)
	}
}

func TestBrokenMigrationsLeaveNoTemplate(t *testing.T) {
	s := shared(t)
	before := names(t, s)
	_, err := s.template(t.Context(), "broken", fstest.MapFS{"000001_t.up.sql": {Data: []byte("CREATE TABLE;")}})
	if err == nil {
		t.Fatal("no error")
	}
	if after := names(t, s); len(after) != len(before) {
		t.Errorf("databases before %v, after %v", before, after)
	}
}

func TestAServerOfSomebodyElseCanBeUsed(t *testing.T) {
	t.Setenv("SLIPWAY_TEST_DATABASE_URL", shared(t).admin.String())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := openServer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.private != nil {
		t.Fatal("a server was started")
	}
	dsn, name, err := s.newDatabase(ctx, "own", migrations("things"))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(dsn); err != nil || u.Host != s.admin.Host || u.Path != "/"+name {
		t.Errorf("the database is at %s, %v", dsn, err)
	}
	if err := s.drop(ctx, name); err != nil {
		t.Error(err)
	}
}

func TestOnlyOldDatabasesOfTestsAreDropped(t *testing.T) {
	now := time.Now()
	name := func(age time.Duration) string { return fmt.Sprintf("test_%x_1_2", now.Add(-age).Unix()) }
	for database, want := range map[string]bool{
		name(25 * time.Hour): true, name(23 * time.Hour): false, name(0): false,
		"test_1_2": false, "test_zz_1_2": false, "template_1_2_3": false, "postgres": false,
	} {
		if got := outdated(database, now); got != want {
			t.Errorf("outdated(%s) = %v, want %v", database, got, want)
		}
	}
}
